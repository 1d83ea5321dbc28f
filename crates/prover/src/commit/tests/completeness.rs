//! Honest openings are accepted, refused inputs are refused, bytes are reproducible.

use super::super::OpenError;
use super::*;
use veritune_commit::{ShapeError, most_opening_bytes};

#[test]
fn honest_openings_of_several_shapes_are_accepted() {
    let lists: &[(u32, &[TreeShape])] = &[
        (10, &[blake3(10, 0, true, 1)]),
        (11, &[blake3(11, 4, true, 1)]),
        (11, &[poseidon2(11, 2, true, 1)]),
        (11, &[blake3(11, 3, true, 1), blake3(11, 1, false, 4), blake3(11, 1, false, 4), blake3(11, 0, false, 1)]),
        (11, &[blake3(11, 0, false, 1), poseidon2(11, 3, false, 2), blake3(11, 1, true, 1)]),
        (12, &[poseidon2(12, 1, false, 1), poseidon2(12, 4, true, 1)]),
        (16, &[blake3(16, 1, false, 4), blake3(16, 2, true, 1)]),
        // Trees with fewer rows than the profile: as many leaves as queries meet, and hardly more rows than random ones.
        (12, &[blake3(12, 1, true, 1), poseidon2(9, 3, false, 1), poseidon2(11, 0, false, 4)]),
        (13, &[poseidon2(11, 5, false, 2), blake3(13, 2, true, 1), blake3(10, 0, false, 1)]),
    ];
    for (log_rows, shapes) in lists {
        let mut instance = Instance::new(*log_rows, shapes);
        let (proof, report) = instance.prove();
        assert_eq!(instance.verify(&proof), Ok(()), "{log_rows} {shapes:?}");
        assert_eq!(report.components.iter().map(|(_, bytes)| bytes).sum::<usize>(), proof.len());
    }
}

#[test]
fn an_opening_has_the_length_of_its_messages_and_no_more_than_the_most() {
    for log_rows in [10, 16] {
        let shapes = [blake3(log_rows, 2, true, 1), poseidon2(10, 1, false, 1)];
        let mut instance = Instance::new(log_rows, &shapes);
        let (proof, report) = instance.prove();
        let profile = &instance.profile;
        let most = most_opening_bytes(profile, &shapes);
        assert!(proof.len() <= most, "{} of {most}", proof.len());
        // Without rows and siblings, of which there may be fewer, nothing is left over.
        let rows =
            |queries: u32, log_domain: u32, row_bytes: usize| queries as usize * (log_domain as usize * 32 + row_bytes);
        let trees = shapes.iter().map(|s| rows(profile.queries(), s.log_domain(profile), s.row_bytes()));
        let levels = profile.levels().iter().map(|l| rows(l.queries, l.log_domain(), 16 * 24) + 32 + 4 * 48);
        let messages = ["sumcheck", "values", "combined value", "cover sums", "covered pads", "final vector"];
        let sent = report.components.iter().filter(|(name, _)| messages.contains(&name.as_str()));
        assert_eq!(sent.map(|(_, bytes)| bytes).sum::<usize>(), most - trees.chain(levels).sum::<usize>());
        assert_eq!(report.components[4].1, (2 * (log_rows as usize + 10) + 17 + 345) * 24);
    }
}

#[test]
fn leaves_longer_than_a_blake3_chunk_are_accepted() {
    let mut instance = Instance::new(10, &[blake3(10, 8, true, 1)]);
    let (proof, _) = instance.prove();
    assert_eq!(instance.verify(&proof), Ok(()));
}

#[test]
fn prover_and_verifier_transcripts_end_equal() {
    let mut instance = Instance::new(11, &[blake3(11, 2, true, 1)]);
    let (mut prover, mut verifier) = (Transcript::new(b"test"), Transcript::new(b"test"));
    let statement = instance.statement();
    let weights = instance.blocks();
    let tree = &mut instance.trees[0];
    let proof = super::super::open(&instance.profile, &mut [tree], weights, instance.target, &mut prover);
    let at = |z: &[E]| instance.weights_at(z);
    let proof = proof.unwrap();
    verify_opening(&instance.profile, &statement, instance.target, &proof, &mut verifier, at).unwrap();
    assert_eq!(prover, verifier);
}

#[test]
fn equal_inputs_give_equal_bytes_for_any_number_of_threads() {
    let bytes = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut instance = Instance::new(12, &[blake3(12, 5, true, 1), poseidon2(12, 1, false, 2)]);
            (instance.statement(), instance.prove().0)
        })
    };
    let one = bytes(1);
    assert_eq!(one, bytes(2));
    assert_eq!(one, bytes(3));
}

/// An opening does not depend on the processor's registers (`make test-portable`).
#[test]
fn openings_are_those_of_every_build() {
    let mut instance = Instance::new(12, &[blake3(12, 5, true, 1), poseidon2(12, 1, false, 2)]);
    let digest = blake3::hash(&instance.prove().0);
    assert_eq!(digest.to_hex().as_str(), "ec35e8e0565db3495ade693929a7d838b07bb41c2ead67c1b5138010cebfc1ee");
}

