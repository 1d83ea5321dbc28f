//! A factor's table, first variable most significant: integers until its first variable is bound, then elements of the
//! challenge field in registers, and single ones once there are fewer than a register.

use crate::lane::{Factor, LANES, PackedE, Packing, broadcast, line, pack, scaled};
use rayon::prelude::*;
use veritune_field::traits::{PackedFieldExtension, PackedValue};
use veritune_field::{E, F};

/// Least work of a task, in entries.
const ENTRIES_PER_TASK: usize = 1 << 12;

#[derive(Debug, Clone)]
pub(super) enum Table {
    Base(Vec<F>),
    Packed(Vec<PackedE>),
    Extension(Vec<E>),
}

impl From<Vec<E>> for Table {
    fn from(elements: Vec<E>) -> Self {
        if elements.len() >= LANES { Self::Packed(pack(&elements)) } else { Self::Extension(elements) }
    }
}

impl Table {
    pub(super) fn get(&self, index: usize) -> E {
        match self {
            Self::Base(table) => table[index].into(),
            Self::Packed(table) => PackedFieldExtension::<F, E>::extract(&table[index / LANES], index % LANES),
            Self::Extension(table) => table[index],
        }
    }

    /// Entries `start .. start + len`.
    pub(super) fn elements(&self, start: usize, len: usize) -> Vec<E> {
        (start..start + len).map(|index| self.get(index)).collect()
    }

    /// Binds the first variable.
    pub(super) fn bind(&self, x: E) -> Self {
        let packed = broadcast(x);
        let least = 1 + ENTRIES_PER_TASK / LANES;
        match self {
            Self::Base(table) if table.len() >= 2 * LANES => {
                let (low, high) = table.split_at(table.len() / 2);
                let pairs = Packing::pack_slice(low).par_iter().zip(Packing::pack_slice(high));
                let bound = |(&low, &high): (&Packing, &Packing)| packed * (high - low) + low;
                Self::Packed(pairs.with_min_len(least).map(bound).collect())
            }
            Self::Packed(table) if table.len() >= 2 => {
                let (low, high) = table.split_at(table.len() / 2);
                let factor = Factor::new(x);
                let bound = |(&low, &high): (&PackedE, &PackedE)| scaled(&factor, &(high - low)) + low;
                Self::Packed(low.par_iter().zip(high).with_min_len(least).map(bound).collect())
            }
            Self::Base(_) | Self::Packed(_) | Self::Extension(_) => {
                let half = self.len() / 2;
                Self::Extension((0..half).map(|i| line(self.get(i), self.get(i + half), x)).collect())
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Base(table) => table.len(),
            Self::Packed(table) => table.len() * LANES,
            Self::Extension(table) => table.len(),
        }
    }
}
