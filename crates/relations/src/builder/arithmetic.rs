//! Operations pinned by equations: rescaling, division, square root, sign, digits, bits.

use super::{Builder, Built, Make, Sum};
use crate::program::*;

impl Builder {
    /// A new tensor that is `sum` rounded half up to its scale.
    pub fn rescale(&mut self, make: &Make<'_>, axes: &[AxisId], sum: Sum) -> Built<TensorId> {
        let quotient = self.witness(make);
        let view = self.on(quotient).view;
        self.rescale_into(make.name, axes, sum, view, make.fraction_bits)?;
        Ok(quotient)
    }

    /// Writes `sum` rounded half up to the scale `2^-fraction_bits` to an existing view.
    pub fn rescale_into(&mut self, name: &str, axes: &[AxisId], sum: Sum, out: View, fraction_bits: i32) -> Built<()> {
        let shift = sum.fraction_bits - fraction_bits;
        let (sum, shift) = if shift < 0 { (sum.at_scale(fraction_bits), 0) } else { (sum, shift) };
        if shift > 61 {
            return Err(ProgramError::Malformed {
                operation: name.to_owned(),
                reason: format!("a shift of {shift} bits"),
            });
        }
        self.divide_by_constant(name, axes, sum.terms, 1i64 << shift, out)
    }

    /// Writes `floor((accumulator + divisor/2) / divisor)` to a view. The divisor is public and even, or 1.
    pub fn divide_by_constant(
        &mut self,
        name: &str,
        axes: &[AxisId],
        accumulator: Expression,
        divisor: i64,
        out: View,
    ) -> Built<()> {
        let mut terms = accumulator.clone();
        terms.push(Term { coefficient: -divisor, factors: vec![out.clone()] });
        if divisor == 1 {
            self.equation(name, axes, terms)?;
            self.step(
                name,
                Operation::Rescale { axes: axes.to_vec(), accumulator, divisor, quotient: out, remainder: None },
            );
            return Ok(());
        }
        terms.push(Term { coefficient: divisor / 2, factors: Vec::new() });
        let remainder_name = format!("{name}.remainder");
        let rescale = |remainder: Option<View>| Operation::Rescale {
            axes: axes.to_vec(),
            accumulator,
            divisor,
            quotient: out,
            remainder,
        };
        if self.is_linear(axes, &terms) {
            // What the terms leave is the remainder.
            self.step(name, rescale(None));
            return self.below(&remainder_name, axes, terms, divisor);
        }
        let bits = 64 - (divisor as u64 - 1).leading_zeros();
        let make = Make { name: &remainder_name, axes, range: Range::unsigned(bits), fraction_bits: 0 };
        let power_of_two = divisor.count_ones() == 1;
        let remainder = if power_of_two { self.witness(&make) } else { self.witness_by_other(&make) };
        let remainder = self.on(remainder).view;
        let value = Term { coefficient: 1, factors: vec![remainder.clone()] };
        terms.push(Term { coefficient: -1, ..value.clone() });
        self.equation(name, axes, terms)?;
        self.step(name, rescale(Some(remainder)));
        if !power_of_two {
            self.below(&remainder_name, axes, vec![value], divisor)?;
        }
        Ok(())
    }

    /// A new tensor equal to `sum`, range-checked.
    pub fn copy(&mut self, make: &Make<'_>, axes: &[AxisId], sum: Sum) -> Built<TensorId> {
        let out = self.witness(make);
        let view = self.on(out).view;
        self.divide_by_constant(make.name, axes, sum.terms, 1, view)?;
        Ok(out)
    }

