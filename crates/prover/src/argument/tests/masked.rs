//! The masked transcript: what it accepts is what the native one accepts, and a prover gains nothing by its pads.

use super::programs::{arithmetic, attention, embedding};
use super::*;
use veritune_argument::ELEMENT_SLOTS;
use veritune_field::P;

fn accepted(argument: &Argument<'_>, vectors: &[Vec<F>; NUM_PLACES], scalars: &[u8]) -> bool {
    let checked = argument.verify_masked(scalars, &mut transcript());
    checked.is_ok_and(|(joint, base)| settle(vectors, &joint, &base))
}

#[test]
fn honest_witnesses_are_accepted_and_a_wrong_entry_is_not() {
    for Case { name, program, tensors } in all() {
        let argument = Argument::new(&program).unwrap();
        let MaskedProof { vectors, proof } = prove_masked(&argument, &tensors, 1);
        assert!(accepted(&argument, &vectors, &proof.scalars), "{name}");
        for (i, tensor) in program.tensors.iter().enumerate() {
            if tensor.values.is_some() || program.one_hot(veritune_relations::TensorId(i)).is_some() {
                continue;
            }
            let mut wrong = tensors.clone();
            // The shifted view of the columns does not read the first row.
            *wrong[i].last_mut().unwrap() += 1;
            let native = run(&program, &wrong).is_ok();
            let MaskedProof { vectors, proof } = prove_masked(&argument, &wrong, 2);
            assert_eq!(accepted(&argument, &vectors, &proof.scalars), native, "{name}: {}", tensor.name);
        }
    }
}

/// What is sent, and the weights of the opening, do not depend on the processor's registers (`make test-portable`).
#[test]
fn proofs_are_those_of_every_build() {
    let mut hasher = blake3::Hasher::new();
    for Case { program, tensors, .. } in all() {
        let argument = Argument::new(&program).unwrap();
        let MaskedProof { vectors, proof } = prove_masked(&argument, &tensors, 7);
        hasher.update(&proof.scalars);
        // Without the zeros that fill the last register.
        let len = vectors[0].len();
        for weight in dense_weights(&proof.parts, 0, len).elements().into_iter().take(len) {
            hasher.update(&veritune_field::e_to_bytes(weight));
        }
    }
    assert_eq!(hasher.finalize().to_hex().as_str(), "d62b1bc7784bddc8368d693f225864ee2dcfefa0a32ba853d9371dda9de14c88");
}

#[test]
fn every_changed_scalar_is_refused() {
    for Case { name, program, tensors } in [arithmetic(), embedding(6, 11)] {
        let argument = Argument::new(&program).unwrap();
        let MaskedProof { vectors, proof } = prove_masked(&argument, &tensors, 1);
        for index in 0..proof.scalars.len() / 8 {
            let mut changed = proof.scalars.clone();
            let word: &mut [u8; 8] = (&mut changed[8 * index..8 * index + 8]).try_into().unwrap();
            *word = ((u64::from_le_bytes(*word) + 1) % P).to_le_bytes();
            assert!(!accepted(&argument, &vectors, &changed), "{name} word {index}");
            changed[8 * index..8 * index + 8].copy_from_slice(&P.to_le_bytes());
            let refusal = argument.verify_masked(&changed, &mut transcript()).unwrap_err();
            assert!(matches!(refusal, ArgumentError::NotCanonical { .. }), "{name} word {index}");
        }
        for len in [0, 1, proof.scalars.len() - 24, proof.scalars.len() + 24] {
            let mut other = proof.scalars.clone();
            other.resize(len, 0);
            let refusal = argument.verify_masked(&other, &mut transcript()).unwrap_err();
            assert!(matches!(refusal, ArgumentError::Length { .. }), "{name} {len}");
        }
    }
}

#[test]
fn every_changed_element_of_the_wiring_is_refused() {
    for Case { name, program, tensors } in [arithmetic(), embedding(6, 11), attention(5, 5)] {
        let argument = Argument::new(&program).unwrap();
        let MaskedProof { vectors, proof } = prove_masked(&argument, &tensors, 1);
        let first = argument.first_element_slot();
        for element in 0..argument.wiring.num_elements() {
            let mut changed = vectors.clone();
            changed[0][first + ELEMENT_SLOTS * element + element % ELEMENT_SLOTS] += F::ONE;
            assert!(!accepted(&argument, &changed, &proof.scalars), "{name}: element {element}");
        }
    }
}

/// Sends behind pads, and no scalar is what it was in another proof: two proofs of one witness share no scalar but those of
/// the public base.
#[test]
fn two_proofs_of_one_witness_share_no_hidden_scalar() {
    for Case { name, program, tensors } in all() {
        let argument = Argument::new(&program).unwrap();
        let [one, other] = [1, 2].map(|seed| prove_masked(&argument, &tensors, seed).proof.scalars);
        let same = one.chunks(E_BYTES).zip(other.chunks(E_BYTES)).filter(|(a, b)| a == b).count();
        assert_eq!(same, 0, "{name}");
    }
}
