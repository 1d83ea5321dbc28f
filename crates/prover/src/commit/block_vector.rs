//! Vectors over the challenge field in the layout of the SIMD units.
//!
//! A block holds as many elements as there are lanes: first all coefficients of 1, then those of x, then
//! those of x^2. The blocks lie in one vector of base-field elements, so no conversion copies.

use crate::lane::{LANES, PackedE, Packing};
use rayon::prelude::*;
use veritune_field::traits::{BasedVectorSpace, PackedValue, PrimeCharacteristicRing};
use veritune_field::{E, F};

/// Base-field elements of one block.
pub(crate) const BLOCK: usize = 3 * LANES;

const BLOCKS_PER_TASK: usize = 512;

/// A vector over the challenge field in blocks, filled up with zeros to whole blocks.
#[derive(Debug, Clone, Default)]
pub struct BlockVector(Vec<F>);

impl BlockVector {
    /// `len` elements, or a few more, of the words of blocks: element `i` is lane `i % LANES` of block `i / LANES`.
    pub(crate) fn from_blocks(mut words: Vec<F>, len: usize) -> Self {
        words.truncate(3 * len.next_multiple_of(LANES));
        Self(words)
    }

    /// Number of elements, the zeros that fill the last block included.
    pub fn len(&self) -> usize {
        self.0.len() / 3
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The elements.
    pub fn elements(&self) -> Vec<E> {
        from_blocks(&self.0)
    }

    /// The words of `len` elements: zeros are added, or the end is cut off; whole blocks.
    pub(super) fn into_words(mut self, len: usize) -> Vec<F> {
        self.0.resize(3 * len, F::ZERO);
        self.0
    }
}

impl From<Vec<E>> for BlockVector {
    fn from(mut elements: Vec<E>) -> Self {
        elements.resize(elements.len().next_multiple_of(LANES), E::ZERO);
        Self(to_blocks(elements))
    }
}

/// The blocks of `elements`, whose number is a multiple of [`LANES`].
pub(super) fn to_blocks(elements: Vec<E>) -> Vec<F> {
    assert!(elements.len().is_multiple_of(LANES));
    let mut values = E::flatten_to_base(elements);
    values.par_chunks_mut(BLOCK * BLOCKS_PER_TASK).for_each(|task| {
        for block in task.as_chunks_mut::<BLOCK>().0 {
            let source = *block;
            for (lane, coefficients) in source.as_chunks::<3>().0.iter().enumerate() {
                for (degree, &coefficient) in coefficients.iter().enumerate() {
                    block[degree * LANES + lane] = coefficient;
                }
            }
        }
    });
    values
}

/// The elements of `blocks`.
pub(super) fn from_blocks(blocks: &[F]) -> Vec<E> {
    blocks
        .as_chunks::<BLOCK>()
        .0
        .iter()
        .flat_map(|block| {
            (0..LANES).map(move |lane| E::from_basis_coefficients_fn(|degree| block[degree * LANES + lane]))
        })
        .collect()
}

/// The block as one packed element.
#[inline(always)]
pub(super) fn load(block: &[F; BLOCK]) -> PackedE {
    PackedE::from_basis_coefficients_fn(|degree| *Packing::from_slice(&block[degree * LANES..][..LANES]))
}

/// Writes a packed element to a block.
#[inline(always)]
pub(crate) fn store(block: &mut [F; BLOCK], value: PackedE) {
    let coefficients: &[Packing] = value.as_basis_coefficients_slice();
    for (slots, coefficient) in block.as_chunks_mut::<LANES>().0.iter_mut().zip(coefficients) {
        slots.copy_from_slice(coefficient.as_slice());
    }
}
