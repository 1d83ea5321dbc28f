//! The sum of all lookup fractions by GKR: the prover of [`veritune_argument::lookups`].
//!
//! Layer `l` holds `2^l` fractions `p / q`; fraction `x` is the sum of `x` and `x + 2^l` of the layer above. A
//! layer's sumcheck runs on tables `a, b, c, d` with the summand `a b + c d`: they are `p0, q1, p1 + lambda q1, q0`, or,
//! for the leaves, `lambda q0 + p0, lambda q1 + p1, p0, -p1` and the summand is `lambda` times as much. Every pass binds
//! one variable and sums for the next one. The first sum of a layer is a value of the layer below, which was sent.

mod integers;
mod leaf;
mod run;
mod scalar;
mod tables;

pub(super) use integers::{VALUE_BITS, Values};
pub(super) use leaf::{Chunk, Leaves};
pub(super) use run::{RUN, Run};

use super::channel::Channel;
use crate::lane::{Factor, line};
use leaf::Sums;
use rayon::prelude::*;
use run::{Shape, Two, Weights};
use scalar::Scalars;
use tables::{Missing, Out, Rooms, Spare, Tables, total};
use veritune_argument::{Labels, Units};
use veritune_field::E;
use veritune_field::traits::{Field, PrimeCharacteristicRing};

/// Variables of runs that a layer has at least: those of the children and of two rounds.
const MIN_VARIABLES: usize = 3;

/// The state of a layer's sumcheck on the channel.
struct Rounds<'a, C: Channel> {
    channel: &'a mut C,
    point: &'a [E],
    lambda: E,
    /// What the sums of tables are to be multiplied by.
    scale: E,
    claim: E,
    challenges: Vec<E>,
}

impl<C: Channel> Rounds<'_, C> {
    /// Sends one round, given its value at 0 and its leading coefficient, and returns its challenge.
    fn send(&mut self, sums: [E; 2]) -> E {
        let [at_zero, leading] = sums.map(|sum| sum * self.scale);
        let coordinate = self.point[self.challenges.len()];
        let inverse = coordinate.try_inverse().expect("a challenge is not zero, except with probability 2^-191");
        let difference = (self.claim - at_zero) * inverse;
        self.channel.send(Labels::LOOKUP_ROUND, difference);
        self.channel.send(Labels::LOOKUP_ROUND, leading);
        let x = self.channel.challenge(Labels::LOOKUP_ROUND);
        self.claim = at_zero + difference * x + leading * (x * (x - E::ONE));
        self.challenges.push(x);
        x
    }

    /// The coordinates of the variables after that of the current round.
    fn rest(&self) -> &[E] {
        &self.point[self.challenges.len() + 1..]
    }
}

/// A layer of fractions `(p, q)` below the leaves.
trait Layered: Sync {
    fn shape(&self) -> Shape;
    /// A fraction, which may be made in `room`.
    fn get<'a>(&'a self, at: usize, room: &'a mut Two) -> &'a Two;

    /// The children of an entry of `shape().halved()`.
    fn children<'a>(&'a self, at: usize, rooms: &'a mut [Two]) -> [&'a Two; 2] {
        let [low, high] = Shape::children(at);
        let (low_room, high_room) = rooms.split_at_mut(1);
        [self.get(low, &mut low_room[0]), self.get(high, &mut high_room[0])]
    }

    /// The layer below.
    fn combine(&self) -> Fractions {
        let shape = self.shape().halved();
        let make = |rooms: &mut Box<[Two; 2]>, at: usize| {
            let [low, high] = self.children(at, &mut rooms[..]);
            run::add_fractions(low, high)
        };
        let rooms = || Box::new([[Run::ZERO; 2]; 2]);
        let mut fractions = Vec::new();
        (0..shape.used).into_par_iter().with_min_len(16).map_init(rooms, make).collect_into_vec(&mut fractions);
        Fractions { shape, fractions, nothing: Box::new([Run::ZERO, Run::constant(E::ONE)]) }
    }

    /// Runs the rounds; returns tables `p0, q1, p1 + lambda q1, q0` at the point.
    fn prove<C: Channel>(&self, at_zero: E, spare: &mut Spare, rounds: &mut Rounds<'_, C>) -> [E; 4] {
        let lambda = Factor::new(rounds.lambda);
        let children = self.shape().halved();
        let weights = Weights::new(&children, rounds.rest());
        let [leading, _] = total(vec![(); children.num_pairs()], |rooms, (pair, ())| {
            let [low, high] = Shape::children(pair);
            let (low_rooms, high_rooms) = rooms.split_at_mut(2);
            let (low, high) = (self.children(low, low_rooms), self.children(high, high_rooms));
            [run::leading(&weights.inner, low, high, &lambda) * weights.outer[pair], E::ZERO]
        });
        let x = rounds.send([at_zero, leading]);
        let mut bound = Tables::new(children.halved());
        let missing = Missing::new([E::ZERO, E::ONE, rounds.lambda, E::ONE], false);
        let factor = Factor::new(x);
        let write = |at: usize, out: Out<'_>, rooms: &mut Rooms| {
            let Out::Kept(first, second) = out else { unreachable!("no table is constant") };
            let [low, high] = Shape::children(at);
            let (low_rooms, high_rooms) = rooms.split_at_mut(2);
            let [[p0, q0], [p1, q1]] = self.children(low, low_rooms);
            let [[p0_high, q0_high], [p1_high, q1_high]] = self.children(high, high_rooms);
            first[0].set_line(p0, p0_high, &factor);
            first[1].set_line(q1, q1_high, &factor);
            second[1].set_line(p1, p1_high, &factor);
            let [merged, p1] = &mut *second;
            merged.set_combination(p1, &first[1], &lambda);
            second[1].set_line(q0, q0_high, &factor);
        };
        let next = bound.fill(spare, rounds.rest(), &missing, |_| false, write);
        bound.finish(next, &missing, spare, rounds)
    }
}

