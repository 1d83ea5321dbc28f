//! Commitments and evaluations, chosen so that errors cancel at challenges that are known.
//!
//! The witness counts half of the labels. The verifier's checks of sums stay satisfied, and the error of the joint claim is
//! taken away by others of its parts.

use super::adaptive::{add, halved_labels, solve, verdict};
use super::protocol::{HONEST, ProtocolAttack, SUM, attack};
use crate::argued::{Argued, Residuals};
use crate::harness::{Deviation, prove};
use std::cell::Cell;
use std::rc::Rc;
use veritune_argument::{Labels, is_one_hot};
use veritune_field::traits::{Field, PrimeCharacteristicRing};
use veritune_field::{E, F};

/// The attacks.
pub(super) const ATTACKS: &[ProtocolAttack] = &[
    attack(
        "the state before is committed to when all challenges are known: the count of labels is halved",
        "VT-ARG-002",
        &["absorb state before"],
        || late(1),
    ),
    attack(
        "the state after is committed to when all challenges are known: the count of labels is halved",
        "VT-ARG-002",
        &["absorb state after"],
        || late(2),
    ),
    attack(
        "evaluations of factors are chosen when all challenges are known: the count of labels is halved",
        "VT-ARG-004",
        &["absorb equation factor"],
        || balanced(two_factors, |r| [r.equations, r.joint]),
    ),
    attack(
        "the equations' sum and a factor's evaluation are chosen when all challenges are known: the count of labels is halved",
        "VT-ARG-003",
        &["absorb equation sum", "absorb equation factor"],
        || balanced(sum_and_factor, |r| [r.equations, r.joint]),
    ),
    attack(
        "a round of the one-hots is chosen when its challenge is known: the count of labels is halved",
        "VT-ARG-004",
        &["absorb one-hot round"],
        one_hot_round,
    ),
    attack(
        "evaluations of bits are chosen when the challenge of all claims is known: the count of labels is halved",
        SUM,
        &["absorb one-hot value"],
        || balanced(two_bits, |r| [r.one_hots, r.joint]),
    ),
];

/// The count of labels is halved, and two scalars are changed so that two residuals, which are affine in them, are zero.
fn balanced(choose: fn(&Argued<'_>) -> [usize; 2], of: fn(Residuals) -> [E; 2]) -> Result<(), String> {
    let (tensors, _, _) = halved_labels()?;
    let edit = move |argued: &Argued<'_>, scalars: &mut [u8]| {
        let chosen = choose(argued);
        let honest = of(argued.residuals(scalars));
        let slopes = chosen.map(|index| {
            let mut changed = scalars.to_vec();
            add(&mut changed, index, E::ONE);
            let residuals = of(argued.residuals(&changed));
            [residuals[0] - honest[0], residuals[1] - honest[1]]
        });
        // slopes[0] x + slopes[1] y = -honest, by Cramer's rule.
        let cross = |a: [E; 2], b: [E; 2]| a[0] * b[1] - a[1] * b[0];
        let inverse = cross(slopes[0], slopes[1]).inverse();
        add(scalars, chosen[0], -cross(honest, slopes[1]) * inverse);
        add(scalars, chosen[1], -cross(slopes[0], honest) * inverse);
    };
    verdict(&tensors, &Deviation { argument: Some(Box::new(edit)), ..Deviation::default() })
}

/// The count of labels is halved, and three entries of a state take the error of the joint claim away.
fn late(place: usize) -> Result<(), String> {
    let (tensors, _, _) = halved_labels()?;
    let edit = |weights: &[E], excess: E, vector: &mut [F]| {
        let weighed: Vec<usize> = (0..weights.len()).filter(|&slot| weights[slot] != E::ZERO).take(3).collect();
        let slots: [usize; 3] = weighed.try_into().expect("three entries with a weight");
        for (slot, change) in slots.into_iter().zip(solve(slots.map(|slot| weights[slot]), excess)) {
            vector[slot] += change;
        }
    };
    verdict(&tensors, &Deviation { late: Some((place, edit)), ..Deviation::default() })
}

