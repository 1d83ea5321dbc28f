//! BLAKE3 leaf and node digests, many at a time.
//!
//! The digests equal those of `veritune_commit::TreeHasher`, which a test checks; the speed comes from
//! BLAKE3's own kernel for many inputs of one length, one input per SIMD lane. The kernel takes whole
//! blocks up to one chunk (1,024 bytes); longer leaves are hashed one by one.

use blake3::IncrementCounter;
use blake3::platform::{Platform, words_from_le_bytes_32};
use rayon::prelude::*;
use veritune_commit::{Digest, LEAF_KEY, NODE_KEY, TreeHash, TreeHasher};

/// Flags of the BLAKE3 specification, section 2.2.
const CHUNK_START: u8 = 1;
const CHUNK_END: u8 = 2;
const ROOT: u8 = 8;
const KEYED_HASH: u8 = 16;

/// Parents per task: enough work to hide the cost of scheduling.
const NODES_PER_TASK: usize = 512;

/// The digests of the leaves in `bytes`, each `leaf_bytes` long, a multiple of 64.
pub(super) fn leaf_digests(bytes: &[u8], leaf_bytes: usize, digests: &mut [Digest]) {
    macro_rules! by_blocks {
        ($($blocks:literal)*) => {
            match leaf_bytes / 64 {
                $($blocks => hash_many::<{ 64 * $blocks }>(bytes, LEAF_KEY, digests),)*
                _ => {
                    let hasher = TreeHasher::new(TreeHash::Blake3);
                    for (leaf, digest) in bytes.chunks_exact(leaf_bytes).zip(digests) {
                        *digest = hasher.leaf(leaf).expect("BLAKE3 takes any bytes");
                    }
                }
            }
        };
    }
    by_blocks!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
}

/// The digests of the parents of `layer`.
pub(super) fn parent_layer(layer: &[Digest]) -> Vec<Digest> {
    let mut parents = vec![[0; 32]; layer.len() / 2];
    parents.par_chunks_mut(NODES_PER_TASK).zip(layer.par_chunks(2 * NODES_PER_TASK)).for_each(|(parents, children)| {
        hash_many::<64>(children.as_flattened(), NODE_KEY, parents);
    });
    parents
}

fn hash_many<const N: usize>(bytes: &[u8], key: &[u8; 32], digests: &mut [Digest]) {
    let inputs: Vec<&[u8; N]> = bytes.as_chunks::<N>().0.iter().collect();
    assert_eq!(inputs.len(), digests.len());
    Platform::detect().hash_many(
        &inputs,
        &words_from_le_bytes_32(key),
        0,
        IncrementCounter::No,
        KEYED_HASH,
        CHUNK_START,
        CHUNK_END | ROOT,
        digests.as_flattened_mut(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_equal_those_of_the_verifier() {
        let hasher = TreeHasher::new(TreeHash::Blake3);
        for leaf_bytes in [64, 128, 576, 1024, 1088, 2112] {
            let bytes: Vec<u8> = (0..37 * leaf_bytes).map(|i| (i * 7 % 251) as u8).collect();
            let mut digests = vec![[0; 32]; 37];
            leaf_digests(&bytes, leaf_bytes, &mut digests);
            for (leaf, digest) in bytes.chunks(leaf_bytes).zip(&digests) {
                assert_eq!(hasher.leaf(leaf).unwrap(), *digest);
            }
        }
        let layer: Vec<Digest> = (0..64).map(|i| [i; 32]).collect();
        for (pair, parent) in layer.chunks(2).zip(parent_layer(&layer)) {
            assert_eq!(hasher.node(&pair[0], &pair[1]).unwrap(), parent);
        }
    }
}
