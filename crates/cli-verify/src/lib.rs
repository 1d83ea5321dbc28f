//! What `veritune-verify` does, but for the end of the process.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use veritune_verifier::last_resort::caught;
use veritune_verifier::report::Report;
use veritune_verifier::request::{MAX_TRUST_BYTES, Request, verify};

const USAGE: &str = "\
usage: veritune-verify PATH [--key PUBLIC.pem]… [--trust KEYS.pem]… [--any-signer] [--no-file] [--policy POLICY.yaml]
PATH is an adapter directory with veritune/, a run directory, or a certificate directory.
exit codes: 0 verified, 1 refuted, 2 unusable input or wrong usage, 3 inconclusive, 4 a bug of ours";

/// Answers the words after the program's name on `out` and `err`; returns the exit code. A panic is exit 4.
pub fn run(words: impl Iterator<Item = OsString>, out: &mut impl Write, err: &mut impl Write) -> u8 {
    caught(|| answer(words, out, err)).unwrap_or_else(|stopped| tell(&stopped.report(), out, err))
}

fn answer(words: impl Iterator<Item = OsString>, out: &mut impl Write, err: &mut impl Write) -> u8 {
    match arguments(words) {
        Ok(Some((path, request))) => tell(&verify(&path, &request), out, err),
        Ok(None) => {
            print(out, &USAGE);
            0
        }
        Err(message) => {
            print(err, &message);
            2
        }
    }
}

/// Writes a verdict; returns its exit code.
fn tell(report: &Report, out: &mut impl Write, err: &mut impl Write) -> u8 {
    match serde_json::to_string(report) {
        Ok(json) => print(out, &json),
        Err(_) => return 4,
    }
    if report.exit != 0 {
        let Report { verdict, code, location, message, .. } = report;
        print(err, &format_args!("{verdict}: {code} at {location}: {message}"));
    }
    report.exit
}

/// Writes a line. A reader that closes its end early, or a full disk behind it, changes nothing about the verdict, which
/// is the exit code.
fn print(to: &mut impl Write, line: &impl Display) {
    drop(writeln!(to, "{line}"));
}

/// The path and what is asked of it; none for `--help`.
fn arguments(mut words: impl Iterator<Item = OsString>) -> Result<Option<(PathBuf, Request)>, String> {
    let (mut path, mut request) = (None, Request::default());
    while let Some(word) = words.next() {
        let mut file = || words.next().ok_or_else(|| USAGE.to_owned()).and_then(|name| read(Path::new(&name)));
        match word.to_str() {
            Some("--key") => request.keys.push(file()?),
            Some("--trust") => request.trust.push(file()?),
            Some("--policy") if request.policy.is_none() => request.policy = Some(file()?),
            Some("--any-signer") => request.any_signer = true,
            Some("--no-file") => request.no_file = true,
            Some("--help" | "-h") => return Ok(None),
            other if path.is_none() && !other.is_some_and(|o| o.starts_with('-')) => path = Some(PathBuf::from(word)),
            _ => return Err(format!("unexpected argument {}\n{USAGE}", word.display())),
        }
    }
    path.map(|path| Some((path, request))).ok_or_else(|| USAGE.to_owned())
}

/// The text of a small file of the user's own; what is no UTF-8 in it, say in a comment, is read as in the Python command.
fn read(name: &Path) -> Result<String, String> {
    let limit = u64::try_from(MAX_TRUST_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(name);
    opened
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map(|_| String::from_utf8_lossy(&bytes).into_owned())
        .map_err(|error| format!("{} cannot be read: {error}", name.display()))
}
