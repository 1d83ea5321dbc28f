//! The oracles of the recursion levels, and the bytes of a proof as they grow.

use super::encode::transform;
use super::tree::MerkleTree;
use crate::zeros::zeros;
use rayon::prelude::*;
use veritune_commit::{Digest, Labels, Level, TreeHash, sorted_unique};
use veritune_field::traits::BasedVectorSpace;
use veritune_field::{E, E_BYTES, F, F_BYTES, e_to_bytes, f_to_bytes};
use veritune_transcript::Transcript;

/// The committed vector of a level.
pub(super) struct Oracle {
    pub(super) level: Level,
    rows: Vec<F>,
    pub(super) merkle: MerkleTree,
}

impl Oracle {
    /// Encodes `vector` with column = high bits of the index, so that binding the most significant
    /// variables combines columns.
    pub(super) fn new(level: &Level, vector: &[E]) -> Self {
        let num_rows = 1 << level.log_rows;
        let width = vector.len() / num_rows;
        let mut matrix = zeros((vector.len() * 3) << level.log_inverse_rate);
        matrix[..vector.len() * 3].par_chunks_exact_mut(width * 3).enumerate().for_each(|(row, slots)| {
            for (column, slots) in slots.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                let element = vector[column * num_rows + row];
                slots.copy_from_slice(element.as_basis_coefficients_slice());
            }
        });
        let rows = transform(matrix, width * 3);
        // 16 columns of 24 bytes: the row is a whole number of hash blocks.
        let leaf_bytes = width * E_BYTES;
        let mut digests: Vec<Digest> = vec![[0; 32]; 1 << level.log_domain()];
        const LEAVES_PER_TASK: usize = 64;
        digests.par_chunks_mut(LEAVES_PER_TASK).zip(rows.par_chunks(LEAVES_PER_TASK * width * 3)).for_each(
            |(digests, rows)| {
                let mut bytes = vec![0; digests.len() * leaf_bytes];
                for (word, &element) in bytes.as_chunks_mut::<F_BYTES>().0.iter_mut().zip(rows) {
                    *word = f_to_bytes(element);
                }
                super::blake3_tree::leaf_digests(&bytes, leaf_bytes, digests);
            },
        );
        Self { level: *level, rows, merkle: MerkleTree::new(digests, TreeHash::Blake3) }
    }

    /// Draws positions, sends rows and siblings, returns the positions.
    pub(super) fn answer(&self, transcript: &mut Transcript, proof: &mut Proof) -> Vec<u64> {
        let log_domain = self.level.log_domain();
        let positions = draw(transcript, self.level.queries, log_domain);
        let width = self.rows.len() >> log_domain;
        for &position in &positions {
            for &element in &self.rows[position as usize * width..][..width] {
                proof.bytes.extend_from_slice(&f_to_bytes(element));
            }
        }
        self.merkle.write_siblings(&positions, &mut proof.bytes);
        positions
    }
}

/// The sorted unique positions of one draw.
pub(super) fn draw(transcript: &mut Transcript, queries: u32, log_domain: u32) -> Vec<u64> {
    sorted_unique(transcript.challenge_indices(Labels::POSITIONS, queries as usize, log_domain))
}

/// The bytes so far, and where each component ends.
#[derive(Default)]
pub(super) struct Proof {
    pub(super) bytes: Vec<u8>,
    marked: usize,
    pub(super) components: Vec<(String, usize)>,
}

impl Proof {
    pub(super) fn elements(&mut self, elements: &[E]) {
        for &element in elements {
            self.bytes.extend_from_slice(&e_to_bytes(element));
        }
    }

    pub(super) fn mark(&mut self, name: &str) {
        self.components.push((name.to_owned(), self.bytes.len() - self.marked));
        self.marked = self.bytes.len();
    }
}
