//! The leaves of the lookups, made run by run where the fractions read them.

pub(super) mod rows;

use super::channel::Channel;
use super::fractions::{Chunk, Leaves, RUN, Run, VALUE_BITS, Values};
use super::witness::{limb, limbs_of};
use rows::{Axes, Linear};
use std::collections::BTreeMap;
use veritune_argument::leaves::{LeafPoint, tag};
use veritune_argument::lookups::Fingerprint;
use veritune_argument::{BlockKind, Labels, LeafBlock, Plan, public_sum};
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_field::{E, F, f_from_i64};
use veritune_relations::layout::Layout;
use veritune_relations::{Place, Program, Table};

/// What makes the leaves of a block, padded indices included.
enum Source<'a> {
    Limb {
        axes: Axes,
        values: &'a [i64],
        limb: Limb,
    },
    Lookup {
        axes: Axes,
        columns: Vec<Linear<'a>>,
        mask: Option<Linear<'a>>,
    },
    /// Counts of all rows.
    RangeTable(&'a [F]),
    /// Counts of the rows of the table.
    Table(&'a Table, &'a [F]),
}

/// Which limb of a tensor's values.
struct Limb {
    minimum: i64,
    index: usize,
    count: usize,
    range_bits: u32,
}

/// A block: `constant` is alpha minus the tag.
struct Block<'a> {
    offset: usize,
    len: usize,
    constant: E,
    source: Source<'a>,
}

/// A run of a block: numerators, columns, and a column without a power of beta.
struct General {
    numerators: [F; RUN],
    columns: Vec<[F; RUN]>,
    tags: [F; RUN],
}

impl General {
    fn new(columns: usize) -> Self {
        Self { numerators: [F::ZERO; RUN], columns: vec![[F::ZERO; RUN]; columns], tags: [F::ZERO; RUN] }
    }

    /// Entry `i` as a fraction.
    fn fraction(&self, i: usize, constant: E, beta: E) -> (E, E) {
        let mut denominator = constant - self.tags[i];
        for (power, column) in beta.powers().skip(1).zip(&self.columns) {
            denominator -= power * column[i];
        }
        (E::from(self.numerators[i]), denominator)
    }
}

/// Entries of padded rows that a run covers: padded row, first entry of it, and where they lie in the run.
fn pieces(axes: &Axes, start: usize, len: usize) -> impl Iterator<Item = (usize, usize, std::ops::Range<usize>)> {
    let (_, log) = axes.inner();
    let piece = len.min(1 << log);
    (0..len / piece).map(move |i| {
        let first = start + i * piece;
        (first >> log, first & ((1 << log) - 1), i * piece..(i + 1) * piece)
    })
}

/// Small integers and numerators that are all equal, if they are.
fn small(integers: &[i64; RUN], numerators: &[bool; RUN], values: &mut Values) -> Option<bool> {
    let all = integers.iter().fold(0, |all, &x| all | x.cast_unsigned());
    let ones = numerators.iter().filter(|&&n| n).count();
    if all >> VALUE_BITS != 0 || !(ones == 0 || ones == RUN) {
        return None;
    }
    for (value, &integer) in values.iter_mut().zip(integers) {
        *value = integer as u32;
    }
    Some(ones == RUN)
}

