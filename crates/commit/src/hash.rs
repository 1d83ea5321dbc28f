//! Leaf and node hashes of the trees.
//!
//! Statement: a leaf digest is a function of the row bytes and of nothing else; leaf and node
//! digests live in different domains.
//!
//! BLAKE3: keyed mode under two fixed keys. A leaf is the row padded with zeros to a multiple of 64
//! bytes; rows of one tree all have one length, so the padding is injective. Whole blocks let the
//! prover hash many leaves at once.
//!
//! Poseidon2: a sponge of width 12, rate 8, capacity 4 with the constants of Plonky3. The capacity
//! starts as `(domain tag, number of elements, 0, 0)`; the digest is the first four elements. Nodes
//! absorb both children in one permutation. A truncated permutation without capacity would be cheaper
//! but has trivial collisions as a plain function, so it is not used.
//!
//! Soundness: collision resistance, 128 bits each (BLAKE3: 256-bit output; Poseidon2: 256-bit
//! capacity, conjectured).

use crate::shape::TreeHash;
use p3_goldilocks::{Poseidon2Goldilocks, default_goldilocks_poseidon2_12};
use p3_symmetric::Permutation;
pub use veritune_field::sponge::{
    LEAF_TAG as POSEIDON_LEAF_TAG, NODE_TAG as POSEIDON_NODE_TAG, RATE as POSEIDON_RATE, WIDTH as POSEIDON_WIDTH,
};
use veritune_field::traits::{Field, PackedValue, PrimeCharacteristicRing};
use veritune_field::{F, F_BYTES, NotCanonical, f_from_bytes, f_to_bytes};

/// 32 bytes; for Poseidon2, four canonical field elements.
pub type Digest = [u8; 32];

/// BLAKE3 key of leaves.
pub const LEAF_KEY: &[u8; 32] = b"veritune commitment leaf v1 ....";
/// BLAKE3 key of inner nodes.
pub const NODE_KEY: &[u8; 32] = b"veritune commitment node v1 ....";

const BLOCK_BYTES: usize = 64;

/// Base-field elements side by side: one input per lane.
type Packing = <F as Field>::Packing;

/// The Poseidon2 permutation of the trees.
pub type Poseidon = Poseidon2Goldilocks<POSEIDON_WIDTH>;

/// A hash function ready to use.
#[derive(Clone)]
pub enum TreeHasher {
    /// BLAKE3 in keyed mode.
    Blake3,
    /// Poseidon2 with its constants loaded.
    Poseidon2(Box<Poseidon>),
}

/// Length of a row after padding for BLAKE3.
pub fn padded_leaf_bytes(row_bytes: usize) -> usize {
    row_bytes.next_multiple_of(BLOCK_BYTES)
}

impl TreeHasher {
    /// The hasher of `hash`.
    pub fn new(hash: TreeHash) -> Self {
        match hash {
            TreeHash::Blake3 => Self::Blake3,
            TreeHash::Poseidon2 => Self::Poseidon2(Box::new(default_goldilocks_poseidon2_12())),
        }
    }

    /// The digest of a leaf with the given row bytes; Poseidon2 refuses words that are no field
    /// elements.
    pub fn leaf(&self, row: &[u8]) -> Result<Digest, NotCanonical> {
        match self {
            Self::Blake3 => {
                let mut hasher = blake3::Hasher::new_keyed(LEAF_KEY);
                hasher.update(row);
                let padding = padded_leaf_bytes(row.len()).saturating_sub(row.len());
                hasher.update([0; BLOCK_BYTES].get(..padding).unwrap_or_default());
                Ok(*hasher.finalize().as_bytes())
            }
            Self::Poseidon2(permutation) => {
                let elements = words(row)?;
                Ok(to_digest(&sponge(permutation, POSEIDON_LEAF_TAG, &elements)))
            }
        }
    }

