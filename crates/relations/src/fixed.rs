//! Real functions by integer code: the tables and constants of a program are the same on every machine.
//!
//! Values are fixed-point with [`BITS`] fraction bits in `i128`; each function states its error. What a program
//! uses is these functions' result rounded half up to far fewer bits; the result, not the real function, is the
//! definition.

/// Fraction bits of the fixed-point numbers here.
pub const BITS: u32 = 60;
/// One.
pub const ONE: i128 = 1 << BITS;
/// pi * 2^60, rounded.
pub const PI: i128 = 3_622_009_729_038_561_421;
/// ln 2 * 2^60, rounded.
const LN_2: i128 = 799_144_290_325_165_979;

/// `a * b`, rounded half up; both below 2^3 in absolute value, or the product below 2^66.
pub fn multiply(a: i128, b: i128) -> i128 {
    (a * b + (1 << (BITS - 1))) >> BITS
}

/// [`multiply`], or none if the product leaves 127 bits.
pub fn checked_multiply(a: i128, b: i128) -> Option<i128> {
    Some(a.checked_mul(b)?.checked_add(1 << (BITS - 1))? >> BITS)
}

/// `exp(-x)` for `x >= 0`; absolute error below 2^-54.
pub fn exp_negative(x: i128) -> i128 {
    // exp(-x) = 2^-k * exp(-f), f in [0, ln 2)
    let k = x / LN_2;
    if k > 62 {
        return 0;
    }
    let f = x - k * LN_2;
    let mut sum = ONE;
    let mut term = ONE;
    for n in 1..=24i128 {
        term = -multiply(term, f) / n;
        sum += term;
        if term == 0 {
            break;
        }
    }
    (sum + ((1 << k) >> 1)) >> k
}

/// `ln(x)` for an integer `x >= 1`; absolute error below 2^-50.
pub fn ln_integer(x: u64) -> i128 {
    let k = i128::from(x.max(1).ilog2());
    // x = 2^k * m, m in [1, 2): ln m = 2 atanh((m-1)/(m+1))
    let m = (i128::from(x.max(1)) << BITS) >> k;
    let z = ((m - ONE) << BITS) / (m + ONE);
    let square = multiply(z, z);
    let (mut power, mut sum) = (z, 0);
    for n in 0..40i128 {
        sum += power / (2 * n + 1);
        power = multiply(power, square);
        if power == 0 {
            break;
        }
    }
    k * LN_2 + 2 * sum
}

/// `(cos(x), sin(x))` for `0 <= x < 2^24`; absolute error below 2^-30 at the end of the range, 2^-50 below 2^4.
pub fn cos_sin(x: i128) -> (i128, i128) {
    let x = x % (2 * PI);
    // Halve the angle eight times, then double back.
    let small = x >> 8;
    let square = multiply(small, small);
    let (mut cos, mut sin) = (ONE, small);
    let (mut cos_term, mut sin_term) = (ONE, small);
    for n in 1..=10i128 {
        cos_term = -multiply(cos_term, square) / ((2 * n - 1) * (2 * n));
        sin_term = -multiply(sin_term, square) / ((2 * n) * (2 * n + 1));
        cos += cos_term;
        sin += sin_term;
    }
    for _ in 0..8 {
        let doubled = multiply(cos, cos) - multiply(sin, sin);
        sin = 2 * multiply(sin, cos);
        cos = doubled;
    }
    (cos, sin)
}

/// `round(x * 2^(bits - BITS))`, half up.
pub fn round_to(x: i128, bits: u32) -> i64 {
    let shift = BITS - bits;
    let rounded = if shift == 0 { x } else { (x + (1 << (shift - 1))) >> shift };
    rounded as i64
}

/// `round(exp(-i / 2^input_bits) * 2^output_bits)` for `i` in `0..rows`.
pub fn exp_table(rows: usize, input_bits: u32, output_bits: u32) -> Vec<i64> {
    (0..rows).map(|i| round_to(exp_negative((i as i128) << (BITS - input_bits)), output_bits)).collect()
}

/// `(x * sigmoid(x), its derivative)` for `x = i / 2^input_bits`, rounded to the given bits.
pub fn silu(i: i64, input_bits: u32, silu_bits: u32, derivative_bits: u32) -> (i64, i64) {
    let x = i128::from(i) << (BITS - input_bits);
    let e = exp_negative(x.abs());
    if e == 0 {
        // Beyond the reach of the fixed-point exponential the function is its asymptote; the products below would
        // not fit.
        return if i >= 0 { (round_to(x, silu_bits), 1 << derivative_bits) } else { (0, 0) };
    }
    let positive = (ONE << BITS) / (ONE + e);
    let sigmoid = if i >= 0 { positive } else { ONE - positive };
    let silu = multiply(x, sigmoid);
    let derivative = multiply(sigmoid, ONE + multiply(x, ONE - sigmoid));
    (round_to(silu, silu_bits), round_to(derivative, derivative_bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real(x: i128) -> f64 {
        x as f64 / ONE as f64
    }

    #[test]
    fn functions_agree_with_floating_point() {
        for i in 0..4000 {
            let x = f64::from(i) * 0.0137;
            let fixed = (x * ONE as f64) as i128;
            assert!((real(exp_negative(fixed)) - (-x).exp()).abs() < 1e-15, "exp {x}");
            let (c, s) = cos_sin(fixed);
            assert!((real(c) - x.cos()).abs() < 1e-12 && (real(s) - x.sin()).abs() < 1e-12, "cos {x}");
        }
        for x in [1u64, 2, 3, 10_000, 100_000, 500_000, 1_000_000] {
            assert!((real(ln_integer(x)) - (x as f64).ln()).abs() < 1e-13, "ln {x}");
        }
        for i in [-32768i64, 32767] {
            let wide = silu(i, 4, 4, 14);
            assert_eq!(wide, if i > 0 { (i, 1 << 14) } else { (0, 0) }, "silu at {i} sixteenths");
        }
        for i in [-32768i64, -4000, -1, 0, 1, 77, 5000, 32767] {
            let x = i as f64 / 1024.0;
            let s = 1.0 / (1.0 + (-x).exp());
            let (a, b) = silu(i, 10, 10, 14);
            assert!((a as f64 / 1024.0 - x * s).abs() <= 0.5 / 1024.0 + 1e-9, "silu {x}");
            assert!((b as f64 / 16384.0 - s * (1.0 + x * (1.0 - s))).abs() <= 0.5 / 16384.0 + 1e-9, "silu' {x}");
        }
    }
}
