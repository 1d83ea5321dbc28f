//! The committing and opening side of `veritune_commit`.
//!
//! [`commit()`] encodes a vector, hashes it and keeps what an opening needs; [`open()`] proves
//! `sum_o <w_o, f_o> = target` over several trees. The statement, the messages and the soundness are in
//! `veritune_commit`; here is only how to produce them fast. The same inputs and the same
//! [`Randomness`] give the same bytes, whatever the number of threads.

mod blake3_tree;
pub(crate) mod block_vector;
mod deviation;
mod encode;
mod levels;
#[cfg(feature = "kernels")]
pub(crate) mod loops;
mod open;
mod oracle;
mod poseidon_tree;
mod randomness;
#[cfg(feature = "mutation-testing")]
pub mod simulate;
mod sumcheck;
mod tree;

pub(crate) use encode::transform;

pub use block_vector::BlockVector;
pub use deviation::{Covering, Deviation, Queried};
pub use open::{OpenError, OpeningReport, open, open_deviating, open_with_report};
pub use randomness::Randomness;
pub use tree::{CommittedTree, commit};

#[cfg(test)]
mod tests;
