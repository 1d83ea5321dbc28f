//! The largest adapter that a certificate without its adapter's file may speak of.

use veritune_attacks::certificate::{plan, seed_json};
use veritune_attacks::{TinyCertificate, run};
use veritune_relations::Spec;
use veritune_verifier::request::{Request, verify};

/// Two matrices of 256 layers and ranks, with two outputs each: `2^17 (hidden + 2)` entries of four bytes, after a
/// header.
fn spec(hidden: usize) -> Spec {
    let mut spec = run::monotonous(1);
    (spec.model.layers, spec.model.hidden, spec.lora.r) = (256, hidden, 256);
    (spec.model.heads, spec.model.kv_heads, spec.model.head_dim) = (1, 1, 2);
    spec.log_rows = 20;
    spec
}

/// Code and message of the verdict on a claim about such an adapter.
fn verdict(certificate: &TinyCertificate, hidden: usize) -> (String, String) {
    let mut parts = certificate.parts.clone();
    parts.plan = plan(&spec(hidden), &certificate.tiny.run.dataset, &certificate.tiny.run.base);
    parts.seed = seed_json(&parts.plan);
    let folder = tempfile::tempdir().expect("a folder");
    certificate.publish(&parts, folder.path()).expect("published");
    let request = Request { keys: vec![certificate.public_key()], no_file: true, ..Request::default() };
    let report = verify(folder.path(), &request);
    (report.code, report.message)
}

#[test]
fn an_adapter_that_nobody_has_seen_is_bounded() {
    let certificate = TinyCertificate::new(run::monotonous(1));
    let (code, message) = verdict(&certificate, 510);
    assert_eq!(code, "VT-ENV-052", "{message}");
    assert!(message.starts_with("expected at most 268435456 bytes, got 268"), "{message}");
    // A little less passes this check. No step on so many entries fits the trees, which the next one sees.
    let passes = |(code, message): (String, String)| code == "VT-RUN-002" && message.contains("slots do not fit");
    assert!(passes(verdict(&certificate, 509)));
    #[cfg(feature = "mutation-testing")]
    assert!(passes(veritune_mutation::without(&["VT-ENV-052"], || verdict(&certificate, 510))));
}
