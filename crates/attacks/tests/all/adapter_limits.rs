//! The largest adapters that a certificate may speak of, with its adapter's file and without.

use std::fs::File;
use veritune_attacks::setting::wide_adapter;
use veritune_attacks::{TinyCertificate, run};
use veritune_envelope::directory::ADAPTER_MODEL;
use veritune_verifier::adapter::num_bytes;
use veritune_verifier::certificate::MAX_ADAPTER_BYTES;
use veritune_verifier::request::{Request, verify};
use veritune_verifier::statement::MAX_FIRST_STATE_SLOTS;

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

/// The smallest width that `is_more`.
fn least(is_more: impl Fn(usize) -> bool) -> usize {
    let widths: Vec<usize> = (2..16_384).collect();
    widths[widths.partition_point(|&width| !is_more(width))]
}

/// With an adapter's file and without: a verifier keeps the first state, whatever stands beside the plan.
#[test]
fn a_first_state_of_more_slots_than_a_verifier_keeps_is_refused_before_it_is_made() {
    let certificate = TinyCertificate::new(run::monotonous(1));
    // Two targets, 256 layers of rank 256, and the width as a power of two.
    let hidden = least(|width| (width.next_power_of_two() << 17) > MAX_FIRST_STATE_SLOTS);
    for with_file in [false, true] {
        let (code, message) = verdict(&certificate, hidden, with_file);
        assert_eq!(code, "VT-RUN-002", "{message}");
        assert!(message.contains("the matrices A take 16777216 slots"), "{message}");
        let (code, message) = verdict(&certificate, hidden - 1, with_file);
        assert!(code == "VT-RUN-002" && message.contains("the program that this version builds"), "{message}");
    }
}

#[test]
fn an_adapter_of_more_than_four_gibibytes_is_refused_before_it_is_read() {
    let certificate = TinyCertificate::new(run::monotonous(1));
    let hidden = least(|width| num_bytes(&wide_adapter(width)).expect("a length") > MAX_ADAPTER_BYTES);
    let (code, message) = verdict(&certificate, hidden, true);
    assert_eq!(code, "VT-ENV-052", "{message}");
    assert!(message.starts_with(&format!("expected at most {MAX_ADAPTER_BYTES} bytes, got ")), "{message}");
    let passes = |(code, message): (String, String)| code == "VT-RUN-002" && message.contains("the field order");
    let less = verdict(&certificate, hidden - 1, true);
    assert!(passes(less.clone()), "{less:?}");
    #[cfg(feature = "mutation-testing")]
    assert!(passes(veritune_mutation::without(&["VT-ENV-052"], || verdict(&certificate, hidden, true))));
}

/// The check after this one builds the program.
#[test]
fn a_file_of_another_length_is_refused_before_the_program_is_built() {
    let certificate = TinyCertificate::new(run::monotonous(1));
    let judge = || verdict_with(&certificate, 8189, true, 1).0;
    assert_eq!(judge(), "VT-ENV-052");
    #[cfg(feature = "mutation-testing")]
    assert_eq!(veritune_mutation::without(&["VT-ENV-052"], judge), "VT-RUN-002");
}
