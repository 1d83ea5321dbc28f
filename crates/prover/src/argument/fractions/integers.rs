//! Runs made from, and sums over, small integers: nothing is reduced until the end.

use super::run::{RUN, Run};
use veritune_field::traits::{BasedVectorSpace, PrimeCharacteristicRing, PrimeField64};
use veritune_field::{E, F};

/// Bits of the integers that are kept instead of denominators.
pub(in super::super) const VALUE_BITS: u32 = 22;

/// Small integers, one per element of a run.
pub(in super::super) type Values = [u32; RUN];

/// The lower and the upper half of a coefficient.
fn halves(x: &E, coefficient: usize) -> [u32; 2] {
    let coefficients: &[F] = x.as_basis_coefficients_slice();
    let x = coefficients[coefficient].as_canonical_u64();
    [x as u32, (x >> 32) as u32]
}

/// Writes `constant + sum of coefficients[i] * values[i]`.
///
/// At most four values, below `2^24`: sums of halves stay below `2^58 + 2^32`.
#[inline(never)]
pub(super) fn affine<const N: usize>(run: &mut Run, constant: E, coefficients: [E; N], values: [&Values; N]) {
    const { assert!(N <= 4) };
    for c in 0..3 {
        let start = halves(&constant, c);
        let factors = coefficients.each_ref().map(|x| halves(x, c));
        let mut out = [F::ZERO; RUN];
        for i in 0..RUN {
            let (mut low, mut high) = (u64::from(start[0]), u64::from(start[1]));
            for (factor, values) in factors.iter().zip(values) {
                low += u64::from(factor[0]) * u64::from(values[i]);
                high += u64::from(factor[1]) * u64::from(values[i]);
            }
            // 2^32 high = 2^32 (high mod 2^32) + (2^32 - 1) (high >> 32) mod p: the first is below p, the rest small.
            let carried = high >> 32;
            let (sum, overflow) = (high << 32).overflowing_add(low + ((carried << 32) - carried));
            // 2^64 = 2^32 - 1 mod p.
            out[i] = F::new(sum.wrapping_add(if overflow { 0xffff_ffff } else { 0 }));
        }
        run.set_coefficient(c, &out);
    }
}

/// Weights of a run, by coefficient and half.
pub(super) struct Halves([[Values; 2]; 3]);

impl Halves {
    pub(super) fn new(run: &Run) -> Self {
        let mut out = [[[0; RUN]; 2]; 3];
        for (c, halves) in out.iter_mut().enumerate() {
            for (i, x) in run.coefficient(c).enumerate() {
                let x = x.as_canonical_u64();
                (halves[0][i], halves[1][i]) = (x as u32, (x >> 32) as u32);
            }
        }
        Self(out)
    }
}

/// The sum of weights times values, by coefficient. Values are below `2^24`: sums of halves stay below `2^62`.
#[inline(always)]
fn dot(weights: &Halves, values: &Values) -> [u128; 3] {
    weights.0.each_ref().map(|halves| {
        let mut sums = [0u64; 2];
        for i in 0..RUN {
            sums[0] += u64::from(halves[0][i]) * u64::from(values[i]);
            sums[1] += u64::from(halves[1][i]) * u64::from(values[i]);
        }
        u128::from(sums[0]) + (u128::from(sums[1]) << 32)
    })
}

fn reduce(sums: [u128; 3]) -> E {
    E::from_basis_coefficients_fn(|c| F::from_u128(sums[c]))
}

/// Sums of differences of values, weighted: of `d0`, of `d1`, and of `d0 d1`, where `d` is `high - low`. Weights sum
/// to one.
#[inline(never)]
pub(super) fn difference_sums(weights: &Halves, low: [&Values; 2], high: [&Values; 2]) -> [E; 3] {
    const LOW_BITS: u32 = VALUE_BITS + 1;
    // Differences are made positive, and the products cut in two.
    let (mut d0, mut d1) = ([0u32; RUN], [0u32; RUN]);
    let (mut product_low, mut product_high) = ([0u32; RUN], [0u32; RUN]);
    for i in 0..RUN {
        let first = high[0][i].wrapping_sub(low[0][i]).cast_signed();
        let second = high[1][i].wrapping_sub(low[1][i]).cast_signed();
        d0[i] = first.wrapping_add(1 << VALUE_BITS).cast_unsigned();
        d1[i] = second.wrapping_add(1 << VALUE_BITS).cast_unsigned();
        let product = (i64::from(first) * i64::from(second) + (1 << (2 * VALUE_BITS))).cast_unsigned();
        product_low[i] = (product & ((1 << LOW_BITS) - 1)) as u32;
        product_high[i] = (product >> LOW_BITS) as u32;
    }
    let (low, high) = (dot(weights, &product_low), dot(weights, &product_high));
    let product = [0, 1, 2].map(|c: usize| low[c] + (high[c] << LOW_BITS));
    [
        reduce(dot(weights, &d0)) - E::from_u64(1 << VALUE_BITS),
        reduce(dot(weights, &d1)) - E::from_u64(1 << VALUE_BITS),
        reduce(product) - E::from_u64(1 << (2 * VALUE_BITS)),
    ]
}

/// The products of values, cut at bit [`VALUE_BITS`].
pub(super) fn products(a: &Values, b: &Values) -> [Values; 2] {
    let (mut low, mut high) = ([0; RUN], [0; RUN]);
    for i in 0..RUN {
        let product = u64::from(a[i]) * u64::from(b[i]);
        low[i] = (product & ((1 << VALUE_BITS) - 1)) as u32;
        high[i] = (product >> VALUE_BITS) as u32;
    }
    [low, high]
}
