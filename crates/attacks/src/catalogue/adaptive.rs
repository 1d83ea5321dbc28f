//! Messages that are chosen when the challenges after them are known: what Fiat-Shamir's absorptions prevent.

use super::protocol::{HONEST, ProtocolAttack, SUM, answer, attack, forge, forged_root};
use crate::Cheat;
use crate::harness::{Deviation, Opened, prove, transcript, verify};
use std::cell::Cell;
use veritune_argument::{Labels, NUM_PLACES};
use veritune_commit::{Labels as OpeningLabels, absorb_statement, tree_point};
use veritune_executor::Tensors;
use veritune_field::traits::{BasedVectorSpace, Field, PrimeCharacteristicRing};
use veritune_field::{E, E_BYTES, F, e_from_bytes, e_to_bytes, f_from_i64};
use veritune_relations::layout::{Layout, limb_widths};

/// The attacks.
pub(super) const ATTACKS: &[ProtocolAttack] = &[
    attack(
        "a commitment is made when its challenges are known: multiplicities balance a value out of range",
        SUM,
        &["absorb witness root"],
        adaptive_multiplicities,
    ),
    attack(
        "values of the root are chosen when their challenge is known: a multiplicity is forged",
        SUM,
        &["absorb lookup values"],
        adaptive_values,
    ),
    attack(
        "a round of the lookups is chosen when its challenge is known: a multiplicity is forged",
        SUM,
        &["absorb lookup round"],
        adaptive_lookup_round,
    ),
    attack(
        "a round of the equations is chosen when its challenge is known: the count of labels is halved",
        SUM,
        &["absorb equation round"],
        adaptive_round,
    ),
    attack(
        "a round of the opening is chosen when its challenge is known: the count of labels is halved",
        SUM,
        &["absorb opening sumcheck"],
        || adaptive_opening(bend_first_round),
    ),
    attack(
        "values of the opening are chosen when their challenge is known: the count of labels is halved",
        SUM,
        &["absorb opening values"],
        || adaptive_opening(bend_values),
    ),
];

/// The verifier's answer to a prover of the protocol attacks' step with these tensors.
pub(super) fn verdict(tensors: &Tensors<i64>, deviation: &Deviation) -> Result<(), String> {
    let program = &HONEST.setting.program;
    verify(program, &prove(program, tensors, deviation)).map(|_| ())
}

/// A remainder below zero, and three multiplicities that make the sum of fractions zero at the challenges that the
/// transcript would give without the witness root.
fn adaptive_multiplicities() -> Result<(), String> {
    let mut cheat = Cheat::new(&HONEST.setting, &HONEST.tensors);
    let at = [0, 0, 1, 0, 2];
    let divisor = cheat.divisor("value");
    cheat.bump("value", &at, 1);
    cheat.at_last_add("value.remainder", &at, -divisor);
    let tensors = cheat.run().map_err(|e| e.to_string())?;
    let program = &HONEST.setting.program;
    let roots = prove(program, &tensors, &Deviation::default()).roots;
    let mut known = transcript(&roots);
    let (alpha, beta) = (known.challenge_e(Labels::LOOKUP_ALPHA), known.challenge_e(Labels::LOOKUP_BETA));
    // The one limb that is in no row: the top one, which keeps the sign.
    let id = program.find("value.remainder").expect("a tensor");
    let offset = program.shape(id).iter().zip(at).fold(0, |p, (len, i)| p * len + i);
    let widths = limb_widths(program.tensor(id).range.bits, program.range_bits);
    let width = *widths.last().expect("a limb");
    let value = tensors.get(id)[offset] >> (program.range_bits as usize * (widths.len() - 1));
    assert!(value < 0);
    let fraction = |x: F, w: u32| (alpha - E::from_u32(w) - beta * x).inverse();
    let missing = fraction(f_from_i64(value), width);
    // Rows 0, 1 and 2 of width 12: m_0 f_0 + m_1 f_1 + m_2 f_2 = missing, over the base field.
    let rows = [0, 1, 2].map(|x| fraction(F::from_u32(x), 12));
    let multiplicities = solve(rows, missing);
    let forge = move |layout: &Layout, v: &mut [Vec<F>; NUM_PLACES]| {
        for (x, &m) in multiplicities.iter().enumerate() {
            v[0][layout.range_multiplicities + (1 << 12) + x] += m;
        }
    };
    let proved = prove(program, &tensors, &Deviation { vectors: Box::new(forge), ..Deviation::default() });
    verify(program, &proved).map(|_| ())
}

