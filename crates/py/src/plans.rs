//! Before a plan: calibration, spec, roots.

use crate::error::Failure;
use crate::work::{quietly, reporting};
use crate::{Ids, from_json, hex, rows_of, secret_of, to_json};
use pyo3::prelude::*;
use serde::Serialize;
use serde_json::json;
use std::path::PathBuf;
use veritune_relations::Spec;
use veritune_relations::scales::Scale;
use veritune_run::session::{self, Calibration, Planned};
use veritune_run::settings::Settings;

/// Cores that this process may use.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Calibrates on the rows, in the order of their leaves.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
pub fn calibrate(
    py: Python<'_>,
    model_dir: PathBuf,
    settings_json: &str,
    tokens: Ids<'_>,
    targets: Ids<'_>,
    meta: &[u8],
    secret: &[u8],
    steps: u64,
    progress: Py<PyAny>,
) -> PyResult<String> {
    let rows = rows_of(&tokens, &targets, meta)?;
    let secret = secret_of(secret)?;
    reporting(py, cores(), &progress, |reporter| {
        let settings = Settings::parse(settings_json)?;
        let (base, _) = session::open_base(&model_dir)?;
        let told = |done, total| reporter.report(done, total, 0.0);
        to_json(&session::calibrate_settings(&settings, &base, rows, secret, steps, cores(), told)?)
    })
}

/// One kind of tensor in the report of ranges.
#[derive(Serialize)]
struct RangeRow<'a> {
    kind: &'a str,
    bits: u32,
    signed: bool,
    fraction_bits: i32,
    /// Greatest real value that fits, as a decimal; for display.
    greatest: String,
}

fn range_row<'a>((kind, scale): (&'a String, &Scale)) -> RangeRow<'a> {
    let greatest = scale.range().max() as f64 * (-f64::from(scale.fraction_bits)).exp2();
    let Scale { bits, signed, fraction_bits } = *scale;
    RangeRow { kind, bits, signed, fraction_bits, greatest: format!("{greatest:.6}") }
}

/// Builds the spec and everything that a plan says of it.
#[pyfunction]
pub fn make_spec(py: Python<'_>, model_dir: PathBuf, settings_json: &str, calibration_json: &str) -> PyResult<String> {
    quietly(py, || {
        let settings = Settings::parse(settings_json)?;
        let calibration: Calibration = from_json("calibration.json", calibration_json)?;
        let (base, files) = session::open_base(&model_dir)?;
        let planned = Planned::new(session::spec_of(&settings, &base, calibration)?)?;
        let largest = planned.program.program.largest_bound.as_ref().map_or(0, |(bound, _)| *bound);
        let ranges: Vec<RangeRow<'_>> = planned.spec().scales.0.iter().map(range_row).collect();
        to_json(&json!({
            "spec": planned.spec(),
            "program_digest": hex(&planned.program_digest()?),
            "base": base_json(&files, &planned.base_root(&base)?.0),
            "largest_bound_log2": format!("{:.2}", (largest.max(1) as f64).log2()),
            "range_report": ranges,
        }))
    })
}

fn base_json(files: &[(String, String)], root: &[u8; 32]) -> serde_json::Value {
    let files: Vec<_> = files.iter().map(|(name, sha256)| json!({"name": name, "sha256": sha256})).collect();
    json!({"files": files, "root": hex(root)})
}

fn planned(spec_json: &str) -> Result<Planned, Failure> {
    let spec: Spec = from_json("spec", spec_json)?;
    Ok(Planned::new(spec)?)
}

/// Commits to the rows.
#[pyfunction]
pub fn commit_data(
    py: Python<'_>,
    spec_json: &str,
    tokens: Ids<'_>,
    targets: Ids<'_>,
    meta: &[u8],
    secret: &[u8],
) -> PyResult<String> {
    let rows = rows_of(&tokens, &targets, meta)?;
    let secret = secret_of(secret)?;
    quietly(py, || {
        let planned = planned(spec_json)?;
        let root = planned.dataset_root(rows, secret)?;
        to_json(&json!({"root": hex(&root.0), "rows": planned.spec().dataset_rows}))
    })
}

/// Commits to the base model.
#[pyfunction]
pub fn commit_model(py: Python<'_>, model_dir: PathBuf, spec_json: &str) -> PyResult<String> {
    quietly(py, || {
        let (base, files) = session::open_base(&model_dir)?;
        let root = planned(spec_json)?.base_root(&base)?;
        to_json(&base_json(&files, &root.0))
    })
}
