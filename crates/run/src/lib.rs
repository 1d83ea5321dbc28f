//! Calibrates, trains and proves a run on disk.

pub mod calibrate;
pub mod certificate;
pub mod dataset;
pub mod inputs;
pub mod predict;
pub mod prove;
pub mod session;
pub mod settings;
pub mod store;
pub mod train;

use std::path::PathBuf;

/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The settings do not parse.
    #[error("settings: {0}")]
    Settings(String),
    /// The spec is outside its ranges.
    #[error(transparent)]
    Spec(#[from] veritune_relations::spec::SpecError),
    /// The program cannot be built.
    #[error(transparent)]
    Step(#[from] veritune_relations::step::StepError),
    /// The checkpoint cannot be read.
    #[error(transparent)]
    Model(#[from] veritune_model::ModelError),
    /// A value left its range, or an input is wrong.
    #[error("step {step}: {source}")]
    Execute {
        /// Optimiser step.
        step: u64,
        /// What happened.
        source: Box<veritune_executor::ExecuteError>,
    },
    /// The statement cannot be formed.
    #[error(transparent)]
    Statement(#[from] veritune_verifier::statement::StatementError),
    /// A tree cannot be made or opened.
    #[error("commitment: {0}")]
    Commit(String),
    /// Rows of another shape than the spec's.
    #[error("rows: {0}")]
    Rows(String),
    /// A file of the run.
    #[error("{path}: {reason}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The caller asked to stop.
    #[error("stopped; the run can be continued")]
    Stopped,
}
