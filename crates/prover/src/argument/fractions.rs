//! The sum of all lookup fractions by GKR: the prover of [`veritune_argument::lookups`].
//!
//! Layer `l` holds `2^l` fractions `p / q`; fraction `x` is the sum of `x` and `x + 2^l` of the layer above. A
//! layer's sumcheck runs on four tables `p0, q1, p1 + lambda q1, q0`, so that the summand is two products; every
//! pass binds one variable and sums for the next one. Tables are bound where the layer lies, so that proving a
//! layer allocates nothing; only numerators of leaves, which are in the base field, move to the layer below.

use super::channel::Channel;
use super::lane::{Lane, PackedE, Packing, Register, Single, SplitEq, broadcast, line, unpack};
use rayon::prelude::*;
use veritune_argument::{Labels, Units};
use veritune_field::E;
use veritune_field::traits::{Field, PackedValue, PrimeCharacteristicRing};

/// Base-2 logarithm of the lanes that one task handles.
const LOG_CHUNK: usize = 6;

/// All leaves; numerators are in the base field. Outside the units in use they are 0 and 1.
pub(super) struct Leaves {
    pub numerators: Vec<Packing>,
    pub denominators: Vec<PackedE>,
    pub units: Units,
}

/// Which entries of a table hold anything but zero fractions.
struct Used {
    shift: usize,
    groups: Vec<bool>,
}

impl Used {
    /// Of a table of `2^log_len` entries of `2^log_width` elements; chunks of `2^LOG_CHUNK` entries are used as one.
    fn new(units: &Units, log_len: usize, log_width: usize) -> Self {
        let shift = units.log_len.saturating_sub(log_width);
        if units.log_len < log_width + LOG_CHUNK || log_len <= shift {
            return Self { shift: log_len, groups: vec![true] };
        }
        Self { shift, groups: units.groups(log_len - shift) }
    }
    fn at(&self, entry: usize) -> bool {
        self.groups[entry >> self.shift]
    }
}

/// A piece of all tables while a variable is bound: entry `j` of the four quarters of each table.
trait Piece<L: Lane>: Send {
    /// The tables with their first variable bound to `x`, at 0 and at 1 of the next one.
    fn lines(&self, j: usize, x: &L::T) -> [[L::T; 4]; 2];
    /// Keeps what [`Piece::lines`] gave.
    fn keep(&mut self, j: usize, bound: &[[L::T; 4]; 2]);
    /// Keeps `len` entries of zero fractions.
    fn keep_zeros(&mut self, len: usize, lambda: &L::T) {
        let (zero, one) = (L::T::ZERO, L::T::ONE);
        (0..len).for_each(|j| self.keep(j, &[[zero, one, *lambda, one]; 2]));
    }
}

/// A piece of one table: `low[h]` has the first variable at 0 and the second at `h`.
struct Quarters<'a, T> {
    low: [&'a mut [T]; 2],
    high: [&'a [T]; 2],
}

impl<T: Copy> Quarters<'_, T> {
    #[inline(always)]
    fn line<L: Lane<T = T>>(&self, j: usize, half: usize, x: &T) -> T {
        L::line(&self.low[half][j], &self.high[half][j], x)
    }
}

/// The pieces of a table.
fn quarters<T>(table: &mut [T], chunk: usize) -> impl Iterator<Item = Quarters<'_, T>> {
    let quarter = table.len() / 4;
    let (low, high) = table.split_at_mut(2 * quarter);
    let (low, high) = (low.split_at_mut(quarter), high.split_at(quarter));
    let low = low.0.chunks_mut(chunk).zip(low.1.chunks_mut(chunk));
    let high = high.0.chunks(chunk).zip(high.1.chunks(chunk));
    low.zip(high).map(|(low, high)| Quarters { low: low.into(), high: high.into() })
}

/// Tables `p0, q1, p1 + lambda q1, q0`.
struct Bound<'a, T>([Quarters<'a, T>; 4]);

impl<L: Lane> Piece<L> for Bound<'_, L::T> {
    /// They are there: a line between equal entries.
    fn keep_zeros(&mut self, _: usize, _: &L::T) {}
    #[inline(always)]
    fn lines(&self, j: usize, x: &L::T) -> [[L::T; 4]; 2] {
        std::array::from_fn(|h| std::array::from_fn(|t| self.0[t].line::<L>(j, h, x)))
    }
    #[inline(always)]
    fn keep(&mut self, j: usize, bound: &[[L::T; 4]; 2]) {
        for (h, tables) in bound.iter().enumerate() {
            for (quarters, &value) in self.0.iter_mut().zip(tables) {
                quarters.low[h][j] = value;
            }
        }
    }
}

