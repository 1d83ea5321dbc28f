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
use super::lane::line;
use rayon::prelude::*;
use run::{At, Shape, Weights};
use scalar::Scalars;
use tables::{Missing, Tables, reserve, total, write_pairs};
use veritune_argument::Labels;
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

/// A layer of fractions above the least ones: runs of `p` and of `q` in turn.
struct Fractions {
    shape: Shape,
    runs: Vec<Run>,
}

/// What a layer holds where nothing is kept.
struct Nothing([Run; 2]);

impl Nothing {
    fn new() -> Self {
        Self([Run::ZERO, Run::constant(E::ONE)])
    }
}

impl Fractions {
    /// The layer whose fraction at an entry is what `make` writes.
    fn make(shape: Shape, make: impl Fn(At, &mut [Run; 2]) + Sync) -> Self {
        let mut runs = vec![Run::ZERO; 2 * shape.len()];
        runs.as_chunks_mut::<2>().0.par_iter_mut().with_min_len(16).enumerate().for_each(|(place, out)| {
            make(shape.at(place), out);
        });
        Self { shape, runs }
    }

    fn get<'a>(&'a self, at: At, nothing: &'a Nothing) -> [&'a Run; 2] {
        let fractions = self.runs.as_chunks::<2>().0;
        self.shape.place(at).map_or(&nothing.0, |place| &fractions[place]).each_ref()
    }

    /// The layer below.
    fn combine(&self) -> Self {
        let nothing = Nothing::new();
        Self::make(self.shape.halved(), |at, out| {
            let [low, high] = self.shape.children(at).map(|child| self.get(child, &nothing));
            run::add_fractions(out, low, high);
        })
    }

    /// All fractions in their natural order.
    fn scalars(&self) -> Scalars {
        let nothing = Nothing::new();
        scalars(&self.shape, |at| self.get(at, &nothing).map(|run| run.elements().collect()))
    }

    /// Runs the rounds; returns tables `p0, q1, p1 + lambda q1, q0` at the point.
    fn prove<C: Channel>(&self, at_zero: E, spare: &mut [Vec<Run>; 2], rounds: &mut Rounds<'_, C>) -> [E; 4] {
        let nothing = Nothing::new();
        let lambda = run::broadcast(rounds.lambda);
        let children = self.shape.halved();
        let both = |at: At| self.shape.children(at).map(|child| self.get(child, &nothing));
        let weights = Weights::new(&children, rounds.rest());
        let [leading, _] = total(vec![(); children.num_pairs()], |(pair, ())| {
            let (index, [low, high]) = children.pair(pair);
            let leading = run::leading(&weights.inner, both(low), both(high), &lambda);
            [leading * weights.outer[index], E::ZERO]
        });
        let x = rounds.send([at_zero, leading]);
        let shape = children.halved();
        let mut bound = Tables { shape, runs: std::mem::take(&mut spare[0]), constants: Vec::new() };
        reserve(&mut bound.runs, 4 * shape.len());
        let missing = Missing::new([E::ZERO, E::ONE, rounds.lambda, E::ONE], false);
        let factor = run::broadcast(x);
        let next = write_pairs(&mut bound, &Weights::new(&shape, rounds.rest()), &missing, |at, out| {
            let [[[p0, q0], [p1, q1]], [[p0_high, q0_high], [p1_high, q1_high]]] = children.children(at).map(both);
            out[0].set_line(p0, p0_high, &factor);
            out[1].set_line(q1, q1_high, &factor);
            out[3].set_line(p1, p1_high, &factor);
            let [_, q1, merged, p1] = &mut *out;
            merged.set_combination(p1, q1, &lambda);
            out[3].set_line(q0, q0_high, &factor);
            None
        });
        bound.finish(next, &missing, &mut spare[1], rounds)
    }
}

/// Fractions in their natural order, from the `p` and the `q` of entries.
fn scalars(shape: &Shape, get: impl Fn(At) -> [Vec<E>; 2]) -> Scalars {
    let len = RUN << shape.num_variables();
    let (mut p, mut q) = (vec![E::ZERO; len], vec![E::ONE; len]);
    for place in 0..shape.len() {
        let at = shape.at(place);
        let [from_p, from_q] = get(at);
        let address = shape.address(at);
        p[address..address + RUN].copy_from_slice(&from_p);
        q[address..address + RUN].copy_from_slice(&from_q);
    }
    Scalars { p, q }
}

/// One layer.
enum Layer {
    Leaves(Leaves),
    Runs(Fractions),
    Scalars(Scalars),
}

/// The leaves and all layers below, layer 1 last.
fn layers(leaves: Leaves) -> Vec<Layer> {
    let long = |shape: &Shape| shape.num_variables() >= MIN_VARIABLES;
    if !long(&leaves.shape) {
        return scalar_layers(vec![], leaves.scalars());
    }
    let mut fractions = leaves.combine();
    let mut layers = vec![Layer::Leaves(leaves)];
    while long(&fractions.shape) {
        let next = fractions.combine();
        layers.push(Layer::Runs(std::mem::replace(&mut fractions, next)));
    }
    scalar_layers(layers, fractions.scalars())
}

/// With a layer of scalars and all layers below.
fn scalar_layers(mut layers: Vec<Layer>, mut scalars: Scalars) -> Vec<Layer> {
    while scalars.q.len() > 2 {
        let next = scalars.combine();
        layers.push(Layer::Scalars(std::mem::replace(&mut scalars, next)));
    }
    layers.push(Layer::Scalars(scalars));
    layers
}

/// Proves that the fractions sum to zero; returns the point of the leaves.
pub(super) fn prove<C: Channel>(leaves: Leaves, channel: &mut C) -> Vec<E> {
    prove_layers(layers(leaves), channel)
}

/// The same on single elements: what the other way must send.
#[cfg(test)]
pub(super) fn prove_scalars<C: Channel>(p: Vec<E>, q: Vec<E>, channel: &mut C) -> Vec<E> {
    prove_layers(scalar_layers(vec![], Scalars { p, q }), channel)
}

fn prove_layers<C: Channel>(mut layers: Vec<Layer>, channel: &mut C) -> Vec<E> {
    let Some(Layer::Scalars(Scalars { p, q })) = layers.pop() else { unreachable!("layer 1 has two scalars") };
    let mut values = [p[0], p[1], q[0], q[1]];
    let mut point = Vec::new();
    // Memory of a layer's tables: that of the two layers before.
    let mut spare = [Vec::new(), Vec::new()];
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
                let [first, second] = &mut spare;
                *second = std::mem::replace(first, fractions.runs);
                unmerged(tables)
            }
            Layer::Leaves(leaves) => leaves.prove(at_zero, &mut spare, &mut rounds),
        };
        point = rounds.challenges;
    }
}
