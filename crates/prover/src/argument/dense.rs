//! The joint functional as dense weights.
//!
//! A slot's weight is a product over axes, so every row of the innermost axis is one multiple of one table. Rows are
//! added in registers, chunk by chunk.

use crate::commit::BlockVector;
use crate::commit::block_vector::{BLOCK, store};
use crate::lane::{Factor, LANES, PackedE, Packing, pack, scaled};
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;
use veritune_argument::{AxisWeight, Part};
use veritune_field::traits::{PackedFieldExtension, PackedValue, PrimeCharacteristicRing};
use veritune_field::{E, F, eq_table};

/// Slots whose weights a thread makes at a time.
const CHUNK: usize = 1 << 10;
/// Variables of the shortest row that a point's table is cut into.
const SHORT_LOG: usize = 6;

/// Weights of an axis, from the first index on.
struct Axis {
    log: usize,
    start: usize,
    values: Arc<Vec<E>>,
}

/// A part with its axes expanded; the innermost one in registers too, if it begins at a whole one.
struct Expanded {
    offset: usize,
    scale: E,
    axes: Vec<Axis>,
    lanes: Option<Arc<Vec<PackedE>>>,
}

/// Tables in registers, by the address of the table that they are made of, which lives as long.
type Packed = HashMap<*const Vec<E>, Arc<Vec<PackedE>>>;

fn expand(part: &Part, packed: &mut Packed) -> Expanded {
    let mut axes = Vec::new();
    for weight in &part.axes {
        match weight {
            AxisWeight::Dense { log, start, values } => {
                axes.push(Axis { log: *log, start: *start, values: Arc::clone(values) })
            }
            // A product over two parts of the point, so that neither table is long, unless the run of weights would cut
            // rows or leave them short.
            AxisWeight::Eq { log, start, len, point } => {
                let whole_rows = (start | len).trailing_zeros() as usize;
                let half = point.len().div_ceil(2).max(SHORT_LOG);
                let low = if whole_rows < SHORT_LOG { 0 } else { half.min(whole_rows).min(point.len()) };
                let (outer, inner) = point.split_at(point.len() - low);
                if *log > low || low == 0 {
                    let mut values = eq_table(outer);
                    values.truncate(len >> low);
                    axes.push(Axis { log: log - low, start: start >> low, values: Arc::new(values) });
                }
                if low > 0 {
                    axes.push(Axis { log: low, start: 0, values: Arc::new(eq_table(inner)) });
                }
            }
        }
    }
    if axes.is_empty() {
        axes.push(Axis { log: 0, start: 0, values: Arc::new(vec![E::ONE]) });
    }
    let inner = &axes[axes.len() - 1];
    // A row is a slice of its chunk unless chunks cut it, and they cut at whole registers.
    let aligned = |n: usize| n.is_multiple_of(Packing::WIDTH);
    let rows_align = axes.len() == 1 || aligned(1 << inner.log);
    let long = inner.values.len() >= Packing::WIDTH;
    let lanes = (long && rows_align && aligned(part.offset + inner.start)).then(|| {
        let make = || Arc::new(pack_padded(&inner.values));
        Arc::clone(packed.entry(Arc::as_ptr(&inner.values)).or_insert_with(make))
    });
    Expanded { offset: part.offset, scale: part.scale, axes, lanes }
}

/// The values in registers, the last one filled with zeros.
fn pack_padded(values: &[E]) -> Vec<PackedE> {
    let mut padded = values.to_vec();
    padded.resize(values.len().next_multiple_of(Packing::WIDTH), E::ZERO);
    pack(&padded)
}

/// The weights of a chunk of slots: in registers, and those of rows that do not begin at a whole one.
struct Chunk {
    lanes: Vec<PackedE>,
    single: Vec<E>,
    any_single: bool,
}

impl Chunk {
    /// The sums as blocks; the singles are cleared.
    fn blocks(&mut self) -> [F; 3 * CHUNK] {
        if self.any_single {
            for (lane, single) in self.lanes.iter_mut().zip(self.single.chunks_exact(LANES)) {
                *lane += PackedE::from_ext_slice(single);
            }
            self.single.fill(E::ZERO);
            self.any_single = false;
        }
        let mut words = [F::ZERO; 3 * CHUNK];
        for (block, &lane) in words.as_chunks_mut::<BLOCK>().0.iter_mut().zip(&self.lanes) {
            store(block, lane);
        }
        words
    }
}

