//! The batched sumcheck of all product terms.
//!
//! Every factor is one table over its own variables, shared by all terms that have it: a factor's variables
//! sit at fixed rounds, so it is folded once per round whatever the terms are. A term's round polynomial is
//! `eq` of the current variable (if it has one) times `s`, and `s` is summed over the other variables with the
//! rest of `eq` split into outer scalars and an inner table.

mod registers;

use super::table::Table;
use crate::lane::{LANES, PackedE, pack};
use rayon::prelude::*;
use veritune_field::traits::{Field, PrimeCharacteristicRing};
use veritune_field::{E, F, eq_table};

/// Base-2 logarithm of the inner loop's length, at most.
const LOG_INNER: usize = 10;

/// A factor while the sumcheck runs.
pub(super) struct FactorState {
    pub table: Table,
    /// Per round, whether its variable is one of the factor's.
    pub rounds: Vec<bool>,
}

/// A term while the sumcheck runs.
pub(super) struct TermState {
    /// Factors, by position.
    pub factors: Vec<usize>,
    /// Everything that multiplies the sum: weight of the equation, coefficient, `eq` and dummies so far.
    pub scale: E,
    /// First of its rounds.
    pub first_round: usize,
    /// Per round from the first, the coordinate of `eq`; none for a contracted variable.
    pub coordinates: Vec<Option<E>>,
    /// The sum without the scale.
    pub claim: E,
    /// `s` of the current round, as coefficients.
    pub round: [E; 4],
}

/// The weights of a range of variables: products of `eq` coordinates, or ones.
fn weights(coordinates: &[Option<E>]) -> Vec<E> {
    if coordinates.iter().all(Option::is_some) {
        let point: Vec<E> = coordinates.iter().flatten().copied().collect();
        return eq_table(&point);
    }
    let mut table = vec![E::ONE];
    for coordinate in coordinates.iter().rev() {
        let high: Vec<E> = match coordinate {
            Some(c) => table.iter().map(|&v| v * *c).collect(),
            None => table.clone(),
        };
        if coordinate.is_some() {
            table.iter_mut().zip(&high).for_each(|(v, &h)| *v -= h);
        }
        table.extend(high);
    }
    table
}

/// Sums of a product at 0, at 1, at -1 and its leading coefficient.
type Sums = [E; 4];

fn add(a: Sums, b: Sums) -> Sums {
    std::array::from_fn(|i| a[i] + b[i])
}

/// How a term reads a factor in one round.
struct Access<'a> {
    table: &'a Table,
    /// Per outer index, the entry of the table, in units of `inner` entries.
    offsets: Vec<u32>,
    /// Entries per outer index: the inner length, or 1 if it is constant there.
    inner: usize,
    /// Distance of the two halves; 0 if the factor does not have the variable.
    half: usize,
}

/// Positions in a factor's table of all indices of the outer variables.
fn offsets(present: &[bool]) -> Vec<u32> {
    let mut offsets = vec![0u32];
    let mut stride = 1;
    for &present in present.iter().rev() {
        let step = if present { stride } else { 0 };
        let high: Vec<u32> = offsets.iter().map(|&o| o + step).collect();
        offsets.extend(high);
        stride <<= u32::from(present);
    }
    offsets
}

impl TermState {
    /// Computes `s` of this round. `full` also sums at 1, which sets the claim.
    pub(super) fn sum(&mut self, factors: &[FactorState], round: usize, full: bool) {
        let position = round - self.first_round;
        let num_rounds = self.first_round + self.coordinates.len();
        let rest = &self.coordinates[position + 1..];
        let presence = |v: usize| self.factors.iter().map(|&f| factors[f].rounds[v]).collect::<Vec<bool>>();
        // The longest run of last variables on which all factors agree.
        let last = presence(num_rounds - 1);
        let run = (round + 1..num_rounds).rev().take_while(|&v| presence(v) == last).count().min(LOG_INNER);
        let (outer_coordinates, inner_coordinates) = rest.split_at(rest.len() - run);
        let (outer, inner) = (weights(outer_coordinates), weights(inner_coordinates));
        let accesses: Vec<Access<'_>> = self
            .factors
            .iter()
            .map(|&f| {
                let factor = &factors[f];
                let outer = &factor.rounds[round + 1..num_rounds - run];
                let inner = if run > 0 && factor.rounds[num_rounds - 1] { inner.len() } else { 1 };
                let num_outer = outer.iter().filter(|&&p| p).count();
                let half = if factor.rounds[round] { inner << num_outer } else { 0 };
                Access { table: &factor.table, offsets: offsets(outer), inner, half }
            })
            .collect();
        let registers: Vec<PackedE> = pack(&inner);
        let task = |o: usize| {
            let sums = if registers.is_empty() {
                single(&accesses, o, &inner, full)
            } else {
                registers::sums(&accesses, o, &registers, full)
            };
            sums.map(|s| s * outer[o])
        };
        let sums = if outer.len() * inner.len() < 1 << 12 {
            (0..outer.len()).map(task).fold([E::ZERO; 4], add)
        } else {
            let least = 1 + (1 << 11) / inner.len();
            (0..outer.len()).into_par_iter().with_min_len(least).map(task).reduce(|| [E::ZERO; 4], add)
        };
        self.set_round(position, sums, full);
    }