/// A layer as it is made, `p0, q1, p1, q0`; its first variable is bound before `lambda` comes in.
struct Fresh<'a, T> {
    tables: Bound<'a, T>,
    lambda: T,
}

impl<L: Lane> Piece<L> for Fresh<'_, L::T> {
    #[inline(always)]
    fn lines(&self, j: usize, x: &L::T) -> [[L::T; 4]; 2] {
        let lines = <Bound<'_, L::T> as Piece<L>>::lines(&self.tables, j, x);
        lines.map(|[p0, q1, p1, q0]| [p0, q1, L::mul(&q1, &self.lambda) + p1, q0])
    }
    #[inline(always)]
    fn keep(&mut self, j: usize, bound: &[[L::T; 4]; 2]) {
        <Bound<'_, L::T> as Piece<L>>::keep(&mut self.tables, j, bound);
    }
}

/// The leaves: numerators `p0, p1` in the base field, whose bound tables have a place of their own.
struct Leaf<'a> {
    /// By table, then first variable, then second.
    p: [[[&'a [Packing]; 2]; 2]; 2],
    p_bound: [[&'a mut [PackedE]; 2]; 2],
    q0: Quarters<'a, PackedE>,
    q1: Quarters<'a, PackedE>,
    lambda: PackedE,
}

impl Piece<Register> for Leaf<'_> {
    #[inline(always)]
    fn lines(&self, j: usize, x: &PackedE) -> [[PackedE; 4]; 2] {
        std::array::from_fn(|h| {
            let p = |t: usize| {
                let (low, high) = (self.p[t][0][h][j], self.p[t][1][h][j]);
                *x * (high - low) + low
            };
            let q1 = self.q1.line::<Register>(j, h, x);
            let merged = Register::mul(&q1, &self.lambda) + p(1);
            [p(0), q1, merged, self.q0.line::<Register>(j, h, x)]
        })
    }
    #[inline(always)]
    fn keep(&mut self, j: usize, bound: &[[PackedE; 4]; 2]) {
        for (h, &[p0, q1, p1, q0]) in bound.iter().enumerate() {
            self.p_bound[0][h][j] = p0;
            self.p_bound[1][h][j] = p1;
            self.q0.low[h][j] = q0;
            self.q1.low[h][j] = q1;
        }
    }
}

/// Piece `o` of a table in the base field, by first and second variable.
fn base_quarters(table: &[Packing], o: usize, chunk: usize) -> [[&[Packing]; 2]; 2] {
    let at = |quarter: usize| &table[quarter * (table.len() / 4) + o * chunk..][..chunk];
    [[at(0), at(1)], [at(2), at(3)]]
}

/// The pieces of a table whose first variable is bound.
fn halves<T>(table: &mut [T], chunk: usize) -> impl Iterator<Item = [&mut [T]; 2]> {
    let (low, high) = table.split_at_mut(table.len() / 2);
    let halves = low.chunks_mut(chunk).zip(high.chunks_mut(chunk));
    halves.map(|(low, high)| [low, high])
}

/// Adds the summand at 0 and its leading coefficient.
#[inline(always)]
fn accumulate<L: Lane>(sums: &mut [L::T; 2], weight: &L::T, low: &[L::T; 4], high: &[L::T; 4]) {
    sums[0] += L::mul(weight, &L::mul_add(&low[0], &low[1], &low[2], &low[3]));
    let d = [high[0] - low[0], high[1] - low[1], high[2] - low[2], high[3] - low[3]];
    sums[1] += L::mul(weight, &L::mul_add(&d[0], &d[1], &d[2], &d[3]));
}

fn add(a: [E; 2], b: [E; 2]) -> [E; 2] {
    [a[0] + b[0], a[1] + b[1]]
}

/// The sum of what every task gives, on all threads if there are enough tasks.
fn total<T: Send>(tasks: Vec<T>, task: impl Fn((usize, T)) -> [E; 2] + Send + Sync) -> [E; 2] {
    if tasks.len() < 8 {
        let sums = tasks.into_iter().enumerate().map(task);
        sums.fold([E::ZERO; 2], add)
    } else {
        let tasks = tasks.into_par_iter().enumerate().with_min_len(4);
        tasks.map(task).reduce(|| [E::ZERO; 2], add)
    }
}

/// The sums over all pairs; `pair` adds the summands of one index.
fn sums<L: Lane>(layer: &At<'_>, pair: impl Fn(&mut [L::T; 2], &L::T, usize) + Sync + Send) -> [E; 2] {
    let eq = SplitEq::<L>::new(&layer.rest, LOG_CHUNK);
    let chunk = eq.inner.len();
    let used = layer.used::<L>();
    total(vec![(); eq.outer.len()], |(o, ())| {
        if !used.at(o * chunk) {
            return layer.zeros(eq.outer[o]);
        }
        let mut sums = [L::T::ZERO; 2];
        for (j, weight) in eq.inner.iter().enumerate() {
            pair(&mut sums, weight, o * chunk + j);
        }
        sums.map(|s| L::sum(s) * eq.outer[o])
    })
}

/// Binds the first variable of all pieces to `x` and sums over the pairs of the result.
fn bind<L: Lane, P: Piece<L>>(layer: &At<'_>, x: E, pieces: impl FnOnce(usize) -> Vec<P>) -> [E; 2] {
    let x = broadcast::<L::T>(x);
    let eq = SplitEq::<L>::new(&layer.rest, LOG_CHUNK);
    let chunk = eq.inner.len();
    let (used, lambda) = (layer.used::<L>(), broadcast::<L::T>(layer.lambda));
    total(pieces(chunk), |(o, mut piece)| {
        if !used.at(o * chunk) {
            piece.keep_zeros(chunk, &lambda);
            return layer.zeros(eq.outer[o]);
        }
        let mut sums = [L::T::ZERO; 2];
        for (j, weight) in eq.inner.iter().enumerate() {
            let bound = piece.lines(j, &x);
            piece.keep(j, &bound);
            accumulate::<L>(&mut sums, weight, &bound[0], &bound[1]);
        }
        sums.map(|s| L::sum(s) * eq.outer[o])
    })
}

/// The pieces of four tables.
fn pieces<'a, T>(tables: [&'a mut [T]; 4], chunk: usize) -> impl Iterator<Item = Bound<'a, T>> {
    let [a, b, c, d] = tables.map(|table| quarters(table, chunk));
    let pairs = a.zip(b).zip(c.zip(d));
    pairs.map(|((a, b), (c, d))| Bound([a, b, c, d]))
}

