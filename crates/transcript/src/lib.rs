//! Labelled Fiat-Shamir transcript over BLAKE3.
//!
//! Statement: a challenge is a function of the protocol identifier and of every labelled message
//! absorbed before it, in order.
//!
//! Messages: the state is 32 bytes. `absorb` replaces it by the keyed BLAKE3 hash, under the old
//! state as key, of `[0x01] || len(label) || label || len(message) || message`; a challenge hashes
//! `[0x02] || len(label) || label` in the same way, takes the first 32 bytes of the extended output
//! as the next state and draws from the rest. Lengths are eight bytes little-endian, so no two
//! sequences of labelled messages have the same encoding.
//!
//! Soundness: heuristic, the Fiat-Shamir transform in the random-oracle model. Field challenges are
//! exactly uniform (coefficients at or above the order are drawn again); indices are exactly uniform
//! because their range is a power of two.
//!
//! Source: the labelled framing follows Merlin; the state chaining is BLAKE3 keyed mode (BLAKE3
//! specification, section 2.3).

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::as_conversions)]
#![deny(clippy::panic)]

use veritune_field::traits::{BasedVectorSpace, PrimeCharacteristicRing};
use veritune_field::{E, E_BYTES, F, F_BYTES, P, e_to_bytes, f_from_bytes};
use veritune_mutation::Event;
use zeroize::Zeroize;

const KDF_CONTEXT: &str = "veritune transcript v1 initial state";
const TAG_ABSORB: u8 = 1;
const TAG_CHALLENGE: u8 = 2;
const TAG_SEED: u8 = 3;

/// The state of one Fiat-Shamir transcript.
///
/// Prover and verifier build equal transcripts by the same sequence of calls. A clone forks the
/// sequence: use it in tests only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    state: [u8; 32],
}

impl Transcript {
    /// A transcript that starts from the protocol identifier.
    pub fn new(protocol_id: &[u8]) -> Self {
        let state = blake3::derive_key(KDF_CONTEXT, protocol_id);
        // Test builds only: see `absorb`.
        let programmed = |seed: u64| *blake3::keyed_hash(&state, &seed.to_le_bytes()).as_bytes();
        Self { state: veritune_mutation::programme().map_or(state, programmed) }
    }

    /// Binds every later challenge to `message` under `label`.
    pub fn absorb(&mut self, label: &str, message: &[u8]) {
        veritune_mutation::event(|| Event::Message(label.to_owned(), message.to_vec()));
        if veritune_mutation::unabsorbed(label) || veritune_mutation::programme().is_some() {
            return;
        }
        let mut hasher = blake3::Hasher::new_keyed(&self.state);
        hasher.update(&[TAG_ABSORB]);
        update_with_length(&mut hasher, label.as_bytes());
        update_with_length(&mut hasher, message);
        self.state = *hasher.finalize().as_bytes();
    }

    /// Binds every later challenge to the canonical bytes of `elements` under `label`.
    pub fn absorb_e(&mut self, label: &str, elements: &[E]) {
        let mut message = Vec::with_capacity(elements.len().saturating_mul(E_BYTES));
        for &element in elements {
            message.extend_from_slice(&e_to_bytes(element));
        }
        self.absorb(label, &message);
    }

    /// Binds every later challenge to the integer `value` under `label`.
    pub fn absorb_u64(&mut self, label: &str, value: u64) {
        self.absorb(label, &value.to_le_bytes());
    }

    /// A uniform element of the challenge field.
    pub fn challenge_e(&mut self, label: &str) -> E {
        let mut reader = self.challenge_reader(label);
        let coefficients: [F; 3] = [(); 3].map(|()| uniform_f(&mut reader));
        E::from_basis_coefficients_fn(|i| coefficients.get(i).copied().unwrap_or(F::ZERO))
    }

    /// `count` uniform elements of the challenge field, from one label.
    pub fn challenges_e(&mut self, label: &str, count: usize) -> Vec<E> {
        let mut reader = self.challenge_reader(label);
        let mut challenges = Vec::with_capacity(count);
        for _ in 0..count {
            let coefficients: [F; 3] = [(); 3].map(|()| uniform_f(&mut reader));
            challenges.push(E::from_basis_coefficients_fn(|i| coefficients.get(i).copied().unwrap_or(F::ZERO)));
        }
        challenges
    }

    /// `count` independent uniform integers below `2^log_size`, in the order drawn, repeats kept.
    ///
    /// `log_size` is at most 63.
    pub fn challenge_indices(&mut self, label: &str, count: usize, log_size: u32) -> Vec<u64> {
        let mut reader = self.challenge_reader(label);
        let mask = 1_u64.checked_shl(log_size).map_or(u64::MAX, |size| size.wrapping_sub(1));
        let mut indices = Vec::with_capacity(count);
        for _ in 0..count {
            indices.push(next_u64(&mut reader) & mask);
        }
        indices
    }

