//! The leaves of the lookups.

use super::channel::Channel;
use super::expression;
use super::fractions::Leaves;
use super::lane::{PackedE, Packing};
use super::witness::{limb, limbs_of};
use rayon::prelude::*;
use std::collections::BTreeMap;
use veritune_argument::leaves::{LeafPoint, tag};
use veritune_argument::lookups::Fingerprint;
use veritune_argument::{BlockKind, Labels, LeafBlock, Plan, public_sum};
use veritune_field::traits::{PackedFieldExtension, PackedValue, PrimeCharacteristicRing};
use veritune_field::{E, F, f_from_i64};
use veritune_relations::layout::Layout;
use veritune_relations::{AxisId, Place, Program, TensorId};

/// Columns of a block at padded indices, its numerators, and `alpha - tag`.
struct Block {
    constant: E,
    columns: Vec<Vec<F>>,
    /// A second tag-like column for the range table: subtracted without a power of beta.
    tags: Option<Vec<F>>,
    numerators: Vec<F>,
}

/// The first padded index of every row of the innermost axis, in row-major order of active indices.
fn row_starts(program: &Program, axes: &[AxisId]) -> Vec<usize> {
    let rows: usize = axes.iter().rev().skip(1).map(|&a| program.axis(a).len).product();
    let mut starts = vec![0; rows];
    for (row, start) in starts.iter_mut().enumerate() {
        let (mut rest, mut shift) = (row, 0);
        for (i, &axis) in axes.iter().enumerate().rev() {
            let axis = program.axis(axis);
            if i + 1 < axes.len() {
                *start += (rest % axis.len) << shift;
                rest /= axis.len;
            }
            shift += axis.log_len();
        }
    }
    starts
}

/// Writes `f(i)` for every active index to its padded slot.
fn scatter(program: &Program, axes: &[AxisId], starts: &[usize], len: usize, f: impl Fn(usize) -> F) -> Vec<F> {
    let inner = axes.last().map_or(1, |&a| program.axis(a).len);
    let mut out = vec![F::ZERO; len];
    for (row, &start) in starts.iter().enumerate() {
        for (i, slot) in out[start..start + inner].iter_mut().enumerate() {
            *slot = f(row * inner + i);
        }
    }
    out
}

fn block(
    program: &Program,
    layout: &Layout,
    block: &LeafBlock,
    alpha: E,
    tensors: &[Vec<i64>],
    witness: &[F],
) -> Block {
    let len = 1usize << block.log_len;
    match block.kind {
        BlockKind::Limb { tensor, limb: index, width } => {
            let axes = &program.tensor(tensor).axes;
            let values = &tensors[tensor.0];
            let starts = row_starts(program, axes);
            let count = limbs_of(program, tensor).map_or(1, |w| w.len());
            let minimum = program.tensor(tensor).range.min();
            let value = |i: usize| f_from_i64(limb(values[i], minimum, index, count, program.range_bits));
            Block {
                constant: alpha - E::from_u32(width),
                columns: vec![scatter(program, axes, &starts, len, value)],
                tags: None,
                numerators: scatter(program, axes, &starts, len, |_| F::ONE),
            }
        }
        BlockKind::Lookup(index) => {
            let lookup = &program.lookups[index];
            let starts = row_starts(program, &lookup.axes);
            let mask = expression::mask(program, &lookup.axes, lookup.mask.as_ref());
            let numerator = |i: usize| F::from_bool(mask.as_ref().is_none_or(|m| m[i] != 0));
            Block {
                constant: alpha - E::from_u64(tag(program, lookup.table)),
                columns: lookup.columns.iter().map(|c| padded_column(program, tensors, &lookup.axes, c, len)).collect(),
                tags: None,
                numerators: scatter(program, &lookup.axes, &starts, len, numerator),
            }
        }
        BlockKind::RangeTable => {
            let row = |i: usize| {
                if i < 2 { (0, 0) } else { (i.ilog2() as usize, i - (1 << i.ilog2())) }
            };
            let counts = &witness[layout.range_multiplicities..][..len];
            Block {
                constant: alpha,
                columns: vec![(0..len).map(|i| F::from_usize(row(i).1)).collect()],
                tags: Some((0..len).map(|i| F::from_usize(row(i).0)).collect()),
                numerators: (0..len).map(|i| if i < 2 { F::ZERO } else { -counts[i] }).collect(),
            }
        }
        BlockKind::Table(index) => {
            let table = &program.tables[index];
            let rows = table.columns[0].len();
            let counts = &witness[layout.table_multiplicities[index]..][..rows];
            let pad = |mut column: Vec<F>| {
                column.resize(len, F::ZERO);
                column
            };
            Block {
                constant: alpha - E::from_u64(table.tag),
                columns: table.columns.iter().map(|c| pad(c.iter().map(|&v| f_from_i64(v)).collect())).collect(),
                tags: None,
                numerators: pad(counts.iter().map(|&c| -c).collect()),
            }
        }
    }
}

