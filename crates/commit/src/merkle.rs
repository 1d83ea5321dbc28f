//! Compressed openings of several leaves of one tree.
//!
//! Statement: the leaves at the given sorted unique positions hash, with the sibling digests, to the
//! root.
//!
//! Messages: the siblings that cannot be computed, layer by layer from the leaves up, left to right
//! within a layer. Their number is a function of the positions; the reader takes exactly so many.

use crate::error::{Location, OpeningError};
use crate::hash::{Digest, TreeHasher};
use crate::reader::Reader;
use veritune_field::F;
use veritune_field::traits::{PrimeCharacteristicRing, TwoAdicField};

/// The positions without repeats, ascending: the order in which rows are sent.
pub fn sorted_unique(mut positions: Vec<u64>) -> Vec<u64> {
    positions.sort_unstable();
    positions.dedup();
    positions
}

/// The evaluation point `omega^position` of a leaf of a tree with `2^log_domain` leaves.
pub fn leaf_point(position: u64, log_domain: u32) -> F {
    F::two_adic_generator(usize::try_from(log_domain).unwrap_or(usize::MAX)).exp_u64(position)
}

/// The nodes whose digests an opening of the sorted unique `positions` sends, as (layer, index) in
/// order; layer 0 holds the leaves.
pub fn sibling_positions(positions: &[u64], height: u32) -> Vec<(u32, u64)> {
    let mut siblings = Vec::new();
    let mut layer: Vec<u64> = positions.to_vec();
    for depth in 0..height {
        let mut next = Vec::with_capacity(layer.len());
        let mut nodes = layer.iter().copied().peekable();
        while let Some(index) = nodes.next() {
            if index & 1 == 1 || nodes.next_if_eq(&(index | 1)).is_none() {
                siblings.push((depth, index ^ 1));
            }
            next.push(index >> 1);
        }
        layer = next;
    }
    siblings
}

/// The root above `leaves`, given as (position, digest) sorted and unique, reading the siblings.
pub(crate) fn root_of(
    hasher: &TreeHasher,
    leaves: Vec<(u64, Digest)>,
    height: u32,
    reader: &mut Reader<'_>,
    at: Location,
) -> Result<Option<Digest>, OpeningError> {
    let mut layer = leaves;
    for _ in 0..height {
        let mut parents = Vec::with_capacity(layer.len());
        let mut pairs = Vec::with_capacity(layer.len());
        let mut nodes = layer.iter().peekable();
        while let Some(&(index, digest)) = nodes.next() {
            pairs.push(if index & 1 == 1 {
                [reader.array(at)?, digest]
            } else if let Some(&(_, right)) = nodes.next_if(|(other, _)| *other == (index | 1)) {
                [digest, right]
            } else {
                [digest, reader.array(at)?]
            });
            parents.push(index >> 1);
        }
        let offset = reader.offset();
        // Poseidon2 refuses siblings with words that are no field elements.
        let digests = hasher.nodes(&pairs).map_err(|_| OpeningError::NotCanonical { at, offset })?;
        layer = parents.into_iter().zip(digests).collect();
    }
    Ok(layer.first().map(|&(_, digest)| digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siblings_are_the_missing_nodes_in_order() {
        assert_eq!(sibling_positions(&[0, 1, 2, 3], 2), vec![]);
        assert_eq!(sibling_positions(&[0], 2), vec![(0, 1), (1, 1)]);
        assert_eq!(sibling_positions(&[1, 2], 2), vec![(0, 0), (0, 3)]);
        assert_eq!(sibling_positions(&[5], 3), vec![(0, 4), (1, 3), (2, 0)]);
    }

    #[test]
    fn leaf_points_are_the_subgroup_in_order() {
        let omega = F::two_adic_generator(3);
        assert_eq!(leaf_point(0, 3), F::ONE);
        assert_eq!(leaf_point(3, 3), omega.exp_u64(3));
        assert_eq!(leaf_point(7, 3) * omega, F::ONE);
    }
}
