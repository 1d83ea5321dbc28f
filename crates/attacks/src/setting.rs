//! A tiny step with every feature: all seven targets, grouped heads, two rows, labels that are missing.

use crate::run;
use std::collections::BTreeMap;
use std::sync::Arc;
use veritune_executor::{ExecuteError, Executor, Tensors};
use veritune_relations::scales::Scales;
use veritune_relations::spec::{Decimal, Disclose, Lora, Model, Optimizer, Schedule, Spec, Target, Training};
use veritune_relations::step::{self, Leaf, StepError};
use veritune_relations::{Place, Program, TensorId};
use veritune_run::dataset::{Dataset, NO_LABEL, Rows};

/// Rows that are left of the exponential table: a gap of 16 at eleven fraction bits. The full tables would make each
/// proof many times larger and test nothing else.
const EXPONENTIAL_ROWS: usize = 1 << 15;
/// Rows that are left of the SiLU table, around zero: up to 8 at ten fraction bits.
const SILU_ROWS: usize = 1 << 14;

/// Integers that look random and are the same everywhere (SplitMix64).
#[derive(Debug, Clone)]
pub struct Numbers(pub u64);

impl Numbers {
    /// The next 64 bits.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// Uniform in `low ..= high`.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = (i128::from(high) - i128::from(low) + 1) as u128;
        (i128::from(low) + ((u128::from(self.word()) * span) >> 64) as i128) as i64
    }
}

/// A step, its program and its inputs.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The spec.
    pub spec: Spec,
    /// Optimiser step.
    pub step: u64,
    /// Dataset rows of the step.
    pub rows: Vec<usize>,
    /// The honest program.
    pub program: Program,
    /// The dataset.
    pub dataset: Dataset,
    /// Values of base, state before and batch, by name of the tensor.
    pub inputs: BTreeMap<String, Vec<i64>>,
}

fn decimal(text: &str) -> Decimal {
    Decimal(text.to_owned())
}

/// Lengths: hidden, layers, heads, key heads, head entries, ffn, vocabulary, rank, tokens, rows, dataset rows.
type Lengths = [usize; 11];

/// The spec of a tiny model.
pub fn tiny_spec(lengths: Lengths) -> Spec {
    let [hidden, layers, heads, kv_heads, head_dim, ffn, vocab, r, tokens, rows, dataset_rows] = lengths;
    let weights = ["embedding", "query", "key", "value", "output", "gate", "up", "down"];
    let gains = ["gain_attention", "gain_mlp", "gain_final"];
    let names = weights.iter().chain(&gains);
    let range_bits = 12;
    Spec {
        version: 1,
        model: Model {
            hidden,
            layers,
            heads,
            kv_heads,
            head_dim,
            ffn,
            vocab,
            tied: true,
            qkv_bias: false,
            rms_norm_eps: decimal("1e-5"),
            rope_theta: decimal("10000"),
            base_fraction_bits: names.map(|n| (format!("base.{n}"), 12)).collect(),
            base_bits: 16,
            gain_bits: 14,
        },
        lora: Lora { r, scaling_65536: 3 << 15, targets: Target::ALL.to_vec() },
        training: Training {
            optimizer: Optimizer::AdamW,
            learning_rate: decimal("1e-3"),
            schedule: Schedule::Constant,
            warmup_steps: 0,
            weight_decay: decimal("0.1"),
            adam_beta1: decimal("0.9"),
            adam_beta2: decimal("0.999"),
            adam_epsilon: decimal("1e-8"),
            max_grad_norm: decimal("0.25"),
            rows,
            tokens,
            steps: 5,
        },
        dataset_rows,
        scales: Scales::starting(range_bits),
        range_bits,
        log_rows: 12,
        disclose: Disclose::default(),
    }
}

/// A spec within its ranges whose adapter has two matrices of 256 layers and ranks, with two outputs each:
/// `2^17 (hidden + 2)` entries of four bytes, after a header.
pub fn wide_adapter(hidden: usize) -> Spec {
    let mut spec = run::monotonous(1);
    (spec.model.layers, spec.model.hidden, spec.lora.r) = (256, hidden, 256);
    (spec.model.heads, spec.model.kv_heads, spec.model.head_dim) = (1, 1, 2);
    spec.log_rows = 20;
    spec
}

impl Setting {
    /// No length is a power of two, except where the model wants one.
    ///
    /// # Panics
    /// Never: the spec is a constant.
    pub fn odd() -> Self {
        Self::new(tiny_spec([12, 3, 3, 1, 4, 20, 30, 3, 6, 2, 5]), 3).expect("the tiny spec is valid")
    }

    /// Every length is a power of two: nothing is padded.
    ///
    /// # Panics
    /// Never: the spec is a constant.
    pub fn even() -> Self {
        Self::new(tiny_spec([8, 2, 2, 1, 4, 16, 32, 2, 8, 2, 4]), 2).expect("the tiny spec is valid")
    }

