//! Sums of products of factors over an inner loop of whole registers.
//!
//! As long as the tables of all factors hold integers, products are formed in the base field: one costs a ninth of a
//! product in the challenge field.

use super::{Access, Sums};
use crate::argument::table::Table;
use crate::lane::{LANES, PackedE, Packing, broadcast, mul, sum_lanes};
use std::ops::Sub;
use veritune_field::traits::{PackedValue, PrimeCharacteristicRing};

/// Entries of a factor where the variable is 0 and where it is 1: a register for every weight, or one for all.
enum Entries<'a> {
    Base([&'a [Packing]; 2]),
    BaseConstant([Packing; 2]),
    Packed([&'a [PackedE]; 2]),
    Constant(Box<[PackedE; 2]>),
}

impl<'a> Entries<'a> {
    fn new(access: &Access<'a>, o: usize) -> Self {
        let starts = access.starts(o);
        match (access.table, access.inner) {
            (Table::Base(table), 1) => Self::BaseConstant(starts.map(|start| Packing::from(table[start]))),
            (Table::Base(table), inner) => Self::Base(starts.map(|at| Packing::pack_slice(&table[at..at + inner]))),
            (table, 1) => Self::Constant(Box::new(starts.map(|start| broadcast(table.get(start))))),
            (Table::Packed(table), inner) => Self::Packed(starts.map(|at| &table[at / LANES..(at + inner) / LANES])),
            (Table::Extension(_), _) => unreachable!("a table of at least a register is packed"),
        }
    }

    /// In the base field, if the table is.
    #[inline(always)]
    fn base(&self, register: usize) -> Option<[Packing; 2]> {
        match self {
            Self::Base(entries) => Some(entries.map(|entries| entries[register])),
            Self::BaseConstant(entries) => Some(*entries),
            Self::Packed(_) | Self::Constant(_) => None,
        }
    }

    #[inline(always)]
    fn lifted(&self, register: usize) -> [PackedE; 2] {
        match self {
            Self::Base(entries) => entries.map(|entries| PackedE::from(entries[register])),
            Self::BaseConstant(entries) => entries.map(PackedE::from),
            Self::Packed(entries) => entries.map(|entries| entries[register]),
            Self::Constant(entries) => **entries,
        }
    }
}

/// The sums of [`super::single`].
pub(super) fn sums(accesses: &[Access<'_>], o: usize, weights: &[PackedE], full: bool) -> Sums {
    let entries: Vec<Entries<'_>> = accesses.iter().map(|access| Entries::new(access, o)).collect();
    let sums = if entries.iter().all(|e| e.base(0).is_some()) {
        let base = |e: &Entries<'_>, register: usize| e.base(register).expect("all tables are");
        products(&entries, weights, full, base, |a, b| *a * *b, |weight, product| *weight * *product)
    } else {
        products(&entries, weights, full, |e, register| e.lifted(register), mul, mul)
    };
    sums.map(sum_lanes)
}

#[inline(always)]
fn products<T: Copy + Sub<Output = T>>(
    entries: &[Entries<'_>],
    weights: &[PackedE],
    full: bool,
    get: impl Fn(&Entries<'_>, usize) -> [T; 2],
    times: impl Fn(&T, &T) -> T,
    weigh: impl Fn(&PackedE, &T) -> PackedE,
) -> [PackedE; 4] {
    let mut sums = [PackedE::ZERO; 4];
    let Some((first, rest)) = entries.split_first() else {
        return sums;
    };
    let three = entries.len() == 3;
    for (register, weight) in weights.iter().enumerate() {
        let values = |[low, high]: [T; 2]| [low, high, low - (high - low), high - low];
        let [mut zero, mut one, mut minus, mut leading] = values(get(first, register));
        for entries in rest {
            let factor = values(get(entries, register));
            zero = times(&zero, &factor[0]);
            leading = times(&leading, &factor[3]);
            if full {
                one = times(&one, &factor[1]);
            }
            if three {
                minus = times(&minus, &factor[2]);
            }
        }
        sums[0] += weigh(weight, &zero);
        sums[3] += weigh(weight, &leading);
        if full {
            sums[1] += weigh(weight, &one);
        }
        if three {
            sums[2] += weigh(weight, &minus);
        }
    }
    sums
}
