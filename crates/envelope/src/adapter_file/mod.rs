//! Binding of the released adapter: the file is the only encoding of the committed integers.
//!
//! The adapter is integers with a public power-of-two scale per tensor (`A'` at 2^-16, `B'` at 2^-18 by default).
//! Each is exact as float32, so `adapter_model.safetensors` is a function of the integers, and
//! `adapter_config.json` of the plan. A verifier decodes the one to the only integers that encode to it, and compares
//! the other with the bytes that follow from the plan.

pub mod config;
pub mod float32;
pub mod names;
pub mod tensors;

pub use config::AdapterConfig;
pub use names::{Factor, Module, tensor_name};
pub use tensors::{Tensor, TensorLayout, decode, encode, num_bytes};
