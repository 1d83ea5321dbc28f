//! Poseidon2 digests of whole layers, the verifier's batches on all threads.

use rayon::prelude::*;
use std::sync::LazyLock;
use veritune_commit::{Digest, POSEIDON_LEAF_TAG, POSEIDON_NODE_TAG, Poseidon, poseidon_digests};
use veritune_field::{F, F_BYTES, f_from_bytes};

static PERMUTATION: LazyLock<Poseidon> = LazyLock::new(p3_goldilocks::default_goldilocks_poseidon2_12);

const NODES_PER_TASK: usize = 256;

/// The digests of `digests.len()` rows, side by side in `rows`.
pub(super) fn leaf_digests(rows: &[F], digests: &mut [Digest]) {
    poseidon_digests(&PERMUTATION, POSEIDON_LEAF_TAG, rows, digests);
}

/// The digests of the parents of `layer`.
pub(super) fn parent_layer(layer: &[Digest]) -> Vec<Digest> {
    let mut parents = vec![[0; 32]; layer.len() / 2];
    parents.par_chunks_mut(NODES_PER_TASK).zip(layer.par_chunks(2 * NODES_PER_TASK)).for_each(|(parents, children)| {
        let words: Vec<F> = children
            .as_flattened()
            .as_chunks::<F_BYTES>()
            .0
            .iter()
            .map(|&word| f_from_bytes(word).expect("digests are canonical"))
            .collect();
        poseidon_digests(&PERMUTATION, POSEIDON_NODE_TAG, &words, parents);
    });
    parents
}

#[cfg(test)]
mod tests {
    use super::*;
    use veritune_commit::{TreeHash, TreeHasher};
    use veritune_field::f_to_bytes;
    use veritune_field::traits::PrimeCharacteristicRing;

    #[test]
    fn digests_equal_those_of_the_verifier() {
        let hasher = TreeHasher::new(TreeHash::Poseidon2);
        for width in [5, 8, 13, 20] {
            let rows: Vec<F> = (0..11 * width).map(|i| F::from_usize(i * i + 3)).collect();
            let mut digests = vec![[0; 32]; 11];
            leaf_digests(&rows, &mut digests);
            for (row, digest) in rows.chunks(width).zip(&digests) {
                let bytes: Vec<u8> = row.iter().flat_map(|&x| f_to_bytes(x)).collect();
                assert_eq!(hasher.leaf(&bytes).unwrap(), *digest);
            }
            let parents = parent_layer(&digests[..10]);
            for (pair, parent) in digests[..10].chunks(2).zip(parents) {
                assert_eq!(hasher.node(&pair[0], &pair[1]).unwrap(), parent);
            }
        }
    }
}
