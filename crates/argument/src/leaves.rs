//! The leaves of the lookups as affine functionals of the committed vectors.

use crate::axis_weight::AxisWeight;
use crate::blocks::{BlockAxis, BlockKind, LeafBlock};
use crate::check::ArgumentError;
use crate::context::{BaseClaim, Context, Labels};
use crate::eq::{eq_at, log_u32, pow2};
use crate::extension::extension;
use crate::functional::{Functional, Part};
use crate::lookups::Fingerprint;
use crate::plan::Plan;
use crate::weights::{in_layout_order, public_sum, tensor_functional};
use std::collections::BTreeMap;
use std::sync::Arc;
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_field::{E, f_from_i64};
use veritune_relations::layout::{Layout, WITNESS_PLACE};
use veritune_relations::{AxisId, Index, Lookup, Place, Program, TableId, View};

/// Weights `eq(point, ·)` of the axes of a block, truncated to active indices.
pub struct BlockWeights<'a> {
    axes: Vec<(BlockAxis, AxisPoint<'a>)>,
}

/// The point of a block's axis, and the weights made from it.
type AxisPoint<'a> = (&'a [E], AxisWeight);

impl BlockWeights<'_> {
    fn find(&self, axis: AxisId) -> Option<&(BlockAxis, AxisPoint<'_>)> {
        self.axes.iter().find(|(block, _)| block.axis == axis)
    }

    /// The weights of the axes themselves.
    fn own(&self, program: &Program) -> Vec<AxisWeight> {
        let weight = |(block, (_, weight)): &(BlockAxis, AxisPoint<'_>)| {
            weight.moved(program.axis(block.axis).log_len(), block.start)
        };
        self.axes.iter().map(weight).collect()
    }

    /// The weights of a view, outermost axis of its tensor first.
    pub fn view(&self, program: &Program, view: &View) -> Vec<AxisWeight> {
        view_weights(program, view, |log, axis, shift| match self.find(axis) {
            Some((block, (_, weight))) => weight.moved(log, shift.saturating_add(block.start)),
            None => AxisWeight::Dense { log, start: shift, values: Arc::default() },
        })
    }

    /// The same as points, however short: for what is kept until the settlement.
    fn view_points(&self, program: &Program, view: &View) -> Vec<AxisWeight> {
        view_weights(program, view, |log, axis, shift| {
            let found = self.find(axis).map(|(block, (point, _))| (block.start, block.len, point.to_vec()));
            let (start, len, point) = found.unwrap_or_default();
            AxisWeight::Eq { log, start: shift.saturating_add(start), len, point: Arc::new(point) }
        })
    }

    /// The sum of all weights, or of those at which the mask is one.
    fn active(&self, program: &Program, mask: Option<&View>) -> E {
        let in_mask = |axis: AxisId| {
            let is = |&i: &Index| matches!(i, Index::Axis(a) | Index::Shifted(a, _) if a == axis);
            mask.is_some_and(|m| m.index.iter().any(is))
        };
        let outside = self.axes.iter().filter(|(block, _)| !in_mask(block.axis));
        let rest: E = outside.map(|(_, (_, weight))| weight.sum()).product();
        rest * mask.map_or(E::ONE, |m| public_sum(program, m.tensor, &self.view(program, m)))
    }
}

/// The weights of a view, of which `weight` makes those of an indexed axis from its own variables, axis and shift.
fn view_weights(
    program: &Program,
    view: &View,
    weight: impl Fn(usize, AxisId, usize) -> AxisWeight,
) -> Vec<AxisWeight> {
    let own = &program.tensor(view.tensor).axes;
    let weights = own.iter().zip(&view.index).map(|(&axis, &index)| {
        let log = program.axis(axis).log_len();
        match index {
            Index::Fixed(at) => AxisWeight::single(log, at),
            Index::Axis(axis) => weight(log, axis, 0),
            Index::Shifted(axis, start) => weight(log, axis, start),
        }
    });
    weights.collect()
}

/// Makes the weights of blocks at one point of the leaves.
pub struct LeafPoint<'a> {
    point: &'a [E],
    /// By the end of their coordinates, variables and active indices.
    weights: BTreeMap<(usize, usize, usize), AxisWeight>,
}

impl<'a> LeafPoint<'a> {
    /// A point of the stack, most significant coordinate first.
    pub fn new(point: &'a [E]) -> Self {
        Self { point, weights: BTreeMap::new() }
    }

