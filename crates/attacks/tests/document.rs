//! The document says what the catalogue holds.

#[test]
fn the_document_is_generated() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/spec/attacks.md");
    let written = std::fs::read_to_string(path).expect("docs/spec/attacks.md");
    let expected = veritune_attacks::table::document();
    assert!(written == expected, "run `cargo run -p veritune-attacks --example attacks`");
}

#[test]
fn every_attack_has_its_own_name_and_some_check() {
    use std::collections::BTreeSet;
    use veritune_attacks::{Caught, STEP_ATTACKS};
    let attacks: Vec<_> = STEP_ATTACKS.iter().copied().flatten().collect();
    let names: BTreeSet<_> = attacks.iter().map(|a| a.name).collect();
    assert_eq!(names.len(), attacks.len());
    assert!(attacks.iter().all(|a| !matches!(a.caught, Caught::Checks([]))));
}
