//! Workloads of the benchmarks, proved and verified by the code of a real step.
//!
//! `prove` and `verify` run in two processes: what passes between them is a folder with the proof's bytes and a
//! statement, and the verifier builds program, shapes and ledger itself. `scripts/benchmarks` runs both and writes
//! docs/benchmarks. Nothing depends on this crate.

pub mod measure;
pub mod proof;
pub mod statement;
pub mod steps;
pub mod workloads;

/// Why a benchmark does not run.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// No such workload.
    #[error("{0}: unknown workload; see `veritune-bench list`")]
    Workload(String),
    /// The program cannot be built.
    #[error(transparent)]
    Program(#[from] veritune_relations::ProgramError),
    /// The step's program cannot be built.
    #[error(transparent)]
    Step(#[from] veritune_relations::step::StepError),
    /// The statement cannot be formed.
    #[error(transparent)]
    Statement(#[from] veritune_verifier::statement::StatementError),
    /// Inputs that leave their ranges.
    #[error(transparent)]
    Execute(#[from] veritune_executor::ExecuteError),
    /// The prover fails.
    #[error(transparent)]
    Run(#[from] veritune_run::RunError),
    /// A state does not fit its tree.
    #[error(transparent)]
    Shape(#[from] veritune_commit::ShapeError),
    /// The model cannot be read.
    #[error(transparent)]
    Model(#[from] veritune_model::ModelError),
    /// The verifier refuses the proof.
    #[error("the proof is refused: {0}")]
    Refused(String),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// A file is not what this program writes.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}
