//! Weights along one axis of a block: a table, or a point whose `eq` they are.

use crate::eq::{eq_prefix, eq_window, pow2};
use std::sync::Arc;
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_field::{E, dot, eq_table};

/// Indices from which on the weights of an axis are kept as a point. By a count of products, not measured: a window of `eq`
/// takes about a dozen for each variable, a table one for each index, a register of them at a time.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eq::tests::point;

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
}
