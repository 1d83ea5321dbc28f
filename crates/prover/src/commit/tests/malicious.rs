//! Provers that cheat and then follow the protocol are refused for the right reason.

use super::*;

fn dishonest(values: fn(&mut [E], &mut E), vector: fn(usize, &mut [E])) -> Deviation {
    Deviation { values, vector, honest: false }
}

fn keep(_: &mut [E], _: &mut E) {}
fn keep_vector(_: usize, _: &mut [E]) {}

#[test]
fn a_word_far_from_the_code_is_refused() {
    for tree in 0..2 {
        let mut instance = Instance::new(11, &[blake3(2, true, 1), blake3(1, false, 1)]);
        let profile = instance.profile.clone();
        // One row in three: above the radius of a quarter.
        instance.trees[tree].corrupt(&profile, 3);
        let (proof, _) = instance.prove();
        assert_eq!(instance.verify(&proof), Err(OpeningError::FinalClaim));
    }
}

#[test]
fn a_false_target_is_refused() {
    let mut instance = Instance::new(11, &[blake3(2, true, 1)]);
    instance.target += E::ONE;
    let (proof, _) = instance.prove_with(&dishonest(keep, keep_vector));
    assert_eq!(instance.verify(&proof), Err(OpeningError::SumcheckClaim));
}

#[test]
fn a_false_value_is_refused() {
    let mut instance = Instance::new(11, &[blake3(2, true, 1)]);
    let (proof, _) = instance.prove_with(&dishonest(|values, _| values[0] += E::ONE, keep_vector));
    assert_eq!(instance.verify(&proof), Err(OpeningError::SumcheckClaim));
}

#[test]
fn false_values_that_satisfy_the_sumcheck_are_refused_by_the_combination() {
    // The second tree has weight zero, so the sumcheck does not see its value.
    let mut instance = Instance::new(11, &[blake3(2, true, 1), blake3(1, false, 1)]);
    instance.target -= instance.weights[1].iter().zip(instance.trees[1].vector()).map(|(&w, &f)| w * f).sum::<E>();
    instance.weights[1].clear();
    let (proof, _) = instance.prove_with(&dishonest(|values, _| values[1] += E::ONE, keep_vector));
    assert_eq!(instance.verify(&proof), Err(OpeningError::FinalClaim));
}

#[test]
fn a_false_mask_value_is_refused() {
    let mut instance = Instance::new(11, &[blake3(2, true, 1)]);
    let (proof, _) = instance.prove_with(&dishonest(|_, mask| *mask += E::ONE, keep_vector));
    assert_eq!(instance.verify(&proof), Err(OpeningError::FinalClaim));
}

#[test]
fn another_combination_at_level_1_is_refused() {
    let mut instance = Instance::new(11, &[blake3(2, true, 1)]);
    let change = |level, vector: &mut [E]| {
        if level == 1 {
            vector[5] += E::ONE;
        }
    };
    let (proof, _) = instance.prove_with(&dishonest(keep, change));
    assert_eq!(instance.verify(&proof), Err(OpeningError::FinalClaim));
}

#[test]
fn another_fold_at_level_2_is_refused() {
    let mut instance = Instance::new(16, &[blake3(0, true, 1)]);
    assert_eq!(instance.profile.levels().len(), 2);
    let change = |level, vector: &mut [E]| {
        if level == 2 {
            vector[0] += E::ONE;
        }
    };
    let (proof, _) = instance.prove_with(&dishonest(keep, change));
    assert_eq!(instance.verify(&proof), Err(OpeningError::FinalClaim));
}

#[test]
fn another_last_vector_is_refused() {
    let mut instance = Instance::new(11, &[blake3(2, true, 1)]);
    assert_eq!(instance.profile.levels().len(), 1);
    let change = |level, vector: &mut [E]| {
        if level == 2 {
            vector[0] += E::ONE;
        }
    };
    let (proof, _) = instance.prove_with(&dishonest(keep, change));
    assert_eq!(instance.verify(&proof).unwrap_err().code(), "opening-final-row");
}
