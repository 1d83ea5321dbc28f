//! The dataset's rows under their root.
//!
//! Statement: a leaf is the Poseidon2 digest, under a tag of its own, of a row's elements: header (4 of salt, 4 of the
//! digest of its meta data), then 8 for every position (token, target, whether it has a label, five zeros). Leaves lie in
//! the order of the dataset under a binary tree of the nodes of [`TreeHasher`], filled up with leaves of zeros to a power
//! of two. The dataset's root is BLAKE3 of a layout name, the row length, the number of rows and the tree's root: the
//! depth of a path follows from it.
//!
//! Soundness: collision resistance, 128 bits (Poseidon2 conjectured). A leaf hides its row: the salt is the
//! output of a pseudorandom function, of 256 bits.

use crate::hash::{Digest, POSEIDON_RATE, TreeHasher, poseidon_digests};
use crate::shape::{Root, TreeHash};
use veritune_field::sponge::ROW_TAG;
use veritune_field::{F, NotCanonical, f_from_bytes};

/// Elements of a row's salt, and of the digest of its meta data.
pub const HEADER_PART: usize = POSEIDON_RATE / 2;

/// What a row's leaf covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Pseudorandom elements, secret: a keyed hash of the job's secret and the row's index.
    pub salt: [F; HEADER_PART],
    /// Digest of the meta data.
    pub meta: [F; HEADER_PART],
    /// Token, target and whether there is a label, of every position of the bucket.
    pub positions: Vec<[F; 3]>,
}

impl Row {
    /// The elements that the leaf hashes.
    pub fn elements(&self) -> Vec<F> {
        let zeros = [F::default(); POSEIDON_RATE];
        let blocks = self.positions.iter().flat_map(|p| p.iter().chain(&zeros).take(POSEIDON_RATE));
        self.salt.iter().chain(&self.meta).chain(blocks).copied().collect()
    }
}

impl TreeHasher {
    /// The leaves of rows, which have one length: one row per lane of a register. None but Poseidon2 hashes rows.
    pub fn rows(&self, rows: &[Row]) -> Vec<Digest> {
        let Self::Poseidon2(permutation) = self else {
            return Vec::new();
        };
        let mut digests = vec![[0; 32]; rows.len()];
        let elements: Vec<F> = rows.iter().flat_map(Row::elements).collect();
        poseidon_digests(permutation, ROW_TAG, &elements, &mut digests);
        digests
    }
}

/// Nodes between a leaf and the root of a tree of `num_rows` leaves.
pub fn depth(num_rows: usize) -> u32 {
    num_rows.next_power_of_two().trailing_zeros()
}

/// All layers of the tree over `leaves`, the leaves first.
pub fn layers(leaves: Vec<Digest>) -> Result<Vec<Vec<Digest>>, NotCanonical> {
    let hasher = TreeHasher::new(TreeHash::Poseidon2);
    let mut layer = leaves;
    layer.resize(layer.len().next_power_of_two(), [0; 32]);
    let mut layers = Vec::new();
    while layer.len() > 1 {
        let parents = hasher.nodes(layer.as_chunks::<2>().0)?;
        layers.push(layer);
        layer = parents;
    }
    layers.push(layer);
    Ok(layers)
}

/// The bytes that show leaves to be a tree's: of each, itself, then its siblings from the leaf up. None for a leaf that is not
/// there.
pub fn paths(layers: &[Vec<Digest>], leaves: &[usize]) -> Option<Vec<u8>> {
    let (bottom, below_root) = (layers.first()?, layers.split_last()?.1);
    let mut bytes = Vec::new();
    for &leaf in leaves {
        bytes.extend(bottom.get(leaf)?);
        for (height, layer) in (0_u32..).zip(below_root) {
            bytes.extend(layer.get(leaf.checked_shr(height)? ^ 1)?);
        }
    }
    Some(bytes)
}

/// The root of the tree over leaves that come one by one, in memory of one path.
pub struct TreeRoot {
    hasher: TreeHasher,
    num_leaves: usize,
    /// Of each height, the root of the complete subtree that waits for its right sibling.
    waiting: Vec<Option<Digest>>,
}

impl Default for TreeRoot {
    fn default() -> Self {
        Self { hasher: TreeHasher::new(TreeHash::Poseidon2), num_leaves: 0, waiting: Vec::new() }
    }
}

impl TreeRoot {
    /// Adds the next leaf.
    pub fn push(&mut self, leaf: &Digest) -> Result<(), NotCanonical> {
        self.num_leaves = self.num_leaves.saturating_add(1);
        let mut node = *leaf;
        for left in &mut self.waiting {
            match left.take() {
                Some(left) => node = self.hasher.node(&left, &node)?,
                None => {
                    *left = Some(node);
                    return Ok(());
                }
            }
        }
        self.waiting.push(Some(node));
        Ok(())
    }

