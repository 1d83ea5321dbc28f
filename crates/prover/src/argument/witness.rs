//! Witness vector and multiplicities of a program's tensors.

use super::expression;
use rayon::prelude::*;
use std::collections::HashMap;
use veritune_argument::{NUM_PLACES, is_one_hot};
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_field::{F, f_from_i64};
use veritune_relations::layout::{Layout, limb_widths, place_index, strides};
use veritune_relations::{Place, Program, Table, TableId, TensorId};

/// How often each table row is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multiplicities {
    /// Per row of the range table.
    pub range: Vec<u32>,
    /// Per table and row.
    pub tables: Vec<Vec<u32>>,
}

/// The limb of `value - minimum`; the top limb keeps whatever is left, so that limbs always recombine.
pub(super) fn limb(value: i64, minimum: i64, index: usize, count: usize, range_bits: u32) -> i64 {
    let shifted = value.wrapping_sub(minimum) >> (range_bits as usize * index).min(63);
    if index + 1 == count { shifted } else { shifted & ((1 << range_bits) - 1) }
}

/// Whether a tensor is stored as range-checked limbs, and then the widths of its limbs.
pub(super) fn limbs_of(program: &Program, tensor: TensorId) -> Option<Vec<u32>> {
    let t = program.tensor(tensor);
    (t.place == Place::Witness && !t.range_by_other && !is_one_hot(program, tensor))
        .then(|| limb_widths(t.range.bits, program.range_bits))
}

/// Finds rows of a table.
enum RowIndex {
    /// The first column counts up from this value.
    Counting(i64),
    /// Any rows.
    Hashed(HashMap<Vec<i64>, usize>),
}

impl RowIndex {
    fn new(table: &Table) -> Self {
        let first = &table.columns[0];
        let start = first.first().copied().unwrap_or(0);
        if first.iter().enumerate().all(|(i, &v)| v == start.wrapping_add(i as i64)) {
            return Self::Counting(start);
        }
        let row = |i: usize| table.columns.iter().map(|c| c[i]).collect();
        Self::Hashed((0..first.len()).rev().map(|i| (row(i), i)).collect())
    }
    /// The row; none if the columns are no row.
    fn find(&self, table: &Table, columns: &[Vec<i64>], at: usize) -> Option<usize> {
        match self {
            Self::Counting(start) => {
                let row = usize::try_from(columns[0][at].wrapping_sub(*start)).ok()?;
                let same = |(t, c): (&Vec<i64>, &Vec<i64>)| t.get(row) == Some(&c[at]);
                table.columns.iter().zip(columns).all(same).then_some(row)
            }
            Self::Hashed(rows) => {
                let key: Vec<i64> = columns.iter().map(|c| c[at]).collect();
                rows.get(&key).copied()
            }
        }
    }
}

/// The row of the range table of `value` at `width`, if it has one.
fn range_row(value: i64, width: u32) -> Option<usize> {
    let value = usize::try_from(value).ok()?;
    (value >> width == 0).then_some((1 << width) + value)
}

/// Counts how often every table row is looked up. Values outside their table are not counted: the proof of such
/// a witness is refused.
pub fn multiplicities(program: &Program, tensors: &[Vec<i64>]) -> Multiplicities {
    let num_range_rows = 2usize << program.range_bits;
    let mut range = vec![0u32; num_range_rows];
    let limbed: Vec<(TensorId, Vec<u32>)> =
        (0..program.tensors.len()).map(TensorId).filter_map(|t| limbs_of(program, t).map(|w| (t, w))).collect();
    let count_tensor = |mut counts: Vec<u32>, (tensor, widths): &(TensorId, Vec<u32>)| {
        let minimum = program.tensor(*tensor).range.min();
        for (index, &width) in widths.iter().enumerate() {
            for &value in &tensors[tensor.0] {
                let limb = limb(value, minimum, index, widths.len(), program.range_bits);
                if let Some(row) = range_row(limb, width) {
                    counts[row] += 1;
                }
            }
        }
        counts
    };
    let merge = |mut a: Vec<u32>, b: Vec<u32>| {
        a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        a
    };
    // One histogram per thread at most: tensors are split into as many groups.
    let group = limbed.len().div_ceil(rayon::current_num_threads()).max(1);
    let histograms: Vec<Vec<u32>> =
        limbed.par_chunks(group).map(|tensors| tensors.iter().fold(vec![0; num_range_rows], count_tensor)).collect();
    range = histograms.into_iter().fold(range, merge);
    let mut tables: Vec<Vec<u32>> = program.tables.iter().map(|t| vec![0; t.columns[0].len()]).collect();
    let indices: Vec<RowIndex> = program.tables.iter().map(RowIndex::new).collect();
    for lookup in &program.lookups {
        let columns: Vec<Vec<i64>> =
            lookup.columns.iter().map(|c| expression::evaluate(program, tensors, &lookup.axes, c)).collect();
        let mask = expression::mask(program, &lookup.axes, lookup.mask.as_ref());
        for at in (0..columns[0].len()).filter(|&at| mask.as_ref().is_none_or(|m| m[at] != 0)) {
            match lookup.table {
                TableId::Range(width) => {
                    if let Some(row) = range_row(columns[0][at], width) {
                        range[row] += 1;
                    }
                }
                TableId::Table(t) => {
                    if let Some(row) = indices[t].find(&program.tables[t], &columns, at) {
                        tables[t][row] += 1;
                    }
                }
            }
        }
    }
    Multiplicities { range, tables }
}

