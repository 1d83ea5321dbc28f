//! Certificates of runs that differ in one token, by the product's code, or by a copy of it that saves a mask.

use std::collections::BTreeMap;
use std::sync::Arc;
use veritune_argument::{Argument, Joint, STATE_AFTER_PLACE, STATE_BEFORE_PLACE};
use veritune_attacks::certificate::sha256;
use veritune_attacks::run::{monotonous, random_inputs};
use veritune_attacks::setting::Numbers;
use veritune_commit::Root;
use veritune_field::E;
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_prover::argument::{Pads, dense_weights, multiplicities, prove, witness_vector};
use veritune_prover::commit::{CommittedTree, Deviation, Randomness, commit, open_deviating};
use veritune_relations::layout::Layout;
use veritune_relations::release;
use veritune_run::dataset::{Dataset, NO_LABEL, Rows};
use veritune_run::inputs::{Inputs, Named};
use veritune_run::prove::prove_program;
use veritune_run::store::fresh_seed;
use veritune_run::train::{Committer, State, execute, first_state, state_after};
use veritune_transcript::Transcript;
use veritune_verifier::adapter;
use veritune_verifier::known::Known;
use veritune_verifier::proof::{Source, absorb_witness, opening_target};
use veritune_verifier::statement::{Run, Shapes, base_root};
use veritune_verifier::step::Context;

/// The two candidates for the first token of the row.
pub const TOKENS: [i64; 2] = [4, 19];
pub const STEPS: u64 = 2;
pub const ROOT_BYTES: usize = 32;

/// What a prover saves.
#[derive(Clone, Copy, PartialEq)]
pub enum Saved {
    Nothing,
    /// The first scalar goes without its pad.
    OnePad,
    /// A pad of the first step serves once more in the second.
    OnePadTwice,
    /// The first scalar of an opening goes without its pad. Its verifier sees that; the attacker does not mind.
    OpeningPad,
    /// A state has random rows for one opening.
    RandomRows,
}

/// What is published, and the advice.
pub struct Certificate {
    pub run: Run,
    pub shapes: Shapes,
    /// The public first state's, then the states'.
    pub roots: Vec<Root>,
    /// Steps with rows' paths and proof of each; a step whose proof was made anew stands here once more.
    pub steps: Vec<(u64, Vec<u8>)>,
    /// The release with its file's digest; none where a test needs no release.
    pub release: Option<(Vec<u8>, [u8; 32])>,
    pub salts: [u8; 32],
}

/// A candidate's rows: all but the first token are known.
pub fn inputs(run: &Run, token: i64, salts: [u8; 32]) -> Inputs {
    let mut numbers = Numbers(12);
    let len = run.spec.training.tokens * run.spec.dataset_rows;
    let mut ids = || -> Vec<i64> { (0..len).map(|_| numbers.between(0, run.spec.model.vocab as i64 - 1)).collect() };
    let (mut tokens, mut targets) = (ids(), ids());
    (tokens[0], targets[0]) = (token, NO_LABEL);
    let meta = vec![[1; 32]; run.spec.dataset_rows];
    let rows = Rows { tokens: &tokens, targets: &targets, meta: &meta };
    let dataset = Dataset::new(&run.spec, rows, salts).expect("the spec's rows");
    let base: Named = random_inputs(&run.spec).into_iter().map(|(name, values)| (name, Arc::new(values))).collect();
    Inputs { base, dataset }
}

pub fn drawn() -> [u8; 32] {
    fresh_seed().expect("randomness")
}

pub fn context<'a>(run: &'a Run, shapes: Option<Shapes>) -> Context<'a> {
    let mut context = Context::new(run).expect("a statement");
    context.shapes = shapes.unwrap_or(context.shapes);
    context
}

pub fn copies(context: &Context<'_>, state: &State) -> Vec<Vec<i64>> {
    release::copies(&context.run.spec, &context.first, |name| &state[name]).expect("copies")
}