/// `m` with `m_0 columns_0 + m_1 columns_1 + m_2 columns_2 = target`, by Cramer's rule.
pub(super) fn solve(columns: [E; 3], target: E) -> [F; 3] {
    let parts = |e: E| -> [F; 3] { e.as_basis_coefficients_slice().try_into().expect("three coefficients") };
    let determinant = |c: [[F; 3]; 3]| {
        c[0][0] * (c[1][1] * c[2][2] - c[2][1] * c[1][2]) - c[1][0] * (c[0][1] * c[2][2] - c[2][1] * c[0][2])
            + c[2][0] * (c[0][1] * c[1][2] - c[1][1] * c[0][2])
    };
    let all = columns.map(parts);
    let inverse = determinant(all).inverse();
    std::array::from_fn(|i| {
        let mut replaced = all;
        replaced[i] = parts(target);
        determinant(replaced) * inverse
    })
}

/// The tensors of a step that counts half the labels, and what its equation is off by.
pub(super) fn halved_labels() -> Result<(Tensors<i64>, usize, F), String> {
    let mut cheat = Cheat::new(&HONEST.setting, &HONEST.tensors);
    let count = cheat.honest_at("labels", &[]);
    cheat.bump("labels", &[], count / 2 - count);
    let tensors = cheat.run().map_err(|e| e.to_string())?;
    let program = &HONEST.setting.program;
    let equation = program.equations.iter().position(|e| e.name == "labels").expect("an equation");
    assert!(program.equations[equation].axes.is_empty());
    // What the equation is off by: the true count less the false one.
    let violation = veritune_executor::check(program, &tensors);
    let [violation] = &violation[..] else { return Err(format!("{violation:?}")) };
    let off = f_from_i64(i64::try_from(violation.value).map_err(|e| e.to_string())?);
    Ok((tensors, equation, off))
}

/// The count of labels is halved; the sum of the equations is sent as if it were zero, and the first round is bent so
/// that it agrees with the true one at the challenge that would follow if rounds were not absorbed.
fn adaptive_round() -> Result<(), String> {
    let (tensors, equation, off) = halved_labels()?;
    let sum: Cell<Option<E>> = Cell::new(None);
    let first_round = Cell::new(true);
    let labelled = move |label: &str, value: E, drawn: &dyn Fn(&str) -> E, peek: &dyn Fn() -> E| match label {
        Labels::EQUATION_SUM => {
            let error = drawn(Labels::EQUATION_DELTA).exp_u64(equation as u64 + 1) * off;
            sum.set(Some(error));
            value - error
        }
        Labels::EQUATION_ROUND if first_round.replace(false) => {
            // d(X) = c (X - x) with d(0) + d(1) = -error and d(x) = 0; only d(0) is sent.
            let x = peek();
            let c = -(sum.get().unwrap_or(E::ZERO) * (E::ONE - x.double()).inverse());
            value - c * x
        }
        _ => value,
    };
    verdict(&tensors, &Deviation { labelled: Some(Box::new(labelled)), ..Deviation::default() })
}

/// The numerators of the root that sum to zero and merge to the true one at the challenge that would follow if values were
/// not absorbed.
fn adaptive_values() -> Result<(), String> {
    let [p0, p1, q0, q1] = forged_root();
    let merge: Cell<Option<E>> = Cell::new(None);
    let scalar = move |index: usize, value: E, peek: &dyn Fn() -> E| {
        let r = merge.get().unwrap_or_else(peek);
        merge.set(Some(r));
        // a (1 - r) + b r = p(r) and a q1 + b q0 = 0.
        let ratio = q1 * q0.inverse();
        let a = (p0 + r * (p1 - p0)) * (E::ONE - r - r * ratio).inverse();
        match index {
            0 => a,
            1 => -(a * ratio),
            _ => value,
        }
    };
    answer(&Deviation { vectors: Box::new(forge), scalar: Box::new(scalar), ..Deviation::default() })
}

