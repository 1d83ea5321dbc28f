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
    block: u64,
    ready: Vec<u64>,
}

impl Words<'_> {
    fn next(&mut self) -> u64 {
        if let Some(word) = self.ready.pop() {
            return word;
        }
        let digest = Sha256::new()
            .chain_update(b"veritune/sampler/v1")
            .chain_update(self.seed)
            .chain_update(self.epoch.to_le_bytes())
            .chain_update(self.block.to_le_bytes())
            .finalize();
        self.block += 1;
        self.ready = digest.as_chunks::<8>().0.iter().rev().map(|w| u64::from_le_bytes(*w)).collect();
        self.next()
    }
}

/// The permutation of `0..rows` of an epoch.
pub fn permutation(seed: &[u8; 32], epoch: u64, rows: usize) -> Vec<usize> {
    let mut words = Words { seed, epoch, block: 0, ready: Vec::new() };
    let mut order: Vec<usize> = (0..rows).collect();
    for j in (1..rows).rev() {
        let n = j as u64 + 1;
        // 2^64 - (2^64 mod n), or 2^64 itself, which no word reaches.
        let reject_from = u64::MAX - (u64::MAX % n + 1) % n;
        let word = loop {
            let word = words.next();
            if word <= reject_from {
                break word;
            }
        };
        order.swap(j, (word % n) as usize);
    }
    order
}

/// The rows of optimiser step `step` (the first is 1).
pub fn step_rows(seed: &[u8; 32], step: u64, rows: usize, batch: usize) -> Vec<usize> {
    let per_epoch = (rows / batch.max(1)).max(1) as u64;
    let index = step.saturating_sub(1);
    let order = permutation(seed, index / per_epoch, rows);
    let start = (index % per_epoch) as usize * batch;
    order.into_iter().skip(start).take(batch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_an_epoch_are_disjoint_and_the_next_epoch_differs() {
        let seed = [7; 32];
        let mut seen: Vec<usize> = (1..=5).flat_map(|t| step_rows(&seed, t, 11, 2)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 10);
        assert_ne!(permutation(&seed, 0, 11), permutation(&seed, 1, 11));
        assert_eq!(step_rows(&seed, 6, 11, 2), permutation(&seed, 1, 11)[..2].to_vec());
    }
}
