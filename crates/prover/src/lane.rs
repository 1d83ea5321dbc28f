//! Arithmetic of registers that is inlined, and of single elements.

pub(crate) use veritune_field::lanes::{LANES, PackedE, Packing, pack, sum_lanes};

use veritune_field::E;
use veritune_field::traits::{BasedVectorSpace, PrimeCharacteristicRing};

/// The coefficients of a register of challenge-field elements.
pub(crate) type Triple = [Packing; 3];

/// `a b` by coefficients, so that it is inlined: x^3 = x + 1, as in the field's own product. Each coefficient is one dot
/// product over the base field, reduced once.
#[inline(always)]
pub(crate) fn mul_triples(a: &Triple, b: &Triple) -> Triple {
    let (b02, b12) = (b[0] + b[2], b[1] + b[2]);
    [
        Packing::dot_product::<3>(a, &[b[0], b[2], b[1]]),
        Packing::dot_product::<3>(a, &[b[1], b02, b12]),
        Packing::dot_product::<3>(a, &[b[2], b[1], b02]),
    ]
}

/// `a b + c d`, reduced once.
#[inline(always)]
pub(crate) fn mul_add_triples(a: &Triple, b: &Triple, c: &Triple, d: &Triple) -> Triple {
    let (b02, b12, d02, d12) = (b[0] + b[2], b[1] + b[2], d[0] + d[2], d[1] + d[2]);
    let left = [a[0], a[1], a[2], c[0], c[1], c[2]];
    [
        Packing::dot_product::<6>(&left, &[b[0], b[2], b[1], d[0], d[2], d[1]]),
        Packing::dot_product::<6>(&left, &[b[1], b02, b12, d[1], d02, d12]),
        Packing::dot_product::<6>(&left, &[b[2], b[1], b02, d[2], d[1], d02]),
    ]
}

/// `a b`.
#[inline(always)]
pub(crate) fn mul(a: &PackedE, b: &PackedE) -> PackedE {
    let product = mul_triples(triple(a), triple(b));
    PackedE::from_basis_coefficients_fn(
        #[inline(always)]
        |i| product[i],
    )
}

/// The three coefficients of a register.
#[inline(always)]
fn triple(x: &PackedE) -> &Triple {
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
