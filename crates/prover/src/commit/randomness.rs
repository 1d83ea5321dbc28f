//! Field elements expanded from a 32-byte seed, by purpose and chunk.
//!
//! A seed that is a pseudo-random function of a run secret, a step and the vector lets the prover drop a tree and
//! commit to it again later. Two vectors never share a seed.

use veritune_field::traits::{BasedVectorSpace, PrimeCharacteristicRing};
use veritune_field::{E, F, F_BYTES, P};
use zeroize::{Zeroize, Zeroizing};

/// The injected randomness of one committed tree.
#[derive(Clone)]
pub struct Randomness([u8; 32]);

impl Randomness {
    /// Randomness from a uniform secret seed, used for one vector only.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(seed)
    }

    /// `count` uniform pads for the argument of the proof that this vector is the witness of.
    pub fn pads(&self, count: usize) -> Vec<E> {
        E::reconstitute_from_base(self.elements(Purpose::Scalars, 0, 3 * count))
    }

    /// `count` uniform elements for `purpose` and `chunk`; chunks are independent.
    pub(super) fn elements(&self, purpose: Purpose, chunk: u64, count: usize) -> Vec<F> {
        let mut elements = F::zero_vec(count);
        self.fill(purpose, chunk, &mut elements);
        elements
    }

    /// The same, written to their place: nothing of them is left elsewhere.
    pub(super) fn fill(&self, purpose: Purpose, chunk: u64, elements: &mut [F]) {
        let mut hasher = Zeroizing::new(blake3::Hasher::new_keyed(&self.0));
        hasher.update(b"veritune commitment randomness v1");
        hasher.update(&[purpose as u8]);
        hasher.update(&chunk.to_le_bytes());
        let mut reader = Zeroizing::new(hasher.finalize_xof());
        let mut buffer = Zeroizing::new(vec![0; elements.len() * F_BYTES]);
        let mut filled = 0;
        // A word is rejected with probability below 2^-32, so one pass is almost always enough.
        while filled < elements.len() {
            let missing = (elements.len() - filled) * F_BYTES;
            reader.fill(&mut buffer[..missing]);
            for &word in buffer[..missing].as_chunks::<F_BYTES>().0 {
                let value = u64::from_le_bytes(word);
                if value < P {
                    elements[filled] = F::from_u64(value);
                    filled += 1;
                }
            }
        }
    }
}

impl Drop for Randomness {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// What the elements are for; the discriminant separates the streams.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    /// Random rows at the end of the columns.
    Tail = 0,
    /// The mask polynomial.
    Mask = 1,
    /// Leaf salts.
    Salt = 2,
    /// The polynomial of one-time pads.
    Pads = 3,
    /// Its cover.
    Cover = 4,
    /// One-time pads of the argument's scalars.
    Scalars = 6,
    /// What a simulator draws.
    #[cfg(feature = "mutation-testing")]
    Simulation = 5,
}
