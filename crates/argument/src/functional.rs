//! Linear functionals of the committed vectors with tensor-product weights.
//!
//! A part weighs a block of one vector: slot `offset + i_0 * alignment + (bits of i_1, i_2, …)` has weight
//! `scale * product of axis weights`, where `alignment = 2^(sum of inner logs)` divides `offset`. Everything
//! else has weight 0. The verifier evaluates the multilinear extension of the weights at the opening's point in
//! time linear in the axis lengths; the prover expands them.

use std::collections::BTreeMap;
use std::sync::Arc;
use veritune_field::traits::{BasedVectorSpace, PrimeCharacteristicRing};
use veritune_field::{E, F, dot, eq_table, f_from_i64, f_to_bytes};

/// Number of committed places: witness, state before, state after, base.
pub const NUM_PLACES: usize = 4;

/// The witness place: the fresh vector of a proof, which holds the pads of its scalars too.
pub const WITNESS_PLACE: usize = 0;

/// The base place.
pub const BASE_PLACE: usize = 3;

/// Weights along one axis of `2^log` indices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AxisWeight {
    /// `values[i]` at index `start + i`, zero elsewhere.
    Dense {
        /// Variables of the axis.
        log: usize,
        /// First index with a weight.
        start: usize,
        /// The weights.
        values: Arc<Vec<E>>,
    },
    /// `eq(point, i)` at index `start + i` for `i < len`, zero elsewhere. Takes no memory in proportion to the axis.
    Eq {
        /// Variables of the axis.
        log: usize,
        /// First index with a weight.
        start: usize,
        /// Indices with a weight, at most `2^point.len()`.
        len: usize,
        /// The point.
        point: Arc<Vec<E>>,
    },
}

impl AxisWeight {
    /// Variables of the axis.
    pub fn log(&self) -> usize {
        match self {
            Self::Dense { log, .. } | Self::Eq { log, .. } => *log,
        }
    }
    /// `eq(point, i)` at every index.
    pub fn eq(point: &[E]) -> Self {
        Self::Eq { log: point.len(), start: 0, len: pow2(point.len()), point: Arc::new(point.to_vec()) }
    }
    /// First index with a weight, and the weights from there on.
    pub fn expanded(&self) -> (usize, Arc<Vec<E>>) {
        match self {
            Self::Dense { start, values, .. } => (*start, Arc::clone(values)),
            Self::Eq { start, len, point, .. } => {
                let mut table = eq_table(point);
                table.truncate(*len);
                (*start, Arc::new(table))
            }
        }
    }
    /// Weight 1 at one index.
    pub fn single(log: usize, index: usize) -> Self {
        Self::Dense { log, start: index, values: Arc::new(vec![E::ONE]) }
    }
}

/// A weighted block of one vector.
#[derive(Debug, Clone)]
pub struct Part {
    /// Position of the vector, see [`NUM_PLACES`].
    pub place: usize,
    /// First slot of the block.
    pub offset: usize,
    /// Weights, outermost axis first; none for a single slot.
    pub axes: Vec<AxisWeight>,
    /// Factor of all weights.
    pub scale: E,
}

impl Part {
    /// Slots between two indices of the outermost axis, as a power of two.
    pub fn log_alignment(&self) -> usize {
        self.axes.iter().skip(1).map(AxisWeight::log).sum()
    }
}

/// `constant + sum of parts`.
#[derive(Debug, Clone, Default)]
pub struct Functional {
    /// What the verifier knows of it.
    pub constant: E,
    /// The rest.
    pub parts: Vec<Part>,
}

/// Base-2 logarithm of the entries that are summed before anything is reduced.
const LOG_ROW: usize = 9;
/// Bits of an entry that are summed at a time: 2^9 products with 32 bits stay below 2^63.
const LIMB_BITS: u32 = 22;

/// The multilinear extension at `point` of a column, which is zero beyond its end.
///
/// Cost: for every entry and every [`LIMB_BITS`] of the column's span six products of integers; the point is split, so that
/// no table of all `eq` is made.
pub fn extension(column: &[i64], point: &[E]) -> E {
    let (Some(&least), Some(&greatest)) = (column.iter().min(), column.iter().max()) else {
        return E::ZERO;
    };
    let (outer, inner) = point.split_at(point.len().saturating_sub(LOG_ROW));
    let inner = eq_table(inner);
    let weights: [[Vec<u32>; 2]; 3] = std::array::from_fn(|c| coefficient_halves(&inner, c));
    let limbs = (u64::BITS.saturating_sub(greatest.abs_diff(least).leading_zeros())).div_ceil(LIMB_BITS);
    let row = |row: &[i64]| -> E {
        let mut sum = E::ZERO;
        for limb in (0..limbs).rev() {
            let entries = row.iter().map(|entry| {
                let entry = entry.abs_diff(least).checked_shr(limb.saturating_mul(LIMB_BITS)).unwrap_or(0);
                entry & ((1 << LIMB_BITS) - 1)
            });
            sum = sum * F::from_u64(1 << LIMB_BITS) + limb_sum(entries, &weights);
        }
        sum
    };
    let rows = column.chunks(inner.len());
    let above: E = rows.zip(eq_table(outer)).map(|(r, w)| w * row(r)).sum();
    above + eq_prefix(point, column.len()) * f_from_i64(least)
}

