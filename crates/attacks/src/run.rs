//! A tiny run: steps, chained, settled and released, by a prover that tests can make cheat.

use crate::setting::{self, Numbers, execute, random_dataset, tiny_spec};
use std::collections::BTreeMap;
use veritune_argument::{Argument, BASE_PLACE, Joint, NUM_PLACES, STATE_AFTER_PLACE, STATE_BEFORE_PLACE};
use veritune_commit::{Profile, Root, TreeShape};
use veritune_executor::Tensors;
use veritune_field::F;
use veritune_prover::argument::{self, Pads, dense_weights, multiplicities, place_vectors, witness_vector};
use veritune_prover::commit::{CommittedTree, Randomness, commit, open};
use veritune_relations::initial::initial_state;
use veritune_relations::layout::Layout;
use veritune_relations::spec::{Optimizer, Target, Visibility};
use veritune_relations::step::{Tables, no_leaves};
use veritune_relations::{Place, Program, Spec, TensorId, release};
use veritune_run::dataset::Dataset;
use veritune_transcript::Transcript;
use veritune_verifier::known::Known;
use veritune_verifier::loss;
use veritune_verifier::proof::{self, Placed, ProofError, Source, absorb_witness, opening_target};
use veritune_verifier::settlement::{StepClaims, combine};
use veritune_verifier::statement::{BASE_TREE_SEED, Run, base_root};
use veritune_verifier::step::Context;

/// Values by name of the tensor; those of a state by their name in the state before.
pub type Values = BTreeMap<String, Vec<i64>>;

/// A proved run.
#[derive(Debug)]
pub struct TinyRun {
    /// Its statement.
    pub run: Run,
    /// The base.
    pub inputs: Values,
    /// The rows.
    pub dataset: Dataset,
    /// The state before step 1, after step 1, after step 2.
    pub states: Vec<Values>,
    /// Their roots.
    pub roots: Vec<Root>,
    /// The proofs of both steps.
    pub proofs: Vec<Vec<u8>>,
    /// Their claims on the base.
    pub claims: Vec<StepClaims>,
    /// The settlement.
    pub settlement: Vec<u8>,
}

/// AdamW with every target; two rows of four are never the same.
pub fn adamw(steps: u64) -> Spec {
    let mut spec = tiny_spec([8, 2, 2, 1, 4, 16, 30, 2, 8, 1, 4]);
    spec.training.steps = steps;
    spec
}

/// The spec with a loss that is public.
pub fn with_loss(mut spec: Spec) -> Spec {
    spec.disclose.loss = Visibility::Public;
    spec
}

/// The same with rows that are public too.
pub fn disclosing(mut spec: Spec) -> Spec {
    spec.disclose.data = Visibility::Public;
    with_loss(spec)
}

/// The same with an adapter that is hidden.
pub fn with_hidden_adapter(mut spec: Spec) -> Spec {
    spec.disclose.adapter = Visibility::Hidden;
    spec
}

/// Plain gradient descent at a constant rate on the one row that there is: the program is the same at every step, so
/// that nothing but the transcript and the chain tells one step from another.
pub fn monotonous(steps: u64) -> Spec {
    let mut spec = tiny_spec([8, 2, 2, 1, 4, 16, 30, 2, 8, 1, 1]);
    spec.training.steps = steps;
    spec.training.optimizer = Optimizer::Sgd;
    spec.lora.targets = vec![Target::Query, Target::Value];
    spec
}

/// The vectors of all places that hold these values, zeros elsewhere.
pub fn vectors(program: &Program, layout: &Layout, values: &Values) -> [Vec<F>; NUM_PLACES] {
    let empty = Tensors::<i64>::empty(program);
    let tensors: Vec<Vec<i64>> = program
        .tensors
        .iter()
        .enumerate()
        .map(|(i, tensor)| {
            let zeros = || vec![0; empty.num_values(TensorId(i))];
            values.get(&tensor.name).cloned().unwrap_or_else(zeros)
        })
        .collect();
    let counts = multiplicities(program, &tensors);
    place_vectors(program, layout, &tensors, &counts)
}