    /// A new tensor `floor(numerator / denominator)`; `denominator_bits` bounds the denominator, which must be
    /// at least 1 by its own construction.
    pub fn divide(
        &mut self,
        make: &Make<'_>,
        axes: &[AxisId],
        numerator: Expression,
        denominator: Expression,
        denominator_bits: u32,
    ) -> Built<TensorId> {
        if make.range.bits + denominator_bits > 63 {
            return Err(ProgramError::Malformed {
                operation: make.name.to_owned(),
                reason: format!(
                    "a quotient of {} bits times a denominator of {denominator_bits} bits",
                    make.range.bits
                ),
            });
        }
        // The bound below takes the denominator at its declared width, so it must not be able to exceed it.
        let largest = denominator.iter().fold(0u128, |sum, t| sum.saturating_add(self.program.term_bound(axes, t)));
        if largest > 1u128 << denominator_bits {
            return Err(ProgramError::Malformed {
                operation: make.name.to_owned(),
                reason: format!("a denominator of up to {largest} is wider than {denominator_bits} bits"),
            });
        }
        let quotient = self.witness(make);
        let range = Range::unsigned(denominator_bits);
        let (remainder_name, slack_name) = (format!("{}.remainder", make.name), format!("{}.slack", make.name));
        let remainder = self.witness(&Make { name: &remainder_name, axes, range, fraction_bits: 0 });
        let views = [quotient, remainder].map(|t| self.on(t).view);
        let mut exact = numerator.clone();
        for term in &denominator {
            let mut factors = vec![views[0].clone()];
            factors.extend(term.factors.iter().cloned());
            exact.push(Term { coefficient: -term.coefficient, factors });
        }
        exact.push(Term { coefficient: -1, factors: vec![views[1].clone()] });
        // The product is at most quotient * denominator with the denominator's own bound, which is sharper than
        // the product of its terms' bounds.
        let numerator_bound = self.bound(axes, &numerator);
        let bound = numerator_bound.saturating_add((make.range.max_abs() << denominator_bits) + range.max_abs());
        self.equation_with_bound(&format!("{}.exact", make.name), axes, exact, bound)?;
        let mut slack = denominator.clone();
        slack.push(Term { coefficient: -1, factors: Vec::new() });
        slack.push(Term { coefficient: -1, factors: vec![views[1].clone()] });
        let [quotient_view, remainder] = views;
        let operation =
            Operation::Divide { axes: axes.to_vec(), numerator, denominator, quotient: quotient_view, remainder };
        self.step(make.name, operation);
        self.ranged(&slack_name, axes, slack, range)?;
        Ok(quotient)
    }

    /// A new tensor `floor(sqrt(square))`. `square_bound` bounds `square`, which is not negative by its construction.
    pub fn square_root(
        &mut self,
        make: &Make<'_>,
        axes: &[AxisId],
        square: Expression,
        square_bound: u128,
    ) -> Built<TensorId> {
        let root = self.witness(make);
        let range = Range::unsigned(make.range.bits + 1);
        let (remainder_name, slack_name) = (format!("{}.remainder", make.name), format!("{}.slack", make.name));
        let remainder = self.witness(&Make { name: &remainder_name, axes, range, fraction_bits: 0 });
        let views = [root, remainder].map(|t| self.on(t).view);
        let mut exact = square.clone();
        exact.push(Term { coefficient: -1, factors: vec![views[0].clone(), views[0].clone()] });
        exact.push(Term { coefficient: -1, factors: vec![views[1].clone()] });
        let bound = square_bound + make.range.max_abs() * make.range.max_abs() + range.max_abs();
        self.equation_with_bound(&format!("{}.exact", make.name), axes, exact, bound)?;
        let slack = vec![
            Term { coefficient: 2, factors: vec![views[0].clone()] },
            Term { coefficient: -1, factors: vec![views[1].clone()] },
        ];
        let [root_view, remainder] = views;
        self.step(make.name, Operation::SquareRoot { axes: axes.to_vec(), square, root: root_view, remainder });
        self.ranged(&slack_name, axes, slack, range)?;
        Ok(root)
    }

