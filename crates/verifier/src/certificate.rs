//! A certificate, checked: the numbered list of [`verify`].

use crate::codes::*;
use crate::ledger::{TARGET_BITS, run_ledger, to_certificate};
use crate::settlement::{self, StepClaims};
use crate::statement::Run;
use crate::step::Context;
use crate::{adapter, recipe, seed};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use veritune_commit::Root;
use veritune_envelope::adapter_file;
use veritune_envelope::codes::ADAPTER_LENGTH;
use veritune_envelope::directory::{self, ADAPTER_CONFIG as CONFIG_FILE, ADAPTER_MODEL, CERTIFICATE};
use veritune_envelope::index::{INDEX_NAME, Index, MAX_INDEX_BYTES};
use veritune_envelope::signature::{PublicKey, TrustedKeys};
use veritune_envelope::statement::{Claim, ClaimsV1, PlanV1, ProofFile, ProofKind, Statement, Subject, Word};
use veritune_envelope::{Code, Digest, Refusal, Verdict, bundle, canonical_json};
use veritune_relations::digest::spec_digest;
use veritune_relations::spec::Spec;

/// Largest proof file.
pub const MAX_PROOF_BYTES: u64 = 1 << 28;
/// Largest adapter file.
pub const MAX_ADAPTER_BYTES: u64 = 1 << 32;
/// Largest statement file.
const MAX_BUNDLE_BYTES: u64 = 1 << 27;
/// Largest small JSON file.
const MAX_JSON_BYTES: u64 = 1 << 20;

/// What every certificate says that it does not show.
pub const NOT_CLAIMED: &[&str] = &[
    "zero knowledge: commitments hide, but the proof's messages are not masked yet and may reveal training data",
    "that licence labels are true, that the model is safe, or that the data is good",
    "that no other model was trained, or that no other plan was made and abandoned",
    "what the released adapter itself reveals about its data",
    "how the integer base differs from the float checkpoint, and the integer adapter from a float one",
    "the value of the loss",
    "the hidden lengths' bucket and the number of steps: both are public",
    "that the text gives the committed tokens: whoever holds the text can run the tokenizer again",
];

/// Added when the run's beacon is the demo's.
pub const NOT_CLAIMED_DEMO_BEACON: &str =
    "that the seed was not chosen: the demo beacon follows from the plan alone and allows restarts";
/// Added when the run's beacon is a recorded round.
pub const NOT_CLAIMED_RECORDED_BEACON: &str =
    "that the recorded beacon round is genuine and later than the plan: its signature is not checked yet";

/// The claims that a full set of proofs shows.
pub fn claims(steps: u64) -> Vec<Claim> {
    let claim = |kind: &str, detail: String| Claim { kind: kind.to_owned(), word: Word::ProofNotHiding, detail };
    vec![
        claim(
            "training",
            format!(
                "all {steps} optimiser steps of the plan were executed exactly, each from the state that the one before left, the first from the public initial adapter"
            ),
        ),
        claim(
            "data",
            "every step trained on the rows of the committed dataset that the public sampler names".to_owned(),
        ),
        claim("base", "every step read the weights of the committed base model".to_owned()),
        claim("adapter-file", "the adapter file holds exactly the rounded weights of the last state".to_owned()),
    ]
}

/// The verdict on a path, as `veritune verify --json` prints it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// 0 verified, 1 refuted, 2 unusable, 3 inconclusive, 4 our own bug.
    pub exit: u8,
    /// The same in a word.
    pub verdict: &'static str,
    /// Stable code of the check that decided; empty when verified.
    pub code: String,
    /// Where.
    pub location: String,
    /// What was expected and found.
    pub message: String,
    /// Key id of the signer.
    pub signer: String,
    /// Number of steps.
    pub steps: u64,
    /// Base root, hex.
    pub base_root: String,
    /// Dataset root, hex.
    pub dataset_root: String,
    /// Verified claims; empty unless verified.
    pub claims: Vec<Claim>,
    /// What is not claimed.
    pub not_claimed: Vec<String>,
    /// The recomputed ledger.
    pub ledger: Option<veritune_envelope::statement::Ledger>,
}

fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Verified => "verified",
        Verdict::Refuted => "refuted",
        Verdict::Unusable => "unusable",
        Verdict::Inconclusive => "inconclusive",
        Verdict::Internal => "internal error",
    }
}

