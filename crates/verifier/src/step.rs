//! The proof of one step, and of the release.
//!
//! Statement of step t: the run's program at t holds between the state before and the state after, and its loss is the one
//! stated, if the run discloses it. The state before the first step is public: the verifier weighs it itself. Statement of the release: the public copies are the rounded
//! masters of the last state.

use crate::known::Known;
use crate::loss;
use crate::proof::{self, Placed, ProofError, ROOT_BYTES, Source};
use crate::rows::{self, RowsRefused};
use crate::statement::{MAX_FIRST_STATE_SLOTS, Run, Shapes, StatementError};
use std::sync::{Mutex, PoisonError};
use veritune_argument::{Argument, BaseClaim, STATE_AFTER_PLACE, STATE_BEFORE_PLACE};
use veritune_commit::{OpeningError, Profile, Root, most_opening_bytes};
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_field::{F, f_from_i64};
use veritune_relations::layout::{Layout, block_len, row_starts};
use veritune_relations::sampler::Sampler;
use veritune_relations::step::{Adapter, Leaf, StepProgram, Tables, no_leaves};
use veritune_relations::{initial, release};

/// Why a step or a release is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepRefused {
    /// The statement cannot be formed.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The step is none of the run's, or does not start from the public first state.
    #[error("VT-PROOF-003: step {0} is none of the run's, or the first does not start from the public first state")]
    Chain(u64),
    /// A row is not shown to be the dataset's.
    #[error(transparent)]
    Rows(#[from] RowsRefused),
    /// The proof is refused.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

/// What a step's file shows.
#[derive(Debug, Clone, Default)]
pub struct VerifiedStep {
    /// Claims on the base, to be settled.
    pub claims: Vec<BaseClaim>,
    /// The mean loss, if the run discloses it: units of 2^-20 nats.
    pub loss: Option<u32>,
}

/// What all proofs of a run share.
#[derive(Debug)]
pub struct Context<'a> {
    /// The run.
    pub run: &'a Run,
    /// The profile.
    pub profile: Profile,
    /// Shapes of the trees.
    pub shapes: Shapes,
    /// The first state.
    pub first_state: Known,
    /// The program of the first step, without leaves.
    pub first: StepProgram,
    tables: Tables,
    /// Bytes of the scalars of a step's argument: as many in every step.
    scalar_bytes: usize,
    /// Behind a lock so that a context that is shared makes an epoch's permutation once.
    sampler: Mutex<Sampler>,
}

impl<'a> Context<'a> {
    /// Everything that follows from the run alone.
    pub fn new(run: &'a Run) -> Result<Self, StatementError> {
        let profile = run.profile()?;
        let tables = Tables::new(&run.spec)?;
        let first = run.program(&tables, 1, &no_leaves(&run.spec))?;
        let argument = Argument::new(&first.program)?;
        let shapes = run.shapes(&profile, &argument)?;
        let scalar_bytes = proof::scalar_bytes(&argument);
        let first_state = known_first_state(&first, &argument.layout, &run.seed)?;
        let sampler = Mutex::new(run.sampler());
        Ok(Self { run, profile, shapes, first_state, first, tables, scalar_bytes, sampler })
    }

    /// The tables of the run's programs.
    pub const fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The program of a step (the first is 1) on the rows with these leaves.
    pub fn program(&self, step: u64, leaves: &[Leaf]) -> Result<StepProgram, StatementError> {
        self.run.program(&self.tables, step, leaves)
    }

    /// The rows that a step (the first is 1) trains on.
    pub fn rows(&self, step: u64) -> Vec<usize> {
        self.sampler.lock().unwrap_or_else(PoisonError::into_inner).rows(step)
    }

    /// The oracle root that stands for the public first state.
    pub fn first_root(&self) -> Root {
        Root(self.run.first_state_digest())
    }

