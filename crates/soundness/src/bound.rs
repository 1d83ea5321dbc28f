//! An upper bound on a probability, as a fixed-point integer.
//!
//! Statement: every operation returns a number that is at least the exact result, because each
//! rounding goes up; a bound in bits goes down. No floating point takes part.

/// Limbs of 64 bits: values are multiples of 2^-448.
const LIMBS: usize = 7;
/// Fractional bits.
const FRACTION_BITS: usize = 64 * LIMBS;
/// The order of Goldilocks; the challenge field has its cube.
const P: u64 = 0xffff_ffff_0000_0001;

/// An upper bound on a probability below one, a multiple of 2^-448; `None` inside stands for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ErrorBound(
    // Most significant limb first, so that the derived order is the numeric order.
    [u64; LIMBS],
);

/// Minus the base-2 logarithm of a bound, in thousandths, rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bits(pub u32);

impl std::fmt::Display for Bits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

impl ErrorBound {
    /// Probability zero.
    pub const ZERO: Self = Self([0; LIMBS]);
    /// The largest representable bound, read as "one".
    pub const ONE: Self = Self([u64::MAX; LIMBS]);

    /// At least `numerator / |E|`, with `|E| = p^3`.
    pub fn over_challenge_field(numerator: u64) -> Self {
        // Dividing three times by p and rounding up each time bounds the quotient from above.
        let unit = Self::ONE.divided_up(P).divided_up(P).divided_up(P);
        unit.times(numerator)
    }

    /// At least `((2^r + 1) / 2^(r + 1))^queries`: no query at rate `2^-r` meets one of the
    /// more than `(1 - 2^-r)/2` disagreements. `r` is between 1 and 32.
    pub fn all_queries_miss(log_inverse_rate: u32, queries: u32) -> Self {
        let mut base = Self::ZERO;
        // (2^r + 1) * 2^(63 - r) fits 64 bits for r >= 1.
        base.0[0] = ((1_u64 << log_inverse_rate) + 1) << (63 - log_inverse_rate);
        let mut power = base;
        if queries == 0 {
            return Self::ONE;
        }
        for _ in 1..queries {
            power = power.times_bound(base);
        }
        power
    }

    /// At least the sum; saturates at one.
    pub fn plus(self, other: Self) -> Self {
        let mut sum = self;
        let mut carry = false;
        for i in (0..LIMBS).rev() {
            let (partial, first) = self.0[i].overflowing_add(other.0[i]);
            let (total, second) = partial.overflowing_add(u64::from(carry));
            sum.0[i] = total;
            carry = first || second;
        }
        if carry { Self::ONE } else { sum }
    }

    /// At least `factor` times the bound; saturates at one.
    pub fn times(self, factor: u64) -> Self {
        let mut product = self;
        let mut carry = 0_u128;
        for i in (0..LIMBS).rev() {
            let wide = u128::from(self.0[i]) * u128::from(factor) + carry;
            product.0[i] = wide as u64;
            carry = wide >> 64;
        }
        if carry == 0 { product } else { Self::ONE }
    }

    /// At least the product of two bounds.
    pub fn times_bound(self, other: Self) -> Self {
        // Schoolbook product into 2*LIMBS limbs, most significant first.
        let mut wide = [0_u64; 2 * LIMBS];
        for i in (0..LIMBS).rev() {
            let mut carry = 0_u128;
            for j in (0..LIMBS).rev() {
                let slot = i + j + 1;
                let value = u128::from(self.0[i]) * u128::from(other.0[j]) + u128::from(wide[slot]) + carry;
                wide[slot] = value as u64;
                carry = value >> 64;
            }
            wide[i] = carry as u64;
        }
        let mut high = Self::ZERO;
        high.0.copy_from_slice(&wide[..LIMBS]);
        if wide[LIMBS..].iter().any(|&limb| limb != 0) { high.next_up() } else { high }
    }

