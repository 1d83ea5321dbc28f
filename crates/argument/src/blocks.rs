//! Blocks of lookup leaves, and where they lie.
//!
//! A block has a power of two of leaves. Of an axis whose length is far below its power of two, the block of a tensor is cut
//! into blocks of falling powers of two, so that few leaves are padding.

use crate::check::PlanError;
use crate::eq::{log_of, log_u32, pow2};
use crate::plan::{check_lookup, is_one_hot, refuse};
use veritune_field::E;
use veritune_relations::layout::limb_widths;
use veritune_relations::{AxisId, Lookup, Place, Program, TensorId};

/// Base-2 logarithm of a unit of leaves, and the least one of all leaves: a prover works on registers of several leaves.
pub const LOG_UNIT: usize = 6;

/// What a block of leaves holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// One limb of a witness tensor, looked up in the range table at its width.
    Limb {
        /// The tensor.
        tensor: TensorId,
        /// Which limb.
        limb: usize,
        /// Its width in bits.
        width: u32,
    },
    /// An entry of [`Program::lookups`].
    Lookup(usize),
    /// The rows of the range table.
    RangeTable,
    /// The rows of an entry of [`Program::tables`].
    Table(usize),
}

/// Indices `start .. start + len` of an axis, padded to `2^log`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockAxis {
    /// The axis.
    pub axis: AxisId,
    /// First index.
    pub start: usize,
    /// Active indices.
    pub len: usize,
    /// Base-2 logarithm of the indices with padding.
    pub log: usize,
}

/// Axes as a whole.
pub fn whole_axes(program: &Program, axes: &[AxisId]) -> Vec<BlockAxis> {
    let whole =
        |&axis: &AxisId| BlockAxis { axis, start: 0, len: program.axis(axis).len, log: program.axis(axis).log_len() };
    axes.iter().map(whole).collect()
}

/// An aligned block of leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafBlock {
    /// What it holds.
    pub kind: BlockKind,
    /// Its indices, outermost axis first.
    pub axes: Vec<BlockAxis>,
    /// Variables that no axis has: those of a table's rows.
    pub log_rows: usize,
    /// Position of its first leaf in the stack, a multiple of its length.
    pub offset: usize,
}

impl LeafBlock {
    /// Base-2 logarithm of its leaves.
    pub fn log_len(&self) -> usize {
        self.axes.iter().map(|axis| axis.log).sum::<usize>().saturating_add(self.log_rows)
    }

    /// Over axes.
    fn over(kind: BlockKind, axes: Vec<BlockAxis>) -> Self {
        Self { kind, axes, log_rows: 0, offset: 0 }
    }

    /// The rows of a table.
    fn table(kind: BlockKind, log_rows: usize) -> Self {
        Self { kind, axes: Vec::new(), log_rows, offset: 0 }
    }
}

/// Where the leaves in use lie. They are stacked, and the stack is cut into units of `2^6`; unit `u` lies at the address
/// whose bits are those of `u` in reverse, so that the two fractions that become one are neighbours of the stack and a prover
/// meets nothing but zero fractions after the units that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Units {
    /// Base-2 logarithm of the number of units.
    pub log_count: usize,
    /// Units with a leaf in use.
    pub used: usize,
}

impl Units {
    /// Units for so many leaves.
    pub fn new(num_leaves: usize) -> Self {
        let log_count = log_of(num_leaves).saturating_sub(LOG_UNIT);
        Self { log_count, used: num_leaves.div_ceil(pow2(LOG_UNIT)) }
    }

    /// Base-2 logarithm of all leaves, padding included.
    pub fn log_leaves(&self) -> usize {
        self.log_count.saturating_add(LOG_UNIT)
    }

    /// The address of the leaf at a position of the stack.
    pub fn address(&self, position: usize) -> usize {
        let unit = position.checked_shr(log_u32(LOG_UNIT)).unwrap_or(0);
        let address = reversed(unit, self.log_count).checked_shl(log_u32(LOG_UNIT)).unwrap_or(0);
        address | (position & pow2(LOG_UNIT).saturating_sub(1))
    }

    /// The point of an address, as that of a position of the stack.
    pub fn stack_point(&self, point: &[E]) -> Vec<E> {
        let (units, inside) = point.split_at(self.log_count.min(point.len()));
        units.iter().rev().chain(inside).copied().collect()
    }
}

/// The last `bits` bits of `index` in reverse.
fn reversed(index: usize, bits: usize) -> usize {
    (0..bits).fold(0, |out, bit| (out << 1) | (index.checked_shr(log_u32(bit)).unwrap_or(0) & 1))
}

/// An axis is cut where padding would be at least one part in so many of its indices.
const WASTE: usize = 8;

