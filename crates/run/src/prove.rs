//! Proves the steps of a run: one proof per step, then settlement and release.

use crate::RunError;
use crate::inputs::Inputs;
use crate::openings::{Opening, Openings};
use crate::store::{Store, fresh_seed, read, write_whole};
use crate::train::{self, Committer, State};
use std::sync::Arc;
use veritune_argument::{Argument, Joint, STATE_AFTER_PLACE, STATE_BEFORE_PLACE, WITNESS_PLACE};
use veritune_commit::{Profile, Root, TreeShape};
use veritune_executor::Executor;
use veritune_prover::argument::{Pads, dense_weights, multiplicities, prove as prove_argument, witness_vector};
use veritune_prover::commit::{CommittedTree, Randomness, commit, open};
use veritune_relations::layout::Layout;
use veritune_relations::spec::{Disclose, Visibility};
use veritune_relations::step::StepProgram;
use veritune_relations::{Program, release};
use veritune_transcript::Transcript;
use veritune_verifier::known::Known;
use veritune_verifier::loss;
use veritune_verifier::proof::{absorb_witness, opening_target};
use veritune_verifier::settlement::{self, StepClaims};
use veritune_verifier::statement::{Run, base_root};
use veritune_verifier::step::Context;
use zeroize::Zeroizing;

fn commit_error(error: impl std::fmt::Display) -> RunError {
    RunError::Commit(error.to_string())
}

/// Proves a program whose tensors are known; `trees` are the other places' trees in the order of the statement.
///
/// *Caller must* have absorbed all public inputs and the roots of `trees`.
pub fn prove_program(
    program: &Program,
    profile: &Profile,
    witness_shape: TreeShape,
    tensors: &[&[i64]],
    trees: &mut [(usize, &mut CommittedTree)],
    known: &[(usize, &Known)],
    transcript: &mut Transcript,
) -> Result<Vec<u8>, RunError> {
    let argument = Argument::new(program).map_err(commit_error)?;
    let counts = multiplicities(program, tensors);
    // Fresh for every attempt: a failed proof's randomness is never used again. A step's witness follows from its statement,
    // so that pads do not repeat for another one even if the machine's randomness does.
    let fresh = Zeroizing::new(fresh_seed()?);
    let seed = Zeroizing::new(transcript.seed(&fresh));
    let randomness = Randomness::from_seed(*seed);
    let pads = Pads::draw(&argument.wiring, &randomness);
    let mut vector = witness_vector(program, &argument.layout, tensors, &counts);
    // Room for what the commitment adds: with pads in it the vector does not move.
    vector.reserve_exact((witness_shape.num_columns() << witness_shape.log_rows).saturating_sub(vector.len()));
    vector.extend(pads.slots());
    let mut witness = commit(profile, witness_shape, vector, randomness).map_err(commit_error)?;
    witness.wipe_from(argument.first_element_slot());
    absorb_witness(transcript, &witness.root());
    let proof = prove_argument(&argument, witness.vector(), tensors, &pads, transcript).map_err(commit_error)?;
    let placed: Vec<_> =
        known.iter().map(|&(place, vector)| (place, veritune_verifier::proof::Source::Known(vector))).collect();
    let joint = Joint { parts: proof.parts, target: proof.target };
    let target = opening_target(&joint, &placed);
    let mut opened = vec![dense_weights(&joint.parts, WITNESS_PLACE, witness.vector().len())];
    opened.extend(trees.iter().map(|(place, tree)| dense_weights(&joint.parts, *place, tree.vector().len())));
    let mut all: Vec<&mut CommittedTree> = vec![&mut witness];
    all.extend(trees.iter_mut().map(|(_, tree)| &mut **tree));
    let opening = open(profile, &mut all, opened, target, transcript).map_err(commit_error)?;
    let root = witness.root();
    let mut bytes = root.0.to_vec();
    bytes.extend_from_slice(&proof.scalars);
    bytes.extend_from_slice(&opening);
    Ok(bytes)
}

/// Proves the steps of one run.
pub struct Prover<'a> {
    context: Context<'a>,
    committer: Committer<'a>,
    inputs: &'a Inputs,
    store: &'a Store,
    layout: Layout,
    /// The state after the step proved last: the state before the next one, not committed to again.
    last: Option<(u64, CommittedTree)>,
    threads: usize,
}

/// Name of a state's tree in the record of openings.
fn state_name(step: u64) -> String {
    format!("state {step}")
}

/// Tells a tree how often it was opened; refuses one that has no opening left, before any work is done for it.
fn count(tree: &mut CommittedTree, name: String, openings: &Openings) -> Result<(), RunError> {
    let spent = openings.spent(&Opening::of(name, tree))?;
    tree.set_spent(spent);
    Ok(())
}