    /// Sources of a step's places other than the witness.
    pub fn placed(&self, step: u64, before: Root, after: Root) -> Vec<Placed<'_>> {
        let state_before =
            if step == 1 { Source::Known(&self.first_state) } else { Source::Tree(self.shapes.state, before) };
        vec![(STATE_BEFORE_PLACE, state_before), (STATE_AFTER_PLACE, Source::Tree(self.shapes.state, after))]
    }

    /// Fewest and most bytes of a step's rows, loss and proof; what lies between depends on the positions that are drawn.
    pub fn step_bytes(&self) -> [usize; 2] {
        let stated = rows::num_bytes(self.run).saturating_add(loss::num_bytes(self.run));
        let least = stated.saturating_add(ROOT_BYTES).saturating_add(self.scalar_bytes);
        // The first step has one tree less, which makes its opening shorter.
        let trees = [self.shapes.witness, self.shapes.state, self.shapes.state];
        [least, least.saturating_add(most_opening_bytes(&self.profile, &trees))]
    }

    /// Refuses bytes that no positions make a step's.
    fn check_length(&self, bytes: &[u8]) -> Result<(), StepRefused> {
        let [least, most] = self.step_bytes();
        let (got, paths) = (bytes.len(), rows::num_bytes(self.run));
        if got < paths {
            return Err(RowsRefused::Truncated { rows: self.run.spec.training.rows, expected: paths, got }.into());
        }
        if got < least {
            let [expected, got] = [least, got].map(|len| len.saturating_sub(paths));
            return Err(ProofError::Truncated { expected, got }.into());
        }
        if got > most && !veritune_mutation::off("opening-trailing-bytes") {
            let extra = got.saturating_sub(most);
            return Err(ProofError::from(OpeningError::TrailingBytes { extra }).into());
        }
        Ok(())
    }

    /// Checks that the rows that `bytes` begins with are those of `step`, and its loss and proof after them.
    ///
    /// *Caller must* settle the claims that are returned.
    pub fn verify_step(&self, step: u64, before: Root, after: Root, bytes: &[u8]) -> Result<VerifiedStep, StepRefused> {
        let is_chained =
            (1..=self.run.spec.training.steps).contains(&step) && (step != 1 || before == self.first_root());
        if !is_chained && !veritune_mutation::off("VT-PROOF-003") {
            return Err(StepRefused::Chain(step));
        }
        // Before the epoch's permutation is made, which takes 4 bytes and a hash for every four of the dataset's rows.
        self.check_length(bytes)?;
        let (leaves, bytes) = rows::verify(self.run, &self.rows(step), bytes)?;
        let truncated = ProofError::Truncated { expected: loss::num_bytes(self.run), got: bytes.len() };
        let (loss, bytes) = loss::read(self.run, bytes).ok_or(truncated)?;
        let mut program = self.program(step, &leaves)?.program;
        program.publish(loss.map(i64::from));
        let argument = Argument::new(&program).map_err(StatementError::from)?;
        let mut transcript = self.run.step_transcript(step, &leaves, loss, &before, &after);
        let placed = self.placed(step, before, after);
        // Of this step's own argument, so that what its proof weighs always lies within the shape.
        let shape = self.run.witness_shape(&self.profile, &argument)?;
        let claims = proof::verify(&argument, &self.profile, shape, &placed, bytes, &mut transcript)?;
        Ok(VerifiedStep { claims, loss })
    }

    /// Checks the proof that the copies are those of the last state. `file_digest` is SHA-256 of the adapter file.
    pub fn verify_release(
        &self,
        last: Root,
        copies: &[Vec<i64>],
        file_digest: &[u8; 32],
        bytes: &[u8],
    ) -> Result<(), StepRefused> {
        let program = release::build(&self.run.spec, &self.first, copies).map_err(StatementError::from)?.program;
        let argument = Argument::new(&program).map_err(StatementError::from)?;
        let shape = self.run.witness_shape(&self.profile, &argument)?;
        let mut transcript = self.run.release_transcript(&last, file_digest);
        let placed = [(STATE_BEFORE_PLACE, Source::Tree(self.shapes.state, last))];
        proof::verify(&argument, &self.profile, shape, &placed, bytes, &mut transcript)?;
        Ok(())
    }
}

/// The matrices A; all else of a first state is zero.
fn known_first_state(first: &StepProgram, layout: &Layout, seed: &[u8; 32]) -> Result<Known, StatementError> {
    let program = &first.program;
    let lengths = first.adapters.values().map(|adapter| block_len(program, adapter.a.before[0]));
    // Before anything of that size is allocated.
    let slots = lengths.fold(0_usize, usize::saturating_add);
    if slots > MAX_FIRST_STATE_SLOTS {
        return Err(StatementError::FirstState { slots });
    }
    let run = |adapter: &Adapter| {
        let [master, ..] = adapter.a.before;
        let offset = layout.slots.get(master.0)?.as_ref()?.blocks.first()?.offset;
        let mut run = vec![F::ZERO; block_len(program, master)];
        let row_len = *program.shape(master).last()?;
        let mut values = initial::first_a(program, &adapter.a, seed);
        for start in row_starts(program, master) {
            let row = run.get_mut(start..start.saturating_add(row_len))?;
            row.iter_mut().zip(values.by_ref()).for_each(|(slot, value)| *slot = f_from_i64(value));
        }
        Some((offset, run))
    };
    // A matrix without its place would be left out, as if it were zero.
    let runs = first.adapters.values().map(|adapter| run(adapter).ok_or(StatementError::FirstState { slots }));
    Ok(Known::new(runs.collect::<Result<_, _>>()?))
}
