//! Arithmetic of registers that is inlined, and of single elements.

// With the instructions that multiply 52-bit integers, or with the field's own products. Tests are of both.
#[cfg(all(target_arch = "x86_64", target_feature = "avx512f", target_feature = "avx512ifma"))]
mod ifma;
#[cfg(any(test, not(all(target_arch = "x86_64", target_feature = "avx512f", target_feature = "avx512ifma"))))]
#[cfg_attr(test, allow(dead_code))]
mod portable;

#[cfg(all(target_arch = "x86_64", target_feature = "avx512f", target_feature = "avx512ifma"))]
pub(crate) use ifma::{Factor, Products, mul_add_triples, mul_triples};
#[cfg(not(all(target_arch = "x86_64", target_feature = "avx512f", target_feature = "avx512ifma")))]
pub(crate) use portable::{Factor, Products, mul_add_triples, mul_triples};
pub(crate) use veritune_field::lanes::{LANES, PackedE, Packing, pack, sum_lanes};

use veritune_field::E;
use veritune_field::traits::{BasedVectorSpace, PrimeCharacteristicRing};

/// The coefficients of a register of challenge-field elements.
pub(crate) type Triple = [Packing; 3];

/// `a b`.
#[inline(always)]
pub(crate) fn mul(a: &PackedE, b: &PackedE) -> PackedE {
    from_triple(mul_triples(triple(a), triple(b)))
}

/// `factor x`.
#[inline(always)]
pub(crate) fn scaled(factor: &Factor, x: &PackedE) -> PackedE {
    from_triple(factor.times(triple(x)))
}

/// A register of its coefficients.
#[inline(always)]
pub(crate) fn from_triple(x: Triple) -> PackedE {
    PackedE::from_basis_coefficients_fn(
        #[inline(always)]
        |i| x[i],
    )
}

/// The sum of the lanes.
pub(crate) fn sum_triple(x: &Triple) -> E {
    sum_lanes(from_triple(*x))
}

/// The three coefficients of a register.
#[inline(always)]
pub(crate) fn triple(x: &PackedE) -> &Triple {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use veritune_field::F;
    use veritune_field::traits::{PackedValue, PrimeField64};

    /// Words at the ends of limbs and of the field, some of them no canonical ones, and any others.
    fn word() -> impl Strategy<Value = F> {
        let ends = prop::sample::select(vec![
            0,
            1,
            (1 << 32) - 1,
            1 << 32,
            (1 << 52) - 1,
            1 << 52,
            F::ORDER_U64 - 1,
            F::ORDER_U64,
            u64::MAX,
        ]);
        prop_oneof![ends, any::<u64>()].prop_map(F::new)
    }

    fn triple_of(words: &[F]) -> Triple {
        std::array::from_fn(|c| Packing::from_fn(|lane| words[c * LANES + lane]))
    }

    fn lane(x: &Triple, lane: usize) -> E {
        E::from_basis_coefficients_fn(|c| x[c].as_slice()[lane])
    }

    fn triples(count: usize) -> impl Strategy<Value = Vec<Triple>> {
        prop::collection::vec(word(), 3 * LANES * count)
            .prop_map(|words| words.chunks_exact(3 * LANES).map(triple_of).collect())
    }

    macro_rules! are_exact {
        ($implementation:ident) => {
            mod $implementation {
                use super::*;
                use crate::lane::$implementation::{Factor, Products, mul_add_triples, mul_triples};

                proptest! {
                    #[test]
                    fn registers_multiply_lane_by_lane(x in triples(4)) {
                        let [a, b, c, d] = x[..] else { unreachable!() };
                        let (product, both) = (mul_triples(&a, &b), mul_add_triples(&a, &b, &c, &d));
                        for i in 0..LANES {
                            let expected = lane(&a, i) * lane(&b, i);
                            prop_assert_eq!(lane(&product, i), expected);
                            prop_assert_eq!(lane(&both, i), expected + lane(&c, i) * lane(&d, i));
                        }
                    }

                    #[test]
                    fn a_factor_multiplies_lane_by_lane(a in triples(1), factor in triples(1)) {
                        let factor = lane(&factor[0], 0);
                        let product = Factor::new(factor).times(&a[0]);
                        (0..LANES).for_each(|i| assert_eq!(lane(&product, i), lane(&a[0], i) * factor));
                    }

                    #[test]
                    fn a_sum_holds_its_products_lane_by_lane(a in triples(9), b in triples(9)) {
                        let mut sum = Products::new();
                        let mut expected = [E::ZERO; LANES];
                        for (a, b) in a.iter().zip(&b) {
                            sum.add(a, b);
                            sum.add_base(b, a[1]);
                            for (i, expected) in expected.iter_mut().enumerate() {
                                *expected += lane(a, i) * lane(b, i) + lane(b, i) * a[1].as_slice()[i];
                            }
                        }
                        let sum = sum.finish();
                        (0..LANES).for_each(|i| assert_eq!(lane(&sum, i), expected[i]));
                        prop_assert_eq!(sum_triple(&sum), expected.iter().copied().sum::<E>());
                    }
                }

                /// The largest sum that is allowed: no limb overflows.
                #[test]
                fn a_sum_of_the_most_and_greatest_products_is_exact() {
                    for greatest in [-F::ONE, F::new(u64::MAX), F::new((1 << 52) - 1)] {
                        let greatest: Triple = std::array::from_fn(|_| Packing::from(greatest));
                        let mut sum = Products::new();
                        (0..Products::MAX).for_each(|_| sum.add(&greatest, &greatest));
                        let (x, sum) = (lane(&greatest, 0), sum.finish());
                        (0..LANES).for_each(|i| assert_eq!(lane(&sum, i), x * x * F::from_usize(Products::MAX)));
                    }
                }
            }
        };
    }

    are_exact!(portable);
    #[cfg(all(target_arch = "x86_64", target_feature = "avx512f", target_feature = "avx512ifma"))]
    are_exact!(ifma);
}
