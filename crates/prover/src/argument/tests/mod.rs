//! Completeness, malicious provers and tampered proofs on small programs.

mod fractions;
mod malicious;
mod masked;
mod opening;
mod programs;
mod solve;

use super::*;
use crate::commit::Randomness;
use programs::{Case, all};
use std::sync::Arc;
use veritune_argument::{AxisWeight, Joint, NUM_PLACES};
use veritune_field::E_BYTES;
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_relations::Program;
use veritune_relations::layout::Layout;

fn transcript() -> Transcript {
    Transcript::new(b"argument test")
}

/// The weights on the first `len` slots of a place.
fn weights(parts: &[Part], place: usize, len: usize) -> Vec<E> {
    let mut weights = dense_weights(parts, place, len).elements();
    weights.truncate(len);
    weights
}

/// What the opening and the settlement would check, on vectors in clear.
fn settle(vectors: &[Vec<F>; NUM_PLACES], joint: &Joint, base: &[BaseClaim]) -> bool {
    let dot = |parts: &[Part]| -> E {
        let of = |(place, vector): (usize, &Vec<F>)| -> E {
            weights(parts, place, vector.len()).iter().zip(vector).map(|(&w, &v)| w * v).sum()
        };
        vectors.iter().enumerate().map(of).sum()
    };
    dot(&joint.parts) == joint.target && base.iter().all(|claim| dot(&claim.parts) == claim.value)
}

/// Why a proof is refused.
#[derive(Debug, PartialEq)]
enum Refusal {
    Argument(ArgumentError),
    Opening,
}

fn verify(program: &Program, vectors: &[Vec<F>; NUM_PLACES], scalars: &[u8]) -> Result<(), Refusal> {
    let argument = Argument::new(program).unwrap();
    let (joint, base) = argument.verify_native(scalars, &mut transcript()).map_err(Refusal::Argument)?;
    if settle(vectors, &joint, &base) { Ok(()) } else { Err(Refusal::Opening) }
}

fn scalars(program: &Program, witness: &[F], tensors: &[Vec<i64>]) -> Vec<u8> {
    let mut transcript = transcript();
    let mut channel = NativeChannel::new(&mut transcript);
    prove_into(&Argument::new(program).unwrap(), witness, tensors, &mut channel);
    channel.scalars
}

/// Proves with everything recomputed from `tensors` and verifies.
fn run(program: &Program, tensors: &[Vec<i64>]) -> Result<(), Refusal> {
    let layout = Layout::new(program);
    let vectors = place_vectors(program, &layout, tensors, &multiplicities(program, tensors));
    let scalars = scalars(program, &vectors[0], tensors);
    verify(program, &vectors, &scalars)
}

#[test]
fn honest_witnesses_are_accepted() {
    for Case { name, program, tensors } in all() {
        assert_eq!(run(&program, &tensors), Ok(()), "{name}");
    }
}

/// A masked proof with the vectors that it is about: the witness ends with the elements of the wiring.
struct MaskedProof {
    vectors: [Vec<F>; NUM_PLACES],
    proof: ArgumentProof,
}

fn prove_masked(argument: &Argument<'_>, tensors: &[Vec<i64>], seed: u8) -> MaskedProof {
    let counts = multiplicities(argument.program, tensors);
    let mut vectors = place_vectors(argument.program, &argument.layout, tensors, &counts);
    let pads = Pads::draw(&argument.wiring, &Randomness::from_seed([seed; 32]));
    vectors[0].extend(pads.slots());
    let proof = prove(argument, &vectors[0], tensors, &pads, &mut transcript()).unwrap();
    MaskedProof { vectors, proof }
}

#[test]
fn the_scalars_sent_are_those_of_the_wiring_and_prove_returns_what_verify_derives() {
    for Case { name, program, tensors } in all() {
        let argument = Argument::new(&program).unwrap();
        let wiring = &argument.wiring;
        let MaskedProof { vectors, proof } = prove_masked(&argument, &tensors, 1);
        assert_eq!(proof.scalars.len(), wiring.num_masked_scalars() * E_BYTES, "{name}");
        assert_eq!(scalars(&program, &vectors[0], &tensors).len(), wiring.num_scalars() * E_BYTES, "{name}");
        assert_eq!(vectors[0].len(), argument.witness_slots(), "{name}");
        assert!(wiring.products.len() >= 3 * argument.plan.units.log_leaves() - 1, "{name}");
        assert_eq!(wiring.num_base_claims, proof.base_claims.len(), "{name}");
        let (joint, _) = argument.verify_masked(&proof.scalars, &mut transcript()).unwrap();
        assert_eq!(joint.target, proof.target, "{name}");
        // The verifier's evaluation of the weights is the extension of the prover's table of them.
        let logs: Vec<usize> =
            vectors.iter().map(|v| v.len().next_power_of_two().trailing_zeros() as usize + 2).collect();
        let points: Vec<Vec<E>> =
            logs.iter().map(|&log| (0..log).map(|i| E::from_usize(17 * i * i + 3)).collect()).collect();
        let at = joint.weights_at(&std::array::from_fn(|i| points[i].as_slice()));
        for place in 0..NUM_PLACES {
            let eq = veritune_field::eq_table(&points[place]);
            let weights = weights(&proof.parts, place, vectors[place].len());
            let expected: E = weights.iter().zip(&eq).map(|(&w, &e)| w * e).sum();
            assert_eq!(at[place], expected, "{name} {place}");
        }
    }
}

/// A point is expanded as a product of two tables; cut rows, short rows and shifts must give the weights of the one table.
#[test]
fn weights_kept_as_points_are_those_of_their_tables() {
    let point = |log: usize| -> Vec<E> { (0..log).map(|i| E::from_usize(1_000_003 * (i + 7))).collect() };
    let windows = [(0, 256, 8, 8), (0, 192, 8, 8), (64, 128, 8, 7), (64, 192, 9, 8), (3, 250, 8, 8), (5, 3, 3, 2)];
    for (start, len, log, variables) in windows {
        let window = AxisWeight::Eq { log, start, len, point: Arc::new(point(variables)) };
        let (_, values) = window.expanded();
        let table = AxisWeight::Dense { log, start, values };
        let other = AxisWeight::eq(&point(3));
        for is_inner in [false, true] {
            let expanded = [&window, &table].map(|weight| {
                let axes = if is_inner { [&other, weight] } else { [weight, &other] };
                let part = Part { place: 0, offset: 1 << 11, axes: axes.map(Clone::clone).to_vec(), scale: E::TWO };
                dense_weights(&[part], 0, 1 << 13).elements()
            });
            assert_eq!(expanded[0], expanded[1], "{start} {len} {log} {is_inner}");
            assert!(expanded[0].iter().filter(|w| **w != E::ZERO).count() == 8 * len);
        }
    }
}
