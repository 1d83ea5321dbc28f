//! The largest adapters that a certificate may speak of, with its adapter's file and without.

use std::fs::File;
use veritune_attacks::setting::wide_adapter;
use veritune_attacks::{TinyCertificate, run};
use veritune_envelope::directory::ADAPTER_MODEL;
use veritune_verifier::adapter::num_bytes;
use veritune_verifier::certificate::{MAX_ADAPTER_BYTES, MAX_HIDDEN_ADAPTER_BYTES};
use veritune_verifier::request::{Request, verify};

/// Code and message of the verdict on a claim about such an adapter; with a file, it has the length that the spec gives.
fn verdict(certificate: &TinyCertificate, hidden: usize, with_file: bool) -> (String, String) {
    verdict_with(certificate, hidden, with_file, 0)
}

/// The same with a file that is longer than that.
fn verdict_with(certificate: &TinyCertificate, hidden: usize, with_file: bool, more: u64) -> (String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let spec = wide_adapter(hidden);
    certificate.publish(&certificate.replanned(&spec), folder.path()).expect("published");
    if with_file {
        // Sparse: a file of zeros that takes no space.
        let file = File::options().write(true).open(folder.path().join(ADAPTER_MODEL)).expect("a file");
        file.set_len(num_bytes(&spec).expect("a length") + more).expect("a sparse file");
    }
    let request = Request { keys: vec![certificate.public_key()], no_file: !with_file, ..Request::default() };
    let report = verify(folder.path(), &request);
    (report.code, report.message)
}

/// The smallest width whose adapter is longer than `limit` is refused. A little less passes this check, and what
/// comes next, `next`, sees that the program cannot be built, or is not the plan's.
fn assert_bounded(limit: u64, with_file: bool, next: &str) {
    let certificate = TinyCertificate::new(run::monotonous(1));
    let widths: Vec<usize> = (2..16_384).collect();
    let hidden = widths[widths.partition_point(|&width| num_bytes(&wide_adapter(width)).expect("a length") <= limit)];
    let (code, message) = verdict(&certificate, hidden, with_file);
    assert_eq!(code, "VT-ENV-052", "{message}");
    assert!(message.starts_with(&format!("expected at most {limit} bytes, got ")), "{message}");
    let passes = |(code, message): (String, String)| code == "VT-RUN-002" && message.contains(next);
    let less = verdict(&certificate, hidden - 1, with_file);
    assert!(passes(less.clone()), "{less:?}");
    #[cfg(feature = "mutation-testing")]
    assert!(passes(veritune_mutation::without(&["VT-ENV-052"], || verdict(&certificate, hidden, with_file))));
}

#[test]
fn an_adapter_that_nobody_has_seen_is_bounded() {
    assert_bounded(MAX_HIDDEN_ADAPTER_BYTES, false, "the program that this version builds");
}

#[test]
fn an_adapter_of_more_than_four_gibibytes_is_refused_before_it_is_read() {
    assert_bounded(MAX_ADAPTER_BYTES, true, "not below the field order");
}

/// The check after this one builds the program, whose first state takes as much memory as the adapter.
#[test]
fn a_file_of_another_length_is_refused_before_the_program_is_built() {
    let certificate = TinyCertificate::new(run::monotonous(1));
    let judge = || verdict_with(&certificate, 8189, true, 1).0;
    assert_eq!(judge(), "VT-ENV-052");
    #[cfg(feature = "mutation-testing")]
    assert_eq!(veritune_mutation::without(&["VT-ENV-052"], judge), "VT-RUN-002");
}
