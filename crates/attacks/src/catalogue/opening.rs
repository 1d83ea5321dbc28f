//! Messages of the opening after its first sumcheck that are false, or chosen when the challenges after them are known.
//!
//! The witness counts half of the labels, so that the opening's target is not the value. Either the relation of the pads
//! that the first sumcheck leaves stays false, and sums or covered pads make it look true; or the witness' value
//! at the final point takes the error in, and with it the claim on the combination of all trees is false. A later message
//! takes it away.

use super::adaptive::{halved_labels, verdict};
use super::protocol::{ProtocolAttack, SUM, attack};
use crate::harness::Deviation;
use std::cell::Cell;
use veritune_commit::{Labels, leaf_point, sorted_unique};
use veritune_field::traits::{Field, PrimeCharacteristicRing};
use veritune_field::{E, F};
use veritune_prover::commit::{Covering, Deviation as Opener, Queried};
use veritune_transcript::Transcript;

/// The attacks.
pub(super) const ATTACKS: &[ProtocolAttack] = &[
    attack(
        "sums of the cover are chosen when its challenge is known: the count of labels is halved",
        SUM,
        &["absorb opening cover sums"],
        || opened(Box::new(Sums)),
    ),
    attack(
        "covered pads satisfy the sumcheck's relation and are not those of the tree: the count of labels is halved",
        "opening-covered-row",
        &["opening-covered-row"],
        || opened(Box::new(Bent)),
    ),
    attack(
        "covered pads are chosen when the positions that they answer for are known: the count of labels is halved",
        "opening-covered-row",
        &["absorb opening covered pads"],
        || opened(Box::new(BentElsewhere)),
    ),
    attack(
        "the value of the witness satisfies the sumcheck, and the combination has its own value: the count of labels is halved",
        "opening-combined-value",
        &["opening-combined-value"],
        || opened(Box::new(Value { of_vector: true })),
    ),
    attack(
        "the value of the witness satisfies the sumcheck, and the combination's value satisfies it: the count of labels is halved",
        "opening-final-claim",
        &["opening-final-claim"],
        || opened(Box::new(Value { of_vector: false })),
    ),
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

/// The sums make the relations look true at the challenge that would follow if they were not absorbed.
struct Sums;

impl Opener for Sums {
    fn cover_sums(&self, at: &Covering<'_>, sums: &mut [E; 2]) {
        let challenge = at.transcript.clone().challenge_e(Labels::COVER);
        sums.iter_mut().zip(at.missing()).for_each(|(sum, missing)| *sum -= challenge * missing);
    }
}

/// The covered pads satisfy the relations: the pad of the first round's constant takes the error in.
struct Bent;

impl Opener for Bent {
    fn covered_pads(&self, at: &Covering<'_>, challenge: E, covered: &mut [E]) {
        covered[0] += challenge * at.missing()[0] * at.relations[0].coefficients()[0].inverse();
    }
}

/// The covered pads satisfy the relations, and are true at the positions that would be drawn if they were not absorbed.
struct BentElsewhere;

impl Opener for BentElsewhere {
    fn covered_pads(&self, at: &Covering<'_>, challenge: E, covered: &mut [E]) {
        let zeros = (at.positions)().into_iter().map(|position| leaf_point(position, at.log_domain));
        let vanishing = zeros.fold(vec![F::ONE], |polynomial, x| times_root(&polynomial, x));
        assert!(vanishing.len() < covered.len(), "fewer positions than coefficients");
        // c Z + d X Z, with the first relation as it should be and the second as it is.
        let shifted: Vec<F> = [F::ZERO].into_iter().chain(vanishing.iter().copied()).collect();
        let weigh = |i: usize, polynomial: &[F]| -> E {
            at.relations[i].coefficients().iter().zip(polynomial).map(|(&w, &z)| w * z).sum()
        };
        let [[a, b], [c, d]] = [0, 1].map(|i| [weigh(i, &vanishing), weigh(i, &shifted)]);
        let scale = challenge * at.missing()[0] * (a * d - b * c).inverse();
        for (multiple, polynomial) in [(scale * d, vanishing), (-(scale * c), shifted)] {
            covered.iter_mut().zip(polynomial).for_each(|(slot, z)| *slot += multiple * z);
        }
    }
}

/// The witness' value takes the error in.
struct Value {
    of_vector: bool,
}

impl Opener for Value {
    fn values(&self, values: &mut [E], _: &mut E, weights: &[E], missing: E) {
        bend_values(values, weights, missing);
    }
    fn combined_value(&self, value: &mut E, of_vector: &dyn Fn() -> E) {
        if self.of_vector {
            *value = of_vector();
        }
    }
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
