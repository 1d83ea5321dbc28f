//! The sum of all lookup fractions by GKR: the prover of [`veritune_argument::lookups`].
//!
//! Layer `l` holds `2^l` fractions `p / q`; fraction `x` is the sum of `x` and `x + 2^l` of the layer above. A
//! layer's sumcheck runs on four tables `p0, q1, p1 + lambda q1, q0`, so that the summand is two products; every
//! pass binds one variable and sums for the next one.

use super::channel::Channel;
use super::lane::{Lane, PackedE, Packing, Register, Single, SplitEq, broadcast, line, unpack};
use rayon::prelude::*;
use veritune_argument::Labels;
use veritune_field::E;
use veritune_field::traits::{Field, PackedFieldExtension, PackedValue, PrimeCharacteristicRing};

/// Base-2 logarithm of the lanes that one task handles.
const LOG_CHUNK: usize = 6;

/// All leaves; numerators are in the base field.
pub(super) struct Leaves {
    pub numerators: Vec<Packing>,
    pub denominators: Vec<PackedE>,
}

/// The four tables of a layer's sumcheck, read at an index.
trait Source<T>: Sync {
    fn at(&self, index: usize) -> [T; 4];
}

/// Tables made from a layer of fractions: halves are the children.
struct Children<'a, L: Lane, P, U> {
    p: (&'a [P], &'a [P]),
    q: (&'a [L::T], &'a [L::T]),
    lambda: L::T,
    lift: U,
}

impl<'a, L: Lane, P, U: Fn(P) -> L::T> Children<'a, L, P, U> {
    fn new(p: &'a [P], q: &'a [L::T], lambda: E, lift: U) -> Self {
        let half = q.len() / 2;
        Self {
            p: p.split_at(half),
            q: q.split_at(half),
            lambda: broadcast(lambda),
            lift,
        }
    }
}

impl<L: Lane, P, U> Source<L::T> for Children<'_, L, P, U>
where
    P: Copy + Sync,
    U: Fn(P) -> L::T + Sync,
{
    #[inline(always)]
    fn at(&self, i: usize) -> [L::T; 4] {
        let q1 = self.q.1[i];
        let p1 = (self.lift)(self.p.1[i]);
        [
            (self.lift)(self.p.0[i]),
            q1,
            L::mul(&q1, &self.lambda) + p1,
            self.q.0[i],
        ]
    }
}

/// Tables after at least one variable is bound.
struct Tables<'a, T>([&'a [T]; 4]);

impl<T: Copy + Send + Sync> Source<T> for Tables<'_, T> {
    #[inline(always)]
    fn at(&self, i: usize) -> [T; 4] {
        [self.0[0][i], self.0[1][i], self.0[2][i], self.0[3][i]]
    }
}

/// Adds the summand at 0 and its leading coefficient.
#[inline(always)]
fn accumulate<L: Lane>(sums: &mut [L::T; 2], weight: &L::T, low: &[L::T; 4], high: &[L::T; 4]) {
    sums[0] += L::mul(weight, &L::mul_add(&low[0], &low[1], &low[2], &low[3]));
    let d = [
        high[0] - low[0],
        high[1] - low[1],
        high[2] - low[2],
        high[3] - low[3],
    ];
    sums[1] += L::mul(weight, &L::mul_add(&d[0], &d[1], &d[2], &d[3]));
}

/// All four tables at `x`.
#[inline(always)]
fn lines<L: Lane>(low: &[L::T; 4], high: &[L::T; 4], x: &L::T) -> [L::T; 4] {
    [
        L::line(&low[0], &high[0], x),
        L::line(&low[1], &high[1], x),
        L::line(&low[2], &high[2], x),
        L::line(&low[3], &high[3], x),
    ]
}

fn add(a: [E; 2], b: [E; 2]) -> [E; 2] {
    [a[0] + b[0], a[1] + b[1]]
}

/// The sums over all pairs of a source of `len` lanes.
fn sums<L: Lane>(source: &impl Source<L::T>, len: usize, rest: &[E]) -> [E; 2] {
    let eq = SplitEq::<L>::new(rest, LOG_CHUNK);
    let chunk = eq.inner.len();
    let task = |o: usize| {
        let mut sums = [L::T::ZERO; 2];
        for (j, weight) in eq.inner.iter().enumerate() {
            let i = o * chunk + j;
            accumulate::<L>(&mut sums, weight, &source.at(i), &source.at(i + len / 2));
        }
        sums.map(|s| L::sum(s) * eq.outer[o])
    };
    if eq.outer.len() < 8 {
        (0..eq.outer.len()).map(task).fold([E::ZERO; 2], add)
    } else {
        (0..eq.outer.len())
            .into_par_iter()
            .with_min_len(4)
            .map(task)
            .reduce(|| [E::ZERO; 2], add)
    }
}

