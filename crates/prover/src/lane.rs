//! Arithmetic of registers that is inlined, and of single elements.

pub(crate) use veritune_field::lanes::{LANES, PackedE, Packing, pack, sum_lanes};

use veritune_field::E;
use veritune_field::traits::{BasedVectorSpace, PrimeCharacteristicRing};

/// `a b` by coefficients, so that it is inlined: x^3 = x + 1, as in the field's own product.
#[inline(always)]
pub(crate) fn mul(a: &PackedE, b: &PackedE) -> PackedE {
    let (&[a0, a1, a2], &[b0, b1, b2]) = (coefficients(a), coefficients(b));
    let (b02, b12) = (b0 + b2, b1 + b2);
    let a = [a0, a1, a2];
    let product = [
        Packing::dot_product::<3>(&a, &[b0, b2, b1]),
        Packing::dot_product::<3>(&a, &[b1, b02, b12]),
        Packing::dot_product::<3>(&a, &[b2, b1, b02]),
    ];
    PackedE::from_basis_coefficients_fn(
        #[inline(always)]
        |i| product[i],
    )
}

/// The three coefficients of a register.
#[inline(always)]
fn coefficients(x: &PackedE) -> &[Packing; 3] {
    let slice: &[Packing] = x.as_basis_coefficients_slice();
    slice.as_array().expect("the extension has degree three")
}

/// `low + x (high - low)`.
#[inline(always)]
pub(crate) fn line(low: E, high: E, x: E) -> E {
    low + x * (high - low)
}

/// The same element in every lane.
pub(crate) fn broadcast(x: E) -> PackedE {
    PackedE::ZERO + x
}
