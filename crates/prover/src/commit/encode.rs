//! Reed-Solomon encoding of the columns of a row-major matrix.
//!
//! The rows are coefficient vectors; leaf `p` of the result holds the values at
//! `omega^reverse(p)`, the order in which a decimation-in-frequency transform leaves them.

use p3_dft::{Radix2DitParallel, TwoAdicSubgroupDft};
use p3_matrix::dense::RowMajorMatrix;
use std::sync::LazyLock;
use veritune_field::F;
use veritune_field::traits::PrimeCharacteristicRing;

// The transform keeps its twiddle tables between calls.
static DFT: LazyLock<Radix2DitParallel<F>> = LazyLock::new(Radix2DitParallel::default);

/// The values of every column on the subgroup of `2^log_inverse_rate` times as many points,
/// bit-reversed rows.
pub(super) fn encode(coefficients: &[F], width: usize, log_inverse_rate: u32) -> Vec<F> {
    let mut values = F::zero_vec(coefficients.len() << log_inverse_rate);
    values[..coefficients.len()].copy_from_slice(coefficients);
    transform(values, width)
}

/// The same for a matrix that is already padded with zero rows.
pub(super) fn transform(values: Vec<F>, width: usize) -> Vec<F> {
    DFT.dft_batch(RowMajorMatrix::new(values, width)).inner.values
}
