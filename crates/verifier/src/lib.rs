//! Checks certificates; links neither prover nor executor.

pub mod statement;
