//! Reed-Solomon encoding of the columns of a row-major matrix.
//!
//! The rows are coefficient vectors; row `p` of the result holds the values at `omega^p`.

use crate::zeros::padded;
use p3_dft::{Radix2DFTSmallBatch, TwoAdicSubgroupDft};
use p3_matrix::dense::RowMajorMatrix;
use std::sync::LazyLock;
use veritune_field::F;

// The transform keeps its twiddle tables between calls. Of those that Plonky3 offers, this one is the
// fastest for 1 to 64 columns.
static DFT: LazyLock<Radix2DFTSmallBatch<F>> = LazyLock::new(Radix2DFTSmallBatch::default);

/// The values of every column on the subgroup of `2^log_inverse_rate` times as many points.
pub(super) fn encode(coefficients: &[F], width: usize, log_inverse_rate: u32) -> Vec<F> {
    transform(padded(coefficients, coefficients.len() << log_inverse_rate), width)
}

/// The same for a matrix that is already padded with zero rows.
pub(crate) fn transform(values: Vec<F>, width: usize) -> Vec<F> {
    DFT.dft_batch(RowMajorMatrix::new(values, width)).values
}

#[cfg(test)]
mod tests {
    use super::*;
    use veritune_commit::leaf_point;
    use veritune_field::traits::PrimeCharacteristicRing;

    #[test]
    fn rows_are_the_values_at_the_leaf_points() {
        for width in [1, 3, 8, 19] {
            let coefficients: Vec<F> = (0..16 * width).map(|i| F::from_usize(i * i + 1)).collect();
            let rows = encode(&coefficients, width, 1);
            for position in 0..32 {
                let x = leaf_point(position as u64, 5);
                for column in 0..width {
                    let value = coefficients[column..]
                        .iter()
                        .step_by(width)
                        .rev()
                        .fold(F::ZERO, |value, &coefficient| value * x + coefficient);
                    assert_eq!(rows[position * width + column], value);
                }
            }
        }
    }
}
