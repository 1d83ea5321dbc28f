//! Proves what the verifier checks.

pub mod argument;
pub mod commit;
#[cfg(feature = "kernels")]
pub mod kernels;
mod lane;
mod wipe;
mod zeros;
