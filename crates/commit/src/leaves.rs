//! Opened leaves of the trees and of the levels' oracles: read, folded to one value each, compared with the root.

use crate::error::{Location, OpeningError};
use crate::hash::{Digest, TreeHasher};
use crate::merkle::{leaf_point, root_of, sorted_unique};
use crate::profile::{Level, Profile};
use crate::reader::{Reader, elements, extensions};
use crate::shape::{Root, SALT_BYTES, TreeHash, TreeShape};
use crate::tensor::evaluate_at;
use crate::verify::{Labels, size};
use veritune_field::traits::{BasedVectorSpace, PrimeCharacteristicRing};
use veritune_field::{E, E_BYTES, F, F_BYTES};
use veritune_transcript::Transcript;

/// What later queries need of the oracle of a level.
pub(crate) struct Oracle {
    pub(crate) level: usize,
    pub(crate) parameters: Level,
    pub(crate) root: [u8; 32],
    /// What its columns are combined with.
    pub(crate) fold: Vec<E>,
}

/// One opened leaf, folded to the value of the next vector's polynomial at `x`.
pub(crate) struct FoldedRow {
    pub(crate) position: u64,
    pub(crate) x: F,
    pub(crate) value: E,
}

/// What the rows of the masked tree must agree with: `covered = cover + challenge * pads` as polynomials.
pub(crate) struct Covered {
    pub(crate) challenge: E,
    pub(crate) covered: Vec<E>,
}

/// Opens all trees of the statement at the same random leaves.
///
/// `coefficients` combine the columns of each tree.
pub(crate) fn tree_rows(
    profile: &Profile,
    trees: &[(TreeShape, Root)],
    coefficients: &[Vec<E>],
    covered: &Covered,
    reader: &mut Reader<'_>,
    transcript: &mut Transcript,
) -> Result<Vec<FoldedRow>, OpeningError> {
    let mut rows = draw_rows(transcript, profile.queries(), profile.log_domain());
    let positions: Vec<u64> = rows.iter().map(|row| row.position).collect();
    for (tree, ((shape, root), coefficients)) in trees.iter().zip(coefficients).enumerate() {
        let hasher = TreeHasher::new(shape.hash);
        let opened = shape.leaves(profile, &positions);
        let mut sent = Vec::with_capacity(opened.len());
        let mut values = Vec::with_capacity(opened.len());
        let mut covers = Vec::new();
        for &position in &opened {
            let at = Location::Row { level: 0, tree, position };
            let bytes = reader.bytes(shape.row_bytes(), at)?;
            let offset = reader.offset();
            let (data, salt) = bytes.split_at(bytes.len().saturating_sub(SALT_BYTES));
            let data = elements(data, at, offset)?;
            if shape.hash == TreeHash::Poseidon2 {
                elements(salt, at, offset)?;
            }
            sent.push(bytes);
            trace_row(reader, at, shape);
            let (columns, masks) = data.split_at(shape.num_columns().min(data.len()));
            let mut value: E = coefficients.iter().zip(columns).map(|(&c, &f)| c * f).sum();
            let masks = masks.as_chunks::<3>().0.iter();
            let mut masks = masks.filter_map(|words| E::from_basis_coefficients_slice(words));
            if let (Some(mask), Some(pads), Some(cover)) = (masks.next(), masks.next(), masks.next()) {
                value += mask;
                covers.push(cover + covered.challenge * pads);
            }
            values.push(value);
        }
        for row in &mut rows {
            let leaf = opened.binary_search(&shape.leaf(profile, row.position));
            row.value += leaf.ok().and_then(|i| values.get(i)).copied().ok_or(OpeningError::Profile)?;
        }
        let at = Location::Siblings { level: 0, tree };
        let leaves = leaves(&hasher, &opened, &sent, reader, at)?;
        if root_of(&hasher, leaves, shape.log_domain(profile), reader, at)? != Some(root.0) && !rootless() {
            return Err(OpeningError::RootMismatch { level: 0, tree });
        }
        // The masked tree has a leaf for every position.
        check_covers(&covered.covered, &rows, &covers)?;
    }
    Ok(rows)
}

