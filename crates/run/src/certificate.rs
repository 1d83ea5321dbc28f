//! Puts a run's certificate together: proofs, claims statement, released adapter. Signing is the caller's.
//!
//! After [`prove_run`], `certificate/` holds `proofs/*.bin`, `plan.json`, `seed.json` and, if the plan discloses
//! them, the rows, `release/` the adapter's two files and, if the plan hides the adapter, the proof of its release,
//! and `claims.statement.json` what is to be signed. What is finished is verified, not made again.

use crate::RunError;
use crate::inputs::Inputs;
use crate::prove::{Prover, SETTLEMENT_FILE, release_file, step_file};
use crate::store::{Store, read, write_whole};
use std::path::Path;
use veritune_commit::Root;
use veritune_envelope::directory::{ADAPTER_CONFIG, ADAPTER_MODEL, ADAPTER_RELEASE};
use veritune_envelope::statement::{ClaimsSchema, ClaimsV1, PlanV1, ProofFile, ProofKind, Statement, Subject, Tool};
use veritune_envelope::{Digest, Refusal, adapter_file, canonical_json};
use veritune_relations::Spec;
use veritune_relations::spec::{Disclose, Visibility};
use veritune_verifier::disclosure::disclosure;
use veritune_verifier::published::ROWS_FILE;
use veritune_verifier::statement::Run;
use veritune_verifier::{adapter, certificate as verified, ledger, seed};

/// What proving made.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Steps proved.
    pub steps: u64,
    /// Bytes of all proofs.
    pub proof_bytes: u64,
    /// The files of `certificate/` that make the certificate. What else lies there is no part of it.
    pub files: Vec<String>,
}

/// A refusal of what this program made itself.
fn unexpected(refusal: Refusal) -> RunError {
    RunError::Commit(refusal.to_string())
}

/// A refusal of `seed.json`: an input that cannot be used, which refutes no claim.
fn unusable(refusal: Refusal) -> RunError {
    RunError::Refused(refusal.in_container())
}

fn sha256(bytes: &[u8]) -> Digest {
    Digest::sha256(bytes)
}

/// The spec of a plan.
pub fn spec_of(plan: &PlanV1) -> Result<Spec, RunError> {
    serde_json::from_slice(&plan.spec.to_canonical()).map_err(|e| RunError::Settings(format!("plan.spec: {e}")))
}

/// The run of a plan: `plan_bytes` and `seed_bytes` are those of `plan.json` and `seed.json`.
pub fn run_of(plan: &PlanV1, plan_bytes: &[u8], seed_bytes: &[u8]) -> Result<Run, RunError> {
    let digest = sha256(plan_bytes);
    let seed = seed::check(seed_bytes, plan, digest.as_bytes()).map_err(unusable)?.bytes;
    Ok(Run {
        spec: spec_of(plan)?,
        plan_digest: *digest.as_bytes(),
        seed,
        dataset: Root(*plan.dataset_root.as_bytes()),
        base: Root(*plan.base.root.as_bytes()),
    })
}