    /// Turns sums into the coefficients of `s`; `s(1)` follows from the claim unless it was summed.
    fn set_round(&mut self, position: usize, [at_zero, at_one, at_minus_one, leading]: Sums, full: bool) {
        let coordinate = self.coordinates[position];
        let at_one = if full {
            at_one
        } else {
            match coordinate {
                None => self.claim - at_zero,
                Some(c) => {
                    let inverse = c.try_inverse().expect("a challenge is not zero, except with probability 2^-191");
                    (self.claim - at_zero) * inverse + at_zero
                }
            }
        };
        if full {
            self.claim = match coordinate {
                None => at_zero + at_one,
                Some(c) => at_zero + c * (at_one - at_zero),
            };
        }
        let half = F::TWO.inverse();
        self.round = match self.factors.len() {
            3 => {
                let square = (at_one + at_minus_one) * half - at_zero;
                [at_zero, (at_one - at_minus_one) * half - leading, square, leading]
            }
            2 => [at_zero, at_one - at_zero - leading, leading, E::ZERO],
            _ => [at_zero, at_one - at_zero, E::ZERO, E::ZERO],
        };
        // Summing at 1 by claim holds `s(1) - s(0)` for eq: (claim - s(0)) / c + s(0) = s(1).
    }

    /// The scaled round polynomial, `eq` of the variable included.
    pub(super) fn add_to(&self, position: usize, polynomial: &mut [E]) {
        let (constant, slope) = match self.coordinates[position] {
            Some(c) => (E::ONE - c, c.double() - E::ONE),
            None => (E::ONE, E::ZERO),
        };
        for (i, &coefficient) in self.round.iter().enumerate() {
            let value = coefficient * self.scale;
            if let Some(slot) = polynomial.get_mut(i) {
                *slot += value * constant;
            }
            if let Some(slot) = polynomial.get_mut(i + 1) {
                *slot += value * slope;
            }
        }
    }

    /// Binds the variable of this round to `x`.
    pub(super) fn bind(&mut self, position: usize, x: E) {
        if let Some(c) = self.coordinates[position] {
            self.scale *= (c * x).double() + E::ONE - c - x;
        }
        self.claim = self.round.iter().rev().fold(E::ZERO, |value, &c| value * x + c);
    }
}

impl Access<'_> {
    /// Where the entries of a factor begin that an outer index has: with the variable 0, and with it 1.
    fn starts(&self, o: usize) -> [usize; 2] {
        let start = self.offsets[o] as usize * self.inner;
        [start, start + self.half]
    }
}

/// Inner loops shorter than a register.
fn single(accesses: &[Access<'_>], o: usize, weights: &[E], full: bool) -> Sums {
    debug_assert!(weights.len() < LANES);
    let slices: Vec<[Vec<E>; 2]> =
        accesses.iter().map(|a| a.starts(o).map(|start| a.table.elements(start, a.inner))).collect();
    let mut sums = [E::ZERO; 4];
    for (j, &weight) in weights.iter().enumerate() {
        let at = |slice: &[E]| if slice.len() == 1 { slice[0] } else { slice[j] };
        let pairs = slices.iter().map(|[low, high]| (at(low), at(high)));
        let (mut zero, mut one, mut minus, mut leading) = (weight, weight, weight, weight);
        for (low, high) in pairs {
            zero *= low;
            one *= high;
            minus *= low.double() - high;
            leading *= high - low;
        }
        sums = add(sums, [zero, if full { one } else { E::ZERO }, minus, leading]);
    }
    sums
}
