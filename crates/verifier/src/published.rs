//! The rows of a run that discloses its data.
//!
//! Statement: the file holds, in the order of the leaves, what every leaf of the dataset covers.
//! Bytes, without a header and without a gap, for each row: salt, then digest of its meta data (four field elements of eight
//! bytes each, little-endian, below p); for each position of the bucket its token and its label (four bytes each,
//! little-endian), the label `2^32 - 1` where there is none. The spec fixes the number of rows and positions, and so the length.
//! A leaf has one such text: the encoding is one-to-one.
//!
//! Check: every leaf is hashed again, and all of them give the dataset's root. Memory: a few rows and one path.
//! Soundness: collision resistance of Poseidon2 and BLAKE3.

use crate::codes::ROWS_REFUSED;
use crate::statement::Run;
use std::path::Path;
use veritune_commit::rows::{HEADER_PART, Row, TreeRoot, dataset_root};
use veritune_commit::{TreeHash, TreeHasher};
use veritune_envelope::index::Index;
use veritune_envelope::{Digest, Refusal};
use veritune_field::traits::{PrimeCharacteristicRing, PrimeField64};
use veritune_field::{F, NotCanonical, f_from_bytes, f_to_bytes};
use veritune_relations::Spec;
use veritune_relations::spec::Visibility;

/// The file's name in a certificate.
pub const ROWS_FILE: &str = "rows.bin";
/// Rows that are hashed together: they fill the lanes of a register.
const PIECE_ROWS: u64 = 64;
/// Bytes of salt and meta digest; then those of a position.
const HEADER_BYTES: usize = 16 * HEADER_PART;
const POSITION_BYTES: usize = 8;
/// The label of a position that has none.
const NO_LABEL: u32 = u32::MAX;

/// Bytes of a row.
pub fn row_bytes(spec: &Spec) -> usize {
    spec.training.tokens.saturating_mul(POSITION_BYTES).saturating_add(HEADER_BYTES)
}

/// The bytes of a row.
pub fn to_bytes(row: &Row) -> Vec<u8> {
    let header = row.salt.iter().chain(&row.meta).flat_map(|&element| f_to_bytes(element));
    let word = |element: F| u32::try_from(element.as_canonical_u64()).unwrap_or(NO_LABEL);
    let positions = row.positions.iter().flat_map(|&[token, target, supervised]| {
        let label = if supervised == F::ZERO { NO_LABEL } else { word(target) };
        [word(token), label].into_iter().flat_map(u32::to_le_bytes)
    });
    header.chain(positions).collect()
}

/// The row of these bytes.
fn from_bytes(bytes: &[u8]) -> Result<Row, NotCanonical> {
    let (header, positions) = bytes.split_at_checked(HEADER_BYTES).unwrap_or((bytes, &[]));
    let mut row = Row { salt: [F::ZERO; HEADER_PART], meta: [F::ZERO; HEADER_PART], positions: Vec::new() };
    for (element, word) in row.salt.iter_mut().chain(&mut row.meta).zip(header.as_chunks::<8>().0) {
        *element = f_from_bytes(*word)?;
    }
    let position = |words: &[[u8; 4]; 2]| {
        let [token, label] = words.map(u32::from_le_bytes);
        let target = if label == NO_LABEL { 0 } else { label };
        [F::from_u32(token), F::from_u32(target), F::from_bool(label != NO_LABEL)]
    };
    row.positions = positions.as_chunks::<4>().0.as_chunks::<2>().0.iter().map(position).collect();
    Ok(row)
}

fn refusal(expected: impl std::fmt::Display, got: impl std::fmt::Display) -> Refusal {
    Refusal::new(ROWS_REFUSED, ROWS_FILE, expected, got)
}

/// Accepts iff the file of rows is there exactly if the run discloses its data, and holds the dataset's rows; returns its
/// digest.
pub fn check(run: &Run, index: &Index, folder: &Path) -> Result<Option<Digest>, Refusal> {
    match (run.spec.disclose.data, index.find(ROWS_FILE)) {
        (Visibility::Hidden, None) => Ok(None),
        (Visibility::Hidden, Some(_)) => refusal("no file: the plan hides the rows", "a file").raise().map(|()| None),
        (Visibility::Public, None) => refusal("the rows: the plan publishes them", "no file").raise().map(|()| None),
        (Visibility::Public, Some(entry)) => check_rows(run, index, entry.size, folder).map(Some),
    }
}

fn check_rows(run: &Run, index: &Index, size: u64, folder: &Path) -> Result<Digest, Refusal> {
    let (spec, row_bytes) = (&run.spec, row_bytes(&run.spec));
    let wide = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let expected = wide(spec.dataset_rows).saturating_mul(wide(row_bytes));
    if size != expected {
        refusal(format_args!("{expected} bytes: {} rows", spec.dataset_rows), format_args!("{size} bytes")).raise()?;
    }
    let hasher = TreeHasher::new(TreeHash::Poseidon2);
    let (mut tree, mut number) = (TreeRoot::default(), 0_usize);
    let no_element = |row: usize| refusal("words below the field's order", format_args!("another in row {row}"));
    let piece_bytes = PIECE_ROWS.saturating_mul(wide(row_bytes));
    let digest = index.read_pieces(folder, ROWS_FILE, piece_bytes, &mut |piece| {
        let mut rows = Vec::new();
        for bytes in piece.chunks_exact(row_bytes) {
            match from_bytes(bytes) {
                Ok(row) => rows.push(row),
                Err(_) => no_element(number.saturating_add(rows.len())).raise()?,
            }
        }
        for leaf in hasher.rows(&rows) {
            tree.push(&leaf).or_else(|_| no_element(number).raise())?;
        }
        number = number.saturating_add(rows.len());
        Ok(())
    })?;
    let root = tree.finish().map(|top| dataset_root(spec.training.tokens, spec.dataset_rows, &top));
    if root != Ok(run.dataset) {
        refusal("rows that give the dataset's root", "others").raise()?;
    }
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_its_bytes() {
        let element = |i: u64| F::from_u64(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let row = Row {
            salt: [1, 2, 3, 4].map(element),
            meta: [5, 6, 7, 8].map(element),
            positions: vec![[F::from_u32(7), F::ZERO, F::ZERO], [F::ZERO, F::ZERO, F::ONE], [F::TWO, F::TWO, F::ONE]],
        };
        let bytes = to_bytes(&row);
        assert_eq!((bytes.len(), from_bytes(&bytes)), (HEADER_BYTES + 3 * POSITION_BYTES, Ok(row)));
        let mut changed = bytes;
        changed[8..16].fill(0xff);
        assert_eq!(from_bytes(&changed), Err(NotCanonical(u64::MAX)));
    }
}