/// A column at all padded indices. A term that does not have an axis is constant along it, inactive indices
/// included, and a constant holds everywhere: this is what the verifier's functional says.
fn padded_column(
    program: &Program,
    tensors: &[Vec<i64>],
    axes: &[AxisId],
    column: &veritune_relations::Expression,
    len: usize,
) -> Vec<F> {
    let mut out = vec![F::ZERO; len];
    for term in column {
        let Some(view) = term.factors.first() else {
            out.iter_mut().for_each(|x| *x += f_from_i64(term.coefficient));
            continue;
        };
        let has = |axis: AxisId| {
            use veritune_relations::Index::{Axis, Shifted};
            view.index.iter().any(|&i| matches!(i, Axis(a) | Shifted(a, _) if a == axis))
        };
        let own: Vec<AxisId> = axes.iter().copied().filter(|&a| has(a)).collect();
        let values = expression::evaluate(program, tensors, &own, &vec![term.clone()]);
        // The index of the term's own axes, by bit groups of the padded index.
        let mut groups = Vec::new();
        let (mut shift, mut stride) = (0, 1);
        for &axis in axes.iter().rev() {
            let a = program.axis(axis);
            if has(axis) {
                groups.push((shift, (1usize << a.log_len()) - 1, stride, a.len));
                stride *= a.len;
            }
            shift += a.log_len();
        }
        for (i, slot) in out.iter_mut().enumerate() {
            let mut at = Some(0);
            for &(shift, mask, stride, len) in &groups {
                let index = (i >> shift) & mask;
                at = at.filter(|_| index < len).map(|at| at + index * stride);
            }
            if let Some(at) = at {
                *slot += f_from_i64(values[at]);
            }
        }
    }
    out
}

/// All leaves of the program.
pub(super) fn leaves(
    program: &Program,
    layout: &Layout,
    plan: &Plan,
    fingerprint: Fingerprint,
    tensors: &[Vec<i64>],
    witness: &[F],
) -> Leaves {
    let Fingerprint { alpha, beta } = fingerprint;
    let num_lanes = (1usize << plan.log_leaves) / Packing::WIDTH;
    let mut numerators = vec![Packing::ZERO; num_lanes];
    let mut denominators = vec![PackedE::ONE; num_lanes];
    let lanes = |block: &&LeafBlock| block.log_len >= Packing::WIDTH.ilog2() as usize;
    let (mut large, small): (Vec<&LeafBlock>, Vec<&LeafBlock>) = plan.blocks.iter().partition(lanes);
    large.sort_by_key(|block| block.offset);
    let (mut p_rest, mut q_rest) = (numerators.as_mut_slice(), denominators.as_mut_slice());
    let mut tasks = Vec::new();
    let mut position = 0;
    for &b in &large {
        let (gap, len) = ((b.offset - position) / Packing::WIDTH, (1 << b.log_len) / Packing::WIDTH);
        let (p, p_after) = p_rest.split_at_mut(gap).1.split_at_mut(len);
        let (q, q_after) = q_rest.split_at_mut(gap).1.split_at_mut(len);
        (p_rest, q_rest) = (p_after, q_after);
        position = b.offset + (1 << b.log_len);
        tasks.push((b, p, q));
    }
    tasks.into_par_iter().for_each(|(b, p, q)| {
        if let BlockKind::Limb { tensor, limb, width } = b.kind
            && let Some(rows) = LimbRows::new(program, tensor, limb, &tensors[tensor.0])
        {
            rows.write(alpha - E::from_u32(width), beta, p, q);
            return;
        }
        let block = block(program, layout, b, alpha, tensors, witness);
        p.copy_from_slice(Packing::pack_slice(&block.numerators));
        let powers: Vec<E> = beta.powers().skip(1).take(block.columns.len()).collect();
        let columns: Vec<&[Packing]> = block.columns.iter().map(|c| Packing::pack_slice(c)).collect();
        let tags = block.tags.as_ref().map(|t| Packing::pack_slice(t));
        let constant = PackedE::ZERO + block.constant;
        let powers: Vec<PackedE> = powers.iter().map(|&b| PackedE::ZERO + b).collect();
        for (i, q) in q.iter_mut().enumerate() {
            let mut value = constant;
            for (&power, column) in powers.iter().zip(&columns) {
                value -= power * column[i];
            }
            if let Some(tags) = tags {
                value -= tags[i];
            }
            *q = value;
        }
    });
    // Blocks of less than a register share registers.
    let mut shared: BTreeMap<usize, ([F; Packing::WIDTH], [E; Packing::WIDTH])> = BTreeMap::new();
    for b in small {
        let block = block(program, layout, b, alpha, tensors, witness);
        for i in 0..1usize << b.log_len {
            let mut value = block.constant;
            for (power, column) in beta.powers().skip(1).zip(&block.columns) {
                value -= power * column[i];
            }
            if let Some(tags) = &block.tags {
                value -= tags[i];
            }
            let leaf = b.offset + i;
            let zeros = ([F::ZERO; Packing::WIDTH], [E::ONE; Packing::WIDTH]);
            let (p, q) = shared.entry(leaf / Packing::WIDTH).or_insert(zeros);
            p[leaf % Packing::WIDTH] = block.numerators[i];
            q[leaf % Packing::WIDTH] = value;
        }
    }
    for (register, (p, q)) in shared {
        numerators[register] = *Packing::from_slice(&p);
        denominators[register] = PackedE::from_ext_slice(&q);
    }
    Leaves { numerators, denominators, units: plan.units }
}

