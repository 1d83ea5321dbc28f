//! Who has a certificate and guesses the adapter: of a public adapter both ways say whether the guess is right, of a hidden one there
//! is nothing to compare a guess with. Who is given the adapter checks it all the same.

use std::fs;
use std::path::Path;
use veritune_attacks::certificate::{TinyCertificate, sha256};
use veritune_attacks::run::copies;
use veritune_attacks::{World, run};
use veritune_envelope::directory::{ADAPTER_CONFIG, ADAPTER_MODEL, ADAPTER_RELEASE, CERTIFICATE};
use veritune_envelope::{bundle, index};
use veritune_verifier::certificate::NOT_CLAIMED_ADAPTER_FILE;
use veritune_verifier::report::Report;
use veritune_verifier::request::{Request, verify};
use veritune_verifier::step::Context;

/// All bytes of a published certificate: its files, and what is signed without its base64.
fn published(folder: &Path) -> Vec<Vec<u8>> {
    let read = |name: &str| fs::read(folder.join(name)).expect("a file");
    let listed = index::Index::from_bytes(&read(index::INDEX_NAME)).expect("an index");
    let mut all: Vec<Vec<u8>> = listed.entries().iter().map(|entry| read(&entry.path)).collect();
    all.push(read(index::INDEX_NAME));
    let signed = bundle::from_json(&read("claims.sigstore.json")).expect("a bundle");
    all.push(signed.unverified_payload().to_vec());
    all
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn holds(file: &[u8], wanted: &[u8]) -> bool {
    file.windows(wanted.len()).any(|window| window == wanted)
}

/// Whether the right guess is confirmed by a digest, and by a proof, in what is published.
fn confirmed(certificate: &TinyCertificate, files: &[Vec<u8>]) -> [bool; 2] {
    let tiny = &certificate.tiny;
    let context = Context::new(&tiny.run).expect("a context");
    let copies = copies(&context, tiny.states.last().expect("a state"));
    let last = *tiny.roots.last().expect("a root");
    let guess = &certificate.parts.adapter;
    let digest = sha256(guess);
    let by_digest = |file: &Vec<u8>| holds(file, &digest) || holds(file, hex(&digest).as_bytes());
    let by_proof = |file: &Vec<u8>| context.verify_release(last, &copies, &digest, file).is_ok();
    [files.iter().any(by_digest), files.iter().any(by_proof)]
}

fn without_file(certificate: &TinyCertificate, path: &Path) -> Report {
    verify(path, &Request { keys: vec![certificate.public_key()], no_file: true, ..Request::default() })
}

#[test]
fn a_certificate_of_a_hidden_adapter_confirms_no_guess_and_its_holder_checks_it() {
    for (world, is_public) in [(World::AdamW, true), (World::HiddenAdapter, false)] {
        let certificate = world.prove();
        let folder = tempfile::tempdir().expect("a folder");
        certificate.publish(&certificate.parts, folder.path()).expect("published");
        let inner = folder.path().join(CERTIFICATE);
        assert_eq!(confirmed(&certificate, &published(&inner)), [is_public; 2], "{world:?}");

        // The holder: one proof more says that the file is the last state.
        let report = certificate.verify(folder.path());
        assert_eq!(report.exit, 0, "{} {} {}", report.code, report.location, report.message);
        let digests: Vec<String> = report.files.iter().map(|file| file.digest.sha256.to_string()).collect();
        assert_eq!(digests, [&certificate.parts.adapter, &certificate.parts.config].map(|file| hex(&sha256(file))));
        assert_eq!(report.claims.iter().filter(|claim| claim.kind == "adapter-file").count(), 1);
        assert!(!report.not_claimed.iter().any(|text| text == NOT_CLAIMED_ADAPTER_FILE));

        // The certificate alone: everything but the file, and the verdict says no more than the certificate.
        for name in [ADAPTER_MODEL, ADAPTER_CONFIG, ADAPTER_RELEASE] {
            assert!(
                fs::remove_file(folder.path().join(name)).is_ok() != (is_public && name == ADAPTER_RELEASE),
                "{name}"
            );
        }
        for path in [&inner, folder.path()] {
            let report = certificate.verify(path);
            assert_eq!((report.exit, report.code.as_str()), (3, "VT-POLICY-006"));
            let report = without_file(&certificate, path);
            assert_eq!(report.exit, 0, "{} {} {}", report.code, report.location, report.message);
            assert_eq!((report.claims.len(), report.files.len()), (3, 0));
            assert_eq!(report.not_claimed.iter().filter(|text| *text == NOT_CLAIMED_ADAPTER_FILE).count(), 1);
            let said = serde_json::to_vec(&report).expect("JSON");
            assert_eq!(confirmed(&certificate, &[said]), [false; 2]);
        }
    }
}

/// What a holder is given binds the adapter to the certificate: it confirms no other run's.
#[test]
fn two_hidden_adapters_are_not_exchanged() {
    let [one, other] = [2, 3].map(|steps| TinyCertificate::new(run::with_hidden_adapter(run::monotonous(steps))));
    let folder = tempfile::tempdir().expect("a folder");
    one.publish(&one.parts, folder.path()).expect("published");
    assert_eq!(one.verify(folder.path()).exit, 0);
    let proof = other.parts.adapter_release.as_ref().expect("a proof");
    fs::write(folder.path().join(ADAPTER_RELEASE), proof).expect("written");
    assert_eq!(one.verify(folder.path()).code, "VT-RUN-010");
    fs::write(folder.path().join(ADAPTER_MODEL), &other.parts.adapter).expect("written");
    assert_eq!(one.verify(folder.path()).code, "VT-RUN-010");
}
