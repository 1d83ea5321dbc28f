//! What proofs hide: tests of their distribution, of the masks' linear map, of the simulator, and of randomness that is used twice.
//!
//! Challenges are programmed: they do not depend on what is sent, so that two proofs differ by their witness and their
//! randomness alone; not in `one_token`, which attacks whole certificates. The opening by itself is taken apart in
//! `veritune_prover` (`commit/tests/hiding.rs`).

mod distribution;
mod hidden_adapter;
mod instance;
mod masks;
mod one_token;
mod one_token_certificate;
mod reuse;
mod simulation;
mod statistic;