fn tree(profile: &Profile, shape: TreeShape, vector: Vec<F>, seed: [u8; 32]) -> CommittedTree {
    commit(profile, shape, vector, Randomness::from_seed(seed)).expect("a tiny vector fits")
}

/// The tree of a state.
pub fn state_tree(context: &Context<'_>, state: &Values, number: usize) -> CommittedTree {
    let program = &context.first.program;
    let [_, vector, ..] = vectors(program, &Layout::new(program), state);
    tree(&context.profile, context.shapes.state, vector, [number as u8; 32])
}

/// The program of the first step, for its shapes.
fn first_program(run: &Run) -> Program {
    let tables = Tables::new(&run.spec).expect("tables");
    run.program(&tables, 1, &no_leaves(&run.spec)).expect("a program").program
}

/// The tree of a base with these values.
pub fn base_tree(run: &Run, inputs: &Values) -> CommittedTree {
    let (profile, program) = (run.profile().expect("a profile"), first_program(run));
    let argument = Argument::new(&program).expect("an argument");
    let shapes = run.shapes(&profile, &argument).expect("shapes");
    let [.., vector] = vectors(&program, &argument.layout, inputs);
    tree(&profile, shapes.base, vector, BASE_TREE_SEED)
}

/// The public first state.
pub fn first_state(context: &Context<'_>) -> Values {
    let name = |id: TensorId| context.first.program.tensor(id).name.clone();
    initial_state(&context.first, &context.run.seed).into_iter().map(|(id, v)| (name(id), v)).collect()
}

/// A step that a prover executed and proved.
#[derive(Debug)]
pub struct Proof {
    /// The state after.
    pub after: Values,
    /// Its root.
    pub after_root: Root,
    /// The proof.
    pub bytes: Vec<u8>,
}

/// Executes `step` from `before` and proves it: the state before is public to this prover if it has no root.
///
/// # Panics
/// If the step cannot be executed.
pub fn prove_step(
    context: &Context<'_>,
    inputs: &Values,
    dataset: &Dataset,
    step: u64,
    before: &Values,
    numbers: [usize; 2],
) -> Proof {
    let (proof, verdict) = forge_step(context, inputs, dataset, step, before, numbers, |_, _| Vec::new());
    verdict.expect("a true witness");
    proof
}

/// [`prove_step`] by a prover that changes tensors, the checks of the program that it proves, or its outputs, once all are
/// executed; whether what it proves holds is returned. `lie` returns the rows of the range table that are looked up once
/// more than an honest count finds: a field element that is a row, of integers that are none.
///
/// # Panics
/// If the step cannot be executed.
pub fn forge_step(
    context: &Context<'_>,
    inputs: &Values,
    dataset: &Dataset,
    step: u64,
    before: &Values,
    numbers: [usize; 2],
    lie: impl FnOnce(&mut Program, &mut Tensors<i64>) -> Vec<usize>,
) -> (Proof, Result<(), ProofError>) {
    let run = context.run;
    let rows = context.rows(step);
    let leaves = dataset.leaves(&rows);
    let mut program = context.program(step, &leaves).expect("a program").program;
    let mut all = inputs.clone();
    for tensor in &program.tensors {
        all.extend(dataset.input(&tensor.name, &rows).map(|values| (tensor.name.clone(), values)));
    }
    all.extend(before.clone());
    let mut tensors = execute(&program, &all).expect("a tiny step");
    let outputs: Vec<i64> = program.outputs.iter().map(|output| tensors.get(output.tensor)[0]).collect();
    program.publish(outputs);
    let uncounted = lie(&mut program, &mut tensors);
    let loss = program.outputs.first().map(|loss| u32::try_from(loss.value).expect("a loss"));
    let mut after = Values::new();
    for (i, tensor) in program.tensors.iter().enumerate().filter(|(_, t)| t.place == Place::StateAfter) {
        after.insert(tensor.name.replacen("state_after.", "state_before.", 1), tensors.get(TensorId(i)).to_vec());
    }
    let mut after_tree = state_tree(context, &after, numbers[1]);
    let mut before_tree = (step != 1).then(|| state_tree(context, before, numbers[0]));
    let before_root = before_tree.as_ref().map_or_else(|| context.first_root(), CommittedTree::root);
    let mut transcript = run.step_transcript(step, &leaves, loss, &before_root, &after_tree.root());

    let known_state = Known::from(vectors(&program, &Layout::new(&program), before)[1].clone());
    let known = match before_tree {
        None => vec![(STATE_BEFORE_PLACE, Source::Known(&known_state))],
        Some(_) => Vec::new(),
    };
    let mut trees: Vec<(usize, &mut CommittedTree)> = Vec::new();
    trees.extend(before_tree.iter_mut().map(|t| (STATE_BEFORE_PLACE, t)));
    trees.push((STATE_AFTER_PLACE, &mut after_tree));
    let seed = [200 + step as u8; 32];
    let mut bytes = dataset.paths(&rows);
    bytes.extend(loss::to_bytes(loss));
    let shape = context.shapes.witness;
    let (proof, verdict) =
        prove_program(context, &program, shape, &tensors, &uncounted, seed, &mut trees, &known, &mut transcript);
    bytes.extend(proof);
    (Proof { after, after_root: after_tree.root(), bytes }, verdict)
}

