//! Trains: executes every step exactly and commits to the state after it.

use crate::RunError;
use crate::inputs::{Inputs, Named, name_before, tensors_of};
use crate::store::{self, Store};
use std::sync::Arc;
use veritune_argument::Argument;
use veritune_commit::{Profile, Root};
use veritune_executor::{Executor, Tensors};
use veritune_field::{F, f_to_bytes};
use veritune_prover::argument::place_vector;
use veritune_prover::commit::{CommittedTree, Randomness, commit};
use veritune_relations::initial::initial_state;
use veritune_relations::layout::{Layout, place_index};
use veritune_relations::step::{LOSS_BITS, StepProgram, Tables, no_leaves};
use veritune_relations::{Place, Program, Tensor, TensorId};
use veritune_verifier::statement::{Run, Shapes, StatementError};
use zeroize::{Zeroize, Zeroizing};

/// State values by name in the state before.
pub type State = Named;

/// A step that was executed.
pub struct Executed {
    /// Its program.
    pub built: StepProgram,
    /// Every tensor.
    pub tensors: Tensors<i64>,
}

/// Executes a step's program on rows of the dataset, from the state before it.
pub fn execute(
    built: StepProgram,
    inputs: &Inputs,
    step: u64,
    rows: &[usize],
    state: &State,
    threads: usize,
) -> Result<Executed, RunError> {
    // A maker looks a row up in the files, whatever the order of the leaves.
    let failed = |source| RunError::Execute { step, rows: inputs.dataset.file_rows(rows), source: Box::new(source) };
    let tensors = {
        let mut executor = Executor::<i64>::new(&built.program).map_err(failed)?;
        inputs.set(&mut executor, &built.program, state, rows).map_err(failed)?;
        executor.run(threads).map_err(failed)?;
        executor.into_tensors()
    };
    Ok(Executed { built, tensors })
}

/// The state after an executed step, by name in the state before of the next.
pub fn state_after(executed: &Executed) -> State {
    let program = &executed.built.program;
    tensors_of(program, Place::StateAfter)
        .into_iter()
        .map(|id| (name_before(&program.tensor(id).name), executed.tensors.shared(id)))
        .collect()
}

/// The state before the first step.
pub fn first_state(built: &StepProgram, seed: &[u8; 32]) -> State {
    let name = |id: TensorId| built.program.tensor(id).name.clone();
    initial_state(built, seed).into_iter().map(|(id, values)| (name(id), Arc::new(values))).collect()
}

/// The vector of a place, of values by name; a tensor that is not among them is zero.
pub fn named_vector(program: &Program, layout: &Layout, place: Place, values: &Named) -> Vec<F> {
    let of = |tensor: &Tensor| match values.get(&tensor.name) {
        Some(values) if tensor.place == place => values.as_slice(),
        _ => &[],
    };
    let tensors: Vec<&[i64]> = program.tensors.iter().map(of).collect();
    place_index(place).map_or_else(Vec::new, |place| place_vector(program, layout, &tensors, place))
}

/// Entries of a state that are hashed at a time.
const HASHED: usize = 1 << 12;

/// Commits to the states and the base of one run.
pub struct Committer<'a> {
    /// The run.
    pub run: &'a Run,
    /// Profile.
    pub profile: &'a Profile,
    /// Shapes.
    pub shapes: Shapes,
    /// The run's secret.
    pub secret: Zeroizing<[u8; 32]>,
}

impl Committer<'_> {
    /// Randomness of a state's tree, the same for every attempt. It covers the vector, whatever the files of a run say that it
    /// is, and the tree's parameters: random rows and salts that serve two trees hide neither.
    fn derived(&self, step: u64, vector: &[F]) -> Zeroizing<[u8; 32]> {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(b"state tree");
        hasher.update(&self.run.plan_digest);
        hasher.update(&step.to_le_bytes());
        let profile = self.profile.id();
        hasher.update(&(profile.len() as u64).to_le_bytes());
        hasher.update(profile.as_bytes());
        hasher.update(&self.shapes.state.to_bytes());
        for piece in vector.chunks(HASHED) {
            let bytes: Zeroizing<Vec<u8>> = Zeroizing::new(piece.iter().flat_map(|&x| f_to_bytes(x)).collect());
            hasher.update(&bytes);
        }
        let mut derived = hasher.finalize();
        let seed = Zeroizing::new(*derived.as_bytes());
        hasher.zeroize();
        derived.zeroize();
        seed
    }

    /// The tree of the state after `step`, which is at least 1: the first state is public and has no tree.
    pub fn state(
        &self,
        built: &StepProgram,
        layout: &Layout,
        step: u64,
        state: &State,
    ) -> Result<CommittedTree, RunError> {
        let vector = named_vector(&built.program, layout, Place::StateBefore, state);
        let seed = self.derived(step, &vector);
        commit(self.profile, self.shapes.state, vector, Randomness::from_seed(*seed))
            .map_err(|e| RunError::Commit(e.to_string()))
    }

    /// The tree of the base, whose integers must lie in the widths that the program declares: no proof shows it.
    pub fn base(&self, built: &StepProgram, layout: &Layout, base: &Named) -> Result<CommittedTree, RunError> {
        for id in tensors_of(&built.program, Place::Base) {
            let tensor = built.program.tensor(id);
            let allowed = tensor.range;
            let values = base.get(&tensor.name).map_or(&[][..], |values| values);
            let is_outside = |&(_, value): &(usize, &i64)| !(allowed.min()..=allowed.max()).contains(value);
            if let Some((index, &value)) = values.iter().enumerate().find(is_outside) {
                return Err(RunError::BaseWidth { tensor: tensor.name.clone(), index, value, allowed });
            }
        }
        let vector = named_vector(&built.program, layout, Place::Base, base);
        let seed = veritune_verifier::statement::BASE_TREE_SEED;
        commit(self.profile, self.shapes.base, vector, Randomness::from_seed(seed))
            .map_err(|e| RunError::Commit(e.to_string()))
    }
}

