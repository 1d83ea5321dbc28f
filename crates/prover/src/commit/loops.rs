//! What [`crate::kernels`] calls of this module.

use super::sumcheck::ProductSumcheck;
use super::tree::MerkleTree;
use veritune_commit::{Digest, TreeHash};
use veritune_field::{E, F};

pub(crate) fn encode(coefficients: &[F], width: usize, log_inverse_rate: u32) -> Vec<F> {
    super::encode::encode(coefficients, width, log_inverse_rate)
}

pub(crate) fn tree_root(rows: &[F], width: usize, hash: TreeHash) -> Digest {
    MerkleTree::over(rows, width, hash).root()
}

pub(crate) fn product_sumcheck(weights: Vec<E>, vector: &[F], challenge: E) -> E {
    let mut sumcheck = ProductSumcheck::over_base(weights.into(), vector);
    for _ in 0..vector.len().ilog2() {
        let _ = std::hint::black_box(sumcheck.polynomial());
        sumcheck.bind(challenge);
    }
    sumcheck.claim()
}
