//! Checks certificates; links neither prover nor executor.

pub mod proof;
pub mod settlement;
pub mod statement;
pub mod step;
