//! Calibrates, trains and proves a run on disk.

pub mod calibrate;
pub mod certificate;
pub mod codes;
pub mod dataset;
mod error;
pub mod inputs;
pub mod openings;
mod order;
pub mod predict;
pub mod prove;
pub mod session;
pub mod settings;
pub mod store;
pub mod train;

pub use error::RunError;
