//! The allow-list of adapter directory and certificate: one fault per directory.

use std::fs;
use std::path::Path;
use veritune_envelope::codes::*;
use veritune_envelope::directory::{list_adapter, list_certificate, read_file};
use veritune_envelope::index::{INDEX_NAME, Index, is_safe_path};
use veritune_envelope::{Code, Verdict};

fn adapter() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("veritune/proofs")).unwrap();
    for name in [
        "adapter_model.safetensors",
        "adapter_config.json",
        "README.md",
        "model.sig",
        "veritune/claims.sigstore.json",
        "veritune/plan.sigstore.json",
        "veritune/proofs/step-0.bin",
    ] {
        fs::write(root.path().join(name), name).unwrap();
    }
    let certificate = root.path().join("veritune");
    let index = Index::build(&certificate, 1 << 10).unwrap();
    fs::write(certificate.join(INDEX_NAME), index.to_bytes().unwrap()).unwrap();
    root
}

/// What a verifier does with the files before it reads any of them as more than bytes.
fn check(root: &Path) -> Result<(), veritune_envelope::Refusal> {
    list_adapter(root)?;
    let certificate = root.join("veritune");
    let index = Index::from_bytes(&read_file(&certificate, INDEX_NAME, 1 << 20)?)?;
    index.check_listing(&list_certificate(&certificate)?)?;
    for entry in index.entries() {
        index.read(&certificate, &entry.path, 1 << 10)?;
    }
    Ok(())
}

#[test]
fn a_complete_directory() {
    let root = adapter();
    check(root.path()).unwrap();
    fs::remove_file(root.path().join("README.md")).unwrap();
    fs::remove_file(root.path().join("model.sig")).unwrap();
    check(root.path()).unwrap();
    let certificate = root.path().join("veritune");
    let paths: Vec<String> = list_certificate(&certificate).unwrap().paths().map(str::to_owned).collect();
    assert_eq!(paths, ["claims.sigstore.json", "index.json", "plan.sigstore.json", "proofs/step-0.bin"]);
}

#[test]
fn one_fault_per_directory() {
    type Fault = fn(&Path);
    let cases: &[(&str, Fault, Code, Verdict, &str)] = &[
        (
            "another weights file",
            |root| fs::write(root.join("adapter_model.bin"), "").unwrap(),
            DIRECTORY_EXTRA,
            Verdict::Refuted,
            "adapter_model.bin",
        ),
        (
            "a hidden file",
            |root| fs::write(root.join(".hidden"), "").unwrap(),
            DIRECTORY_EXTRA,
            Verdict::Refuted,
            ".hidden",
        ),
        (
            "another directory",
            |root| fs::create_dir(root.join("code")).unwrap(),
            DIRECTORY_EXTRA,
            Verdict::Refuted,
            "code",
        ),
        (
            "a directory in the place of a file",
            |root| {
                fs::remove_file(root.join("README.md")).unwrap();
                fs::create_dir(root.join("README.md")).unwrap();
            },
            DIRECTORY_EXTRA,
            Verdict::Refuted,
            "README.md",
        ),
        (
            "a file in the place of a directory",
            |root| {
                fs::remove_dir_all(root.join("veritune")).unwrap();
                fs::write(root.join("veritune"), "").unwrap();
            },
            DIRECTORY_EXTRA,
            Verdict::Refuted,
            "veritune",
        ),
        (
            "no weights",
            |root| fs::remove_file(root.join("adapter_model.safetensors")).unwrap(),
            FILE_MISSING,
            Verdict::Inconclusive,
            "adapter_model.safetensors",
        ),
        (
            "no certificate",
            |root| fs::remove_dir_all(root.join("veritune")).unwrap(),
            FILE_MISSING,
            Verdict::Inconclusive,
            "index.json",
        ),
        (
            "an unlisted proof",
            |root| fs::write(root.join("veritune/proofs/more.bin"), "").unwrap(),
            INDEX_UNLISTED,
            Verdict::Refuted,
            "proofs/more.bin",
        ),
        (
            "an unsafe name",
            |root| fs::write(root.join("veritune/proofs/a b"), "").unwrap(),
            DIRECTORY_EXTRA,
            Verdict::Refuted,
            "proofs/a b",
        ),
        (
            "a directory below the proofs",
            |root| fs::create_dir(root.join("veritune/proofs/proofs")).unwrap(),
            DIRECTORY_EXTRA,
            Verdict::Refuted,
            "proofs/proofs",
        ),
        (
            "a missing proof",
            |root| fs::remove_file(root.join("veritune/proofs/step-0.bin")).unwrap(),
            FILE_MISSING,
            Verdict::Inconclusive,
            "proofs/step-0.bin",
        ),
        (
            "a longer proof",
            |root| fs::write(root.join("veritune/proofs/step-0.bin"), "longer by far than it was before").unwrap(),
            INDEX_SIZE,
            Verdict::Refuted,
            "proofs/step-0.bin",
        ),
        (
            "another proof",
            |root| fs::write(root.join("veritune/proofs/step-0.bin"), "veritune/proofs/step-1.bin").unwrap(),
            INDEX_DIGEST,
            Verdict::Refuted,
            "proofs/step-0.bin",
        ),
        (
            "an index that is no JSON",
            |root| fs::write(root.join("veritune/index.json"), "{").unwrap(),
            JSON_SYNTAX,
            Verdict::Unusable,
            "byte 1",
        ),
    ];
    for (name, fault, code, verdict, location) in cases {
        let root = adapter();
        fault(root.path());
        let refusal = check(root.path()).unwrap_err();
        assert_eq!(
            (refusal.code(), refusal.verdict(), refusal.location()),
            (*code, *verdict, *location),
            "{name}: {refusal}"
        );
    }
}

