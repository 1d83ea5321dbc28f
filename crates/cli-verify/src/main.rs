//! `veritune-verify PATH [options]`: the verdict as JSON on stdout, the exit code as in the verdict.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use veritune_verifier::request::{MAX_TRUST_BYTES, Request, verify};

// A verifier whose checks can be switched off must not exist outside tests.
const _: () = assert!(!veritune_mutation::ENABLED);

const USAGE: &str = "\
usage: veritune-verify PATH [--key PUBLIC.pem]… [--trust KEYS.pem]… [--any-signer] [--no-file] [--policy POLICY.yaml]
PATH is an adapter directory with veritune/, a run directory, or a certificate directory.
exit codes: 0 verified, 1 refuted, 2 unusable input or wrong usage, 3 inconclusive, 4 a bug of ours";

fn main() -> ExitCode {
    let (path, request) = match arguments(std::env::args().skip(1)) {
        Ok(Some(asked)) => asked,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let report = verify(Path::new(&path), &request);
    match serde_json::to_string(&report) {
        // A reader that closes its end early changes nothing about the verdict.
        Ok(json) => drop(writeln!(std::io::stdout(), "{json}")),
        Err(_) => return ExitCode::from(4),
    }
    if report.exit != 0 {
        eprintln!("{}: {} at {}: {}", report.verdict, report.code, report.location, report.message);
    }
    ExitCode::from(report.exit)
}

/// The path and what is asked of it; none for `--help`.
fn arguments(mut words: impl Iterator<Item = String>) -> Result<Option<(String, Request)>, String> {
    let (mut path, mut request) = (None, Request::default());
    while let Some(word) = words.next() {
        let mut file = || words.next().ok_or_else(|| USAGE.to_owned()).and_then(|name| read(&name));
        match word.as_str() {
            "--key" => request.keys.push(file()?),
            "--trust" => request.trust.push(file()?),
            "--policy" if request.policy.is_none() => request.policy = Some(file()?),
            "--any-signer" => request.any_signer = true,
            "--no-file" => request.no_file = true,
            "--help" | "-h" => return Ok(None),
            other if path.is_none() && !other.starts_with('-') => path = Some(other.to_owned()),
            other => return Err(format!("unexpected argument {other}\n{USAGE}")),
        }
    }
    path.map(|path| Some((path, request))).ok_or_else(|| USAGE.to_owned())
}

/// The text of a small file of the user's own.
fn read(name: &str) -> Result<String, String> {
    let limit = u64::try_from(MAX_TRUST_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = String::new();
    let opened = std::fs::File::open(name);
    opened
        .and_then(|file| file.take(limit).read_to_string(&mut text))
        .map(|_| text)
        .map_err(|error| format!("{name} cannot be read: {error}"))
}
