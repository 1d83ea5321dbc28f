//! Provers that cheat with pads, their cover, or the value of the combination.

use super::malicious::{only, only_by_absorption};
use super::*;
use std::cell::Cell;
use veritune_commit::{Labels, leaf_point};
use veritune_field::traits::Field;

fn instance() -> Instance {
    Instance::new(11, &[blake3(11, 2, true, 1), blake3(10, 1, false, 1)])
}

/// The target is one too much.
fn false_instance() -> Instance {
    let mut instance = instance();
    instance.target += E::ONE;
    instance
}

/// Sends scalars under pads that are changed.
struct OtherPads(Change);

type Change = fn(&mut [E]);

impl Deviation for OtherPads {
    fn pads(&self, pads: &mut [E]) {
        (self.0)(pads);
    }
}

#[test]
fn a_pad_that_is_not_the_committed_one_is_refused() {
    // Two pads for each of 11 + 2 rounds, then those of two values and of the mask's.
    const VALUES: usize = 2 * 13;
    let cases: [(Change, &[&str]); 4] = [
        (|pads| pads[0] += E::ONE, &["opening-sumcheck-claim"]),
        (|pads| pads[VALUES - 1] += E::ONE, &["opening-sumcheck-claim"]),
        (|pads| pads[VALUES] += E::ONE, &["opening-sumcheck-claim", "opening-combined-value"]),
        (|pads| pads[VALUES + 2] += E::ONE, &["opening-combined-value"]),
    ];
    for (change, codes) in cases {
        let mut instance = instance();
        let (proof, _) = instance.prove_with(&OtherPads(change));
        only(&instance, &proof, codes);
    }
}

/// Sums that make the relations look true at the challenge that follows if they are not absorbed.
struct LateSums;

impl Deviation for LateSums {
    fn cover_sums(&self, at: &Covering<'_>, sums: &mut [E; 2]) {
        let challenge = at.transcript.clone().challenge_e(Labels::COVER);
        sums.iter_mut().zip(at.missing()).for_each(|(sum, missing)| *sum -= challenge * missing);
    }
}

#[test]
fn sums_that_are_chosen_when_their_challenge_is_known_are_refused() {
    only_by_absorption(false_instance, Labels::COVER_SUMS, "opening-sumcheck-claim", &|instance| {
        instance.prove_with(&LateSums).0
    });
}

#[test]
fn false_sums_are_refused() {
    struct FalseSum(usize);
    impl Deviation for FalseSum {
        fn cover_sums(&self, _: &Covering<'_>, sums: &mut [E; 2]) {
            sums[self.0] += E::ONE;
        }
    }
    for (relation, code) in ["opening-sumcheck-claim", "opening-combined-value"].into_iter().enumerate() {
        let mut instance = instance();
        let (proof, _) = instance.prove_with(&FalseSum(relation));
        only(&instance, &proof, &[code]);
    }
}

/// Covered pads that satisfy the relations: the pad of the first round's constant, which is in the first relation only,
/// takes the error in.
struct BentPads;

impl Deviation for BentPads {
    fn covered_pads(&self, at: &Covering<'_>, challenge: E, covered: &mut [E]) {
        let [first, second] = at.relations.map(|relation| relation.coefficients()[0]);
        assert_eq!(second, E::ZERO);
        covered[0] += challenge * at.missing()[0] * first.inverse();
    }
}

#[test]
fn covered_pads_that_are_not_those_of_the_rows_are_refused() {
    let mut instance = false_instance();
    let (proof, _) = instance.prove_with(&BentPads);
    only(&instance, &proof, &["opening-covered-row"]);
}

/// The same with covered pads that agree with the rows at the positions that are drawn if they are not absorbed.
struct LatePads;

impl Deviation for LatePads {
    fn covered_pads(&self, at: &Covering<'_>, challenge: E, covered: &mut [E]) {
        let points = (at.positions)().into_iter().map(|position| leaf_point(position, at.log_domain));
        let vanishing = points.fold(vec![F::ONE], |polynomial, x| {
            let shifted = [F::ZERO].into_iter().chain(polynomial.iter().copied());
            shifted.zip(polynomial.iter().copied().chain([F::ZERO])).map(|(high, low)| high - x * low).collect()
        });
        // Multiples by 1 and X: the first relation gets what it misses, the second stays.
        let weigh = |i: usize, shift: usize| -> E {
            at.relations[i].coefficients().iter().skip(shift).zip(&vanishing).map(|(&w, &v)| w * v).sum()
        };
        let [a, b, c, d] = [weigh(0, 0), weigh(0, 1), weigh(1, 0), weigh(1, 1)];
        let scale = challenge * at.missing()[0] * (a * d - b * c).inverse();
        for (shift, multiple) in [scale * d, -(scale * c)].into_iter().enumerate() {
            covered.iter_mut().skip(shift).zip(&vanishing).for_each(|(slot, &v)| *slot += multiple * v);
        }
    }
}

