//! Sums of products by the products of the field's own registers.

use super::{Packing, Triple};
use veritune_field::traits::{BasedVectorSpace, PrimeCharacteristicRing};
use veritune_field::{E, F};

/// `a b`: x^3 = x + 1, and each coefficient is one dot product over the base field, reduced once.
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

/// A sum of at most [`Products::MAX`] products of challenge-field elements.
pub(crate) struct Products(Triple);

impl Products {
    /// Most products of a sum: there is no limit here, but the other implementation has one.
    pub(crate) const MAX: usize = 256;

    /// No product yet.
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self([Packing::ZERO; 3])
    }

    /// Adds `a b`.
    #[inline(always)]
    pub(crate) fn add(&mut self, a: &Triple, b: &Triple) {
        let product = mul_triples(a, b);
        self.0.iter_mut().zip(product).for_each(|(sum, x)| *sum += x);
    }

    /// Adds `a b`.
    #[inline(always)]
    pub(crate) fn add_base(&mut self, a: &Triple, b: Packing) {
        self.0.iter_mut().zip(a).for_each(|(sum, &a)| *sum += a * b);
    }

    /// The sum.
    #[inline(always)]
    pub(crate) fn finish(&self) -> Triple {
        self.0
    }
}

/// One challenge-field element that many are multiplied by.
pub(crate) struct Factor(Triple);

impl Factor {
    /// The factor.
    #[inline(always)]
    pub(crate) fn new(x: E) -> Self {
        let x: &[F] = x.as_basis_coefficients_slice();
        Self([Packing::from(x[0]), Packing::from(x[1]), Packing::from(x[2])])
    }

    /// The product.
    #[inline(always)]
    pub(crate) fn times(&self, a: &Triple) -> Triple {
        mul_triples(a, &self.0)
    }
}