/// A round of a layer's sumcheck: the coordinates of the variables that are summed over.
struct At<'a> {
    rest: Vec<E>,
    lambda: E,
    units: &'a Units,
}

impl At<'_> {
    fn used<L: Lane>(&self) -> Used {
        Used::new(self.units, self.rest.len() - L::LOG_WIDTH, L::LOG_WIDTH)
    }
    /// What zero fractions, whose `eq` sum to `weight`, add to a round: `lambda` times their denominators.
    fn zeros(&self, weight: E) -> [E; 2] {
        [self.lambda * weight, E::ZERO]
    }
}

/// The state of a layer's sumcheck on the channel.
struct Rounds<'a, C: Channel> {
    channel: &'a mut C,
    point: &'a [E],
    lambda: E,
    units: &'a Units,
    claim: E,
    challenges: Vec<E>,
}

impl<C: Channel> Rounds<'_, C> {
    /// Sends one round and returns its challenge.
    fn send(&mut self, sums: [E; 2]) -> E {
        let [at_zero, leading] = sums;
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
    /// The current round.
    fn at(&self) -> At<'_> {
        At { rest: self.point[self.challenges.len() + 1..].to_vec(), lambda: self.lambda, units: self.units }
    }
}

/// Runs rounds on tables until one lane is left in each; returns it. `next` are the sums of the next round.
fn run<L: Lane, C: Channel>(mut tables: [&mut [L::T]; 4], mut next: [E; 2], rounds: &mut Rounds<'_, C>) -> [L::T; 4] {
    loop {
        let x = rounds.send(next);
        let len = tables[0].len();
        if len == 2 {
            let x = broadcast::<L::T>(x);
            return tables.map(|table| line(table[0], table[1], x));
        }
        next = bind::<L, _>(&rounds.at(), x, |chunk| {
            let tables = tables.each_mut().map(|table| &mut **table);
            pieces(tables, chunk).collect()
        });
        tables = tables.map(|table| &mut table[..len / 2]);
    }
}

