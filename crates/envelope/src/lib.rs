//! Everything of a certificate that is not a proof: canonical JSON, in-toto statements, DSSE envelopes in
//! Sigstore bundles, P-256 signatures, the index, the adapter directory and the binding of the adapter file.
//!
//! The verifier runs this crate on bytes that it does not trust. Work is bounded by the size of the input,
//! nothing panics, and every refusal is a [`verdict::Refusal`]: a stable code, a location, what was expected
//! and what was found. The bytes are specified in `docs/spec/envelope.md`.
//!
//! One rule closes most gaps: a reader accepts bytes only if writing the decoded value again gives them back.

#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::as_conversions,
        clippy::arithmetic_side_effects,
        clippy::panic
    )
)]

pub mod adapter_file;
pub mod bundle;
pub mod canonical_json;
pub mod codes;
pub mod digest;
pub mod directory;
pub mod dsse;
pub mod index;
pub mod signature;
pub mod statement;
pub mod verdict;

pub use digest::Digest;
pub use verdict::{Code, Refusal, Verdict};
