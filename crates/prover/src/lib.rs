//! Proves what the verifier checks.

pub mod commit;
