//! Rounds on tables of runs: each pass binds one variable and sums for the next one.
//!
//! Tables `a, b, c, d` are summed as `a b + c d`. Where `c` and `d` are one element each all along a run, they are kept
//! as such.

use super::super::channel::Channel;
use super::run::{self, Run, Shape, Two, Weights};
use super::{Rounds, scalar};
use crate::lane::{Factor, line as scalar_line};
use rayon::prelude::*;
use veritune_field::E;
use veritune_field::traits::PrimeCharacteristicRing;

/// Memory of tables that are no longer needed.
#[derive(Default)]
pub(super) struct Spare(Vec<Vec<Two>>);

impl Spare {
    /// At least so many runs, of any content, in the least memory that is long enough.
    fn take(&mut self, len: usize) -> Vec<Two> {
        let fitting = (0..self.0.len()).filter(|&i| self.0[i].len() >= len);
        if let Some(least) = fitting.min_by_key(|&i| self.0[i].len()) {
            return self.0.swap_remove(least);
        }
        // What is too short is freed first: growing it would copy it.
        self.0.clear();
        vec![[Run::ZERO; 2]; len]
    }

    pub(super) fn give(&mut self, memory: Vec<Two>) {
        self.0.push(memory);
    }
}

/// Tables `c` and `d` of an entry.
#[derive(Clone, Copy)]
enum Rest {
    Constant([E; 2]),
    /// Their place.
    Kept(usize),
}

/// Tables `a, b` of every entry, and `c, d` of those where they are not constant.
pub(super) struct Tables {
    pub shape: Shape,
    first: Vec<Two>,
    second: Vec<Two>,
    rest: Vec<Rest>,
}

/// What the entries that are not kept hold.
pub(super) struct Missing {
    first: Two,
    second: Two,
    values: [E; 4],
    is_constant: bool,
}

impl Missing {
    /// Of four elements; whether `c` and `d` are to be taken as constant.
    pub(super) fn new(values: [E; 4], is_constant: bool) -> Self {
        let [a, b, c, d] = values.map(Run::constant);
        Self { first: [a, b], second: [c, d], values, is_constant }
    }

    fn entry(&self) -> Entry<'_> {
        let [_, _, c, d] = self.values;
        Entry { first: &self.first, second: if self.is_constant { Err([c, d]) } else { Ok(&self.second) } }
    }

    /// What the entries add to the sums of a round, those apart that are paired with one that is kept.
    fn sums(&self, weights: &Weights) -> [E; 2] {
        let [a, b, c, d] = self.values;
        [(a * b + c * d) * weights.missing, E::ZERO]
    }
}

/// An entry: `a, b`, and `c, d` as constants or as tables.
#[derive(Clone, Copy)]
struct Entry<'a> {
    first: &'a Two,
    second: Result<&'a Two, [E; 2]>,
}

fn add(a: [E; 2], b: [E; 2]) -> [E; 2] {
    [a[0] + b[0], a[1] + b[1]]
}

/// Memory of a thread for what is not kept.
pub(super) type Rooms = [Two; 4];

/// The sum of what every task gives, on all threads if there are enough tasks.
pub(super) fn total<T: Send>(tasks: Vec<T>, task: impl Fn(&mut Rooms, (usize, T)) -> [E; 2] + Send + Sync) -> [E; 2] {
    let rooms = || Box::new([[Run::ZERO; 2]; 4]);
    if tasks.len() < 8 {
        let mut rooms = rooms();
        let sums = tasks.into_iter().enumerate().map(|item| task(&mut rooms, item));
        sums.fold([E::ZERO; 2], add)
    } else {
        let tasks = tasks.into_par_iter().enumerate().with_min_len(16);
        tasks.map_init(rooms, |rooms, item| task(rooms, item)).reduce(|| [E::ZERO; 2], add)
    }
}

/// Where an entry of a table that is made is written.
pub(super) enum Out<'a> {
    /// `a, b`, and `c, d` as one element each.
    Constant(&'a mut Two, &'a mut [E; 2]),
    /// `a, b` and `c, d`.
    Kept(&'a mut Two, &'a mut Two),
}

/// An entry as two tables.
fn filled<'a>(second: Result<&'a Two, [E; 2]>, room: &'a mut Option<Two>) -> &'a Two {
    match second {
        Ok(second) => second,
        Err(constants) => room.insert(constants.map(Run::constant)),
    }
}

/// Memory of an entry that is made.
type Place<'a> = (&'a mut Two, Result<&'a mut Two, &'a mut [E; 2]>);