/// Proves every step that has no verified proof yet, settles, releases, and writes the claims.
///
/// `progress` gets the steps done and in total, and returns whether to go on.
pub fn prove_run(
    run: &Run,
    plan: &PlanV1,
    seed_bytes: &[u8],
    inputs: &Inputs,
    store: &Store,
    threads: usize,
    mut progress: impl FnMut(u64, u64) -> bool,
) -> Result<Summary, RunError> {
    let steps = run.spec.training.steps;
    let got = store.last_step()?.unwrap_or(0);
    if got != steps {
        return Err(RunError::Unfinished { got, steps });
    }
    let profile = run.profile()?;
    let mut prover = Prover::new(run, &profile, inputs, store, threads)?;
    let mut claims = Vec::new();
    let mut files = Vec::new();
    let mut proof_bytes = 0;
    let mut last_bytes = 0;
    for step in 1..=steps {
        let checked = match prover.finished(step)? {
            Some(checked) => checked,
            // Proofs of steps have about the same length; the first one may be what has no room.
            None => prover
                .prove_step(step)
                .map_err(|error| error.with_rest(|file| (steps - step) * last_bytes.max(file)))?,
        };
        let bytes = read(&store.path(&step_file(step)))?;
        last_bytes = bytes.len() as u64;
        proof_bytes += last_bytes;
        files.push(proof_file(&step_file(step), &bytes, ProofKind::Step, Some(step - 1)));
        claims.push(checked);
        if !progress(step, steps) {
            return Err(RunError::Stopped);
        }
    }
    let settlement = prover.settle(&claims)?;
    files.push(proof_file(SETTLEMENT_FILE, &settlement, ProofKind::Settlement, None));

    let copies = prover.copies()?;
    let file = adapter::tensors(&prover.context().first, &copies)
        .and_then(|tensors| adapter_file::encode(&tensors))
        .map_err(unexpected)?;
    let base_hex = run.base.to_string();
    let config = adapter::config(&plan.recipe, &run.spec, &base_hex)
        .ok_or_else(|| RunError::Settings("plan.recipe.lora is not the spec's adapter".into()))?
        .to_bytes()
        .map_err(unexpected)?;
    let disclose = &run.spec.disclose;
    let is_hidden = disclose.adapter == Visibility::Hidden;
    if is_hidden {
        store.close_release()?;
    }
    let release = prover.release(sha256(&file).as_bytes())?;
    if !is_hidden {
        files.push(proof_file(release_file(disclose), &release, ProofKind::Release, None));
    }
    proof_bytes += (settlement.len() + release.len()) as u64;
    let folder = store.path("release");
    write_whole(&folder.join(ADAPTER_MODEL), &file, is_hidden)?;
    write_whole(&folder.join(ADAPTER_CONFIG), &config, is_hidden)?;

    let context = prover.context();
    let mut state_roots = Vec::new();
    for step in 0..=steps {
        let oracle = Root(store.root(step)?);
        state_roots.push(Digest::from_bytes(run.state_root(step, &oracle)));
    }
    let plan_bytes = canonical_json::to_bytes(plan).map_err(unexpected)?;
    let seed = seed::check(seed_bytes, plan, &run.plan_digest).map_err(unexpected)?;
    let ledger = ledger::run_ledger(context)?;
    let mut names: Vec<String> = files.iter().map(|file: &ProofFile| file.name.clone()).collect();
    names.extend(["plan.json", "seed.json"].map(str::to_owned));
    let rows = match disclose.data {
        Visibility::Hidden => None,
        Visibility::Public => {
            let bytes = inputs.dataset.published();
            write_whole(&store.path("certificate").join(ROWS_FILE), &bytes, false)?;
            names.push(ROWS_FILE.to_owned());
            Some(sha256(&bytes))
        }
    };
    let predicate = ClaimsV1 {
        schema: ClaimsSchema::V1,
        plan_digest: Digest::from_bytes(run.plan_digest),
        program_digest: plan.program_digest,
        spec: plan.spec.clone(),
        base: plan.base.clone(),
        dataset_root: plan.dataset_root,
        num_steps: steps,
        state_roots,
        proofs: files,
        claims: verified::claims(steps, disclose),
        disclosure: disclosure(disclose, rows),
        not_claimed: verified::not_claimed(disclose, seed.notice),
        ledger: ledger::to_certificate(&ledger, seed.source),
        created_by: Tool { name: "veritune".into(), version: env!("CARGO_PKG_VERSION").into() },
    };
    let subject = match disclose.adapter {
        Visibility::Public => vec![Subject::of(ADAPTER_MODEL, &file), Subject::of(ADAPTER_CONFIG, &config)],
        Visibility::Hidden => vec![Subject::of("plan.json", &plan_bytes)],
    };
    let statement = Statement { subject, predicate }.to_bytes().map_err(unexpected)?;
    write_whole(&store.path("certificate/plan.json"), &plan_bytes, false)?;
    write_whole(&store.path("certificate/seed.json"), seed_bytes, false)?;
    write_whole(&store.path("claims.statement.json"), &statement, false)?;
    Ok(Summary { steps, proof_bytes, files: names })
}

fn proof_file(path: &str, bytes: &[u8], kind: ProofKind, step: Option<u64>) -> ProofFile {
    let name = path.trim_start_matches("certificate/").to_owned();
    ProofFile { name, sha256: sha256(bytes), kind, step }
}

/// Copies the released adapter's two files into an existing folder; of a hidden adapter also the proof of the release,
/// all with mode 0600.
pub fn export_adapter(store: &Store, disclose: &Disclose, adapter_dir: &Path) -> Result<(), RunError> {
    let is_hidden = disclose.adapter == Visibility::Hidden;
    let proof = is_hidden.then_some(ADAPTER_RELEASE);
    for name in [ADAPTER_MODEL, ADAPTER_CONFIG].into_iter().chain(proof) {
        let bytes = read(&store.path(&format!("release/{name}")))?;
        write_whole(&adapter_dir.join(name), &bytes, is_hidden)?;
    }
    Ok(())
}
