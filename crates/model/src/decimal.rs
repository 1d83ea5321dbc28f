//! Positive decimal numbers, kept exactly as a file spells them.
//!
//! `rms_norm_eps` and `rope_theta` enter a statement, and statements hold no floats: later code evaluates the
//! decimal exactly.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// The number `digits · 10^exponent`, with `digits ≥ 1` not a multiple of ten: one value, one representation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    digits: u64,
    exponent: i32,
}

impl Decimal {
    /// The number that a JSON number literal spells.
    ///
    /// `None` unless it is positive, has at most 18 significant digits, and an exponent of magnitude at most 64.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let fraction = fraction.trim_end_matches('0');
        let joined = format!("{whole}{fraction}");
        let significant = joined.trim_start_matches('0').trim_end_matches('0');
        if significant.is_empty() || significant.len() > 18 {
            return None;
        }
        let trailing_zeros = joined.len().checked_sub(joined.trim_end_matches('0').len())?;
        let exponent = exponent
            .checked_sub(i32::try_from(fraction.len()).ok()?)?
            .checked_add(i32::try_from(trailing_zeros).ok()?)?;
        let digits = significant.parse().ok()?;
        (exponent.unsigned_abs() <= 64).then_some(Self { digits, exponent })
    }

    /// The shortest decimal that reads back as this `f32`, as Rust prints it; `None` unless it is positive and
    /// finite.
    #[must_use]
    pub fn shortest(value: f32) -> Option<Self> {
        Self::parse(&format!("{value:e}"))
    }

    /// The significant digits.
    #[must_use]
    pub const fn digits(self) -> u64 {
        self.digits
    }

    /// The power of ten.
    #[must_use]
    pub const fn exponent(self) -> i32 {
        self.exponent
    }
}

fn parse_exponent(text: &str) -> Option<i32> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || digits.len() > 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let magnitude: i32 = digits.parse().ok()?;
    if negative { magnitude.checked_neg() } else { Some(magnitude) }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}e{}", self.digits, self.exponent)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .filter(|decimal| decimal.to_string() == text)
            .ok_or_else(|| de::Error::invalid_value(de::Unexpected::Str(&text), &"a decimal such as 1e-5"))
    }
}

#[cfg(test)]
mod tests {
    use super::Decimal;

    #[test]
    fn every_spelling_of_a_number_is_one_decimal() {
        for text in ["1e-05", "1e-5", "0.00001", "0.000010", "10E-6", "1.0e-5"] {
            assert_eq!(Decimal::parse(text).unwrap().to_string(), "1e-5", "{text}");
        }
        for text in ["10000", "10000.0", "1e4", "1e+4", "0.1e5", "00010000"] {
            assert_eq!(Decimal::parse(text).unwrap().to_string(), "1e4", "{text}");
        }
        assert_eq!(Decimal::parse("123.45").unwrap().to_string(), "12345e-2");
    }

    #[test]
    fn other_numbers_are_refused() {
        let texts =
            ["", "0", "0.0", "-1", "NaN", "1e", "1e99", "1.", ".5", "1e-65", "1234567890123456789", "1_0", "+1"];
        for text in texts {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_float_gives_its_shortest_decimal() {
        assert_eq!(Decimal::shortest(1e-5).unwrap().to_string(), "1e-5");
        assert_eq!(Decimal::shortest(100_000.0).unwrap().to_string(), "1e5");
        assert_eq!(Decimal::shortest(f32::NAN), None);
        assert_eq!(Decimal::shortest(f32::INFINITY), None);
        assert_eq!(Decimal::shortest(-1.0), None);
        assert_eq!(Decimal::shortest(0.0), None);
    }
}
