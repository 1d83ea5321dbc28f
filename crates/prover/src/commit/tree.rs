//! Committing: random rows, mask, encoding, salted leaves, Merkle tree.

use super::encode::encode;
use super::randomness::{Purpose, Randomness};
use super::{blake3_tree, poseidon_tree};
use rayon::prelude::*;
use veritune_commit::{
    Digest, Profile, Root, ShapeError, TreeHash, TreeShape, capacity, padded_leaf_bytes, sibling_positions,
};
use veritune_field::traits::{BasedVectorSpace, PrimeCharacteristicRing};
use veritune_field::{E, F, F_BYTES, f_to_bytes};

/// Elements of a salt.
const SALT_WIDTH: usize = 4;
/// Elements of a mask row: one element of E.
const MASK_WIDTH: usize = 3;
/// Leaves per task; salts are drawn per task, so this is part of the format of the randomness.
const LEAVES_PER_CHUNK: usize = 64;
/// Mask elements per chunk of randomness.
const MASK_CHUNK: usize = 3 << 10;

/// A committed vector with all that its openings need.
pub struct CommittedTree {
    pub(super) shape: TreeShape,
    pub(super) vector: Vec<F>,
    codeword: Vec<F>,
    /// The mask polynomial, taken by the opening that uses it up.
    pub(super) mask: Option<Vec<E>>,
    mask_codeword: Vec<F>,
    randomness: Randomness,
    merkle: MerkleTree,
    spent: u32,
}

/// Commits to `data`, padded with zeros to the capacity of the shape.
///
/// The same data and randomness give the same tree. *Caller must* use each [`Randomness`] for one
/// vector only, and for a tree that is committed again, restore the count of its openings with
/// [`CommittedTree::set_spent`].
///
/// Cost: one transform of `2^(log_rows + log_columns)` elements of the shape to the rate of the profile and one hash
/// of the result; memory is 3 times the vector at rate 1/2.
pub fn commit(
    profile: &Profile,
    shape: TreeShape,
    data: Vec<F>,
    randomness: Randomness,
) -> Result<CommittedTree, ShapeError> {
    let capacity = capacity(profile, &shape)?;
    if data.len() > capacity {
        return Err(ShapeError::OverCapacity { capacity, got: data.len() });
    }
    let width = shape.num_columns();
    let mut vector = data;
    vector.resize(width << shape.log_rows, F::ZERO);
    let tail = &mut vector[capacity..];
    for (chunk, slots) in (0..).zip(tail.chunks_mut(MASK_CHUNK)) {
        slots.copy_from_slice(&randomness.elements(Purpose::Tail, chunk, slots.len()));
    }
    let codeword = encode(&vector, width, profile.log_inverse_rate());
    let (mask, mask_codeword) = if shape.masked {
        let elements = mask_elements(&randomness, MASK_WIDTH << shape.log_rows);
        let codeword = encode(&elements, MASK_WIDTH, profile.log_inverse_rate());
        (Some(E::reconstitute_from_base(elements)), codeword)
    } else {
        (None, Vec::new())
    };
    let rows = Rows { shape, codeword: &codeword, mask_codeword: &mask_codeword, randomness: &randomness };
    let merkle = MerkleTree::new(rows.leaf_digests(1 << shape.log_domain(profile)), shape.hash);
    Ok(CommittedTree { shape, vector, codeword, mask, mask_codeword, randomness, merkle, spent: 0 })
}

impl CommittedTree {
    /// The root.
    pub fn root(&self) -> Root {
        Root(self.merkle.root())
    }

    /// The shape.
    pub fn shape(&self) -> TreeShape {
        self.shape
    }

    /// The committed vector: data, zeros, random rows.
    pub fn vector(&self) -> &[F] {
        &self.vector
    }

    /// How many openings were made.
    pub fn spent(&self) -> u32 {
        self.spent
    }

    /// Sets the count of openings made from this randomness, by this object or by one before it.
    ///
    /// The count never goes down. A masked tree with an opening made cannot be opened again.
    pub fn set_spent(&mut self, spent: u32) {
        self.spent = self.spent.max(spent);
        if self.spent > 0 {
            self.mask = None;
        }
    }

    pub(super) fn spend(&mut self) {
        self.spent += 1;
    }

    /// Appends the rows at `positions` and then the siblings.
    pub(super) fn write_rows(&self, positions: &[u64], proof: &mut Vec<u8>) {
        let rows = Rows {
            shape: self.shape,
            codeword: &self.codeword,
            mask_codeword: &self.mask_codeword,
            randomness: &self.randomness,
        };
        for &position in positions {
            let position = position as usize;
            let salts = rows.salts(position / LEAVES_PER_CHUNK);
            for element in rows.row(position, &salts) {
                proof.extend_from_slice(&f_to_bytes(element));
            }
        }
        self.merkle.write_siblings(positions, proof);
    }

