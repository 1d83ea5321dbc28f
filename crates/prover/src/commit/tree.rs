//! Committing: random rows, mask, pads and their cover, encoding, salted leaves, Merkle tree.

use super::encode::encode;
use super::randomness::{Purpose, Randomness};
use super::{blake3_tree, poseidon_tree};
use crate::wipe::wipe;
use rayon::prelude::*;
use veritune_commit::{
    Digest, Profile, Root, ShapeError, TreeHash, TreeShape, capacity, padded_leaf_bytes, sibling_positions,
};
use veritune_field::traits::{BasedVectorSpace, PrimeCharacteristicRing};
use veritune_field::{E, F, F_BYTES, f_to_bytes};

/// Elements of a salt.
const SALT_WIDTH: usize = 4;
/// Elements of E that a leaf of a masked tree holds beside its columns: of mask, pads and cover.
const NUM_MASKS: usize = 3;
/// The same in elements of F.
const MASKS_WIDTH: usize = NUM_MASKS * 3;
/// Leaves per task; salts are drawn per task, so this is part of the format of the randomness.
const LEAVES_PER_CHUNK: usize = 64;
/// Elements per chunk of randomness of random rows and masks.
const MASK_CHUNK: usize = 3 << 10;

/// A committed vector with all that its openings need.
#[cfg_attr(test, derive(Clone))]
pub struct CommittedTree {
    pub(super) shape: TreeShape,
    pub(super) vector: Vec<F>,
    /// First entry that is wiped in the end: that of the random rows, or an earlier one.
    wiped_from: usize,
    codeword: Vec<F>,
    /// Taken by the opening that uses them up.
    pub(super) masks: Option<Masks>,
    masks_codeword: Vec<F>,
    randomness: Randomness,
    merkle: MerkleTree,
    spent: u32,
}

/// The polynomials over E that a masked tree carries beside its columns.
#[derive(Clone)]
pub(super) struct Masks {
    /// Hides the combination of all trees: as many coefficients as there are rows.
    pub(super) mask: Vec<E>,
    /// Pads of the scalars sent before, then coefficients that hide the pads behind opened values.
    pub(super) pads: Vec<E>,
    /// Hides the pads when a relation of them is shown.
    pub(super) cover: Vec<E>,
}

impl Masks {
    fn new(profile: &Profile, randomness: &Randomness) -> Self {
        let elements = |purpose, count| E::reconstitute_from_base(elements(randomness, purpose, 3 * count));
        Self {
            mask: elements(Purpose::Mask, 1 << profile.log_rows()),
            pads: elements(Purpose::Pads, profile.pads_length()),
            cover: elements(Purpose::Cover, profile.pads_length()),
        }
    }

    /// The coefficients as rows of a matrix; pads and cover are shorter than the mask.
    fn rows(&self) -> Vec<F> {
        let mut rows = F::zero_vec(MASKS_WIDTH * self.mask.len());
        for (part, polynomial) in [&self.mask, &self.pads, &self.cover].into_iter().enumerate() {
            for (row, coefficient) in rows.as_chunks_mut::<MASKS_WIDTH>().0.iter_mut().zip(polynomial) {
                row[3 * part..3 * part + 3].copy_from_slice(coefficient.as_basis_coefficients_slice());
            }
        }
        rows
    }

    /// The code of the coefficients, whose rows are wiped.
    fn encode(&self, profile: &Profile) -> Vec<F> {
        let mut rows = self.rows();
        let codeword = encode(&rows, MASKS_WIDTH, profile.log_inverse_rate());
        wipe(&mut rows);
        codeword
    }
}

impl Drop for Masks {
    fn drop(&mut self) {
        wipe(&mut self.mask);
        wipe(&mut self.pads);
        wipe(&mut self.cover);
    }
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
    fill(&randomness, Purpose::Tail, &mut vector[capacity..]);
    let codeword = encode(&vector, width, profile.log_inverse_rate());
    let masks = shape.masked.then(|| Masks::new(profile, &randomness));
    let masks_codeword = masks.as_ref().map(|masks| masks.encode(profile)).unwrap_or_default();
    let rows = Rows { shape, codeword: &codeword, masks_codeword: &masks_codeword, randomness: &randomness };
    let merkle = MerkleTree::new(rows.leaf_digests(1 << shape.log_domain(profile)), shape.hash);
    Ok(CommittedTree {
        shape,
        vector,
        wiped_from: capacity,
        codeword,
        masks,
        masks_codeword,
        randomness,
        merkle,
        spent: 0,
    })
}

impl Drop for CommittedTree {
    fn drop(&mut self) {
        wipe(&mut self.vector[self.wiped_from..]);
        wipe(&mut self.masks_codeword);
    }
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
            self.masks = None;
        }
    }

    pub(super) fn spend(&mut self) {
        self.spent += 1;
    }

    /// Wipes the vector from this slot on when it is dropped, whatever happens before: the pads behind a witness.
    pub fn wipe_from(&mut self, slot: usize) {
        self.wiped_from = self.wiped_from.min(slot);
    }

    fn rows(&self) -> Rows<'_> {
        Rows {
            shape: self.shape,
            codeword: &self.codeword,
            masks_codeword: &self.masks_codeword,
            randomness: &self.randomness,
        }
    }

    /// Appends the rows at `positions` and then the siblings.
    pub(super) fn write_rows(&self, positions: &[u64], proof: &mut Vec<u8>) {
        let rows = self.rows();
        for &position in positions {
            let position = position as usize;
            let salts = rows.salts(position / LEAVES_PER_CHUNK);
            for element in rows.row(position, &salts) {
                proof.extend_from_slice(&f_to_bytes(element));
            }
        }
        self.merkle.write_siblings(positions, proof);
    }
}

