//! Real numbers to integers at a power-of-two scale: exact products, half up.
//!
//! Statement: for `x` a product of two `f32` (or one), [`fixed_point`] is `⌊x·2^f + 1/2⌋` of the real numbers,
//! wherever its magnitude is below 2^31. Why no step rounds: `docs/spec/base-model.md`.

/// Least width of a weight.
pub const MIN_BASE_BITS: u32 = 8;
/// Greatest width of a weight.
pub const MAX_BASE_BITS: u32 = 24;
/// Greatest scale: a tensor of zeros has no largest one.
pub const MAX_FRACTION_BITS: u32 = 30;

/// The integer nearest to `x`, halves upward (toward +∞), as a float. Exact for `x` with at most 48 significant
/// bits and magnitude below 2^52.
#[must_use]
pub fn round_half_up(x: f64) -> f64 {
    let below = x.floor();
    if x - below >= 0.5 { below + 1.0 } else { below }
}

/// `x·2^fraction_bits` rounded half up; `None` where its magnitude is above `limit`.
///
/// `fraction_bits` is at most [`MAX_FRACTION_BITS`].
#[must_use]
pub fn fixed_point(x: f64, fraction_bits: u32, limit: i32) -> Option<i32> {
    let scale = f64::from(1u32.checked_shl(fraction_bits)?);
    let rounded = round_half_up(x * scale);
    // A whole number of magnitude at most `limit`: the conversion is exact.
    #[allow(clippy::as_conversions)]
    (rounded.abs() <= f64::from(limit)).then_some(rounded as i32)
}

/// The largest scale at which all of `least..=greatest` has magnitude at most `limit` after rounding.
pub(crate) fn largest_fraction_bits(least: f64, greatest: f64, limit: i32) -> Option<u32> {
    let fits = |f: &u32| fixed_point(least, *f, limit).is_some() && fixed_point(greatest, *f, limit).is_some();
    (0..=MAX_FRACTION_BITS).rev().find(fits)
}

#[cfg(test)]
mod tests {
    use super::{MAX_FRACTION_BITS, fixed_point, largest_fraction_bits, round_half_up};
    use proptest::prelude::*;

    /// `⌊(significand·2^exponent)·2^f + 1/2⌋` in integers.
    fn exact(significand: i64, exponent: i32, fraction_bits: u32) -> i128 {
        let shift = exponent + fraction_bits as i32;
        let significand = i128::from(significand);
        match shift {
            0.. => significand << shift,
            -120..=-1 => (significand + (1i128 << (-shift - 1))) >> -shift,
            _ => 0,
        }
    }

    fn parts(x: f32) -> (i64, i32) {
        let bits = x.to_bits();
        let (exponent, fraction) = ((bits >> 23) & 255, i64::from(bits & 0x7f_ffff));
        let (magnitude, exponent) = match exponent {
            0 => (fraction, -149),
            e => (fraction | 0x80_0000, e as i32 - 150),
        };
        (if x.is_sign_negative() { -magnitude } else { magnitude }, exponent)
    }

    #[test]
    fn halves_go_up() {
        for (x, expected) in [(0.5, 1.0), (-0.5, 0.0), (1.5, 2.0), (-1.5, -1.0), (0.49999999999, 0.0), (-0.0, 0.0)] {
            assert_eq!(round_half_up(x), expected, "{x}");
        }
        assert_eq!(round_half_up(-1e-300), 0.0);
    }

    #[test]
    fn the_scale_is_the_largest_that_fits() {
        let limit = (1 << 15) - 1;
        assert_eq!(largest_fraction_bits(-0.25, 1.0, limit), Some(14));
        assert_eq!(largest_fraction_bits(-1.0, 0.999, limit), Some(14));
        // 32767.4999 rounds down to the limit, 32767.5 up beyond it; −32767.5 rounds up to the limit.
        assert_eq!(largest_fraction_bits(0.0, 32767.4999 / 32768.0, limit), Some(15));
        assert_eq!(largest_fraction_bits(0.0, 32767.5 / 32768.0, limit), Some(14));
        assert_eq!(largest_fraction_bits(-32767.5 / 32768.0, 0.0, limit), Some(15));
        assert_eq!(largest_fraction_bits(0.0, 0.0, limit), Some(MAX_FRACTION_BITS));
        assert_eq!(largest_fraction_bits(0.0, 32768.0, limit), None);
        assert_eq!(largest_fraction_bits(f64::NEG_INFINITY, 0.0, limit), None);
        assert_eq!(largest_fraction_bits(f64::NAN, 0.0, limit), None);
    }

    proptest! {
        #[test]
        fn agrees_with_integers(w in any::<u32>(), g in any::<u32>(), shrink in 0i32..40, f in 0..=MAX_FRACTION_BITS) {
            let (w, g) = (f32::from_bits(w), f32::from_bits(g));
            let small = |x: f32| if x.is_finite() { x * 2f32.powi(-shrink) } else { 0.0 };
            let (w, g) = (small(w), small(g));
            let ((a, i), (b, j)) = (parts(w), parts(g));
            if let Some(got) = fixed_point(f64::from(w) * f64::from(g), f, i32::MAX) {
                prop_assert_eq!(i128::from(got), exact(a * b, i + j, f));
            }
        }

        #[test]
        fn agrees_with_integers_in_the_usual_range(w in -1.0f32..1.0, g in -8.0f32..8.0, f in 0..=MAX_FRACTION_BITS) {
            let ((a, i), (b, j)) = (parts(w), parts(g));
            if let Some(got) = fixed_point(f64::from(w) * f64::from(g), f, i32::MAX) {
                prop_assert_eq!(i128::from(got), exact(a * b, i + j, f));
            }
        }
    }
}
