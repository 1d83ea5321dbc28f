//! Tables of virtual one-hots, and the sumcheck that reduces their evaluations to bits: the prover of
//! [`veritune_argument::one_hots`].

use super::channel::{Channel, Own};
use super::expression;
use super::table::Table;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use veritune_argument::one_hots::{Bits, OneHotClaim, combine, rounds_and_degree};
use veritune_argument::{AxisWeight, Binding, Factor, Labels, Points, Value};
use veritune_field::traits::{Field, PrimeCharacteristicRing};
use veritune_field::{E, F, f_from_i64};
use veritune_relations::{OneHot, Place, Program, TensorId, View};

/// Dense values of a tensor over its own axes.
fn dense<'a>(program: &'a Program, tensors: &'a [&'a [i64]], tensor: TensorId) -> &'a [i64] {
    expression::values(program, tensors, &View { tensor, index: Vec::new() })
}

/// The indices of a row-major position.
fn indices(mut position: usize, lens: &[usize]) -> Vec<usize> {
    let mut indices = vec![0; lens.len()];
    for (index, &len) in indices.iter_mut().zip(lens).rev() {
        *index = position % len;
        position /= len;
    }
    indices
}

/// The table of a one-hot factor over its variables.
pub(super) fn factor_table(
    program: &Program,
    one_hot: &OneHot,
    factor: &Factor,
    points: &mut Points<'_>,
    tensors: &[&[i64]],
) -> Table {
    let own = &program.tensor(factor.tensor).axes;
    let lens: Vec<usize> = own.iter().map(|&a| program.axis(a).len).collect();
    let (bits, outer) = (dense(program, tensors, one_hot.bits), &lens[..lens.len() - 1]);
    let num_bits = program.shape(one_hot.bits).last().copied().unwrap_or(1);
    let flags = one_hot.flag.map(|flag| dense(program, tensors, flag));
    // Variables by round; each gets a shift in the table's index.
    let mut variables: Vec<(usize, usize, usize)> = Vec::new();
    for (i, binding) in factor.bindings.iter().enumerate() {
        if let Binding::Variables { axis, first_round, .. } = *binding {
            variables.push((first_round, i, program.axis(axis).log_len()));
        }
    }
    variables.sort_unstable();
    let mut shifts = vec![0; own.len()];
    let mut total = 0;
    for &(_, i, log) in variables.iter().rev() {
        shifts[i] = total;
        total += log;
    }
    let weights: Vec<_> = points.factor_weights(factor).iter().map(AxisWeight::expanded).collect();
    let bound = factor.bindings.iter().any(|b| matches!(b, Binding::Eq(..) | Binding::Ones(..)));
    let mut table = vec![E::ZERO; if bound { 1 << total } else { 0 }];
    let mut base = vec![F::ZERO; if bound { 0 } else { 1 << total }];
    'rows: for (row, bits) in bits.chunks(num_bits).enumerate() {
        let flag = flags.map_or(1, |f| f[row]);
        let value: usize = bits.iter().enumerate().map(|(j, &b)| usize::from(b & 1 == 1) << j).sum();
        let mut at = indices(row, outer);
        at.push(value);
        let (mut slot, mut weight) = (0, E::ONE);
        for (i, binding) in factor.bindings.iter().enumerate() {
            let (start, values) = &weights[i];
            let active = match *binding {
                Binding::Variables { axis, .. } => program.axis(axis).len,
                _ => values.len(),
            };
            let last = i + 1 == own.len();
            match at[i].checked_sub(*start) {
                // The value axis is not cut to active values: its one may be anywhere.
                Some(index) if index < active || last => match binding {
                    Binding::Variables { .. } => slot += index << shifts[i],
                    Binding::Fixed(_) if index > 0 => continue 'rows,
                    Binding::Fixed(_) => {}
                    _ => weight *= values[index],
                },
                _ => continue 'rows,
            }
        }
        if bound {
            table[slot] += weight * f_from_i64(flag);
        } else {
            base[slot] += f_from_i64(flag);
        }
    }
    if bound { table.into() } else { Table::Base(base) }
}

