//! Witness vector and multiplicities of a program's tensors.

use super::leaves::rows::{Axes, Linear};
use crate::zeros::zeros;
use rayon::prelude::*;
use std::collections::HashMap;
use std::ops::Range;
use veritune_argument::{NUM_PLACES, is_one_hot, whole_axes};
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_field::{F, f_from_i64};
use veritune_relations::layout::{Layout, limb_widths, place_index, row_starts};
use veritune_relations::{Lookup, Place, Program, Table, TableId, TensorId};

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

/// The values of every tensor.
pub(super) fn slices<T: AsRef<[i64]>>(tensors: &[T]) -> Vec<&[i64]> {
    tensors.iter().map(AsRef::as_ref).collect()
}

/// Counts how often every table row is looked up. Values outside their table are not counted: the proof of such
/// a witness is refused.
pub fn multiplicities<T: AsRef<[i64]>>(program: &Program, tensors: &[T]) -> Multiplicities {
    let tensors = &slices(tensors);
    let indices: Vec<RowIndex> = program.tables.iter().map(RowIndex::new).collect();
    let limbed: Vec<(TensorId, Vec<u32>)> =
        (0..program.tensors.len()).map(TensorId).filter_map(|t| limbs_of(program, t).map(|w| (t, w))).collect();
    // One histogram per thread, of its share of every tensor and of every lookup's rows.
    let shares = rayon::current_num_threads();
    let share = |len: usize, i: usize| len * i / shares..len * (i + 1) / shares;
    let count = |i: usize| {
        let mut counts = Multiplicities::none(program);
        for (tensor, widths) in &limbed {
            let values = &tensors[tensor.0];
            count_limbs(program, *tensor, widths, &values[share(values.len(), i)], &mut counts.range);
        }
        for lookup in &program.lookups {
            count_lookup(program, tensors, lookup, &indices, |len| share(len, i), &mut counts);
        }
        counts
    };
    (0..shares)
        .into_par_iter()
        .map(count)
        .reduce_with(Multiplicities::plus)
        .unwrap_or_else(|| Multiplicities::none(program))
}

impl Multiplicities {
    fn none(program: &Program) -> Self {
        let tables = program.tables.iter().map(|t| vec![0; t.columns[0].len()]).collect();
        Self { range: vec![0; 2 << program.range_bits], tables }
    }

    fn plus(mut self, other: Self) -> Self {
        let add = |to: &mut Vec<u32>, from: Vec<u32>| to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        add(&mut self.range, other.range);
        self.tables.iter_mut().zip(other.tables).for_each(|(to, from)| add(to, from));
        self
    }
}

fn count_limbs(program: &Program, tensor: TensorId, widths: &[u32], values: &[i64], counts: &mut [u32]) {
    let minimum = program.tensor(tensor).range.min();
    for (index, &width) in widths.iter().enumerate() {
        for &value in values {
            let limb = limb(value, minimum, index, widths.len(), program.range_bits);
            if let Some(row) = range_row(limb, width) {
                counts[row] += 1;
            }
        }
    }
}

/// Counts a lookup on the rows of its innermost axis that `share` takes of their number.
fn count_lookup(
    program: &Program,
    tensors: &[&[i64]],
    lookup: &Lookup,
    indices: &[RowIndex],
    share: impl Fn(usize) -> Range<usize>,
    counts: &mut Multiplicities,
) {
    let whole = whole_axes(program, &lookup.axes);
    let axes = Axes::new(program, &whole);
    let linear = |column| Linear::new(program, tensors, &whole, column);
    let linears: Vec<Linear<'_>> = lookup.columns.iter().map(linear).collect();
    let mask = lookup.mask.as_ref().map(|view| Linear::view(program, tensors, &whole, view));
    let (inner, _) = axes.inner();
    let mut columns = vec![vec![0; inner]; linears.len()];
    let mut active = vec![1; inner];
    for row in share(axes.num_rows()) {
        let row = axes.padded_row(row);
        for (linear, column) in linears.iter().zip(&mut columns) {
            linear.write_exact(row, column);
        }
        if let Some(mask) = &mask {
            mask.write_exact(row, &mut active);
        }
        for at in (0..inner).filter(|&at| active[at] != 0) {
            match lookup.table {
                TableId::Range(width) => {
                    if let Some(row) = range_row(columns[0][at], width) {
                        counts.range[row] += 1;
                    }
                }
                TableId::Table(t) => {
                    if let Some(row) = indices[t].find(&program.tables[t], &columns, at) {
                        counts.tables[t][row] += 1;
                    }
                }
            }
        }
    }
}

/// The vector of a place, by its [`place_index`]: tensors (limbs, for the witness) at their offsets, zero elsewhere. A
/// tensor without values is zero.
pub fn place_vector(program: &Program, layout: &Layout, tensors: &[&[i64]], place: usize) -> Vec<F> {
    // Room for what a commitment adds, so that the vector need not move.
    let mut vector = zeros(layout.used[place].next_power_of_two());
    vector.truncate(layout.used[place]);
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
        let starts = row_starts(program, tensor);
        for (row, start) in data.chunks((data.len() / starts.len()).max(1)).zip(starts) {
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
pub fn witness_vector<T: AsRef<[i64]>>(
    program: &Program,
    layout: &Layout,
    tensors: &[T],
    multiplicities: &Multiplicities,
) -> Vec<F> {
    let mut vector = place_vector(program, layout, &slices(tensors), 0);
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
pub fn place_vectors<T: AsRef<[i64]>>(
    program: &Program,
    layout: &Layout,
    tensors: &[T],
    multiplicities: &Multiplicities,
) -> [Vec<F>; NUM_PLACES] {
    std::array::from_fn(|place| match place {
        0 => witness_vector(program, layout, tensors, multiplicities),
        _ => place_vector(program, layout, &slices(tensors), place),
    })
}
