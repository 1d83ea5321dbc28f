//! `veritune-verify PATH [options]`: the verdict as JSON on stdout, the exit code as in the verdict.

use std::process::ExitCode;

// A verifier whose checks can be switched off must not exist outside tests.
const _: () = assert!(!veritune_mutation::ENABLED);

fn main() -> ExitCode {
    let words = std::env::args_os().skip(1);
    ExitCode::from(veritune_cli_verify::run(words, &mut std::io::stdout(), &mut std::io::stderr()))
}
