//! Challenge-field elements in vector registers; sums and tables that are computed there.

use crate::traits::{
    BasedVectorSpace, ExtensionField, Field, PackedFieldExtension, PackedValue, PrimeCharacteristicRing,
};
use crate::{E, F};

/// Base elements in a register.
pub type Packing = <F as Field>::Packing;
/// Challenge-field elements, one per lane.
pub type PackedE = <E as ExtensionField<F>>::ExtensionPacking;

/// Elements of a register.
pub const LANES: usize = Packing::WIDTH;

/// Registers of consecutive elements, as many as are whole.
pub fn pack(elements: &[E]) -> Vec<PackedE> {
    elements.chunks_exact(LANES).map(PackedE::from_ext_slice).collect()
}

/// The sum of the lanes.
#[inline]
pub fn sum_lanes(value: PackedE) -> E {
    let coefficients: &[Packing] = value.as_basis_coefficients_slice();
    let sum = |lanes: &Packing| lanes.as_slice().iter().copied().sum::<F>();
    E::from_basis_coefficients_fn(|degree| coefficients.get(degree).map_or(F::ZERO, sum))
}

/// `sum of a[i] * b[i]`, up to the end of the shorter one.
pub fn dot(a: &[E], b: &[E]) -> E {
    let len = a.len().min(b.len());
    let (a, b) = (a.get(..len).unwrap_or(&[]), b.get(..len).unwrap_or(&[]));
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(&a, &b)| a * b).sum::<E>();
    let products = a_chunks.zip(b_chunks).map(|(a, b)| PackedE::from_ext_slice(a) * PackedE::from_ext_slice(b));
    rest + sum_lanes(products.sum())
}

/// All `eq(point, b)`, indexed by `b`; `point[0]` belongs to the most significant bit of `b`.
pub fn eq_table(point: &[E]) -> Vec<E> {
    let log_lanes = usize::try_from(LANES.trailing_zeros()).unwrap_or(0);
    let (outer, inner) = point.split_at(point.len().saturating_sub(log_lanes));
    let mut first = vec![E::ONE];
    for &coordinate in inner.iter().rev() {
        double(&mut first, coordinate);
    }
    if first.len() < LANES || outer.is_empty() {
        return first;
    }
    let (last, outer) = (outer.first().copied().unwrap_or_default(), outer.get(1..).unwrap_or(&[]));
    let mut table = vec![PackedE::from_ext_slice(&first)];
    for &coordinate in outer.iter().rev() {
        double(&mut table, coordinate);
    }
    // The last doubling, straight to its place.
    let half = table.len().saturating_mul(LANES);
    let mut elements = E::zero_vec(half.saturating_mul(2));
    let (lows, highs) = elements.split_at_mut(half);
    for ((low, high), packed) in lows.chunks_exact_mut(LANES).zip(highs.chunks_exact_mut(LANES)).zip(table) {
        let above = packed * last;
        above.to_ext_slice(high);
        (packed - above).to_ext_slice(low);
    }
    elements
}

/// Repeats the table, for a new variable that is the most significant one, below and above.
fn double<T: PrimeCharacteristicRing + Copy + std::ops::Mul<E, Output = T>>(table: &mut Vec<T>, coordinate: E) {
    let half = table.len();
    table.extend_from_within(..);
    let (low, high) = table.split_at_mut(half);
    for (low, high) in low.iter_mut().zip(high) {
        *high = *high * coordinate;
        *low -= *high;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(count: usize, seed: u64) -> Vec<E> {
        (0..count as u64).map(|i| E::from_u64(seed + i).exp_u64(5) + E::from_u64(0x1234_5678_9abc * (i + 1))).collect()
    }

    #[test]
    fn a_dot_product_is_the_sum_of_products() {
        for len in [0, 1, 7, 8, 9, 31, 64] {
            let (a, b) = (elements(len, 3), elements(len + 2, 77));
            let expected: E = a.iter().zip(&b).map(|(&a, &b)| a * b).sum();
            assert_eq!(dot(&a, &b), expected, "{len}");
            assert_eq!(dot(&b, &a), expected, "{len}");
        }
    }

    #[test]
    fn a_table_holds_the_product_of_each_bit_s_factor() {
        for len in 0..8 {
            let point = elements(len, 11);
            let table = eq_table(&point);
            assert_eq!(table.len(), 1 << len);
            for (b, &value) in table.iter().enumerate() {
                let factor = |(i, &r): (usize, &E)| if b >> (len - 1 - i) & 1 == 1 { r } else { E::ONE - r };
                assert_eq!(value, point.iter().enumerate().map(factor).product(), "{len} {b}");
            }
        }
    }
}