    /// New scalars `[value >= 0]` and the magnitude (`value`, or `-1 - value`) in `magnitude_bits` bits.
    pub fn sign(&mut self, name: &str, axes: &[AxisId], value: Expression, magnitude_bits: u32) -> Built<TensorId> {
        let out = self.witness_by_other(&Make { name, axes, range: Range::unsigned(1), fraction_bits: 0 });
        self.boolean(&format!("{name}.boolean"), out)?;
        let magnitude_name = format!("{name}.magnitude");
        let magnitude = self.witness(&Make {
            name: &magnitude_name,
            axes,
            range: Range::unsigned(magnitude_bits),
            fraction_bits: 0,
        });
        let (out_view, magnitude_view) = (self.on(out).view, self.on(magnitude).view);
        // value = (2*out - 1) * magnitude + out - 1
        let mut terms = value.clone();
        terms.push(Term { coefficient: -2, factors: vec![out_view.clone(), magnitude_view.clone()] });
        terms.push(Term { coefficient: 1, factors: vec![magnitude_view.clone()] });
        terms.push(Term { coefficient: -1, factors: vec![out_view.clone()] });
        terms.push(Term { coefficient: 1, factors: Vec::new() });
        let value_bound = self.bound(axes, &value);
        // |(2*out - 1) * magnitude + out - 1| is at most the magnitude + 1.
        let bound = value_bound.saturating_add((1u128 << magnitude_bits) + 1);
        self.equation_with_bound(name, axes, terms, bound)?;
        self.step(name, Operation::Sign { axes: axes.to_vec(), value, out: out_view, magnitude: magnitude_view });
        Ok(out)
    }

    /// New tensors with `value = high * base + low`, `0 <= low < base`, base a power of two.
    pub fn split(
        &mut self,
        name: &str,
        axes: &[AxisId],
        value: Expression,
        base_bits: u32,
        high_range: Range,
    ) -> Built<(TensorId, TensorId)> {
        let (high_name, low_name) = (format!("{name}.high"), format!("{name}.low"));
        let high = self.witness(&Make { name: &high_name, axes, range: high_range, fraction_bits: 0 });
        let low = self.witness(&Make { name: &low_name, axes, range: Range::unsigned(base_bits), fraction_bits: 0 });
        let base = 1i64 << base_bits;
        let (high_view, low_view) = (self.on(high).view, self.on(low).view);
        let mut terms = value.clone();
        terms.push(Term { coefficient: -base, factors: vec![high_view.clone()] });
        terms.push(Term { coefficient: -1, factors: vec![low_view.clone()] });
        self.equation(name, axes, terms)?;
        self.step(name, Operation::Split { axes: axes.to_vec(), value, base, high: high_view, low: Some(low_view) });
        Ok((high, low))
    }

    /// Ties bits to a stored value: `sum of 2^j * bits[.., j] = value`, and computes them.
    pub fn bits_of(&mut self, name: &str, axes: &[AxisId], bits: View, value: View) -> Built<()> {
        let (&last, outer) = match bits.index.split_last() {
            Some(parts) => parts,
            None => return Err(ProgramError::Malformed { operation: name.to_owned(), reason: "no bit axis".into() }),
        };
        let Index::Axis(bit_axis) = last else {
            return Err(ProgramError::Malformed { operation: name.to_owned(), reason: "the bit axis is fixed".into() });
        };
        let mut terms = vec![Term { coefficient: -1, factors: vec![value.clone()] }];
        for bit in 0..self.program.axis(bit_axis).len {
            let mut index = outer.to_vec();
            index.push(Index::Fixed(bit));
            terms.push(Term { coefficient: 1 << bit, factors: vec![View { tensor: bits.tensor, index }] });
        }
        self.equation(name, axes, terms)?;
        self.step(name, Operation::Bits { axes: axes.to_vec(), value, bits });
        Ok(())
    }

    /// States that a stored tensor equals a witness tensor and has the executor copy it.
    pub fn store(&mut self, name: &str, stored: TensorId, from: TensorId) -> Built<()> {
        let axes = self.program.tensor(stored).axes.clone();
        let (out, value) = (self.on(stored).view, self.on(from).view);
        self.divide_by_constant(name, &axes, vec![Term { coefficient: 1, factors: vec![value] }], 1, out)
    }
}
