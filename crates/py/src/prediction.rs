//! What a run will take, from its number of slots.

use crate::work::quietly;
use crate::{from_json, to_json};
use pyo3::prelude::*;
use serde_json::json;
use veritune_relations::Spec;
use veritune_run::session::Planned;

/// Predicts seconds and bytes.
#[pyfunction]
pub fn predict(py: Python<'_>, spec_json: &str, steps: u64, threads: usize) -> PyResult<String> {
    quietly(py, || {
        let spec: Spec = from_json("spec", spec_json)?;
        let slots = Planned::new(spec)?.witness_slots() as f64;
        let steps = steps as f64;
        let threads = threads.max(1) as f64;
        to_json(&json!({
            "train_seconds": format!("{:.1}", 1e-7 * slots * steps / threads),
            "prove_seconds": format!("{:.1}", 1e-6 * slots * steps / threads),
            "memory_bytes": format!("{:.0}", 100.0 * slots),
            "proof_bytes": format!("{:.0}", 1.0 * slots),
        }))
    })
}
