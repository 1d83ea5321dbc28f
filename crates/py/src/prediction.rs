//! What a run will take: the counts of its work, and the kernels that measure this machine.

use crate::error::Failure;
use crate::work::quietly;
use crate::{from_json, to_json};
use pyo3::prelude::*;
use veritune_relations::Spec;
use veritune_run::codes;
use veritune_run::predict::{self, Counts, Kernel};
use veritune_run::session::Planned;

/// Returns the counts of a spec's run.
#[pyfunction]
pub fn counts(py: Python<'_>, spec_json: &str) -> PyResult<String> {
    quietly(py, || to_json(&Counts::of(&Planned::new(from_json::<Spec>("spec", spec_json)?)?)?))
}

/// Runs one kernel, named as in [`Kernel`]; returns the units done.
#[pyfunction]
pub fn measure(py: Python<'_>, kernel: &str, threads: usize) -> PyResult<f64> {
    quietly(py, || {
        let kernel: Kernel = from_json("kernel", &format!("\"{kernel}\""))?;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|error| Failure::new(codes::THREADS, error, format_args!("{threads} threads")))?;
        Ok(pool.install(|| predict::measure(kernel, threads))?)
    })
}
