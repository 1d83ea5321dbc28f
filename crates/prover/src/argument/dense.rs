//! The joint functional as dense weights.

use rayon::prelude::*;
use std::sync::Arc;
use veritune_argument::{AxisWeight, NUM_PLACES, Part, eq_table};
use veritune_field::E;
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_relations::layout::Layout;

/// A part with every axis as (first index, values).
struct Expanded {
    offset: usize,
    scale: E,
    axes: Vec<(usize, usize, Arc<Vec<E>>)>,
}

fn expand(part: &Part) -> Expanded {
    let axis = |weight: &AxisWeight| match weight {
        AxisWeight::Dense { log, start, values } => (*log, *start, Arc::clone(values)),
        AxisWeight::Eq(point) => (point.len(), 0, Arc::new(eq_table(point))),
    };
    let mut axes: Vec<_> = part.axes.iter().map(axis).collect();
    if axes.is_empty() {
        axes.push((0, 0, Arc::new(vec![E::ONE])));
    }
    Expanded {
        offset: part.offset,
        scale: part.scale,
        axes,
    }
}

impl Expanded {
    /// Slots from the first to after the last that may have a weight.
    fn len(&self) -> usize {
        let inner: usize = self.axes[1..].iter().map(|a| a.0).sum();
        (self.axes[0].1 + self.axes[0].2.len()) << inner
    }

    /// Adds the weights of the slots `from .. from + out.len()` of the block.
    fn add(&self, from: usize, out: &mut [E]) {
        add(&self.axes, self.scale, from, out);
    }
}

fn add(axes: &[(usize, usize, Arc<Vec<E>>)], scale: E, from: usize, out: &mut [E]) {
    let Some(((_, start, values), inner)) = axes.split_first() else {
        return;
    };
    let log: usize = inner.iter().map(|a| a.0).sum();
    let size = 1usize << log;
    if inner.is_empty() {
        let skip = start.saturating_sub(from);
        let first = (from + skip).saturating_sub(*start);
        if skip < out.len() && first < values.len() {
            for (out, &value) in out[skip..].iter_mut().zip(&values[first..]) {
                *out += scale * value;
            }
        }
        return;
    }
    let end = from + out.len();
    let first_row = (from >> log).max(*start);
    let last_row = end.div_ceil(size).min(start + values.len());
    for row in first_row..last_row {
        let (low, high) = ((row << log).max(from), ((row + 1) << log).min(end));
        add(
            inner,
            scale * values[row - start],
            low - (row << log),
            &mut out[low - from..high - from],
        );
    }
}

/// The weights of every place, over the slots in use.
pub(super) fn weights(layout: &Layout, parts: &[Part]) -> [Vec<E>; NUM_PLACES] {
    const CHUNK: usize = 1 << 13;
    std::array::from_fn(|place| {
        let mut weights = vec![E::ZERO; layout.used[place]];
        let mut expanded: Vec<Expanded> = parts
            .iter()
            .filter(|p| p.place == place)
            .map(expand)
            .collect();
        expanded.sort_by_key(|p| p.offset);
        let longest = expanded.iter().map(Expanded::len).max().unwrap_or(0);
        weights
            .par_chunks_mut(CHUNK)
            .enumerate()
            .for_each(|(i, out)| {
                let from = i * CHUNK;
                let end = from + out.len();
                // Parts are sorted by offset; none is longer than the longest.
                let first = expanded.partition_point(|p| p.offset + longest <= from);
                for part in expanded[first..].iter().take_while(|p| p.offset < end) {
                    let stop = (part.offset + part.len()).min(end);
                    let start = part.offset.max(from);
                    if start < stop {
                        part.add(start - part.offset, &mut out[start - from..stop - from]);
                    }
                }
            });
        weights
    })
}