/// The digest of the adapter's file.
pub fn digest(context: &Context<'_>, copies: &[Vec<i64>]) -> [u8; 32] {
    let tensors = adapter::tensors(&context.first, copies).expect("tensors");
    sha256(&veritune_envelope::adapter_file::encode(&tensors).expect("a file"))
}

/// Trains and proves with this token, by the product's code; where something is saved, by a copy of it that saves.
pub fn certify(token: i64, saved: Saved) -> Certificate {
    let none = Root([0; 32]);
    let mut run = Run { spec: monotonous(STEPS), plan_digest: [1; 32], seed: [5; 32], dataset: none, base: none };
    let salts = drawn();
    let inputs = inputs(&run, token, salts);
    run.dataset = inputs.dataset.root();
    let (shapes, base) = {
        let mut context = context(&run, None);
        if saved == Saved::RandomRows {
            context.shapes.state.budget = 1;
        }
        let committer = committer(&context, [0; 32]);
        let layout = Layout::new(&context.first.program);
        (context.shapes, committer.base(&context.first, &layout, &inputs.base).expect("a base").root())
    };
    run.base = base_root(&run.spec, &base);
    let secret = drawn();
    let (mut roots, mut steps, mut release_proof) = (Vec::new(), Vec::new(), None);
    {
        let context = context(&run, Some(shapes));
        let committer = committer(&context, secret);
        let layout = Layout::new(&context.first.program);
        let tree = |step: u64, state: &State| committer.state(&context.first, &layout, step, state).expect("a tree");
        roots.push(context.first_root());
        let mut state = first_state(&context.first, &run.seed);
        let mut twice = None;
        for step in 1..=if matches!(saved, Saved::OnePad | Saved::OpeningPad) { 1 } else { STEPS } {
            let indices = context.rows(step);
            let leaves = inputs.dataset.leaves(&indices);
            let built = context.program(step, &leaves).expect("a program");
            let executed = execute(built, &inputs, step, &indices, &state, 2).expect("a step");
            let after = state_after(&executed);
            let before = *roots.last().expect("a root");
            roots.push(tree(step, &after).root());
            let (program, tensors) = (&executed.built.program, executed.tensors.all());
            // The last step of an honest run is proved twice: an attempt that was given away and another.
            for _ in 0..if saved == Saved::Nothing && step == STEPS { 2 } else { 1 } {
                let mut before_tree = (step > 1).then(|| tree(step - 1, &state));
                let mut after_tree = tree(step, &after);
                let mut transcript = run.step_transcript(step, &leaves, None, &before, &after_tree.root());
                let known = if step == 1 { vec![(STATE_BEFORE_PLACE, &context.first_state)] } else { Vec::new() };
                let mut trees: Vec<(usize, &mut CommittedTree)> = Vec::new();
                trees.extend(before_tree.iter_mut().map(|tree| (STATE_BEFORE_PLACE, tree)));
                trees.push((STATE_AFTER_PLACE, &mut after_tree));
                let (profile, shape) = (&context.profile, shapes.witness);
                let proof = match saved {
                    Saved::Nothing | Saved::RandomRows => {
                        prove_program(program, profile, shape, &tensors, &mut trees, &known, &mut transcript)
                            .expect("a proof")
                    }
                    Saved::OnePad | Saved::OnePadTwice | Saved::OpeningPad => {
                        let argument = Argument::new(program).expect("an argument");
                        let save = |pads: &mut Vec<E>| match saved {
                            Saved::OnePad => pads[0] = E::ZERO,
                            Saved::OnePadTwice => pads[40] = *twice.get_or_insert(pads[40]),
                            _ => {}
                        };
                        let opener = Bare(saved == Saved::OpeningPad);
                        prove_saving(&argument, &context, &tensors, &mut trees, &known, &mut transcript, save, &opener)
                    }
                };
                let bytes = [inputs.dataset.paths(&indices), proof].concat();
                let verified = context.verify_step(step, before, roots[roots.len() - 1], &bytes);
                assert_eq!(verified.is_ok(), saved != Saved::OpeningPad, "{verified:?}");
                steps.push((step, bytes));
            }
            state = after;
        }
        if saved == Saved::Nothing {
            let copies = copies(&context, &state);
            let digest = digest(&context, &copies);
            let program = release::build(&run.spec, &context.first, &copies).expect("a release").program;
            let values: BTreeMap<String, Vec<i64>> = state.iter().map(|(n, v)| (n.clone(), v.to_vec())).collect();
            let tensors = veritune_attacks::setting::execute(&program, &values).expect("a release");
            let argument = Argument::new(&program).expect("an argument");
            let shape = run.witness_shape(&context.profile, &argument).expect("a shape");
            let mut last = tree(STEPS, &state);
            let mut transcript = run.release_transcript(&last.root(), &digest);
            let mut trees = [(STATE_BEFORE_PLACE, &mut last)];
            let tensors = tensors.all();
            let proof = prove_program(&program, &context.profile, shape, &tensors, &mut trees, &[], &mut transcript);
            release_proof = Some((proof.expect("a proof"), digest));
        }
    }
    Certificate { run, shapes, roots, steps, release: release_proof, salts }
}

