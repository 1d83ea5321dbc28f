//! A tiny run: two steps, chained and settled, by a prover that tests can make cheat.

use crate::setting::{Numbers, execute, tiny_spec};
use std::collections::BTreeMap;
use veritune_argument::{ArgumentError, BASE_PLACE, Joint};
use veritune_commit::{Profile, Root, TreeShape};
use veritune_executor::Tensors;
use veritune_field::F;
use veritune_prover::argument::{self, dense_weights, multiplicities, place_vectors, witness_vector};
use veritune_prover::commit::{CommittedTree, Randomness, commit, open};
use veritune_relations::initial::initial_state;
use veritune_relations::layout::Layout;
use veritune_relations::{Place, Program, Spec, TensorId};
use veritune_verifier::proof::{Source, absorb_witness, opening_target};
use veritune_verifier::settlement::{StepClaims, combine};
use veritune_verifier::statement::{BASE_TREE_SEED, Run};
use veritune_verifier::step::{Context, DATASET, STATE_AFTER, STATE_BEFORE};

/// Values by name of the tensor; those of a state by their name in the state before.
pub type Values = BTreeMap<String, Vec<i64>>;

/// A proved run.
#[derive(Debug)]
pub struct TinyRun {
    /// Its statement.
    pub run: Run,
    /// Base and dataset.
    pub inputs: Values,
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

fn spec() -> Spec {
    let mut spec = tiny_spec([8, 2, 2, 1, 4, 16, 30, 2, 8, 1, 4]);
    spec.training.steps = 2;
    spec
}

fn vectors(program: &Program, layout: &Layout, values: &Values) -> [Vec<F>; 5] {
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

fn dataset_tree(run: &Run, inputs: &Values) -> CommittedTree {
    let (profile, program) = (run.profile().expect("a profile"), run.program(1).expect("a program").program);
    let layout = Layout::new(&program);
    let shapes = run.shapes(&profile, &layout).expect("shapes");
    let [_, _, _, vector, _] = vectors(&program, &layout, inputs);
    tree(&profile, shapes.dataset, vector, [100; 32])
}

/// The tree of a base with these values.
pub fn base_tree(run: &Run, inputs: &Values) -> CommittedTree {
    let (profile, program) = (run.profile().expect("a profile"), run.program(1).expect("a program").program);
    let layout = Layout::new(&program);
    let shapes = run.shapes(&profile, &layout).expect("shapes");
    let [.., vector] = vectors(&program, &layout, inputs);
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
pub fn prove_step(context: &Context<'_>, inputs: &Values, step: u64, before: &Values, numbers: [usize; 2]) -> Proof {
    let run = context.run;
    let program = context.program(step).expect("a program").program;
    let layout = Layout::new(&program);
    let mut all = inputs.clone();
    all.extend(before.clone());
    let tensors = execute(&program, &all).expect("a tiny step");
    let mut after = Values::new();
    for (i, tensor) in program.tensors.iter().enumerate().filter(|(_, t)| t.place == Place::StateAfter) {
        after.insert(tensor.name.replacen("state_after.", "state_before.", 1), tensors.get(TensorId(i)).to_vec());
    }
    let mut after_tree = state_tree(context, &after, numbers[1]);
    let mut before_tree = (step != 1).then(|| state_tree(context, before, numbers[0]));
    let before_root = before_tree.as_ref().map_or_else(|| context.first_root(), CommittedTree::root);
    let mut transcript = run.step_transcript(step, &before_root, &after_tree.root());
    let mut dataset = dataset_tree(run, inputs);

    let tensors: Vec<Vec<i64>> = (0..tensors.len()).map(|i| tensors.get(TensorId(i)).to_vec()).collect();
    let counts = multiplicities(&program, &tensors);
    let vector = witness_vector(&program, &layout, &tensors, &counts);
    let mut witness = tree(&context.profile, context.shapes.witness, vector, [200 + step as u8; 32]);
    absorb_witness(&mut transcript, &witness.root());
    let used = layout.used[0];
    let proof = argument::prove(&program, &layout, &witness.vector()[..used], &tensors, &mut transcript);
    let proof = proof.map_err(|e: ArgumentError| e.to_string()).expect("a true witness");
    let joint = Joint { parts: proof.parts, target: proof.target };
    let known_state = vectors(&program, &layout, before)[1].clone();
    let placed = match before_tree {
        None => vec![(STATE_BEFORE, Source::Known(&known_state[..]))],
        Some(_) => Vec::new(),
    };
    let target = opening_target(&joint, &placed);
    let mut weights = proof.weights;
    let mut trees: Vec<(usize, &mut CommittedTree)> = vec![(0, &mut witness)];
    trees.extend(before_tree.iter_mut().map(|t| (STATE_BEFORE, t)));
    trees.push((STATE_AFTER, &mut after_tree));
    trees.push((DATASET, &mut dataset));
    let opened = trees.iter().map(|(place, _)| std::mem::take(&mut weights[*place])).collect();
    let mut trees: Vec<&mut CommittedTree> = trees.into_iter().map(|(_, tree)| tree).collect();
    let opening = open(&context.profile, &mut trees, opened, target, &mut transcript).expect("budgets");
    let mut bytes = witness.root().0.to_vec();
    bytes.extend_from_slice(&proof.scalars);
    bytes.extend_from_slice(&opening);
    Proof { after, after_root: after_tree.root(), bytes }
}

/// Settles claims with the base of these values.
///
/// # Panics
/// Never: one masked tree.
pub fn settle(run: &Run, inputs: &Values, steps: &[StepClaims]) -> Vec<u8> {
    let profile = run.profile().expect("a profile");
    let layout = Layout::new(&run.program(1).expect("a program").program);
    let (joint, mut transcript) = combine(run, steps);
    let mut weights = dense_weights(&layout, &joint.parts);
    let mut base = base_tree(run, inputs);
    let weights = vec![std::mem::take(&mut weights[BASE_PLACE])];
    open(&profile, &mut [&mut base], weights, joint.target, &mut transcript).expect("one masked tree")
}

impl TinyRun {
    /// Trains, proves and settles two steps honestly.
    ///
    /// # Panics
    /// If an honest proof is refused.
    pub fn new() -> Self {
        let none = Root([0; 32]);
        let mut run = Run { spec: spec(), plan_digest: [1; 32], seed: [5; 32], dataset: none, base: none };
        let program = run.program(1).expect("a program").program;
        let mut inputs = Values::new();
        let mut numbers = Numbers(11);
        for (i, tensor) in program.tensors.iter().enumerate() {
            let len: usize = program.shape(TensorId(i)).iter().product();
            let (low, high) = match (tensor.place, tensor.name.as_str()) {
                (Place::Base, "base.embedding") => (-3500, 3500),
                (Place::Base, name) if name.starts_with("base.gain") => (2000, 6000),
                (Place::Base, _) => (-1600, 1600),
                (Place::Dataset, "data.supervised") => (0, 1),
                (Place::Dataset, _) => (0, run.spec.model.vocab as i64 - 1),
                _ => continue,
            };
            inputs.insert(tensor.name.clone(), (0..len).map(|_| numbers.between(low, high)).collect());
        }
        run.dataset = dataset_tree(&run, &inputs).root();
        run.base = base_tree(&run, &inputs).root();
        let (mut states, mut roots, mut proofs, mut claims) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        {
            let context = Context::new(&run).expect("a context");
            states.push(first_state(&context));
            roots.push(context.first_root());
            for step in 1..=2u64 {
                let number = step as usize;
                let proof = prove_step(&context, &inputs, step, &states[number - 1], [number - 1, number]);
                let checked = context.verify_step(step, roots[number - 1], proof.after_root, &proof.bytes);
                let proof_digest = proof_digest(&proof.bytes);
                claims.push(StepClaims { step, proof_digest, claims: checked.expect("an honest step") });
                states.push(proof.after);
                roots.push(proof.after_root);
                proofs.push(proof.bytes);
            }
        }
        let settlement = settle(&run, &inputs, &claims);
        Self { run, inputs, states, roots, proofs, claims, settlement }
    }
}

impl Default for TinyRun {
    fn default() -> Self {
        Self::new()
    }
}

/// A stand-in for the digest of a proof's file: 32 bytes that depend on all of it.
pub fn proof_digest(bytes: &[u8]) -> [u8; 32] {
    let mut transcript = veritune_transcript::Transcript::new(b"proof digest");
    transcript.absorb("bytes", bytes);
    transcript.challenge_bytes("digest")
}