/// Values of the root that sum to zero, and the leading coefficient of the round below them that takes their error away at
/// the challenge that would follow if rounds were not absorbed.
fn adaptive_lookup_round() -> Result<(), String> {
    let [true_p0, p1, q0, q1] = forged_root();
    let p0 = -(p1 * q0 * q1.inverse());
    let sent = Cell::new(0);
    let labelled = move |label: &str, value: E, drawn: &dyn Fn(&str) -> E, peek: &dyn Fn() -> E| {
        let index = sent.replace(sent.get() + 1);
        match index {
            0 => p0,
            5 => {
                assert_eq!(label, Labels::LOOKUP_ROUND);
                let error = (p0 - true_p0) * (E::ONE - drawn(Labels::LOOKUP_VALUES));
                let x = peek();
                value - error * (x * (x - E::ONE)).inverse()
            }
            _ => value,
        }
    };
    answer(&Deviation { vectors: Box::new(forge), labelled: Some(Box::new(labelled)), ..Deviation::default() })
}

/// The count of labels is halved, so that the opening's target is not the value; its bytes are bent.
fn adaptive_opening(edit: fn(&Opened<'_>, &mut [u8])) -> Result<(), String> {
    let (tensors, _, _) = halved_labels()?;
    verdict(&tensors, &Deviation { opening: Some(Box::new(edit)), ..Deviation::default() })
}

pub(super) fn scalar(bytes: &[u8], index: usize) -> E {
    let start = index * E_BYTES;
    e_from_bytes(bytes[start..start + E_BYTES].try_into().expect("24 bytes")).expect("canonical")
}

pub(super) fn add(bytes: &mut [u8], index: usize, addend: E) {
    let sum = e_to_bytes(scalar(bytes, index) + addend);
    bytes[index * E_BYTES..][..E_BYTES].copy_from_slice(&sum);
}

/// The first round's constant takes the excess away at the challenge that would follow if rounds were not absorbed.
fn bend_first_round(opened: &Opened<'_>, bytes: &mut [u8]) {
    let mut transcript = opened.transcript.clone();
    absorb_statement(&mut transcript, opened.profile, opened.trees, opened.joint.target);
    let x = transcript.challenge_e(OpeningLabels::SUMCHECK);
    add(bytes, 0, -(opened.excess * x * (E::ONE - x.double()).inverse()));
}

/// The witness' value takes the excess in, the mask's takes the change away from their combination at the challenge that
/// would follow if values were not absorbed.
fn bend_values(opened: &Opened<'_>, bytes: &mut [u8]) {
    let mut transcript = opened.transcript.clone();
    absorb_statement(&mut transcript, opened.profile, opened.trees, opened.joint.target);
    let widest = opened.trees.iter().map(|(shape, _)| shape.log_columns).max().unwrap_or(0);
    let rounds = (opened.profile.log_rows() + widest) as usize;
    let mut excess = opened.excess;
    let mut z = Vec::new();
    for round in 0..rounds {
        transcript.absorb_e(OpeningLabels::SUMCHECK, &[2 * round, 2 * round + 1].map(|i| scalar(bytes, i)));
        let x = transcript.challenge_e(OpeningLabels::SUMCHECK);
        excess *= x;
        z.push(x);
    }
    let points: Vec<Vec<E>> = opened.trees.iter().map(|(shape, _)| tree_point(&z, shape)).collect();
    let mut by_place: [&[E]; NUM_PLACES] = [&[]; NUM_PLACES];
    by_place.iter_mut().zip(&points).for_each(|(slot, point)| *slot = point);
    let waits = opened.trees[0].0.waits(opened.profile, widest);
    let scale: E = z[waits.start as usize..waits.end as usize].iter().map(|&x| E::ONE - x).product();
    let change = excess * (scale * opened.joint.weights_at(&by_place)[0]).inverse();
    let values = 2 * rounds;
    let mask = values + opened.trees.len();
    let gamma = transcript.challenge_e(OpeningLabels::GAMMA);
    add(bytes, values, change);
    add(bytes, mask, -(gamma * change));
}
