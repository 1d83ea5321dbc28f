//! The documents say what the catalogue and the programs hold.

use veritune_attacks::table::{document, step_checks_document};

#[test]
fn the_documents_are_generated() {
    for (name, expected) in [("attacks", document()), ("step-checks", step_checks_document())] {
        let path = format!("{}/../../docs/spec/{name}.md", env!("CARGO_MANIFEST_DIR"));
        let written = std::fs::read_to_string(&path).expect("a document");
        assert!(written == expected, "{path}: run `cargo run -p veritune-attacks --example attacks`");
    }
}

#[test]
fn every_item_of_the_list_is_covered_by_what_exists() {
    assert_eq!(veritune_attacks::issue::faults(), Vec::<String>::new());
}

/// Tests that need a feature are run by `make test`, not left out in silence.
#[test]
fn tests_behind_a_feature_are_run() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let makefile = std::fs::read_to_string(format!("{root}/Makefile")).expect("Makefile");
    let switched: Vec<&str> = makefile.lines().filter(|l| l.starts_with("SWITCHED :=")).collect();
    for crate_name in ["veritune-argument", "veritune-prover", "veritune-attacks"] {
        assert!(switched.iter().any(|line| line.contains(&format!("{crate_name}/mutation-testing"))), "{crate_name}");
    }
    let command: Vec<&str> = makefile.lines().skip_while(|l| *l != "test-rust:").skip(1).take(2).collect();
    assert!(command[0].starts_with("\tcargo test --release --workspace"), "{command:?}");
    assert!(command[1].ends_with("--features $(SWITCHED)"), "{command:?}");
}

#[test]
fn every_attack_has_its_own_name_and_some_check() {
    use std::collections::BTreeSet;
    use veritune_attacks::{Caught, STEP_ATTACKS};
    let attacks: Vec<_> = STEP_ATTACKS.iter().copied().flatten().collect();
    let mut all: Vec<_> = attacks.iter().map(|a| a.name).collect();
    all.extend(veritune_attacks::CERTIFICATE_ATTACKS.iter().copied().flatten().map(|a| a.name));
    all.extend(veritune_attacks::PROTOCOL_ATTACKS.iter().copied().flatten().map(|a| a.name));
    let names: BTreeSet<_> = all.iter().collect();
    assert_eq!(names.len(), all.len());
    assert!(attacks.iter().all(|a| !matches!(a.caught, Caught::Checks([]))));
}