    /// The sum of `eq(point, ·)` over a block.
    fn prefix(&self, block: &LeafBlock) -> E {
        let above = self.point.len().saturating_sub(block.log_len());
        let index = block.offset.checked_div(pow2(block.log_len())).unwrap_or(0);
        eq_at(self.point.get(..above).unwrap_or(&[]), index)
    }

    fn inner(&self, block: &LeafBlock) -> &'a [E] {
        self.point.get(self.point.len().saturating_sub(block.log_len())..).unwrap_or(&[])
    }

    /// The weights of the axes of a block.
    pub fn weights(&mut self, block: &LeafBlock) -> BlockWeights<'a> {
        let mut end = self.point.len();
        let mut weights = Vec::with_capacity(block.axes.len());
        for &axis in block.axes.iter().rev() {
            let start = end.saturating_sub(axis.log);
            let coordinates = self.point.get(start..end).unwrap_or(&[]);
            let key = (end, axis.log, axis.len);
            let weight = self.weights.entry(key).or_insert_with(|| AxisWeight::run(axis.log, 0, axis.len, coordinates));
            weights.push((axis, (coordinates, weight.clone())));
            end = start;
        }
        weights.reverse();
        BlockWeights { axes: weights }
    }
}

/// The tag of a lookup's table.
pub fn tag(program: &Program, table: TableId) -> u64 {
    match table {
        TableId::Range(width) => u64::from(width),
        TableId::Table(index) => program.tables.get(index).map_or(0, |t| t.tag),
    }
}

/// Adds a scaled functional.
fn add(to: &mut Functional, from: Functional, scale: E) {
    to.constant += from.constant * scale;
    to.parts.extend(from.parts.into_iter().map(|part| Part { scale: part.scale * scale, ..part }));
}

/// The numerator and denominator at `point` as functionals.
pub(crate) fn functionals<C: Context>(
    program: &Program,
    layout: &Layout,
    plan: &Plan,
    fingerprint: Fingerprint,
    point: &[E],
    ctx: &mut C,
) -> Result<(Functional, Functional), ArgumentError> {
    let Fingerprint { alpha, beta } = fingerprint;
    let (mut p, mut q) = (Functional::default(), Functional::default());
    let point = plan.units.stack_point(point);
    let mut at = LeafPoint::new(&point);
    let mut padding = E::ONE;
    for block in &plan.blocks {
        let prefix = if C::NEEDS_VALUES { at.prefix(block) } else { E::ZERO };
        padding -= prefix;
        match block.kind {
            BlockKind::Limb { tensor, limb, width } if C::NEEDS_VALUES => {
                let weights = at.weights(block);
                p.constant += prefix * weights.active(program, None);
                q.constant += prefix * (alpha - E::from_u32(width));
                let slot = layout.slots.get(tensor.0).and_then(Option::as_ref);
                if let Some(slot) = slot.and_then(|s| s.blocks.get(limb)) {
                    let axes = in_layout_order(program, tensor, &weights.own(program));
                    q.parts.push(Part { place: WITNESS_PLACE, offset: slot.offset, axes, scale: -(prefix * beta) });
                }
            }
            BlockKind::Limb { .. } => {}
            BlockKind::Lookup(index) => {
                let Some(lookup) = program.lookups.get(index) else {
                    continue;
                };
                let weights = if C::NEEDS_VALUES { at.weights(block) } else { BlockWeights { axes: Vec::new() } };
                if C::NEEDS_VALUES {
                    p.constant += prefix * weights.active(program, lookup.mask.as_ref());
                }
                let looked_up = lookup_functional(program, layout, lookup, fingerprint, &weights, ctx)?;
                add(&mut q, looked_up, prefix);
            }
            BlockKind::RangeTable if C::NEEDS_VALUES => {
                let inner = at.inner(block);
                let (tag, value) = range_row(inner);
                q.constant += prefix * (alpha - tag - beta * value);
                let offset = layout.range_multiplicities;
                // Rows 0 and 1 are no rows of the table: their weight is taken away again.
                let first = Arc::new(vec![eq_at(inner, 0), eq_at(inner, 1)]);
                let first = AxisWeight::Dense { log: block.log_rows, start: 0, values: first };
                let all = AxisWeight::eq(inner);
                p.parts.push(Part { place: WITNESS_PLACE, offset, axes: vec![all], scale: -prefix });
                p.parts.push(Part { place: WITNESS_PLACE, offset, axes: vec![first], scale: prefix });
            }
            BlockKind::Table(index) if C::NEEDS_VALUES => {
                let (Some(table), Some(&offset)) = (program.tables.get(index), layout.table_multiplicities.get(index))
                else {
                    continue;
                };
                let inner = at.inner(block);
                let mut fingerprint = E::from_u64(table.tag);
                let mut power = E::ONE;
                for column in table.columns.iter() {
                    power *= beta;
                    fingerprint += power * extension(column, inner);
                }
                q.constant += prefix * (alpha - fingerprint);
                // The rows as runs of falling powers of two: on each, the weights are one `eq`.
                let rows = table.columns.first().map_or(0, Vec::len);
                let mut start = 0_usize;
                for log in (0..=inner.len()).rev() {
                    if rows & pow2(log) == 0 {
                        continue;
                    }
                    let (above, below) = inner.split_at(inner.len().saturating_sub(log));
                    let run = start.checked_shr(log_u32(log)).unwrap_or(0);
                    p.parts.push(Part {
                        place: WITNESS_PLACE,
                        offset: offset.saturating_add(start),
                        axes: vec![AxisWeight::eq(below)],
                        scale: -(prefix * eq_at(above, run)),
                    });
                    start = start.saturating_add(pow2(log));
                }
            }
            BlockKind::RangeTable | BlockKind::Table(_) => {}
        }
    }
    q.constant += padding;
    Ok((p, q))
}

