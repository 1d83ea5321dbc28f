//! Why a run cannot go on: one code each, where it happened, and the verdict of the command.

use crate::codes;
use std::path::{Path, PathBuf};
use veritune_envelope::{Refusal, Verdict};
use veritune_executor::ExecuteError;
use veritune_relations::Range;

/// Why a run cannot go on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RunError {
    /// The settings do not parse.
    #[error("{0}")]
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
    /// An integer of the base is wider than the spec says; every width of the program counts on it.
    #[error(
        "{tensor} holds {value} at position {index}, its declared width of {} bits holds {} to {}",
        .allowed.bits, .allowed.min(), .allowed.max()
    )]
    BaseWidth {
        /// The tensor.
        tensor: String,
        /// Row-major position of the first such integer.
        index: usize,
        /// The integer.
        value: i64,
        /// The declared width.
        allowed: Range,
    },
    /// A value left its range, or an input is wrong.
    #[error("{source}")]
    Execute {
        /// Optimiser step.
        step: u64,
        /// Rows of the files that the step reads, from 0; empty if it reads none.
        rows: Vec<usize>,
        /// What happened.
        source: Box<ExecuteError>,
    },
    /// The statement cannot be formed.
    #[error(transparent)]
    Statement(#[from] veritune_verifier::statement::StatementError),
    /// A tree cannot be made or opened.
    #[error("{0}")]
    Commit(String),
    /// Rows of another shape than the spec's.
    #[error("{0}")]
    Rows(String),
    /// A file of the run.
    #[error("{reason}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file of the run does not fit on the disk, in the quota or under the limit of file sizes.
    #[error("{reason}: this file takes {needed_bytes} bytes, the rest of the run {rest_bytes} more")]
    NoSpace {
        /// Which file.
        path: PathBuf,
        /// The operating system's word for it.
        reason: String,
        /// Bytes of the file.
        needed_bytes: u64,
        /// Bytes that the same command has still to write after it, at least.
        rest_bytes: u64,
    },
    /// A tree was opened as often as its random rows allow.
    #[error("the commitment {root} was opened {spent} times, its budget; one more would give its entries away")]
    BudgetSpent {
        /// Name of the tree: `state 12`.
        tree: String,
        /// Its root, hex.
        root: String,
        /// Openings made.
        spent: u32,
    },
    /// A proof that was made does not verify. It was not written.
    #[error("{} does not verify; nothing was written", match .step {
        Some(step) => format!("our own proof of step {step}"),
        None => "our own proof of the release".to_owned(),
    })]
    Unverified {
        /// Which step; none for the release.
        step: Option<u64>,
    },
    /// Another process has the run directory.
    #[error("{} works in this run folder", match .holder {
        Some(process) => format!("process {process}"),
        None => "another process, not visible from here,".to_owned(),
    })]
    Busy {
        /// The folder that it has locked.
        path: PathBuf,
        /// Its number, if the kernel tells.
        holder: Option<u32>,
    },
    /// Plan or seed are not what they must be.
    #[error("expected {}, got {}", .0.expected(), .0.got())]
    Refused(Refusal),
    /// The run cannot be proved yet.
    #[error("{got} of {steps} steps are trained; run veritune train")]
    Unfinished {
        /// Steps that are trained.
        got: u64,
        /// Steps of the plan.
        steps: u64,
    },
    /// The caller asked to stop.
    #[error("stopped; the run can be continued")]
    Stopped,
}

impl RunError {
    /// An error about a file.
    pub fn file(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::File { path: path.to_owned(), reason: reason.to_string() }
    }

    /// The same error, if it is a lack of space, with the bytes that the command has still to write after the file that has
    /// no room, whose bytes `rest` gets.
    #[must_use]
    pub fn with_rest(mut self, rest: impl FnOnce(u64) -> u64) -> Self {
        if let Self::NoSpace { needed_bytes, rest_bytes, .. } = &mut self {
            *rest_bytes = rest(*needed_bytes);
        }
        self
    }

    /// The stable identifier and the verdict of a command that ends with this error.
    pub fn code(&self) -> (&'static str, Verdict) {
        let code = match self {
            Self::Model(error) => return (error.code(), Verdict::Unusable),
            Self::Refused(refusal) => return (refusal.code().id(), refusal.verdict()),
            Self::Settings(_) => codes::SETTINGS,
            Self::Spec(_) => codes::SPEC,
            Self::Step(_) => codes::PROGRAM,
            Self::Execute { source, .. } => match **source {
                ExecuteError::OutOfRange { .. }
                | ExecuteError::NotInTable { .. }
                | ExecuteError::Denominator { .. }
                | ExecuteError::NegativeSquare { .. } => codes::OVERFLOW,
                ExecuteError::Threads { .. } => codes::THREADS,
                _ => codes::EXECUTION,
            },
            Self::BaseWidth { .. } => codes::BASE_WIDTH,
            Self::Statement(_) => codes::STATEMENT,
            Self::Commit(_) | Self::Unverified { .. } => codes::COMMITMENT,
            Self::Rows(_) => codes::ROWS,
            Self::File { .. } => codes::FILE,
            Self::NoSpace { .. } => codes::NO_SPACE,
            Self::BudgetSpent { .. } => codes::BUDGET_SPENT,
            Self::Busy { .. } => codes::BUSY,
            Self::Unfinished { .. } => codes::UNFINISHED,
            Self::Stopped => codes::STOPPED,
        };
        (code.id(), code.verdict())
    }

    /// Where it happened.
    pub fn location(&self) -> String {
        match self {
            Self::Settings(_) => "recipe".to_owned(),
            Self::Spec(error) => error.field.clone(),
            Self::Step(_) | Self::Statement(_) => "spec".to_owned(),
            Self::Model(_) | Self::BaseWidth { .. } => "model".to_owned(),
            Self::Unverified { step: Some(step) } => format!("step {step}"),
            Self::Unverified { step: None } => "release".to_owned(),
            Self::Execute { step, rows, .. } if rows.is_empty() => format!("step {step}"),
            Self::Execute { step, rows, .. } => format!("step {step}, {}", counted(rows)),
            Self::Rows(_) => "data".to_owned(),
            Self::File { path, .. } | Self::NoSpace { path, .. } | Self::Busy { path, .. } => {
                path.display().to_string()
            }
            Self::BudgetSpent { tree, .. } => tree.clone(),
            Self::Refused(refusal) => refusal.location().to_owned(),
            Self::Commit(_) | Self::Unfinished { .. } | Self::Stopped => String::new(),
        }
    }
}

/// Rows as a person counts them, from 1; the first eight.
fn counted(rows: &[usize]) -> String {
    let shown: Vec<String> = rows.iter().take(8).map(|row| (row + 1).to_string()).collect();
    let more = if rows.len() > shown.len() { ", …" } else { "" };
    let word = if rows.len() == 1 { "row" } else { "rows" };
    format!("dataset {word} {}{more} counted from 1", shown.join(", "))
}
