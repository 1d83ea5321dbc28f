//! The layer of the leaves.
//!
//! Most leaves look up one small integer `v` at one table: the denominator is `constant - beta v` and the numerator 1,
//! or 0 at padded indices. Of a run of such leaves, only the integers are kept,
//! and the layer below is made of them where it is read. Its tables `lambda q + p` are integers
//! times one element and another one, so that the first two passes need no products of elements but those of bound
//! tables; and its numerators, equal all along, need no tables.

use super::super::channel::Channel;
use super::integers::{self, Halves, Values};
use super::run::{self, Run, Shape, Two, Weights};
use super::scalar::Scalars;
use super::tables::{Missing, Out, Rooms, Spare, Tables, total};
use super::{Layered, RUN, Rounds, scalars};
use crate::lane::{Factor, line};
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
    General(Box<Two>),
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
    General(&'a Two),
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
            Self::Affine { constant, values, .. } => {
                let mut run = Run::ZERO;
                integers::affine(&mut run, *constant, [-beta], [values]);
                run
            }
            Self::General([_, q]) => *q,
        }
    }
    fn fractions(&self, beta: E) -> Two {
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
    /// Of the leaves of `units`; `fill` makes the run from a position of the stack on, and writes its values.
    pub(in super::super) fn new(units: &Units, beta: E, fill: impl Fn(usize, &mut Values) -> Chunk + Sync) -> Self {
        let shape = Shape::new(units);
        let mut values = vec![[0; RUN]; shape.used];
        let filled = values.par_iter_mut().with_min_len(64).enumerate();
        let mut chunks = Vec::new();
        filled.map(|(place, values)| fill(place * RUN, values)).collect_into_vec(&mut chunks);
        Self { shape, beta, chunks, values }
    }

    fn get(&self, at: usize) -> Leaf<'_> {
        match self.chunks.get(at) {
            None => Leaf::Affine { constant: E::ONE, numerator: E::ZERO, values: &NO_VALUES },
            Some(Chunk::Affine { constant, is_one }) => {
                let numerator = if *is_one { E::ONE } else { E::ZERO };
                Leaf::Affine { constant: *constant, numerator, values: &self.values[at] }
            }
            Some(Chunk::General(fractions)) => Leaf::General(fractions),
        }
    }

    fn children(&self, at: usize) -> [Leaf<'_>; 2] {
        Shape::children(at).map(|child| self.get(child))
    }

    /// All leaves in their natural order.
    pub(super) fn scalars(&self) -> Scalars {
        scalars(&self.shape, |at| self.get(at).fractions(self.beta).map(|run| run.elements().collect()))
    }

    /// Runs the rounds; returns `p0, p1, q0, q1` at the point.
    pub(super) fn prove<C: Channel>(&self, at_zero: E, spare: &mut Spare, rounds: &mut Rounds<'_, C>) -> [E; 4] {
        let lambda = rounds.lambda;
        let inverse = lambda.try_inverse().expect("a challenge is not zero, except with probability 2^-191");
        let leading = self.leading(rounds.rest(), lambda, inverse);
        let x = rounds.send([at_zero, leading]);
        rounds.scale = inverse;
        let children = self.shape.halved();
        let mut bound = Tables::new(children.halved());
        let missing = Missing::new([lambda, lambda, E::ZERO, E::ZERO], true);
        let parents = |at| Shape::children(at).map(|at| self.children(at));
        let is_constant = |at| parents(at).iter().all(|leaves| affine(leaves).is_some());
        let write = |at, out: Out<'_>, _: &mut Rooms| self.write_bound(parents(at), lambda, x, out);
        let next = bound.fill(spare, rounds.rest(), &missing, is_constant, write);
        let [a, b, p0, minus_p1] = bound.finish(next, &missing, spare, rounds);
        [p0, -minus_p1, (a - p0) * inverse, (b + minus_p1) * inverse]
    }

    /// The leading coefficient of the first round.
    fn leading(&self, rest: &[E], lambda: E, inverse: E) -> E {
        let children = self.shape.halved();
        let weights = Weights::new(&children, rest);
        let halves = Halves::new(&weights.inner);
        let (factor, scale) = (Factor::new(lambda), -(lambda * self.beta));
        let square = scale * scale;
        let [leading, _] = total(vec![(); children.num_pairs()], |_, (pair, ())| {
            let [low, high] = Shape::children(pair).map(|at| self.children(at));
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
                    run::leading(&weights.inner, low.each_ref(), high.each_ref(), &factor)
                }
            };
            [sum * weights.outer[pair], E::ZERO]
        });
        leading
    }

    /// Writes an entry of the tables with their first variable bound, from both children at 0 and at 1 of it.
    fn write_bound(&self, [low, high]: [[Leaf<'_>; 2]; 2], lambda: E, x: E, out: Out<'_>) {
        let (first, second) = match (out, affine(&low), affine(&high)) {
            (Out::Constant(first, constants), Some(low), Some(high)) => {
                let scale = -(lambda * self.beta);
                let upper = scale * x;
                let numerators = [0, 1].map(|i: usize| line(low[i].1, high[i].1, x));
                for (i, out) in first.iter_mut().enumerate() {
                    let constant = lambda * line(low[i].0, high[i].0, x) + numerators[i];
                    integers::affine(out, constant, [scale - upper, upper], [low[i].2, high[i].2]);
                }
                *constants = [numerators[0], -numerators[1]];
                return;
            }
            (Out::Constant(..), ..) => unreachable!("constants are made of affine runs"),
            (Out::Kept(first, second), ..) => (first, second),
        };
        let factor = Factor::new(x);
        for i in [0, 1] {
            let ([p, q], [p_high, q_high]) = (low[i].fractions(self.beta), high[i].fractions(self.beta));
            second[i].set_line(&p, &p_high, &factor);
            let mut denominators = Run::ZERO;
            denominators.set_line(&q, &q_high, &factor);
            first[i].set_combination(&second[i], &denominators, &Factor::new(lambda));
        }
        second[1].negate();
    }
}

/// The layer below the leaves.
pub(super) struct Sums<'a> {
    leaves: &'a Leaves,
    minus_beta: E,
    /// The square of beta, and that times two to the bits of a value.
    squares: [E; 2],
}

impl<'a> Sums<'a> {
    pub(super) fn new(leaves: &'a Leaves) -> Self {
        let square = leaves.beta * leaves.beta;
        let squares = [square, square * E::from_u64(1 << integers::VALUE_BITS)];
        Self { leaves, minus_beta: -leaves.beta, squares }
    }
}

impl Layered for Sums<'_> {
    fn shape(&self) -> Shape {
        self.leaves.shape.halved()
    }

    fn get<'a>(&'a self, at: usize, room: &'a mut Two) -> &'a Two {
        let leaves = self.leaves.children(at);
        let Some([(c0, n0, v0), (c1, n1, v1)]) = affine(&leaves) else {
            let [low, high] = leaves.map(|leaf| leaf.fractions(self.leaves.beta));
            *room = run::add_fractions(&low, &high);
            return room;
        };
        let times = |numerator: E, x: E| if numerator == E::ONE { x } else { E::ZERO };
        let p = [times(n1, self.minus_beta), times(n0, self.minus_beta)];
        integers::affine(&mut room[0], times(n0, c1) + times(n1, c0), p, [v0, v1]);
        let [low, high] = integers::products(v0, v1);
        let q = [self.minus_beta * c1, self.minus_beta * c0, self.squares[0], self.squares[1]];
        integers::affine(&mut room[1], c0 * c1, q, [v0, v1, &low, &high]);
        room
    }
}
