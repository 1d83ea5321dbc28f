//! The base model as integers, from the checkpoint's own bytes.
//!
//! [`Checkpoint::open`] reads a local model directory (Llama or Qwen2; safetensors, or one GGUF file) and checks
//! it whole: configuration, exact tensor set, shapes. [`BaseModel::build`] turns it into signed integers with one
//! public power-of-two scale per kind of tensor. Both are functions of the checkpoint alone, so that one base
//! commitment serves every run. The arithmetic is specified in `docs/spec/base-model.md`.
//!
//! The bytes are untrusted: work and memory are bounded by the size of the files, nothing panics, and every
//! refusal is a [`ModelError`] with a stable code, the name of the field or tensor, what is supported and what
//! was found.
//!
//! *Caller must* commit to [`BaseModel`] and publish the [`Inventory`]; nothing here says who made the checkpoint.

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

mod base;
mod checkpoint;
mod config;
mod config_json;
mod decimal;
mod element;
mod error;
mod fixed_point;
mod gguf;
mod inventory;
mod json_fields;
mod safetensors_files;
mod source_file;
mod weight;

pub use base::{BaseModel, BaseTensor, DEFAULT_BASE_BITS, GAIN_BITS, GAIN_FRACTION_BITS};
pub use checkpoint::Checkpoint;
pub use config::{Architecture, ModelConfig};
pub use decimal::Decimal;
pub use element::ElementType;
pub use error::ModelError;
pub use fixed_point::{MAX_BASE_BITS, MAX_FRACTION_BITS, MIN_BASE_BITS, fixed_point, round_half_up};
pub use inventory::{FileRecord, Format, INVENTORY_SCHEMA, Inventory, TensorRecord};
pub use weight::Weight;