/// The pieces of an axis of `len` indices: powers of two, the last one perhaps padded.
fn pieces(len: usize) -> Vec<(usize, usize)> {
    let mut pieces = Vec::new();
    let mut start = 0_usize;
    loop {
        let rest = len.saturating_sub(start);
        let padding = rest.next_power_of_two().saturating_sub(rest);
        if padding.saturating_mul(WASTE) < len || rest <= 1 {
            pieces.push((start, rest));
            return pieces;
        }
        let piece = rest.next_power_of_two() / 2;
        pieces.push((start, piece));
        start = start.saturating_add(piece);
    }
}

/// The blocks of a kind, cut along the axis that wastes most; one block if there is no axis.
fn cut(kind: BlockKind, whole: Vec<BlockAxis>) -> Vec<LeafBlock> {
    // The part of the padded indices that is active, compared without division; of equal ones the outermost.
    let more = |a: &BlockAxis, b: &BlockAxis| a.len.saturating_mul(pow2(b.log)) < b.len.saturating_mul(pow2(a.log));
    let axes = whole.iter().copied().enumerate();
    let Some((worst, axis)) = axes.reduce(|worst, next| if more(&next.1, &worst.1) { next } else { worst }) else {
        return vec![LeafBlock::over(kind, whole)];
    };
    let piece = |(start, len)| {
        let mut axes = whole.clone();
        if let Some(cut) = axes.get_mut(worst) {
            *cut = BlockAxis { start, len, log: log_of(len), ..axis };
        }
        LeafBlock::over(kind, axes)
    };
    pieces(axis.len).into_iter().map(piece).collect()
}

/// Whether a looked-up column reads a tensor of the base, whose value at the point is sent once: its block is not cut.
fn reads_base(program: &Program, lookup: &Lookup) -> bool {
    let mut views = lookup.columns.iter().flatten().filter_map(|term| term.factors.first());
    views.any(|view| program.tensor(view.tensor).place == Place::Base)
}

/// All blocks, none placed yet.
pub(crate) fn leaf_blocks(program: &Program) -> Result<Vec<LeafBlock>, PlanError> {
    let mut blocks = Vec::new();
    for (i, tensor) in program.tensors.iter().enumerate() {
        let id = TensorId(i);
        if tensor.place != Place::Witness || tensor.range_by_other || is_one_hot(program, id) {
            continue;
        }
        for (limb, width) in limb_widths(tensor.range.bits, program.range_bits).into_iter().enumerate() {
            blocks.extend(cut(BlockKind::Limb { tensor: id, limb, width }, whole_axes(program, &tensor.axes)));
        }
    }
    for (i, lookup) in program.lookups.iter().enumerate() {
        check_lookup(program, i)?;
        let (kind, axes) = (BlockKind::Lookup(i), whole_axes(program, &lookup.axes));
        if reads_base(program, lookup) {
            blocks.push(LeafBlock::over(kind, axes));
        } else {
            blocks.extend(cut(kind, axes));
        }
    }
    let range_log = usize::try_from(program.range_bits).unwrap_or(0).saturating_add(1);
    blocks.push(LeafBlock::table(BlockKind::RangeTable, range_log));
    for (i, table) in program.tables.iter().enumerate() {
        let rows = table.columns.first().map_or(0, Vec::len);
        if rows == 0 || table.columns.iter().any(|c| c.len() != rows) {
            return refuse(&table.name, "columns of unequal length, or none");
        }
        blocks.push(LeafBlock::table(BlockKind::Table(i), log_of(rows)));
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eq::eq_at;
    use veritune_field::traits::PrimeCharacteristicRing;

    #[test]
    fn units_lie_at_reversed_addresses() {
        let units = Units::new(11 * 64 - 5);
        assert_eq!(units, Units { log_count: 4, used: 11 });
        let point: Vec<E> = (0..10).map(|i| E::from_u64(1_000_003 * (i + 7))).collect();
        let mut seen = vec![false; 1 << 10];
        for position in 0..1 << 10 {
            let address = units.address(position);
            assert!(!std::mem::replace(&mut seen[address], true), "two leaves at {address}");
            assert_eq!(eq_at(&point, address), eq_at(&units.stack_point(&point), position));
        }
        assert_eq!(units.address(64), 512, "the second unit begins the upper half");
        assert_eq!(Units::new(3), Units { log_count: 0, used: 1 });
    }

    #[test]
    fn pieces_cover_an_axis_once_with_little_padding() {
        for len in 1..2000_usize {
            let pieces = pieces(len);
            let mut next = 0;
            for (i, &(start, piece)) in pieces.iter().enumerate() {
                assert_eq!(start, next);
                assert!(piece.is_power_of_two() || i + 1 == pieces.len());
                next += piece;
            }
            assert_eq!(next, len);
            let padded: usize = pieces.iter().map(|p| p.1.next_power_of_two()).sum();
            assert!((padded - len) * WASTE < len, "{len}: {padded}");
        }
        assert_eq!(pieces(576), [(0, 512), (512, 64)]);
        assert_eq!(pieces(30), [(0, 30)]);
    }
}