/// Sends the values of base tensors in looked-up columns at the point of the leaves.
pub(super) fn send_base_values<C: Channel>(
    program: &Program,
    tensors: &[Vec<i64>],
    plan: &Plan,
    point: &[E],
    channel: &mut C,
) {
    let mut at = LeafPoint::new(program, point);
    for block in &plan.blocks {
        let BlockKind::Lookup(index) = block.kind else {
            continue;
        };
        let lookup = &program.lookups[index];
        let weights = at.weights(&lookup.axes);
        for view in lookup.columns.iter().flatten().filter_map(|t| t.factors.first()) {
            if program.tensor(view.tensor).place == Place::Base {
                let mut known = program.clone();
                known.tensors[view.tensor.0].values = Some(tensors[view.tensor.0].clone());
                let value = public_sum(&known, view.tensor, &weights.view(program, view));
                channel.send_public(Labels::LOOKUP_BASE, value);
            }
        }
    }
}

/// The rows of one limb of a tensor, written to registers without a copy in between.
struct LimbRows<'a> {
    values: &'a [i64],
    /// Active length and padded base-2 logarithm, per axis.
    axes: Vec<(usize, usize)>,
    minimum: i64,
    limb: usize,
    num_limbs: usize,
    range_bits: u32,
}

impl<'a> LimbRows<'a> {
    /// None if a row is shorter than a register.
    fn new(program: &Program, tensor: TensorId, limb: usize, values: &'a [i64]) -> Option<Self> {
        let t = program.tensor(tensor);
        let axis = |&a: &AxisId| (program.axis(a).len, program.axis(a).log_len());
        let axes: Vec<(usize, usize)> = t.axes.iter().map(axis).collect();
        let (_, inner_log) = *axes.last()?;
        (1 << inner_log >= Packing::WIDTH).then(|| Self {
            values,
            axes,
            minimum: t.range.min(),
            limb,
            num_limbs: limbs_of(program, tensor).map_or(1, |w| w.len()),
            range_bits: program.range_bits,
        })
    }

    /// The values of a padded row; none if it is inactive.
    fn row(&self, mut padded: usize) -> Option<&'a [i64]> {
        let (&(inner, _), outer) = self.axes.split_last()?;
        let (mut row, mut stride) = (0, 1);
        for &(len, log) in outer.iter().rev() {
            let index = padded & ((1 << log) - 1);
            if index >= len {
                return None;
            }
            row += index * stride;
            stride *= len;
            padded >>= log;
        }
        self.values.get(row * inner..(row + 1) * inner)
    }

    fn write(&self, constant: E, beta: E, p: &mut [Packing], q: &mut [PackedE]) {
        let inner_log = self.axes.last().map_or(0, |a| a.1);
        let lanes = (1 << inner_log) / Packing::WIDTH;
        let (constant, beta) = (PackedE::ZERO + constant, PackedE::ZERO + beta);
        let rows = p.par_chunks_mut(lanes).zip(q.par_chunks_mut(lanes));
        rows.with_min_len(1 + 512 / lanes).enumerate().for_each(|(padded, (p, q))| {
            let row = self.row(padded).unwrap_or(&[]);
            for (i, (p, q)) in p.iter_mut().zip(q).enumerate() {
                let values = row.get(i * Packing::WIDTH..).unwrap_or(&[]);
                *p = Packing::from_fn(|k| F::from_bool(k < values.len()));
                let limbs = Packing::from_fn(|k| match values.get(k) {
                    Some(&value) => {
                        let (limb, count) = (self.limb, self.num_limbs);
                        f_from_i64(super::witness::limb(value, self.minimum, limb, count, self.range_bits))
                    }
                    None => F::ZERO,
                });
                *q = constant - beta * limbs;
            }
        });
    }
}
