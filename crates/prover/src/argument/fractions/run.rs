//! Runs of consecutive elements in registers, and where a table keeps them.
//!
//! A run is the least piece of a table that is read or written, and all loops are over the registers of a few runs:
//! they lie aligned to cache lines, so that a register is one load.

pub(super) use crate::lane::Triple;
use crate::lane::{Factor, Packing, Products, mul_add_triples as mul_add, mul_triples as mul, sum_triple};
use veritune_argument::{LOG_UNIT, Units};
use veritune_field::traits::{BasedVectorSpace, PackedValue, PrimeCharacteristicRing, PrimeField64};
use veritune_field::{E, F, eq_table};

/// Base-2 logarithm of the elements of a run.
pub(super) const LOG_RUN: usize = 6;
/// Elements of a run.
pub(in super::super) const RUN: usize = 1 << LOG_RUN;
const REGISTERS: usize = RUN / Packing::WIDTH;
const _: () = assert!(REGISTERS <= Products::MAX, "sums are over a run");

/// Consecutive elements, by coefficient.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(in super::super) struct Run([Triple; REGISTERS]);

/// Two runs that are kept together.
pub(in super::super) type Two = [Run; 2];

#[inline(always)]
fn add(a: &Triple, b: &Triple) -> Triple {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

#[inline(always)]
fn sub(a: &Triple, b: &Triple) -> Triple {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

/// The same element in every lane.
fn broadcast(x: E) -> Triple {
    let x: &[F] = x.as_basis_coefficients_slice();
    [Packing::from(x[0]), Packing::from(x[1]), Packing::from(x[2])]
}

impl Run {
    pub(in super::super) const ZERO: Self = Self([[Packing::ZERO; 3]; REGISTERS]);

    /// The same element everywhere.
    pub(in super::super) fn constant(x: E) -> Self {
        Self([broadcast(x); REGISTERS])
    }

    /// The run of elements `f(0), f(1), ..`.
    pub(in super::super) fn from_fn(f: impl Fn(usize) -> E) -> Self {
        let mut coefficients = [[F::ZERO; RUN]; 3];
        for i in 0..RUN {
            let x = f(i);
            for (row, &x) in coefficients.iter_mut().zip(x.as_basis_coefficients_slice()) {
                row[i] = x;
            }
        }
        let mut run = Self::ZERO;
        (0..3).for_each(|c| run.set_coefficient(c, &coefficients[c]));
        run
    }

    /// Elements of the base field.
    pub(in super::super) fn base(values: &[F; RUN]) -> Self {
        let mut run = Self::ZERO;
        run.set_coefficient(0, values);
        run
    }

    /// `constant - sum of factor * values` over the terms.
    pub(in super::super) fn minus<'a>(constant: E, terms: impl Iterator<Item = (E, &'a [F; RUN])>) -> Self {
        let mut run = Self::constant(constant);
        for (factor, values) in terms {
            let factor = broadcast(factor);
            for (out, &value) in run.0.iter_mut().zip(Packing::pack_slice(values)) {
                *out = [0, 1, 2].map(|c: usize| out[c] - factor[c] * value);
            }
        }
        run
    }

    /// The elements.
    pub(super) fn elements(&self) -> impl Iterator<Item = E> + '_ {
        let lane = |x: &Triple, lane: usize| E::from_basis_coefficients_fn(|c| x[c].as_slice()[lane]);
        self.0.iter().flat_map(move |x| (0..Packing::WIDTH).map(move |i| lane(x, i)))
    }

    /// One coefficient of all elements.
    pub(super) fn coefficient(&self, c: usize) -> impl Iterator<Item = F> + '_ {
        self.0.iter().flat_map(move |x| x[c].as_slice().iter().copied())
    }

    /// Sets one coefficient of all elements.
    #[inline(always)]
    pub(super) fn set_coefficient(&mut self, c: usize, values: &[F; RUN]) {
        for (out, &value) in self.0.iter_mut().zip(Packing::pack_slice(values)) {
            out[c] = value;
        }
    }

    #[inline(always)]
    fn get(&self, j: usize) -> Triple {
        self.0[j]
    }
    #[inline(always)]
    fn set(&mut self, j: usize, x: &Triple) {
        self.0[j] = *x;
    }

    /// Becomes `low + x (high - low)`.
    #[inline(never)]
    pub(super) fn set_line(&mut self, low: &Self, high: &Self, x: &Factor) {
        for j in 0..REGISTERS {
            let low = low.get(j);
            self.set(j, &add(&low, &x.times(&sub(&high.get(j), &low))));
        }
    }

    /// Becomes `a + x b`.
    #[inline(never)]
    pub(super) fn set_combination(&mut self, a: &Self, b: &Self, x: &Factor) {
        for j in 0..REGISTERS {
            self.set(j, &add(&a.get(j), &x.times(&b.get(j))));
        }
    }

    /// Every element negated.
    pub(super) fn negate(&mut self) {
        self.0.iter_mut().flatten().for_each(|x| *x = -*x);
    }
}

/// Reads a word of every cache line, in the order of memory: it then comes as one stream, ahead of the loops, which
/// read several runs at a time and would wait for each.
#[inline(always)]
pub(super) fn touch<'a>(runs: impl IntoIterator<Item = &'a Run>) {
    const STEP: usize = if Packing::WIDTH < 8 { 8 / Packing::WIDTH } else { 1 };
    let mut sum = 0;
    for run in runs {
        for line in run.0.as_flattened().iter().step_by(STEP) {
            sum ^= line.as_slice()[0].as_canonical_u64();
        }
    }
    std::hint::black_box(sum);
}

