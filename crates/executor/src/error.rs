//! What stops an execution.

use veritune_relations::Range;

/// An execution that cannot start or cannot go on. Nothing is ever clamped.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ExecuteError {
    /// A value left the range that the program declares for its tensor.
    #[error(
        "{operation}: {tensor}{} holds {observed}, outside {} ..= {} ({allowed}, {fraction_bits} fraction bits); {suggestion}",
        layer.map(|l| format!(" of layer {l}")).unwrap_or_default(),
        allowed.min(),
        allowed.max()
    )]
    OutOfRange {
        /// Name of the step, or `input`.
        operation: String,
        /// Name of the tensor.
        tensor: String,
        /// Layer of the value, if the operation or the tensor has a layer axis.
        layer: Option<usize>,
        /// The value furthest outside.
        observed: i64,
        /// What is allowed.
        allowed: Range,
        /// Binary scale of the tensor.
        fraction_bits: i32,
        /// What to change.
        suggestion: String,
    },
    /// A tensor that no operation computes was not set.
    #[error("input {tensor} is not set")]
    MissingInput {
        /// Name of the tensor.
        tensor: String,
    },
    /// A tensor was set that is computed, public or virtual.
    #[error("{tensor} is {reason}: it is not an input")]
    NotAnInput {
        /// Name of the tensor.
        tensor: String,
        /// Why not.
        reason: &'static str,
    },
    /// The values do not fill the tensor.
    #[error("{tensor} has {expected} values (shape {shape:?}), got {got}")]
    Shape {
        /// Name of the tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
        /// Product of the shape.
        expected: usize,
        /// Values that were given.
        got: usize,
    },
    /// An operation of the program is inconsistent.
    #[error("{operation}: {reason}")]
    Malformed {
        /// Name of the step.
        operation: String,
        /// What is wrong.
        reason: String,
    },
    /// A looked-up value is not in column 0 of its table.
    #[error("{operation}: {value} is not in table {table}")]
    NotInTable {
        /// Name of the step.
        operation: String,
        /// Name of the table.
        table: String,
        /// The value.
        value: i64,
    },
    /// A divisor is zero or negative.
    #[error("{operation}: denominator is {value}, must be at least 1")]
    Denominator {
        /// Name of the step.
        operation: String,
        /// The value.
        value: i64,
    },
    /// The square root of a negative number.
    #[error("{operation}: square is {value}, must not be negative")]
    NegativeSquare {
        /// Name of the step.
        operation: String,
        /// The value.
        value: i64,
    },
    /// A maximum over no position.
    #[error("{operation}: row {row} has no unmasked position")]
    EmptyMaximum {
        /// Name of the step.
        operation: String,
        /// Row-major index over the operation's axes.
        row: usize,
    },
    /// The threads could not be started.
    #[error("cannot start {threads} threads: {reason}")]
    Threads {
        /// Requested number.
        threads: usize,
        /// The system's reason.
        reason: String,
    },
}
