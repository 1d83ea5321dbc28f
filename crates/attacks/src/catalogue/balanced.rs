//! Commitments and scalars, chosen so that errors cancel at challenges that are known.
//!
//! The witness counts half of the labels, and the error of the one functional that is opened is taken away by others of its
//! parts.

use super::adaptive::{add, halved_labels, solve, verdict};
use super::protocol::{HONEST, ProtocolAttack, SUM, attack};
use crate::argued::Argued;
use crate::harness::{Deviation, prove};
use std::cell::Cell;
use std::rc::Rc;
use veritune_argument::Labels;
use veritune_field::traits::{Field, PrimeCharacteristicRing};
use veritune_field::{E, F};

/// The attacks.
pub(super) const ATTACKS: &[ProtocolAttack] = &[
    attack(
        "the state before is committed to when all challenges are known: the count of labels is halved",
        SUM,
        &["absorb state before"],
        || late(1),
    ),
    attack(
        "the state after is committed to when all challenges are known: the count of labels is halved",
        SUM,
        &["absorb state after"],
        || late(2),
    ),
    attack(
        "the equations' sum is chosen when all challenges are known: the count of labels is halved",
        SUM,
        &["absorb equation sum"],
        || chosen(Labels::EQUATION_SUM),
    ),
    attack(
        "the evaluation of a factor is chosen when all challenges are known: the count of labels is halved",
        SUM,
        &["absorb equation factor"],
        || chosen(Labels::EQUATION_FACTOR),
    ),
    attack(
        "a product of two factors is chosen when all challenges are known: the count of labels is halved",
        SUM,
        &["absorb equation product"],
        || chosen(Labels::EQUATION_PRODUCT),
    ),
    attack(
        "a round of the one-hots is chosen when its challenge is known: the count of labels is halved",
        SUM,
        &["absorb one-hot round"],
        one_hot_round,
    ),
    attack(
        "the evaluation of a bit is chosen when all challenges are known: the count of labels is halved",
        SUM,
        &["absorb one-hot value"],
        || chosen(Labels::ONE_HOT_VALUE),
    ),
    attack(
        "a product of bits is chosen when all challenges are known: the count of labels is halved",
        SUM,
        &["absorb one-hot product"],
        || chosen(Labels::ONE_HOT_PRODUCT),
    ),
];

/// The count of labels is halved, and the last scalar of this label is changed so that the functional that is opened has the
/// value that it should not have.
fn chosen(label: &'static str) -> Result<(), String> {
    let (tensors, _, _) = halved_labels()?;
    let edit = move |argued: &Argued<'_>, scalars: &mut [u8]| {
        let index = *argued.sent(label).last().expect("a scalar of the label");
        settle(argued, scalars, index);
    };
    verdict(&tensors, &Deviation { argument: Some(Box::new(edit)), ..Deviation::default() })
}

/// Changes a scalar, in which the excess of the target is affine, so that there is none.
pub(super) fn settle(argued: &Argued<'_>, scalars: &mut [u8], index: usize) {
    let excess = argued.residuals(scalars).joint;
    let mut changed = scalars.to_vec();
    add(&mut changed, index, E::ONE);
    let slope = argued.residuals(&changed).joint - excess;
    add(scalars, index, -excess * slope.inverse());
}

/// The count of labels is halved, and three entries of a state take the error of the joint claim away.
fn late(place: usize) -> Result<(), String> {
    let (tensors, _, _) = halved_labels()?;
    verdict(&tensors, &Deviation { late: Some((place, Box::new(first_weighed))), ..Deviation::default() })
}

/// Takes the excess away with the first three slots that have a weight.
fn first_weighed(weights: &[E], excess: E, vector: &mut [F]) {
    let weighed: Vec<usize> = (0..weights.len()).filter(|&slot| weights[slot] != E::ZERO).take(3).collect();
    take(weights, excess, vector, weighed.try_into().expect("three entries with a weight"));
}

/// Takes the excess away with three slots.
pub(super) fn take(weights: &[E], excess: E, vector: &mut [F], slots: [usize; 3]) {
    for (slot, change) in slots.into_iter().zip(solve(slots.map(|slot| weights[slot]), excess)) {
        vector[slot] += change;
    }
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
        let position = argued.one_hot_factor();
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
