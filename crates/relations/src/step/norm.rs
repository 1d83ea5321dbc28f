//! RMSNorm and its backward pass.
//!
//! Forward, with S = sum x^2 + epsilon over the hidden axis: find e with `2^60 <= S 4^e < 2^62`, then
//! `root = floor(sqrt(S 4^e))` and `r = floor(sqrt(d) 2^(f_x + f_r) 2^e / root)`, which is `1/sqrt(mean + eps)`
//! with 30 bits of relative precision before its own rounding; `y = round(x r)`. The gain is not part of y.
//!
//! Backward, with dy the gradient of y: `c = round(sum dy y / d)`, `t = round(dy - y c)`, `dx = round(dres + r t)`.
//! The rounding of t keeps r out of the product y c, so that r can have the bits that rows of great norm need.

use super::{Built, StepBuilder};
use crate::builder::{Make, Operand, Sum};
use crate::program::{AxisId, Range, TensorId, Term, View};
use crate::spec::SpecError;

/// Width of the lower limb of a wide norm's input.
const LIMB_BITS: u32 = 12;

/// What the backward pass needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Normed {
    /// Normalised input without gain.
    pub y: TensorId,
    /// Reciprocal root.
    pub reciprocal: TensorId,
}

impl StepBuilder<'_> {
    /// Normalises `x` over the hidden axis; `outer` are its other axes.
    pub(super) fn norm(&mut self, name: &str, outer: &[AxisId], x: &Operand) -> Built<Normed> {
        let hidden = self.spec.model.hidden;
        let x_bits = x.fraction_bits;
        let eps_scale = u32::try_from(2 * x_bits).unwrap_or(0);
        // round(eps * d * 2^(2 f_x)), at least 1 so that the sum is never zero.
        let epsilon = self.spec.model.rms_norm_eps.times_to_fixed(hidden, eps_scale)?.max(1);
        let mut value = self.sum_of_squares(name, outer, x)?;
        value.push(Term { coefficient: epsilon, factors: Vec::new() });
        let (power, square_power) =
            self.b.normalise(&format!("{name}.normalise"), outer, value.clone(), epsilon.unsigned_abs())?;
        let by = self.on(square_power).view;
        let mut normalised = value;
        for term in &mut normalised {
            term.factors.push(by.clone());
        }
        let root_name = format!("{name}.root");
        let make = Make { name: &root_name, axes: outer, range: Range::unsigned(31), fraction_bits: 0 };
        // The ceiling of the table row bounds the normalised square.
        let root = self.b.square_root(&make, outer, normalised, 1u128 << 62)?;
        // The greatest power is the one that makes the root at least 2^30.
        let excess = vec![
            Term { coefficient: 1, factors: vec![self.on(root).view] },
            Term { coefficient: -(1 << 30), factors: Vec::new() },
        ];
        self.b.ranged(&format!("{name}.root_excess"), outer, excess, Range::unsigned(30))?;

        let reciprocal_name = format!("{name}.reciprocal");
        let make = self.make(&reciprocal_name, outer, "reciprocal_root")?;
        let factor = reciprocal_factor(hidden, x_bits + make.fraction_bits)?;
        let numerator = vec![Term { coefficient: factor, factors: vec![self.on(power).view] }];
        let denominator = vec![Term { coefficient: 1, factors: vec![self.on(root).view] }];
        let reciprocal = self.b.divide(&make, outer, numerator, denominator, 31)?;

        let mut y_axes = outer.to_vec();
        y_axes.push(self.axes.hidden);
        let sum = Sum::product(1, &[x, &self.on(reciprocal)]);
        let y = self.rescale(&format!("{name}.y"), &y_axes, "normed", sum)?;
        Ok(Normed { y, reciprocal })
    }

    /// The sum of the squares of `x` over the hidden axis, as terms.
    ///
    /// Where the width of `x` lets the sum reach the field order it is taken in limbs, `x = high 2^12 + low`: their
    /// three sums of products are range-checked scalars, which together stay below the field order.
    fn sum_of_squares(&mut self, name: &str, outer: &[AxisId], x: &Operand) -> Built<Vec<Term>> {
        let times = |coefficient: i64, a: &View, b: &View| Term { coefficient, factors: vec![a.clone(), b.clone()] };
        let bits = self.b.program.tensor(x.view.tensor).range.bits;
        let log_hidden = self.spec.model.hidden.next_power_of_two().ilog2();
        if 2 * (bits - 1) + log_hidden < 64 {
            return Ok(vec![times(1, &x.view, &x.view)]);
        }
        let mut axes = outer.to_vec();
        axes.push(self.axes.hidden);
        let value = vec![Term { coefficient: 1, factors: vec![x.view.clone()] }];
        let (high, low) =
            self.b.split(&format!("{name}.limbs"), &axes, value, LIMB_BITS, Range::signed(bits - LIMB_BITS))?;
        let (high, low) = (self.on(high).view, self.on(low).view);
        // The whole sum is below 2^62; that of high * low by Cauchy and Schwarz below the mean of the others' widths.
        let low_bits = 2 * LIMB_BITS + log_hidden;
        let parts = [
            ("high", 1i64 << (2 * LIMB_BITS), times(1, &high, &high), Range::unsigned(62 - 2 * LIMB_BITS)),
            ("cross", 1 << (LIMB_BITS + 1), times(1, &high, &low), Range::signed((63 + log_hidden).div_ceil(2) + 1)),
            ("low", 1, times(1, &low, &low), Range::unsigned(low_bits)),
        ];
        let mut sum = Vec::new();
        for (part, weight, term, range) in parts {
            let name = format!("{name}.square.{part}");
            let make = Make { name: &name, axes: outer, range, fraction_bits: 0 };
            let scalar = self.b.copy(&make, outer, Sum { terms: vec![term], fraction_bits: 0 })?;
            sum.push(Term { coefficient: weight, factors: vec![self.on(scalar).view] });
        }
        Ok(sum)
    }

    /// Writes the gradient of the norm's input plus `residual`, the gradient that passes it by, to `out`.
    pub(super) fn norm_backward(
        &mut self,
        name: &str,
        outer: &[AxisId],
        gradient: TensorId,
        normed: Normed,
        residual: Option<&Operand>,
        out: &Operand,
    ) -> Built<()> {
        let (dy, y, r) = (self.on(gradient), self.on(normed.y), self.on(normed.reciprocal));
        let projection_name = format!("{name}.projection");
        let mut make = self.make(&projection_name, outer, "grad.projection")?;
        // A scale finer than the gradient's own by more than four bits buys nothing.
        make.fraction_bits = make.fraction_bits.min(dy.fraction_bits + 4);
        let shift = dy.fraction_bits + y.fraction_bits - make.fraction_bits;
        let divisor = (self.spec.model.hidden as i64)
            .checked_shl(shift as u32)
            .filter(|_| (1..=40).contains(&shift))
            .ok_or_else(|| {
            SpecError::new("grad.projection", "must be 1 to 40 bits coarser than its factors together")
        })?;
        let projection = self.b.tensor(crate::program::Place::Witness, &make);
        let product = Sum::product(1, &[&dy, &y]);
        let view: View = self.on(projection).view;
        self.b.divide_by_constant(&projection_name, outer, product.terms, divisor, view)?;

        let c = self.on(projection);
        let mut axes = outer.to_vec();
        axes.push(self.axes.hidden);
        let sum = Sum::product(1, &[&dy]).plus(Sum::product(-1, &[&y, &c]));
        let rejection = self.rescale(&format!("{name}.rejection"), &axes, "grad.normed", sum)?;
        let mut sum = Sum::product(1, &[&r, &self.on(rejection)]);
        if let Some(residual) = residual {
            sum = sum.plus(Sum::product(1, &[residual]));
        }
        self.b.rescale_into(&format!("{name}.input"), &axes, sum, out.view.clone(), out.fraction_bits)?;
        Ok(())
    }
}

/// `round(sqrt(d) * 2^bits)`.
fn reciprocal_factor(hidden: usize, bits: i32) -> Built<i64> {
    let bits = u32::try_from(bits).ok().filter(|b| *b <= 48).ok_or_else(|| {
        SpecError::new("reciprocal_root", "the scales of residual and reciprocal root do not add up to 0..=48 bits")
    })?;
    // sqrt(d 2^(2 bits + 2)) is twice the wanted value; add one and halve to round half up.
    let doubled = ((hidden as u128) << (2 * bits + 2)).isqrt();
    Ok(doubled.div_ceil(2) as i64)
}
