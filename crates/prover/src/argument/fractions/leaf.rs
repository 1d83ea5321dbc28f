//! The layer of the leaves.
//!
//! Most leaves look up one small integer `v` at one table: the denominator is `constant - beta v` and the numerator 1,
//! or 0 at padded indices. Of a run of such leaves, only the integers are kept. Its tables `lambda q + p` are integers
//! times one element and another one, so that the first two passes need no products of elements but those of bound
//! tables; and its numerators, equal all along, need no tables.

use super::super::channel::Channel;
use super::integers::{self, Halves, Values};
use super::run::{self, At, Run, Shape, Weights};
use super::scalar::Scalars;
use super::tables::{Constants, Missing, Tables, reserve, total, write_pairs};
use super::{Fractions, RUN, Rounds, scalars};
use rayon::prelude::*;
use veritune_argument::Units;
use veritune_field::E;
use veritune_field::traits::{Field, PrimeCharacteristicRing};

/// A run of leaves.
#[derive(Clone)]
pub(in super::super) enum Chunk {
    /// All numerators are 1, or all are 0; denominators are `constant - beta value`.
    Affine { constant: E, is_one: bool },
    /// Any numerators and denominators; no values.
    General(Box<[Run; 2]>),
}

/// All leaves. Outside the units in use they are zero fractions.
pub(in super::super) struct Leaves {
    pub(super) shape: Shape,
    beta: E,
    chunks: Vec<Chunk>,
    values: Vec<Values>,
}

/// A chunk with its values.
#[derive(Clone, Copy)]
enum Leaf<'a> {
    Affine { constant: E, numerator: E, values: &'a Values },
    General(&'a [Run; 2]),
}

static NO_VALUES: Values = [0; RUN];

impl Leaf<'_> {
    fn numerators(&self) -> Run {
        match self {
            Self::Affine { numerator, .. } => Run::constant(*numerator),
            Self::General([p, _]) => *p,
        }
    }
    fn denominators(&self, beta: E) -> Run {
        match self {
            Self::Affine { constant, values, .. } => integers::affine(*constant, [-beta], [values]),
            Self::General([_, q]) => *q,
        }
    }
    fn fractions(&self, beta: E) -> [Run; 2] {
        [self.numerators(), self.denominators(beta)]
    }
}