/// Evaluations of committed factors that no product has twice or together, by position.
fn independent(argued: &Argued<'_>) -> Vec<(usize, usize)> {
    let once = |id: usize| argued.plan.products.iter().all(|t| t.factors.iter().filter(|&&f| f == id).count() < 2);
    let committed = |id: usize| !is_one_hot(argued.program, argued.plan.factors[id].tensor);
    argued.factors().into_iter().filter(|&(_, id)| committed(id) && once(id)).collect()
}

fn two_factors(argued: &Argued<'_>) -> [usize; 2] {
    let all = independent(argued);
    let (first, id) = all[0];
    let apart =
        |other: usize| !argued.plan.products.iter().any(|t| t.factors.contains(&id) && t.factors.contains(&other));
    let second = all.iter().skip(1).find(|(_, other)| apart(*other)).expect("factors of other terms");
    [first, second.0]
}

fn sum_and_factor(argued: &Argued<'_>) -> [usize; 2] {
    [argued.sent(Labels::EQUATION_SUM)[0], independent(argued)[0].0]
}

/// The first and the last evaluation are of bits, or a flag, of different one-hots: no product has both.
fn two_bits(argued: &Argued<'_>) -> [usize; 2] {
    let sent = argued.sent(Labels::ONE_HOT_VALUE);
    assert!(argued.program.one_hots.len() > 1);
    [sent[0], sent[sent.len() - 1]]
}

/// What the sum of the equations exceeds its value by if the count of labels were true.
fn sum_error(equation: usize, off: F, drawn: &dyn Fn(&str) -> E) -> E {
    drawn(Labels::EQUATION_DELTA).exp_u64(equation as u64 + 1) * off
}

/// The sum of the equations is bent, the evaluation of a one-hot takes the error from it, and the first round of the one-hots
/// takes it from there at the challenge that would follow if rounds were not absorbed.
fn one_hot_round() -> Result<(), String> {
    let (tensors, equation, off) = halved_labels()?;
    let program = &HONEST.setting.program;
    // A first proof, refused by any verifier, says by how much the first one-hot's evaluation must change.
    let measured: Rc<Cell<Option<(usize, E)>>> = Rc::default();
    let found = Rc::clone(&measured);
    let measure = move |argued: &Argued<'_>, scalars: &mut [u8]| {
        let is_one = |id: usize| is_one_hot(argued.program, argued.plan.factors[id].tensor);
        let (position, _) = argued.factors().into_iter().find(|&(_, id)| is_one(id)).expect("a one-hot");
        let error = argued.residuals(scalars).equations;
        let mut changed = scalars.to_vec();
        add(&mut changed, position, E::ONE);
        let slope = argued.residuals(&changed).equations - error;
        found.set(Some((position, -error * slope.inverse())));
    };
    let labelled = move |label: &str, value: E, drawn: &dyn Fn(&str) -> E, _: &dyn Fn() -> E| match label {
        Labels::EQUATION_SUM => value - sum_error(equation, off, drawn),
        _ => value,
    };
    prove(
        program,
        &tensors,
        &Deviation { labelled: Some(Box::new(labelled)), argument: Some(Box::new(measure)), ..Deviation::default() },
    );
    let (position, change) = measured.get().expect("measured");
    let (sent, first_round) = (Cell::new(0), Cell::new(true));
    let labelled = move |label: &str, value: E, drawn: &dyn Fn(&str) -> E, peek: &dyn Fn() -> E| {
        let index = sent.replace(sent.get() + 1);
        match label {
            Labels::EQUATION_SUM => value - sum_error(equation, off, drawn),
            Labels::EQUATION_FACTOR if index == position => value + change,
            Labels::ONE_HOT_ROUND if first_round.replace(false) => {
                // d(X) = c (X - x) with d(0) + d(1) = eta change, since it is the first claim, and d(x) = 0.
                let x = peek();
                value - drawn(Labels::ONE_HOT_ETA) * change * x * (E::ONE - x.double()).inverse()
            }
            _ => value,
        }
    };
    verdict(&tensors, &Deviation { labelled: Some(Box::new(labelled)), ..Deviation::default() })
}
