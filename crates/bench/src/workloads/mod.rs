//! The workloads: small programs made by the builder of the training step.
//!
//! A workload is a function of its name alone, so that the process that verifies builds the program itself.

mod adamw;
mod attention;
mod lora;
mod matmul;

use crate::BenchError;
use std::sync::Arc;
use veritune_relations::spec::{Decimal, Optimizer, Schedule, Training};
use veritune_relations::{Program, TensorId};

/// A program with what a benchmark needs beside it.
#[derive(Debug)]
pub struct Workload {
    /// The name that it was built from.
    pub name: String,
    /// What is proved, in a line.
    pub statement: String,
    /// Widths and scales, in a line.
    pub precision: String,
    /// The program. Every input is in the witness or in a state: hidden behind a hiding tree.
    pub program: Program,
    /// Its inputs.
    pub inputs: Vec<Input>,
    /// What a cost per element divides by, if that means something.
    pub elements: Option<usize>,
}

/// An input: uniform integers in `low..=high`, the same for every run.
#[derive(Debug, Clone, Copy)]
pub struct Input {
    /// The tensor.
    pub tensor: TensorId,
    /// Least value.
    pub low: i64,
    /// Greatest value.
    pub high: i64,
}

impl Input {
    /// Uniform in `-2^bits ..= 2^bits - 1`.
    fn signed(tensor: TensorId, bits: u32) -> Self {
        Self { tensor, low: -(1 << bits), high: (1 << bits) - 1 }
    }

    /// The values.
    pub fn values(&self, program: &Program) -> Arc<Vec<i64>> {
        let count: usize = program.shape(self.tensor).iter().product();
        let name = &program.tensor(self.tensor).name;
        let mut reader =
            blake3::Hasher::new_derive_key("veritune benchmark inputs").update(name.as_bytes()).finalize_xof();
        let span = (self.high - self.low + 1) as u128;
        let mut word = [0; 8];
        let mut draw = || {
            reader.fill(&mut word);
            self.low + ((u128::from(u64::from_le_bytes(word)) * span) >> 64) as i64
        };
        Arc::new((0..count).map(|_| draw()).collect())
    }
}

/// Names of the workloads of the published table; the numbers in a name may be others.
pub const NAMES: [&str; 7] =
    ["matmul-64", "matmul-512", "attention-16x64", "lora-sgd-16x64-r4", "adamw-10240", "adamw-102400", "adamw-512000"];

/// Builds the workload of a name.
///
/// # Errors
/// If the name is none, or its sizes give a program that could wrap.
pub fn build(name: &str) -> Result<Workload, BenchError> {
    let unknown = || BenchError::Workload(name.to_owned());
    let number = |text: &str| text.parse::<usize>().ok().filter(|n| (2..=1 << 20).contains(n)).ok_or_else(unknown);
    let pair = |text: &str| -> Result<(usize, usize), BenchError> {
        let (a, b) = text.split_once('x').ok_or_else(unknown)?;
        Ok((number(a)?, number(b)?))
    };
    if let Some(size) = name.strip_prefix("matmul-") {
        matmul::build(name, number(size)?)
    } else if let Some(size) = name.strip_prefix("attention-") {
        let (tokens, width) = pair(size)?;
        attention::build(name, tokens, width)
    } else if let Some(size) = name.strip_prefix("lora-sgd-") {
        let (size, rank) = size.split_once("-r").ok_or_else(unknown)?;
        let (tokens, width) = pair(size)?;
        lora::build(name, tokens, width, number(rank)?)
    } else if let Some(size) = name.strip_prefix("adamw-") {
        adamw::build(name, number(size)?)
    } else {
        Err(unknown())
    }
}

/// The optimiser's settings in workloads and in the small step: those of the demo.
pub fn training(tokens: usize, steps: u64) -> Training {
    let decimal = |text: &str| Decimal(text.to_owned());
    Training {
        optimizer: Optimizer::AdamW,
        learning_rate: decimal("1e-3"),
        schedule: Schedule::Constant,
        warmup_steps: 0,
        weight_decay: decimal("0.01"),
        adam_beta1: decimal("0.9"),
        adam_beta2: decimal("0.999"),
        adam_epsilon: decimal("1e-8"),
        max_grad_norm: decimal("1.0"),
        rows: 1,
        tokens,
        steps,
    }
}
