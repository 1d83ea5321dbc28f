//! A statement that does not have every place that its program weighs.

use veritune_attacks::{Deviation, prove, verify, verify_trees};
use veritune_executor::Tensors;
use veritune_field::F;
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_relations::builder::{Builder, Make};
use veritune_relations::{Place, Program, Range, TensorId, Term};

/// The state after is zero, says the program.
fn cleared() -> Program {
    let mut b = Builder::new(4);
    let axes = [b.axis("entry", 8)];
    let make = |name| Make { name, axes: &axes, range: Range::unsigned(4), fraction_bits: 0 };
    b.tensor(Place::Witness, &make("other"));
    let state = b.tensor(Place::StateAfter, &make("state_after"));
    let terms = vec![Term { coefficient: 1, factors: vec![b.on(state).view] }];
    b.equation("cleared", &axes, terms).expect("an equation");
    b.program
}

/// An opening says nothing of a vector whose tree is left out: it weighs as zeros do, whatever its root hides.
#[test]
fn a_state_that_is_left_out_counts_as_zeros() {
    let program = cleared();
    let mut tensors = Tensors::empty(&program);
    (0..program.tensors.len()).for_each(|i| tensors.set(TensorId(i), vec![0; 8]));
    let five = |deviation| Deviation { committed: Box::new(|_, vectors| vectors[2].fill(F::from_u32(5))), ..deviation };
    let honest = prove(&program, &tensors, &Deviation::default());
    assert!(verify(&program, &honest).is_ok());
    let opened = prove(&program, &tensors, &five(Deviation::default()));
    assert_eq!(verify(&program, &opened).err().as_deref(), Some("opening-sumcheck-claim"));

    let left_out = prove(&program, &tensors, &five(Deviation { without_after: true, ..Deviation::default() }));
    assert_eq!(opened.roots, left_out.roots, "a state of fives");
    assert_eq!(verify_trees(&program, &left_out, 1).err().as_deref(), Some("VT-PROOF-002"));
    let accepted = veritune_mutation::without(&["VT-PROOF-002"], || verify_trees(&program, &left_out, 1).is_ok());
    assert!(accepted, "no other check stops it");
}
