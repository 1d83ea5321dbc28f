//! The joint claim against real commitments.

use super::programs::{attention, layers};
use super::*;
use crate::commit::{CommittedTree, Randomness, commit, open};
use veritune_commit::{OpeningError, Profile, Root, TreeHash, TreeShape, capacity, tree_point, verify_opening};

const LOG_ROWS: u32 = 10;

fn shape(profile: &Profile, len: usize, masked: bool) -> TreeShape {
    let of = |log_columns| TreeShape { log_rows: LOG_ROWS, log_columns, hash: TreeHash::Blake3, masked, budget: 1 };
    (0..10).map(of).find(|s| capacity(profile, s).is_ok_and(|c| c >= len)).unwrap()
}

/// The trees of all places in use but the base, witness first.
fn trees(profile: &Profile, vectors: &[Vec<F>; NUM_PLACES]) -> Vec<(usize, CommittedTree)> {
    let used = (0..4).filter(|&place| !vectors[place].is_empty());
    used.map(|place| {
        let shape = shape(profile, vectors[place].len(), place == 0);
        let randomness = Randomness::from_seed([place as u8; 32]);
        (place, commit(profile, shape, vectors[place].clone(), randomness).unwrap())
    })
    .collect()
}

fn bound(roots: &[(TreeShape, Root)]) -> Transcript {
    let mut transcript = transcript();
    roots.iter().for_each(|(shape, root)| {
        transcript.absorb("shape", &shape.to_bytes());
        transcript.absorb("root", &root.0);
    });
    transcript
}

/// Proves against `committed` vectors with the tensors given and verifies everything but the base claims.
fn round_trip(
    argument: &Argument<'_>,
    tensors: &[Vec<i64>],
    committed: &[Vec<F>; NUM_PLACES],
    witness: &[F],
    pads: &Pads,
) -> Result<(), OpeningError> {
    let profile = Profile::new(LOG_ROWS).unwrap();
    let mut trees = trees(&profile, committed);
    let places: Vec<usize> = trees.iter().map(|(place, _)| *place).collect();
    let roots: Vec<(TreeShape, Root)> = trees.iter().map(|(_, t)| (t.shape(), t.root())).collect();
    let mut transcript = bound(&roots);
    let proof = prove(argument, witness, tensors, pads, &mut transcript).unwrap();
    let weights: Vec<Vec<E>> =
        places.iter().map(|&place| weights(&proof.parts, place, committed[place].len())).collect();
    // A cheating prover opens what it committed to: the value that it can prove is not the verifier's target.
    let committed = places.iter().flat_map(|&place| &committed[place]);
    let target = weights.iter().flatten().zip(committed).map(|(&w, &v)| w * v).sum();
    let mut opened: Vec<&mut CommittedTree> = trees.iter_mut().map(|(_, tree)| tree).collect();
    let weights = weights.into_iter().map(Into::into).collect();
    let opening = open(&profile, &mut opened, weights, target, &mut transcript).unwrap();

    let mut transcript = bound(&roots);
    let (joint, _) = argument.verify_masked(&proof.scalars, &mut transcript).unwrap();
    verify_opening(&profile, &roots, joint.target, &opening, &mut transcript, |z| {
        let mut points: [Vec<E>; NUM_PLACES] = Default::default();
        for (&place, (shape, _)) in places.iter().zip(&roots) {
            points[place] = tree_point(z, shape);
        }
        let at = joint.weights_at(&std::array::from_fn(|i| points[i].as_slice()));
        places.iter().map(|&place| at[place]).collect()
    })
}

#[test]
fn an_argument_with_its_opening_is_accepted_and_another_commitment_is_not() {
    for Case { name, program, tensors } in [layers(), attention(5, 5)] {
        let argument = Argument::new(&program).unwrap();
        let counts = multiplicities(&program, &tensors);
        let mut vectors = place_vectors(&program, &argument.layout, &tensors, &counts);
        let pads = Pads::draw(&argument.wiring, &Randomness::from_seed([99; 32]));
        vectors[0].extend(pads.slots());
        assert_eq!(round_trip(&argument, &tensors, &vectors, &vectors[0], &pads), Ok(()), "{name}");
        for place in (0..veritune_argument::BASE_PLACE).filter(|&place| !vectors[place].is_empty()) {
            let mut other = vectors.clone();
            // Row 2 of the range table in the witness, an entry of a tensor elsewhere.
            other[place][2] += F::ONE;
            let refusal = round_trip(&argument, &tensors, &other, &vectors[0], &pads);
            assert!(refusal.is_err(), "{name} {place}");
        }
    }
}
