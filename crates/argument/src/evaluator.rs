//! What the weights of parts are at the opening's point.

use crate::axis_weight::AxisWeight;
use crate::eq::{eq_at, eq_window, log_of, log_u32, pow2};
use crate::functional::Part;
use std::collections::BTreeMap;
use std::sync::Arc;
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_field::{E, dot, eq_table};

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
    /// Whether it is a point.
    is_point: bool,
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
        let key = Window { values: Arc::as_ptr(values).addr(), is_point: false, from, len, low, log, first };
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
        let key = Window { values: Arc::as_ptr(point).addr(), is_point: true, from: 0, len, low, log, first };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eq::tests::point;

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
    fn a_long_axis_weighs_as_its_table_at_every_position() {
        let at = point(19, 77_777);
        let table = eq_table(&at);
        for len in (1000..=2100).step_by(7).chain([1023, 1024, 1025, 2047, 2048]) {
            for position in 0..3 {
                let (own, start) = (len + len % 300, len % 300 / 2);
                let coordinates = point(log_of(len), 1_000_003);
                let long = AxisWeight::run(log_of(own), 41, len, &coordinates).moved(log_of(own), start);
                let mut axes = vec![AxisWeight::run(2, 1, 2, &point(1, 5)), AxisWeight::run(2, 0, 3, &point(2, 9))];
                axes.insert(position, long);
                let part = Part { place: 0, offset: 0, axes, scale: E::TWO };
                // Three blocks in: aligned to the inner axes, not to the outermost one.
                let offset = 3 << part.log_alignment();
                let mut slots = vec![(0_usize, E::TWO)];
                for axis in &part.axes {
                    let (start, values) = axis.expanded();
                    let next = |&(slot, weight): &(usize, E)| {
                        let at = (slot << axis.log()) + start;
                        values.iter().enumerate().map(move |(i, &v)| (at + i, weight * v)).collect::<Vec<_>>()
                    };
                    slots = slots.iter().flat_map(next).collect();
                }
                let expected: E = slots.iter().filter_map(|&(s, w)| Some(w * *table.get(offset + s)?)).sum();
                let mut evaluator = Evaluator::new(&at);
                for _ in 0..2 {
                    assert_eq!(evaluator.part(&Part { offset, ..part.clone() }), expected, "{len} {position}");
                }
            }
        }
    }

    #[test]
    fn a_table_and_a_point_with_the_same_elements_weigh_differently() {
        let (at, shared) = (point(4, 77_777), Arc::new(point(2, 1_000_003)));
        let part = |axis| Part { place: 0, offset: 0, axes: vec![AxisWeight::single(2, 1), axis], scale: E::ONE };
        let table = part(AxisWeight::Dense { log: 2, start: 0, values: Arc::clone(&shared) });
        let point = part(AxisWeight::Eq { log: 2, start: 0, len: 2, point: shared });
        let mut evaluator = Evaluator::new(&at);
        assert_ne!(evaluator.part(&table), evaluator.part(&point));
        assert_eq!(evaluator.part(&point), Evaluator::new(&at).part(&point));
    }
}
