//! Provers that cheat and then follow the protocol are refused for the right reason.

use super::*;

/// Changes values, or the vectors of levels, without a look at the rest.
struct Dishonest {
    values: fn(&mut [E], &mut E),
    vector: fn(usize, &mut [E]),
}

impl Deviation for Dishonest {
    fn values(&self, values: &mut [E], mask_value: &mut E, _: &[E], _: E) {
        (self.values)(values, mask_value);
    }
    fn vector(&self, at: &Queried<'_>, vector: &mut [E]) {
        (self.vector)(at.level, vector);
    }
}

fn dishonest(values: fn(&mut [E], &mut E), vector: fn(usize, &mut [E])) -> Dishonest {
    Dishonest { values, vector }
}

/// The proof is refused with the first code, and passes without these checks and with no fewer.
pub(super) fn only(instance: &Instance, proof: &[u8], codes: &[&str]) {
    assert_eq!(instance.verify(proof).unwrap_err().code(), codes[0]);
    #[cfg(feature = "mutation-testing")]
    for fewer in 0..=codes.len() {
        let off: Vec<&str> = codes.iter().enumerate().filter(|(i, _)| *i != fewer).map(|(_, code)| *code).collect();
        let passes = veritune_mutation::without(&off, || instance.verify(proof)).is_ok();
        assert_eq!(passes, fewer == codes.len(), "without {off:?}");
    }
}

fn keep(_: &mut [E], _: &mut E) {}
fn keep_vector(_: usize, _: &mut [E]) {}

/// The proof that `prove` makes is refused with the code, and passes where neither side absorbs messages of the label.
pub(super) fn only_by_absorption(
    instance: fn() -> Instance,
    label: &str,
    code: &str,
    prove: &dyn Fn(&mut Instance) -> Vec<u8>,
) {
    let judge = || {
        let mut instance = instance();
        let proof = prove(&mut instance);
        instance.verify(&proof)
    };
    assert_eq!(judge().unwrap_err().code(), code);
    #[cfg(feature = "mutation-testing")]
    assert_eq!(veritune_mutation::without(&[&format!("absorb {label}")], judge), Ok(()));
    #[cfg(not(feature = "mutation-testing"))]
    let _ = label;
}

#[test]
fn a_word_far_from_the_code_is_refused() {
    for tree in 0..2 {
        let mut instance = Instance::new(11, &[blake3(11, 2, true, 1), blake3(10, 1, false, 1)]);
        let profile = instance.profile.clone();
        // One row in three: above the radius of a quarter.
        instance.trees[tree].corrupt(&profile, 3);
        let (proof, _) = instance.prove();
        only(&instance, &proof, &["opening-final-claim"]);
    }
}

#[test]
fn a_false_target_is_refused() {
    let mut instance = Instance::new(11, &[blake3(11, 2, true, 1)]);
    instance.target += E::ONE;
    let (proof, _) = instance.prove_with(&dishonest(keep, keep_vector));
    only(&instance, &proof, &["opening-sumcheck-claim"]);
}

#[test]
fn a_false_value_is_refused() {
    let mut instance = Instance::new(11, &[blake3(11, 2, true, 1)]);
    let (proof, _) = instance.prove_with(&dishonest(|values, _| values[0] += E::ONE, keep_vector));
    only(&instance, &proof, &["opening-sumcheck-claim", "opening-final-claim"]);
}

#[test]
fn false_values_that_satisfy_the_sumcheck_are_refused_by_the_combination() {
    // The second tree has weight zero, so the sumcheck does not see its value.
    let mut instance = Instance::new(11, &[blake3(11, 2, true, 1), blake3(10, 1, false, 1)]);
    instance.target -= instance.weights[1].iter().zip(instance.trees[1].vector()).map(|(&w, &f)| w * f).sum::<E>();
    instance.weights[1].clear();
    let (proof, _) = instance.prove_with(&dishonest(|values, _| values[1] += E::ONE, keep_vector));
    only(&instance, &proof, &["opening-final-claim"]);
}

#[test]
fn a_false_mask_value_is_refused() {
    let mut instance = Instance::new(11, &[blake3(11, 2, true, 1)]);
    let (proof, _) = instance.prove_with(&dishonest(|_, mask| *mask += E::ONE, keep_vector));
    only(&instance, &proof, &["opening-final-claim"]);
}

#[test]
fn another_combination_at_level_1_is_refused() {
    let mut instance = Instance::new(11, &[blake3(11, 2, true, 1)]);
    let change = |level, vector: &mut [E]| {
        if level == 1 {
            vector[5] += E::ONE;
        }
    };
    let (proof, _) = instance.prove_with(&dishonest(keep, change));
    only(&instance, &proof, &["opening-final-claim"]);
}

#[test]
fn another_fold_at_level_2_is_refused() {
    let mut instance = Instance::new(16, &[blake3(16, 0, true, 1)]);
    assert_eq!(instance.profile.levels().len(), 2);
    let change = |level, vector: &mut [E]| {
        if level == 2 {
            vector[0] += E::ONE;
        }
    };
    let (proof, _) = instance.prove_with(&dishonest(keep, change));
    only(&instance, &proof, &["opening-final-claim"]);
}

#[test]
fn another_last_vector_is_refused() {
    let mut instance = Instance::new(11, &[blake3(11, 2, true, 1)]);
    assert_eq!(instance.profile.levels().len(), 1);
    let change = |level, vector: &mut [E]| {
        if level == 2 {
            vector[0] += E::ONE;
        }
    };
    let (proof, _) = instance.prove_with(&dishonest(keep, change));
    only(&instance, &proof, &["opening-final-row", "opening-final-claim"]);
}

#[test]
fn a_tree_whose_leaves_are_not_salted_is_refused() {
    for tree in 0..2 {
        let mut instance = Instance::new(11, &[blake3(11, 2, true, 1), poseidon2(10, 1, false, 1)]);
        let profile = instance.profile.clone();
        instance.trees[tree].unsalt(&profile);
        let (proof, _) = instance.prove();
        only(&instance, &proof, &["opening-root-mismatch"]);
    }
}

#[test]
fn an_element_plus_the_order_is_refused() {
    // Nothing is weighed, so every round polynomial of the first sumcheck is zero, and so is the first pad: p is the same
    // element.
    let mut instance = Instance::new(11, &[blake3(11, 2, true, 1)]);
    let profile = instance.profile.clone();
    instance.trees[0].remask(&profile, |masks| masks.pads[0] = E::ZERO);
    instance.weights[0].clear();
    instance.target = E::ZERO;
    let (mut proof, _) = instance.prove();
    assert_eq!(proof[..8], [0; 8]);
    proof[..8].copy_from_slice(&veritune_field::P.to_le_bytes());
    only(&instance, &proof, &["opening-not-canonical"]);
}

#[test]
fn bytes_after_the_proof_are_refused() {
    let mut instance = Instance::new(11, &[blake3(11, 2, true, 1)]);
    let (mut proof, _) = instance.prove();
    proof.push(0);
    only(&instance, &proof, &["opening-trailing-bytes"]);
}
