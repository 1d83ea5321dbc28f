//! Reduction of equations and lookups to claims on committed vectors: the one verifier over a context.
//!
//! Statement: if [`Argument::verify_masked`] succeeds, the joint claim holds for the vectors behind the roots and the base
//! claims hold, then the vectors satisfy every equation and every lookup of the program, except with the
//! probability that [`soundness_terms`] adds up.
//!
//! The verifier is written once over [`Context`]. [`PadCounter`] notes what has to be masked, [`MaskedCheck`] checks proofs,
//! [`NativeCheck`] checks scalars that hide nothing: it is what the masked proof is compared with.
//! [`lookups`], [`equations`] and [`outputs`] have the messages, `docs/spec/argument.md` the bytes.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::as_conversions)]
#![deny(clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::as_conversions))]

mod axis_weight;
mod blocks;
mod check;
mod context;
mod counter;
mod eq;
pub mod equations;
mod evaluator;
mod extension;
mod functional;
mod joint;
pub mod leaves;
pub mod lookups;
mod masked;
mod native;
pub mod one_hots;
pub mod outputs;
mod plan;
mod products;
mod scalars;
mod soundness;
mod terms;
mod verify;
mod weights;
mod wiring;

pub use axis_weight::AxisWeight;
pub use blocks::{BlockAxis, BlockKind, LOG_UNIT, LeafBlock, Units, whole_axes};
pub use check::{ArgumentError, CheckId, PlanError};
pub use context::{Arithmetic, BaseClaim, Context, Labels, Linear};
pub use counter::{Counted, PadCounter, PadNumber};
pub use eq::{eq_at, eq_points};
pub use evaluator::Evaluator;
pub use extension::extension;
pub use functional::{Functional, Part};
pub use joint::Joint;
pub use masked::{Affine, Masked, MaskedCheck};
pub use native::NativeCheck;
pub use plan::{Plan, is_one_hot};
pub use products::Value;
pub use soundness::soundness_terms;
pub use terms::{Binding, Factor, LinearTerm, ProductTerm, SumAxis};
pub use verify::{Argument, verify};
pub use veritune_relations::layout::{BASE_PLACE, NUM_PLACES, STATE_AFTER_PLACE, STATE_BEFORE_PLACE, WITNESS_PLACE};
pub use weights::{Points, public_sum, tensor_functional};
pub use wiring::{ELEMENT_SLOTS, Lagrange, Wiring};
