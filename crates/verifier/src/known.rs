//! Vectors that the verifier has itself: what a proof claims of them needs no opening.

use std::sync::Arc;
use veritune_argument::{AxisWeight, Part};
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_field::{E, F};

/// A vector that is zero but for some runs of slots: most of a first state is zero (moments, and one factor of each
/// adapter), and is not kept.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// First slot and values, by rising slot; they do not overlap.
    runs: Vec<(usize, Vec<F>)>,
}

impl From<Vec<F>> for Known {
    /// A vector in one run.
    fn from(values: Vec<F>) -> Self {
        Self { runs: vec![(0, values)] }
    }
}

impl Known {
    /// A vector of these runs, which do not overlap.
    pub fn new(mut runs: Vec<(usize, Vec<F>)>) -> Self {
        runs.retain(|(_, values)| !values.is_empty());
        runs.sort_by_key(|(first, _)| *first);
        Self { runs }
    }

    /// What a functional weighs in the vector of a place: the part of the target that needs no opening.
    pub fn value(&self, parts: &[Part], place: usize) -> E {
        let value = |part: &Part| {
            let axes: Vec<Axis> = part.axes.iter().map(Axis::new).collect();
            part.scale * self.weighted(&axes, part.offset)
        };
        parts.iter().filter(|p| p.place == place).map(value).sum()
    }

    /// What runs hold of the `len` slots from `first` on: slots since `first`, and values.
    fn slots(&self, first: usize, len: usize) -> impl Iterator<Item = (usize, &[F])> {
        let end = first.saturating_add(len);
        let from = self.runs.partition_point(|(start, values)| start.saturating_add(values.len()) <= first);
        let runs = self.runs.iter().skip(from).take_while(move |(start, _)| *start < end);
        runs.filter_map(move |(start, values)| {
            let skipped = first.saturating_sub(*start);
            let until = values.len().min(end.saturating_sub(*start));
            Some((start.saturating_sub(first), values.get(skipped..until)?))
        })
    }

    /// `sum of product of axis weights * value of the slot` over the slots of a block, outermost axis first.
    fn weighted(&self, axes: &[Axis], offset: usize) -> E {
        let Some((axis, inner)) = axes.split_first() else {
            return self.slots(offset, 1).filter_map(|(_, values)| values.first()).map(|&x| E::from(x)).sum();
        };
        let log: usize = inner.iter().map(|axis| axis.log).sum();
        let stride = u32::try_from(log).ok().and_then(|log| 1_usize.checked_shl(log)).unwrap_or(0);
        let first = offset.saturating_add(axis.start.saturating_mul(stride));
        let mut slots = self.slots(first, axis.weights.len().saturating_mul(stride));
        if slots.all(|(_, values)| values.iter().all(|&x| x == F::ZERO)) {
            return E::ZERO;
        }
        if inner.is_empty() {
            let weights = |at: usize| axis.weights.iter().skip(at);
            let run = |(at, values): (usize, &[F])| weights(at).zip(values).map(|(&w, &x)| w * x).sum::<E>();
            return self.slots(first, axis.weights.len()).map(run).sum();
        }
        let rows = axis.weights.iter().enumerate();
        rows.map(|(i, &w)| w * self.weighted(inner, first.saturating_add(i.saturating_mul(stride)))).sum()
    }
}

/// An axis with its weights from the first index on.
struct Axis {
    log: usize,
    start: usize,
    weights: Arc<Vec<E>>,
}

impl Axis {
    fn new(axis: &AxisWeight) -> Self {
        let (start, weights) = axis.expanded();
        Self { log: axis.log(), start, weights }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use veritune_field::eq_table;

    fn element(i: u64) -> E {
        E::from_u64(1_000_003 * (i + 7)) * E::from_u64(i + 3)
    }

    #[test]
    fn empty_runs_hide_nothing() {
        let values: Vec<F> = (1..18).map(F::from_usize).collect();
        let known = Known::new(vec![(64, Vec::new()), (64, values.clone()), (64, Vec::new()), (70, Vec::new())]);
        for (at, &value) in (64..).zip(&values) {
            let part = Part { place: 1, offset: at, axes: Vec::new(), scale: E::ONE };
            assert_eq!(known.value(&[part], 1), E::from(value));
        }
    }

    #[test]
    fn runs_weigh_as_the_whole_vector_does() {
        let mut whole = vec![F::ZERO; 200];
        let runs: Vec<(usize, Vec<F>)> = [(64, 17), (0, 5), (81, 30), (190, 10)]
            .map(|(first, len)| (first, (first..first + len).map(|i| F::from_usize(i * i + 1)).collect()))
            .to_vec();
        for (first, values) in &runs {
            whole[*first..first + values.len()].copy_from_slice(values);
        }
        let (known, whole) = (Known::new(runs), Known::from(whole));
        let axis = |log: usize, start, len, seed| {
            let weights: Vec<E> = (0..log as u64).map(|i| element(seed + i)).collect();
            AxisWeight::Dense { log, start, values: Arc::new(eq_table(&weights)[..len].to_vec()) }
        };
        let mut is_zero = 0;
        for offset in [0, 8, 16, 64, 72, 96, 128, 184, 192, 200] {
            for axes in [
                vec![],
                vec![axis(3, 0, 8, 5)],
                vec![axis(3, 2, 5, 9)],
                vec![axis(4, 1, 11, 1), axis(3, 1, 6, 2)],
                vec![axis(2, 0, 3, 1), axis(1, 0, 2, 4), axis(2, 1, 3, 2)],
            ] {
                let part = Part { place: 1, offset, axes, scale: element(offset as u64) };
                let value = known.value(std::slice::from_ref(&part), 1);
                assert_eq!(value, whole.value(std::slice::from_ref(&part), 1), "{part:?}");
                assert_eq!(known.value(&[part], 0), E::ZERO);
                is_zero += u32::from(value == E::ZERO);
            }
        }
        assert!((5..25).contains(&is_zero), "{is_zero}");
    }
}
