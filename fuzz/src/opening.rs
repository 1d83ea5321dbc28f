//! The joint opening of trees. No bytes but the honest ones open this statement; no statement that the input describes
//! makes the verifier stop.

use crate::bytes::{Input, edited, replaced};
use std::sync::LazyLock;
use veritune_commit::{Profile, Root, TreeHash, TreeShape, capacity, tree_point, verify_opening};
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_field::{E, F, eq_table};
use veritune_prover::commit::{CommittedTree, Randomness, commit, open};
use veritune_transcript::Transcript;

/// A masked tree of two columns and one of one column with half the rows.
const SHAPES: [TreeShape; 2] = [
    TreeShape { log_rows: 10, log_columns: 1, hash: TreeHash::Blake3, masked: true, budget: 1 },
    TreeShape { log_rows: 9, log_columns: 0, hash: TreeHash::Poseidon2, masked: false, budget: 1 },
];

struct Opened {
    profile: Profile,
    trees: Vec<(TreeShape, Root)>,
    weights: Vec<Vec<E>>,
    target: E,
    proof: Vec<u8>,
}

static OPENED: LazyLock<Opened> = LazyLock::new(|| {
    let profile = Profile::new(10).expect("a profile");
    let mut trees: Vec<CommittedTree> = SHAPES
        .iter()
        .zip(1_u8..)
        .map(|(shape, seed)| {
            let len = capacity(&profile, shape).expect("a capacity") as u64;
            let data = (0..len).map(|i| F::from_u64(i * i + u64::from(seed))).collect();
            commit(&profile, *shape, data, Randomness::from_seed([seed; 32])).expect("a tree")
        })
        .collect();
    let weights: Vec<Vec<E>> = (3..5_u64).map(|n| (0..50).map(|i| E::from(F::from_u64(i + n))).collect()).collect();
    let inner = |(w, tree): (&Vec<E>, &CommittedTree)| w.iter().zip(tree.vector()).map(|(&w, &f)| w * f).sum::<E>();
    let target = weights.iter().zip(&trees).map(inner).sum();
    let statement = trees.iter().map(|tree| (tree.shape(), tree.root())).collect();
    let blocks = weights.iter().map(|w| w.clone().into()).collect();
    let mut committed: Vec<&mut CommittedTree> = trees.iter_mut().collect();
    let proof = open(&profile, &mut committed, blocks, target, &mut transcript()).expect("a first opening");
    Opened { profile, trees: statement, weights, target, proof }
});

fn transcript() -> Transcript {
    Transcript::new(b"fuzz opening")
}

impl Opened {
    fn weights_at(&self, z: &[E], trees: &[(TreeShape, Root)]) -> Vec<E> {
        let at = |(weights, (shape, _)): (&Vec<E>, &(TreeShape, Root))| {
            weights.iter().zip(eq_table(&tree_point(z, shape))).map(|(&w, eq)| w * eq).sum()
        };
        self.weights.iter().zip(trees).map(at).collect()
    }
}

/// Edits the honest proof, for the honest statement or one that the bytes describe.
pub fn run(bytes: &[u8]) {
    let (mut input, opened) = (Input::new(bytes), &*OPENED);
    if input.byte() % 2 == 0 {
        let proof = edited(&opened.proof, &mut input);
        let weights_at = |z: &[E]| opened.weights_at(z, &opened.trees);
        let verified =
            verify_opening(&opened.profile, &opened.trees, opened.target, &proof, &mut transcript(), weights_at);
        assert_eq!(verified.is_ok(), proof == opened.proof, "{verified:?}");
        return;
    }
    let Ok(profile) = Profile::new(u32::from(input.byte() % 32)) else { return };
    let trees: Vec<(TreeShape, Root)> =
        (0..input.byte() % 20).map(|_| (shape(&mut input), Root(input.array()))).collect();
    let proof = edited(&opened.proof, &mut input);
    let weights_at = |z: &[E]| opened.weights_at(z, &trees);
    let verified = verify_opening(&profile, &trees, opened.target, &proof, &mut transcript(), weights_at);
    let is_honest = profile == opened.profile && trees == opened.trees;
    assert!(verified.is_err() || is_honest && proof == opened.proof);
}

fn shape(input: &mut Input<'_>) -> TreeShape {
    let bits = input.byte();
    let hash = if bits & 1 == 0 { TreeHash::Blake3 } else { TreeHash::Poseidon2 };
    let [log_rows, log_columns, budget] = if bits & 4 == 0 {
        [(); 3].map(|()| u32::from(input.byte() % 32))
    } else {
        [(); 3].map(|()| u32::from_le_bytes(input.array()))
    };
    TreeShape { log_rows, log_columns, hash, masked: bits & 2 != 0, budget }
}

/// Honest inputs.
pub fn seeds() -> Vec<Vec<u8>> {
    let opened = &*OPENED;
    let mut described = vec![1, 10, 2];
    for (shape, root) in &opened.trees {
        let bits = u8::from(shape.hash == TreeHash::Poseidon2) | u8::from(shape.masked) << 1;
        described.push(bits);
        described.extend([shape.log_rows, shape.log_columns, shape.budget].map(|n| n as u8));
        described.extend(root.0);
    }
    vec![vec![0], described, [vec![0], replaced(&opened.proof[..200])].concat()]
}