impl<'a> Prover<'a> {
    /// A prover of the run.
    pub fn new(
        run: &'a Run,
        profile: &'a Profile,
        inputs: &'a Inputs,
        store: &'a Store,
        threads: usize,
    ) -> Result<Self, RunError> {
        let context = Context::new(run)?;
        let layout = Layout::new(&context.first.program);
        let committer = Committer { run, profile, shapes: context.shapes, secret: store.secret()? };
        if inputs.dataset.root() != run.dataset {
            return Err(RunError::Rows("the rows, meta data and salt do not give the plan's dataset root".into()));
        }
        Ok(Self { context, committer, inputs, store, layout, last: None, threads })
    }

    /// The tree of the state after `step`, which must be the one whose root training wrote: a file of another state, put in
    /// its place, is not opened.
    fn tree(
        &self,
        built: &StepProgram,
        step: u64,
        state: &State,
        openings: &Openings,
    ) -> Result<CommittedTree, RunError> {
        let mut tree = self.committer.state(built, &self.layout, step, state)?;
        if tree.root() != Root(self.store.root(step)?) {
            return Err(RunError::File {
                path: self.store.path(&format!("steps/{step:06}.root")),
                reason:
                    "is not the root that the step gives; remove the files of this and all later steps and train again"
                        .into(),
            });
        }
        count(&mut tree, state_name(step), openings)?;
        Ok(tree)
    }

    /// Proves `step` and writes `certificate/proofs/step-000001.bin`: roots of the states around it, the
    /// paths of its rows, its loss if the run discloses it, then the proof. Returns its claims on the base, as the verifier
    /// found them.
    pub fn prove_step(&mut self, step: u64) -> Result<StepClaims, RunError> {
        let run = self.context.run;
        let state = train::load_state(self.store, &self.context.first.program, step - 1)?;
        let rows = self.context.rows(step);
        let dataset = &self.inputs.dataset;
        let leaves = dataset.leaves(&rows);
        let built = self.context.program(step, &leaves)?;
        let mut executed = train::execute(built, self.inputs, step, &rows, &state, self.threads)?;
        let loss = train::publish_loss(&mut executed);
        let after = train::state_after(&executed);
        let openings = self.store.openings()?;
        let mut after_tree = self.tree(&executed.built, step, &after, &openings)?;
        let mut before_tree = match self.last.take() {
            _ if step == 1 => None,
            Some((last, mut tree)) if last + 1 == step => {
                count(&mut tree, state_name(last), &openings)?;
                Some(tree)
            }
            _ => Some(self.tree(&executed.built, step - 1, &state, &openings)?),
        };
        let before = before_tree.as_ref().map_or_else(|| self.context.first_root(), CommittedTree::root);
        let mut transcript = run.step_transcript(step, &leaves, loss, &before, &after_tree.root());
        let mut trees: Vec<(usize, &mut CommittedTree)> = Vec::new();
        let mut opened = vec![Opening::of(state_name(step), &after_tree)];
        let mut known: Vec<(usize, &Known)> = Vec::new();
        match &mut before_tree {
            Some(tree) => {
                opened.push(Opening::of(state_name(step - 1), tree));
                trees.push((STATE_BEFORE_PLACE, tree));
            }
            None => known.push((STATE_BEFORE_PLACE, &self.context.first_state)),
        }
        trees.push((STATE_AFTER_PLACE, &mut after_tree));
        let tensors = executed.tensors.all();
        let proof = prove_program(
            &executed.built.program,
            &self.context.profile,
            self.context.shapes.witness,
            &tensors,
            &mut trees,
            &known,
            &mut transcript,
        )?;
        let mut bytes = before.0.to_vec();
        bytes.extend_from_slice(&after_tree.root().0);
        bytes.extend_from_slice(&dataset.paths(&rows));
        bytes.extend_from_slice(&loss::to_bytes(loss));
        bytes.extend_from_slice(&proof);
        // A proof of something false would tell by how much it is false: nothing is written that does not verify.
        let checked = check_step(&self.context, step, &bytes).ok_or(RunError::Unverified { step: Some(step) })?;
        self.store.publish(&self.store.path(&step_file(step)), &bytes, &opened, false)?;
        self.last = Some((step, after_tree));
        Ok(checked)
    }

    /// Settles the base claims of all steps.
    pub fn settle(&self, steps: &[StepClaims]) -> Result<Vec<u8>, RunError> {
        let run = self.context.run;
        let first = &self.context.first;
        let mut base = self.committer.base(first, &self.layout, &self.inputs.base)?;
        let tree = base.root();
        if base_root(&run.spec, &tree) != run.base {
            return Err(RunError::Rows("the base model does not give the plan's base root".into()));
        }
        let (joint, mut transcript) = settlement::combine(run, steps);
        let weights = vec![dense_weights(&joint.parts, veritune_argument::BASE_PLACE, base.vector().len())];
        let opening = open(&self.context.profile, &mut [&mut base], weights, joint.target, &mut transcript)
            .map_err(commit_error)?;
        let bytes = [&tree.0[..], &opening].concat();
        write_whole(&self.store.path(SETTLEMENT_FILE), &bytes, false)?;
        Ok(bytes)
    }