/// Binds the first variable of a source of `len` lanes to `x`, writes `len / 2` lanes, and sums over the pairs
/// of the result.
fn bind<L: Lane>(
    source: &impl Source<L::T>,
    len: usize,
    x: E,
    out: &mut [Vec<L::T>; 4],
    rest: &[E],
) -> [E; 2] {
    let quarter = len / 4;
    let x = broadcast::<L::T>(x);
    let eq = SplitEq::<L>::new(rest, LOG_CHUNK);
    let chunk = eq.inner.len();
    let mut tasks: Vec<Vec<&mut [L::T]>> =
        (0..eq.outer.len()).map(|_| Vec::with_capacity(8)).collect();
    for table in out.iter_mut() {
        if table.len() < len / 2 {
            table.resize(len / 2, L::T::ZERO);
        }
        let (low, high) = table[..len / 2].split_at_mut(quarter);
        for (task, (low, high)) in tasks
            .iter_mut()
            .zip(low.chunks_mut(chunk).zip(high.chunks_mut(chunk)))
        {
            task.push(low);
            task.push(high);
        }
    }
    let task = |(o, mut out): (usize, Vec<&mut [L::T]>)| {
        let mut sums = [L::T::ZERO; 2];
        for (j, weight) in eq.inner.iter().enumerate() {
            let i = o * chunk + j;
            let (a, b) = (source.at(i), source.at(i + 2 * quarter));
            let (c, d) = (source.at(i + quarter), source.at(i + 3 * quarter));
            let low = lines::<L>(&a, &b, &x);
            let high = lines::<L>(&c, &d, &x);
            for t in 0..4 {
                out[2 * t][j] = low[t];
                out[2 * t + 1][j] = high[t];
            }
            accumulate::<L>(&mut sums, weight, &low, &high);
        }
        sums.map(|s| L::sum(s) * eq.outer[o])
    };
    if tasks.len() < 8 {
        tasks
            .into_iter()
            .enumerate()
            .map(task)
            .fold([E::ZERO; 2], add)
    } else {
        tasks
            .into_par_iter()
            .enumerate()
            .with_min_len(4)
            .map(task)
            .reduce(|| [E::ZERO; 2], add)
    }
}

/// The state of a layer's sumcheck on the channel.
struct Rounds<'a, C: Channel> {
    channel: &'a mut C,
    point: &'a [E],
    claim: E,
    challenges: Vec<E>,
}

impl<C: Channel> Rounds<'_, C> {
    /// Sends one round and returns its challenge.
    fn send(&mut self, sums: [E; 2]) -> E {
        let [at_zero, leading] = sums;
        let coordinate = self.point[self.challenges.len()];
        let inverse = coordinate
            .try_inverse()
            .expect("a challenge is not zero, except with probability 2^-191");
        let difference = (self.claim - at_zero) * inverse;
        self.channel.send(Labels::LOOKUP_ROUND, difference);
        self.channel.send(Labels::LOOKUP_ROUND, leading);
        let x = self.channel.challenge(Labels::LOOKUP_ROUND);
        self.claim = at_zero + difference * x + leading * (x * (x - E::ONE));
        self.challenges.push(x);
        x
    }
    /// The coordinates after the current round's.
    fn rest(&self, skip: usize) -> Vec<E> {
        self.point[self.challenges.len() + skip..].to_vec()
    }
}

/// Tables of one width, kept across layers so that their memory is touched once.
#[derive(Default)]
struct Buffers {
    packed: [[Vec<PackedE>; 4]; 2],
    scalar: [[Vec<E>; 4]; 2],
}

/// Runs rounds on lanes until one lane is left in each table; returns it.
fn run<L: Lane, C: Channel>(
    source: &impl Source<L::T>,
    mut len: usize,
    rounds: &mut Rounds<'_, C>,
    buffers: &mut [[Vec<L::T>; 4]; 2],
) -> [L::T; 4] {
    if len == 1 {
        return source.at(0);
    }
    let mut next = sums::<L>(source, len, &rounds.rest(1));
    let mut first = true;
    while len > 2 {
        let x = rounds.send(next);
        let rest = rounds.rest(1);
        let (a, b) = buffers.split_at_mut(1);
        let (from, to) = (&mut a[0], &mut b[0]);
        next = if first {
            bind::<L>(source, len, x, from, &rest)
        } else {
            let slices = std::array::from_fn(|t| &from[t][..len]);
            let next = bind::<L>(&Tables(slices), len, x, to, &rest);
            std::mem::swap(from, to);
            next
        };
        first = false;
        len /= 2;
    }
    let x = broadcast::<L::T>(rounds.send(next));
    let (low, high) = if first {
        (source.at(0), source.at(1))
    } else {
        let tables = &buffers[0];
        (
            std::array::from_fn(|t| tables[t][0]),
            std::array::from_fn(|t| tables[t][1]),
        )
    };
    std::array::from_fn(|t| line(low[t], high[t], x))
}

/// One layer above the leaves.
enum Layer {
    Packed(Vec<PackedE>, Vec<PackedE>),
    Scalar(Vec<E>, Vec<E>),
}

