//! Checks certificates; links neither prover nor executor.
//!
//! [`request::verify`] is the door, `certificate::check` the numbered list; each of its steps has a module.

pub mod adapter;
pub mod beacon;
pub mod certificate;
pub mod codes;
pub mod disclosure;
pub mod known;
pub mod last_resort;
pub mod ledger;
pub mod loss;
pub mod policy;
pub mod proof;
pub mod published;
pub mod recipe;
mod release;
pub mod report;
pub mod request;
pub mod rows;
pub mod seed;
pub mod settlement;
pub mod statement;
pub mod step;
