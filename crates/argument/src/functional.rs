//! Linear functionals of the committed vectors with tensor-product weights.
//!
//! A part weighs a block of one vector: slot `offset + i_0 * alignment + (bits of i_1, i_2, …)` has weight
//! `scale * product of axis weights`, where `alignment = 2^(sum of inner logs)` divides `offset`. Everything
//! else has weight 0. The verifier evaluates the multilinear extension of the weights at the opening's point in
//! time linear in the axis lengths; the prover expands them.

use std::collections::BTreeMap;
use std::sync::Arc;
use veritune_field::lanes::{LANES, PackedE, Packing, pack, sum_lanes};
use veritune_field::traits::{PackedValue, PrimeCharacteristicRing};
use veritune_field::{E, dot, eq_table, f_from_i64};

/// Number of committed places: witness, state before, state after, base.
pub const NUM_PLACES: usize = 4;

/// The witness place: the fresh vector of a proof, which holds the pads of its scalars too.
pub const WITNESS_PLACE: usize = 0;

/// The base place.
pub const BASE_PLACE: usize = 3;

/// Indices from which on the weights of an axis are kept as a point: with fewer, products of tables are made sooner.
const LONG: usize = 1 << 10;

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
    /// `eq(point, i)` at index `start + i` for `i < len`: as a point if they are many, else as a table.
    pub(crate) fn run(log: usize, start: usize, len: usize, point: &[E]) -> Self {
        if len >= LONG {
            return Self::Eq { log, start, len, point: Arc::new(point.to_vec()) };
        }
        let mut table = eq_table(point);
        table.truncate(len);
        Self::Dense { log, start, values: Arc::new(table) }
    }
    /// The same weights from another first index on, along another axis.
    pub(crate) fn moved(&self, log: usize, start: usize) -> Self {
        match self.clone() {
            Self::Dense { values, .. } => Self::Dense { log, start, values },
            Self::Eq { len, point, .. } => Self::Eq { log, start, len, point },
        }
    }
    /// The sum of the weights.
    pub fn sum(&self) -> E {
        match self {
            Self::Dense { values, .. } => values.iter().copied().sum(),
            Self::Eq { len, point, .. } => eq_prefix(point, *len),
        }
    }
    /// `sum over i of weight(i) eq(at, i)`.
    pub(crate) fn value_at(&self, at: &[E]) -> E {
        match self {
            Self::Dense { start, values, .. } => dot(eq_table(at).get(*start..).unwrap_or(&[]), values),
            Self::Eq { start, len, point, .. } => eq_window(point, *len, at, *start),
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

/// First value and difference of an arithmetic progression of at least two values.
fn progression(values: &[i64]) -> Option<(i64, i64)> {
    let (&[first, second, ..], &[.., last]) = (values, values) else {
        return None;
    };
    let step = second.checked_sub(first)?;
    let steps = i128::try_from(values.len()).ok()?.checked_sub(1)?;
    // The last one is where it should be, so that none on the way leaves the range of an i64: differences may wrap.
    if i128::from(step).checked_mul(steps)?.checked_add(i128::from(first))? != i128::from(last) {
        return None;
    }
    let next = values.get(1..)?.iter().zip(values);
    let differs = next.fold(0, |differs, (after, before)| differs | (after.wrapping_sub(*before) ^ step));
    (differs == 0).then_some((first, step))
}

/// The multilinear extension at `point` of a column, which is zero beyond its end.
///
/// Cost: one product of a base element per entry, in registers; the point is split, so that no table of
/// all `eq` is made. A row that is an arithmetic progression takes two products: tables have their inputs in order, and
/// most functions are constant or linear far from zero.
pub fn extension(column: &[i64], point: &[E]) -> E {
    let (outer, inner_point) = point.split_at(point.len() / 2);
    let inner = eq_table(inner_point);
    let lanes = pack(&inner);
    // The extension of 0, 1, 2, …
    let indices = inner_point.iter().fold(E::ZERO, |sum, &bit| sum.double() + bit);
    let row = |row: &[i64]| -> E {
        if row.len() == inner.len()
            && let Some((first, step)) = progression(row)
        {
            return indices * f_from_i64(step) + f_from_i64(first);
        }
        if row.len() < inner.len() || lanes.is_empty() {
            let products = row.iter().zip(&inner);
            return products.map(|(&v, &w)| w * f_from_i64(v)).sum();
        }
        let values = row.as_chunks::<LANES>().0;
        let sum = lanes.iter().zip(values).fold(PackedE::ZERO, |sum, (&w, v)| {
            let elements = v.map(f_from_i64);
            sum + w * *Packing::from_slice(&elements)
        });
        sum_lanes(sum)
    };
    let rows = column.chunks(inner.len());
    rows.zip(eq_table(outer)).map(|(r, w)| w * row(r)).sum()
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
    /// Where the weights or their point lie in memory, which they keep as long as the evaluator holds them.
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

    /// The same for the first `len` weights of a point.
    fn point_window(&mut self, point: &Arc<Vec<E>>, len: usize, low: usize, log: usize, first: usize) -> E {
        let key = Window { values: Arc::as_ptr(point).addr(), from: 0, len, low, log, first };
        let at = self.coordinates(low, log);
        self.windows.entry(key).or_insert_with(|| (Arc::clone(point), eq_window(point, len, at, first))).1
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
                AxisWeight::Eq { start, len, point, .. } => self.point_window(point, *len, low, log, *start),
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
                    self.point_window(point, *len, low, high, first_row.saturating_add(*start))
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
            assert_eq!(points.sum(), table.sum());
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
    fn a_run_is_a_table_or_a_point_by_its_length() {
        let (coordinates, at) = (point(11, 1_000_003), point(12, 77_777));
        for len in [1, 700, LONG - 1, LONG, LONG + 1, 2 * LONG] {
            let run = AxisWeight::run(11, 5, len, &coordinates);
            assert_eq!(matches!(run, AxisWeight::Eq { .. }), len >= LONG);
            let (start, values) = run.expanded();
            assert_eq!((start, values.as_slice()), (5, &eq_table(&coordinates)[..len]));
            assert_eq!(run.sum(), values.iter().copied().sum());
            let moved = run.moved(12, 9);
            assert_eq!((moved.log(), moved.expanded()), (12, (9, values.clone())));
            for weight in [&run, &moved, &AxisWeight::Dense { log: 12, start: 9, values: values.clone() }] {
                let table = eq_table(&at);
                let (first, expected) = (weight.expanded().0, values.iter().zip(&table[weight.expanded().0..]));
                assert_eq!(weight.value_at(&at), expected.map(|(&a, &b)| a * b).sum(), "{len} from {first}");
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
            check(&(0..len).map(|i| 1_000_000 - 7 * i).collect::<Vec<_>>());
            // A progression but for one value, and one only modulo 2^64.
            for odd in [1, 7, len - 1] {
                check(&(0..len).map(|i| 3 * i + i64::from(i == odd)).collect::<Vec<_>>());
            }
            check(&(0..len).map(|i| (i << 60).wrapping_mul(5)).collect::<Vec<_>>());
            check(&(0..len).map(|i| (i << 55) - (1 << 62)).collect::<Vec<_>>());
            // The whole span of an i64.
            check(&(0..len).map(|i| if i % 3 == 0 { i64::MAX } else { i64::MIN + i }).collect::<Vec<_>>());
        }
        assert_eq!(extension(&[5], &[]), E::from_u64(5));
        assert_eq!(extension(&[5, 6], &[]), E::from_u64(5), "nothing beyond the point");
    }
}
