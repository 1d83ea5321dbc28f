//! What is proved: the `Spec`, the integer program that it names, and the program's equations and lookups.
//!
//! Prover, verifier and executor build the same [`Program`] from the same [`Spec`]; none of them reads a
//! shape, a table or an equation from anybody else.

pub mod builder;
pub mod constants;
pub mod digest;
pub mod fixed;
pub mod initial;
pub mod layout;
pub mod poseidon2;
pub mod program;
pub mod release;
pub mod sampler;
pub mod scales;
pub mod softmax;
pub mod spec;
mod sponge;
pub mod step;

pub use program::*;
pub use spec::Spec;