    /// The odd setting with the least limit of a list that its gradients stay below.
    ///
    /// # Panics
    /// Never: the spec is a constant.
    pub fn unclipped() -> Self {
        let limits = ["0.5", "1", "2", "4", "8", "16", "32", "64"];
        let with_limit = |limit: &str| {
            let mut spec = Self::odd().spec;
            spec.training.max_grad_norm = decimal(limit);
            Self::new(spec, 3).expect("the tiny spec is valid")
        };
        let is_below = |setting: &Self| {
            let tensors = setting.execute(&setting.program).expect("the honest step");
            tensors.get(setting.program.find("clip.active").expect("a tensor"))[0] == 0
        };
        limits.into_iter().map(with_limit).find(is_below).expect("a limit above the norm")
    }

    /// The setting of a spec at a step, with random base, state and rows.
    pub fn new(spec: Spec, step: u64) -> Result<Self, StepError> {
        let rows: Vec<usize> = (0..spec.training.rows).map(|i| (2 * i + 1) % spec.dataset_rows).collect();
        let mut numbers = Numbers(7);
        let dataset = random_dataset(&spec, &mut numbers);
        let program = build(&spec, step, &dataset.leaves(&rows))?;
        let mut inputs = random_inputs(&program, &[Place::Base, Place::StateBefore], &mut numbers);
        for tensor in &program.tensors {
            inputs.extend(dataset.input(&tensor.name, &rows).map(|values| (tensor.name.clone(), values)));
        }
        Ok(Self { spec, step, rows, program, dataset, inputs })
    }

    /// The program of another spec, step or rows, with the same short table.
    pub fn rebuilt(&self, change: impl FnOnce(&mut Spec, &mut u64, &mut Vec<usize>)) -> Result<Program, StepError> {
        let (mut spec, mut step, mut rows) = (self.spec.clone(), self.step, self.rows.clone());
        change(&mut spec, &mut step, &mut rows);
        build(&spec, step, &self.dataset.leaves(&rows))
    }

    /// Everything that `program` computes from these inputs.
    ///
    /// # Errors
    /// A value that leaves its range.
    pub fn execute(&self, program: &Program) -> Result<Tensors<i64>, ExecuteError> {
        execute(program, &self.inputs)
    }
}

/// Everything that `program` computes from the inputs.
///
/// # Errors
/// A value that leaves its range, or a missing input.
pub fn execute(program: &Program, inputs: &BTreeMap<String, Vec<i64>>) -> Result<Tensors<i64>, ExecuteError> {
    let mut executor = Executor::<i64>::new(program)?;
    for id in executor.inputs() {
        if let Some(values) = inputs.get(&program.tensor(id).name) {
            executor.set_input(id, values.clone())?;
        }
    }
    executor.run(1)?;
    Ok(executor.into_tensors())
}

fn build(spec: &Spec, step: u64, leaves: &[Leaf]) -> Result<Program, StepError> {
    let mut program = step::build(spec, step, leaves)?.program;
    for table in &mut program.tables {
        let keep = match table.name.as_str() {
            "exponential" => 0..EXPONENTIAL_ROWS,
            "silu" => {
                let middle = table.columns[0].len() / 2;
                middle - SILU_ROWS / 2..middle + SILU_ROWS / 2
            }
            _ => continue,
        };
        Arc::make_mut(&mut table.columns).iter_mut().for_each(|c| *c = c[keep.clone()].to_vec());
    }
    Ok(program)
}

/// Rows of random tokens, one position in four without label.
pub fn random_dataset(spec: &Spec, numbers: &mut Numbers) -> Dataset {
    let count = spec.dataset_rows * spec.training.tokens;
    let mut ids = || -> Vec<i64> { (0..count).map(|_| numbers.between(0, spec.model.vocab as i64 - 1)).collect() };
    let (tokens, mut targets) = (ids(), ids());
    targets.iter_mut().for_each(|t| *t = if numbers.between(0, 3) == 0 { NO_LABEL } else { *t });
    let meta: Vec<[u8; 32]> = (0..spec.dataset_rows).map(|row| [row as u8; 32]).collect();
    let rows = Rows { tokens: &tokens, targets: &targets, meta: &meta };
    Dataset::new(spec, rows, [100; 32]).expect("random rows are the spec's")
}

/// Random values of the tensors of these places that a step can read.
pub fn random_inputs(program: &Program, places: &[Place], numbers: &mut Numbers) -> BTreeMap<String, Vec<i64>> {
    let mut inputs = BTreeMap::new();
    for (i, tensor) in program.tensors.iter().enumerate().filter(|(_, tensor)| places.contains(&tensor.place)) {
        let len: usize = program.shape(TensorId(i)).iter().product();
        let (low, high) = match (tensor.place, tensor.name.as_str()) {
            (Place::Base, "base.embedding") => (-3500, 3500),
            (Place::Base, name) if name.starts_with("base.gain") => (2000, 6000),
            (Place::Base, _) => (-1600, 1600),
            (Place::StateBefore, name) if name.ends_with("master") => (-(3 << 26), 3 << 26),
            // Positive, so that moments can be exchanged without leaving their ranges.
            (Place::StateBefore, name) if name.ends_with("first") => (1 << 21, 1 << 22),
            (Place::StateBefore, _) => (1 << 38, 1 << 43),
            _ => continue,
        };
        inputs.insert(tensor.name.clone(), (0..len).map(|_| numbers.between(low, high)).collect());
    }
    inputs
}