    /// The root of all leaves, filled up with leaves of zeros to a power of two.
    pub fn finish(self) -> Result<Digest, NotCanonical> {
        let height = usize::try_from(depth(self.num_leaves)).unwrap_or(usize::MAX);
        let (mut zeros, mut node) = ([0; 32], None);
        for left in self.waiting.iter().take(height) {
            node = match (left, node) {
                (Some(left), Some(right)) => Some(self.hasher.node(left, &right)?),
                (Some(left), None) => Some(self.hasher.node(left, &zeros)?),
                (None, Some(left)) => Some(self.hasher.node(&left, &zeros)?),
                (None, None) => None,
            };
            zeros = self.hasher.node(&zeros, &zeros)?;
        }
        // All leaves are below the last node that waits, or below the one that was filled up.
        Ok(node.or_else(|| self.waiting.last().copied().flatten()).unwrap_or(zeros))
    }
}

/// The root above the leaf of row `index`, `siblings` from the leaf up.
pub fn root_of_path(
    hasher: &TreeHasher,
    index: usize,
    leaf: &Digest,
    siblings: &[Digest],
) -> Result<Digest, NotCanonical> {
    let mut node = *leaf;
    let mut index = index;
    for sibling in siblings {
        node = if index & 1 == 0 { hasher.node(&node, sibling)? } else { hasher.node(sibling, &node)? };
        index >>= 1;
    }
    Ok(node)
}

/// The dataset's root.
pub fn dataset_root(num_tokens: usize, num_rows: usize, tree_root: &Digest) -> Root {
    let mut hasher = blake3::Hasher::new_derive_key("veritune dataset root v1");
    for number in [num_tokens, num_rows] {
        hasher.update(&u64::try_from(number).unwrap_or(u64::MAX).to_le_bytes());
    }
    hasher.update(tree_root);
    Root(*hasher.finalize().as_bytes())
}

/// A leaf as field elements.
pub fn leaf_elements(leaf: &Digest) -> Result<[F; 4], NotCanonical> {
    let mut elements = [F::default(); 4];
    for (element, word) in elements.iter_mut().zip(leaf.as_chunks::<8>().0) {
        *element = f_from_bytes(*word)?;
    }
    Ok(elements)
}

#[cfg(test)]
mod tests {
    use super::*;
    use veritune_field::traits::PrimeCharacteristicRing;

    fn row(seed: u64) -> Row {
        let at = |i: u64| F::from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(i));
        Row { salt: [at(1); 4], meta: [at(2); 4], positions: (0..5).map(|i| [at(i), at(3), F::ONE]).collect() }
    }

    fn leaf_of(row: Row) -> Digest {
        TreeHasher::new(TreeHash::Poseidon2).rows(&[row])[0]
    }

    #[test]
    fn every_row_has_a_path_to_the_root_and_no_other_leaf_has() {
        let hasher = TreeHasher::new(TreeHash::Poseidon2);
        for num_rows in [1, 2, 3, 4, 5, 6, 7, 8, 9] {
            let leaves: Vec<Digest> = (0..num_rows).map(|i| leaf_of(row(i as u64))).collect();
            let layers = layers(leaves.clone()).unwrap();
            assert_eq!(layers.len() as u32, depth(num_rows) + 1);
            let root = layers.last().unwrap()[0];
            let mut streamed = TreeRoot::default();
            leaves.iter().for_each(|leaf| streamed.push(leaf).unwrap());
            assert_eq!(streamed.finish(), Ok(root), "{num_rows}");
            for (index, leaf) in leaves.iter().enumerate() {
                let siblings: Vec<Digest> =
                    layers[..layers.len() - 1].iter().enumerate().map(|(k, l)| l[(index >> k) ^ 1]).collect();
                assert_eq!(root_of_path(&hasher, index, leaf, &siblings), Ok(root));
                let other = leaf_of(row(99));
                assert_ne!(root_of_path(&hasher, index, &other, &siblings), Ok(root));
                if num_rows > 1 {
                    assert_ne!(root_of_path(&hasher, index ^ 1, leaf, &siblings), Ok(root));
                }
            }
        }
    }

    #[test]
    fn a_leaf_depends_on_every_element_and_is_no_leaf_of_a_commitment() {
        let original = leaf_of(row(7));
        for change in 0..5 {
            let mut changed = row(7);
            match change {
                0 => changed.salt[3] += F::ONE,
                1 => changed.meta[0] += F::ONE,
                2 => changed.positions[4][0] += F::ONE,
                3 => changed.positions[0][1] += F::ONE,
                _ => changed.positions[2][2] -= F::ONE,
            }
            assert_ne!(leaf_of(changed), original);
        }
        let bytes: Vec<u8> = row(7).elements().iter().flat_map(|&x| veritune_field::f_to_bytes(x)).collect();
        assert_ne!(TreeHasher::new(TreeHash::Poseidon2).leaf(&bytes).unwrap(), original);
        assert!(leaf_elements(&[0xff; 32]).is_err());
        assert_ne!(dataset_root(5, 3, &original), dataset_root(5, 4, &original));
    }
}