/// Compares the covered pads with what the leaves at these points hold; there are none in a tree that is not masked.
fn check_covers(covered: &[E], rows: &[FoldedRow], covers: &[E]) -> Result<(), OpeningError> {
    let points: Vec<F> = rows.iter().take(covers.len()).map(|row| row.x).collect();
    for ((row, &cover), value) in rows.iter().zip(covers).zip(evaluate_at(covered, &points)) {
        if cover != value && !veritune_mutation::off("opening-covered-row") {
            return Err(OpeningError::CoveredRow { position: row.position });
        }
    }
    Ok(())
}

/// Records the parts of the row that was read last.
fn trace_row(reader: &Reader<'_>, at: Location, shape: &TreeShape) {
    let mut back = shape.row_bytes();
    let columns = shape.num_columns().saturating_mul(F_BYTES);
    let mask = if shape.masked { E_BYTES } else { 0 };
    for (part, len) in [("columns", columns), ("mask", mask), ("pads", mask), ("cover", mask), ("salt", SALT_BYTES)] {
        if len > 0 {
            reader.read(|| format!("{} {part}", at.field()), len, back);
        }
        back = back.saturating_sub(len);
    }
}

/// Whether a test has switched the comparison with roots off.
fn rootless() -> bool {
    veritune_mutation::off("opening-root-mismatch")
}

/// Opens the oracle of a level at random leaves.
pub(crate) fn oracle_rows(
    oracle: &Oracle,
    reader: &mut Reader<'_>,
    transcript: &mut Transcript,
) -> Result<Vec<FoldedRow>, OpeningError> {
    let level = oracle.level;
    let log_domain = oracle.parameters.log_domain();
    let row_bytes = oracle.fold.len().saturating_mul(E_BYTES);
    let mut rows = draw_rows(transcript, oracle.parameters.queries, log_domain);
    let hasher = TreeHasher::Blake3;
    let mut sent = Vec::with_capacity(rows.len());
    for row in &mut rows {
        let at = Location::Row { level, tree: 0, position: row.position };
        let bytes = reader.bytes(row_bytes, at)?;
        sent.push(bytes);
        reader.read(|| at.field(), row_bytes, row_bytes);
        let entries = extensions(bytes, at, reader.offset())?;
        row.value = oracle.fold.iter().zip(entries).map(|(&c, entry)| c * entry).sum();
    }
    let at = Location::Siblings { level, tree: 0 };
    let positions: Vec<u64> = rows.iter().map(|row| row.position).collect();
    let leaves = leaves(&hasher, &positions, &sent, reader, at)?;
    if root_of(&hasher, leaves, log_domain, reader, at)? != Some(oracle.root) && !rootless() {
        return Err(OpeningError::RootMismatch { level, tree: 0 });
    }
    Ok(rows)
}

/// The digests of the rows as they were sent, with their positions.
fn leaves(
    hasher: &TreeHasher,
    positions: &[u64],
    sent: &[&[u8]],
    reader: &Reader<'_>,
    at: Location,
) -> Result<Vec<(u64, Digest)>, OpeningError> {
    let offset = reader.offset();
    let digests = hasher.leaves(sent).map_err(|_| OpeningError::NotCanonical { at, offset })?;
    Ok(positions.iter().copied().zip(digests).collect())
}

fn draw_rows(transcript: &mut Transcript, queries: u32, log_domain: u32) -> Vec<FoldedRow> {
    let drawn = transcript.challenge_indices(Labels::POSITIONS, size(queries), log_domain);
    sorted_unique(drawn)
        .into_iter()
        .map(|position| FoldedRow { position, x: leaf_point(position, log_domain), value: E::ZERO })
        .collect()
}
