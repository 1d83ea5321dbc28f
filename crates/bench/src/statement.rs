//! What a workload's proof states, and the ledger of its soundness; prover and verifier build both from the name.

use crate::BenchError;
use crate::workloads::{self, Workload};
use serde::{Deserialize, Serialize};
use veritune_argument::{Argument, STATE_AFTER_PLACE, STATE_BEFORE_PLACE};
use veritune_commit::{Profile, Root, TreeHash, TreeShape};
use veritune_relations::digest::program_digest;
use veritune_relations::layout::Layout;
use veritune_transcript::Transcript;
use veritune_verifier::ledger::proof_ledger;
use veritune_verifier::proof::{Placed, Source};
use veritune_verifier::statement::{STATE_BUDGET, StatementError, shape_for};

/// Everything that follows from the name.
pub struct Statement {
    /// The workload.
    pub workload: Workload,
    /// Its layout.
    pub layout: Layout,
    /// Slots of the witness: those of the layout and those that mask the argument.
    pub witness_slots: usize,
    /// The commitment profile.
    pub profile: Profile,
    /// Shape of the witness tree: fresh, hiding, masked.
    pub witness: TreeShape,
    /// Shape of a state tree, hiding; none if the workload has no state.
    pub state: Option<TreeShape>,
    digest: [u8; 32],
}

/// What the verifier is told: the name, and the roots of the states around it (hexadecimal, empty without state).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// Name of the workload.
    pub workload: String,
    /// Roots of the states, before and after.
    pub states: Vec<String>,
}

impl Statement {
    /// Builds the program and its shapes.
    pub fn new(name: &str) -> Result<Self, BenchError> {
        let workload = workloads::build(name)?;
        let argument = Argument::new(&workload.program).map_err(StatementError::from)?;
        let witness_slots = argument.witness_slots();
        let layout = argument.layout;
        let [_, before, ..] = layout.used;
        // As a run chooses its rows (`veritune_run::settings`), without a dataset to open.
        let profile = Profile::new(witness_slots.next_power_of_two().ilog2().saturating_sub(6).clamp(12, 20))
            .map_err(StatementError::from)?;
        let state = (before > 0)
            .then(|| shape_for(&profile, "state", before, TreeHash::Poseidon2, false, STATE_BUDGET))
            .transpose()?;
        let witness = shape_for(&profile, "witness", witness_slots, TreeHash::Blake3, true, 1)?;
        let digest = program_digest(&workload.program);
        Ok(Self { workload, layout, witness_slots, profile, witness, state, digest })
    }

    /// The argument of the workload.
    pub fn argument(&self) -> Result<Argument<'_>, BenchError> {
        Ok(Argument::new(&self.workload.program).map_err(StatementError::from)?)
    }

    /// The transcript of a proof before its witness.
    pub fn transcript(&self, states: &[Root]) -> Transcript {
        let mut transcript = Transcript::new(b"veritune benchmark v1");
        transcript.absorb("program", &self.digest);
        for root in states {
            transcript.absorb("state", &root.0);
        }
        transcript
    }

    /// The places beside the witness.
    pub fn placed(&self, states: &[Root]) -> Vec<Placed<'static>> {
        let tree = |place: usize, root: &Root| self.state.map(|shape| (place, Source::Tree(shape, *root)));
        [STATE_BEFORE_PLACE, STATE_AFTER_PLACE]
            .into_iter()
            .zip(states)
            .filter_map(|(place, root)| tree(place, root))
            .collect()
    }

    /// Bits that the ledger of this proof adds up to, after the union bound over the profile's number of proofs.
    pub fn security_bits(&self) -> Result<(u32, u64), BenchError> {
        let trees = 1 + 2 * usize::from(self.state.is_some());
        let widest = self.witness.log_columns.max(self.state.map_or(0, |s| s.log_columns));
        let argument = self.argument()?;
        let ledger = proof_ledger(&self.profile, trees, widest, &argument);
        Ok((ledger.total_bits().0 / 1000, ledger.max_proofs()))
    }
}
