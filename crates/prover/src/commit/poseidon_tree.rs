//! Poseidon2 leaf and node digests, one per SIMD lane.
//!
//! The digests equal those of `veritune_commit::TreeHasher`, which a test checks.

use p3_symmetric::Permutation;
use rayon::prelude::*;
use std::sync::LazyLock;
use veritune_commit::{
    Digest, POSEIDON_LEAF_TAG, POSEIDON_NODE_TAG, POSEIDON_RATE, POSEIDON_WIDTH, Poseidon,
};
use veritune_field::traits::{Field, PackedValue, PrimeCharacteristicRing};
use veritune_field::{F, F_BYTES, f_from_bytes, f_to_bytes};

type Packing = <F as Field>::Packing;

static PERMUTATION: LazyLock<Poseidon> =
    LazyLock::new(p3_goldilocks::default_goldilocks_poseidon2_12);

const NODES_PER_TASK: usize = 256;

/// The digests of `digests.len()` rows of `width` elements each.
pub(super) fn leaf_digests(rows: &[F], width: usize, digests: &mut [Digest]) {
    for (rows, digests) in rows
        .chunks(width * Packing::WIDTH)
        .zip(digests.chunks_mut(Packing::WIDTH))
    {
        sponge(
            POSEIDON_LEAF_TAG,
            width,
            |lane, i| rows.get(lane * width + i).copied(),
            digests,
        );
    }
}

/// The digests of the parents of `layer`.
pub(super) fn parent_layer(layer: &[Digest]) -> Vec<Digest> {
    let mut parents = vec![[0; 32]; layer.len() / 2];
    parents
        .par_chunks_mut(NODES_PER_TASK)
        .zip(layer.par_chunks(2 * NODES_PER_TASK))
        .for_each(|(parents, children)| {
            let words: Vec<F> = children
                .as_flattened()
                .as_chunks::<F_BYTES>()
                .0
                .iter()
                .map(|&word| f_from_bytes(word).expect("digests are canonical"))
                .collect();
            let width = POSEIDON_RATE;
            for (words, parents) in words
                .chunks(width * Packing::WIDTH)
                .zip(parents.chunks_mut(Packing::WIDTH))
            {
                let element = |lane: usize, i: usize| words.get(lane * width + i).copied();
                sponge(POSEIDON_NODE_TAG, width, element, parents);
            }
        });
    parents
}

/// Lanes beyond the last row hash zeros, and nobody reads them.
fn sponge(
    tag: u64,
    length: usize,
    element: impl Fn(usize, usize) -> Option<F>,
    digests: &mut [Digest],
) {
    let mut state = [Packing::ZERO; POSEIDON_WIDTH];
    state[POSEIDON_RATE] = Packing::from(F::from_u64(tag));
    state[POSEIDON_RATE + 1] = Packing::from(F::from_usize(length));
    for start in (0..length).step_by(POSEIDON_RATE) {
        for i in start..length.min(start + POSEIDON_RATE) {
            state[i - start] += Packing::from_fn(|lane| element(lane, i).unwrap_or(F::ZERO));
        }
        PERMUTATION.permute_mut(&mut state);
    }
    for (lane, digest) in digests.iter_mut().enumerate() {
        for (chunk, word) in digest.chunks_exact_mut(F_BYTES).zip(&state) {
            chunk.copy_from_slice(&f_to_bytes(word.as_slice()[lane]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use veritune_commit::{TreeHash, TreeHasher};

    #[test]
    fn digests_equal_those_of_the_verifier() {
        let hasher = TreeHasher::new(TreeHash::Poseidon2);
        for width in [5, 8, 13, 20] {
            let rows: Vec<F> = (0..11 * width).map(|i| F::from_usize(i * i + 3)).collect();
            let mut digests = vec![[0; 32]; 11];
            leaf_digests(&rows, width, &mut digests);
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