    /// 32 uniform bytes.
    pub fn challenge_bytes(&mut self, label: &str) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.challenge_reader(label).fill(&mut bytes);
        bytes
    }

    /// A seed for a prover's own randomness, from `fresh` and everything absorbed so far. If a machine repeats its
    /// randomness, as a copy of one may, another statement still has another seed. The transcript goes on as it was.
    ///
    /// Source: Merlin's transcript-based random number generator, with the statement in the place of the witness.
    pub fn seed(&self, fresh: &[u8; 32]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(fresh);
        hasher.update(&[TAG_SEED]);
        hasher.update(&self.state);
        let seed = *hasher.finalize().as_bytes();
        hasher.zeroize();
        seed
    }

    fn challenge_reader(&mut self, label: &str) -> blake3::OutputReader {
        veritune_mutation::event(|| Event::Drawn(label.to_owned(), self.state));
        let mut hasher = blake3::Hasher::new_keyed(&self.state);
        hasher.update(&[TAG_CHALLENGE]);
        update_with_length(&mut hasher, label.as_bytes());
        let mut reader = hasher.finalize_xof();
        reader.fill(&mut self.state);
        reader
    }
}

fn update_with_length(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    // A length always fits 64 bits on the targets that Rust supports.
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    hasher.update(&length.to_le_bytes());
    hasher.update(bytes);
}

fn next_u64(reader: &mut blake3::OutputReader) -> u64 {
    let mut bytes = [0; F_BYTES];
    reader.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Rejection keeps the distribution exact; a draw fails with probability below 2^-32.
fn uniform_f(reader: &mut blake3::OutputReader) -> F {
    loop {
        let value = next_u64(reader);
        if value < P
            && let Ok(element) = f_from_bytes(value.to_le_bytes())
        {
            return element;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_calls_give_equal_challenges_and_any_difference_changes_them() {
        let run = |protocol: &str, label: &str, message: &[u8], challenge: &str| {
            let mut transcript = Transcript::new(protocol.as_bytes());
            transcript.absorb(label, message);
            transcript.challenge_e(challenge)
        };
        let base = run("p", "l", b"m", "c");
        assert_eq!(base, run("p", "l", b"m", "c"));
        assert_ne!(base, run("q", "l", b"m", "c"));
        assert_ne!(base, run("p", "k", b"m", "c"));
        assert_ne!(base, run("p", "l", b"n", "c"));
        assert_ne!(base, run("p", "l", b"m", "d"));
    }

    #[test]
    fn moving_a_byte_between_label_and_message_or_messages_changes_the_challenge() {
        let run = |messages: &[(&str, &[u8])]| {
            let mut transcript = Transcript::new(b"p");
            for (label, message) in messages {
                transcript.absorb(label, message);
            }
            transcript.challenge_bytes("c")
        };
        assert_ne!(run(&[("ab", b"c")]), run(&[("a", b"bc")]));
        assert_ne!(run(&[("a", b"bc")]), run(&[("a", b"b"), ("a", b"c")]));
        assert_ne!(run(&[("a", b"")]), run(&[]));
    }

    #[test]
    fn successive_challenges_differ_and_indices_stay_in_range() {
        let mut transcript = Transcript::new(b"p");
        assert_ne!(transcript.challenge_e("c"), transcript.challenge_e("c"));
        let indices = transcript.challenge_indices("i", 4096, 5);
        assert_eq!(indices.len(), 4096);
        assert!(indices.iter().all(|&i| i < 32));
        assert!((0..32).all(|i| indices.contains(&i)));
        assert!(transcript.challenge_indices("i", 10, 0).iter().all(|&i| i == 0));
    }

    #[test]
    fn a_seed_is_of_the_randomness_and_of_all_that_was_absorbed() {
        let mut transcript = Transcript::new(b"p");
        let before = transcript.clone();
        let seed = transcript.seed(&[1; 32]);
        assert_eq!((seed, &transcript), (transcript.seed(&[1; 32]), &before), "drawing changes nothing");
        assert_ne!(seed, transcript.seed(&[2; 32]));
        transcript.absorb("l", b"m");
        assert_ne!(seed, transcript.seed(&[1; 32]));
        assert_ne!(transcript.seed(&[1; 32]), transcript.clone().challenge_bytes("l"));
    }

    #[test]
    fn a_known_answer_fixes_the_wire_behaviour() {
        let mut transcript = Transcript::new(b"veritune test");
        transcript.absorb("message", b"hello");
        let mut expected = blake3::Hasher::new_keyed(&blake3::derive_key(KDF_CONTEXT, b"veritune test"));
        expected.update(&[1]);
        expected.update(&7_u64.to_le_bytes());
        expected.update(b"message");
        expected.update(&5_u64.to_le_bytes());
        expected.update(b"hello");
        assert_eq!(transcript.state, *expected.finalize().as_bytes());
    }
}