/// Runs the rounds of a layer of fractions, whose halves are the children, in its own memory.
fn run_layer<L: Lane, C: Channel>(p: &mut [L::T], q: &mut [L::T], rounds: &mut Rounds<'_, C>) -> [L::T; 4] {
    let len = q.len() / 2;
    let lambda = broadcast::<L::T>(rounds.lambda);
    let ((p0, p1), (q0, q1)) = (p.split_at_mut(len), q.split_at_mut(len));
    if len <= 2 {
        for (p, q) in p1.iter_mut().zip(&*q1) {
            *p += L::mul(q, &lambda);
        }
        if len == 1 {
            return [p0[0], q1[0], p1[0], q0[0]];
        }
        let next = sums::<L>(&rounds.at(), |sums, weight, i| {
            let at = |i: usize| [p0[i], q1[i], p1[i], q0[i]];
            accumulate::<L>(sums, weight, &at(i), &at(i + len / 2));
        });
        return run::<L, C>([p0, q1, p1, q0], next, rounds);
    }
    let next = sums::<L>(&rounds.at(), |sums, weight, i| {
        let at = |i: usize| [p0[i], q1[i], L::mul(&q1[i], &lambda) + p1[i], q0[i]];
        accumulate::<L>(sums, weight, &at(i), &at(i + len / 2));
    });
    let x = rounds.send(next);
    let next = bind::<L, _>(&rounds.at(), x, |chunk| {
        let tables = [&mut *p0, &mut *q1, &mut *p1, &mut *q0];
        let fresh = |tables| Fresh { tables, lambda };
        pieces(tables, chunk).map(fresh).collect()
    });
    let tables = [p0, q1, p1, q0].map(|table| &mut table[..len / 2]);
    run::<L, C>(tables, next, rounds)
}

/// Runs the rounds of the leaves; `spare` is memory for the numerators once they are bound.
fn run_leaves<C: Channel>(leaves: Leaves, mut spare: Vec<PackedE>, rounds: &mut Rounds<'_, C>) -> [PackedE; 4] {
    let Leaves { numerators: p, denominators: mut q, .. } = leaves;
    let len = q.len() / 2;
    if len <= 2 {
        let mut p: Vec<PackedE> = p.into_iter().map(PackedE::from).collect();
        return run_layer::<Register, C>(&mut p, &mut q, rounds);
    }
    let lambda = broadcast::<PackedE>(rounds.lambda);
    let (p0, p1) = p.split_at(len);
    let (q0, q1) = q.split_at_mut(len);
    let next = sums::<Register>(&rounds.at(), |sums, weight, i| {
        let h = i + len / 2;
        let merged = Register::mul(&q1[i], &lambda) + p1[i];
        let at_zero = Register::mul_add_base(p0[i], &q1[i], &merged, &q0[i]);
        sums[0] += Register::mul(weight, &at_zero);
        let (dp, dq) = (p0[h] - p0[i], q1[h] - q1[i]);
        let merged = Register::mul(&dq, &lambda) + (p1[h] - p1[i]);
        let leading = Register::mul_add_base(dp, &dq, &merged, &(q0[h] - q0[i]));
        sums[1] += Register::mul(weight, &leading);
    });
    let x = rounds.send(next);
    spare.resize(len, PackedE::ZERO);
    let (p0_bound, p1_bound) = spare.split_at_mut(len / 2);
    let next = bind::<Register, _>(&rounds.at(), x, |chunk| {
        let p_bound = halves(&mut *p0_bound, chunk).zip(halves(&mut *p1_bound, chunk));
        let q = quarters(&mut *q0, chunk).zip(quarters(&mut *q1, chunk));
        let pieces = p_bound.zip(q).enumerate();
        let leaf = |(o, ((p0_bound, p1_bound), (q0, q1)))| Leaf {
            p: [base_quarters(p0, o, chunk), base_quarters(p1, o, chunk)],
            p_bound: [p0_bound, p1_bound],
            q0,
            q1,
            lambda,
        };
        pieces.map(leaf).collect()
    });
    let (q0, q1) = (&mut q0[..len / 2], &mut q1[..len / 2]);
    drop(p);
    run::<Register, C>([p0_bound, q1, p1_bound, q0], next, rounds)
}

/// One layer above the leaves.
enum Layer {
    Packed(Vec<PackedE>, Vec<PackedE>),
    Scalar(Vec<E>, Vec<E>),
}

/// The layer below denominators `q`; `numerator` gets the indices and denominators of both children.
fn combine<L: Lane>(
    units: &Units,
    q: &[L::T],
    numerator: impl Fn(usize, usize, &L::T, &L::T) -> L::T + Sync,
) -> (Vec<L::T>, Vec<L::T>) {
    let half = q.len() / 2;
    let (q0, q1) = q.split_at(half);
    let used = Used::new(units, half.ilog2() as usize, L::LOG_WIDTH);
    let fraction = |i: usize| {
        if !used.at(i) {
            return (L::T::ZERO, L::T::ONE);
        }
        let numerator = numerator(i, i + half, &q0[i], &q1[i]);
        (numerator, L::mul(&q0[i], &q1[i]))
    };
    let (mut p, mut q) = (Vec::new(), Vec::new());
    (0..half).into_par_iter().with_min_len(1 << 10).map(fraction).unzip_into_vecs(&mut p, &mut q);
    (p, q)
}