impl Expanded {
    /// Slots from the first to after the last that may have a weight.
    fn len(&self) -> usize {
        let inner: usize = self.axes[1..].iter().map(|a| a.log).sum();
        (self.axes[0].start + self.axes[0].values.len()) << inner
    }

    /// Adds the weights of slots `from .. to` of the block, which begin at slot `at` of the chunk.
    fn add(&self, from: usize, to: usize, at: usize, chunk: &mut Chunk) {
        self.rows(&self.axes, self.scale, from, to, at, chunk);
    }

    fn rows(&self, axes: &[Axis], scale: E, from: usize, to: usize, at: usize, chunk: &mut Chunk) {
        let Some((axis, inner)) = axes.split_first() else {
            return;
        };
        if inner.is_empty() {
            let first = from.max(axis.start);
            let last = to.min(axis.start + axis.values.len());
            if first < last {
                let at = at + first - from;
                self.row(scale, first - axis.start, last - first, at, chunk);
            }
            return;
        }
        let log: usize = inner.iter().map(|a| a.log).sum();
        let first_row = (from >> log).max(axis.start);
        let last_row = to.div_ceil(1 << log).min(axis.start + axis.values.len());
        for row in first_row..last_row {
            let (low, high) = ((row << log).max(from), ((row + 1) << log).min(to));
            let scale = scale * axis.values[row - axis.start];
            let origin = row << log;
            self.rows(inner, scale, low - origin, high - origin, at + low - from, chunk);
        }
    }

    /// Adds `scale` times values `first .. first + count` of the innermost axis from slot `at` on.
    fn row(&self, scale: E, first: usize, count: usize, at: usize, chunk: &mut Chunk) {
        if let Some(lanes) = &self.lanes
            && first.is_multiple_of(Packing::WIDTH)
        {
            let scale = Factor::new(scale);
            let count = count.div_ceil(Packing::WIDTH);
            let values = &lanes[first / Packing::WIDTH..][..count];
            for (out, value) in chunk.lanes[at / Packing::WIDTH..].iter_mut().zip(values) {
                *out += scaled(&scale, value);
            }
            return;
        }
        let values = &self.axes[self.axes.len() - 1].values[first..first + count];
        chunk.any_single = true;
        for (out, &value) in chunk.single[at..].iter_mut().zip(values) {
            *out += scale * value;
        }
    }
}

/// The weights that `parts` put on the slots of a place; `len` slots, the rest zero.
pub fn dense_weights(parts: &[Part], place: usize, len: usize) -> BlockVector {
    let mut packed = Packed::new();
    let mut expanded: Vec<Expanded> =
        parts.iter().filter(|p| p.place == place).map(|part| expand(part, &mut packed)).collect();
    expanded.sort_by_key(|p| p.offset);
    let longest = expanded.iter().map(Expanded::len).max().unwrap_or(0);
    let chunk = || Chunk { lanes: vec![PackedE::ZERO; CHUNK / LANES], single: vec![E::ZERO; CHUNK], any_single: false };
    let make = |chunk: &mut Chunk, from: usize| {
        let end = (from + CHUNK).min(len);
        chunk.lanes.fill(PackedE::ZERO);
        // Parts are sorted by offset; none is longer than the longest.
        let first = expanded.partition_point(|p| p.offset + longest <= from);
        for part in expanded[first..].iter().take_while(|p| p.offset < end) {
            let stop = (part.offset + part.len()).min(end);
            let start = part.offset.max(from);
            if start < stop {
                let own = |slot: usize| slot - part.offset;
                part.add(own(start), own(stop), start - from, chunk);
            }
        }
        chunk.blocks()
    };
    let chunks = (0..len.div_ceil(CHUNK)).into_par_iter().map_init(chunk, |chunk, i| make(chunk, i * CHUNK));
    BlockVector::from_blocks(chunks.collect::<Vec<_>>().into_flattened(), len)
}