    /// The largest multiple of a thousandth of a bit `b` for which the bound is proved at most `2^-b`.
    pub fn bits(self) -> Bits {
        if self == Self::ONE {
            return Bits(0);
        }
        if self == Self::ZERO {
            return Bits(FRACTION_BITS as u32 * 1000);
        }
        // Leading zeros give the integer part: value < 2^-whole.
        let mut value = self;
        let mut whole = 0_u32;
        while value.0[0] >> 63 == 0 {
            value = value.plus(value);
            whole += 1;
        }
        // value is in [1/2, 1); -log2 of it is in (0, 1]. Squaring doubles the logarithm.
        let mut fraction = 0_u64;
        const FRACTION_DIGITS: u32 = 24;
        for _ in 0..FRACTION_DIGITS {
            value = value.times_bound(value);
            fraction <<= 1;
            if value.0[0] >> 63 == 0 {
                fraction |= 1;
                value = value.plus(value);
            }
        }
        // Rounded down twice: the binary digits are truncated, then the thousandths.
        Bits(whole * 1000 + ((fraction * 1000) >> FRACTION_DIGITS) as u32)
    }

    fn next_up(self) -> Self {
        let mut ulp = Self::ZERO;
        ulp.0[LIMBS - 1] = 1;
        self.plus(ulp)
    }

    /// At least the quotient by `divisor` of the bound, where [`Self::ONE`] is read as exactly one
    /// or less.
    fn divided_up(self, divisor: u64) -> Self {
        let mut quotient = Self::ZERO;
        let mut remainder = 0_u128;
        for i in 0..LIMBS {
            let wide = (remainder << 64) | u128::from(self.0[i]);
            quotient.0[i] = (wide / u128::from(divisor)) as u64;
            remainder = wide % u128::from(divisor);
        }
        // One more unit pays for the remainder and for `ONE` being one unit below one.
        quotient.next_up()
    }
}

/// The least number of queries at rate `2^-r` whose miss probability is at most `2^-term_bits`.
pub fn queries_for(log_inverse_rate: u32, term_bits: u32) -> u32 {
    let mut queries = 1;
    let mut power = ErrorBound::all_queries_miss(log_inverse_rate, 1);
    let base = power;
    while power.bits().0 < term_bits * 1000 {
        power = power.times_bound(base);
        queries += 1;
    }
    queries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_have_exact_bits() {
        let mut bound = ErrorBound::ZERO;
        bound.0[0] = 1 << 63;
        assert_eq!(bound.bits(), Bits(999)); // 2^-1 exactly: the strict digit expansion stays below.
        let mut smaller = ErrorBound::ZERO;
        smaller.0[2] = 1;
        assert!(smaller.bits() >= Bits(191_999) && smaller.bits() <= Bits(192_000));
    }

    #[test]
    fn field_ratio_is_tight_and_above() {
        // p^3 is 2^192 (1 - 2^-32 + 2^-64)^3, so -log2(1/p^3) is 192 - 1.0e-9 up to rounding.
        assert_eq!(ErrorBound::over_challenge_field(1).bits(), Bits(191_999));
        assert_eq!(ErrorBound::over_challenge_field(1 << 20).bits(), Bits(171_999));
        assert_eq!(ErrorBound::over_challenge_field(0), ErrorBound::ZERO);
    }

    #[test]
    fn query_counts_match_the_closed_form() {
        // -log2((1 + 2^-r)/2): 0.41504, 0.67807, 0.83007, 0.91254, 0.95560, 0.97763.
        assert_eq!(queries_for(1, 143), 345);
        assert_eq!(queries_for(2, 143), 211);
        assert_eq!(queries_for(3, 143), 173);
        assert_eq!(queries_for(4, 143), 157);
    }

    #[test]
    fn saturation_is_one() {
        assert_eq!(ErrorBound::ONE.plus(ErrorBound::ONE), ErrorBound::ONE);
        assert_eq!(ErrorBound::ONE.times(2), ErrorBound::ONE);
        assert_eq!(ErrorBound::ONE.bits(), Bits(0));
    }
}
