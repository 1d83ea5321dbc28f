//! How long an opening can be: known before anything of it is read.

use crate::profile::Profile;
use crate::shape::TreeShape;
use veritune_field::E_BYTES;

const ROOT_BYTES: usize = 32;

/// The most bytes of an opening of these trees, reached when all positions and all their siblings are distinct.
pub fn most_opening_bytes(profile: &Profile, trees: &[TreeShape]) -> usize {
    let widest = trees.iter().map(|tree| tree.log_columns).max().unwrap_or(0);
    // Two elements a round, the values and the mask's, the combination's, two sums, the covered pads, the last vector.
    let rounds = size(profile.log_rows().saturating_add(widest)).saturating_mul(2);
    let last = 1_usize.checked_shl(profile.log_final()).unwrap_or(usize::MAX);
    let values = trees.len().saturating_add(1 + 1 + 2);
    let elements = rounds.saturating_add(values).saturating_add(profile.pads_length()).saturating_add(last);
    let mut bytes = elements.saturating_mul(E_BYTES);
    for tree in trees {
        bytes = bytes.saturating_add(most_row_bytes(profile.queries(), tree.log_domain(profile), tree.row_bytes()));
    }
    for level in profile.levels() {
        let rounds = size(level.log_columns).saturating_mul(2).saturating_mul(E_BYTES);
        let row = 1_usize.checked_shl(level.log_columns).unwrap_or(usize::MAX).saturating_mul(E_BYTES);
        let rows = most_row_bytes(level.queries, level.log_domain(), row);
        bytes = bytes.saturating_add(ROOT_BYTES).saturating_add(rounds).saturating_add(rows);
    }
    bytes
}

/// Rows of as many leaves as are drawn, with a sibling for every layer of each.
fn most_row_bytes(queries: u32, log_domain: u32, row_bytes: usize) -> usize {
    size(queries).saturating_mul(size(log_domain).saturating_mul(ROOT_BYTES).saturating_add(row_bytes))
}

/// A count that fits every target; profiles bound it far below.
fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
