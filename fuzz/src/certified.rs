//! Proved runs that the targets of proofs change: published certificates, signed again by a key that everybody knows.
//!
//! `cargo run --bin make-runs` proves them once into the folder that `VERITUNE_FUZZ_RUNS` names; without it a process
//! proves its own.

use crate::key::KEY;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use veritune_attacks::TinyCertificate;
use veritune_attacks::run::monotonous;
use veritune_attacks::setting::tiny_spec;
use veritune_commit::Root;
use veritune_envelope::canonical_json::decode_canonical;
use veritune_envelope::dsse::Envelope;
use veritune_envelope::index::{INDEX_NAME, Index, IndexEntry};
use veritune_envelope::statement::{ClaimsV1, PlanV1, Statement, Subject};
use veritune_envelope::{Digest, bundle};
use veritune_relations::Spec;
use veritune_relations::scales::Scales;
use veritune_relations::spec::{Disclose, Visibility};
use veritune_verifier::seed;
use veritune_verifier::statement::Run;

/// The signed claims.
pub(crate) const CLAIMS: &str = "veritune/claims.sigstore.json";
/// The plan.
pub(crate) const PLAN: &str = "veritune/plan.json";
/// The plan, signed.
pub(crate) const PLAN_SIGNED: &str = "veritune/plan.sigstore.json";
/// The seed.
pub(crate) const SEED: &str = "veritune/seed.json";
/// The index.
pub(crate) const INDEX: &str = "veritune/index.json";
/// The signer's key.
pub(crate) const SIGNER: &str = "veritune/signer.pub.pem";

/// A published certificate, by path in the adapter folder.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// The runs that there are.
const RUNS: [&str; 4] = ["adamw", "monotonous", "open", "closed"];

fn spec(name: &str) -> Spec {
    let mut spec = match name {
        // Every target and every feature at the least lengths.
        "adamw" => tiny_spec([4, 1, 1, 1, 4, 4, 8, 2, 2, 1, 2]),
        _ => monotonous(2),
    };
    let (hidden, public) = (Visibility::Hidden, Visibility::Public);
    match name {
        "open" => spec.disclose = Disclose { loss: public, order: public, data: public, adapter: public },
        "closed" => spec.disclose = Disclose { loss: hidden, order: hidden, data: hidden, adapter: hidden },
        _ => {}
    }
    spec.training.steps = 2;
    // The least matrices that hold a state with its openings, and a short range table.
    (spec.range_bits, spec.log_rows) = (10, 11);
    spec.scales = Scales::starting(spec.range_bits);
    spec
}

/// A run of two steps with every feature.
pub(crate) static ADAMW: LazyLock<Files> = LazyLock::new(|| files("adamw"));
/// Runs of two steps of plain gradient descent on two matrices, whose whole certificates are checked soon: by default, with
/// everything disclosed, with nothing disclosed.
pub(crate) static SHORT: [LazyLock<Files>; 3] =
    [LazyLock::new(|| files("monotonous")), LazyLock::new(|| files("open")), LazyLock::new(|| files("closed"))];

/// Proves every run into a folder of `folder`.
pub fn make_runs(folder: &Path) {
    for name in RUNS {
        make_run(&folder.join(name), spec(name));
    }
}

fn make_run(folder: &Path, spec: Spec) {
    fs::create_dir_all(folder).expect("a folder");
    let certificate = TinyCertificate::new(spec);
    certificate.publish(&certificate.parts, folder).expect("published");
}

fn files(name: &str) -> Files {
    let kept = std::env::var_os("VERITUNE_FUZZ_RUNS").map(|runs| PathBuf::from(runs).join(name));
    let own = tempfile::tempdir().expect("a folder");
    let folder = kept.unwrap_or_else(|| {
        make_run(own.path(), spec(name));
        own.path().to_owned()
    });
    let mut files = Files::new();
    for below in ["", "veritune/", "veritune/proofs/"] {
        for entry in fs::read_dir(folder.join(below)).expect("a certificate") {
            let path = entry.expect("an entry").path();
            if let Some(name) = path.file_name().filter(|_| path.is_file()) {
                files.insert(format!("{below}{}", name.to_string_lossy()), fs::read(&path).expect("a file"));
            }
        }
    }
    files.insert(SIGNER.to_owned(), crate::key::public_pem().into_bytes());
    let claims = payload(&files, CLAIMS);
    sign(&mut files, CLAIMS, claims);
    let plan = plan_of(&files[PLAN]);
    sign_plan(&mut files, plan);
    index(&mut files);
    files
}

fn plan_of(bytes: &[u8]) -> PlanV1 {
    decode_canonical(bytes, bytes.len()).expect("a plan")
}

/// What is signed in a bundle.
pub(crate) fn payload(files: &Files, path: &str) -> Vec<u8> {
    bundle::from_json(&files[path]).expect("a bundle").unverified_payload().to_vec()
}

/// The claims that a certificate holds.
pub(crate) fn statement(files: &Files) -> Statement<ClaimsV1> {
    Statement::from_bytes(&payload(files, CLAIMS)).expect("claims")
}

/// Signs any payload as what a bundle holds.
pub(crate) fn sign(files: &mut Files, path: &str, payload: Vec<u8>) {
    let envelope = Envelope::sign(payload, &KEY).expect("a signature");
    files.insert(path.to_owned(), bundle::to_json(&envelope).expect("a bundle"));
}

/// Signs a plan as what the plan's file holds.
pub(crate) fn sign_plan(files: &mut Files, plan: PlanV1) {
    let statement = Statement { subject: vec![Subject::of("plan.json", &files[PLAN])], predicate: plan };
    if let Ok(payload) = statement.to_bytes() {
        sign(files, PLAN_SIGNED, payload);
    }
}

/// Makes the index of a certificate's files again.
pub(crate) fn index(files: &mut Files) {
    let entries = files.iter().filter_map(|(path, bytes)| {
        let path = path.strip_prefix("veritune/").filter(|path| *path != INDEX_NAME)?.to_owned();
        Some(IndexEntry { path, sha256: Digest::sha256(bytes), size: bytes.len() as u64 })
    });
    let index = Index::new(entries.collect()).expect("safe names").to_bytes().expect("an index");
    files.insert(INDEX.to_owned(), index);
}

/// A run as a certificate states it.
pub(crate) fn run_of(files: &Files) -> Run {
    let plan = plan_of(&files[PLAN]);
    let digest = Digest::sha256(&files[PLAN]);
    let seed = seed::check(&files[SEED], &plan, digest.as_bytes()).expect("a seed");
    Run {
        spec: serde_json::from_slice(&plan.spec.to_canonical()).expect("a spec"),
        plan_digest: *digest.as_bytes(),
        seed: seed.bytes,
        dataset: Root(*plan.dataset_root.as_bytes()),
        base: Root(*plan.base.root.as_bytes()),
    }
}