/// Calls `write(first padded slot of the row, row of values)` for every row of the innermost axis, in order.
pub(super) fn for_rows(program: &Program, tensor: TensorId, len: usize) -> Vec<usize> {
    let axes = &program.tensor(tensor).axes;
    let strides = strides(program, tensor);
    let inner = axes.last().map_or(1, |&a| program.axis(a).len);
    let mut starts = vec![0usize; len / inner];
    for (row, start) in starts.iter_mut().enumerate() {
        let mut rest = row;
        for i in (0..axes.len().saturating_sub(1)).rev() {
            let len = program.axis(axes[i]).len;
            *start += (rest % len) * strides[i];
            rest /= len;
        }
    }
    starts
}

/// The vector of a place: tensors (limbs, for the witness) at their offsets, zero elsewhere.
fn place_vector(program: &Program, layout: &Layout, tensors: &[Vec<i64>], place: usize) -> Vec<F> {
    let mut vector = vec![F::ZERO; layout.used[place]];
    // Blocks are disjoint: cut the vector at their offsets.
    let mut blocks = Vec::new();
    for (i, slot) in layout.slots.iter().enumerate() {
        if let Some(slot) = slot
            && place_index(program.tensors[i].place) == Some(place)
        {
            blocks.extend(slot.blocks.iter().enumerate().map(|(limb, b)| (b.offset, TensorId(i), limb)));
        }
    }
    blocks.sort_by_key(|(offset, _, _)| *offset);
    let mut rest = vector.as_mut_slice();
    let mut position = 0;
    let mut pieces = Vec::with_capacity(blocks.len());
    for (offset, tensor, limb) in blocks {
        let (piece, after) =
            rest.split_at_mut(offset - position).1.split_at_mut(veritune_relations::layout::block_len(program, tensor));
        position = offset + piece.len();
        rest = after;
        pieces.push((tensor, limb, piece));
    }
    pieces.into_par_iter().for_each(|(tensor, index, piece)| {
        let data = &tensors[tensor.0];
        let widths = limbs_of(program, tensor);
        let minimum = program.tensor(tensor).range.min();
        let starts = for_rows(program, tensor, data.len());
        for (row, start) in data.chunks(data.len() / starts.len().max(1)).zip(starts) {
            for (slot, &value) in piece[start..].iter_mut().zip(row) {
                *slot = match &widths {
                    Some(widths) => f_from_i64(limb(value, minimum, index, widths.len(), program.range_bits)),
                    None => f_from_i64(value),
                };
            }
        }
    });
    vector
}

/// The witness vector: limbs, values that other tables check, and multiplicities.
pub fn witness_vector(
    program: &Program,
    layout: &Layout,
    tensors: &[Vec<i64>],
    multiplicities: &Multiplicities,
) -> Vec<F> {
    let mut vector = place_vector(program, layout, tensors, 0);
    let mut write = |offset: usize, counts: &[u32]| {
        for (slot, &count) in vector[offset..].iter_mut().zip(counts) {
            *slot = F::from_u32(count);
        }
    };
    write(layout.range_multiplicities, &multiplicities.range);
    for (counts, &offset) in multiplicities.tables.iter().zip(&layout.table_multiplicities) {
        write(offset, counts);
    }
    vector
}

/// The vectors of all places.
pub fn place_vectors(
    program: &Program,
    layout: &Layout,
    tensors: &[Vec<i64>],
    multiplicities: &Multiplicities,
) -> [Vec<F>; NUM_PLACES] {
    std::array::from_fn(|place| match place {
        0 => witness_vector(program, layout, tensors, multiplicities),
        _ => place_vector(program, layout, tensors, place),
    })
}
