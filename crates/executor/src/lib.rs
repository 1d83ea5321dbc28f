//! Exact integer execution of a program: it trains, and what it computes is the witness.
//!
//! [`Executor`] runs the [`Operation`](veritune_relations::Operation)s of a
//! [`Program`](veritune_relations::Program) over one of two carriers. `i64` is the semantics: integers with the
//! rounding of each operation as the program documents it, the same bits for any number of threads. `f64` is
//! for calibration: the same integer units without rounding, range or table, so that a scale can be chosen from
//! [`Executor::maxima`] before any range exists.
//!
//! [`check`] is the slow, obvious reading of the program's equations and lookups. It shares no code with the
//! executor, and says which check a false witness violates.

mod carrier;
mod check;
mod contraction;
mod error;
mod executor;
mod matmul;
mod nest;
mod one_hot;
mod operand;
mod operations;
mod sponge;
mod statistics;
mod tensors;
mod term;
mod validate;

pub use carrier::Carrier;
pub use check::{CheckKind, Violation, check, check_id, checks};
pub use error::ExecuteError;
pub use executor::Executor;
pub use matmul::multiply;
pub use statistics::Maximum;
pub use tensors::Tensors;