/// A claim while its sumcheck runs: tables over the outer variables.
struct State {
    tables: Vec<Vec<E>>,
    /// Per table, `p - (1 - p)` and `1 - p` for a bit; identity for weight and flag.
    lines: Vec<(E, E)>,
    weight: E,
    first_round: usize,
    claim: E,
}

/// Proves claims on one-hots and sends the evaluations of bits and flags.
pub(super) fn prove<C: Channel>(program: &Program, tensors: &[&[i64]], claims: &[OneHotClaim<E>], channel: &mut C) {
    if claims.is_empty() {
        return;
    }
    let eta = channel.challenge(Labels::ONE_HOT_ETA);
    let (num_rounds, degree) = rounds_and_degree(program, claims.iter().map(|c| c.one_hot));
    let mut states: Vec<State> = claims
        .iter()
        .zip(eta.powers().skip(1))
        .map(|(claim, weight)| state(program, tensors, claim, weight, num_rounds))
        .collect();
    let interpolation = Interpolation::new(degree);
    let mut challenges = Vec::with_capacity(num_rounds);
    for round in 0..num_rounds {
        let mut polynomial = vec![E::ZERO; degree + 1];
        for state in &states {
            if round < state.first_round {
                polynomial[0] += state.claim * state.weight;
                polynomial[1] -= state.claim * state.weight;
            } else {
                let values = round_values(state, degree);
                let coefficients = interpolation.coefficients(&values);
                polynomial.iter_mut().zip(coefficients).for_each(|(p, c)| *p += c * state.weight);
            }
        }
        channel.send(Labels::ONE_HOT_ROUND, polynomial[0]);
        polynomial.iter().skip(2).for_each(|&c| channel.send(Labels::ONE_HOT_ROUND, c));
        let x = channel.challenge(Labels::ONE_HOT_ROUND);
        challenges.push(x);
        for state in &mut states {
            if round < state.first_round {
                state.weight *= E::ONE - x;
                continue;
            }
            for table in &mut state.tables {
                let half = table.len() / 2;
                *table = (0..half).map(|i| table[i] + x * (table[i + half] - table[i])).collect();
            }
        }
    }
    // Per one-hot once: flag, then bits; the tables hold `bit` before the line is applied.
    let mut values = BTreeMap::new();
    for (claim, state) in claims.iter().zip(&states) {
        let Entry::Vacant(new) = values.entry(claim.one_hot) else {
            continue;
        };
        let one_hot = &program.one_hots[claim.one_hot];
        let mut send = |tensor: TensorId, table: &Vec<E>| {
            if program.tensor(tensor).place == Place::Public {
                return Value::Known(table[0]);
            }
            channel.send(Labels::ONE_HOT_VALUE, table[0]);
            Value::Sent(table[0])
        };
        let mut tables = state.tables[1..].iter();
        let flag = one_hot.flag.map(|flag| send(flag, tables.next().expect("a table of the flag")));
        let bits = tables.map(|table| send(one_hot.bits, table)).collect();
        new.insert(Bits { flag, bits });
    }
    let _ = combine(program, claims, &values, eta, &challenges, &mut Own(channel))
        .expect("the prover's arithmetic refuses nothing");
}