    /// Replaces encoded rows without hashing them again or the vector: a malicious prover for tests.
    #[cfg(test)]
    pub(super) fn corrupt(&mut self, profile: &Profile, every: usize) {
        let width = self.shape.num_columns();
        for row in self.codeword.chunks_mut(width).step_by(every) {
            row[0] += F::ONE;
        }
        let rows = Rows {
            shape: self.shape,
            codeword: &self.codeword,
            mask_codeword: &self.mask_codeword,
            randomness: &self.randomness,
        };
        self.merkle = MerkleTree::new(rows.leaf_digests(1 << self.shape.log_domain(profile)), self.shape.hash);
    }
}

#[cfg(test)]
impl CommittedTree {
    /// Hashes the leaves without their salts: a prover that saves them, for tests.
    pub(super) fn unsalt(&mut self, profile: &Profile) {
        let rows = Rows {
            shape: self.shape,
            codeword: &self.codeword,
            mask_codeword: &self.mask_codeword,
            randomness: &self.randomness,
        };
        let hasher = veritune_commit::TreeHasher::new(self.shape.hash);
        let leaf = |position: usize| {
            let salts = rows.salts(position / LEAVES_PER_CHUNK);
            let mut row: Vec<u8> = rows.row(position, &salts).flat_map(f_to_bytes).collect();
            row.truncate(row.len() - SALT_WIDTH * F_BYTES);
            hasher.leaves(&[&row]).expect("canonical")[0]
        };
        let leaves = (0..1 << self.shape.log_domain(profile)).map(leaf).collect();
        self.merkle = MerkleTree::new(leaves, self.shape.hash);
    }
}

fn mask_elements(randomness: &Randomness, count: usize) -> Vec<F> {
    let mut elements = F::zero_vec(count);
    elements.par_chunks_mut(MASK_CHUNK).enumerate().for_each(|(chunk, slots)| {
        slots.copy_from_slice(&randomness.elements(Purpose::Mask, chunk as u64, slots.len()));
    });
    elements
}

/// The leaf rows of a tree: columns, mask, salt.
struct Rows<'a> {
    shape: TreeShape,
    codeword: &'a [F],
    mask_codeword: &'a [F],
    randomness: &'a Randomness,
}

impl Rows<'_> {
    fn salts(&self, chunk: usize) -> Vec<F> {
        self.randomness.elements(Purpose::Salt, chunk as u64, SALT_WIDTH * LEAVES_PER_CHUNK)
    }

    fn row<'a>(&'a self, position: usize, salts: &'a [F]) -> impl Iterator<Item = F> + 'a {
        let width = self.shape.num_columns();
        let columns = &self.codeword[position * width..][..width];
        let mask: &[F] =
            if self.shape.masked { &self.mask_codeword[position * MASK_WIDTH..][..MASK_WIDTH] } else { &[] };
        let salt = &salts[position % LEAVES_PER_CHUNK * SALT_WIDTH..][..SALT_WIDTH];
        columns.iter().chain(mask).chain(salt).copied()
    }

    fn leaf_digests(&self, num_leaves: usize) -> Vec<Digest> {
        let mut digests = vec![[0; 32]; num_leaves];
        let fill = |(chunk, digests): (usize, &mut [Digest])| {
            let salts = self.salts(chunk);
            let first = chunk * LEAVES_PER_CHUNK;
            let positions = first..first + digests.len();
            match self.shape.hash {
                TreeHash::Blake3 => {
                    let leaf_bytes = padded_leaf_bytes(self.shape.row_bytes());
                    let mut bytes = vec![0; leaf_bytes * digests.len()];
                    for (position, leaf) in positions.zip(bytes.chunks_exact_mut(leaf_bytes)) {
                        let words = leaf.as_chunks_mut::<F_BYTES>().0;
                        for (word, element) in words.iter_mut().zip(self.row(position, &salts)) {
                            *word = f_to_bytes(element);
                        }
                    }
                    blake3_tree::leaf_digests(&bytes, leaf_bytes, digests);
                }
                TreeHash::Poseidon2 => {
                    let rows: Vec<F> = positions.flat_map(|position| self.row(position, &salts)).collect();
                    poseidon_tree::leaf_digests(&rows, digests);
                }
            }
        };
        digests.par_chunks_mut(LEAVES_PER_CHUNK).enumerate().for_each(fill);
        digests
    }
}

/// All layers of a Merkle tree, leaves first.
pub(super) struct MerkleTree {
    layers: Vec<Vec<Digest>>,
}

impl MerkleTree {
    pub(super) fn new(leaves: Vec<Digest>, hash: TreeHash) -> Self {
        let mut layers = vec![leaves];
        while layers[layers.len() - 1].len() > 1 {
            let layer = &layers[layers.len() - 1];
            layers.push(match hash {
                TreeHash::Blake3 => blake3_tree::parent_layer(layer),
                TreeHash::Poseidon2 => poseidon_tree::parent_layer(layer),
            });
        }
        Self { layers }
    }

    pub(super) fn root(&self) -> Digest {
        self.layers[self.layers.len() - 1][0]
    }

    pub(super) fn write_siblings(&self, positions: &[u64], proof: &mut Vec<u8>) {
        for (depth, index) in sibling_positions(positions, self.layers.len() as u32 - 1) {
            proof.extend_from_slice(&self.layers[depth as usize][index as usize]);
        }
    }
}