/// A layer that is kept.
struct Fractions {
    shape: Shape,
    fractions: Vec<Two>,
    nothing: Box<Two>,
}

impl Layered for Fractions {
    fn shape(&self) -> Shape {
        self.shape
    }
    fn get<'a>(&'a self, at: usize, _: &'a mut Two) -> &'a Two {
        let fraction = self.kept(at);
        run::touch(fraction);
        fraction
    }
}

impl Fractions {
    fn kept(&self, at: usize) -> &Two {
        self.fractions.get(at).unwrap_or(&self.nothing)
    }

    /// All fractions in their natural order.
    fn scalars(&self) -> Scalars {
        scalars(&self.shape, |at| self.kept(at).each_ref().map(|run| run.elements().collect()))
    }
}

/// Fractions in their natural order, from the `p` and the `q` of runs.
fn scalars(shape: &Shape, get: impl Fn(usize) -> [Vec<E>; 2]) -> Scalars {
    let len = RUN << shape.log;
    let (mut p, mut q) = (vec![E::ZERO; len], vec![E::ONE; len]);
    let units = Units { log_count: shape.log, used: shape.used };
    for at in 0..shape.used {
        let [from_p, from_q] = get(at);
        let address = units.address(at * RUN);
        p[address..address + RUN].copy_from_slice(&from_p);
        q[address..address + RUN].copy_from_slice(&from_q);
    }
    Scalars { p, q }
}

/// One layer.
enum Layer<'a> {
    Leaves(&'a Leaves),
    /// The layer below the leaves, made of them each time it is read: this is less than to keep and read it.
    Sums(Sums<'a>),
    Runs(Fractions),
    Scalars(Scalars),
}

/// The leaves and all layers below, layer 1 last.
fn layers(leaves: &Leaves) -> Vec<Layer<'_>> {
    let long = |shape: &Shape| shape.log >= MIN_VARIABLES;
    let sums = Sums::new(leaves);
    if leaves.shape.log <= MIN_VARIABLES {
        return scalar_layers(vec![], leaves.scalars());
    }
    let mut fractions = sums.combine();
    let mut layers = vec![Layer::Leaves(leaves), Layer::Sums(sums)];
    while long(&fractions.shape) {
        let next = fractions.combine();
        layers.push(Layer::Runs(std::mem::replace(&mut fractions, next)));
    }
    scalar_layers(layers, fractions.scalars())
}

/// With a layer of scalars and all layers below.
fn scalar_layers(mut layers: Vec<Layer<'_>>, mut scalars: Scalars) -> Vec<Layer<'_>> {
    while scalars.q.len() > 2 {
        let next = scalars.combine();
        layers.push(Layer::Scalars(std::mem::replace(&mut scalars, next)));
    }
    layers.push(Layer::Scalars(scalars));
    layers
}

/// Proves that the fractions sum to zero; returns the point of the leaves.
pub(super) fn prove<C: Channel>(leaves: Leaves, channel: &mut C) -> Vec<E> {
    prove_layers(layers(&leaves), channel)
}

/// The same on single elements: what the other way must send.
#[cfg(test)]
pub(super) fn prove_scalars<C: Channel>(p: Vec<E>, q: Vec<E>, channel: &mut C) -> Vec<E> {
    prove_layers(scalar_layers(vec![], Scalars { p, q }), channel)
}

fn prove_layers<C: Channel>(mut layers: Vec<Layer<'_>>, channel: &mut C) -> Vec<E> {
    let Some(Layer::Scalars(Scalars { p, q })) = layers.pop() else { unreachable!("layer 1 has two scalars") };
    let mut values = [p[0], p[1], q[0], q[1]];
    let mut point = Vec::new();
    let mut spare = Spare::default();
    loop {
        for value in values {
            channel.send(Labels::LOOKUP_VALUES, value);
        }
        let merge = channel.challenge(Labels::LOOKUP_VALUES);
        point.insert(0, merge);
        let Some(layer) = layers.pop() else {
            return point;
        };
        let lambda = channel.challenge(Labels::LOOKUP_LAMBDA);
        let [p0, p1, q0, q1] = values;
        let claim = line(p0, p1, merge) + lambda * line(q0, q1, merge);
        let (scale, challenges) = (E::ONE, Vec::with_capacity(point.len()));
        let mut rounds = Rounds { channel: &mut *channel, point: &point, lambda, scale, claim, challenges };
        // The first variable is the one that told the children of the layer below from each other.
        let at_zero = p0 + lambda * q0;
        let unmerged = |[p0, q1, merged, q0]: [E; 4]| [p0, merged - lambda * q1, q0, q1];
        values = match layer {
            Layer::Scalars(scalars) => unmerged(scalars.prove(at_zero, &mut rounds)),
            Layer::Runs(fractions) => {
                let tables = fractions.prove(at_zero, &mut spare, &mut rounds);
                spare.give(fractions.fractions);
                unmerged(tables)
            }
            Layer::Sums(sums) => unmerged(sums.prove(at_zero, &mut spare, &mut rounds)),
            Layer::Leaves(leaves) => leaves.prove(at_zero, &mut spare, &mut rounds),
        };
        point = rounds.challenges;
    }
}