fn committer<'a>(context: &'a Context<'_>, secret: [u8; 32]) -> Committer<'a> {
    Committer { run: context.run, profile: &context.profile, shapes: context.shapes, secret: secret.into() }
}

/// Opens as it should, but for the first scalar, which may be bare.
struct Bare(bool);

impl Deviation for Bare {
    fn pads(&self, pads: &mut [E]) {
        if self.0 {
            pads[0] = E::ZERO;
        }
    }
}

/// `prove_program` of the product with pads that `save` changes.
#[expect(clippy::too_many_arguments, reason = "a statement, its witness and what is saved")]
fn prove_saving(
    argument: &Argument<'_>,
    context: &Context<'_>,
    tensors: &[&[i64]],
    trees: &mut [(usize, &mut CommittedTree)],
    known: &[(usize, &Known)],
    transcript: &mut Transcript,
    mut save: impl FnMut(&mut Vec<E>),
    opener: &Bare,
) -> Vec<u8> {
    let randomness = Randomness::from_seed(drawn());
    let honest = Pads::draw(&argument.wiring, &randomness);
    let mut pads: Vec<E> = (0..argument.wiring.num_pads).map(|i| honest.pad(i)).collect();
    save(&mut pads);
    let pads = Pads::new(&argument.wiring, pads, honest.pad(argument.wiring.dummy()));
    let counts = multiplicities(argument.program, tensors);
    let mut vector = witness_vector(argument.program, &argument.layout, tensors, &counts);
    vector.extend(pads.slots());
    let mut witness = commit(&context.profile, context.shapes.witness, vector, randomness).expect("it fits");
    absorb_witness(transcript, &witness.root());
    let proof = prove(argument, witness.vector(), tensors, &pads, transcript).expect("a proof");
    let placed: Vec<_> = known.iter().map(|&(place, vector)| (place, Source::Known(vector))).collect();
    let joint = Joint { parts: proof.parts, target: proof.target };
    let target = opening_target(&joint, &placed);
    let mut weights = vec![dense_weights(&joint.parts, 0, witness.vector().len())];
    weights.extend(trees.iter().map(|(place, tree)| dense_weights(&joint.parts, *place, tree.vector().len())));
    let root = witness.root();
    let mut all: Vec<&mut CommittedTree> = vec![&mut witness];
    all.extend(trees.iter_mut().map(|(_, tree)| &mut **tree));
    let opening = open_deviating(&context.profile, &mut all, weights, target, transcript, opener);
    let (opening, _) = opening.expect("an opening");
    [&root.0[..], &proof.scalars, &opening].concat()
}

// -- what the attacker reads -------------------------------------------------------------------------------------------
