//! Tables of factors: a tensor with its bound axes summed away, over its own sum variables only.

use super::table::Table;
use rayon::prelude::*;
use veritune_argument::{Binding, Factor, Points};
use veritune_field::traits::{BasedVectorSpace, PrimeCharacteristicRing, PrimeField64};
use veritune_field::{E, F, f_from_i64};
use veritune_relations::{AxisId, Program};

/// Entries handled together when rows are added up.
const TILE: usize = 256;

/// Values with one axis length per remaining axis, row-major.
struct Dense<T> {
    values: Vec<T>,
    lens: Vec<usize>,
}

/// What becomes of an axis.
enum Role {
    /// Summed with weights from `start` on.
    Bound { start: usize, weights: std::sync::Arc<Vec<E>> },
    /// A variable: indices `start .. start + len`, in the table at this round.
    Variable { start: usize, axis: AxisId, first_round: usize },
}

/// The table of a factor.
///
/// `bits` bounds the absolute values. Cost: one integer-times-element multiplication per entry if an axis is bound.
pub(super) fn factor_table(
    program: &Program,
    factor: &Factor,
    points: &mut Points<'_>,
    values: &[i64],
    bits: u32,
) -> Table {
    let own = &program.tensor(factor.tensor).axes;
    let mut lens: Vec<usize> = own.iter().map(|&a| program.axis(a).len).collect();
    let mut roles: Vec<Role> = Vec::new();
    for (&axis, &binding) in own.iter().zip(&factor.bindings) {
        roles.push(match binding {
            Binding::Variables { axis, shift, first_round } => Role::Variable { start: shift, axis, first_round },
            _ => {
                let (start, weights) = points.axis_weight(axis, binding).expanded();
                Role::Bound { start, weights }
            }
        });
    }
    // The longest bound axis first: what is left is short.
    let longest = |roles: &[Role]| {
        let length = |r: &Role| {
            if let Role::Bound { weights, .. } = r { weights.len() } else { 0 }
        };
        let best = roles.iter().enumerate().max_by_key(|(i, r)| (length(r), *i)).map(|(i, _)| i);
        best.filter(|&i| matches!(roles[i], Role::Bound { .. }))
    };
    let Some(axis) = longest(&roles) else {
        let table = place(program, &roles, &lens, |i| f_from_i64(values[i]));
        return Table::Base(table);
    };
    let Role::Bound { start, weights } = roles.remove(axis) else { unreachable!("chosen above") };
    let mut dense = contract_integers(values, &lens, axis, start, &weights, bits);
    lens = dense.lens.clone();
    while let Some(axis) = longest(&roles) {
        let Role::Bound { start, weights } = roles.remove(axis) else { unreachable!("chosen above") };
        dense = contract(&dense, axis, start, &weights);
        lens = dense.lens.clone();
    }
    place(program, &roles, &lens, |i| dense.values[i]).into()
}

/// Copies values to their padded places, axes in the order of their rounds.
fn place<T: PrimeCharacteristicRing + Copy + Send + Sync>(
    program: &Program,
    roles: &[Role],
    lens: &[usize],
    value: impl Fn(usize) -> T + Sync,
) -> Vec<T> {
    // (round, active length, log, source stride), and the source offset of the shifts.
    let mut axes = Vec::new();
    let (mut stride, mut base) = (1, 0);
    for (role, &len) in roles.iter().zip(lens).rev() {
        if let Role::Variable { start, axis, first_round } = role {
            let a = program.axis(*axis);
            axes.push((*first_round, a.len, a.log_len(), stride));
            base += start * stride;
        }
        stride *= len;
    }
    axes.sort_by_key(|a| a.0);
    let total: usize = axes.iter().map(|a| a.2).sum();
    let mut table = vec![T::ZERO; 1 << total];
    let (inner_len, inner_log, inner_stride) = axes.pop().map_or((1, 0, 0), |a| (a.1, a.2, a.3));
    table.par_chunks_mut(1 << inner_log).with_min_len(1 + 4096 / inner_len).enumerate().for_each(|(row, out)| {
        let (mut rest, mut at) = (row, base);
        for &(_, len, log, stride) in axes.iter().rev() {
            let index = rest & ((1 << log) - 1);
            if index >= len {
                return;
            }
            at += index * stride;
            rest >>= log;
        }
        for (i, out) in out[..inner_len].iter_mut().enumerate() {
            *out = value(at + i * inner_stride);
        }
    });
    table
}