/// Lower and upper halves of one coefficient of all elements.
fn coefficient_halves(elements: &[E], coefficient: usize) -> [Vec<u32>; 2] {
    let halves = |x: &E| {
        let coefficients: &[F] = x.as_basis_coefficients_slice();
        let [a, b, c, d, e, f, g, h] = f_to_bytes(coefficients.get(coefficient).copied().unwrap_or(F::ZERO));
        (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
    };
    let (low, high) = elements.iter().map(halves).unzip();
    [low, high]
}

/// The sum of entries of [`LIMB_BITS`] bits times weights, at most `2^LOG_ROW` of them.
fn limb_sum(entries: impl Iterator<Item = u64> + Clone, weights: &[[Vec<u32>; 2]; 3]) -> E {
    let sums = weights.each_ref().map(|[low, high]| {
        entries.clone().zip(low.iter().zip(high)).fold([0u64; 2], |[sum_low, sum_high], (entry, (&low, &high))| {
            let times = |half: u32| entry.wrapping_mul(u64::from(half));
            [sum_low.wrapping_add(times(low)), sum_high.wrapping_add(times(high))]
        })
    });
    E::from_basis_coefficients_fn(|c| {
        let [low, high] = sums.get(c).copied().unwrap_or_default();
        F::from_u64(low) + F::from_u64(high) * F::from_u64(1 << 32)
    })
}

/// `eq(point, index)` for one index.
pub fn eq_at(point: &[E], index: usize) -> E {
    let mut value = E::ONE;
    for (bit, &coordinate) in point.iter().rev().enumerate() {
        let set = index.checked_shr(log_u32(bit)).unwrap_or(0) & 1 == 1;
        value *= if set { coordinate } else { E::ONE - coordinate };
    }
    value
}

/// `eq(a, b)` for two points.
pub fn eq_points(a: &[E], b: &[E]) -> E {
    a.iter().zip(b).map(|(&x, &y)| (x * y).double() + E::ONE - x - y).product()
}

/// `sum over i < len of eq(point, i) eq(at, first + i)`, where what lies beyond `at` counts nothing.
///
/// Without a table: bit by bit of `i`, the lowest first, with the carry of `first + i` and whether the bits so far are
/// below those of `len`.
fn eq_window(point: &[E], len: usize, at: &[E], first: usize) -> E {
    let window = pow2(point.len());
    let is_inside = first.saturating_add(len) <= pow2(at.len());
    if len == window && first & window.saturating_sub(1) == 0 && is_inside {
        let (above, below) = at.split_at(at.len().saturating_sub(point.len()));
        return eq_points(point, below) * eq_at(above, first.checked_shr(log_u32(point.len())).unwrap_or(0));
    }
    // A variable that is not there is 0.
    let coordinate = |of: &[E], bit: usize| {
        let index = of.len().checked_sub(bit.saturating_add(1));
        index.and_then(|i| of.get(i)).copied().unwrap_or(E::ZERO)
    };
    let is_set = |number: usize, bit: usize| number.checked_shr(log_u32(bit)).unwrap_or(0) & 1 == 1;
    let numbers = usize::try_from((first | len).checked_ilog2().unwrap_or(0)).unwrap_or(0).saturating_add(1);
    let num_bits = point.len().max(at.len()).max(numbers).saturating_add(1);
    // Without and with a carry: the sum over low bits that are below those of `len`, and over the others.
    let mut sums = [[E::ZERO, E::ONE], [E::ZERO; 2]];
    for bit in 0..num_bits {
        let (r, z) = (coordinate(point, bit), coordinate(at, bit));
        let mut next = [[E::ZERO; 2]; 2];
        for (carry, [below, others]) in [false, true].into_iter().zip(sums) {
            for (digit, weight) in [(false, E::ONE - r), (true, r)] {
                let is_one = digit ^ carry ^ is_set(first, bit);
                let weight = weight * if is_one { z } else { E::ONE - z };
                let [below, others] = match (digit, is_set(len, bit)) {
                    (false, true) => [below + others, E::ZERO],
                    (true, false) => [E::ZERO, below + others],
                    _ => [below, others],
                };
                let carries = if digit == carry { digit } else { is_set(first, bit) };
                let [plain, carried] = &mut next;
                let [to_below, to_others] = if carries { carried } else { plain };
                *to_below += weight * below;
                *to_others += weight * others;
            }
        }
        sums = next;
    }
    let [[below, _], _] = sums;
    below
}

/// `sum over i < len of eq(point, i)`.
pub(crate) fn eq_prefix(point: &[E], len: usize) -> E {
    let (mut sum, mut above) = (E::ZERO, E::ONE);
    let mut rest = len;
    for (i, &coordinate) in point.iter().enumerate() {
        let half = pow2(point.len().saturating_sub(i.saturating_add(1)));
        if rest >= half {
            // All indices with a zero here, and those with a one up to the rest.
            sum += above * (E::ONE - coordinate);
            above *= coordinate;
            rest = rest.saturating_sub(half);
        } else {
            above *= E::ONE - coordinate;
        }
    }
    if rest > 0 { sum + above } else { sum }
}

/// A count of variables as a shift; far below `u32::MAX`.
pub(crate) fn log_u32(log: usize) -> u32 {
    u32::try_from(log).unwrap_or(u32::MAX)
}

/// `2^log`.
pub(crate) fn pow2(log: usize) -> usize {
    1_usize.checked_shl(log_u32(log)).unwrap_or(0)
}

/// Evaluates weights at one point; keeps the tables of `eq` that parts share, and what they give with the parts' own.
pub struct Evaluator<'a> {
    point: &'a [E],
    tables: BTreeMap<(usize, usize), Arc<Vec<E>>>,
    windows: BTreeMap<Window, (Arc<Vec<E>>, E)>,
}

