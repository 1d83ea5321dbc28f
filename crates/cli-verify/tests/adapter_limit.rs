//! The largest adapter that a certificate may speak of, to the static verifier.

use std::fs::{self, File};
use std::process::Command;
use veritune_attacks::setting::wide_adapter;
use veritune_attacks::{TinyCertificate, run};
use veritune_verifier::adapter::num_bytes;

#[test]
fn an_adapter_of_more_than_four_gibibytes_is_refused_before_it_is_read() {
    let certificate = TinyCertificate::new(run::monotonous(1));
    let folder = tempfile::tempdir().unwrap();
    let (adapter, key) = (folder.path().join("adapter"), folder.path().join("key.pem"));
    let spec = wide_adapter(8190);
    fs::create_dir(&adapter).unwrap();
    certificate.publish(&certificate.replanned(&spec), &adapter).unwrap();
    // Sparse: it has the length that the spec gives, so that only the limit refuses it, and takes no space.
    let file = File::options().write(true).open(adapter.join("adapter_model.safetensors")).unwrap();
    file.set_len(num_bytes(&spec).unwrap()).unwrap();
    fs::write(&key, certificate.public_key()).unwrap();
    let program = env!("CARGO_BIN_EXE_veritune-verify");
    let output = Command::new(program).arg(&adapter).arg("--key").arg(&key).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let expected = "refuted: VT-ENV-052 at adapter_model.safetensors: expected at most 4294967296 bytes, got 4295";
    assert!(said.starts_with(expected), "{said}");
}