    /// The released copies: the last state's masters, rounded, in the order of [`release::matrices`].
    pub fn copies(&self) -> Result<Vec<Vec<i64>>, RunError> {
        let run = self.context.run;
        let first = &self.context.first;
        let state = train::load_state(self.store, &first.program, run.spec.training.steps)?;
        Ok(release::copies(&run.spec, first, |name| state.get(name).map_or(&[][..], |masters| masters))?)
    }

    /// Proves that the copies are those of the last state; `file_digest` is SHA-256 of the adapter file.
    ///
    /// A proof that is there and verifies stays: another one would open the last state once more.
    pub fn release(&mut self, file_digest: &[u8; 32]) -> Result<Vec<u8>, RunError> {
        let run = self.context.run;
        let last = run.spec.training.steps;
        let copies = self.copies()?;
        let disclose = &run.spec.disclose;
        let path = self.store.path(release_file(disclose));
        if path.exists() {
            let bytes = read(&path)?;
            if self.context.verify_release(Root(self.store.root(last)?), &copies, file_digest, &bytes).is_ok() {
                return Ok(bytes);
            }
        }
        let first = &self.context.first;
        let state = train::load_state(self.store, &first.program, last)?;
        let built = release::build(&run.spec, first, &copies)?;
        let failed = |source| RunError::Execute { step: last, rows: Vec::new(), source: Box::new(source) };
        let mut executor = Executor::<i64>::new(&built.program).map_err(failed)?;
        for id in executor.inputs() {
            if let Some(values) = state.get(&built.program.tensor(id).name) {
                executor.set_input(id, Arc::clone(values)).map_err(failed)?;
            }
        }
        executor.run(self.threads).map_err(failed)?;
        let tensors = executor.tensors().all();
        let mut tree = self.tree(first, last, &state, &self.store.openings()?)?;
        let argument = Argument::new(&built.program).map_err(commit_error)?;
        let shape = run.witness_shape(&self.context.profile, &argument)?;
        let mut transcript = run.release_transcript(&tree.root(), file_digest);
        let opened = [Opening::of(state_name(last), &tree)];
        let root = tree.root();
        let mut trees = [(STATE_BEFORE_PLACE, &mut tree)];
        let proof =
            prove_program(&built.program, &self.context.profile, shape, &tensors, &mut trees, &[], &mut transcript)?;
        let checked = self.context.verify_release(root, &copies, file_digest, &proof);
        checked.map_err(|_| RunError::Unverified { step: None })?;
        self.store.publish(&path, &proof, &opened, disclose.adapter == Visibility::Hidden)?;
        Ok(proof)
    }

    /// The claims of a step whose proof is already there, checked again; none if it is missing, does not verify, or is
    /// about other states than those of the run directory.
    pub fn finished(&self, step: u64) -> Result<Option<StepClaims>, RunError> {
        let path = self.store.path(&step_file(step));
        if !path.exists() {
            return Ok(None);
        }
        let bytes = read(&path)?;
        let after = self.store.root(step)?;
        let before = if step == 1 { self.context.first_root().0 } else { self.store.root(step - 1)? };
        if !bytes.starts_with(&[before, after].concat()) {
            return Ok(None);
        }
        Ok(check_step(&self.context, step, &bytes))
    }

    /// The context of the verifier.
    pub fn context(&self) -> &Context<'a> {
        &self.context
    }
}

/// Path of the settlement in the run directory.
pub const SETTLEMENT_FILE: &str = "certificate/proofs/settlement.bin";

/// Path of the proof of the release in the run directory: in the certificate, or beside an adapter that is hidden.
pub const fn release_file(disclose: &Disclose) -> &'static str {
    match disclose.adapter {
        Visibility::Public => "certificate/proofs/release.bin",
        Visibility::Hidden => "release/adapter_release.bin",
    }
}

/// Path of a step's proof in the run directory.
pub fn step_file(step: u64) -> String {
    format!("certificate/proofs/step-{step:06}.bin")
}

/// Verifies a step's file as the verifier does.
pub fn check_step(context: &Context<'_>, step: u64, bytes: &[u8]) -> Option<StepClaims> {
    let (before, rest) = bytes.split_first_chunk::<32>()?;
    let (after, proof) = rest.split_first_chunk::<32>()?;
    let claims = context.verify_step(step, Root(*before), Root(*after), proof).ok()?.claims;
    Some(StepClaims { step, proof_digest: *blake3::hash(bytes).as_bytes(), claims })
}
