//! A simulator of openings: roots and proof without any vector, for challenges that are known beforehand.
//!
//! What it makes has the distribution of an honest opening for the same challenges, but for the leaves that nobody opens
//! (`veritune_commit::verify_opening`, zero knowledge): so an opening tells nothing of the vectors. Challenges are
//! known beforehand under `veritune_mutation::programmed` only, and there `verify_opening` accepts.
//!
//! All that is uniform in an honest opening is drawn; all else is solved for from the verifier's equations.

use super::deviation::Honest;
use super::encode::encode;
use super::levels::{Combination, dot, prove_combination};
use super::oracle::Proof;
use super::randomness::{Purpose, Randomness};
use super::tree::{MerkleTree, elements};
use veritune_commit::{Hidden, Labels, Profile, Root, TreeShape, tree_point};
use veritune_field::traits::{BasedVectorSpace, PrimeCharacteristicRing};
use veritune_field::{E, F, F_BYTES, eq_table, f_to_bytes};
use veritune_transcript::Transcript;

/// A tree of uniform rows that are no code words. Its openings agree with each other.
pub struct SimulatedTree {
    shape: TreeShape,
    /// Columns, masks and salt, leaf by leaf.
    rows: Vec<F>,
    merkle: MerkleTree,
    spent: u32,
}

impl SimulatedTree {
    /// A tree of this shape.
    pub fn new(profile: &Profile, shape: TreeShape, randomness: &Randomness) -> Self {
        let width = shape.row_bytes() / F_BYTES;
        let rows = elements(randomness, Purpose::Simulation, width << shape.log_domain(profile));
        let merkle = MerkleTree::over(&rows, width, shape.hash);
        Self { shape, rows, merkle, spent: 0 }
    }

    /// The root; of a masked tree, only its opening decides it.
    pub fn root(&self) -> Root {
        Root(self.merkle.root())
    }

    /// The shape.
    pub fn shape(&self) -> TreeShape {
        self.shape
    }

    fn row(&self, leaf: u64) -> &[F] {
        let width = self.shape.row_bytes() / F_BYTES;
        &self.rows[leaf as usize * width..][..width]
    }

    /// Puts mask, pads and cover into a leaf.
    fn set_masks(&mut self, leaf: u64, masks: [E; 3]) {
        let width = self.shape.row_bytes() / F_BYTES;
        let slots = &mut self.rows[leaf as usize * width..][self.shape.num_columns()..];
        for (slots, mask) in slots.as_chunks_mut::<3>().0.iter_mut().zip(masks) {
            slots.copy_from_slice(mask.as_basis_coefficients_slice());
        }
    }

    fn rehash(&mut self) {
        self.merkle = MerkleTree::over(&self.rows, self.shape.row_bytes() / F_BYTES, self.shape.hash);
    }

    fn write_rows(&self, leaves: &[u64], proof: &mut Vec<u8>) {
        for &leaf in leaves {
            proof.extend(self.row(leaf).iter().flat_map(|&word| f_to_bytes(word)));
        }
        self.merkle.write_siblings(leaves, proof);
    }
}

/// Uniform elements, one after the other.
struct Uniform {
    randomness: Randomness,
    drawn: u64,
}

impl Uniform {
    fn next<const N: usize>(&mut self) -> [E; N] {
        self.many(N).try_into().expect("as many as asked for")
    }

    fn many(&mut self, count: usize) -> Vec<E> {
        self.drawn += 1;
        E::reconstitute_from_base(self.randomness.elements(Purpose::Simulation, self.drawn, 3 * count))
    }
}

