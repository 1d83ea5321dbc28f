//! Completeness, malicious provers and tampered proofs on small programs.

mod fractions;
mod malicious;
mod opening;
mod programs;
mod solve;

use super::*;
use programs::{Case, all};
use std::sync::Arc;
use veritune_argument::{AxisWeight, Joint, NUM_PLACES, count};
use veritune_field::E_BYTES;
use veritune_field::traits::PrimeCharacteristicRing;

fn transcript() -> Transcript {
    Transcript::new(b"argument test")
}

/// The weights on the slots in use of a place.
fn weights(parts: &[Part], layout: &Layout, place: usize) -> Vec<E> {
    let mut weights = dense_weights(parts, place, layout.used[place]).elements();
    weights.truncate(layout.used[place]);
    weights
}

/// What the opening and the settlement would check, on vectors in clear.
fn settle(vectors: &[Vec<F>; NUM_PLACES], joint: &Joint, base: &[BaseClaim], layout: &Layout) -> bool {
    let dot = |parts: &[Part]| -> E {
        let of = |(place, vector): (usize, &Vec<F>)| -> E {
            weights(parts, layout, place).iter().zip(vector).map(|(&w, &v)| w * v).sum()
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

fn verify(program: &Program, layout: &Layout, vectors: &[Vec<F>; NUM_PLACES], scalars: &[u8]) -> Result<(), Refusal> {
    let plan = Plan::new(program, layout).unwrap();
    let (joint, base) = verify_native(program, layout, &plan, scalars, &mut transcript()).map_err(Refusal::Argument)?;
    if settle(vectors, &joint, &base, layout) { Ok(()) } else { Err(Refusal::Opening) }
}

fn scalars(program: &Program, layout: &Layout, witness: &[F], tensors: &[Vec<i64>]) -> Vec<u8> {
    let plan = Plan::new(program, layout).unwrap();
    let mut transcript = transcript();
    let mut channel = NativeChannel::new(&mut transcript);
    prove_into(program, layout, &plan, witness, tensors, &mut channel);
    channel.scalars
}

/// Proves with everything recomputed from `tensors` and verifies.
fn run(program: &Program, tensors: &[Vec<i64>]) -> Result<(), Refusal> {
    let layout = Layout::new(program);
    let vectors = place_vectors(program, &layout, tensors, &multiplicities(program, tensors));
    let scalars = scalars(program, &layout, &vectors[0], tensors);
    verify(program, &layout, &vectors, &scalars)
}

#[test]
fn honest_witnesses_are_accepted() {
    for Case { name, program, tensors } in all() {
        assert_eq!(run(&program, &tensors), Ok(()), "{name}");
    }
}

#[test]
fn the_counter_counts_the_scalars_that_are_read_and_prove_returns_what_verify_derives() {
    for Case { name, program, tensors } in all() {
        let layout = Layout::new(&program);
        let vectors = place_vectors(&program, &layout, &tensors, &multiplicities(&program, &tensors));
        let proof = prove(&program, &layout, &vectors[0], &tensors, &mut transcript()).unwrap();
        let plan = Plan::new(&program, &layout).unwrap();
        let counter = count(&program, &layout, &plan).unwrap();
        assert_eq!(proof.scalars.len(), counter.num_scalars() * E_BYTES, "{name}");
        assert!(counter.num_products >= 2 * plan.log_leaves, "{name}");
        assert_eq!(counter.num_base_claims, proof.base_claims.len(), "{name}");
        let (joint, _) = verify_native(&program, &layout, &plan, &proof.scalars, &mut transcript()).unwrap();
        assert_eq!(joint.target, proof.target, "{name}");
        // The verifier's evaluation of the weights is the extension of the prover's table of them.
        let logs: Vec<usize> =
            layout.used.iter().map(|&u| u.next_power_of_two().trailing_zeros() as usize + 2).collect();
        let points: Vec<Vec<E>> =
            logs.iter().map(|&log| (0..log).map(|i| E::from_usize(17 * i * i + 3)).collect()).collect();
        let at = joint.weights_at(&std::array::from_fn(|i| points[i].as_slice()));
        for place in 0..NUM_PLACES {
            let eq = veritune_argument::eq_table(&points[place]);
            let expected: E = weights(&proof.parts, &layout, place).iter().zip(&eq).map(|(&w, &e)| w * e).sum();
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
