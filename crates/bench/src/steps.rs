//! Steps of the small model, trained and proved as a run does it: the workload of P5 and of the growth curves.
//!
//! Rows are pieces of a text without padding; neither time nor bytes depend on what they say. A model of fewer layers
//! is the small model cut after them; it does not predict well, which costs nothing here.

use crate::BenchError;
use crate::measure::{peak_mib, processor_time, seconds};
use crate::workloads::training;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;
use veritune_argument::Argument;
use veritune_commit::Root;
use veritune_model::{BaseModel, Checkpoint, DEFAULT_BASE_BITS};
use veritune_relations::program::{AxisId, Index, Operation, Place};
use veritune_relations::scales::Scales;
use veritune_relations::spec::Target;
use veritune_relations::step::{Tables, no_leaves};
use veritune_relations::{Program, Spec};
use veritune_run::dataset::{Dataset, Rows};
use veritune_run::inputs::Inputs;
use veritune_run::prove::{Prover, check_step, step_file};
use veritune_run::settings::Settings;
use veritune_run::store::Store;
use veritune_run::train::Committer;
use veritune_run::{calibrate, train};
use veritune_verifier::ledger::run_ledger;
use veritune_verifier::statement::{Run, StatementError, base_root};
use veritune_verifier::step::Context;

/// Width of the range table, as in the demo.
const RANGE_BITS: u32 = 18;
/// Rows of the dataset.
const ROWS: usize = 32;
/// Tokens that calibration looks at, in steps of one row: 32 rows of the demo's length, as a plan does. Longer rows
/// need fewer of them.
const CALIBRATION_TOKENS: usize = 32 * 64;

/// Which steps to prove.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// Tokens of a row; one row a step.
    pub tokens: usize,
    /// Layers of the model, at most as many as the checkpoint has.
    pub layers: usize,
    /// LoRA rank.
    pub rank: usize,
    /// Whether all seven linear layers have an adapter, or query and value.
    pub all_targets: bool,
    /// Steps of the run.
    pub steps: u64,
}

/// What the steps cost.
#[derive(Debug, Clone, Serialize)]
pub struct Steps {
    /// Their size.
    pub size: Size,
    /// Entries of all adapter matrices: what is trained.
    pub trained_parameters: usize,
    /// Multiply-adds of the step's training arithmetic, see [`multiply_adds`].
    pub multiply_adds: u64,
    /// Slots of a step's witness in use.
    pub witness_slots: usize,
    /// Calibration, hashing of the rows, commitment to the base.
    pub setup_seconds: f64,
    /// Training of all steps, which is not part of proving.
    pub train_seconds: f64,
    /// Per step: execution, commitments, argument, opening, writing.
    pub prove_seconds: Vec<f64>,
    /// Processor time of the same.
    pub prove_processor_seconds: Vec<f64>,
    /// Peak of the whole process.
    pub peak_mib: Option<f64>,
}

/// What verifying the steps showed.
#[derive(Debug, Clone, Serialize)]
pub struct VerifiedSteps {
    /// Program, tables and shapes of the run: once.
    pub setup_seconds: f64,
    /// Per step.
    pub verify_seconds: Vec<f64>,
    /// Per step, counted in its file.
    pub proof_bytes: Vec<u64>,
    /// Bits of the run's ledger.
    pub security_bits: u32,
    /// Proofs that the ledger's union bound runs over.
    pub max_proofs: u64,
    /// Whether every tree of a step is hiding.
    pub hiding_commitments: bool,
    /// Whether the proofs' scalars are masked.
    pub masked_transcript: bool,
    /// Peak of the whole process.
    pub peak_mib: Option<f64>,
}

/// The public part of a run, as it passes between the two processes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    spec: Spec,
    seed: [u8; 32],
    dataset: [u8; 32],
    base: [u8; 32],
}

impl Told {
    fn run(self) -> Run {
        let (dataset, base) = (Root(self.dataset), Root(self.base));
        Run { spec: self.spec, plan_digest: [0; 32], seed: self.seed, dataset, base }
    }
}

/// The first `layers` layers of a base.
fn cut(mut base: BaseModel, layers: usize) -> Result<BaseModel, BenchError> {
    let all = base.config.num_hidden_layers;
    if !(1..=all).contains(&layers) {
        return Err(BenchError::Workload(format!("{layers} layers of a model with {all}")));
    }
    for tensor in &mut base.tensors {
        let stacked = !matches!(tensor.name, "base.embedding" | "base.head" | "base.gain_final");
        if stacked {
            tensor.values.truncate(tensor.values.len() / all * layers);
            tensor.shape[0] = layers;
        }
    }
    base.config.num_hidden_layers = layers;
    Ok(base)
}