impl Report {
    fn refused(refusal: &Refusal) -> Self {
        Self {
            exit: refusal.verdict().exit_code(),
            verdict: verdict_word(refusal.verdict()),
            code: refusal.code().id().to_owned(),
            location: refusal.location().to_owned(),
            message: format!("expected {}, got {}", refusal.expected(), refusal.got()),
            signer: String::new(),
            steps: 0,
            base_root: String::new(),
            dataset_root: String::new(),
            claims: Vec::new(),
            not_claimed: Vec::new(),
            ledger: None,
        }
    }
}

/// Checks the certificate of the adapter directory at `path` against signers' keys (PEM). Never panics on its files.
pub fn verify(path: &Path, keys: &[String]) -> Report {
    match check(path, keys) {
        Ok(report) => report,
        Err(refusal) => Report::refused(&refusal),
    }
}

/// The steps of a verification; [`verify`] turns its refusal into a report.
///
/// 1. The directory holds only files of the allow-list, and the index lists exactly the certificate's.
/// 2. The claims are signed by a named key, and so is the plan if it is signed.
/// 3. The claims are about the plan: same digest, spec, program, base, dataset and number of steps.
/// 4. The spec is within its ranges, asks for no larger adapter than there is, says what the recipe says, and builds
///    the program of the plan.
/// 5. The seed follows from plan, dataset root and beacon.
/// 6. Every step has one proof, whose states are those of the chain, the first being the public initial state.
/// 7. Every step's proof verifies.
/// 8. The settlement of the base verifies for exactly these proofs.
/// 9. The adapter's configuration is the canonical one, and its file encodes the last state's rounded masters.
/// 10. The claims, what is not claimed, and the ledger are those that follow; the ledger reaches 128 bits.
fn check(path: &Path, keys: &[String]) -> Result<Report, Refusal> {
    // 1
    let folder: PathBuf = path.join(CERTIFICATE);
    if !folder.is_dir() {
        let code = if path.join(ADAPTER_MODEL).is_file() { STEP_MISSING } else { FILE_PATH };
        return Err(Refusal::new(code, "path", format_args!("an adapter directory with {CERTIFICATE}/"), "none"));
    }
    let adapter_files = directory::list_adapter(path)?;
    let listing = directory::list_certificate(&folder)?;
    let index = Index::from_bytes(&directory::read_file(&folder, INDEX_NAME, MAX_INDEX_BYTES)?)?;
    index.check_listing(&listing)?;

    // 2
    let keys: Result<Vec<PublicKey>, Refusal> = keys.iter().map(|pem| PublicKey::from_pem(pem)).collect();
    let keys = TrustedKeys::new(keys?);
    let claims_bundle = bundle::from_json(&index.read(&folder, "claims.sigstore.json", MAX_BUNDLE_BYTES)?)?;
    let signed = claims_bundle.verify(&keys)?;
    let statement = Statement::<ClaimsV1>::from_bytes(&signed.payload)?;
    let claimed = &statement.predicate;
    let plan_bytes = index.read(&folder, "plan.json", MAX_BUNDLE_BYTES)?;
    if index.find("plan.sigstore.json").is_some() {
        let bundle = bundle::from_json(&index.read(&folder, "plan.sigstore.json", MAX_BUNDLE_BYTES)?)?;
        let plan = Statement::<PlanV1>::from_bytes(&bundle.verify(&keys)?.payload)?.predicate;
        if canonical_json::to_bytes(&plan)? != plan_bytes {
            Refusal::new(PLAN_DISAGREES, "plan.json", "the signed plan", "another").raise()?;
        }
    }
    let limit = usize::try_from(MAX_BUNDLE_BYTES).unwrap_or(usize::MAX);
    let plan: PlanV1 = canonical_json::decode_canonical(&plan_bytes, limit)?;

    // 3
    let plan_digest = Digest::sha256(&plan_bytes);
    let agreements = [
        ("planDigest", claimed.plan_digest == plan_digest),
        ("programDigest", claimed.program_digest == plan.program_digest),
        ("spec", claimed.spec == plan.spec),
        ("base", claimed.base == plan.base),
        ("datasetRoot", claimed.dataset_root == plan.dataset_root),
        ("numSteps", claimed.num_steps == plan.num_steps),
    ];
    if let Some((field, _)) = agreements.iter().find(|(_, agrees)| !agrees) {
        Refusal::new(PLAN_DISAGREES, format_args!("predicate.{field}"), "the plan's", "another").raise()?;
    }

    // 4
    let spec_refused =
        |reason: &dyn std::fmt::Display| Refusal::new(SPEC_REFUSED, "plan.spec", "a spec within its ranges", reason);
    let spec: Spec = serde_json::from_slice(&plan.spec.to_canonical()).map_err(|e| spec_refused(&e))?;
    if spec.training.steps != plan.num_steps {
        spec_refused(&"another number of steps than the plan").raise()?;
    }
    if plan.sampler_key_commitment.is_some() {
        return Err(spec_refused(&"a private sampler, which no proof of this version follows"));
    }
    if let Some(field) = recipe::disagreement(&plan.recipe, &spec) {
        Refusal::new(PLAN_DISAGREES, format_args!("plan.recipe: {field}"), "the spec's", "another").raise()?;
    }
    // The first state takes memory in proportion to the adapter: never more than its file accounts for.
    let needed = adapter::num_entries(&spec).and_then(|n| n.checked_mul(4));
    let size = adapter_files.size(ADAPTER_MODEL).unwrap_or(0);
    if needed.is_none_or(|needed| needed > size) {
        let expected = format_args!("{} bytes or more", needed.unwrap_or(u64::MAX)).to_string();
        return Err(Refusal::new(ADAPTER_LENGTH, ADAPTER_MODEL, expected, format_args!("{size} bytes")));
    }
    // 5
    let seed_bytes = index.read(&folder, "seed.json", MAX_JSON_BYTES)?;
    let (seed, beacon_notice) = seed::check(&seed_bytes, &plan, plan_digest.as_bytes())?;
    let run = Run {
        spec,
        plan_digest: *plan_digest.as_bytes(),
        seed,
        dataset: Root(*plan.dataset_root.as_bytes()),
        base: Root(*plan.base.root.as_bytes()),
    };
    let context = Context::new(&run).map_err(|e| spec_refused(&e))?;
    let first = &context.first;
    let program_digest = spec_digest(&run.spec, context.tables()).map_err(|e| spec_refused(&e))?;
    if Digest::from_bytes(program_digest) != plan.program_digest {
        Refusal::new(SPEC_REFUSED, "plan.programDigest", "the program that this version builds", "another").raise()?;
    }

    // 6, 7
    let mut used = vec!["claims.sigstore.json", "plan.json", "seed.json", "plan.sigstore.json"];
    let mut settled: Vec<StepClaims> = Vec::new();
    let mut last = context.first_root();
    for step in 1..=plan.num_steps {
        let Some(file) = claimed.step_proof(step.saturating_sub(1)) else {
            Refusal::new(STEP_MISSING, format_args!("step {step}"), "a proof", "none").raise()?;
            continue;
        };
        used.push(&file.name);
        let location = format!("{} (step {step})", file.name);
        let bytes = read_proof(&index, &folder, file, STEP_REFUSED)?;
        let chain = |number: u64, root: &Root| {
            let expected = usize::try_from(number).ok().and_then(|i| claimed.state_roots.get(i));
            if expected == Some(&Digest::from_bytes(run.state_root(number, root))) {
                return Ok(());
            }
            Refusal::new(STATE_ROOT, &location, format_args!("the state root after step {number}"), "another").raise()
        };
        let (before, rest) = split_root(&bytes, &location)?;
        let (after, proof) = split_root(rest, &location)?;
        if before != last {
            Refusal::new(STATE_ROOT, &location, "the state that the step before left", "another").raise()?;
        }
        chain(step.saturating_sub(1), &before)?;
        chain(step, &after)?;
        let claims = context
            .verify_step(step, before, after, proof)
            .map_err(|e| Refusal::new(STEP_REFUSED, &location, "a proof that verifies", e))?;
        settled.push(StepClaims { step, proof_digest: *blake3::hash(&bytes).as_bytes(), claims });
        last = after;
    }

    // 8
    if let Some(settlement_file) = only(claimed, ProofKind::Settlement, SETTLEMENT_MISSING)? {
        used.push(&settlement_file.name);
        let bytes = read_proof(&index, &folder, settlement_file, SETTLEMENT_REFUSED)?;
        settlement::verify(&run, &context.profile, context.shapes.base, &settled, &bytes).or_else(|e| {
            Refusal::new(SETTLEMENT_REFUSED, &settlement_file.name, "a settlement that verifies", e).raise()
        })?;
    }

    // 9
    let file = directory::read_file(path, ADAPTER_MODEL, MAX_ADAPTER_BYTES)?;
    let tensors = adapter_file::decode(&file, &adapter::layouts(first)?)?;
    let copies = adapter::copies(first, &tensors);
    if let Some(release_file) = only(claimed, ProofKind::Release, RELEASE_MISSING)? {
        used.push(&release_file.name);
        let bytes = read_proof(&index, &folder, release_file, RELEASE_REFUSED)?;
        let file_digest: [u8; 32] = Sha256::digest(&file).into();
        context
            .verify_release(last, &copies, &file_digest, &bytes)
            .or_else(|e| Refusal::new(RELEASE_REFUSED, ADAPTER_MODEL, "the last state's rounded masters", e).raise())?;
    }
    let base_hex: String = plan.base.root.as_bytes().iter().map(|b| format!("{b:02x}")).collect();
    let config = adapter::config(&plan.recipe, &run.spec, &base_hex)
        .ok_or_else(|| Refusal::new(ADAPTER_CONFIG, "plan.recipe.lora", "the spec's adapter", "another"))?;
    let config_file = directory::read_file(path, CONFIG_FILE, MAX_JSON_BYTES)?;
    config.check(&config_file)?;
    let subject = [Subject::of(ADAPTER_MODEL, &file), Subject::of(CONFIG_FILE, &config_file)];
    if statement.subject != subject {
        Refusal::new(CLAIMS_DISAGREE, "subject", "the adapter's two files", "others").raise()?;
    }
    if let Some(extra) = index.entries().iter().find(|e| !used.contains(&e.path.as_str())) {
        Refusal::new(PROOF_EXTRA, &extra.path, "a file that a check reads", "another file").raise()?;
    }

    // 10
    let expected_claims = claims(plan.num_steps);
    let not_claimed = not_claimed(beacon_notice);
    if claimed.claims != expected_claims || claimed.not_claimed != not_claimed {
        Refusal::new(CLAIMS_DISAGREE, "predicate.claims", "the claims that the proofs show", "others").raise()?;
    }
    let ledger = run_ledger(&context).map_err(|e| spec_refused(&e))?;
    let too_weak = |reason: &dyn std::fmt::Display| {
        Refusal::new(LEDGER_DISAGREES, "predicate.ledger", "the recomputed ledger, at least 128 bits", reason)
    };
    ledger.require(TARGET_BITS).map_err(|e| too_weak(&e))?;
    let proofs = plan.num_steps.saturating_add(2);
    if proofs > ledger.max_proofs() {
        return Err(too_weak(&format_args!("{proofs} proofs, more than {}", ledger.max_proofs())));
    }
    let ledger = to_certificate(&ledger);
    if ledger != claimed.ledger {
        too_weak(&"another ledger").raise()?;
    }
    Ok(Report {
        exit: Verdict::Verified.exit_code(),
        verdict: verdict_word(Verdict::Verified),
        code: String::new(),
        location: String::new(),
        message: String::new(),
        signer: signed.signer.to_string(),
        steps: plan.num_steps,
        base_root: base_hex,
        dataset_root: plan.dataset_root.to_string(),
        claims: expected_claims,
        not_claimed,
        ledger: Some(ledger),
    })
}

