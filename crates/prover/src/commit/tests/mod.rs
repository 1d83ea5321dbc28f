//! Completeness, tampering and malicious provers of the opening.

mod completeness;
mod cover;
#[cfg(feature = "mutation-testing")]
mod hiding;
mod interpolation;
mod malicious;
#[cfg(feature = "mutation-testing")]
mod simulation;
mod tamper;

use super::{
    BlockVector, CommittedTree, Covering, Deviation, OpeningReport, Queried, Randomness, commit, open_deviating,
    open_with_report,
};
use crate::wipe::wiped;
use veritune_commit::{OpeningError, Profile, Root, TreeHash, TreeShape, capacity, tree_point, verify_opening};
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_field::{E, F, eq_table};
use veritune_transcript::Transcript;

/// A statement with its witness: trees, weights and the right target.
pub(super) struct Instance {
    pub(super) profile: Profile,
    pub(super) trees: Vec<CommittedTree>,
    pub(super) weights: Vec<Vec<E>>,
    pub(super) target: E,
}

pub(super) fn blake3(log_rows: u32, log_columns: u32, masked: bool, budget: u32) -> TreeShape {
    TreeShape { log_rows, log_columns, hash: TreeHash::Blake3, masked, budget }
}

pub(super) fn poseidon2(log_rows: u32, log_columns: u32, masked: bool, budget: u32) -> TreeShape {
    TreeShape { log_rows, log_columns, hash: TreeHash::Poseidon2, masked, budget }
}

impl Instance {
    /// Dense pseudo-random weights on the data, of several lengths.
    pub(super) fn new(log_rows: u32, shapes: &[TreeShape]) -> Self {
        let profile = Profile::new(log_rows).unwrap();
        let mut trees = Vec::new();
        let mut weights = Vec::new();
        for (number, shape) in shapes.iter().enumerate() {
            let capacity = capacity(&profile, shape).unwrap();
            let length = capacity - number * 17 % capacity;
            let data: Vec<F> = (0..length as u64)
                .map(|i| F::from_u64((i + 1 + number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 2))
                .collect();
            let mut transcript = Transcript::new(b"test weights");
            transcript.absorb_u64("tree", number as u64);
            weights.push(transcript.challenges_e("weights", length / (number + 1)));
            let seed = [number as u8; 32];
            trees.push(commit(&profile, *shape, data, Randomness::from_seed(seed)).unwrap());
        }
        let target = weights
            .iter()
            .zip(&trees)
            .map(|(w, tree)| w.iter().zip(tree.vector()).map(|(&w, &f)| w * f).sum::<E>())
            .sum();
        Self { profile, trees, weights, target }
    }

    pub(super) fn statement(&self) -> Vec<(TreeShape, Root)> {
        self.trees.iter().map(|tree| (tree.shape(), tree.root())).collect()
    }

    pub(super) fn prove(&mut self) -> (Vec<u8>, OpeningReport) {
        let weights = self.blocks();
        let mut trees: Vec<&mut CommittedTree> = self.trees.iter_mut().collect();
        let mut transcript = Transcript::new(b"test");
        open_with_report(&self.profile, &mut trees, weights, self.target, &mut transcript).unwrap()
    }

    pub(super) fn prove_with(&mut self, deviation: &dyn Deviation) -> (Vec<u8>, OpeningReport) {
        let weights = self.blocks();
        let mut trees: Vec<&mut CommittedTree> = self.trees.iter_mut().collect();
        let mut transcript = Transcript::new(b"test");
        open_deviating(&self.profile, &mut trees, weights, self.target, &mut transcript, deviation).unwrap()
    }

    pub(super) fn blocks(&self) -> Vec<BlockVector> {
        self.weights.iter().map(|w| w.clone().into()).collect()
    }

    /// The weight evaluations at `z`.
    pub(super) fn weights_at(&self, z: &[E]) -> Vec<E> {
        let evaluate = |(weights, tree): (&Vec<E>, &CommittedTree)| {
            let table = eq_table(&tree_point(z, &tree.shape()));
            weights.iter().zip(table).map(|(&w, eq)| w * eq).sum()
        };
        self.weights.iter().zip(&self.trees).map(evaluate).collect()
    }

    pub(super) fn verify(&self, proof: &[u8]) -> Result<(), OpeningError> {
        let mut transcript = Transcript::new(b"test");
        let statement = self.statement();
        verify_opening(&self.profile, &statement, self.target, proof, &mut transcript, |z| self.weights_at(z))
    }
}

/// Random rows always, and what comes after a slot that is named: elements of mask, pads and cover with their code word beside.
#[test]
fn a_tree_wipes_what_hides_when_it_is_dropped() {
    let shape = blake3(10, 1, true, 1);
    let profile = Profile::new(10).unwrap();
    let capacity = capacity(&profile, &shape).unwrap();
    let make = || commit(&profile, shape, vec![F::ONE; capacity], Randomness::from_seed([5; 32])).unwrap();
    let wiped_by = |tree: CommittedTree| {
        let before = wiped();
        drop(tree);
        wiped() - before
    };
    let (tree, mut earlier) = (make(), make());
    let (random, all) = (tree.vector().len() - capacity, wiped_by(tree));
    assert!(random > 0 && all > random);
    earlier.wipe_from(capacity - 40);
    assert_eq!(wiped_by(earlier), all + 40);
}