/// Some of a part's weights along an axis against some of a table of `eq`.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Window {
    /// Where the weights lie in memory, which they keep as long as the evaluator holds them.
    values: usize,
    /// First weight, and how many.
    from: usize,
    len: usize,
    /// Variables below the table's, its own, and its first entry.
    low: usize,
    log: usize,
    first: usize,
}

impl<'a> Evaluator<'a> {
    /// An evaluator at `point`, most significant coordinate first.
    pub fn new(point: &'a [E]) -> Self {
        Self { point, tables: BTreeMap::new(), windows: BTreeMap::new() }
    }

    /// The coordinates of the variables above the lowest `low`, `count` of them.
    fn coordinates(&self, low: usize, count: usize) -> &'a [E] {
        let end = self.point.len().saturating_sub(low);
        self.point.get(end.saturating_sub(count)..end).unwrap_or(&[])
    }

    fn table(&mut self, low: usize, count: usize) -> Arc<Vec<E>> {
        let coordinates = self.coordinates(low, count);
        Arc::clone(self.tables.entry((low, count)).or_insert_with(|| Arc::new(eq_table(coordinates))))
    }

    /// `sum over i < len of values[from + i] eq(coordinates, first + i)` for the `log` coordinates above the lowest `low`.
    fn window(&mut self, values: &Arc<Vec<E>>, from: usize, len: usize, low: usize, log: usize, first: usize) -> E {
        let key = Window { values: Arc::as_ptr(values).addr(), from, len, low, log, first };
        if let Some((_, sum)) = self.windows.get(&key) {
            return *sum;
        }
        let table = self.table(low, log);
        let weights = values.get(from..from.saturating_add(len)).unwrap_or(&[]);
        let sum = dot(table.get(first..).unwrap_or(&[]), weights);
        self.windows.insert(key, (Arc::clone(values), sum));
        sum
    }

    /// `sum over slots of weight(slot) * eq(point, slot)`.
    pub fn part(&mut self, part: &Part) -> E {
        let mut low = 0;
        let mut value = part.scale;
        let mut axes = part.axes.iter();
        let outer = axes.next();
        for axis in axes.rev() {
            let log = axis.log();
            value *= match axis {
                AxisWeight::Eq { start, len, point, .. } => eq_window(point, *len, self.coordinates(low, log), *start),
                AxisWeight::Dense { start, values, .. } => self.window(values, 0, values.len(), low, log, *start),
            };
            low = low.saturating_add(log);
        }
        let first_row = part.offset.checked_shr(log_u32(low)).unwrap_or(0);
        let high = self.point.len().saturating_sub(low);
        value
            * match outer {
                None => eq_at(self.point, part.offset),
                Some(AxisWeight::Eq { start, len, point, .. }) => {
                    let rows = self.point.get(..high).unwrap_or(&[]);
                    eq_window(point, *len, rows, first_row.saturating_add(*start))
                }
                Some(AxisWeight::Dense { start, values, .. }) => {
                    self.rows(low, high, first_row.saturating_add(*start), values)
                }
            }
    }

    /// `sum of values[i] * eq(high coordinates, first + i)`: at most two aligned windows of the table.
    fn rows(&mut self, low: usize, high: usize, first: usize, values: &Arc<Vec<E>>) -> E {
        let log = log_of(values.len()).min(high);
        let window = pow2(log);
        let above = self.point.get(..high.saturating_sub(log)).unwrap_or(&[]);
        let mut sum = E::ZERO;
        let mut from = 0_usize;
        while from < values.len() {
            let row = first.saturating_add(from);
            let inside = row & window.saturating_sub(1);
            let len = window.saturating_sub(inside).max(1).min(values.len().saturating_sub(from));
            let block = row.checked_shr(log_u32(log)).unwrap_or(0);
            sum += self.window(values, from, len, low, log, inside) * eq_at(above, block);
            from = from.saturating_add(len);
        }
        sum
    }
}