/// The sum of two fractions, all `(p, q)`.
#[inline(never)]
pub(super) fn add_fractions(low: &Two, high: &Two) -> Two {
    let mut out = [Run::ZERO; 2];
    for j in 0..REGISTERS {
        let (p0, q0, p1, q1) = (low[0].get(j), low[1].get(j), high[0].get(j), high[1].get(j));
        out[0].set(j, &mul_add(&p0, &q1, &p1, &q0));
        out[1].set(j, &mul(&q0, &q1));
    }
    out
}

/// Weighted sums of `a b + c d` at 0 of the variable that tells `low` from `high`, and of its leading coefficient.
#[inline(never)]
pub(super) fn pair_sums(weights: &Run, low: [&Run; 4], high: [&Run; 4]) -> [E; 2] {
    let mut at_zero = Products::new();
    for j in 0..REGISTERS {
        let [a, b, c, d] = [low[0].get(j), low[1].get(j), low[2].get(j), low[3].get(j)];
        at_zero.add(&mul_add(&a, &b, &c, &d), &weights.get(j));
    }
    let mut leading = Products::new();
    for j in 0..REGISTERS {
        let difference = |table: usize| sub(&high[table].get(j), &low[table].get(j));
        let (a, b, c, d) = (difference(0), difference(1), difference(2), difference(3));
        leading.add(&mul_add(&a, &b, &c, &d), &weights.get(j));
    }
    [sum_triple(&at_zero.finish()), sum_triple(&leading.finish())]
}

/// The same of `a b`.
#[inline(never)]
pub(super) fn pair_sums_of_product(weights: &Run, low: &Two, high: &Two) -> [E; 2] {
    let mut at_zero = Products::new();
    for j in 0..REGISTERS {
        at_zero.add(&mul(&low[0].get(j), &low[1].get(j)), &weights.get(j));
    }
    let mut leading = Products::new();
    for j in 0..REGISTERS {
        let difference = |table: usize| sub(&high[table].get(j), &low[table].get(j));
        leading.add(&mul(&difference(0), &difference(1)), &weights.get(j));
    }
    [sum_triple(&at_zero.finish()), sum_triple(&leading.finish())]
}

/// The weighted leading coefficient of `p0 q1 + (p1 + lambda q1) q0`; fractions are given child 0 first.
#[inline(never)]
pub(super) fn leading(weights: &Run, low: [&Two; 2], high: [&Two; 2], lambda: &Factor) -> E {
    let mut sum = Products::new();
    for j in 0..REGISTERS {
        let difference = |child: usize, part: usize| sub(&high[child][part].get(j), &low[child][part].get(j));
        let (p0, q0, p1, q1) = (difference(0, 0), difference(0, 1), difference(1, 0), difference(1, 1));
        let merged = add(&p1, &lambda.times(&q1));
        sum.add(&mul_add(&p0, &q1, &merged, &q0), &weights.get(j));
    }
    sum_triple(&sum.finish())
}

/// Where the runs of a table lie: runs in the order of the stack, of which two neighbours become one when a variable is
/// bound. Those after the `used` first are not kept: they hold zero fractions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Base-2 logarithm of the runs, those that are not kept included: the number of variables.
    pub log: usize,
    /// Runs that are kept.
    pub used: usize,
}

impl Shape {
    /// Of all leaves.
    pub(super) fn new(units: &Units) -> Self {
        const { assert!(LOG_UNIT == LOG_RUN, "a unit is a run") };
        Self { log: units.log_count, used: units.used }
    }

    /// Once the first variable is bound.
    pub(super) fn halved(&self) -> Self {
        Self { log: self.log - 1, used: self.used.div_ceil(2) }
    }

    /// The two runs of this shape that become one when the first variable is bound; the second may not be kept.
    pub(super) fn children(at: usize) -> [usize; 2] {
        [2 * at, 2 * at + 1]
    }

    /// Pairs of runs that become one; there is at least one variable.
    pub(super) fn num_pairs(&self) -> usize {
        self.halved().used
    }
}

/// What there is one of for every run, in pairs.
pub(super) fn pairs<T>(items: impl Iterator<Item = T>, num_pairs: usize) -> Vec<(T, Option<T>)> {
    let mut items = items;
    (0..num_pairs).map_while(|_| Some((items.next()?, items.next()))).collect()
}

/// All `eq` of the variables that are summed over: of pairs of runs, and inside a run.
pub(super) struct Weights {
    pub outer: Vec<E>,
    pub inner: Run,
    /// The weight of the pairs that are not kept.
    pub missing: E,
}

impl Weights {
    /// `rest` are the coordinates of the variables after that of the pairs of `shape`.
    pub(super) fn new(shape: &Shape, rest: &[E]) -> Self {
        let (outer, inner) = rest.split_at(rest.len() - LOG_RUN);
        let outer: Vec<E> = outer.iter().rev().copied().collect();
        let mut outer = eq_table(&outer);
        outer.truncate(shape.num_pairs());
        let inner = eq_table(inner);
        let missing = E::ONE - outer.iter().copied().sum::<E>();
        Self { outer, inner: Run::from_fn(|i| inner[i]), missing }
    }
}