fn combine<L: Lane, P: Copy + Sync>(
    p: &[P],
    q: &[L::T],
    lift: impl Fn(P) -> L::T + Sync,
) -> (Vec<L::T>, Vec<L::T>) {
    let half = q.len() / 2;
    let ((p0, p1), (q0, q1)) = (p.split_at(half), q.split_at(half));
    let fraction = |i: usize| {
        let numerator = L::mul_add(&lift(p0[i]), &q1[i], &lift(p1[i]), &q0[i]);
        (numerator, L::mul(&q0[i], &q1[i]))
    };
    let (mut p, mut q) = (Vec::new(), Vec::new());
    (0..half)
        .into_par_iter()
        .with_min_len(1 << 10)
        .map(fraction)
        .unzip_into_vecs(&mut p, &mut q);
    (p, q)
}

/// The layers below the leaves, layer 1 last.
fn layers(leaves: &Leaves) -> Vec<Layer> {
    let (p, q) = combine::<Register, _>(&leaves.numerators, &leaves.denominators, PackedE::from);
    let mut layers = vec![Layer::Packed(p, q)];
    loop {
        let next = match layers.last() {
            Some(Layer::Packed(p, q)) if q.len() >= 2 && q.len() * Packing::WIDTH > 8 => {
                let (p, q) = combine::<Register, _>(p, q, |p| p);
                Layer::Packed(p, q)
            }
            Some(Layer::Packed(p, q)) => {
                let (p, q) = combine::<Single, _>(&unpack(p), &unpack(q), |p| p);
                Layer::Scalar(p, q)
            }
            Some(Layer::Scalar(p, q)) if q.len() > 2 => {
                let (p, q) = combine::<Single, _>(p, q, |p| p);
                Layer::Scalar(p, q)
            }
            _ => return layers,
        };
        layers.push(next);
    }
}

/// Sends the four values and returns the merged claims with the merging challenge.
fn send_values<C: Channel>(channel: &mut C, [p0, p1, q0, q1]: [E; 4]) -> (E, E, E) {
    for value in [p0, p1, q0, q1] {
        channel.send(Labels::LOOKUP_VALUES, value);
    }
    let x = channel.challenge(Labels::LOOKUP_VALUES);
    (line(p0, p1, x), line(q0, q1, x), x)
}

/// Proves that the fractions sum to zero; returns the point of the leaves. There are at least sixteen lanes of leaves.
pub(super) fn prove<C: Channel>(leaves: &Leaves, channel: &mut C) -> Vec<E> {
    let mut layers = layers(leaves);
    let Some(Layer::Scalar(p, q)) = layers.pop() else {
        unreachable!("layer 1 has two scalars")
    };
    let (mut p, mut q, merge) = send_values(channel, [p[0], p[1], q[0], q[1]]);
    let mut point = vec![merge];
    let mut buffers = Buffers::default();
    loop {
        let lambda = channel.challenge(Labels::LOOKUP_LAMBDA);
        let mut rounds = Rounds {
            channel: &mut *channel,
            point: &point,
            claim: p + lambda * q,
            challenges: Vec::new(),
        };
        let layer = layers.pop();
        let last = layer.is_none();
        let finals = match layer {
            Some(Layer::Scalar(p, q)) => run::<Single, C>(
                &Children::<Single, _, _>::new(&p, &q, lambda, |p| p),
                q.len() / 2,
                &mut rounds,
                &mut buffers.scalar,
            ),
            Some(Layer::Packed(p, q)) if q.len() < 4 => {
                let (p, q) = (unpack(&p), unpack(&q));
                run::<Single, C>(
                    &Children::<Single, _, _>::new(&p, &q, lambda, |p| p),
                    q.len() / 2,
                    &mut rounds,
                    &mut buffers.scalar,
                )
            }
            Some(Layer::Packed(p, q)) => {
                let source = Children::<Register, _, _>::new(&p, &q, lambda, |p| p);
                let lanes =
                    run::<Register, C>(&source, q.len() / 2, &mut rounds, &mut buffers.packed);
                run_lanes(lanes, &mut rounds, &mut buffers.scalar)
            }
            None => {
                let source = Children::<Register, _, _>::new(
                    &leaves.numerators,
                    &leaves.denominators,
                    lambda,
                    PackedE::from,
                );
                let lanes = run::<Register, C>(
                    &source,
                    leaves.denominators.len() / 2,
                    &mut rounds,
                    &mut buffers.packed,
                );
                run_lanes(lanes, &mut rounds, &mut buffers.scalar)
            }
        };
        let [p0, q1, p1_lambda, q0] = finals;
        let mut challenges = rounds.challenges;
        let merge;
        (p, q, merge) = send_values(channel, [p0, p1_lambda - lambda * q1, q0, q1]);
        point = vec![merge];
        point.append(&mut challenges);
        if last {
            return point;
        }
    }
}

/// The rounds on the elements of the last lane.
fn run_lanes<C: Channel>(
    lanes: [PackedE; 4],
    rounds: &mut Rounds<'_, C>,
    buffers: &mut [[Vec<E>; 4]; 2],
) -> [E; 4] {
    let tables = lanes.map(|lane| {
        (0..Packing::WIDTH)
            .map(|i| lane.extract(i))
            .collect::<Vec<E>>()
    });
    run::<Single, C>(
        &Tables(std::array::from_fn(|t| tables[t].as_slice())),
        Packing::WIDTH,
        rounds,
        buffers,
    )
}