/// States the outputs of an executed step's program, of which the mean loss is the only one; returns it if it is.
pub fn publish_loss(executed: &mut Executed) -> Option<u32> {
    let program = &mut executed.built.program;
    let value = |tensor: TensorId| executed.tensors.get(tensor).first().copied().unwrap_or_default();
    let values: Vec<i64> = program.outputs.iter().map(|output| value(output.tensor)).collect();
    program.publish(values);
    program.outputs.first().and_then(|loss| u32::try_from(loss.value).ok())
}

/// Mean loss of an executed step in nats: the program's own integer, as a real number.
pub fn loss(executed: &Executed) -> f64 {
    let loss = executed.built.program.find("loss").and_then(|id| executed.tensors.get(id).first());
    loss.map_or(f64::NAN, |&x| x as f64 / f64::from(1u32 << LOSS_BITS))
}

/// Trains all steps of the run, or those that are missing. `progress` gets step and loss, and returns whether to go on.
pub fn train(
    run: &Run,
    inputs: &Inputs,
    store: &Store,
    threads: usize,
    mut progress: impl FnMut(u64, f64) -> bool,
) -> Result<Vec<Root>, RunError> {
    let profile = run.profile()?;
    let tables = Tables::new(&run.spec)?;
    let first = run.program(&tables, 1, &no_leaves(&run.spec))?;
    let argument = Argument::new(&first.program).map_err(StatementError::from)?;
    let layout = &argument.layout;
    let shapes = run.shapes(&profile, &argument)?;
    let committer = Committer { run, profile: &profile, shapes, secret: store.secret()? };
    let ids = tensors_of(&first.program, Place::StateBefore);
    let lens: Vec<usize> = ids.iter().map(|&id| first.program.shape(id).iter().product()).collect();
    let names: Vec<String> = ids.iter().map(|&id| first.program.tensor(id).name.clone()).collect();
    let save = |step: u64, state: &State| -> Result<(), RunError> {
        let values: Vec<&[i64]> = names.iter().filter_map(|n| state.get(n).map(|v| v.as_slice())).collect();
        store.save_state(step, &values)?;
        let root =
            if step == 0 { run.first_state_digest() } else { committer.state(&first, layout, step, state)?.root().0 };
        store.save_root(step, &root)
    };
    let (mut done, mut state) = match store.last_step()? {
        Some(step) => (step, names.iter().cloned().zip(store.load_state(step, &lens)?).collect()),
        None => {
            let state = first_state(&first, &run.seed);
            save(0, &state)?;
            (0, state)
        }
    };
    let mut sampler = run.sampler();
    while done < run.spec.training.steps {
        // The leaves say nothing of the values: only the proof reads them.
        let built = run.program(&tables, done + 1, &no_leaves(&run.spec))?;
        let executed = execute(built, inputs, done + 1, &sampler.rows(done + 1), &state, threads)?;
        state = state_after(&executed);
        done += 1;
        let rest = (run.spec.training.steps - done) * store::state_bytes(&lens);
        save(done, &state).map_err(|error| error.with_rest(|_| rest))?;
        if !progress(done, loss(&executed)) {
            return Err(RunError::Stopped);
        }
    }
    (0..=run.spec.training.steps).map(|step| Ok(Root(store.root(step)?))).collect()
}

/// The state after a step, from the run directory.
pub fn load_state(store: &Store, program: &Program, step: u64) -> Result<State, RunError> {
    let ids = tensors_of(program, Place::StateBefore);
    let lens: Vec<usize> = ids.iter().map(|&id| program.shape(id).iter().product()).collect();
    let values = store.load_state(step, &lens)?;
    Ok(ids.iter().map(|&id| program.tensor(id).name.clone()).zip(values).collect())
}