/// What is not claimed, with the beacon's own notice.
pub fn not_claimed(beacon_notice: &str) -> Vec<String> {
    NOT_CLAIMED.iter().copied().chain([beacon_notice]).map(str::to_owned).collect()
}

fn split_root<'a>(bytes: &'a [u8], location: &str) -> Result<(Root, &'a [u8]), Refusal> {
    let truncated =
        || Refusal::new(STEP_REFUSED, location, "two state roots and a proof", format_args!("{} bytes", bytes.len()));
    let (root, rest) = bytes.split_first_chunk::<32>().ok_or_else(truncated)?;
    Ok((Root(*root), rest))
}

/// The bytes of a proof file, which must have the digest that is claimed.
fn read_proof(index: &Index, folder: &Path, file: &ProofFile, code: Code) -> Result<Vec<u8>, Refusal> {
    let bytes = index.read(folder, &file.name, MAX_PROOF_BYTES)?;
    if Digest::sha256(&bytes) != file.sha256 {
        Refusal::new(code, &file.name, "the claimed digest", "another").raise()?;
    }
    Ok(bytes)
}

/// The one proof file of a kind. There is none only if a test has switched the check off.
fn only(claims: &ClaimsV1, kind: ProofKind, code: Code) -> Result<Option<&ProofFile>, Refusal> {
    let mut files = claims.proofs.iter().filter(|p| p.kind == kind);
    match (files.next(), files.next()) {
        (Some(file), None) => Ok(Some(file)),
        (first, _) => {
            let got = if first.is_none() { "none" } else { "several" };
            Refusal::new(code, "predicate.proofs", "one", got).raise()?;
            Ok(first)
        }
    }
}
