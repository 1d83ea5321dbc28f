//! Rounds on tables of runs: each pass binds one variable and sums for the next one.

use super::super::channel::Channel;
use super::run::{self, At, Run, Shape, Slot, Weights};
use super::{Rounds, scalar};
use rayon::prelude::*;
use veritune_field::E;
use veritune_field::traits::PrimeCharacteristicRing;

/// `c` and `d` of a slot, if each is one element: they are not written then.
pub(super) type Constants = Option<[E; 2]>;

/// Tables `a, b, c, d`, of which `a b + c d` is summed.
pub(super) struct Tables {
    pub shape: Shape,
    /// Four runs a slot; more than are in use.
    pub runs: Vec<Run>,
    pub constants: Vec<Constants>,
}

/// What the slots that are not kept hold.
pub(super) struct Missing {
    pub slot: Box<Slot>,
    pub constants: Constants,
}

impl Missing {
    pub(super) fn new([a, b, c, d]: [E; 4], are_constants: bool) -> Self {
        Self { slot: Box::new([a, b, c, d].map(Run::constant)), constants: are_constants.then_some([c, d]) }
    }

    /// The summand.
    fn value(&self) -> E {
        let [a, b, c, d] = self.slot.each_ref().map(|run| run.elements().next().unwrap_or(E::ZERO));
        a * b + c * d
    }

    /// What the slots add to the sums of a round.
    pub(super) fn sums(&self, weights: &Weights) -> [E; 2] {
        [self.value() * weights.missing, E::ZERO]
    }
}

fn add(a: [E; 2], b: [E; 2]) -> [E; 2] {
    [a[0] + b[0], a[1] + b[1]]
}

/// The sum of what every task gives, on all threads if there are enough tasks.
pub(super) fn total<T: Send>(tasks: Vec<T>, task: impl Fn((usize, T)) -> [E; 2] + Send + Sync) -> [E; 2] {
    if tasks.len() < 8 {
        let sums = tasks.into_iter().enumerate().map(task);
        sums.fold([E::ZERO; 2], add)
    } else {
        let tasks = tasks.into_par_iter().enumerate().with_min_len(4);
        tasks.map(task).reduce(|| [E::ZERO; 2], add)
    }
}

/// The sums over the pairs of a table as `write` makes it: it writes one slot and says whether `c` and `d` are constant.
pub(super) fn write_pairs(
    out: &mut Tables,
    weights: &Weights,
    missing: &Missing,
    write: impl Fn(At, &mut Slot) -> Constants + Send + Sync,
) -> [E; 2] {
    let shape = out.shape;
    let slots = &mut out.runs[..4 * shape.len()];
    let slots = shape.split_pairs(slots.as_chunks_mut::<4>().0);
    out.constants.clear();
    out.constants.resize(shape.len(), None);
    let constants = shape.split_pairs(&mut out.constants);
    let tasks: Vec<_> = slots.into_iter().zip(constants).collect();
    let sums = total(tasks, |(pair, (mut slots, constants))| {
        let (index, at) = shape.pair(pair);
        let written = [write(at[0], &mut *slots[0]), write(at[1], &mut *slots[1])];
        let sums = if let [Some([c0, d0]), Some([c1, d1])] = written {
            (*constants[0], *constants[1]) = (written[0], written[1]);
            let sums = run::pair_sums_of_product(&weights.inner, slots[0], slots[1]);
            [sums[0] + c0 * d0, sums[1] + (c1 - c0) * (d1 - d0)]
        } else {
            for (slot, written) in slots.iter_mut().zip(written) {
                if let Some([c, d]) = written {
                    (slot[2], slot[3]) = (Run::constant(c), Run::constant(d));
                }
            }
            run::pair_sums(&weights.inner, slots[0], slots[1])
        };
        sums.map(|sum| sum * weights.outer[index])
    });
    add(sums, missing.sums(weights))
}

impl Tables {
    /// The slot of an entry, and its constants.
    fn slot<'a>(&'a self, at: At, missing: &'a Missing) -> (&'a Slot, Constants) {
        match self.shape.place(at) {
            Some(place) => (&self.runs.as_chunks::<4>().0[place], self.constants[place]),
            None => (&missing.slot, missing.constants),
        }
    }

    /// Writes an entry of `shape.halved()`.
    fn write_bound(&self, at: At, x: E, missing: &Missing, out: &mut Slot) -> Constants {
        let [(low, low_constants), (high, high_constants)] =
            self.shape.children(at).map(|child| self.slot(child, missing));
        let factor = run::broadcast(x);
        out[0].set_line(&low[0], &high[0], &factor);
        out[1].set_line(&low[1], &high[1], &factor);
        if let (Some(low), Some(high)) = (low_constants, high_constants) {
            return Some([low[0] + x * (high[0] - low[0]), low[1] + x * (high[1] - low[1])]);
        }
        for t in [2, 3] {
            let filled = |constants: Constants| constants.map(|constants| Run::constant(constants[t - 2]));
            match (filled(low_constants), filled(high_constants)) {
                (None, None) => out[t].set_line(&low[t], &high[t], &factor),
                (low_run, high_run) => {
                    let (low, high) = (low_run.as_ref().unwrap_or(&low[t]), high_run.as_ref().unwrap_or(&high[t]));
                    out[t].set_line(low, high, &factor);
                }
            }
        }
        None
    }

    /// Runs rounds until one element is left in each table. `next` are the sums of the next round; `spare` is memory.
    pub(super) fn finish<C: Channel>(
        mut self,
        mut next: [E; 2],
        missing: &Missing,
        spare: &mut Vec<Run>,
        rounds: &mut Rounds<'_, C>,
    ) -> [E; 4] {
        let mut other = Self { shape: self.shape, runs: std::mem::take(spare), constants: Vec::new() };
        while self.shape.num_variables() > 1 {
            let x = rounds.send(next);
            other.shape = self.shape.halved();
            reserve(&mut other.runs, 4 * other.shape.len());
            let weights = Weights::new(&other.shape, rounds.rest());
            next = write_pairs(&mut other, &weights, missing, |at, out| self.write_bound(at, x, missing, out));
            std::mem::swap(&mut self, &mut other);
        }
        let x = rounds.send(next);
        let mut last = [Run::ZERO; 4];
        if let Some([c, d]) = self.write_bound((0, 0), x, missing, &mut last) {
            (last[2], last[3]) = (Run::constant(c), Run::constant(d));
        }
        *spare = if self.runs.len() > other.runs.len() { self.runs } else { other.runs };
        scalar::finish(last.map(|run| run.elements().collect()), rounds)
    }
}

/// At least so many runs, of any content.
pub(super) fn reserve(runs: &mut Vec<Run>, len: usize) {
    if runs.len() < len {
        runs.clear();
        runs.resize(len, Run::ZERO);
    }
}
