//! What a run will take, from the slots of its witness: a straight line through a few measured runs.
//!
//! Measured on two shared cores of an AMD EPYC with AVX-512, `models/small`, range tables of 18 bits: 3 and 6 steps
//! of 7 million slots, 2 steps of 16 million. Core seconds were within 15 % of the line, memory within 5 %. Another
//! machine, a much larger model or more than a few threads are outside what was measured; seconds assume that all
//! threads are kept busy.

use crate::work::quietly;
use crate::{from_json, to_json};
use pyo3::prelude::*;
use serde_json::json;
use veritune_relations::Spec;
use veritune_run::session::Planned;

/// Core seconds of training, per slot and step.
const TRAIN: f64 = 4e-8;
/// Core seconds of proving, per slot and step; the prover's own check of each proof included.
const PROVE: f64 = 4e-7;
/// Core seconds of commitments, settlement and release, per slot.
const SETTLE: f64 = 5e-7;
/// Bytes of memory at the peak of proving, per slot, and beside the slots (tables).
const MEMORY: (f64, f64) = (115.0, 370e6);
/// The same at the peak of training: measured at 2, 7 and 26 million slots, within 3 % of the line.
const TRAIN_MEMORY: (f64, f64) = (9.7, 88e6);
/// Bytes of one step's proof, and of settlement and release together; both grow with the logarithm of the slots only.
const PROOF_BYTES: (f64, f64) = (870e3, 850e3);

/// Predicts seconds and bytes.
#[pyfunction]
pub fn predict(py: Python<'_>, spec_json: &str, steps: u64, threads: usize) -> PyResult<String> {
    quietly(py, || {
        let spec: Spec = from_json("spec", spec_json)?;
        let slots = Planned::new(spec)?.witness_slots() as f64;
        let (steps, threads) = (steps as f64, threads.max(1) as f64);
        to_json(&json!({
            "train_seconds": format!("{:.1}", TRAIN * slots * steps / threads),
            "prove_seconds": format!("{:.1}", (PROVE * steps + SETTLE) * slots / threads),
            "train_memory_bytes": format!("{:.0}", TRAIN_MEMORY.0 * slots + TRAIN_MEMORY.1),
            "memory_bytes": format!("{:.0}", MEMORY.0 * slots + MEMORY.1),
            "proof_bytes": format!("{:.0}", PROOF_BYTES.0 * steps + PROOF_BYTES.1),
        }))
    })
}
