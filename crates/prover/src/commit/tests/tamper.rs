//! Every part of a proof and of its statement, changed, is refused with the right kind of error.

use super::*;
use veritune_commit::{Location, ShapeError};
use veritune_field::P;

fn instance() -> Instance {
    Instance::new(11, &[blake3(11, 2, true, 1), poseidon2(10, 1, false, 1)])
}

/// Which codes a change in a component may give. A change before the positions are drawn moves them, so
/// what is refused is then what is read at the wrong place.
const MANIFEST: &[(&str, &[&str])] = &[
    ("sumcheck", &["opening-sumcheck-claim"]),
    ("values", &["opening-sumcheck-claim"]),
    ("combined value", &["opening-sumcheck-claim"]),
    ("cover sums", &["opening-sumcheck-claim"]),
    // Pads of no scalar and what hides the pads are in no relation: they move the positions.
    (
        "covered pads",
        &[
            "opening-sumcheck-claim",
            "opening-combined-value",
            "opening-root-mismatch",
            "opening-not-canonical",
            "opening-unexpected-end",
        ],
    ),
    ("tree 0", &["opening-root-mismatch", "opening-not-canonical"]),
    ("tree 1", &["opening-root-mismatch", "opening-not-canonical"]),
    ("level 1 root and sumcheck", &["opening-root-mismatch", "opening-not-canonical", "opening-unexpected-end"]),
    ("final vector", &["opening-root-mismatch", "opening-not-canonical", "opening-unexpected-end"]),
    ("last oracle rows", &["opening-root-mismatch", "opening-not-canonical"]),
];

/// The bytes of a component in the proof.
fn range(report: &OpeningReport, name: &str) -> std::ops::Range<usize> {
    components(report).into_iter().find(|(n, _)| n == name).unwrap().1
}

/// Component name and its bytes in the proof. The root of level 1 comes before the rows of the trees.
fn components(report: &OpeningReport) -> Vec<(String, std::ops::Range<usize>)> {
    let mut start = 0;
    let mut ranges = Vec::new();
    for (name, bytes) in &report.components {
        ranges.push((name.clone(), start..start + bytes));
        start += bytes;
    }
    ranges
}

#[test]
fn every_component_changed_anywhere_is_refused_with_its_codes() {
    let mut instance = instance();
    let (proof, report) = instance.prove();
    let ranges = components(&report);
    let names: Vec<&str> = ranges.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, MANIFEST.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for ((name, range), (_, codes)) in ranges.iter().zip(MANIFEST) {
        // All words of short components, a sample of the words of long ones.
        let step = (range.len() / 64 / 8).max(1) * 8;
        for offset in range.clone().step_by(step).flat_map(|start| [start, start + 7]) {
            let mut changed = proof.clone();
            changed[offset.min(range.end - 1)] ^= 1;
            let error = instance.verify(&changed).unwrap_err();
            // The first bytes of tree 0 are the root of level 1, a change of which moves the positions.
            let moved = name == "tree 0" && error.code() == "opening-unexpected-end";
            assert!(codes.contains(&error.code()) || moved, "{name} at {offset}: {error}");
        }
    }
}

#[test]
fn elements_at_or_above_the_order_are_refused_where_they_stand() {
    let mut instance = instance();
    let (proof, report) = instance.prove();
    let at = |offset: usize| {
        let mut changed = proof.clone();
        changed[offset..offset + 8].copy_from_slice(&P.to_le_bytes());
        match instance.verify(&changed) {
            Err(OpeningError::NotCanonical { at, .. }) => at,
            other => panic!("{offset}: {other:?}"),
        }
    };
    let start = |name: &str| range(&report, name).start;
    for round in 0..13 {
        for word in 0..6 {
            assert_eq!(at(round * 48 + word * 8), Location::Sumcheck { round: round as u32 });
        }
    }
    for (name, location) in [
        ("values", Location::Values),
        ("combined value", Location::CombinedValue),
        ("cover sums", Location::CoverSums),
        ("covered pads", Location::CoveredPads),
    ] {
        for offset in range(&report, name).step_by(8) {
            assert_eq!(at(offset), location);
        }
    }
    // Columns, mask, pads and cover of the first row; the root of level 1 takes the first 32 bytes.
    for word in 0..13 {
        let found = at(start("tree 0") + 32 + word * 8);
        assert!(matches!(found, Location::Row { level: 0, tree: 0, .. }), "{found:?}");
    }
    // Columns and salt of a Poseidon2 row, and its last sibling.
    for word in 0..6 {
        let found = at(start("tree 1") + word * 8);
        assert!(matches!(found, Location::Row { level: 0, tree: 1, .. }), "{found:?}");
    }
    assert_eq!(at(range(&report, "tree 1").end - 8), Location::Siblings { level: 0, tree: 1 });
    for word in 0..6 {
        assert_eq!(at(start("level 1 root and sumcheck") + word * 8), Location::LevelSumcheck { level: 1, round: 0 });
    }
    assert_eq!(at(start("final vector")), Location::FinalVector);
    assert_eq!(at(range(&report, "final vector").end - 8), Location::FinalVector);
    let found = at(start("last oracle rows"));
    assert!(matches!(found, Location::Row { level: 1, tree: 0, .. }), "{found:?}");
}