#[cfg(test)]
impl CommittedTree {
    /// Changes mask, pads and cover and commits to them, for tests.
    pub(super) fn remask(&mut self, profile: &Profile, change: impl FnOnce(&mut Masks)) {
        let masks = self.masks.as_mut().expect("masks that no opening has taken");
        change(masks);
        self.masks_codeword = masks.encode(profile);
        self.rehash(profile);
    }

    /// Changes vector and masks and encodes them, with the root and the siblings as they were.
    #[cfg(feature = "mutation-testing")]
    pub(super) fn recode(&mut self, profile: &Profile, change: impl FnOnce(&mut [F], Option<&mut Masks>)) {
        change(&mut self.vector, self.masks.as_mut());
        self.codeword = encode(&self.vector, self.shape.num_columns(), profile.log_inverse_rate());
        if let Some(masks) = &self.masks {
            self.masks_codeword = masks.encode(profile);
        }
    }

    /// Forgets the openings that were made.
    pub(super) fn forget_spent(&mut self) {
        self.spent = 0;
    }

    /// Replaces the encoded masks of some rows.
    pub(super) fn corrupt_masks(&mut self, profile: &Profile, every: usize, part: usize) {
        for row in self.masks_codeword.chunks_mut(MASKS_WIDTH).step_by(every) {
            row[3 * part] += F::ONE;
        }
        self.rehash(profile);
    }

    /// Replaces encoded rows without hashing them again or the vector: a malicious prover for tests.
    pub(super) fn corrupt(&mut self, profile: &Profile, every: usize) {
        let width = self.shape.num_columns();
        for row in self.codeword.chunks_mut(width).step_by(every) {
            row[0] += F::ONE;
        }
        self.rehash(profile);
    }

    /// Hashes the leaves again.
    fn rehash(&mut self, profile: &Profile) {
        let leaves = self.rows().leaf_digests(1 << self.shape.log_domain(profile));
        self.merkle = MerkleTree::new(leaves, self.shape.hash);
    }

    /// Hashes the leaves without their salts: a prover that saves them, for tests.
    pub(super) fn unsalt(&mut self, profile: &Profile) {
        let rows = self.rows();
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

/// Uniform elements, drawn chunk by chunk on all threads.
pub(super) fn elements(randomness: &Randomness, purpose: Purpose, count: usize) -> Vec<F> {
    let mut elements = F::zero_vec(count);
    fill(randomness, purpose, &mut elements);
    elements
}

/// The same, written to their place.
fn fill(randomness: &Randomness, purpose: Purpose, elements: &mut [F]) {
    let chunks = elements.par_chunks_mut(MASK_CHUNK).enumerate();
    chunks.for_each(|(chunk, slots)| randomness.fill(purpose, chunk as u64, slots));
}

/// The leaf rows of a tree: columns; mask, pads and cover of a masked tree; salt.
struct Rows<'a> {
    shape: TreeShape,
    codeword: &'a [F],
    masks_codeword: &'a [F],
    randomness: &'a Randomness,
}

impl Rows<'_> {
    fn salts(&self, chunk: usize) -> Vec<F> {
        self.randomness.elements(Purpose::Salt, chunk as u64, SALT_WIDTH * LEAVES_PER_CHUNK)
    }

    /// Columns; masks; salt.
    fn parts<'a>(&'a self, position: usize, salts: &'a [F]) -> [&'a [F]; 3] {
        let width = self.shape.num_columns();
        let columns = &self.codeword[position * width..][..width];
        let masks: &[F] =
            if self.shape.masked { &self.masks_codeword[position * MASKS_WIDTH..][..MASKS_WIDTH] } else { &[] };
        [columns, masks, &salts[position % LEAVES_PER_CHUNK * SALT_WIDTH..][..SALT_WIDTH]]
    }

    fn row<'a>(&'a self, position: usize, salts: &'a [F]) -> impl Iterator<Item = F> + 'a {
        self.parts(position, salts).into_iter().flatten().copied()
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
                        let mut words = leaf.as_chunks_mut::<F_BYTES>().0;
                        for part in self.parts(position, &salts) {
                            let (own, rest) = words.split_at_mut(part.len());
                            own.iter_mut().zip(part).for_each(|(word, &element)| *word = f_to_bytes(element));
                            words = rest;
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
#[cfg_attr(test, derive(Clone))]
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

    /// A tree whose leaves are the rows of a matrix.
    #[cfg(any(feature = "kernels", feature = "mutation-testing"))]
    pub(super) fn over(rows: &[F], width: usize, hash: TreeHash) -> Self {
        let mut digests = vec![[0; 32]; rows.len() / width];
        let tasks = digests.par_chunks_mut(LEAVES_PER_CHUNK).zip(rows.par_chunks(LEAVES_PER_CHUNK * width));
        tasks.for_each(|(digests, rows)| match hash {
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
        Self::new(digests, hash)
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