/// The least `k` with `len <= 2^k`.
pub(crate) fn log_of(len: usize) -> usize {
    usize::try_from(len.next_power_of_two().trailing_zeros()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(log: usize, seed: u64) -> Vec<E> {
        (0..log).map(|i| E::from_u64(seed * (i as u64 + 7)) * E::from_u64(0x1234_5678_9abc)).collect()
    }

    #[test]
    fn a_window_of_eq_is_the_sum_over_its_indices() {
        for (log, log_at) in [(0, 0), (0, 3), (3, 3), (3, 5), (4, 6)] {
            let (point, at) = (point(log, 1_000_003), point(log_at, 77_777));
            let (weights, table) = (eq_table(&point), eq_table(&at));
            for len in 0..=weights.len() {
                assert_eq!(eq_prefix(&point, len), weights[..len].iter().copied().sum(), "{log} {len}");
                for first in 0..=table.len() {
                    let expected: E = weights[..len].iter().zip(table.iter().skip(first)).map(|(&a, &b)| a * b).sum();
                    assert_eq!(eq_window(&point, len, &at, first), expected, "{log} {log_at} {len} {first}");
                }
            }
        }
    }

    #[test]
    fn a_point_weighs_as_its_table_does() {
        let at = point(9, 77_777);
        for (start, len, log) in [(0, 8, 3), (0, 5, 3), (3, 7, 4), (1, 1, 1)] {
            let points = AxisWeight::Eq { log, start, len, point: Arc::new(point(3, 1_000_003)) };
            let (_, values) = points.expanded();
            let table = AxisWeight::Dense { log, start, values };
            assert_eq!(crate::weight_sum(&points), crate::weight_sum(&table));
            for other in [AxisWeight::single(2, 3), points.clone()] {
                for order in [[&points, &other], [&other, &points]] {
                    let part = |weight: &AxisWeight| Part {
                        place: 0,
                        offset: 3 << order[1].log(),
                        axes: order
                            .map(|w| if std::ptr::eq(w, &other) { w } else { weight })
                            .map(Clone::clone)
                            .to_vec(),
                        scale: E::TWO,
                    };
                    let mut evaluator = Evaluator::new(&at);
                    assert_eq!(evaluator.part(&part(&points)), evaluator.part(&part(&table)), "{start} {len} {log}");
                }
            }
        }
    }

    #[test]
    fn the_extension_of_a_column_is_its_sum_over_eq() {
        let point = point(11, 1_000_003);
        let check = |column: &[i64]| {
            let expected: E = column.iter().zip(eq_table(&point)).map(|(&v, w)| w * f_from_i64(v)).sum();
            assert_eq!(extension(column, &point), expected, "{} entries from {:?}", column.len(), column.first());
        };
        for len in [0, 1, 5, 16, 17, 300, 512, 513, 1700, 2048] {
            check(&(0..len).map(|i| i * i * 77_777 - 40_000_000).collect::<Vec<_>>());
            check(&(0..len).collect::<Vec<_>>());
            check(&vec![-9; len as usize]);
            // Every limb is full, and the span is all of an i64.
            check(&(0..len).map(|i| if i % 3 == 0 { i64::MAX } else { i64::MIN + i }).collect::<Vec<_>>());
        }
        assert_eq!(extension(&[5], &[]), E::from_u64(5));
        assert_eq!(extension(&[5, 6], &[]), E::from_u64(5), "nothing beyond the point");
    }
}