#[test]
fn covered_pads_that_are_chosen_when_the_positions_are_known_are_refused() {
    only_by_absorption(false_instance, Labels::COVERED_PADS, "opening-covered-row", &|instance| {
        instance.prove_with(&LatePads).0
    });
}

#[test]
fn pads_or_a_cover_of_a_higher_degree_are_refused() {
    for part in 0..2 {
        let mut instance = instance();
        let profile = instance.profile.clone();
        instance.trees[0].remask(&profile, |masks| [&mut masks.pads, &mut masks.cover][part].push(E::ONE));
        let (proof, _) = instance.prove();
        // The prover sends the coefficients that the message has room for.
        only(&instance, &proof, &["opening-covered-row"]);
    }
}

#[test]
fn encoded_pads_or_a_cover_far_from_the_code_are_refused() {
    for part in 1..3 {
        let mut instance = instance();
        let profile = instance.profile.clone();
        instance.trees[0].corrupt_masks(&profile, 3, part);
        let (proof, _) = instance.prove();
        only(&instance, &proof, &["opening-covered-row"]);
    }
}

#[test]
fn an_encoded_mask_far_from_the_code_is_refused() {
    let mut instance = instance();
    let profile = instance.profile.clone();
    instance.trees[0].corrupt_masks(&profile, 3, 0);
    let (proof, _) = instance.prove();
    only(&instance, &proof, &["opening-final-claim"]);
}

/// The first value takes the error of the target in; the value of the combination is the vector's, or what the values
/// give.
struct BentValue {
    of_vector: bool,
}

impl Deviation for BentValue {
    fn values(&self, values: &mut [E], _: &mut E, weights: &[E], missing: E) {
        values[0] += missing * weights[0].inverse();
    }
    fn combined_value(&self, value: &mut E, of_vector: &dyn Fn() -> E) {
        if self.of_vector {
            *value = of_vector();
        }
    }
}

#[test]
fn a_value_that_satisfies_the_sumcheck_is_refused_by_the_combination() {
    for (of_vector, code) in [(true, "opening-combined-value"), (false, "opening-final-claim")] {
        let mut instance = false_instance();
        let (proof, _) = instance.prove_with(&BentValue { of_vector });
        only(&instance, &proof, &[code]);
    }
}

#[test]
fn a_false_value_of_the_combination_is_refused() {
    struct FalseCombination;
    impl Deviation for FalseCombination {
        fn combined_value(&self, value: &mut E, _: &dyn Fn() -> E) {
            *value += E::ONE;
        }
    }
    let mut instance = instance();
    let (proof, _) = instance.prove_with(&FalseCombination);
    only(&instance, &proof, &["opening-combined-value", "opening-final-claim"]);
}

/// Notes by how much the pad of the first round's constant must change for the first relation to hold.
#[derive(Default)]
struct Rehearsal(Cell<E>);

impl Deviation for Rehearsal {
    fn cover_sums(&self, at: &Covering<'_>, _: &mut [E; 2]) {
        self.0.set(at.missing()[0] * at.relations[0].coefficients()[0].inverse());
    }
}

/// Sends the first round's constant under the pad that was rehearsed.
struct Rehearsed(E);

impl Deviation for Rehearsed {
    fn pads(&self, pads: &mut [E]) {
        pads[0] -= self.0;
    }
}

#[test]
fn pads_that_are_committed_when_the_challenges_are_known_are_refused() {
    only_by_absorption(false_instance, Labels::TREE, "opening-sumcheck-claim", &|instance| {
        let rehearsal = Rehearsal::default();
        false_instance().prove_with(&rehearsal);
        let change = rehearsal.0.get();
        let profile = instance.profile.clone();
        instance.trees[0].remask(&profile, |masks| masks.pads[0] += change);
        instance.prove_with(&Rehearsed(change)).0
    });
}