#[test]
fn the_same_seed_commits_to_the_same_root_and_another_seed_to_another() {
    let profile = Profile::new(11).unwrap();
    let root = |seed: u8| {
        let data = vec![F::TWO; 100];
        commit(&profile, blake3(11, 1, false, 4), data, Randomness::from_seed([seed; 32])).unwrap().root()
    };
    assert_eq!(root(1), root(1));
    assert_ne!(root(1), root(2));
}

#[test]
fn opened_rows_of_equal_data_under_two_seeds_have_no_word_in_common() {
    // Random rows, masks and salts hide constant data: no word of one opened row is in the other.
    let rows = |seed: u8| {
        let profile = Profile::new(10).unwrap();
        let data = vec![F::ONE; 512];
        let tree = commit(&profile, blake3(10, 1, true, 1), data, Randomness::from_seed([seed; 32])).unwrap();
        let mut bytes = Vec::new();
        tree.write_rows(&(0..64).collect::<Vec<_>>(), &mut bytes);
        bytes.truncate(64 * tree.shape().row_bytes());
        bytes.as_chunks::<8>().0.iter().copied().collect::<std::collections::BTreeSet<_>>()
    };
    let (one, two) = (rows(1), rows(2));
    assert_eq!(one.len(), 64 * (2 + 9 + 4));
    assert!(one.is_disjoint(&two));
}

#[test]
fn data_over_capacity_and_bad_shapes_are_refused() {
    let profile = Profile::new(11).unwrap();
    let refuse = |shape: TreeShape, length: usize| {
        commit(&profile, shape, vec![F::ONE; length], Randomness::from_seed([0; 32])).err()
    };
    let full = capacity(&profile, &blake3(11, 1, false, 4)).unwrap();
    assert_eq!(full, (2048 - 4 * 345) * 2);
    assert!(refuse(blake3(11, 1, false, 4), full).is_none());
    assert_eq!(
        refuse(blake3(11, 1, false, 4), full + 1),
        Some(ShapeError::OverCapacity { capacity: full, got: full + 1 })
    );
    assert_eq!(refuse(blake3(11, 1, false, 0), 1), Some(ShapeError::ZeroBudget));
    assert_eq!(refuse(blake3(11, 1, true, 2), 1), Some(ShapeError::MaskedBudget(2)));
    assert_eq!(refuse(blake3(11, 11, true, 1), 1), Some(ShapeError::TooManyColumns(11)));
    assert_eq!(refuse(blake3(12, 1, false, 1), 1), Some(ShapeError::Rows { log_rows: 12, profile: 11 }));
    assert_eq!(refuse(blake3(10, 1, true, 1), 1), Some(ShapeError::Rows { log_rows: 10, profile: 11 }));
    assert_eq!(refuse(blake3(8, 1, false, 1), 1), Some(ShapeError::BudgetExceedsRows { tail_rows: 345, log_rows: 8 }));
    assert_eq!(
        refuse(blake3(11, 1, false, 6), 1),
        Some(ShapeError::BudgetExceedsRows { tail_rows: 2070, log_rows: 11 })
    );
}

#[test]
fn a_spent_budget_refuses_a_further_opening() {
    let open = |witness: &mut CommittedTree, state: &mut CommittedTree| {
        let profile = Profile::new(11).unwrap();
        let mut transcript = Transcript::new(b"test");
        super::super::open(&profile, &mut [witness, state], vec![BlockVector::default(); 2], E::ZERO, &mut transcript)
    };
    let profile = Profile::new(11).unwrap();
    let tree = |shape, seed| commit(&profile, shape, vec![F::ONE], Randomness::from_seed([seed; 32])).unwrap();
    let mut state = tree(blake3(11, 0, false, 2), 0);
    let mut witness = tree(blake3(11, 1, true, 1), 1);
    assert!(open(&mut witness, &mut state).is_ok());
    assert_eq!(open(&mut witness, &mut state), Err(OpenError::BudgetSpent { tree: 0, spent: 1 }));
    assert!(open(&mut tree(blake3(11, 1, true, 1), 2), &mut state).is_ok());
    let mut fresh = tree(blake3(11, 1, true, 1), 3);
    assert_eq!(open(&mut fresh, &mut state), Err(OpenError::BudgetSpent { tree: 1, spent: 2 }));
    assert_eq!(fresh.spent(), 0, "a refused opening spends nothing");
    let mut restored = tree(blake3(11, 0, false, 2), 0);
    restored.set_spent(2);
    assert_eq!(open(&mut fresh, &mut restored), Err(OpenError::BudgetSpent { tree: 1, spent: 2 }));
    let mut second = tree(blake3(11, 1, true, 1), 4);
    assert_eq!(open(&mut fresh, &mut second), Err(OpenError::Trees { trees: 2, masked: 2 }));
}
