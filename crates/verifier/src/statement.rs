//! What a run and each of its proofs state, and the transcript that binds a proof to it.
//!
//! Everything here is built from the plan and the certificate's public roots by the verifier itself; the prover
//! uses the same code.

use veritune_argument::Argument;
use veritune_commit::{MAX_LOG_COLUMNS, Profile, ProfileError, Root, ShapeError, TreeHash, TreeShape, capacity};
use veritune_field::f_to_bytes;
use veritune_relations::Spec;
use veritune_relations::sampler::Sampler;
use veritune_relations::step::{self, Leaf, StepError, StepProgram, Tables};
use veritune_transcript::Transcript;

/// Openings of a state tree: the step before, the step after, the release, and one to spare.
pub const STATE_BUDGET: u32 = 4;

/// Most slots of the matrices A, which are all of a first state that is not zero and which a verifier keeps: 64 MiB.
pub const MAX_FIRST_STATE_SLOTS: usize = 1 << 23;

/// A statement that cannot be formed: the plan asks for more than the profile serves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The program cannot be built.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The profile is refused.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The argument cannot be formed.
    #[error(transparent)]
    Argument(#[from] veritune_argument::ArgumentError),
    /// A vector does not fit.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// The first state is more than a verifier keeps.
    #[error("the matrices A take {slots} slots, padded axes included; at most {MAX_FIRST_STATE_SLOTS} are supported")]
    FirstState {
        /// Slots of all of them.
        slots: usize,
    },
    /// A vector is too large for any shape.
    #[error(
        "{vector}: {slots} slots do not fit in 2^{MAX_LOG_COLUMNS} columns of 2^{log_rows} rows with {budget} openings"
    )]
    TooLarge {
        /// Which vector.
        vector: &'static str,
        /// Slots in use.
        slots: usize,
        /// `log2` of the rows.
        log_rows: u32,
        /// Openings that random rows pay for.
        budget: u32,
    },
}

/// The public part of a run.
#[derive(Debug, Clone)]
pub struct Run {
    /// The spec of the plan.
    pub spec: Spec,
    /// Digest of the signed plan.
    pub plan_digest: [u8; 32],
    /// Seed of the run: initial adapter and order of rows.
    pub seed: [u8; 32],
    /// Root of the dataset.
    pub dataset: Root,
    /// Root of the base: [`base_root`].
    pub base: Root,
}

/// Shapes of the trees of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shapes {
    /// The fresh tree of a step.
    pub witness: TreeShape,
    /// A state.
    pub state: TreeShape,
    /// The base.
    pub base: TreeShape,
}

/// How many Poseidon2 permutations of a prover are worth a byte of a row that is opened: about two hundred rows are, and a
/// kilobyte of the proof should not cost more than some ten milliseconds of hashing.
const PERMUTATIONS_PER_BYTE: u64 = 3072;

/// The shape for `slots` slots that opens in the fewest bytes, of these the one with the fewest rows; a masked tree has
/// all rows of the profile. The leaves of a large Poseidon2 tree are wider, see [`PERMUTATIONS_PER_BYTE`].
pub fn shape_for(
    profile: &Profile,
    vector: &'static str,
    slots: usize,
    hash: TreeHash,
    masked: bool,
    budget: u32,
) -> Result<TreeShape, StatementError> {
    let most = profile.log_rows();
    let least = if masked { most } else { 0 };
    let fitting = (least..=most).filter_map(|log_rows| {
        let shapes = (0..=MAX_LOG_COLUMNS).map(|log_columns| TreeShape { log_rows, log_columns, hash, masked, budget });
        let mut fits = shapes.filter(|shape| capacity(profile, shape).is_ok_and(|capacity| capacity >= slots));
        fits.next()
    });
    // A row, and a sibling for each layer above it.
    let opened = |shape: &TreeShape| {
        let row = u64::try_from(shape.row_bytes()).unwrap_or(u64::MAX);
        let hashing = match shape.hash {
            TreeHash::Blake3 => 0,
            // A leaf absorbs 8 elements of 8 bytes at a time; a node takes one permutation.
            TreeHash::Poseidon2 => {
                let leaves = 1_u64.checked_shl(shape.log_domain(profile)).unwrap_or(u64::MAX);
                row.div_ceil(64).saturating_add(1).saturating_mul(leaves)
            }
        };
        let siblings = u64::from(shape.log_rows).saturating_mul(32);
        row.saturating_add(siblings).saturating_add(hashing.div_euclid(PERMUTATIONS_PER_BYTE))
    };
    fitting.min_by_key(opened).ok_or(StatementError::TooLarge { vector, slots, log_rows: most, budget })
}

impl Run {
    /// The commitment profile.
    pub fn profile(&self) -> Result<Profile, StatementError> {
        Ok(Profile::new(self.spec.log_rows)?)
    }

    /// The rows that the steps train on.
    pub fn sampler(&self) -> Sampler {
        Sampler::new(&self.seed, self.spec.dataset_rows, self.spec.training.rows)
    }

    /// The program of a step (the first is 1) on the rows with these leaves.
    pub fn program(&self, tables: &Tables, step: u64, leaves: &[Leaf]) -> Result<StepProgram, StatementError> {
        Ok(step::build_with(&self.spec, tables, step, leaves)?)
    }

