//! What [`crate::kernels`] calls of this module.

use super::sumcheck::ProductSumcheck;
use super::tree::MerkleTree;
use super::{blake3_tree, poseidon_tree};
use rayon::prelude::*;
use veritune_commit::{Digest, TreeHash, padded_leaf_bytes};
use veritune_field::{E, F, F_BYTES, f_to_bytes};

pub(crate) fn encode(coefficients: &[F], width: usize, log_inverse_rate: u32) -> Vec<F> {
    super::encode::encode(coefficients, width, log_inverse_rate)
}

/// Rows per task.
const ROWS: usize = 64;

pub(crate) fn tree_root(rows: &[F], width: usize, hash: TreeHash) -> Digest {
    let mut digests = vec![[0; 32]; rows.len() / width];
    digests.par_chunks_mut(ROWS).zip(rows.par_chunks(ROWS * width)).for_each(|(digests, rows)| match hash {
        TreeHash::Blake3 => {
            let leaf_bytes = padded_leaf_bytes(width * F_BYTES);
            let mut bytes = vec![0; leaf_bytes * digests.len()];
            for (row, leaf) in rows.chunks_exact(width).zip(bytes.chunks_exact_mut(leaf_bytes)) {
                for (word, &element) in leaf.as_chunks_mut::<F_BYTES>().0.iter_mut().zip(row) {
                    *word = f_to_bytes(element);
                }
            }
            blake3_tree::leaf_digests(&bytes, leaf_bytes, digests);
        }
        TreeHash::Poseidon2 => poseidon_tree::leaf_digests(rows, digests),
    });
    MerkleTree::new(digests, hash).root()
}

pub(crate) fn product_sumcheck(weights: Vec<E>, vector: &[F], challenge: E) -> E {
    let mut sumcheck = ProductSumcheck::over_base(weights.into(), vector);
    for _ in 0..vector.len().ilog2() {
        let _ = std::hint::black_box(sumcheck.polynomial());
        sumcheck.bind(challenge);
    }
    sumcheck.claim()
}
