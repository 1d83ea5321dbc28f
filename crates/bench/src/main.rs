//! `veritune-bench`: one workload proved into a folder, or one folder verified; prints one line of JSON.

use std::path::Path;
use veritune_bench::{BenchError, proof, steps, workloads};

const USAGE: &str = "usage: veritune-bench list
       veritune-bench prove WORKLOAD FOLDER REPEAT
       veritune-bench verify FOLDER REPEAT
       veritune-bench prove-steps MODEL TOKENS_FILE FOLDER TOKENS LAYERS RANK qv|all STEPS
       veritune-bench verify-steps FOLDER";

fn line(value: &impl serde::Serialize) -> Result<String, BenchError> {
    Ok(serde_json::to_string(value)?)
}

fn run(arguments: &[&str]) -> Result<Option<String>, BenchError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let number = |text: &str| text.parse::<usize>().map_err(|_| BenchError::Workload(format!("{text} as a number")));
    Ok(Some(match *arguments {
        ["list"] => workloads::NAMES.join("\n"),
        ["prove", name, folder, repeat] => line(&proof::prove(name, Path::new(folder), number(repeat)?, threads)?)?,
        ["verify", folder, repeat] => line(&proof::verify(Path::new(folder), number(repeat)?)?)?,
        ["prove-steps", model, text, folder, tokens, layers, rank, targets @ ("qv" | "all"), count] => {
            let size = steps::Size {
                tokens: number(tokens)?,
                layers: number(layers)?,
                rank: number(rank)?,
                all_targets: targets == "all",
                steps: number(count)? as u64,
            };
            line(&steps::prove(Path::new(model), Path::new(text), Path::new(folder), &size, threads)?)?
        }
        ["verify-steps", folder] => line(&steps::verify(Path::new(folder))?)?,
        _ => return Ok(None),
    }))
}

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(Some(text)) => {
            println!("{text}");
            std::process::ExitCode::SUCCESS
        }
        Ok(None) => {
            eprintln!("{USAGE}");
            std::process::ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("veritune-bench: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
