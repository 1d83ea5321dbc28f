//! Large vectors, filled by all threads: one thread alone would be waited for.

use rayon::prelude::*;
use veritune_field::F;
use veritune_field::traits::PrimeCharacteristicRing;

/// Elements that a thread writes at a time.
const PIECE: usize = 512;

/// The elements of `start`, then zeros: `len` of both.
pub(crate) fn padded(start: &[F], len: usize) -> Vec<F> {
    assert!(start.len() <= len, "a vector is not longer than its padding makes it");
    let (pieces, rest) = start.as_chunks::<PIECE>();
    if !rest.is_empty() || !len.is_multiple_of(PIECE) {
        let mut vector = F::zero_vec(len);
        vector[..start.len()].copy_from_slice(start);
        return vector;
    }
    let piece = |at: usize| pieces.get(at).copied().unwrap_or([F::ZERO; PIECE]);
    (0..len / PIECE).into_par_iter().map(piece).collect::<Vec<_>>().into_flattened()
}

/// Zeros, `len` of them.
pub(crate) fn zeros(len: usize) -> Vec<F> {
    let mut vector = padded(&[], len.next_multiple_of(PIECE));
    vector.truncate(len);
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_padded_vector_is_its_start_and_zeros() {
        for (start, len) in [(0, 0), (0, 7), (3, 7), (512, 512), (512, 1000), (1024, 5120), (1000, 5120)] {
            let start: Vec<F> = (1..=start).map(F::from_usize).collect();
            let vector = padded(&start, len);
            assert_eq!(vector.len(), len);
            assert_eq!(vector[..start.len()], start);
            assert!(vector[start.len()..].iter().all(|&x| x == F::ZERO));
            assert_eq!(zeros(len), F::zero_vec(len));
        }
    }
}