#[test]
fn truncated_and_extended_proofs_are_refused() {
    let mut instance = instance();
    let (proof, report) = instance.prove();
    for (name, range) in components(&report) {
        for length in [range.start, range.start + 1, range.end - 1] {
            let error = instance.verify(&proof[..length]).unwrap_err();
            assert_eq!(error.code(), "opening-unexpected-end", "{name} cut to {length}: {error}");
        }
    }
    for extra in [1, 32, 1000] {
        let mut longer = proof.clone();
        longer.resize(proof.len() + extra, 0);
        assert_eq!(instance.verify(&longer), Err(OpeningError::TrailingBytes { extra }));
    }
    assert_eq!(instance.verify(&[]).unwrap_err().code(), "opening-unexpected-end");
}

#[test]
fn swapped_dropped_and_repeated_parts_are_refused() {
    let mut instance = instance();
    let (proof, report) = instance.prove();
    for (name, range) in components(&report) {
        let half = range.len() / 2;
        let mut swapped = proof.clone();
        swapped[range.clone()].rotate_left(half);
        assert!(instance.verify(&swapped).is_err(), "{name} rotated");
        let dropped = [&proof[..range.start], &proof[range.end..]].concat();
        assert!(instance.verify(&dropped).is_err(), "{name} dropped");
        let repeated = [&proof[..range.end], &proof[range.start..]].concat();
        assert!(instance.verify(&repeated).is_err(), "{name} repeated");
    }
    // Two rows of tree 0 change places.
    let row_bytes = instance.trees[0].shape().row_bytes();
    let start = range(&report, "tree 0").start + 32;
    let mut swapped = proof.clone();
    swapped[start..start + 2 * row_bytes].rotate_left(row_bytes);
    assert_eq!(instance.verify(&swapped), Err(OpeningError::RootMismatch { level: 0, tree: 0 }));
    // The last two siblings change places.
    let mut swapped = proof.clone();
    let end = proof.len();
    swapped[end - 64..].rotate_left(32);
    assert_eq!(instance.verify(&swapped), Err(OpeningError::RootMismatch { level: 1, tree: 0 }));
}

#[test]
fn a_changed_statement_is_refused() {
    let mut instance = instance();
    let (proof, _) = instance.prove();
    let verify = |statement: &[(TreeShape, Root)], target: E, prefix: &[u8], scale: E| {
        let mut transcript = Transcript::new(prefix);
        verify_opening(&instance.profile, statement, target, &proof, &mut transcript, |z| {
            instance.weights_at(z).into_iter().map(|w| w * scale).collect()
        })
        .err()
        .map(|error| error.code())
    };
    let statement = instance.statement();
    let target = instance.target;
    let refused = Some("opening-sumcheck-claim");
    assert_eq!(verify(&statement, target, b"test", E::ONE), None);
    assert_eq!(verify(&statement, target + E::ONE, b"test", E::ONE), refused);
    assert_eq!(verify(&statement, target, b"another", E::ONE), refused);
    assert_eq!(verify(&statement, target, b"test", E::TWO), refused);
    for tree in 0..2 {
        let mut changed = statement.clone();
        changed[tree].1.0[0] ^= 1;
        assert_eq!(verify(&changed, target, b"test", E::ONE), refused, "root {tree}");
    }
    let mut changed = statement.clone();
    changed[1].0.budget = 2;
    assert_eq!(verify(&changed, target, b"test", E::ONE), refused, "budget");
    changed[1].0.log_columns = 2;
    assert_eq!(verify(&changed, target, b"test", E::ONE), refused, "columns");
    changed = statement.clone();
    changed[1].0.log_rows = 11;
    assert_eq!(verify(&changed, target, b"test", E::ONE), refused, "rows");
    let swapped = [statement[1], statement[0]];
    assert_eq!(verify(&swapped, target, b"test", E::ONE), refused, "order");
    changed = statement.clone();
    changed[1].1.0 = [0xff; 32];
    assert_eq!(verify(&changed, target, b"test", E::ONE), Some("opening-not-canonical"));
}

#[test]
fn a_malformed_statement_is_refused_before_the_proof_is_read() {
    let instance = instance();
    let statement = instance.statement();
    let verify = |statement: &[(TreeShape, Root)]| {
        let mut transcript = Transcript::new(b"test");
        let error = verify_opening(&instance.profile, statement, E::ZERO, &[], &mut transcript, |_| vec![]);
        match error {
            Err(OpeningError::Statement { tree, problem }) => (tree, problem),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(verify(&[]), (0, ShapeError::TreeCount(0)));
    assert_eq!(verify(&[statement[0]; 17]), (17, ShapeError::TreeCount(17)));
    assert_eq!(verify(&[statement[0]; 2]), (2, ShapeError::MaskedCount(2)));
    assert_eq!(verify(&statement[1..]), (1, ShapeError::MaskedCount(0)));
    let mut changed = statement.clone();
    changed[1].0.budget = 0;
    assert_eq!(verify(&changed), (1, ShapeError::ZeroBudget));
    changed[1].0.log_columns = u32::MAX;
    assert_eq!(verify(&changed), (1, ShapeError::TooManyColumns(u32::MAX)));
}

#[test]
fn a_wrong_number_of_weights_is_refused() {
    let mut instance = instance();
    let (proof, _) = instance.prove();
    let mut transcript = Transcript::new(b"test");
    let statement = instance.statement();
    let target = instance.target;
    let result = verify_opening(&instance.profile, &statement, target, &proof, &mut transcript, |_| vec![E::ONE]);
    assert_eq!(result, Err(OpeningError::WeightCount { expected: 2, got: 1 }));
}
