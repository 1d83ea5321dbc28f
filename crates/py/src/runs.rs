//! Training and proving.

use crate::error::Failure;
use crate::work::{quietly, reporting};
use crate::{Ids, hex, rows_of, secret_of, to_json};
use pyo3::prelude::*;
use serde_json::json;
use std::path::{Path, PathBuf};
use veritune_envelope::statement::{MAX_STATEMENT_BYTES, PlanV1};
use veritune_envelope::{Digest, canonical_json};
use veritune_run::certificate::prove_run;
use veritune_run::dataset::Rows;
use veritune_run::session::Session;
use veritune_run::store::Store;
use veritune_run::train::train as train_run;
use veritune_verifier::seed;
use zeroize::Zeroizing;

pub fn plan_of(plan_json: &str) -> Result<PlanV1, Failure> {
    Ok(canonical_json::decode_canonical(plan_json.as_bytes(), MAX_STATEMENT_BYTES)
        .map_err(|refusal| refusal.within("plan.json").in_container())?)
}

fn session(
    plan_json: &str,
    seed_json: &str,
    model_dir: &Path,
    rows: Rows<'_>,
    secret: Zeroizing<[u8; 32]>,
) -> Result<Session, Failure> {
    Ok(Session::open(plan_of(plan_json)?, plan_json.as_bytes(), seed_json.as_bytes(), model_dir, rows, secret)?)
}

/// Follows `seed.json` from the plan, as the verifier does; returns the seed's hex.
#[pyfunction]
pub fn check_seed(py: Python<'_>, plan_json: &str, seed_json: &str) -> PyResult<String> {
    quietly(py, || {
        let plan = plan_of(plan_json)?;
        let seed = seed::check(seed_json.as_bytes(), &plan, Digest::sha256(plan_json.as_bytes()).as_bytes())?;
        Ok(hex(&seed.bytes))
    })
}

/// Trains, or continues.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
pub fn train(
    py: Python<'_>,
    plan_json: &str,
    seed_json: &str,
    model_dir: PathBuf,
    tokens: Ids<'_>,
    targets: Ids<'_>,
    meta: &[u8],
    secret: &[u8],
    run_dir: PathBuf,
    threads: usize,
    progress: Py<PyAny>,
) -> PyResult<String> {
    let rows = rows_of(&tokens, &targets, meta)?;
    let secret = secret_of(secret)?;
    reporting(py, threads, &progress, |reporter| {
        let session = session(plan_json, seed_json, &model_dir, rows, secret)?;
        let store = Store::open(&run_dir)?;
        let run = &session.run;
        let total = run.spec.training.steps;
        let mut losses = Vec::new();
        let roots = train_run(run, &session.inputs, &store, threads, |step, loss| {
            losses.push(json!({"step": step, "loss": format!("{loss:.6}")}));
            reporter.report(step, total, loss)
        })?;
        let last = roots.last().map_or_else(String::new, |root| hex(&run.state_root(total, root)));
        to_json(&json!({"steps": total, "state_root": last, "losses": losses}))
    })
}

/// Proves every step that has no proof yet, settles, and releases.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
pub fn prove(
    py: Python<'_>,
    plan_json: &str,
    seed_json: &str,
    model_dir: PathBuf,
    tokens: Ids<'_>,
    targets: Ids<'_>,
    meta: &[u8],
    secret: &[u8],
    run_dir: PathBuf,
    threads: usize,
    progress: Py<PyAny>,
) -> PyResult<String> {
    let rows = rows_of(&tokens, &targets, meta)?;
    let secret = secret_of(secret)?;
    reporting(py, threads, &progress, |reporter| {
        let Session { plan, run, inputs } = session(plan_json, seed_json, &model_dir, rows, secret)?;
        let store = Store::open(&run_dir)?;
        let told = |done, total| reporter.report(done, total, 0.0);
        let seed = seed_json.as_bytes();
        let summary = prove_run(&run, &plan, seed, &inputs, &store, threads, told)?;
        to_json(&json!({"steps": summary.steps, "proof_bytes": summary.proof_bytes, "certificate": summary.files}))
    })
}
