//! The masters after the last step, which no step reads and, where no file is checked, no release either: the step that
//! makes them admits one integer each.

use veritune_attacks::certificate::TinyCertificate;
use veritune_attacks::run::{adamw, forge_step};
use veritune_verifier::proof::ProofError;
use veritune_verifier::step::Context;

/// `2^-16` modulo p, as the signed integer of least absolute value.
const SIXTEENTH_INVERSE: i64 = (1 << 16) - (1 << 48);
/// The matrix that is changed.
const MASTER: &str = "state_after.q_proj.a.master";

/// A master's remainder is `2^16 (w - u) - decay + 2^15 - 2^16 w'`. With `w' + 2^-16` modulo p in place of `w'` it is one
/// less: still a row. The step ranges `w - u - w'`, which such a value leaves by far.
fn prove(is_ranged: bool) -> Result<(), ProofError> {
    let certificate = TinyCertificate::new(adamw(1));
    let tiny = &certificate.tiny;
    let context = Context::new(&tiny.run).expect("a context");
    let lie = |program: &mut veritune_relations::Program, tensors: &mut veritune_executor::Tensors<i64>| {
        if !is_ranged {
            program.lookups.retain(|l| l.name != "q_proj.a.decay");
        }
        let limb = program.range_bits;
        let get =
            |name: &str, t: &veritune_executor::Tensors<i64>| t.get(program.find(name).expect("a tensor")).to_vec();
        let (before, update) = (get("state_before.q_proj.a.master", tensors), get("q_proj.a.update", tensors));
        let (copy, after) = (get("q_proj.a.copy", tensors), get(MASTER, tensors));
        let lookup = program.lookups.iter().find(|l| l.name == "q_proj.a.master.remainder").expect("a look-up");
        let decay = lookup.columns[0]
            .iter()
            .find(|t| t.factors.first().is_some_and(|v| program.tensor(v.tensor).name == "q_proj.a.copy"))
            .expect("a decay")
            .coefficient;
        // An entry whose remainder has a lowest limb that is not zero: one less of it is the same upper limb.
        let (at, low) = (0..after.len())
            .map(|i| (i, ((before[i] - update[i] - after[i]) << 16) + decay * copy[i] + (1 << 15)))
            .inspect(|(_, r)| assert!((0..1 << 16).contains(r)))
            .map(|(i, r)| (i, r & ((1 << limb) - 1)))
            .find(|&(_, low)| low > 0)
            .expect("an entry");
        tensors.get_mut(program.find(MASTER).expect("a tensor"))[at] += SIXTEENTH_INVERSE;
        vec![(1 << limb) + low as usize - 1]
    };
    forge_step(&context, &tiny.inputs, &tiny.dataset, 1, &tiny.states[0], [0, 1], lie).1
}

#[test]
fn a_master_that_is_right_modulo_p_only_is_refused_by_the_range_of_its_decay() {
    assert_eq!(prove(true).expect_err("refused").code(), "opening-sumcheck-claim");
    assert_eq!(prove(false), Ok(()), "without the range");
}
