//! Multi-tree hiding commitment: scalar statement and verification of the joint opening.
//!
//! Statement: for committed vectors `f_o` over the base field and public linear weights `w_o`,
//! `sum_o <w_o, f_o> = target`. The committer knows the `f_o`; the roots bind it to them.
//!
//! Scheme: interleaved Reed-Solomon codes under Merkle trees, opened by one sumcheck under
//! one-time pads, one masked combination over all trees and a recursion of folds, everything in the unique-decoding
//! regime. The messages are in [`verify_opening`], the parameters in [`Profile`], the error terms in
//! [`Profile::ledger`]. `docs/spec/commitment.md` has the bytes.
//!
//! Source: Ligero (Ames, Hazay, Ishai, Venkitasubramaniam 2017), Ligerito (Novakovic, Angeris 2025) and
//! WHIR (Arnon, Chiesa, Fenzi, Yogev 2024) for the recursion; Ben-Sasson, Carmon, Ishai, Kopparty and
//! Saraf 2020 and Diamond and Gruen 2024 for the proximity gaps.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::as_conversions)]
#![deny(clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::as_conversions))]

mod error;
mod hash;
mod leaves;
mod ledger;
mod length;
mod merkle;
mod pads;
mod profile;
mod reader;
pub mod rows;
mod shape;
mod tensor;
mod verify;

pub use error::{Location, OpeningError};
pub use hash::{
    Digest, LEAF_KEY, NODE_KEY, POSEIDON_LEAF_TAG, POSEIDON_NODE_TAG, POSEIDON_RATE, POSEIDON_WIDTH, Poseidon,
    TreeHasher, padded_leaf_bytes, poseidon_digests,
};
pub use length::most_opening_bytes;
pub use merkle::{leaf_point, sibling_positions, sorted_unique};
pub use pads::Hidden;
pub use profile::{Level, MAX_LOG_COLUMNS, MAX_PROOFS, MAX_TREES, Profile, ProfileError, TARGET_BITS, TERM_BITS};
pub use shape::{Root, SALT_BYTES, ShapeError, TreeHash, TreeShape, capacity};
pub use verify::{Labels, absorb_statement, tree_point, verify_opening};
