//! The order of the leaves: that of the maker's files, or a secret one.
//!
//! Statement: with `order: hidden` the leaves lie in a Fisher–Yates permutation of the rows (by rejection, as the public
//! sampler's), drawn from a keyed stream of BLAKE3. Its key, the *row order key*, follows from the job's data secret. So the
//! index of a row, which the sampler and the paths of every proof show, tells nothing of where in the files it stands.
//!
//! Assumption: keyed BLAKE3 is a pseudorandom function. What stays visible: that two steps train on one row.

use std::io::Read;
use veritune_relations::sampler::shuffled;
use zeroize::{Zeroize, Zeroizing};

/// The rows of the files in the order of the leaves: entry `leaf` is a row's index in the files.
pub(crate) fn secret_order(secret: &[u8; 32], num_rows: usize) -> Zeroizing<Vec<u32>> {
    let mut hasher = blake3::Hasher::new_keyed(secret);
    hasher.update(b"row order");
    let mut key = Zeroizing::new(*hasher.finalize().as_bytes());
    hasher.zeroize();
    let mut stream = blake3::Hasher::new_keyed(&key).finalize_xof();
    key.zeroize();
    let order = shuffled(num_rows, || {
        let mut word = Zeroizing::new([0; 8]);
        // A stream of 2^64 bytes: reading it does not fail.
        stream.read_exact(&mut *word).expect("bytes");
        u64::from_le_bytes(*word)
    });
    stream.zeroize();
    order.into()
}

/// The files' own order.
pub(crate) fn file_order(num_rows: usize) -> Zeroizing<Vec<u32>> {
    (0..num_rows as u32).collect::<Vec<_>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_a_permutation_that_its_key_determines() {
        for num_rows in [1, 2, 5, 100] {
            let mut sorted = secret_order(&[7; 32], num_rows).to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, *file_order(num_rows));
        }
        assert_eq!(secret_order(&[7; 32], 100), secret_order(&[7; 32], 100));
        assert_ne!(secret_order(&[7; 32], 100), secret_order(&[8; 32], 100));
        assert_ne!(secret_order(&[7; 32], 100), file_order(100));
    }
}
