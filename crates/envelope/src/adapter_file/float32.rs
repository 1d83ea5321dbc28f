//! Integers at a power-of-two scale as float32 bits, by integer arithmetic alone.
//!
//! `n · 2^-f` with `|n| < 2^24` and `f ≤ 126` is zero or a normal float32 and exact: the significand has 24 bits and
//! the smallest magnitude is the smallest normal, 2^-126. Zero is `+0.0`; subnormals, `−0.0`, infinities and NaN are
//! encodings of nothing.
//!
//! Source: IEEE 754-2019 §3.4, binary32: 23 fraction bits, exponent bias 127.

/// Magnitudes are below 2 to this power.
pub const MAGNITUDE_BITS: u32 = 24;

/// Most fraction bits of a scale.
pub const MAX_FRACTION_BITS: u32 = 126;

const STORED_BITS: u32 = 23;
const EXPONENT_BIAS: u32 = 127;
const SIGN_BIT: u32 = 1 << 31;

/// The float32 bits of `integer · 2^-fraction_bits`; `None` outside the exact range.
#[must_use]
pub fn encode(integer: i64, fraction_bits: u32) -> Option<u32> {
    let magnitude = u32::try_from(integer.unsigned_abs()).ok()?;
    if magnitude >> MAGNITUDE_BITS != 0 || fraction_bits > MAX_FRACTION_BITS {
        return None;
    }
    let Some(top_bit) = magnitude.checked_ilog2() else {
        return Some(0);
    };
    let exponent = top_bit.checked_add(EXPONENT_BIAS)?.checked_sub(fraction_bits)?;
    let significand = magnitude.checked_shl(STORED_BITS.checked_sub(top_bit)?)?;
    let fraction = significand & ((1 << STORED_BITS) - 1);
    let sign = if integer < 0 { SIGN_BIT } else { 0 };
    Some(sign | (exponent << STORED_BITS) | fraction)
}

/// The integer that `bits` are the encoding of at this scale; `None` if there is none.
#[must_use]
pub fn decode(bits: u32, fraction_bits: u32) -> Option<i64> {
    if bits == 0 {
        return (fraction_bits <= MAX_FRACTION_BITS).then_some(0);
    }
    let exponent = (bits & !SIGN_BIT) >> STORED_BITS;
    let top_bit = exponent.checked_add(fraction_bits)?.checked_sub(EXPONENT_BIAS)?;
    let significand = (bits & ((1 << STORED_BITS) - 1)) | (1 << STORED_BITS);
    let magnitude = i64::from(significand.checked_shr(STORED_BITS.checked_sub(top_bit)?)?);
    let integer = if bits & SIGN_BIT == 0 { magnitude } else { magnitude.checked_neg()? };
    // Bits below the unit, subnormals and exponents out of range do not encode back to the same bits.
    (encode(integer, fraction_bits) == Some(bits)).then_some(integer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LARGEST: i64 = (1 << MAGNITUDE_BITS) - 1;

    #[test]
    fn edges() {
        assert_eq!(encode(0, 16), Some(0));
        assert_eq!(encode(1, 126), Some(f32::MIN_POSITIVE.to_bits()));
        assert_eq!(encode(1, 127), None);
        assert_eq!(encode(0, 127), None);
        assert_eq!(encode(LARGEST, 0), Some((LARGEST as f32).to_bits()));
        assert_eq!(encode(LARGEST + 1, 0), None);
        assert_eq!(encode(-LARGEST - 1, 0), None);
        assert_eq!(encode(i64::MIN, 0), None);
        let refused = [
            (-0.0f32).to_bits(),
            f32::NAN.to_bits(),
            f32::INFINITY.to_bits(),
            f32::NEG_INFINITY.to_bits(),
            1,                               // a subnormal
            f32::MIN_POSITIVE.to_bits() - 1, // the largest subnormal
            2.0f32.powi(-17).to_bits(),      // half a unit
            (1.0f32 + f32::EPSILON).to_bits(),
            (LARGEST as f32 + 1.0).to_bits(), // 2^24 / 2^16 is 256 here
        ];
        for bits in &refused[..8] {
            assert_eq!(decode(*bits, 16), None, "{bits:08x}");
        }
        assert_eq!(decode(refused[8], 0), None);
        assert_eq!(decode(0, 127), None);
    }

    proptest! {
        #[test]
        fn exact_and_reversible(integer in -LARGEST..=LARGEST, fraction_bits in 0u32..=126) {
            let bits = encode(integer, fraction_bits).unwrap();
            let exact = integer as f64 * 2f64.powi(-(fraction_bits as i32));
            prop_assert_eq!(f64::from(f32::from_bits(bits)), exact);
            prop_assert_eq!(decode(bits, fraction_bits), Some(integer));
        }

        #[test]
        fn any_bits(bits: u32, fraction_bits in 0u32..200) {
            if let Some(integer) = decode(bits, fraction_bits) {
                prop_assert_eq!(encode(integer, fraction_bits), Some(bits));
            }
        }
    }
}
