//! The rows of a step: each has its leaf and a path to the dataset's root.
//!
//! Statement: `leaves[j]` is the leaf of the dataset at index `rows[j]` of the step, which follows from the seed.
//! Bytes: for every row of the step, the leaf (32), then its siblings from the leaf up (32 each); as many as the number
//! of rows of the dataset asks for.
//! Soundness: collision resistance of Poseidon2 and BLAKE3.

use crate::statement::Run;
use veritune_commit::rows::{dataset_root, depth, leaf_elements, root_of_path};
use veritune_commit::{Digest, TreeHash, TreeHasher};
use veritune_relations::step::Leaf;

/// Why the rows are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowsRefused {
    /// The bytes end before the last path.
    #[error("VT-ROWS-001: the paths of {rows} rows need {expected} bytes, got {got}")]
    Truncated {
        /// Rows of the step.
        rows: usize,
        /// Bytes that the paths have.
        expected: usize,
        /// Bytes received.
        got: usize,
    },
    /// A leaf or sibling has a word that is no field element.
    #[error("VT-ROWS-002: a word in the path of row {row} is not below the field order")]
    NotCanonical {
        /// Index in the dataset.
        row: usize,
    },
    /// The path leads to another root.
    #[error("VT-ROWS-003: the path of row {row} does not lead to the dataset's root")]
    Root {
        /// Index in the dataset.
        row: usize,
    },
}

/// Bytes of the rows of a step: leaf and siblings of each.
pub fn num_bytes(run: &Run) -> usize {
    let digests = usize::try_from(depth(run.spec.dataset_rows)).unwrap_or(usize::MAX).saturating_add(1);
    run.spec.training.rows.saturating_mul(digests).saturating_mul(size_of::<Digest>())
}

/// Records every leaf and sibling.
fn trace(num_digests: usize, num_rows: usize) {
    let per_row = num_digests.checked_div(num_rows).unwrap_or(1).max(1);
    for digest in 0..num_digests {
        let name = if digest.is_multiple_of(per_row) { "row leaf" } else { "row sibling" };
        let len = size_of::<Digest>();
        veritune_mutation::field(|| name.to_owned(), digest.saturating_mul(len), len);
    }
}

/// Checks the rows at the start of `bytes`; returns their leaves and the bytes after them.
///
/// *Caller must* pass the `rows` that the run's sampler names for the step.
pub fn verify<'a>(run: &Run, rows: &[usize], bytes: &'a [u8]) -> Result<(Vec<Leaf>, &'a [u8]), RowsRefused> {
    let expected = num_bytes(run);
    let (paths, rest) = bytes.split_at_checked(expected).ok_or(RowsRefused::Truncated {
        rows: rows.len(),
        expected,
        got: bytes.len(),
    })?;
    let digests = paths.as_chunks::<32>().0;
    trace(digests.len(), rows.len());
    let hasher = TreeHasher::new(TreeHash::Poseidon2);
    let per_row = digests.len().checked_div(rows.len()).unwrap_or(1).max(1);
    let mut leaves = Vec::with_capacity(rows.len());
    for (&row, path) in rows.iter().zip(digests.chunks_exact(per_row)) {
        let refused = |_| RowsRefused::NotCanonical { row };
        let (leaf, siblings) = path.split_first().ok_or(RowsRefused::Root { row })?;
        let tree_root = root_of_path(&hasher, row, leaf, siblings).map_err(refused)?;
        let root = dataset_root(run.spec.training.tokens, run.spec.dataset_rows, &tree_root);
        if root != run.dataset && !veritune_mutation::off("VT-ROWS-003") {
            return Err(RowsRefused::Root { row });
        }
        leaves.push(leaf_elements(leaf).map_err(refused)?);
    }
    Ok((leaves, rest))
}
