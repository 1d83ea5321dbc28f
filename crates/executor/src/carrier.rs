//! The two kinds of number that a program runs on, and each operation's arithmetic on them.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Mul, Sub};

use veritune_relations::{Function, Range};

use crate::matmul::{Product, run_product};

/// A number that tensors hold. Rounding is defined here and nowhere else.
pub trait Carrier:
    Copy
    + Default
    + PartialEq
    + PartialOrd
    + Send
    + Sync
    + Debug
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + AddAssign
    + 'static
{
    /// Whether integers are exact; if not, what is made of field elements is left at zero.
    const EXACT: bool;
    /// The integer.
    fn from_i64(x: i64) -> Self;
    /// The integer at or below.
    fn to_i64(self) -> i64;
    /// As a real number, in integer units.
    fn to_f64(self) -> f64;
    /// Quotient, rounded half up, and remainder by a positive divisor.
    fn rescale(self, divisor: i64) -> (Self, Self);
    /// Quotient toward minus infinity and remainder; none if `denominator < 1` (on reals: if it is zero).
    fn divide(self, denominator: Self) -> Option<(Self, Self)>;
    /// Root toward zero and remainder; none if negative.
    fn square_root(self) -> Option<(Self, Self)>;
    /// `self = high * base + low` with integer `high` and `0 <= low < base`.
    fn split(self, base: i64) -> (Self, Self);
    /// The value furthest outside `range`; never one for reals.
    fn outside(values: &[Self], range: Range) -> Option<(usize, i64)>;
    /// The value of a function that replaces its table; none on integers, where the table is the definition.
    fn real_function(self, function: Function, input_fraction_bits: i32, output_fraction_bits: i32) -> Option<Self>;
    #[doc(hidden)]
    fn product(product: &Product<'_, Self>) -> Vec<Self>;

    /// `[self >= 0]`, and `self` or `-1 - self`.
    fn sign(self) -> (Self, Self) {
        if self >= Self::default() { (Self::from_i64(1), self) } else { (Self::default(), Self::from_i64(-1) - self) }
    }

    /// Bit `j` of the integer at or below.
    fn bit(self, j: usize) -> Self {
        Self::from_i64((self.to_i64() >> j) & 1)
    }
}

impl Carrier for i64 {
    const EXACT: bool = true;
    fn from_i64(x: i64) -> Self {
        x
    }
    fn to_i64(self) -> i64 {
        self
    }
    fn to_f64(self) -> f64 {
        self as f64
    }
    #[inline]
    fn rescale(self, divisor: i64) -> (Self, Self) {
        let shifted = self + divisor / 2;
        if divisor & (divisor - 1) == 0 {
            (shifted >> divisor.trailing_zeros(), shifted & (divisor - 1))
        } else {
            (shifted.div_euclid(divisor), shifted.rem_euclid(divisor))
        }
    }
    fn divide(self, denominator: Self) -> Option<(Self, Self)> {
        (denominator >= 1).then(|| (self.div_euclid(denominator), self.rem_euclid(denominator)))
    }
    fn square_root(self) -> Option<(Self, Self)> {
        let root = self.checked_isqrt()?;
        Some((root, self - root * root))
    }
    fn split(self, base: i64) -> (Self, Self) {
        (self.div_euclid(base), self.rem_euclid(base))
    }
    fn outside(values: &[Self], range: Range) -> Option<(usize, i64)> {
        let (low, high) = (range.min(), range.max());
        if !values.iter().fold(false, |bad, &x| bad | (x < low) | (x > high)) {
            return None;
        }
        let excess = |x: i64| (i128::from(low) - i128::from(x)).max(i128::from(x) - i128::from(high));
        values.iter().copied().enumerate().rev().max_by_key(|&(_, x)| excess(x))
    }
    fn real_function(self, _: Function, _: i32, _: i32) -> Option<Self> {
        None
    }
    fn product(product: &Product<'_, Self>) -> Vec<Self> {
        if product.narrow { run_product::<i64, i32>(product) } else { run_product::<i64, i64>(product) }
    }
}

impl Carrier for f64 {
    const EXACT: bool = false;
    fn from_i64(x: i64) -> Self {
        x as f64
    }
    fn to_i64(self) -> i64 {
        self.floor() as i64
    }
    fn to_f64(self) -> f64 {
        self
    }
    fn rescale(self, divisor: i64) -> (Self, Self) {
        (self / divisor as f64, 0.0)
    }
    fn divide(self, denominator: Self) -> Option<(Self, Self)> {
        (denominator != 0.0).then(|| (self / denominator, 0.0))
    }
    fn square_root(self) -> Option<(Self, Self)> {
        (self >= 0.0).then(|| (self.sqrt(), 0.0))
    }
    fn split(self, base: i64) -> (Self, Self) {
        let high = (self / base as f64).floor();
        (high, self - high * base as f64)
    }
    fn outside(_: &[Self], _: Range) -> Option<(usize, i64)> {
        None
    }
    fn real_function(self, function: Function, input_fraction_bits: i32, output_fraction_bits: i32) -> Option<Self> {
        let x = self * f64::from(-input_fraction_bits).exp2();
        let sigmoid = 1.0 / (1.0 + (-x).exp());
        let y = match function {
            Function::ExpNegative => (-x).exp(),
            Function::Silu => x * sigmoid,
            Function::SiluDerivative => sigmoid * (1.0 + x * (1.0 - sigmoid)),
            Function::LogarithmOfLeading => x.ln(),
        };
        Some(y * f64::from(output_fraction_bits).exp2())
    }
    fn product(product: &Product<'_, Self>) -> Vec<Self> {
        run_product::<f64, f64>(product)
    }
}
