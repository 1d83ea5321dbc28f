//! Openings without vectors are accepted where challenges are programmed, and nowhere else.

use super::super::simulate::{SimulatedTree, simulate};
use super::*;
use veritune_mutation::programmed;

const SEED: u64 = 11;

fn shapes() -> [TreeShape; 3] {
    [poseidon2(10, 1, false, 2), blake3(11, 2, true, 1), blake3(11, 1, false, 1)]
}

/// Weights as a statement has them: functions of the final point.
fn weights_at(z: &[E], shapes: &[TreeShape]) -> Vec<E> {
    let weigh = |shape: &TreeShape| tree_point(z, shape).iter().map(|&x| E::TWO * x + E::ONE).product();
    shapes.iter().map(weigh).collect()
}

fn verify(
    profile: &Profile,
    shapes: &[TreeShape],
    roots: &[Root],
    target: E,
    proof: &[u8],
) -> Result<(), OpeningError> {
    let statement: Vec<_> = shapes.iter().copied().zip(roots.iter().copied()).collect();
    let mut transcript = Transcript::new(b"test");
    verify_opening(profile, &statement, target, proof, &mut transcript, |z| weights_at(z, shapes))
}

fn seeded(seed: u8) -> Randomness {
    Randomness::from_seed([seed; 32])
}

fn simulated(profile: &Profile, trees: &mut [&mut SimulatedTree], target: E, seed: u8) -> (Vec<Root>, Vec<u8>) {
    let shapes: Vec<_> = trees.iter().map(|tree| tree.shape()).collect();
    let mut transcript = Transcript::new(b"test");
    simulate(profile, trees, target, &mut transcript, seeded(seed), |z| weights_at(z, &shapes))
}

#[test]
fn a_simulated_opening_is_accepted_for_programmed_challenges_only() {
    for log_rows in [11, 16] {
        let profile = Profile::new(log_rows).unwrap();
        let shapes = shapes().map(|s| TreeShape { log_rows: s.log_rows + log_rows - 11, ..s });
        let target = E::from_u64(123_456);
        let (roots, proof) = programmed(SEED, || {
            let mut trees = shapes.map(|shape| SimulatedTree::new(&profile, shape, &seeded(shape.log_columns as u8)));
            let [a, b, c] = &mut trees;
            let (roots, proof) = simulated(&profile, &mut [a, b, c], target, 9);
            assert_eq!(verify(&profile, &shapes, &roots, target, &proof), Ok(()));
            // It proves nothing of another target.
            let other = verify(&profile, &shapes, &roots, target + E::ONE, &proof);
            assert_eq!(other.unwrap_err().code(), "opening-sumcheck-claim");
            (roots, proof)
        });
        let refused = verify(&profile, &shapes, &roots, target, &proof).unwrap_err();
        assert_eq!(refused.code(), "opening-sumcheck-claim");
        let elsewhere = programmed(SEED + 1, || verify(&profile, &shapes, &roots, target, &proof)).unwrap_err();
        assert_eq!(elsewhere.code(), "opening-sumcheck-claim");
    }
}

#[test]
fn several_openings_of_one_simulated_tree_agree() {
    let profile = Profile::new(11).unwrap();
    let [state, witness, other] = shapes();
    programmed(SEED, || {
        let mut shared = SimulatedTree::new(&profile, state, &seeded(1));
        let root = shared.root();
        for (opening, witness) in [witness, other].into_iter().enumerate() {
            let witness = TreeShape { masked: true, ..witness };
            let mut masked = SimulatedTree::new(&profile, witness, &seeded(2 + opening as u8));
            let target = E::from_u64(opening as u64);
            // Another protocol, so that other positions are drawn.
            let (shapes, protocol) = ([state, witness], [b"first opening", b"other opening"][opening]);
            let mut transcript = Transcript::new(protocol);
            let (roots, proof) =
                simulate(&profile, &mut [&mut shared, &mut masked], target, &mut transcript, seeded(9), |z| {
                    weights_at(z, &shapes)
                });
            assert_eq!(roots[0], root);
            let statement: Vec<_> = shapes.into_iter().zip(roots).collect();
            let mut transcript = Transcript::new(protocol);
            let verdict =
                verify_opening(&profile, &statement, target, &proof, &mut transcript, |z| weights_at(z, &shapes));
            assert_eq!(verdict, Ok(()));
        }
    });
}

#[test]
fn a_simulated_opening_has_the_length_of_an_honest_one() {
    programmed(SEED, || {
        let mut instance = Instance::new(11, &shapes());
        let (proof, _) = instance.prove();
        let mut trees = shapes().map(|shape| SimulatedTree::new(&instance.profile, shape, &seeded(3)));
        let [a, b, c] = &mut trees;
        let (roots, simulated) = simulated(&instance.profile, &mut [a, b, c], instance.target, 4);
        assert_eq!((simulated.len(), roots.len()), (proof.len(), 3));
        assert_eq!(instance.verify(&proof), Ok(()), "programmed challenges are the honest prover's too");
    });
}
