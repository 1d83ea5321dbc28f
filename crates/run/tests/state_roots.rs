//! The state roots of a short run are the same for any number of threads and in every build.
//!
//! `vectors/state_roots.json` holds them; `make test-portable` runs this test in builds for AVX2 and for AVX-512.

use std::path::Path;
use veritune_argument::Argument;
use veritune_commit::{Profile, Root, TreeShape};
use veritune_model::{BaseModel, Checkpoint, DEFAULT_BASE_BITS};
use veritune_prover::commit::CommittedTree;
use veritune_relations::scales::Scales;
use veritune_relations::step::{Tables, no_leaves};
use veritune_run::dataset::{Dataset, Rows};
use veritune_run::inputs::Inputs;
use veritune_run::settings::Settings;
use veritune_run::train;
use veritune_run::train::{Committer, State};
use veritune_verifier::statement::{Run, STATE_BUDGET, Shapes};

const ROWS: i64 = 6;
const SETTINGS: &str = r#"{"lora":{"r":4,"lora_alpha":8,"target_modules":["q_proj","k_proj","v_proj","o_proj","gate_proj","up_proj",
"down_proj"],"use_rslora":false,"init_lora_weights":true},
"train":{"optimizer":"adamw","learning_rate":"2e-3","lr_scheduler_type":"cosine","warmup_steps":1,"weight_decay":"0.01",
"adam_beta1":"0.9","adam_beta2":"0.999","adam_epsilon":"1e-8","max_grad_norm":"0.5","per_device_train_batch_size":2,
"gradient_accumulation_steps":1,"max_steps":4,"seed_rule":"plan-beacon/v1"},
"data":{"max_length":16,"bucket":16},"proof":{"range_bits":18,"steps_per_proof":1,"profile":"v1"}}"#;

/// Trains a short run and shows every state with its step and what commits to it. The scales are the table's, not
/// calibrated: a calibration is in floating point and may differ between builds; a plan pins what it gave.
fn train_all(threads: usize, mut show: impl FnMut(u64, &State, &dyn Fn(&State, u32) -> CommittedTree)) -> Run {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/small");
    let base = BaseModel::build(&Checkpoint::open(&model).unwrap(), DEFAULT_BASE_BITS).unwrap();
    let tokens: Vec<i64> = (0..ROWS * 16).map(|i| (i * i * 31 + i * 7) % 2048).collect();
    let label = |i: usize| if i % 16 < 4 { -100 } else { tokens[(i + 1) % tokens.len()] };
    let targets: Vec<i64> = (0..tokens.len()).map(label).collect();
    let spec = Settings::parse(SETTINGS).unwrap().spec(&base, Scales::starting(18), ROWS as usize).unwrap();
    let rows = Rows { tokens: &tokens, targets: &targets, meta: &vec![[0; 32]; ROWS as usize] };
    let inputs = Inputs::new(&base, Dataset::new(&spec, rows, [3; 32]).unwrap());
    let zero = Root([0; 32]);
    let run = Run { spec, plan_digest: [1; 32], seed: [5; 32], dataset: zero, base: zero };
    let profile = run.profile().unwrap();
    let tables = Tables::new(&run.spec).unwrap();
    let program = |step| run.program(&tables, step, &no_leaves(&run.spec)).unwrap();
    let first = program(1);
    let argument = Argument::new(&first.program).unwrap();
    let layout = &argument.layout;
    let shapes = run.shapes(&profile, &argument).unwrap();
    let mut state = train::first_state(&first, &run.seed);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let mut sampler = run.sampler();
    for step in 1..=run.spec.training.steps {
        let executed = train::execute(program(step), &inputs, step, &sampler.rows(step), &state, threads).unwrap();
        state = train::state_after(&executed);
        show(step, &state, &|state, budget| {
            let shapes = Shapes { state: TreeShape { budget, ..shapes.state }, ..shapes };
            let committer = Committer { run: &run, profile: &profile, shapes, secret: [7; 32].into() };
            pool.install(|| committer.state(&first, layout, step, state)).unwrap()
        });
    }
    run
}

/// The state roots after every step, in hexadecimal.
fn state_roots(threads: usize) -> Vec<String> {
    let mut oracles = Vec::new();
    let run = train_all(threads, |step, state, commit| oracles.push((step, commit(state, STATE_BUDGET).root())));
    oracles.iter().map(|(step, oracle)| Root(run.state_root(*step, oracle)).to_string()).collect()
}

#[test]
fn another_state_in_the_place_of_a_step_s_has_other_random_rows() {
    let mut compared = 0;
    train_all(1, |_, state, commit| {
        let mut other = state.clone();
        let values = other.values_mut().next().unwrap();
        let mut changed = values.to_vec();
        changed[0] += 1;
        *values = changed.into();
        let [one, again, another] = [state, state, &other].map(|state| commit(state, STATE_BUDGET));
        assert_eq!(one.root(), again.root());
        // Random rows are the last ones; what is before them differs in one entry.
        let (one, another) = (one.vector(), another.vector());
        let same = one.iter().zip(another).rev().take_while(|(a, b)| a == b).count();
        assert_eq!(same, 0, "of {} entries", one.len());
        compared += 1;
    });
    assert_eq!(compared, 4);
}

/// Rows of two trees that come from one stream would be opened past both budgets together.
#[test]
fn another_shape_of_a_state_s_tree_has_other_random_rows() {
    let mut compared = 0;
    train_all(1, |_, state, commit| {
        let fewer = commit(state, STATE_BUDGET - 1);
        let random = |tree: &CommittedTree| -> Vec<_> {
            let rows = fewer.shape().tail_rows(&Profile::new(fewer.shape().log_rows).unwrap()) as usize;
            tree.vector().iter().rev().take(rows * tree.shape().num_columns()).copied().collect()
        };
        let (one, another) = (random(&commit(state, STATE_BUDGET)), random(&fewer));
        assert!(one.len() > 1000 && another.iter().all(|entry| !one.contains(entry)));
        compared += 1;
    });
    assert_eq!(compared, 4);
}

#[test]
fn roots_do_not_depend_on_the_number_of_threads() {
    let one = state_roots(1);
    assert_eq!(one, state_roots(2));
    assert!(one.windows(2).all(|pair| pair[0] != pair[1]), "a step changed nothing: {one:?}");
}

#[test]
fn roots_are_those_of_every_build() {
    let expected: Vec<String> = serde_json::from_str(include_str!("vectors/state_roots.json")).unwrap();
    let found = state_roots(2);
    assert_eq!(found, expected, "found {}", serde_json::to_string_pretty(&found).unwrap());
}