/// Roots and proof of an opening with this target. `transcript` stands where the statement would be absorbed; weights are
/// those of `verify_opening`. `randomness` is none of a tree's.
///
/// # Panics
/// If not exactly one tree is masked, or the budget of one is spent: no opening is then simulated.
pub fn simulate(
    profile: &Profile,
    trees: &mut [&mut SimulatedTree],
    target: E,
    transcript: &mut Transcript,
    randomness: Randomness,
    weights_at: impl FnOnce(&[E]) -> Vec<E>,
) -> (Vec<Root>, Vec<u8>) {
    assert_eq!(trees.iter().filter(|tree| tree.shape.masked).count(), 1, "one masked tree");
    for tree in trees.iter_mut() {
        assert!(tree.spent < tree.shape.budget, "a budget that is not spent");
        tree.spent += 1;
    }
    let shapes: Vec<TreeShape> = trees.iter().map(|tree| tree.shape).collect();
    let mut uniform = Uniform { randomness, drawn: 0 };
    let mut proof = Proof::default();

    // 1. Sumcheck over rows and columns: uniform.
    let widest = shapes.iter().map(|shape| shape.log_columns).max().unwrap_or(0);
    let mut missing = Hidden::new(target);
    let mut z = Vec::new();
    for round in 0..(profile.log_rows() + widest) as usize {
        let sent = uniform.next();
        proof.elements(&sent);
        let challenge = transcript.challenge_e(Labels::SUMCHECK);
        missing.reduce(round, sent, challenge);
        z.push(challenge);
    }

    // 2. Values: uniform.
    let waited = |range: std::ops::Range<u32>| -> E {
        z[range.start as usize..range.end.max(range.start) as usize].iter().map(|&x| E::ONE - x).product()
    };
    let sent = uniform.many(trees.len() + 1);
    proof.elements(&sent);
    let weights = shapes.iter().zip(weights_at(&z)).map(|(shape, w)| waited(shape.waits(profile, widest)) * w);
    for ((weight, &value), pad) in weights.zip(&sent).zip(2 * z.len()..) {
        missing.add(-weight, value, pad);
    }

    // 3. The combination: uniform.
    let gamma = transcript.challenge_e(Labels::GAMMA);
    let vector = uniform.many(1 << profile.log_rows());
    let eq_rows = eq_table(&z[..profile.log_rows() as usize]);
    let value = dot(&eq_rows, &vector);
    proof.elements(&[value]);
    let mut excess = Hidden::new(-value);
    let mut power = E::ONE;
    let mut columns = Vec::new();
    for ((shape, &sent), pad) in shapes.iter().zip(&sent).zip(2 * z.len()..) {
        power *= gamma;
        excess.add(power * waited(shape.log_rows..profile.log_rows()), sent, pad);
        let table = eq_table(&tree_point(&z, shape)[shape.log_rows as usize..]);
        columns.push(table.into_iter().map(|eq| eq * power).collect::<Vec<E>>());
    }
    excess.add(E::ONE, sent[trees.len()], 2 * z.len() + trees.len());

    // 4. Covered pads: uniform. They give the sums.
    let challenge = transcript.challenge_e(Labels::COVER);
    let covered = uniform.many(profile.pads_length());
    proof.elements(&[&missing, &excess].map(|zero| zero.inner_product(&covered) - challenge * zero.known()));
    proof.elements(&covered);

    // 5. and 6. as an honest prover; rows of the pads are uniform, those of mask and cover are what is left.
    let values = encode(&E::flatten_to_base(vector.clone()), 3, profile.log_inverse_rate());
    let mut padded = covered;
    padded.resize(vector.len(), E::ZERO);
    let covered = encode(&E::flatten_to_base(padded), 3, profile.log_inverse_rate());
    let combination = Combination { weights: eq_rows, vector, value };
    prove_combination(profile, combination, transcript, &mut proof, &Honest, |positions, proof| {
        let at = |codeword: &[F], position: u64| element(&codeword[3 * position as usize..]);
        let masks: Vec<[E; 3]> = positions
            .iter()
            .map(|&position| {
                let combined = trees.iter().zip(&columns).map(|(tree, columns)| {
                    let row = tree.row(tree.shape.leaf(profile, position));
                    columns.iter().zip(row).map(|(&c, &f)| c * f).sum::<E>()
                });
                let [pads] = uniform.next();
                let mask = at(&values, position) - combined.sum::<E>();
                [mask, pads, at(&covered, position) - challenge * pads]
            })
            .collect();
        for (number, tree) in trees.iter_mut().enumerate() {
            if tree.shape.masked {
                positions.iter().zip(&masks).for_each(|(&position, &masks)| tree.set_masks(position, masks));
                tree.rehash();
            }
            tree.write_rows(&tree.shape.leaves(profile, positions), &mut proof.bytes);
            proof.mark(&format!("tree {number}"));
        }
    });
    (trees.iter().map(|tree| tree.root()).collect(), proof.bytes)
}

fn element(words: &[F]) -> E {
    E::from_basis_coefficients_fn(|i| words[i])
}
