//! The prover's inner loops by themselves, for the benchmarks beside this crate (feature `kernels`).
//!
//! Thin calls of private code: no proof is made here and no transcript kept.

use crate::argument::{Channel, fraction_sum};
use crate::commit::loops;
use veritune_commit::{Digest, TreeHash};
use veritune_field::{E, F};

/// The Reed–Solomon code of every column of a row-major matrix, at rate `2^-log_inverse_rate`.
pub fn encode(coefficients: &[F], width: usize, log_inverse_rate: u32) -> Vec<F> {
    loops::encode(coefficients, width, log_inverse_rate)
}

/// The Merkle root of rows of `width` elements, without salts.
pub fn tree_root(rows: &[F], width: usize, hash: TreeHash) -> Digest {
    loops::tree_root(rows, width, hash)
}

/// All rounds of the sumcheck of `sum of weights * vector`, with fixed challenges; returns the last value.
pub fn product_sumcheck(weights: Vec<E>, vector: &[F], challenge: E) -> E {
    loops::product_sumcheck(weights, vector, challenge)
}

/// GKR of a sum of fractions, leaves to root and back; returns the number of scalars sent.
pub fn fractions(numerators: &[F], denominators: &[E], challenge: E) -> usize {
    let mut channel = Counting { sent: 0, challenge };
    fraction_sum(numerators, denominators, &mut channel);
    channel.sent
}

struct Counting {
    sent: usize,
    challenge: E,
}

impl Channel for Counting {
    fn send(&mut self, _: &'static str, _: E) {
        self.sent += 1;
    }
    fn send_public(&mut self, label: &'static str, scalar: E) {
        self.send(label, scalar);
    }
    fn challenge(&mut self, _: &'static str) -> E {
        self.challenge
    }
}