/// Tables of a claim: the weight, the flag if there is one, the bits.
fn state(program: &Program, tensors: &[&[i64]], claim: &OneHotClaim<E>, weight: E, num_rounds: usize) -> State {
    let one_hot = &program.one_hots[claim.one_hot];
    let (lens, axes) = (program.shape(one_hot.bits), &program.tensor(one_hot.bits).axes);
    let (num_bits, outer) = (lens[lens.len() - 1], &lens[..lens.len() - 1]);
    let logs: Vec<usize> = axes[..outer.len()].iter().map(|&a| program.axis(a).log_len()).collect();
    let log_size: usize = logs.iter().sum();
    let flag = one_hot.flag.map(|flag| dense(program, tensors, flag));
    let weights: Vec<_> = claim.outer.iter().map(AxisWeight::expanded).collect();
    let mut tables = vec![vec![E::ZERO; 1 << log_size]; 1 + usize::from(flag.is_some()) + num_bits];
    for (row, bits) in dense(program, tensors, one_hot.bits).chunks(num_bits).enumerate() {
        let at = indices(row, outer);
        let (mut slot, mut value) = (0, E::ONE);
        for ((&index, &log), (start, values)) in at.iter().zip(&logs).zip(&weights) {
            slot = (slot << log) | index;
            value *= index.checked_sub(*start).and_then(|i| values.get(i)).copied().unwrap_or(E::ZERO);
        }
        tables[0][slot] = value;
        if let Some(flag) = flag {
            tables[1][slot] = E::from(f_from_i64(flag[row]));
        }
        let first = 1 + usize::from(flag.is_some());
        for (table, &bit) in tables[first..].iter_mut().zip(bits) {
            table[slot] = E::from(f_from_i64(bit));
        }
    }
    let mut lines = vec![(E::ONE, E::ZERO); tables.len() - num_bits];
    lines.extend(claim.point.iter().rev().map(|&p| (p.double() - E::ONE, E::ONE - p)));
    State { tables, lines, weight, first_round: num_rounds - log_size, claim: claim.value }
}

/// The round polynomial at `0 ..= degree`.
fn round_values(state: &State, degree: usize) -> Vec<E> {
    let half = state.tables[0].len() / 2;
    (0..half)
        .into_par_iter()
        .with_min_len(64)
        .fold(
            || vec![E::ZERO; degree + 1],
            |mut sums, i| {
                if state.tables[0][i] == E::ZERO && state.tables[0][i + half] == E::ZERO {
                    return sums;
                }
                let mut products = vec![E::ONE; degree + 1];
                for (table, &(slope, constant)) in state.tables.iter().zip(&state.lines) {
                    let mut value = table[i] * slope + constant;
                    let step = (table[i + half] - table[i]) * slope;
                    for product in &mut products {
                        *product *= value;
                        value += step;
                    }
                }
                sums.iter_mut().zip(products).for_each(|(s, p)| *s += p);
                sums
            },
        )
        .reduce(|| vec![E::ZERO; degree + 1], |a, b| a.into_iter().zip(b).map(|(a, b)| a + b).collect())
}

/// Turns values at `0 ..= degree` into coefficients.
struct Interpolation {
    /// Per node, the coefficients of its Lagrange polynomial.
    basis: Vec<Vec<F>>,
}

impl Interpolation {
    fn new(degree: usize) -> Self {
        let node = |i: usize| F::from_usize(i);
        let basis = (0..=degree).map(|i| {
            let mut polynomial = vec![F::ONE];
            let mut denominator = F::ONE;
            for j in (0..=degree).filter(|&j| j != i) {
                denominator *= node(i) - node(j);
                let mut next = vec![F::ZERO; polynomial.len() + 1];
                for (k, &c) in polynomial.iter().enumerate() {
                    next[k + 1] += c;
                    next[k] -= c * node(j);
                }
                polynomial = next;
            }
            let inverse = denominator.inverse();
            polynomial.into_iter().map(|c| c * inverse).collect()
        });
        Self { basis: basis.collect() }
    }
    fn coefficients(&self, values: &[E]) -> Vec<E> {
        let mut out = vec![E::ZERO; values.len()];
        for (&value, basis) in values.iter().zip(&self.basis) {
            out.iter_mut().zip(basis).for_each(|(o, &c)| *o += value * c);
        }
        out
    }
}
