//! The exit code is the verdict's, whoever reads what the program writes.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// The exit code of a call whose output goes to a full device, and of the same call that is read.
fn exit_codes(arguments: &[&OsStr]) -> [Option<i32>; 2] {
    let mut command = Command::new(env!("CARGO_BIN_EXE_veritune-verify"));
    command.args(arguments);
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let into_full = command.stdout(full()).stderr(full()).status().unwrap().code();
    [into_full, command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap().status.code()]
}

fn assert_exit(expected: i32, arguments: &[&OsStr]) {
    assert_eq!(exit_codes(arguments), [Some(expected); 2], "{arguments:?}");
}

#[test]
fn the_exit_code_does_not_depend_on_who_reads() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (empty, forged) = (at("empty"), at("forged"));
    fs::create_dir(&empty).unwrap();
    fs::create_dir_all(forged.join("certificate")).unwrap();
    fs::write(forged.join("adapter_model.safetensors"), b"x").unwrap();
    let verdict = |path: &Path, expected| assert_exit(expected, &[path.as_os_str(), OsStr::new("--any-signer")]);
    verdict(&forged, 1);
    verdict(&at("nothing"), 2);
    verdict(&empty, 3);
    assert_exit(0, &[OsStr::new("--help")]);
    assert_exit(2, &[]);
    assert_exit(2, &[OsStr::new("--key"), at("no.pem").as_os_str(), empty.as_os_str()]);
}

/// A path is bytes, not text.
#[test]
fn an_argument_that_is_no_text_is_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let name = OsString::from_vec(b"\xff".to_vec());
    let path = folder.path().join(name);
    assert_exit(2, &[path.as_os_str()]);
    fs::create_dir(&path).unwrap();
    assert_exit(3, &[path.as_os_str()]);
}
