//! Executable ledger of soundness errors.
//!
//! Statement: the probability that a verifier accepts a false statement is at most the sum of the
//! entries, times the number of proofs. Each entry names its source, how its bound is computed and
//! what it assumes; [`Ledger::require`] refuses a total below the target.
//!
//! Soundness: sums and products are fixed-point integers rounded up ([`ErrorBound`]), bits are
//! rounded down. `scripts/soundness_recheck.py` recomputes the total from the printed parameters with
//! exact rationals and shares no code with this crate.

mod bound;
mod ledger;

pub use bound::{Bits, ErrorBound, queries_for};
pub use ledger::{Assumption, BelowTarget, Derivation, Entry, Ledger};
