//! Messages of the opening's levels that are chosen when the challenges after them are known.
//!
//! The witness counts half of the labels, so that the opening's target is not the value. The witness' value at the final point
//! takes the error in, and with it the claim on the combination of all trees is false. A later message takes it away.

use super::adaptive::{halved_labels, verdict};
use super::protocol::{ProtocolAttack, attack};
use crate::harness::Deviation;
use std::cell::Cell;
use veritune_commit::{Labels, leaf_point, sorted_unique};
use veritune_field::traits::{Field, PrimeCharacteristicRing};
use veritune_field::{E, F};
use veritune_prover::commit::{Deviation as Opener, Queried};
use veritune_transcript::Transcript;

/// The attacks.
pub(super) const ATTACKS: &[ProtocolAttack] = &[
    attack(
        "the oracle of a level is made when the positions that it answers for are known: the count of labels is halved",
        "opening-final-claim",
        &["absorb opening level root"],
        || opened(Box::new(Vector(1))),
    ),
    attack(
        "a round of a level is chosen when its challenge is known: the count of labels is halved",
        "opening-final-claim",
        &["absorb opening fold"],
        || opened(Box::new(Fold(Cell::new(true)))),
    ),
    attack(
        "the last vector is chosen when the positions that it answers for are known: the count of labels is halved",
        "opening-final-row",
        &["absorb opening final vector"],
        || opened(Box::new(Vector(2))),
    ),
];

fn opened(opener: Box<dyn Opener>) -> Result<(), String> {
    let (tensors, _, _) = halved_labels()?;
    verdict(&tensors, &Deviation { opener, ..Deviation::default() })
}

/// The witness' value is what the first sumcheck's claim asks for.
fn bend_values(values: &mut [E], weights: &[E], missing: E) {
    values[0] += missing * weights[0].inverse();
}

/// The vector of this level satisfies the claim and, at the positions that would be drawn if it were not absorbed, is what it
/// was.
struct Vector(usize);

impl Opener for Vector {
    fn values(&self, values: &mut [E], _: &mut E, weights: &[E], missing: E) {
        bend_values(values, weights, missing);
    }
    fn vector(&self, at: &Queried<'_>, vector: &mut [E]) {
        if at.level != self.0 {
            return;
        }
        let mut known = at.transcript.clone();
        let drawn = known.challenge_indices(Labels::POSITIONS, at.queries as usize, at.log_domain);
        let zeros = sorted_unique(drawn).into_iter().map(|position| leaf_point(position, at.log_domain));
        let vanishing = zeros.fold(vec![F::ONE], |polynomial, x| times_root(&polynomial, x));
        assert!(vanishing.len() <= vector.len(), "fewer positions than coefficients");
        let missing = at.claim - at.weights.iter().zip(&*vector).map(|(&w, &v)| w * v).sum::<E>();
        let weight = at.weights.iter().zip(&vanishing).map(|(&w, &z)| w * z).sum::<E>();
        let scale = missing * weight.inverse();
        vector.iter_mut().zip(vanishing).for_each(|(slot, z)| *slot += scale * z);
    }
}

/// `polynomial * (X - x)`, lowest coefficient first.
fn times_root(polynomial: &[F], x: F) -> Vec<F> {
    let shifted = [F::ZERO].into_iter().chain(polynomial.iter().copied());
    let kept = polynomial.iter().copied().chain([F::ZERO]);
    shifted.zip(kept).map(|(high, low)| high - x * low).collect()
}

/// The first round of the first level takes the error away at the challenge that would follow if rounds were not absorbed.
struct Fold(Cell<bool>);

impl Opener for Fold {
    fn values(&self, values: &mut [E], _: &mut E, weights: &[E], missing: E) {
        bend_values(values, weights, missing);
    }
    fn fold(&self, transcript: &Transcript, polynomial: &mut [E; 2], missing: &dyn Fn() -> E) {
        if self.0.replace(false) {
            // d(X) = c (X - x) with d(0) + d(1) = missing and d(x) = 0.
            let x = transcript.clone().challenge_e(Labels::FOLD);
            polynomial[0] -= missing() * x * (E::ONE - x.double()).inverse();
        }
    }
}