impl<'a> Block<'a> {
    fn new(
        program: &'a Program,
        layout: &Layout,
        block: &LeafBlock,
        alpha: E,
        tensors: &'a [&'a [i64]],
        witness: &'a [F],
    ) -> Self {
        let (offset, len) = (block.offset, 1 << block.log_len());
        let (tag, source) = match block.kind {
            BlockKind::Limb { tensor, limb: index, width } => {
                let t = program.tensor(tensor);
                let count = limbs_of(program, tensor).map_or(1, |w| w.len());
                let limb = Limb { minimum: t.range.min(), index, count, range_bits: program.range_bits };
                let axes = Axes::new(program, &block.axes);
                (E::from_u32(width), Source::Limb { axes, values: tensors[tensor.0], limb })
            }
            BlockKind::Lookup(index) => {
                let lookup = &program.lookups[index];
                let columns = lookup.columns.iter().map(|c| Linear::new(program, tensors, &block.axes, c)).collect();
                let mask = lookup.mask.as_ref().map(|view| Linear::view(program, tensors, &block.axes, view));
                let source = Source::Lookup { axes: Axes::new(program, &block.axes), columns, mask };
                (E::from_u64(tag(program, lookup.table)), source)
            }
            BlockKind::RangeTable => (E::ZERO, Source::RangeTable(&witness[layout.range_multiplicities..][..len])),
            BlockKind::Table(index) => {
                let table = &program.tables[index];
                let counts = &witness[layout.table_multiplicities[index]..][..table.columns[0].len()];
                (E::from_u64(table.tag), Source::Table(table, counts))
            }
        };
        Self { offset, len, constant: alpha - tag, source }
    }

    /// The run from index `start` of the block on, if it is one of small integers and equal numerators.
    fn affine(&self, start: usize, values: &mut Values) -> Option<bool> {
        let (mut integers, mut numerators) = ([0; RUN], [false; RUN]);
        match &self.source {
            Source::Limb { axes, values: all, limb: of } => {
                let (inner, _) = axes.inner();
                for (row, from, place) in pieces(axes, start, RUN) {
                    let count = place.len().min(inner.saturating_sub(from));
                    let Some(start) = axes.start(row).filter(|_| count > 0) else {
                        continue;
                    };
                    let row = &all[start + from..][..count];
                    for (out, &value) in integers[place.clone()].iter_mut().zip(row) {
                        *out = limb(value, of.minimum, of.index, of.count, of.range_bits);
                    }
                    numerators[place][..count].fill(true);
                }
            }
            Source::Lookup { axes, columns, mask } => {
                let [column] = &columns[..] else {
                    return None;
                };
                for (row, from, place) in pieces(axes, start, RUN) {
                    if !column.write(row, from, &mut integers[place.clone()]) {
                        return None;
                    }
                    write_numerators(axes, mask.as_ref(), row, from, &mut numerators[place]);
                }
            }
            Source::RangeTable(_) | Source::Table(..) => return None,
        }
        small(&integers, &numerators, values)
    }

    /// `len` entries from index `start` of the block on.
    fn general(&self, start: usize, len: usize) -> General {
        match &self.source {
            Source::Limb { axes, values: all, limb: of } => {
                let mut run = General::new(1);
                let (inner, _) = axes.inner();
                for (row, from, place) in pieces(axes, start, len) {
                    let count = place.len().min(inner.saturating_sub(from));
                    let Some(start) = axes.start(row).filter(|_| count > 0) else {
                        continue;
                    };
                    let row = &all[start + from..][..count];
                    for (out, &value) in run.columns[0][place.clone()].iter_mut().zip(row) {
                        *out = f_from_i64(limb(value, of.minimum, of.index, of.count, of.range_bits));
                    }
                    run.numerators[place][..count].fill(F::ONE);
                }
                run
            }
            Source::Lookup { axes, columns, mask } => {
                let mut run = General::new(columns.len());
                for (row, from, place) in pieces(axes, start, len) {
                    for (column, out) in columns.iter().zip(&mut run.columns) {
                        column.write_field(row, from, &mut out[place.clone()]);
                    }
                    let mut numerators = [false; RUN];
                    write_numerators(axes, mask.as_ref(), row, from, &mut numerators[place.clone()]);
                    for i in place {
                        run.numerators[i] = F::from_bool(numerators[i]);
                    }
                }
                run
            }
            Source::RangeTable(counts) => {
                let mut run = General::new(1);
                // Row 2^w + x is (w, x); rows 0 and 1 are no rows.
                for (i, row) in (start..start + len).enumerate().filter(|&(_, row)| row > 1) {
                    run.tags[i] = F::from_u32(row.ilog2());
                    run.columns[0][i] = F::from_usize(row - (1 << row.ilog2()));
                    run.numerators[i] = -counts[row];
                }
                run
            }
            Source::Table(table, counts) => {
                let mut run = General::new(table.columns.len());
                for (i, row) in (start..(start + len).min(counts.len())).enumerate() {
                    for (out, column) in run.columns.iter_mut().zip(table.columns.iter()) {
                        out[i] = f_from_i64(column[row]);
                    }
                    run.numerators[i] = -counts[row];
                }
                run
            }
        }
    }

    /// The run from index `start` of the block on.
    fn run(&self, start: usize, beta: E, values: &mut Values) -> Chunk {
        if let Some(is_one) = self.affine(start, values) {
            return Chunk::Affine { constant: self.constant, is_one };
        }
        let run = self.general(start, RUN);
        let columns =
            std::iter::once(E::ONE).chain(beta.powers().skip(1)).zip([&run.tags].into_iter().chain(&run.columns));
        let fractions = [Run::base(&run.numerators), Run::minus(self.constant, columns)];
        Chunk::General(Box::new(fractions))
    }
}

