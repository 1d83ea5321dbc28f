//! The public sampler: which dataset rows a step trains on.
//!
//! Statement: in epoch e the rows are a Fisher–Yates permutation of `0..rows` drawn from SHA-256 in counter mode
//! under the run seed; step t of the epoch takes the next `batch` of them; a last partial batch is dropped.
//! Block i of the stream is `SHA-256("veritune/sampler/v1" ‖ seed ‖ e as u64 LE ‖ i as u64 LE)`, four u64 LE words;
//! for j from rows-1 down to 1 a word w is drawn until `w < floor(2^64/(j+1)) (j+1)`, and rows j and `w mod (j+1)`
//! are swapped.

use sha2::{Digest, Sha256};

/// Words of the stream of one epoch.
struct Words<'a> {
    seed: &'a [u8; 32],
    epoch: u64,
    /// Words drawn.
    drawn: u64,
    /// The block of the last word.
    block: [u8; 32],
}

impl Words<'_> {
    fn next(&mut self) -> u64 {
        let word = (self.drawn % 4) as usize;
        if word == 0 {
            self.block = Sha256::new()
                .chain_update(b"veritune/sampler/v1")
                .chain_update(self.seed)
                .chain_update(self.epoch.to_le_bytes())
                .chain_update((self.drawn / 4).to_le_bytes())
                .finalize()
                .into();
        }
        self.drawn += 1;
        u64::from_le_bytes(self.block.as_chunks::<8>().0[word])
    }
}

/// The permutation of `0..rows` of an epoch.
fn permutation(seed: &[u8; 32], epoch: u64, rows: usize) -> Vec<u32> {
    let mut words = Words { seed, epoch, drawn: 0, block: [0; 32] };
    shuffled(rows, || words.next())
}

/// `0..rows` in a Fisher–Yates order: uniform if the words are. A spec has at most 2^21 rows.
pub fn shuffled(rows: usize, mut next: impl FnMut() -> u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..rows as u32).collect();
    for j in (1..rows).rev() {
        let n = j as u64 + 1;
        let word = loop {
            let word = next();
            // Greatest word below 2^64 - (2^64 mod n); what lies n below 2^64 or more needs no division.
            if word <= u64::MAX - n || word <= u64::MAX - (u64::MAX % n + 1) % n {
                break word;
            }
        };
        order.swap(j, (word % n) as usize);
    }
    order
}

/// The rows of a run's steps. Keeps the permutation of one epoch (4 bytes a row), so that steps in order make each once.
#[derive(Debug, Clone)]
pub struct Sampler {
    seed: [u8; 32],
    rows: usize,
    batch: usize,
    epoch: Option<(u64, Vec<u32>)>,
}

impl Sampler {
    /// The sampler of a seed over a dataset of `rows` rows, of which a step reads `batch`. No permutation is made yet.
    pub fn new(seed: &[u8; 32], rows: usize, batch: usize) -> Self {
        Self { seed: *seed, rows, batch, epoch: None }
    }

    /// The rows of optimiser step `step` (the first is 1). Another epoch than the last call's costs its permutation.
    pub fn rows(&mut self, step: u64) -> Vec<usize> {
        let per_epoch = (self.rows / self.batch.max(1)).max(1) as u64;
        let index = step.saturating_sub(1);
        let batch = self.batch;
        let start = (index % per_epoch) as usize * batch;
        self.order(index / per_epoch).iter().skip(start).take(batch).map(|&row| row as usize).collect()
    }

    /// The permutation of an epoch.
    fn order(&mut self, epoch: u64) -> &[u32] {
        let kept = self.epoch.take_if(|(kept, _)| *kept == epoch).map(|(_, order)| order);
        let order = kept.unwrap_or_else(|| permutation(&self.seed, epoch, self.rows));
        &self.epoch.insert((epoch, order)).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of a step as the statement has them, from nothing but the step.
    fn step_rows(seed: &[u8; 32], step: u64, rows: usize, batch: usize) -> Vec<usize> {
        let per_epoch = (rows / batch) as u64;
        let order = permutation(seed, (step - 1) / per_epoch, rows);
        let start = ((step - 1) % per_epoch) as usize * batch;
        order[start..start + batch].iter().map(|&row| row as usize).collect()
    }

    #[test]
    fn words_are_rejected_as_the_statement_says() {
        for n in 2..3000_u64 {
            let limit = (1_u128 << 64) / u128::from(n) * u128::from(n);
            for word in [limit - 1, limit, (u64::MAX - n).into(), u128::from(u64::MAX - n) + 1, u64::MAX.into()] {
                let Ok(first) = u64::try_from(word) else { continue };
                let mut drawn = 0;
                shuffled(n as usize, || {
                    drawn += 1;
                    if drawn == 1 { first } else { 0 }
                });
                assert_eq!(drawn, n - 1 + u64::from(word >= limit), "{n} {word}");
            }
        }
    }

    #[test]
    fn a_sampler_gives_every_step_its_rows_in_any_order_of_steps() {
        for (rows, batch) in [(11, 2), (12, 3), (5, 5), (1, 1), (7, 4)] {
            let seed = [rows as u8; 32];
            let mut sampler = Sampler::new(&seed, rows, batch);
            let forth: Vec<u64> = (1..=20).collect();
            let back: Vec<u64> = (1..=20).rev().collect();
            for step in [forth, back, vec![3, 17, 3, 3, 20, 1]].concat() {
                assert_eq!(sampler.rows(step), step_rows(&seed, step, rows, batch), "{rows} {batch} {step}");
            }
        }
    }

    /// The order that is kept is the one that is read, marked here to be told from a new one.
    #[test]
    fn an_epoch_is_permuted_once() {
        let mut sampler = Sampler::new(&[7; 32], 100, 5);
        sampler.epoch = Some((0, vec![9; 100]));
        for step in 1..=20 {
            assert_eq!(sampler.rows(step), [9; 5]);
        }
        assert_eq!(sampler.rows(21), step_rows(&[7; 32], 21, 100, 5));
        assert_eq!(sampler.rows(20), step_rows(&[7; 32], 20, 100, 5));
    }

    #[test]
    fn steps_of_an_epoch_are_disjoint_and_the_next_epoch_differs() {
        let seed = [7; 32];
        let mut sampler = Sampler::new(&seed, 11, 2);
        let mut seen: Vec<usize> = (1..=5).flat_map(|t| sampler.rows(t)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 10);
        assert_ne!(permutation(&seed, 0, 11), permutation(&seed, 1, 11));
    }

    /// The known answer of docs/spec/sampler.md.
    #[test]
    fn the_known_answer() {
        let seed: [u8; 32] = std::array::from_fn(|i| i as u8);
        assert_eq!(permutation(&seed, 0, 11), [10, 5, 3, 6, 1, 9, 4, 0, 8, 2, 7]);
        assert_eq!(permutation(&seed, 1, 11), [0, 8, 10, 2, 5, 4, 3, 1, 7, 6, 9]);
        let mut sampler = Sampler::new(&seed, 11, 2);
        assert_eq!([1, 5, 6].map(|step| sampler.rows(step)), [[10, 5], [8, 2], [0, 8]]);
    }
}
