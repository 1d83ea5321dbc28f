//! A certificate, checked: the numbered list of [`check`]; [`crate::request::verify`] is the door.

use crate::codes::*;
use crate::disclosure::disclosure;
use crate::ledger::{TARGET_BITS, run_ledger, to_certificate};
use crate::loss::StepLoss;
use crate::policy::{ADAPTER_FILE, Evidence, Policy};
use crate::published::{self, ROWS_FILE};
use crate::report::Report;
use crate::request::{Signers, Subjects};
use crate::settlement::{self, StepClaims};
use crate::statement::Run;
use crate::step::Context;
use crate::{adapter, recipe, release, seed};
use sha2::{Digest as _, Sha256};
use std::path::Path;
use veritune_commit::Root;
use veritune_envelope::adapter_file;
use veritune_envelope::codes::{ADAPTER_LENGTH, DIRECTORY_EXTRA};
use veritune_envelope::directory::{self, ADAPTER_CONFIG as CONFIG_FILE, ADAPTER_MODEL, ADAPTER_RELEASE};
use veritune_envelope::index::{INDEX_NAME, Index, MAX_INDEX_BYTES};
use veritune_envelope::signature::PublicKey;
use veritune_envelope::statement::{Claim, ClaimsV1, PlanV1, ProofFile, ProofKind, Statement, Subject, Word};
use veritune_envelope::{Code, Digest, Refusal, bundle, canonical_json};
use veritune_relations::digest::spec_digest;
use veritune_relations::spec::{Disclose, Spec, Visibility};

/// Largest proof file. As many trees as one opening may have, as wide as a tree may be, open in fewer bytes.
pub const MAX_PROOF_BYTES: u64 = 1 << 26;
/// Largest adapter file.
pub const MAX_ADAPTER_BYTES: u64 = 1 << 32;
/// Largest statement file: about 300 bytes for each of at most 1,000 proofs, in base64. Parsed JSON takes up to a hundred
/// times as much memory.
const MAX_BUNDLE_BYTES: u64 = 1 << 20;
/// Largest small JSON file.
const MAX_JSON_BYTES: u64 = 1 << 20;

/// What every certificate says that it does not show.
pub const NOT_CLAIMED: &[&str] = &[
    "that licence labels are true, that the model is safe, or that the data is good",
    "that no other model was trained, or that no other plan was made and abandoned",
    "when the plan was signed, if it is; and that its scales are those of a calibration: within the ranges that the verdict lists they are the maker's choice",
    "what the released adapter itself reveals about its data",
    "that the base root is that of a checkpoint, or that its integers lie within the widths on which exactness relies: whoever has the checkpoint recomputes it and sees both (veritune commit model --check)",
    "how the integer base differs from the float checkpoint, and the integer adapter from a float one",
    "the hidden lengths' bucket and the number of steps: both are public",
    "which order the leaves of the dataset lie in: whoever has files and secret of the job recomputes it (veritune commit data --check)",
    "that the text gives the committed tokens: whoever holds the text can run the tokenizer again",
];

/// Added when the run hides its loss.
pub const NOT_CLAIMED_HIDDEN_LOSS: &str = "the value of the loss";
/// Added when the run's beacon is the demo's.
pub const NOT_CLAIMED_DEMO_BEACON: &str =
    "that the seed was not chosen: the demo beacon follows from the plan alone and allows restarts";
/// Added when the run's beacon is a recorded round.
pub const NOT_CLAIMED_RECORDED_BEACON: &str =
    "that the plan is older than its beacon round: the plan's time is its maker's own word";

/// Stands first in the signed claims of a hidden adapter, and in every verdict for which no adapter file was read.
pub const NOT_CLAIMED_ADAPTER_FILE: &str =
    "anything about an adapter file: these claims speak of none, they are about the committed last state";
/// The signer's public key in a certificate.
pub const SIGNER_KEY: &str = "signer.pub.pem";

fn claim(kind: &str, detail: String) -> Claim {
    Claim { kind: kind.to_owned(), word: Word::ZkProof, detail }
}

