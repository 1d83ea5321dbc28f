//! Layers and rounds too short for runs, on single elements in their natural order.

use super::super::channel::Channel;
use super::Rounds;
use crate::lane::line;
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_field::{E, eq_table};

/// Fractions; the sum of `x` and `x + len / 2` is fraction `x` of the layer below.
pub(super) struct Scalars {
    pub p: Vec<E>,
    pub q: Vec<E>,
}

impl Scalars {
    /// The layer below.
    pub(super) fn combine(&self) -> Self {
        let half = self.q.len() / 2;
        let (p0, p1) = self.p.split_at(half);
        let (q0, q1) = self.q.split_at(half);
        let p = (0..half).map(|i| p0[i] * q1[i] + p1[i] * q0[i]).collect();
        Self { p, q: (0..half).map(|i| q0[i] * q1[i]).collect() }
    }

    /// Runs the rounds of a layer of at least four fractions; returns tables `p0, q1, p1 + lambda q1, q0` at the point.
    pub(super) fn prove<C: Channel>(mut self, at_zero: E, rounds: &mut Rounds<'_, C>) -> [E; 4] {
        let half = self.q.len() / 2;
        let (p1, q1) = (self.p.split_off(half), self.q.split_off(half));
        let merged = p1.iter().zip(&q1).map(|(&p, &q)| p + rounds.lambda * q).collect();
        let tables = [self.p, q1, merged, self.q];
        let [_, leading] = sums(&tables, rounds.rest());
        let x = rounds.send([at_zero, leading]);
        finish(tables.map(|table| bound(&table, x)), rounds)
    }
}

/// The table with its first variable bound.
fn bound(table: &[E], x: E) -> Vec<E> {
    let (low, high) = table.split_at(table.len() / 2);
    low.iter().zip(high).map(|(&low, &high)| line(low, high, x)).collect()
}

/// The sums of `a b + c d` at 0 of the first variable, and of the leading coefficient.
fn sums(tables: &[Vec<E>; 4], rest: &[E]) -> [E; 2] {
    let half = tables[0].len() / 2;
    let mut sums = [E::ZERO; 2];
    for (i, &weight) in eq_table(rest).iter().enumerate() {
        let [a, b, c, d] = tables.each_ref().map(|table| table[i]);
        sums[0] += weight * (a * b + c * d);
        let [a, b, c, d] = tables.each_ref().map(|table| table[i + half] - table[i]);
        sums[1] += weight * (a * b + c * d);
    }
    sums
}

/// Runs the rounds that are left.
pub(super) fn finish<C: Channel>(mut tables: [Vec<E>; 4], rounds: &mut Rounds<'_, C>) -> [E; 4] {
    while tables[0].len() > 1 {
        let sums = sums(&tables, rounds.rest());
        let x = rounds.send(sums);
        tables = tables.map(|table| bound(&table, x));
    }
    tables.map(|table| table[0])
}
