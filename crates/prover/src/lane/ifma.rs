//! Sums of products by the instructions that multiply 52-bit integers and add (AVX-512 IFMA).
//!
//! An element of the base field is `low + 2^52 high` with `low` of 52 bits and `high` of 12, as any representative below
//! `2^64` is. A sum of products is kept as `s0 + 2^52 s1 + 2^104 s2`, and reduced once at the end.

use super::{Packing, Triple};
use safe_arch::{
    add_i64_m512i, add_mul_high_u52_m512i, add_mul_low_u52_m512i, bitand_m512i, cmp_op_mask_u64_m512i, m512i,
    mul_u32_wide_m512i, set_splat_i64_m512i, shl_all_u64_m512i, shr_all_u64_m512i, sub_i64_m512i,
};
use veritune_field::traits::{BasedVectorSpace, PackedValue, PrimeField64};
use veritune_field::{E, F};

/// `2^64` modulo p.
const EPSILON: i64 = 0xffff_ffff;
/// Kept in `s0` so that subtracting what `s1` and `s2` carry leaves it positive: their share is below it.
const LOG_BIAS: u32 = 43;
/// Minus the bias modulo p, divided by `2^52`: `2^(96 + 43) = -2^43`, and `2^(44 + 43) = 2^55 - 2^23`.
const MINUS_BIAS: i64 = (1 << (LOG_BIAS + 12)) - (1 << (LOG_BIAS - 20));

/// A register in two limbs: the multiplication reads the lower 52 bits only, so the first is the register itself.
#[derive(Clone, Copy)]
struct Limbs {
    low: m512i,
    high: m512i,
}

impl Limbs {
    #[inline(always)]
    fn new(x: Packing) -> Self {
        let words: [i64; 8] = std::array::from_fn(
            #[inline(always)]
            |lane| x.as_slice()[lane].as_canonical_u64().cast_signed(),
        );
        let low = m512i::from(words);
        Self { low, high: shr_all_u64_m512i(low, 52) }
    }
}

/// A sum of products of base elements.
#[derive(Clone, Copy)]
struct Sum([m512i; 3]);

impl Sum {
    #[inline(always)]
    fn biased() -> Self {
        Self([set_splat_i64_m512i(1 << LOG_BIAS), set_splat_i64_m512i(MINUS_BIAS), set_splat_i64_m512i(0)])
    }

    #[inline(always)]
    fn zero() -> Self {
        Self([set_splat_i64_m512i(0); 3])
    }

    #[inline(always)]
    fn add_product(&mut self, a: Limbs, b: Limbs) {
        let [s0, s1, s2] = &mut self.0;
        *s0 = add_mul_low_u52_m512i(*s0, a.low, b.low);
        *s1 = add_mul_high_u52_m512i(*s1, a.low, b.low);
        *s1 = add_mul_low_u52_m512i(*s1, a.low, b.high);
        *s2 = add_mul_high_u52_m512i(*s2, a.low, b.high);
        *s1 = add_mul_low_u52_m512i(*s1, a.high, b.low);
        *s2 = add_mul_high_u52_m512i(*s2, a.high, b.low);
        *s2 = add_mul_low_u52_m512i(*s2, a.high, b.high);
    }

    #[inline(always)]
    fn plus(&self, other: &Self) -> Self {
        let [a, b] = [&self.0, &other.0];
        Self([add_i64_m512i(a[0], b[0]), add_i64_m512i(a[1], b[1]), add_i64_m512i(a[2], b[2])])
    }

    /// With `s1 = m0 + 2^12 m1 + 2^44 m2` the value is `2^52 m0 + (2^32 - 1) m1 + (s0 - m2 - 2^8 s2)` modulo p, by
    /// `2^64 = 2^32 - 1` and `2^96 = -1`. The second and the third term are below p, and not negative.
    #[inline(always)]
    fn reduce(&self) -> Packing {
        let [s0, s1, s2] = self.0;
        let first = shl_all_u64_m512i(s1, 52);
        let second = mul_u32_wide_m512i(shr_all_u64_m512i(s1, 12), set_splat_i64_m512i(EPSILON));
        let third = sub_i64_m512i(sub_i64_m512i(s0, shr_all_u64_m512i(s1, 44)), shl_all_u64_m512i(s2, 8));
        let words: [i64; 8] = add_below_p(add_below_p(first, second), third).into();
        Packing::from_fn(
            #[inline(always)]
            |lane| F::new(words[lane].cast_unsigned()),
        )
    }
}