fn settings(size: &Size) -> Result<Settings, BenchError> {
    let targets = if size.all_targets { Target::ALL.to_vec() } else { vec![Target::Query, Target::Value] };
    let modules: Vec<&str> = targets.iter().map(|t| t.module()).collect();
    let t = training(size.tokens, size.steps);
    let json = serde_json::json!({
        "lora": {"r": size.rank, "lora_alpha": 16, "target_modules": modules, "use_rslora": false,
                 "init_lora_weights": true},
        "train": {"optimizer": t.optimizer, "learning_rate": t.learning_rate, "lr_scheduler_type": t.schedule,
                  "warmup_steps": t.warmup_steps, "weight_decay": t.weight_decay, "adam_beta1": t.adam_beta1,
                  "adam_beta2": t.adam_beta2, "adam_epsilon": t.adam_epsilon, "max_grad_norm": t.max_grad_norm,
                  "per_device_train_batch_size": t.rows, "gradient_accumulation_steps": 1,
                  "max_steps": size.steps, "seed_rule": "plan-beacon/v1"},
        "data": {"max_length": size.tokens, "bucket": size.tokens},
        "proof": {"range_bits": RANGE_BITS, "steps_per_proof": 1, "profile": "v1"},
    });
    Ok(Settings::parse(&json.to_string())?)
}

/// Rows from a file of tokens (i64 LE): consecutive pieces of `tokens + 1`, of which the first is read and the last
/// predicted. Returns tokens and targets.
fn rows(file: &Path, tokens: usize) -> Result<(Vec<i64>, Vec<i64>), BenchError> {
    let bytes = fs::read(file)?;
    let text: Vec<i64> = bytes.as_chunks::<8>().0.iter().map(|word| i64::from_le_bytes(*word)).collect();
    let needed = ROWS * (tokens + 1);
    if text.len() < needed {
        let (file, found) = (file.display(), text.len());
        return Err(BenchError::Workload(format!("{file}: {found} tokens, {ROWS} rows need {needed}")));
    }
    let columns =
        |from: usize| text.chunks(tokens + 1).take(ROWS).flat_map(move |row| row[from..from + tokens].to_vec());
    Ok((columns(0).collect(), columns(1).collect()))
}

/// Multiply-adds of the matrix products of a program's forward and backward pass: for every product of two or more
/// stored tensors that is summed over some axis, one per term of every sum.
///
/// Elementwise products, table look-ups and the selection of embeddings are not counted.
pub fn multiply_adds(program: &Program) -> u64 {
    let one_hot = |view: &veritune_relations::View| program.one_hot(view.tensor).is_some();
    let mut total = 0u64;
    for step in &program.steps {
        let Operation::Rescale { axes, accumulator, .. } = &step.operation else { continue };
        for term in accumulator {
            let stored = term.factors.iter().filter(|v| program.tensor(v.tensor).place != Place::Public).count();
            if stored < 2 || term.factors.iter().any(one_hot) {
                continue;
            }
            let mut all: Vec<AxisId> = axes.clone();
            for index in term.factors.iter().flat_map(|view| &view.index) {
                if let Index::Axis(axis) | Index::Shifted(axis, _) = *index
                    && !all.contains(&axis)
                {
                    all.push(axis);
                }
            }
            if all.len() > axes.len() {
                total += all.iter().map(|&a| program.axis(a).len as u64).product::<u64>();
            }
        }
    }
    total
}