    /// Shapes of the trees, from the argument of any step of the run.
    pub fn shapes(&self, profile: &Profile, argument: &Argument<'_>) -> Result<Shapes, StatementError> {
        let [_, before, _, base] = argument.layout.used;
        Ok(Shapes {
            witness: self.witness_shape(profile, argument)?,
            state: shape_for(profile, "state", before, TreeHash::Poseidon2, false, STATE_BUDGET)?,
            // Masked because an opening needs one masked tree; the base is public, and so is its mask.
            base: shape_for(profile, "base", base, TreeHash::Poseidon2, true, 1)?,
        })
    }

    fn transcript(&self, protocol: &[u8]) -> Transcript {
        let mut transcript = Transcript::new(protocol);
        transcript.absorb("spec digest", &self.spec.digest());
        transcript.absorb("plan digest", &self.plan_digest);
        transcript.absorb("seed", &self.seed);
        transcript.absorb("dataset root", &self.dataset.0);
        transcript.absorb("base root", &self.base.0);
        transcript
    }

    /// The transcript of a step's proof, before its witness. `loss` is there iff the run discloses it.
    pub fn step_transcript(
        &self,
        step: u64,
        leaves: &[Leaf],
        loss: Option<u32>,
        before: &Root,
        after: &Root,
    ) -> Transcript {
        let mut transcript = self.transcript(b"veritune step v1");
        transcript.absorb_u64("step", step);
        for leaf in leaves {
            transcript.absorb("leaf", leaf.map(f_to_bytes).as_flattened());
        }
        if let Some(loss) = loss {
            transcript.absorb("loss", &loss.to_le_bytes());
        }
        transcript.absorb("state before", &before.0);
        transcript.absorb("state after", &after.0);
        transcript
    }

    /// The transcript of the release's proof, before its witness. `file_digest` is SHA-256 of the adapter file.
    pub fn release_transcript(&self, last: &Root, file_digest: &[u8; 32]) -> Transcript {
        let mut transcript = self.transcript(b"veritune release v1");
        transcript.absorb("last state", &last.0);
        transcript.absorb("adapter file", file_digest);
        transcript
    }

    /// The transcript of the settlement, before its claims.
    pub fn settlement_transcript(&self) -> Transcript {
        self.transcript(b"veritune settlement v1")
    }

    /// The state root of a step in the certificate: layout, step, oracle, cursor, counters (both zero for now).
    pub fn state_root(&self, step: u64, oracle: &Root) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("veritune state root v1");
        hasher.update(&self.spec.digest());
        hasher.update(&step.to_le_bytes());
        hasher.update(&oracle.0);
        hasher.update(&[0; 16]);
        *hasher.finalize().as_bytes()
    }

    /// Stands for the root of the first state, which is public and has no tree.
    pub fn first_state_digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("veritune first state v1");
        hasher.update(&self.seed);
        *hasher.finalize().as_bytes()
    }

    /// Shape of the fresh tree of a proof with this argument: a step's or the release's.
    pub fn witness_shape(&self, profile: &Profile, argument: &Argument<'_>) -> Result<TreeShape, StatementError> {
        shape_for(profile, "witness", argument.witness_slots(), TreeHash::Blake3, true, 1)
    }
}

/// The root of a base model: its shape, constants and scales beside the tree over its integers, which alone would leave
/// open what function they are the weights of.
pub fn base_root(spec: &Spec, tree: &Root) -> Root {
    let mut hasher = blake3::Hasher::new_derive_key("veritune base root v1");
    // Canonical: compact, fields in order of declaration, maps sorted, as in the spec's digest.
    let model = serde_json::to_vec(&spec.model).unwrap_or_default();
    hasher.update(&u64::try_from(model.len()).unwrap_or(u64::MAX).to_le_bytes());
    hasher.update(&model);
    hasher.update(&spec.log_rows.to_le_bytes());
    hasher.update(&tree.0);
    Root(*hasher.finalize().as_bytes())
}

/// Seed of the base's tree: a constant, so that anyone recomputes the root.
pub const BASE_TREE_SEED: [u8; 32] = *b"veritune public base tree seed 1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_holds_its_slots_and_a_masked_one_has_all_rows() {
        let profile = Profile::new(17).unwrap();
        let state = |slots| shape_for(&profile, "state", slots, TreeHash::Poseidon2, false, STATE_BUDGET);
        let small = state(43_008).unwrap();
        assert_eq!((small.log_rows, small.log_columns), (13, 3));
        for slots in [1, 1_000, 43_008, 60_000, 2_000_000, 100_000_000] {
            let shape = state(slots).unwrap();
            assert!(capacity(&profile, &shape).unwrap() >= slots, "{slots}");
            // What all openings of its budget reveal is no more than its random rows hide.
            assert!(shape.tail_rows(&profile) >= u64::from(profile.queries() * STATE_BUDGET), "{slots}");
            let witness = shape_for(&profile, "witness", slots, TreeHash::Blake3, true, 1).unwrap();
            assert_eq!(witness.log_rows, 17, "{slots}");
        }
        assert!(matches!(state(1 << 28), Err(StatementError::TooLarge { .. })));
    }
}