/// A sum of integers times 64-bit coefficients, reduced late.
#[derive(Clone, Copy)]
struct Wide([i128; 3]);

fn reduce(wide: Wide) -> E {
    E::from_basis_coefficients_fn(|i| F::from_i128(wide.0[i]))
}

/// The coefficients of the weights as integers.
fn integers(weights: &[E]) -> Vec<[i128; 3]> {
    let coefficients = |w: &E| -> [i128; 3] {
        let c: &[F] = w.as_basis_coefficients_slice();
        std::array::from_fn(|i| i128::from(c[i].as_canonical_u64()))
    };
    weights.iter().map(coefficients).collect()
}

/// Sums `weights[i] * values[.., start + i, ..]` over one axis.
fn contract_integers(values: &[i64], lens: &[usize], axis: usize, start: usize, weights: &[E], bits: u32) -> Dense<E> {
    let (len, inner) = (lens[axis], lens[axis + 1..].iter().product::<usize>());
    let mut out_lens = lens.to_vec();
    out_lens.remove(axis);
    let weights = integers(weights);
    // |value| < 2^bits and coefficients below 2^64: so many products fit 127 bits.
    let safe = 1usize << (62 - bits.min(62));
    let outer = values.len() / (len * inner).max(1);
    let mut out = vec![E::ZERO; outer * inner];
    let block = |o: usize| &values[(o * len + start) * inner..(o * len + start + weights.len()) * inner];
    if inner == 1 {
        out.par_iter_mut().with_min_len(1 + 4096 / len).enumerate().for_each(|(o, out)| {
            for (values, weights) in block(o).chunks(safe).zip(weights.chunks(safe)) {
                let mut sum = [0i128; 3];
                for (&value, weight) in values.iter().zip(weights) {
                    let value = i128::from(value);
                    for c in 0..3 {
                        sum[c] = sum[c].wrapping_add(value.wrapping_mul(weight[c]));
                    }
                }
                *out += reduce(Wide(sum));
            }
        });
    } else {
        let tile = TILE.min(inner);
        let per_row = inner.div_ceil(tile);
        let mut tiles: Vec<&mut [E]> = out.chunks_mut(inner).flat_map(|row| row.chunks_mut(tile)).collect();
        tiles.par_iter_mut().enumerate().for_each(|(t, out)| {
            let (o, first) = (t / per_row, (t % per_row) * tile);
            let rows = block(o);
            for (rows, weights) in rows.chunks(safe.saturating_mul(inner)).zip(weights.chunks(safe)) {
                let mut sums = [[0i128; 3]; TILE];
                for (row, weight) in rows.chunks_exact(inner).zip(weights) {
                    for (sum, &value) in sums.iter_mut().zip(&row[first..first + out.len()]) {
                        let value = i128::from(value);
                        for c in 0..3 {
                            sum[c] = sum[c].wrapping_add(value.wrapping_mul(weight[c]));
                        }
                    }
                }
                for (out, &sum) in out.iter_mut().zip(&sums) {
                    *out += reduce(Wide(sum));
                }
            }
        });
    }
    Dense { values: out, lens: out_lens }
}

/// The same on elements.
fn contract(dense: &Dense<E>, axis: usize, start: usize, weights: &[E]) -> Dense<E> {
    let (len, inner) = (dense.lens[axis], dense.lens[axis + 1..].iter().product::<usize>());
    let mut lens = dense.lens.clone();
    lens.remove(axis);
    let outer = dense.values.len() / (len * inner).max(1);
    let mut out = vec![E::ZERO; outer * inner];
    out.par_chunks_mut(inner.max(1)).with_min_len(1 + 4096 / (len * inner)).enumerate().for_each(|(o, out)| {
        let rows = dense.values[(o * len + start) * inner..].chunks_exact(inner);
        for (row, &weight) in rows.zip(weights) {
            for (out, &value) in out.iter_mut().zip(row) {
                *out += weight * value;
            }
        }
    });
    Dense { values: out, lens }
}