/// Trains and proves a run in `folder`, which must be new; `text` are tokens, see [`rows`].
pub fn prove(model: &Path, text: &Path, folder: &Path, size: &Size, threads: usize) -> Result<Steps, BenchError> {
    let base = cut(BaseModel::build(&Checkpoint::open(model)?, DEFAULT_BASE_BITS)?, size.layers)?;
    let settings = settings(size)?;
    let (prepared, setup_seconds) = seconds(|| -> Result<_, BenchError> {
        let spec = settings.spec(&base, Scales::starting(RANGE_BITS), ROWS)?;
        let (tokens, targets) = rows(text, size.tokens)?;
        let rows = Rows { tokens: &tokens, targets: &targets, meta: &[[0; 32]; ROWS] };
        let store = Store::open(folder)?;
        let inputs = Inputs::new(&base, Dataset::new(&spec, rows, store.secret()?)?);
        let steps = (CALIBRATION_TOKENS / size.tokens).clamp(8, ROWS) as u64;
        let maxima = calibrate::maxima(&spec, &inputs, &[9; 32], steps, threads, |_| true)?;
        let calibrated = Spec { scales: Scales::calibrated(&maxima, RANGE_BITS), ..spec };
        let spec = settings.spec(&base, calibrate::fitted(calibrated)?.scales, ROWS)?;
        let none = Root([0; 32]);
        let mut run = Run { spec, plan_digest: [0; 32], seed: [5; 32], dataset: none, base: none };
        let profile = run.profile()?;
        let first = run.program(&Tables::new(&run.spec)?, 1, &no_leaves(&run.spec))?;
        let argument = Argument::new(&first.program).map_err(StatementError::from)?;
        let layout = &argument.layout;
        let shapes = run.shapes(&profile, &argument)?;
        let committer = Committer { run: &run, profile: &profile, shapes, secret: store.secret()? };
        let base = committer.base(&first, layout, &inputs.base)?.root();
        run.dataset = inputs.dataset.root();
        run.base = base_root(&run.spec, &base);
        Ok((run, inputs, store, profile))
    });
    let (run, inputs, store, profile) = prepared?;
    let told = Told { spec: run.spec.clone(), seed: run.seed, dataset: run.dataset.0, base: run.base.0 };
    fs::write(folder.join("run.json"), serde_json::to_vec(&told)?)?;
    let (trained, train_seconds) = seconds(|| train::train(&run, &inputs, &store, threads, |_, _| true));
    trained?;
    let mut prover = Prover::new(&run, &profile, &inputs, &store, threads)?;
    let program = &prover.context().first.program;
    let adapters = prover.context().first.adapters.values().flat_map(|a| [&a.a, &a.b]);
    let trained_parameters = adapters.map(|m| program.shape(m.copy).iter().product::<usize>()).sum();
    let (multiply_adds, witness_slots) =
        (multiply_adds(program), Argument::new(program).map_err(StatementError::from)?.witness_slots());
    let (mut prove_seconds, mut prove_processor_seconds) = (Vec::new(), Vec::new());
    for step in 1..=size.steps {
        let processor = processor_time();
        let (proof, elapsed) = seconds(|| prover.prove_step(step));
        proof?;
        prove_seconds.push(elapsed);
        prove_processor_seconds.push((processor_time() - processor).as_secs_f64());
    }
    Ok(Steps {
        size: size.clone(),
        trained_parameters,
        multiply_adds,
        witness_slots,
        setup_seconds,
        train_seconds,
        prove_seconds,
        prove_processor_seconds,
        peak_mib: peak_mib(),
    })
}

/// Verifies every step of the folder: each from the state that the one before left.
///
/// The settlement of the claims on the base is not part of a step and not measured here.
pub fn verify(folder: &Path) -> Result<VerifiedSteps, BenchError> {
    let told: Told = serde_json::from_slice(&fs::read(folder.join("run.json"))?)?;
    let run = told.run();
    let (context, setup_seconds) = seconds(|| Context::new(&run));
    let context = context?;
    let (mut verify_seconds, mut proof_bytes) = (Vec::new(), Vec::new());
    let mut last = context.first_root().0.to_vec();
    for step in 1..=run.spec.training.steps {
        let bytes = fs::read(folder.join(step_file(step)))?;
        if bytes.get(..32) != Some(&last) {
            return Err(BenchError::Refused(format!("step {step} does not start where the one before ended")));
        }
        let (claims, elapsed) = seconds(|| check_step(&context, step, &bytes));
        claims.ok_or_else(|| BenchError::Refused(format!("step {step}")))?;
        last = bytes.get(32..64).unwrap_or_default().to_vec();
        verify_seconds.push(elapsed);
        proof_bytes.push(bytes.len() as u64);
    }
    let ledger = run_ledger(&context)?;
    let shapes = [context.shapes.witness, context.shapes.state];
    Ok(VerifiedSteps {
        setup_seconds,
        verify_seconds,
        proof_bytes,
        security_bits: ledger.total_bits().0 / 1000,
        max_proofs: ledger.max_proofs(),
        hiding_commitments: shapes.iter().all(|shape| shape.tail_rows(&context.profile) > 0),
        // What was verified is a masked argument: the verifier reads no other.
        masked_transcript: true,
        peak_mib: peak_mib(),
    })
}
