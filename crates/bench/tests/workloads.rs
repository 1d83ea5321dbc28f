//! The small workloads prove, verify from their files alone, and a changed proof, statement or state is refused.

use std::fs;
use std::path::{Path, PathBuf};
use veritune_bench::proof::{prove, verify};

const SMALL: [&str; 4] = ["matmul-16", "attention-8x16", "lora-sgd-8x16-r4", "adamw-1024"];

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn change(path: &Path, with: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    with(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn every_kind_of_workload_verifies_and_reaches_128_bits() {
    for name in SMALL {
        let folder = folder(name);
        prove(name, &folder, 1, 2).unwrap();
        let verified = verify(&folder, 1).unwrap();
        assert!(verified.security_bits >= 128, "{name}: {} bits", verified.security_bits);
        assert!(verified.hiding_commitments, "{name}");
        let files = fs::metadata(folder.join("proof.bin")).unwrap().len();
        let states = if name.starts_with("lora") || name.starts_with("adamw") { 2 } else { 0 };
        assert_eq!(verified.proof_bytes, files + 32 * states, "{name}");
    }
}

#[test]
fn a_changed_proof_is_refused() {
    let folder = folder("changed-proof");
    prove("matmul-16", &folder, 1, 2).unwrap();
    verify(&folder, 1).unwrap();
    let proof = folder.join("proof.bin");
    change(&proof, |bytes| bytes[40] ^= 1);
    verify(&folder, 1).unwrap_err();
    change(&proof, |bytes| bytes[40] ^= 1);
    verify(&folder, 1).unwrap();
    change(&proof, |bytes| bytes.push(0));
    verify(&folder, 1).unwrap_err();
}

#[test]
fn a_proof_of_another_workload_or_state_is_refused() {
    let folder = folder("changed-statement");
    prove("lora-sgd-8x16-r4", &folder, 1, 2).unwrap();
    let statement = folder.join("statement.json");
    let told = fs::read_to_string(&statement).unwrap();
    verify(&folder, 1).unwrap();
    fs::write(&statement, told.replace("-r4", "-r2")).unwrap();
    verify(&folder, 1).unwrap_err();
    let first = told.find("[\"").unwrap() + 2;
    let swapped = format!("{}{}{}", &told[..first], &told[first + 67..first + 131], &told[first + 64..]);
    assert_ne!(swapped, told);
    fs::write(&statement, swapped).unwrap();
    verify(&folder, 1).unwrap_err();
}