/// `x + y` modulo p for any word `x`, and `y` below p: what is left of a sum that wraps is at most p - 2, so that adding what
/// the carry stands for does not wrap again.
#[inline(always)]
fn add_below_p(x: m512i, y: m512i) -> m512i {
    const LESS: i32 = 1;
    let sum = add_i64_m512i(x, y);
    let carried = cmp_op_mask_u64_m512i::<LESS>(sum, y);
    add_i64_m512i(sum, bitand_m512i(carried, set_splat_i64_m512i(EPSILON)))
}

/// A sum of at most [`Products::MAX`] products of challenge-field elements, by degree of x before `x^3 = x + 1`.
///
/// At most five products of base elements meet in a coefficient: `s0` stays below `MAX 5 2^52 + 2^43 < p`, `s1` below
/// `MAX 15 2^52 + 2^55 < 2^64`, and `s2` below `MAX 5 (2^24 + 2^13)`, so that `2^8 s2 + 2^20` is below the bias.
pub(crate) struct Products([Sum; 5]);

impl Products {
    /// Most products of a sum.
    pub(crate) const MAX: usize = 256;

    /// No product yet.
    #[inline(always)]
    pub(crate) fn new() -> Self {
        let (biased, zero) = (Sum::biased(), Sum::zero());
        Self([biased, biased, biased, zero, zero])
    }

    /// Adds `a b`.
    #[inline(always)]
    pub(crate) fn add(&mut self, a: &Triple, b: &Triple) {
        let [a0, a1, a2] = [Limbs::new(a[0]), Limbs::new(a[1]), Limbs::new(a[2])];
        let [b0, b1, b2] = [Limbs::new(b[0]), Limbs::new(b[1]), Limbs::new(b[2])];
        let [c0, c1, c2, c3, c4] = &mut self.0;
        c0.add_product(a0, b0);
        c1.add_product(a0, b1);
        c2.add_product(a0, b2);
        c1.add_product(a1, b0);
        c2.add_product(a1, b1);
        c3.add_product(a1, b2);
        c2.add_product(a2, b0);
        c3.add_product(a2, b1);
        c4.add_product(a2, b2);
    }

    /// Adds `a b`.
    #[inline(always)]
    pub(crate) fn add_base(&mut self, a: &Triple, b: Packing) {
        let b = Limbs::new(b);
        let [c0, c1, c2, ..] = &mut self.0;
        c0.add_product(Limbs::new(a[0]), b);
        c1.add_product(Limbs::new(a[1]), b);
        c2.add_product(Limbs::new(a[2]), b);
    }

    /// The sum.
    #[inline(always)]
    pub(crate) fn finish(&self) -> Triple {
        let [c0, c1, c2, c3, c4] = &self.0;
        [c0.plus(c3).reduce(), c1.plus(&c3.plus(c4)).reduce(), c2.plus(c4).reduce()]
    }
}

/// `a b`.
#[inline(always)]
pub(crate) fn mul_triples(a: &Triple, b: &Triple) -> Triple {
    let mut product = Products::new();
    product.add(a, b);
    product.finish()
}

/// `a b + c d`, reduced once.
#[inline(always)]
pub(crate) fn mul_add_triples(a: &Triple, b: &Triple, c: &Triple, d: &Triple) -> Triple {
    let mut sum = Products::new();
    sum.add(a, b);
    sum.add(c, d);
    sum.finish()
}

/// One challenge-field element that many are multiplied by.
pub(crate) struct Factor {
    /// Of 1, of x and of x^2.
    limbs: [Limbs; 3],
    /// Of 1 and x^2 together, and of x and x^2.
    sums: [Limbs; 2],
}

impl Factor {
    /// The factor.
    #[inline(always)]
    pub(crate) fn new(x: E) -> Self {
        let x: &[F] = x.as_basis_coefficients_slice();
        let limbs = |x: F| Limbs::new(Packing::from(x));
        Self { limbs: [limbs(x[0]), limbs(x[1]), limbs(x[2])], sums: [limbs(x[0] + x[2]), limbs(x[1] + x[2])] }
    }

    /// The product: `x^3 = x + 1` is used before anything is summed, so there are three sums instead of five.
    #[inline(always)]
    pub(crate) fn times(&self, a: &Triple) -> Triple {
        let [a0, a1, a2] = [Limbs::new(a[0]), Limbs::new(a[1]), Limbs::new(a[2])];
        let ([b0, b1, b2], [b02, b12]) = (self.limbs, self.sums);
        let [mut c0, mut c1, mut c2] = [Sum::biased(); 3];
        c0.add_product(a0, b0);
        c1.add_product(a0, b1);
        c2.add_product(a0, b2);
        c0.add_product(a1, b2);
        c1.add_product(a1, b02);
        c2.add_product(a1, b1);
        c0.add_product(a2, b1);
        c1.add_product(a2, b12);
        c2.add_product(a2, b02);
        [c0.reduce(), c1.reduce(), c2.reduce()]
    }
}
