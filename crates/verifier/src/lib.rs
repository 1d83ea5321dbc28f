//! Checks certificates; links neither prover nor executor.
//!
//! [`certificate::verify`] is the numbered list; each of its steps has a module.

pub mod adapter;
pub mod certificate;
pub mod codes;
pub mod ledger;
pub mod proof;
pub mod recipe;
pub mod rows;
pub mod seed;
pub mod settlement;
pub mod statement;
pub mod step;