/// Whether entries `from ..` of a padded row are looked up.
fn write_numerators(axes: &Axes, mask: Option<&Linear<'_>>, row: usize, from: usize, out: &mut [bool]) {
    let count = out.len().min(axes.inner().0.saturating_sub(from));
    if axes.start(row).is_none() {
        return;
    }
    let out = &mut out[..count];
    let Some(mask) = mask else {
        out.fill(true);
        return;
    };
    let mut values = [0; RUN];
    mask.write(row, from, &mut values[..count]);
    for (out, value) in out.iter_mut().zip(values) {
        *out = value != 0;
    }
}

/// All leaves of the program.
pub(super) fn leaves(
    program: &Program,
    layout: &Layout,
    plan: &Plan,
    fingerprint: Fingerprint,
    tensors: &[&[i64]],
    witness: &[F],
) -> Leaves {
    let Fingerprint { alpha, beta } = fingerprint;
    let make = |b: &LeafBlock| Block::new(program, layout, b, alpha, tensors, witness);
    let (long, short): (Vec<Block<'_>>, Vec<Block<'_>>) = plan.blocks.iter().map(make).partition(|b| b.len >= RUN);
    // Blocks of less than a run share runs.
    let mut shared: BTreeMap<usize, ([E; RUN], [E; RUN])> = BTreeMap::new();
    for block in &short {
        let run = block.general(0, block.len);
        let zeros = ([E::ZERO; RUN], [E::ONE; RUN]);
        let (p, q) = shared.entry(block.offset / RUN).or_insert(zeros);
        for i in 0..block.len {
            let at = block.offset % RUN + i;
            (p[at], q[at]) = run.fraction(i, block.constant, beta);
        }
    }
    Leaves::new(&plan.units, beta, |position, values| {
        let after = long.partition_point(|block| block.offset <= position);
        if let Some(block) = long[..after].last().filter(|block| position < block.offset + block.len) {
            return block.run(position - block.offset, beta, values);
        }
        if let Some((p, q)) = shared.get(&(position / RUN)) {
            return Chunk::General(Box::new([Run::from_fn(|i| p[i]), Run::from_fn(|i| q[i])]));
        }
        Chunk::Affine { constant: E::ONE, is_one: false }
    })
}

/// Sends the values of base tensors in looked-up columns at the point of the leaves.
pub(super) fn send_base_values<C: Channel>(
    program: &Program,
    tensors: &[&[i64]],
    plan: &Plan,
    point: &[E],
    channel: &mut C,
) {
    let point = plan.units.stack_point(point);
    let mut at = LeafPoint::new(&point);
    for block in &plan.blocks {
        let BlockKind::Lookup(index) = block.kind else {
            continue;
        };
        let lookup = &program.lookups[index];
        let weights = at.weights(block);
        for view in lookup.columns.iter().flatten().filter_map(|t| t.factors.first()) {
            if program.tensor(view.tensor).place == Place::Base {
                let mut known = program.clone();
                known.tensors[view.tensor.0].values = Some(tensors[view.tensor.0].to_vec());
                let value = public_sum(&known, view.tensor, &weights.view(program, view));
                channel.send_public(Labels::LOOKUP_BASE, value);
            }
        }
    }
}