#[cfg(unix)]
#[test]
fn links_and_special_files() {
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;
    for target in ["adapter_config.json", "veritune", "/dev/zero", "nowhere"] {
        let root = adapter();
        fs::remove_file(root.path().join("README.md")).unwrap();
        symlink(target, root.path().join("README.md")).unwrap();
        let refusal = check(root.path()).unwrap_err();
        assert_eq!((refusal.code(), refusal.location()), (DIRECTORY_NOT_REGULAR, "README.md"));
        let read = read_file(root.path(), "README.md", 10).unwrap_err();
        assert_eq!(read.code(), DIRECTORY_NOT_REGULAR);
    }
    let root = adapter();
    let _socket = std::os::unix::net::UnixListener::bind(root.path().join("model.sig2"));
    assert_eq!(check(root.path()).unwrap_err().code(), DIRECTORY_NOT_REGULAR);

    let root = adapter();
    fs::write(root.path().join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
    assert_eq!(check(root.path()).unwrap_err().code(), DIRECTORY_EXTRA);
}

#[test]
fn reading_has_a_limit() {
    let root = adapter();
    assert_eq!(read_file(root.path(), "README.md", 9).unwrap(), b"README.md");
    let refusal = read_file(root.path(), "README.md", 8).unwrap_err();
    assert_eq!((refusal.code(), refusal.verdict()), (FILE_TOO_LARGE, Verdict::Refuted));
    let missing = list_adapter(&root.path().join("nowhere")).unwrap_err();
    assert_eq!((missing.code(), missing.verdict()), (PATH_UNREADABLE, Verdict::Unusable));
    let file = list_adapter(&root.path().join("README.md")).unwrap_err();
    assert_eq!(file.code(), PATH_UNREADABLE);
}

#[test]
fn safe_paths() {
    for path in ["claims.sigstore.json", "proofs/step-0.bin", "A_1"] {
        assert!(is_safe_path(path));
    }
    let long = "a".repeat(101);
    for path in [
        "",
        ".",
        "..",
        "/x",
        "a/b",
        "proofs/",
        "proofs/../x",
        "proofs/a/b",
        "-x",
        ".x",
        "é",
        "a b",
        "a\\b",
        "a\0",
        "index.json",
        long.as_str(),
    ] {
        assert!(!is_safe_path(path), "{path}");
    }
}