/// `alpha - tag - sum of beta^(j+1) column_j` of a lookup. Constants hold at inactive indices too.
fn lookup_functional<C: Context>(
    program: &Program,
    layout: &Layout,
    lookup: &Lookup,
    fingerprint: Fingerprint,
    weights: &BlockWeights<'_>,
    ctx: &mut C,
) -> Result<Functional, ArgumentError> {
    let constant = fingerprint.alpha - E::from_u64(tag(program, lookup.table));
    let mut functional = Functional { constant, parts: Vec::new() };
    let mut power = E::ONE;
    for column in &lookup.columns {
        power *= fingerprint.beta;
        for term in column {
            let scale = -(power * f_from_i64(term.coefficient));
            let Some(view) = term.factors.first() else {
                functional.constant += scale;
                continue;
            };
            let base = program.tensor(view.tensor).place == Place::Base;
            let evaluation = if C::NEEDS_VALUES {
                let axes = if base { weights.view_points(program, view) } else { weights.view(program, view) };
                tensor_functional(program, layout, view.tensor, &axes, E::ONE)
            } else {
                Functional::default()
            };
            if base {
                let value = ctx.read_public(Labels::LOOKUP_BASE)?;
                ctx.base_claim(BaseClaim { parts: evaluation.parts, value });
                functional.constant += scale * value;
            } else {
                add(&mut functional, evaluation, scale);
            }
        }
    }
    Ok(functional)
}

/// The tag and value columns of the range table at a point: row `2^w + x` is `(w, x)`, rows 0 and 1 are zero.
pub fn range_row(point: &[E]) -> (E, E) {
    let (mut tag, mut value) = (E::ZERO, E::ZERO);
    // Suffix sums: `low` is the value of the bits below the leading one.
    let mut width = 0_u64;
    let mut low = E::ZERO;
    let mut columns = Vec::with_capacity(point.len());
    for &bit in point.iter().rev() {
        columns.push((width, bit, low));
        low += bit * E::from_u64(1_u64.checked_shl(u32::try_from(width).unwrap_or(u32::MAX)).unwrap_or(0));
        width = width.saturating_add(1);
    }
    let mut above = E::ONE;
    for (width, bit, low) in columns.into_iter().rev() {
        let leading = above * bit;
        tag += leading * E::from_u64(width);
        value += leading * low;
        above *= E::ONE - bit;
    }
    (tag, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use veritune_field::eq_table;

    #[test]
    fn the_range_table_in_closed_form_is_the_extension_of_its_rows() {
        let point: Vec<E> = (0..5).map(|i| E::from_u64(1_000_003 * (i + 7))).collect();
        let (mut tag, mut value) = (E::ZERO, E::ZERO);
        for (row, weight) in eq_table(&point).into_iter().enumerate().skip(2) {
            let width = row.ilog2();
            tag += weight * E::from_u32(width);
            value += weight * E::from_usize(row - (1 << width));
        }
        assert_eq!(range_row(&point), (tag, value));
        assert_eq!(AxisWeight::single(3, 2).sum(), E::ONE);
    }
}