    /// The digest of an inner node.
    pub fn node(&self, left: &Digest, right: &Digest) -> Result<Digest, NotCanonical> {
        match self {
            Self::Blake3 => {
                let mut block = [0; BLOCK_BYTES];
                for (slot, &byte) in block.iter_mut().zip(left.iter().chain(right)) {
                    *slot = byte;
                }
                Ok(*blake3::keyed_hash(NODE_KEY, &block).as_bytes())
            }
            Self::Poseidon2(permutation) => {
                let mut elements = words(left)?;
                elements.extend(words(right)?);
                Ok(to_digest(&sponge(permutation, POSEIDON_NODE_TAG, &elements)))
            }
        }
    }

    /// The digests of all rows, which have one length: for Poseidon2, one row per lane of a register.
    pub fn leaves(&self, rows: &[&[u8]]) -> Result<Vec<Digest>, NotCanonical> {
        match self {
            Self::Blake3 => rows.iter().map(|row| self.leaf(row)).collect(),
            Self::Poseidon2(permutation) => {
                let mut digests = vec![[0; 32]; rows.len()];
                let elements = words(&rows.concat())?;
                poseidon_digests(permutation, POSEIDON_LEAF_TAG, &elements, &mut digests);
                Ok(digests)
            }
        }
    }

    /// The digests of the nodes above all pairs of children.
    pub fn nodes(&self, pairs: &[[Digest; 2]]) -> Result<Vec<Digest>, NotCanonical> {
        match self {
            Self::Blake3 => pairs.iter().map(|[l, r]| self.node(l, r)).collect(),
            Self::Poseidon2(permutation) => {
                let mut digests = vec![[0; 32]; pairs.len()];
                let elements = words(pairs.as_flattened().as_flattened())?;
                poseidon_digests(permutation, POSEIDON_NODE_TAG, &elements, &mut digests);
                Ok(digests)
            }
        }
    }
}

/// The sponge on as many inputs as there are digests, side by side in `elements`, one per lane.
///
/// Lanes beyond the last input hash zeros, and nobody reads them.
pub fn poseidon_digests(permutation: &Poseidon, tag: u64, elements: &[F], digests: &mut [Digest]) {
    let length = elements.len().checked_div(digests.len()).unwrap_or(0);
    let per_pass = length.saturating_mul(Packing::WIDTH).max(1);
    for (elements, digests) in elements.chunks(per_pass).zip(digests.chunks_mut(Packing::WIDTH)) {
        let mut state = [Packing::ZERO; POSEIDON_WIDTH];
        let capacity = [F::from_u64(tag), F::from_usize(length)];
        for (slot, value) in state.iter_mut().skip(POSEIDON_RATE).zip(capacity) {
            *slot = Packing::from(value);
        }
        for start in (0..length).step_by(POSEIDON_RATE) {
            for (i, slot) in (start..length).zip(state.iter_mut().take(POSEIDON_RATE)) {
                *slot += Packing::from_fn(|lane| {
                    let at = lane.saturating_mul(length).saturating_add(i);
                    elements.get(at).copied().unwrap_or(F::ZERO)
                });
            }
            permutation.permute_mut(&mut state);
        }
        for (lane, digest) in digests.iter_mut().enumerate() {
            for (chunk, word) in digest.chunks_exact_mut(F_BYTES).zip(&state) {
                let word = word.as_slice().get(lane).copied().unwrap_or(F::ZERO);
                chunk.copy_from_slice(&f_to_bytes(word));
            }
        }
    }
}

fn words(bytes: &[u8]) -> Result<Vec<F>, NotCanonical> {
    bytes.as_chunks::<F_BYTES>().0.iter().map(|&word| f_from_bytes(word)).collect()
}

fn to_digest(state: &[F; POSEIDON_WIDTH]) -> Digest {
    let mut digest = [0; 32];
    for (chunk, &element) in digest.chunks_exact_mut(F_BYTES).zip(state) {
        chunk.copy_from_slice(&f_to_bytes(element));
    }
    digest
}