/// Writes an entry and returns it.
fn write_entry<'a>((first, second): Place<'a>, write: impl FnOnce(Out<'_>)) -> Entry<'a> {
    match second {
        Err(constants) => {
            write(Out::Constant(first, constants));
            Entry { first, second: Err(*constants) }
        }
        Ok(second) => {
            write(Out::Kept(first, second));
            Entry { first, second: Ok(second) }
        }
    }
}

impl Tables {
    pub(super) fn new(shape: Shape) -> Self {
        Self { shape, first: Vec::new(), second: Vec::new(), rest: Vec::new() }
    }

    /// Makes all entries and sums over their pairs.
    pub(super) fn fill(
        &mut self,
        spare: &mut Spare,
        rest: &[E],
        missing: &Missing,
        is_constant: impl Fn(usize) -> bool,
        write: impl Fn(usize, Out<'_>, &mut Rooms) + Send + Sync,
    ) -> [E; 2] {
        let shape = self.shape;
        let weights = Weights::new(&shape, rest);
        let mut kept = 0;
        self.rest.clear();
        self.rest.extend((0..shape.used).map(|at| {
            if is_constant(at) {
                return Rest::Constant([E::ZERO; 2]);
            }
            kept += 1;
            Rest::Kept(kept - 1)
        }));
        if self.first.len() < shape.used {
            let memory = spare.take(shape.used);
            spare.give(std::mem::replace(&mut self.first, memory));
        }
        if self.second.len() < kept {
            let memory = spare.take(kept);
            spare.give(std::mem::replace(&mut self.second, memory));
        }
        let (mut firsts, mut seconds) = (self.first.iter_mut(), self.second.iter_mut());
        let entries = self.rest.iter_mut().map_while(|rest| {
            let first = firsts.next()?;
            match rest {
                Rest::Constant(constants) => Some((first, Err(constants))),
                Rest::Kept(_) => Some((first, Ok(seconds.next()?))),
            }
        });
        let pairs = run::pairs(entries.take(shape.used), shape.num_pairs());
        let sums = total(pairs, |rooms, (pair, entries)| {
            let [low_at, high_at] = Shape::children(pair);
            let low = write_entry(entries.0, |out| write(low_at, out, rooms));
            let high = match entries.1 {
                Some(entry) => write_entry(entry, |out| write(high_at, out, rooms)),
                None => missing.entry(),
            };
            pair_sums(&weights.inner, [low, high]).map(|sum| sum * weights.outer[pair])
        });
        add(sums, missing.sums(&weights))
    }

    fn get<'a>(&'a self, at: usize, missing: &'a Missing) -> Entry<'a> {
        let second = match self.rest.get(at) {
            None => return missing.entry(),
            Some(Rest::Constant(constants)) => Err(*constants),
            Some(Rest::Kept(place)) => Ok(&self.second[*place]),
        };
        Entry { first: &self.first[at], second }
    }

    /// The entries that become one when a variable is bound.
    fn children<'a>(&'a self, at: usize, missing: &'a Missing) -> [Entry<'a>; 2] {
        Shape::children(at).map(|child| self.get(child, missing))
    }

    /// Writes an entry of `shape.halved()`.
    fn write_bound(&self, at: usize, x: E, missing: &Missing, out: Out<'_>) {
        let [low, high] = self.children(at, missing);
        run::touch(low.first.iter().chain(high.first));
        let factor = Factor::new(x);
        let line = |out: &mut Two, low: &Two, high: &Two| {
            out[0].set_line(&low[0], &high[0], &factor);
            out[1].set_line(&low[1], &high[1], &factor);
        };
        match (out, low.second, high.second) {
            (Out::Constant(first, constants), Err(low_constants), Err(high_constants)) => {
                line(first, low.first, high.first);
                *constants = [0, 1].map(|t: usize| scalar_line(low_constants[t], high_constants[t], x));
            }
            (Out::Constant(..), ..) => unreachable!("constants are made of constants"),
            (Out::Kept(first, second), low_second, high_second) => {
                line(first, low.first, high.first);
                let (mut low_room, mut high_room) = (None, None);
                let (low, high) = (filled(low_second, &mut low_room), filled(high_second, &mut high_room));
                run::touch(low.iter().chain(high));
                line(second, low, high);
            }
        }
    }

    /// Runs rounds until one element is left in each table. `next` are the sums of the next round.
    pub(super) fn finish<C: Channel>(
        mut self,
        mut next: [E; 2],
        missing: &Missing,
        spare: &mut Spare,
        rounds: &mut Rounds<'_, C>,
    ) -> [E; 4] {
        let mut other = Self::new(self.shape);
        while self.shape.log > 1 {
            let x = rounds.send(next);
            other.shape = self.shape.halved();
            let is_constant = |at: usize| self.children(at, missing).iter().all(|entry| entry.second.is_err());
            let write = |at: usize, out: Out<'_>, _: &mut Rooms| self.write_bound(at, x, missing, out);
            next = other.fill(spare, rounds.rest(), missing, is_constant, write);
            std::mem::swap(&mut self, &mut other);
        }
        let x = rounds.send(next);
        let (mut first, mut second) = ([Run::ZERO; 2], [Run::ZERO; 2]);
        self.write_bound(0, x, missing, Out::Kept(&mut first, &mut second));
        for memory in [self.first, self.second, other.first, other.second] {
            spare.give(memory);
        }
        let ([a, b], [c, d]) = (first, second);
        scalar::finish([a, b, c, d].map(|run| run.elements().collect()), rounds)
    }
}

/// The sums over a pair of entries.
fn pair_sums(weights: &Run, [low, high]: [Entry<'_>; 2]) -> [E; 2] {
    if let (Err([c0, d0]), Err([c1, d1])) = (low.second, high.second) {
        let sums = run::pair_sums_of_product(weights, low.first, high.first);
        return [sums[0] + c0 * d0, sums[1] + (c1 - c0) * (d1 - d0)];
    }
    let (mut low_room, mut high_room) = (None, None);
    let ([a, b], [c, d]) = (low.first, filled(low.second, &mut low_room));
    let ([a_high, b_high], [c_high, d_high]) = (high.first, filled(high.second, &mut high_room));
    run::pair_sums(weights, [a, b, c, d], [a_high, b_high, c_high, d_high])
}