/// The claim that the proof of the release shows.
fn adapter_file_claim() -> Claim {
    claim(ADAPTER_FILE, "the adapter file holds exactly the rounded weights of the last state".to_owned())
}

/// The signed claims: those that the certificate's proofs show. A hidden adapter's file is in none of them.
pub fn claims(steps: u64, disclose: &Disclose) -> Vec<Claim> {
    let data = "every step trained on the rows of the committed dataset that the public sampler names";
    let data = match disclose.data {
        Visibility::Hidden => data.to_owned(),
        Visibility::Public => format!("{data}; all its rows are published and recomputed"),
    };
    let mut claims = vec![
        claim(
            "training",
            format!(
                "all {steps} optimiser steps of the plan were executed exactly, each from the state that the one before left, the first from the public initial adapter"
            ),
        ),
        claim("data", data),
        claim("base", "every step read the weights of the committed base model".to_owned()),
    ];
    if disclose.adapter == Visibility::Public {
        claims.push(adapter_file_claim());
    }
    claims
}

/// The steps of a verification.
///
/// 1. The directory holds only files of the allow-list, and the index lists exactly the certificate's.
/// 2. The claims are signed by a named key, and so is the plan if it is signed.
/// 3. The claims are about the plan: same digest, spec, program, base, dataset and number of steps.
/// 4. The spec is within its ranges, says what the recipe says, allows the files that lie beside the adapter's, gives
///    the length that the adapter's file has, and builds the program of the plan.
/// 5. The seed follows from plan, dataset root and beacon.
/// 6. There are no more proofs than the ledger's union bound runs over.
/// 7. Every step has one proof, whose states are those of the chain, the first being the public initial state.
/// 8. Every step's proof verifies.
/// 9. The settlement of the base verifies for exactly these proofs.
/// 10. The file of rows is there if the plan discloses them, and only then, and gives the dataset's root.
/// 11. The adapter's configuration is the canonical one, and its file encodes the last state's rounded masters. The proof
///     of that is the certificate's, or lies beside a hidden adapter; the claims' subject is the adapter, or the plan.
/// 12. The claims, what is disclosed, what is not claimed, and the ledger are those that follow; the ledger reaches 128 bits.
/// 13. The claims that hold, and what is disclosed, are what the policy demands.
pub(crate) fn check(subjects: &Subjects, signers: &Signers, policy: &Policy) -> Result<Report, Refusal> {
    // 1
    let folder = subjects.certificate.as_path();
    let adapter_files = subjects.adapter.as_deref().map(directory::list_adapter).transpose()?;
    let listing = directory::list_certificate(folder)?;
    let index = Index::from_bytes(&directory::read_file(folder, INDEX_NAME, MAX_INDEX_BYTES)?)?;
    index.check_listing(&listing)?;

    // 2
    let shipped = match index.find(SIGNER_KEY) {
        Some(_) => Some(shipped_key(&index.read(folder, SIGNER_KEY, MAX_JSON_BYTES)?)?),
        None => None,
    };
    let keys = signers.keys(shipped.as_ref());
    let claims_bundle = bundle::from_json(&index.read(folder, "claims.sigstore.json", MAX_BUNDLE_BYTES)?)?;
    let signed = claims_bundle.verify(&keys)?;
    if shipped.is_some_and(|key| key.id() != signed.signer) {
        Refusal::new(CLAIMS_DISAGREE, SIGNER_KEY, "the signer's key", "another").raise()?;
    }
    let statement = Statement::<ClaimsV1>::from_bytes(&signed.payload)?;
    let claimed = &statement.predicate;
    let plan_bytes = index.read(folder, "plan.json", MAX_BUNDLE_BYTES)?;
    // Before it is parsed: nobody but the signer may choose what that takes.
    let plan_digest = Digest::sha256(&plan_bytes);
    if claimed.plan_digest != plan_digest {
        Refusal::new(PLAN_DISAGREES, "predicate.planDigest", "the plan's", "another").raise()?;
    }
    let plan_is_signed = index.find("plan.sigstore.json").is_some();
    if plan_is_signed {
        let bundle = bundle::from_json(&index.read(folder, "plan.sigstore.json", MAX_BUNDLE_BYTES)?)?;
        let planned = bundle.verify(&keys)?;
        if planned.signer != signed.signer {
            Refusal::new(PLAN_DISAGREES, "plan.sigstore.json", "the signer of the claims", "another").raise()?;
        }
        let signed = Statement::<PlanV1>::from_bytes(&planned.payload)?;
        let subject = [Subject::of("plan.json", &plan_bytes)];
        if signed.subject != subject || canonical_json::to_bytes(&signed.predicate)? != plan_bytes {
            Refusal::new(PLAN_DISAGREES, "plan.json", "the signed plan", "another").raise()?;
        }
    }
    let limit = usize::try_from(MAX_BUNDLE_BYTES).unwrap_or(usize::MAX);
    let plan: PlanV1 = canonical_json::decode_canonical(&plan_bytes, limit)?;

    // 3
    let agreements = [
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
    // Of the forms that serde reads, one: whoever reads the plan by its names reads this spec.
    if canonical_json::to_value(&spec)? != plan.spec {
        spec_refused(&"another form of one").raise()?;
    }
    if spec.training.steps != plan.num_steps {
        spec_refused(&"another number of steps than the plan").raise()?;
    }
    if plan.sampler_key_commitment.is_some() {
        spec_refused(&"a private sampler, which no proof of this version follows").raise()?;
    }
    if let Some(field) = recipe::disagreement(&plan.recipe, &spec) {
        Refusal::new(PLAN_DISAGREES, format_args!("plan.recipe: {field}"), "the spec's", "another").raise()?;
    }
    spec.validate().map_err(|e| spec_refused(&e))?;
    // The file has the one length that the spec gives it before anything is allocated or read for it.
    let adapter_bytes = adapter::num_bytes(&spec)?;
    let length =
        |expected: String, got: u64| Refusal::new(ADAPTER_LENGTH, ADAPTER_MODEL, expected, format_args!("{got} bytes"));
    if adapter_bytes > MAX_ADAPTER_BYTES {
        length(format!("at most {MAX_ADAPTER_BYTES} bytes"), adapter_bytes).raise()?;
    }
    let size = |name: &str| adapter_files.as_ref().and_then(|files| files.size(name));
    if spec.disclose.adapter == Visibility::Public && size(ADAPTER_RELEASE).is_some() {
        Refusal::new(DIRECTORY_EXTRA, ADAPTER_RELEASE, "a hidden adapter beside it", "a public one").raise()?;
    }
    if let Some(size) = size(ADAPTER_MODEL)
        && size != adapter_bytes
    {
        length(format!("{adapter_bytes} bytes"), size).raise()?;
    }
    // 5
    let seed_bytes = index.read(folder, "seed.json", MAX_JSON_BYTES)?;
    let seed = seed::check(&seed_bytes, &plan, plan_digest.as_bytes())?;
    let run = Run {
        spec,
        plan_digest: *plan_digest.as_bytes(),
        seed: seed.bytes,
        dataset: Root(*plan.dataset_root.as_bytes()),
        base: Root(*plan.base.root.as_bytes()),
    };
    let context = Context::new(&run).map_err(|e| spec_refused(&e))?;
    let first = &context.first;
    let program_digest = spec_digest(&run.spec, context.tables()).map_err(|e| spec_refused(&e))?;
    if Digest::from_bytes(program_digest) != plan.program_digest {
        Refusal::new(SPEC_REFUSED, "plan.programDigest", "the program that this version builds", "another").raise()?;
    }

    // 6
    let ledger = run_ledger(&context).map_err(|e| spec_refused(&e))?;
    let too_weak = |reason: &dyn std::fmt::Display| {
        Refusal::new(LEDGER_DISAGREES, "predicate.ledger", "the recomputed ledger, at least 128 bits", reason)
    };
    let proofs = plan.num_steps.saturating_add(2);
    if proofs > ledger.max_proofs() {
        too_weak(&format_args!("{proofs} proofs, more than {}", ledger.max_proofs())).raise()?;
    }

    // 7, 8
    let mut used = vec!["claims.sigstore.json", "plan.json", "seed.json", "plan.sigstore.json", SIGNER_KEY];
    let mut settled: Vec<StepClaims> = Vec::new();
    let mut losses = Vec::new();
    let mut last = context.first_root();
    for step in 1..=plan.num_steps {
        let Some(file) = claimed.step_proof(step.saturating_sub(1)) else {
            Refusal::new(STEP_MISSING, format_args!("step {step}"), "a proof", "none").raise()?;
            continue;
        };
        used.push(&file.name);
        let location = format!("{} (step {step})", file.name);
        let bytes = read_proof(&index, folder, file, STEP_REFUSED)?;
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
        let verified = context
            .verify_step(step, before, after, proof)
            .map_err(|e| Refusal::new(STEP_REFUSED, &location, "a proof that verifies", e))?;
        losses.extend(verified.loss.map(|units| StepLoss::new(step, units)));
        settled.push(StepClaims { step, proof_digest: *blake3::hash(&bytes).as_bytes(), claims: verified.claims });
        last = after;
    }

    // 9
    if let Some(settlement_file) = only(claimed, ProofKind::Settlement, SETTLEMENT_MISSING)? {
        used.push(&settlement_file.name);
        let bytes = read_proof(&index, folder, settlement_file, SETTLEMENT_REFUSED)?;
        settlement::verify(&run, &context.profile, context.shapes.base, &settled, &bytes).or_else(|e| {
            Refusal::new(SETTLEMENT_REFUSED, &settlement_file.name, "a settlement that verifies", e).raise()
        })?;
    }

    // 10
    used.push(ROWS_FILE);
    let disclosure = disclosure(&run.spec.disclose, published::check(&run, &index, folder)?);

    // 11
    let release = match run.spec.disclose.adapter {
        Visibility::Public => {
            let file = only(claimed, ProofKind::Release, RELEASE_MISSING)?;
            used.extend(file.map(|file| file.name.as_str()));
            file.map(|file| read_proof(&index, folder, file, RELEASE_REFUSED)).transpose()?
        }
        Visibility::Hidden => {
            release::beside_adapter(claimed, subjects.adapter.as_deref().zip(adapter_files.as_ref()))?
        }
    };
    let mut files = Vec::new();
    let config = adapter::config(&plan.recipe, &run.spec, &plan.base.root.to_string())
        .ok_or_else(|| Refusal::new(ADAPTER_CONFIG, "plan.recipe.lora", "the spec's adapter", "another"))?;
    if let Some(path) = &subjects.adapter {
        let file = directory::read_file(path, ADAPTER_MODEL, adapter_bytes)?;
        let tensors = adapter_file::decode(&file, &adapter::layouts(first)?)?;
        let copies = adapter::copies(first, &tensors);
        let file_digest: [u8; 32] = Sha256::digest(&file).into();
        if let Some(bytes) = release {
            context.verify_release(last, &copies, &file_digest, &bytes).or_else(|e| {
                Refusal::new(RELEASE_REFUSED, ADAPTER_MODEL, "the last state's rounded masters", e).raise()
            })?;
        }
        let config_file = directory::read_file(path, CONFIG_FILE, MAX_JSON_BYTES)?;
        config.check(&config_file)?;
        files = vec![Subject::of(ADAPTER_MODEL, &file), Subject::of(CONFIG_FILE, &config_file)];
    }
    let subject = match run.spec.disclose.adapter {
        // Files that were not read have digests that nobody knows here.
        Visibility::Public if files.is_empty() => None,
        Visibility::Public => Some(("the adapter's two files", files.clone())),
        Visibility::Hidden => Some(("plan.json: the adapter is hidden", vec![Subject::of("plan.json", &plan_bytes)])),
    };
    if let Some((expected, subject)) = subject
        && statement.subject != subject
    {
        Refusal::new(CLAIMS_DISAGREE, "subject", expected, "others").raise()?;
    }
    if let Some(extra) = index.entries().iter().find(|e| !used.contains(&e.path.as_str())) {
        Refusal::new(PROOF_EXTRA, &extra.path, "a file that a check reads", "another file").raise()?;
    }

    // 12
    let expected_claims = claims(plan.num_steps, &run.spec.disclose);
    let mut not_claimed = not_claimed(&run.spec.disclose, seed.notice);
    if claimed.claims != expected_claims || claimed.not_claimed != not_claimed {
        Refusal::new(CLAIMS_DISAGREE, "predicate.claims", "the claims that the proofs show", "others").raise()?;
    }
    if claimed.disclosure != disclosure {
        Refusal::new(CLAIMS_DISAGREE, "predicate.disclosure", "what the plan discloses", "another list").raise()?;
    }
    ledger.require(TARGET_BITS).map_err(|e| too_weak(&e))?;
    let ledger = to_certificate(&ledger, seed.source);
    if ledger != claimed.ledger {
        too_weak(&"another ledger").raise()?;
    }

    // 13
    // What is said of the adapter's file follows from whether it was read, not from what was signed.
    let mut claims = expected_claims;
    claims.retain(|claim| claim.kind != ADAPTER_FILE);
    not_claimed.retain(|text| text != NOT_CLAIMED_ADAPTER_FILE);
    if subjects.adapter.is_some() {
        claims.push(adapter_file_claim());
    } else {
        not_claimed.insert(0, NOT_CLAIMED_ADAPTER_FILE.to_owned());
    }
    policy.check(&Evidence {
        claims: &claims,
        plan_is_signed,
        disclosure: &disclosure,
        beacon: seed.source,
        base_root: plan.base.root,
        dataset_root: plan.dataset_root,
    })?;
    let last_state = claimed.state_roots.last().map(Digest::to_string).unwrap_or_default();
    Ok(Report {
        signer: signed.signer.to_string(),
        steps: plan.num_steps,
        base_root: plan.base.root.to_string(),
        dataset_root: plan.dataset_root.to_string(),
        plan_digest: plan_digest.to_string(),
        plan_is_signed,
        beacon: seed.source.to_owned(),
        last_state_root: last_state,
        files,
        claims,
        disclosure: Some(disclosure),
        losses,
        not_claimed,
        ledger: Some(ledger),
        spec_ranges: run.spec.ranges(),
        scales: run.spec.scale_ranges(),
        plan: Some(plan),
        ..Report::verified()
    })
}

/// The key that lies in the certificate. It adds no trust: it lets a reader who accepts any signer check the signature.
fn shipped_key(bytes: &[u8]) -> Result<PublicKey, Refusal> {
    let pem = std::str::from_utf8(bytes).unwrap_or("");
    let key = PublicKey::from_pem(pem).map_err(|refusal| refusal.within(SIGNER_KEY))?;
    // PEM's readers pass over text before the key; nobody signs this file, so it has one text.
    if key.to_pem()? != pem {
        Refusal::new(CLAIMS_DISAGREE, SIGNER_KEY, "the key's one PEM text", "more text").raise()?;
    }
    Ok(key)
}

/// What is not claimed, with the beacon's own notice.
pub fn not_claimed(disclose: &Disclose, beacon_notice: &str) -> Vec<String> {
    let adapter = (disclose.adapter == Visibility::Hidden).then_some(NOT_CLAIMED_ADAPTER_FILE);
    let loss = (disclose.loss == Visibility::Hidden).then_some(NOT_CLAIMED_HIDDEN_LOSS);
    let always = NOT_CLAIMED.iter().copied();
    adapter.into_iter().chain(always).chain(loss).chain([beacon_notice]).map(str::to_owned).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use veritune_commit::{MAX_LOG_COLUMNS, MAX_TREES, Profile, TreeHash, TreeShape, most_opening_bytes};

    #[test]
    fn the_longest_opening_of_every_profile_leaves_room_in_a_proof_file() {
        for log_rows in 10..=24 {
            let (log_columns, hash) = (MAX_LOG_COLUMNS, TreeHash::Blake3);
            let trees = [TreeShape { log_rows, log_columns, hash, masked: true, budget: 1 }; MAX_TREES];
            let most = most_opening_bytes(&Profile::new(log_rows).unwrap(), &trees);
            // The rest is for the argument.
            assert!(u64::try_from(most).unwrap() + (1 << 22) < MAX_PROOF_BYTES, "2^{log_rows} rows: {most} bytes");
        }
    }
}