/// The affine chunks, if all are: `constant`, `numerator` and values of each.
fn affine<'a, const N: usize>(leaves: &[Leaf<'a>; N]) -> Option<[(E, E, &'a Values); N]> {
    let mut out = [(E::ZERO, E::ZERO, &NO_VALUES); N];
    for (out, leaf) in out.iter_mut().zip(leaves) {
        let Leaf::Affine { constant, numerator, values } = *leaf else {
            return None;
        };
        *out = (constant, numerator, values);
    }
    Some(out)
}

impl Leaves {
    /// Of the leaves of `units`; `fill` makes the run from an address on, and writes its values.
    pub(in super::super) fn new(units: &Units, beta: E, fill: impl Fn(usize, &mut Values) -> Chunk + Sync) -> Self {
        let shape = Shape::new(units);
        let mut values = vec![[0; RUN]; shape.len()];
        let filled = values.par_iter_mut().with_min_len(64).enumerate();
        let mut chunks = Vec::new();
        filled.map(|(place, values)| fill(shape.address(shape.at(place)), values)).collect_into_vec(&mut chunks);
        Self { shape, beta, chunks, values }
    }

    fn get(&self, at: At) -> Leaf<'_> {
        let Some(place) = self.shape.place(at) else {
            return Leaf::Affine { constant: E::ONE, numerator: E::ZERO, values: &NO_VALUES };
        };
        match &self.chunks[place] {
            Chunk::Affine { constant, is_one } => {
                let numerator = if *is_one { E::ONE } else { E::ZERO };
                Leaf::Affine { constant: *constant, numerator, values: &self.values[place] }
            }
            Chunk::General(fractions) => Leaf::General(fractions),
        }
    }

    /// All leaves in their natural order.
    pub(super) fn scalars(&self) -> Scalars {
        scalars(&self.shape, |at| self.get(at).fractions(self.beta).map(|run| run.elements().collect()))
    }

    /// The layer below.
    pub(super) fn combine(&self) -> Fractions {
        let beta = self.beta;
        let square = beta * beta;
        let upper_square = square * E::from_u64(1 << integers::VALUE_BITS);
        Fractions::make(self.shape.halved(), |at, out| {
            let leaves = self.shape.children(at).map(|child| self.get(child));
            let Some([(c0, n0, v0), (c1, n1, v1)]) = affine(&leaves) else {
                let [low, high] = leaves.map(|leaf| leaf.fractions(beta));
                run::add_fractions(out, low.each_ref(), high.each_ref());
                return;
            };
            out[0] = integers::affine(n0 * c1 + n1 * c0, [-beta * n1, -beta * n0], [v0, v1]);
            let [low, high] = integers::products(v0, v1);
            let coefficients = [-beta * c1, -beta * c0, square, upper_square];
            out[1] = integers::affine(c0 * c1, coefficients, [v0, v1, &low, &high]);
        })
    }

    /// Runs the rounds; returns `p0, p1, q0, q1` at the point.
    pub(super) fn prove<C: Channel>(self, at_zero: E, spare: &mut [Vec<Run>; 2], rounds: &mut Rounds<'_, C>) -> [E; 4] {
        let lambda = rounds.lambda;
        let inverse = lambda.try_inverse().expect("a challenge is not zero, except with probability 2^-191");
        let leading = self.leading(rounds.rest(), lambda, inverse);
        let x = rounds.send([at_zero, leading]);
        rounds.scale = inverse;
        let shape = self.shape.halved().halved();
        let mut bound = Tables { shape, runs: std::mem::take(&mut spare[0]), constants: Vec::new() };
        reserve(&mut bound.runs, 4 * shape.len());
        let missing = Missing::new([lambda, lambda, E::ZERO, E::ZERO], true);
        let weights = Weights::new(&shape, rounds.rest());
        let next = write_pairs(&mut bound, &weights, &missing, |at, out| self.write_bound(at, lambda, x, out));
        drop(self);
        let [a, b, p0, minus_p1] = bound.finish(next, &missing, &mut spare[1], rounds);
        [p0, -minus_p1, (a - p0) * inverse, (b + minus_p1) * inverse]
    }

    /// The leading coefficient of the first round.
    fn leading(&self, rest: &[E], lambda: E, inverse: E) -> E {
        let children = self.shape.halved();
        let weights = Weights::new(&children, rest);
        let halves = Halves::new(&weights.inner);
        let (factor, scale) = (run::broadcast(lambda), -(lambda * self.beta));
        let square = scale * scale;
        let [leading, _] = total(vec![(); children.num_pairs()], |(pair, ())| {
            let (index, [low, high]) = children.pair(pair);
            let [low, high] = [low, high].map(|at| self.shape.children(at).map(|child| self.get(child)));
            let sum = match (affine(&low), affine(&high)) {
                (Some(low), Some(high)) => {
                    // The tables `lambda q + p` are `a + scale v`, and what is summed `lambda` times the summand.
                    let n = [0, 1].map(|i: usize| high[i].1 - low[i].1);
                    let a = [0, 1].map(|i: usize| lambda * (high[i].0 - low[i].0) + n[i]);
                    let [low, high] = [low, high].map(|leaves| leaves.map(|leaf| leaf.2));
                    let [d0, d1, product] = integers::difference_sums(&halves, low, high);
                    (a[0] * a[1] - n[0] * n[1] + scale * (a[0] * d1 + a[1] * d0) + square * product) * inverse
                }
                _ => {
                    let [low, high] = [low, high].map(|leaves| leaves.map(|leaf| leaf.fractions(self.beta)));
                    let (low, high) = (low.each_ref().map(|f| f.each_ref()), high.each_ref().map(|f| f.each_ref()));
                    run::leading(&weights.inner, low, high, &factor)
                }
            };
            [sum * weights.outer[index], E::ZERO]
        });
        leading
    }

    /// Writes an entry of the tables with their first variable bound.
    fn write_bound(&self, at: At, lambda: E, x: E, out: &mut [Run; 4]) -> Constants {
        let children = self.shape.halved();
        let [low, high] = children.children(at).map(|at| self.shape.children(at).map(|child| self.get(child)));
        if let (Some(low), Some(high)) = (affine(&low), affine(&high)) {
            let scale = -(lambda * self.beta);
            let coefficients = [scale * (E::ONE - x), scale * x];
            let numerators = [0, 1].map(|i: usize| low[i].1 + x * (high[i].1 - low[i].1));
            for i in [0, 1] {
                let constant = lambda * (low[i].0 + x * (high[i].0 - low[i].0)) + numerators[i];
                out[i] = integers::affine(constant, coefficients, [low[i].2, high[i].2]);
            }
            return Some([numerators[0], -numerators[1]]);
        }
        let factor = run::broadcast(x);
        for i in [0, 1] {
            let ([p, q], [p_high, q_high]) = (low[i].fractions(self.beta), high[i].fractions(self.beta));
            out[2 + i].set_line(&p, &p_high, &factor);
            let mut denominators = Run::ZERO;
            denominators.set_line(&q, &q_high, &factor);
            let (tables, numerators) = out.split_at_mut(2);
            tables[i].set_combination(&numerators[i], &denominators, &run::broadcast(lambda));
        }
        out[3].negate();
        None
    }
}