fn combine_layer<L: Lane>(units: &Units, p: &[L::T], q: &[L::T]) -> (Vec<L::T>, Vec<L::T>) {
    combine::<L>(units, q, |i, j, q0, q1| L::mul_add(&p[i], q1, &p[j], q0))
}

/// The layers below the leaves, layer 1 last.
fn layers(leaves: &Leaves) -> Vec<Layer> {
    let (numerators, units) = (&leaves.numerators, &leaves.units);
    let (p, q) = combine::<Register>(units, &leaves.denominators, |i, j, q0, q1| {
        Register::mul_add_bases(numerators[i], q1, numerators[j], q0)
    });
    let mut layers = vec![Layer::Packed(p, q)];
    loop {
        let next = match layers.last() {
            Some(Layer::Packed(p, q)) if q.len() >= 2 && q.len() * Packing::WIDTH > 8 => {
                let (p, q) = combine_layer::<Register>(units, p, q);
                Layer::Packed(p, q)
            }
            Some(Layer::Packed(p, q)) => {
                let (p, q) = combine_layer::<Single>(units, &unpack(p), &unpack(q));
                Layer::Scalar(p, q)
            }
            Some(Layer::Scalar(p, q)) if q.len() > 2 => {
                let (p, q) = combine_layer::<Single>(units, p, q);
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
pub(super) fn prove<C: Channel>(leaves: Leaves, channel: &mut C) -> Vec<E> {
    let mut layers = layers(&leaves);
    let Some(Layer::Scalar(p, q)) = layers.pop() else { unreachable!("layer 1 has two scalars") };
    let (mut p, mut q, merge) = send_values(channel, [p[0], p[1], q[0], q[1]]);
    let mut point = vec![merge];
    let units = leaves.units;
    let mut leaves = Some(leaves);
    let mut spare = Vec::new();
    loop {
        let lambda = channel.challenge(Labels::LOOKUP_LAMBDA);
        let claim = p + lambda * q;
        let mut rounds =
            Rounds { channel: &mut *channel, point: &point, lambda, units: &units, claim, challenges: Vec::new() };
        let finals = match layers.pop() {
            Some(Layer::Scalar(mut p, mut q)) => run_layer::<Single, C>(&mut p, &mut q, &mut rounds),
            Some(Layer::Packed(p, q)) if q.len() < 4 => {
                let (mut p, mut q) = (unpack(&p), unpack(&q));
                run_layer::<Single, C>(&mut p, &mut q, &mut rounds)
            }
            Some(Layer::Packed(mut p, mut q)) => {
                let lanes = run_layer::<Register, C>(&mut p, &mut q, &mut rounds);
                spare = p;
                run_lanes(lanes, &mut rounds)
            }
            None => {
                let Some(leaves) = leaves.take() else {
                    return point;
                };
                let spare = std::mem::take(&mut spare);
                let lanes = run_leaves(leaves, spare, &mut rounds);
                run_lanes(lanes, &mut rounds)
            }
        };
        let [p0, q1, p1_lambda, q0] = finals;
        let mut challenges = rounds.challenges;
        let merge;
        (p, q, merge) = send_values(channel, [p0, p1_lambda - lambda * q1, q0, q1]);
        point = vec![merge];
        point.append(&mut challenges);
        if leaves.is_none() {
            return point;
        }
    }
}

/// The rounds on the elements of the last lane.
fn run_lanes<C: Channel>(lanes: [PackedE; 4], rounds: &mut Rounds<'_, C>) -> [E; 4] {
    let mut tables = lanes.map(|lane| unpack(&[lane]));
    if Packing::WIDTH == 1 {
        return tables.map(|table| table[0]);
    }
    let next = sums::<Single>(&rounds.at(), |sums, weight, i| {
        let at = |i: usize| std::array::from_fn(|t| tables[t][i]);
        accumulate::<Single>(sums, weight, &at(i), &at(i + Packing::WIDTH / 2));
    });
    let tables = tables.each_mut().map(Vec::as_mut_slice);
    run::<Single, C>(tables, next, rounds)
}