/// Proves a program whose trees are committed: witness root, argument, opening.
#[expect(clippy::too_many_arguments, reason = "a statement and its witness")]
fn prove_program(
    context: &Context<'_>,
    program: &Program,
    shape: TreeShape,
    tensors: &Tensors<i64>,
    uncounted: &[usize],
    seed: [u8; 32],
    others: &mut [(usize, &mut CommittedTree)],
    known: &[Placed<'_>],
    transcript: &mut Transcript,
) -> (Vec<u8>, Result<(), ProofError>) {
    let argument = Argument::new(program).expect("an argument");
    let tensors = tensors.all();
    let mut counts = multiplicities(program, &tensors);
    uncounted.iter().for_each(|&row| counts.range[row] += 1);
    let mut verified = transcript.clone();
    let randomness = Randomness::from_seed(seed);
    let pads = Pads::draw(&argument.wiring, &randomness);
    let mut vector = witness_vector(program, &argument.layout, &tensors, &counts);
    vector.extend(pads.slots());
    let mut witness = commit(&context.profile, shape, vector, randomness).expect("a tiny vector fits");
    absorb_witness(transcript, &witness.root());
    let proof = argument::prove(&argument, witness.vector(), &tensors, &pads, transcript).expect("its own scalars");
    let joint = Joint { parts: proof.parts, target: proof.target };
    let target = opening_target(&joint, known);
    let mut placed: Vec<Placed<'_>> = known.to_vec();
    placed.extend(others.iter().map(|(place, tree)| (*place, Source::Tree(tree.shape(), tree.root()))));
    let mut opened = vec![dense_weights(&joint.parts, 0, witness.vector().len())];
    opened.extend(others.iter().map(|(place, tree)| dense_weights(&joint.parts, *place, tree.vector().len())));
    let mut trees: Vec<&mut CommittedTree> = vec![&mut witness];
    trees.extend(others.iter_mut().map(|(_, tree)| &mut **tree));
    let opening = open(&context.profile, &mut trees, opened, target, transcript).expect("budgets");
    let mut bytes = witness.root().0.to_vec();
    bytes.extend_from_slice(&proof.scalars);
    bytes.extend_from_slice(&opening);
    // A prover that masks its scalars sees only here whether what it proved is true.
    let verdict = proof::verify(&argument, &context.profile, shape, &placed, &bytes, &mut verified);
    (bytes, verdict.map(drop))
}

/// The rounded masters of a state, in the order of [`release::matrices`].
///
/// # Panics
/// If the state is not one of the run.
pub fn copies(context: &Context<'_>, state: &Values) -> Vec<Vec<i64>> {
    release::copies(&context.run.spec, &context.first, |name| &state[name]).expect("copies")
}

/// Proves that the copies of a state are those of the adapter file with this digest. `number` is the state's.
///
/// # Panics
/// If the state is out of range.
pub fn prove_release(context: &Context<'_>, state: &Values, number: usize, file_digest: &[u8; 32]) -> Vec<u8> {
    let built = release::build(&context.run.spec, &context.first, &copies(context, state)).expect("a release");
    let tensors = execute(&built.program, state).expect("a release");
    let mut tree = state_tree(context, state, number);
    let argument = Argument::new(&built.program).expect("an argument");
    let shape = context.run.witness_shape(&context.profile, &argument).expect("a shape");
    let mut transcript = context.run.release_transcript(&tree.root(), file_digest);
    let mut others = [(STATE_BEFORE_PLACE, &mut tree)];
    let (bytes, verdict) =
        prove_program(context, &built.program, shape, &tensors, &[], [77; 32], &mut others, &[], &mut transcript);
    verdict.expect("a true witness");
    bytes
}

/// Settles claims with the base of these values.
///
/// # Panics
/// Never: one masked tree.
pub fn settle(run: &Run, inputs: &Values, steps: &[StepClaims]) -> Vec<u8> {
    let profile = run.profile().expect("a profile");
    let (joint, mut transcript) = combine(run, steps);
    let mut base = base_tree(run, inputs);
    let tree = base.root();
    let weights = vec![dense_weights(&joint.parts, BASE_PLACE, base.vector().len())];
    let opening = open(&profile, &mut [&mut base], weights, joint.target, &mut transcript).expect("one masked tree");
    [&tree.0[..], &opening].concat()
}

/// Random base of a spec.
pub fn random_inputs(spec: &Spec) -> Values {
    let none = Root([0; 32]);
    let draft = Run { spec: spec.clone(), plan_digest: [0; 32], seed: [0; 32], dataset: none, base: none };
    setting::random_inputs(&first_program(&draft), &[Place::Base], &mut Numbers(11))
}

impl TinyRun {
    /// Trains, proves and settles two steps honestly.
    ///
    /// # Panics
    /// If an honest proof is refused.
    pub fn new() -> Self {
        Self::of(adamw(2))
    }

    /// The same of a spec.
    ///
    /// # Panics
    /// If an honest proof is refused.
    pub fn of(spec: Spec) -> Self {
        let none = Root([0; 32]);
        let mut run = Run { spec, plan_digest: [1; 32], seed: [5; 32], dataset: none, base: none };
        let inputs = random_inputs(&run.spec);
        let dataset = random_dataset(&run.spec, &mut Numbers(12));
        run.dataset = dataset.root();
        run.base = base_root(&run.spec, &base_tree(&run, &inputs).root());
        Self::prove(run, inputs, dataset)
    }

    /// Trains, proves and settles all steps of a run honestly.
    ///
    /// # Panics
    /// If an honest proof is refused.
    pub fn prove(run: Run, inputs: Values, dataset: Dataset) -> Self {
        let (mut states, mut roots, mut proofs, mut claims) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        {
            let context = Context::new(&run).expect("a context");
            states.push(first_state(&context));
            roots.push(context.first_root());
            for step in 1..=run.spec.training.steps {
                let number = step as usize;
                let proof = prove_step(&context, &inputs, &dataset, step, &states[number - 1], [number - 1, number]);
                let checked = context.verify_step(step, roots[number - 1], proof.after_root, &proof.bytes);
                let file = [&roots[number - 1].0[..], &proof.after_root.0[..], &proof.bytes].concat();
                let proof_digest = *blake3::hash(&file).as_bytes();
                claims.push(StepClaims { step, proof_digest, claims: checked.expect("an honest step").claims });
                states.push(proof.after);
                roots.push(proof.after_root);
                proofs.push(proof.bytes);
            }
        }
        let settlement = settle(&run, &inputs, &claims);
        Self { run, inputs, dataset, states, roots, proofs, claims, settlement }
    }

    /// The file of a step's proof: the roots around it, then the proof.
    pub fn step_file(&self, step: u64) -> Vec<u8> {
        let number = step as usize;
        [&self.roots[number - 1].0[..], &self.roots[number].0[..], &self.proofs[number - 1]].concat()
    }
}

impl Default for TinyRun {
    fn default() -> Self {
        Self::new()
    }
}