fn sponge(permutation: &Poseidon, tag: u64, elements: &[F]) -> [F; POSEIDON_WIDTH] {
    let length = F::from_usize(elements.len());
    let mut state = [F::ZERO; POSEIDON_WIDTH];
    for (slot, value) in state.iter_mut().skip(POSEIDON_RATE).zip([F::from_u64(tag), length]) {
        *slot = value;
    }
    for block in elements.chunks(POSEIDON_RATE) {
        // A short last block is added over zeros; the length in the capacity keeps this injective.
        for (slot, &element) in state.iter_mut().zip(block) {
            *slot += element;
        }
        permutation.permute_mut(&mut state);
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poseidon_node_is_one_call_of_the_published_permutation() {
        let mut state = [F::ZERO; 12];
        for (i, slot) in state.iter_mut().enumerate().take(8) {
            *slot = F::from_usize(i + 1);
        }
        state[8] = F::from_u64(2);
        state[9] = F::from_u64(8);
        default_goldilocks_poseidon2_12().permute_mut(&mut state);
        let child = |from: usize| {
            let mut digest = [0; 32];
            for i in 0..4 {
                digest[8 * i..8 * i + 8].copy_from_slice(&((from + i) as u64).to_le_bytes());
            }
            digest
        };
        let hasher = TreeHasher::new(TreeHash::Poseidon2);
        let node = hasher.node(&child(1), &child(5)).unwrap();
        assert_eq!(node, to_digest(&state));
        assert!(hasher.node(&[0xff; 32], &child(5)).is_err());
    }

    #[test]
    fn digests_of_many_inputs_are_those_of_each() {
        for hash in [TreeHash::Blake3, TreeHash::Poseidon2] {
            let hasher = TreeHasher::new(hash);
            for (row_bytes, num_rows) in [(40, 1), (64, 8), (104, 9), (160, 37)] {
                let bytes: Vec<u8> =
                    (0..row_bytes * num_rows).map(|i| if i % 8 == 7 { 1 } else { (i * 7 % 251) as u8 }).collect();
                let rows: Vec<&[u8]> = bytes.chunks(row_bytes).collect();
                let digests = hasher.leaves(&rows).unwrap();
                let expected: Vec<Digest> = rows.iter().map(|r| hasher.leaf(r).unwrap()).collect();
                assert_eq!(digests, expected);
                let pairs: Vec<[Digest; 2]> = digests.iter().map(|&d| [d, digests[0]]).collect();
                let expected: Vec<Digest> = pairs.iter().map(|[l, r]| hasher.node(l, r).unwrap()).collect();
                assert_eq!(hasher.nodes(&pairs).unwrap(), expected);
            }
            assert_eq!(hasher.nodes(&[]).unwrap(), Vec::<Digest>::new());
        }
        let poseidon = TreeHasher::new(TreeHash::Poseidon2);
        assert!(poseidon.leaves(&[&[0; 40], &[0xff; 40]]).is_err());
        assert!(poseidon.nodes(&[[[0; 32]; 2], [[0; 32], [0xff; 32]]]).is_err());
    }

    #[test]
    fn leaves_and_nodes_of_equal_bytes_differ() {
        for hash in [TreeHash::Blake3, TreeHash::Poseidon2] {
            let hasher = TreeHasher::new(hash);
            let leaf = hasher.leaf(&[0; 64]).unwrap();
            assert_ne!(leaf, hasher.node(&[0; 32], &[0; 32]).unwrap());
        }
    }

    #[test]
    fn a_blake3_leaf_is_the_keyed_hash_of_the_padded_row() {
        let row = [7; 100];
        let mut padded = row.to_vec();
        padded.resize(128, 0);
        let leaf = TreeHasher::new(TreeHash::Blake3).leaf(&row).unwrap();
        assert_eq!(leaf, *blake3::keyed_hash(LEAF_KEY, &padded).as_bytes());
    }
}
