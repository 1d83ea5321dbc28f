//! `veritune-verify ADAPTER_DIR --key PUBLIC.pem…`: the verdict as JSON on stdout, the exit code as in the verdict.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use veritune_verifier::certificate;

// A verifier whose checks can be switched off must not exist outside tests.
const _: () = assert!(!veritune_mutation::ENABLED);

const USAGE: &str = "usage: veritune-verify ADAPTER_DIR --key PUBLIC.pem [--key …]";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut path, mut keys) = (None, Vec::new());
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--key" => match arguments.next().map(std::fs::read_to_string) {
                Some(Ok(pem)) => keys.push(pem),
                Some(Err(error)) => return unusable(&format!("the key cannot be read: {error}")),
                None => return unusable(USAGE),
            },
            "--help" | "-h" => {
                println!("{USAGE}");
                return ExitCode::SUCCESS;
            }
            other if path.is_none() && !other.starts_with('-') => path = Some(other.to_owned()),
            other => return unusable(&format!("unexpected argument {other}; {USAGE}")),
        }
    }
    let Some(path) = path else { return unusable(USAGE) };
    let report = certificate::verify(Path::new(&path), &keys);
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

fn unusable(message: &str) -> ExitCode {
    eprintln!("{message}");
    ExitCode::from(2)
}
