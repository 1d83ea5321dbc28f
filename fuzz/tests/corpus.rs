//! Every committed input, and every seed, through its target: what a fuzzer found once stays found.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use veritune_fuzz::{TARGETS, Target};

/// In a build without the fuzzer's counters, on a machine that others use too.
const MAX_TIME: Duration = Duration::from_secs(5);

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

#[test]
fn no_input_breaks_a_property() {
    for target in TARGETS {
        let mut inputs: Vec<(String, Vec<u8>)> =
            (0..).map(|n: usize| format!("seed {n}")).zip((target.seeds)()).collect();
        let seeds = inputs.len();
        for entry in fs::read_dir(corpus().join(target.name)).expect("the folder of the target") {
            let path = entry.expect("an entry").path();
            inputs.push((path.display().to_string(), fs::read(&path).expect("an input")));
        }
        assert!(seeds > 0 && inputs.len() > seeds, "{}: no seeds or no committed inputs", target.name);
        inputs.push(("nothing".to_owned(), Vec::new()));
        (target.run)(&[]);
        let begun = Instant::now();
        for (name, input) in &inputs {
            let begun = Instant::now();
            (target.run)(input);
            assert!(begun.elapsed() < MAX_TIME, "{}: {name}: {:?}", target.name, begun.elapsed());
        }
        println!("{}: {} inputs in {:?}", target.name, inputs.len(), begun.elapsed());
    }
}

#[test]
fn every_folder_of_inputs_is_a_targets() {
    let folders: BTreeSet<String> = fs::read_dir(corpus())
        .expect("the committed inputs")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    let named: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert!(folders.is_subset(&named) || !cfg!(feature = "mutation-testing"), "{folders:?}");
}

#[test]
fn every_target_has_its_program_and_its_row() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(root.join(path)).expect("a file");
    let (manifest, page) = (read("libfuzzer/Cargo.toml"), read("../docs/notes/fuzzing.md"));
    for Target { name, .. } in TARGETS {
        assert!(manifest.contains(&format!("[[bin]]\nname = \"{name}\"\n")), "{name}");
        let program = read(&format!("libfuzzer/targets/{name}.rs"));
        assert!(program.contains(&format!("program!({name});")), "{program}");
        assert!(page.lines().any(|line| line.starts_with("| `") && line.contains(&format!("`{name}`"))), "{name}");
    }
}
