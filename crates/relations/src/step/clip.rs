//! Division by the number of labels and clipping by the global gradient norm.
//!
//! With gradients of the loss sum in units of 2^-20, n = max(1, labels) and N^2 their sum of squares, in limbs:
//! `norm = floor(sqrt(N^2))`, `inverse = floor(2^30 / n)`, active iff `limit < inverse * (norm + n)`, where `limit`
//! is `max_grad_norm` at 50 bits; the factor is `floor(limit / (norm + n))` if active, else `inverse`. The `+ n`
//! is PyTorch's 1e-6 (here 2^-20) on the mean's scale. The norm must be below 2^31 units, or training stops.

use super::input::Batch;
use super::{Built, StepBuilder};
use crate::builder::{Make, Sum};
use crate::program::{AxisId, Range, TensorId, Term, View};
use crate::spec::SpecError;

/// Width of the greatest norm, in bits.
const NORM_BITS: u32 = 31;

fn times(coefficient: i64, factors: &[&View]) -> Term {
    Term { coefficient, factors: factors.iter().map(|&v| v.clone()).collect() }
}

impl StepBuilder<'_> {
    fn scalar(&mut self, name: &str, range: Range, terms: Vec<Term>) -> Built<TensorId> {
        let make = Make { name, axes: &[], range, fraction_bits: 0 };
        Ok(self.b.copy(&make, &[], Sum { terms, fraction_bits: 0 })?)
    }

    /// The mean loss, and the factor that every gradient is multiplied by.
    pub(super) fn clip(&mut self, batch: &Batch, loss_sum: TensorId) -> Built<TensorId> {
        let norm = self.gradient_norm()?;
        let norm = self.on(norm).view;
        let supervised = self.on(batch.supervised).view;

        let count_bits = (self.spec.training.rows * self.spec.training.tokens).ilog2() + 1;
        let count = vec![times(-1, &[&supervised])];
        // [labels = 0]: the count is never negative, so its negation is >= 0 only at 0.
        let none = self.b.sign("labels.none", &[], count, count_bits)?;
        let none = self.on(none).view;
        let terms = vec![times(1, &[&supervised]), times(1, &[&none])];
        let labels = self.scalar("labels", Range::unsigned(count_bits), terms)?;
        let labels = self.on(labels).view;
        self.loss(loss_sum, &labels, count_bits)?;

        let clip_bits = self.spec.scale("clip")?.fraction_bits;
        let gradient_bits = self.spec.scale("grad.a")?.fraction_bits;
        if self.spec.scale("grad.b")? != self.spec.scale("grad.a")? {
            return Err(SpecError::new("grad.b", "must have the scale of grad.a: one norm covers both").into());
        }
        let limit = self.spec.training.max_grad_norm.to_fixed((clip_bits + gradient_bits) as u32)?;
        if !(1..1 << 61).contains(&limit) {
            return Err(SpecError::new("training.max_grad_norm", "is zero, negative or too large").into());
        }
        let make = self.make("labels.inverse", &[], "clip")?;
        let one = vec![times(1 << clip_bits, &[])];
        let inverse = self.b.divide(&make, &[], one, vec![times(1, &[&labels])], count_bits)?;
        let inverse = self.on(inverse).view;

        let denominator_bits = NORM_BITS + 1;
        let excess = vec![times(1, &[&inverse, &norm]), times(1, &[&inverse, &labels]), times(-limit - 1, &[])];
        let active = self.b.sign("clip.active", &[], excess, 63)?;
        let active = self.on(active).view;
        let make = self.make("clip.quotient", &[], "clip")?;
        let denominator = vec![times(1, &[&norm]), times(1, &[&labels])];
        let quotient = self.b.divide(&make, &[], vec![times(limit, &[&active])], denominator, denominator_bits)?;
        let quotient = self.on(quotient).view;
        let make = self.make("clip.factor", &[], "clip")?;
        let terms = vec![times(1, &[&inverse]), times(-1, &[&active, &inverse]), times(1, &[&quotient])];
        Ok(self.b.copy(&make, &[], Sum { terms, fraction_bits: clip_bits })?)
    }

    /// `floor(sqrt(sum of squares of all gradients))`, with the sum in limbs: gradients are `high 2^16 + low`.
    fn gradient_norm(&mut self) -> Built<TensorId> {
        let none: [AxisId; 0] = [];
        let gradient_range = self.spec.scale("grad.a")?.range();
        let mut highs = Vec::new();
        let (mut cross, mut lows) = (Vec::new(), Vec::new());
        let mut squares_of_high = Vec::new();
        let adapters: Vec<_> = self.adapters.values().cloned().collect();
        let mut entries = 0u64;
        for matrix in adapters.iter().flat_map(|a| [&a.a, &a.b]) {
            let Some(gradient) = matrix.gradient else { continue };
            entries += self.b.program.shape(gradient).iter().product::<usize>() as u64;
            let value = vec![times(1, &[&self.on(gradient).view])];
            let high_range = Range::signed(gradient_range.bits - 16);
            let name = format!("norm.{}", matrix.name);
            let (high, low) = self.b.split(&name, &matrix.axes, value, 16, high_range)?;
            let (high, low) = (self.on(high).view, self.on(low).view);
            squares_of_high.push(times(1, &[&high, &high]));
            cross.push(times(1, &[&high, &low]));
            lows.push(times(1, &[&low, &low]));
            highs.push(high);
        }
        let log_entries = 64 - entries.max(1).leading_zeros();
        let cross_bits = gradient_range.bits + log_entries + 1;
        // N^2 = hh 2^32 + 2 hl 2^16 + ll; hl = cross_high 2^15 + cross_low moves its upper part to the upper limb.
        let cross = self.scalar("norm.cross", Range::signed(cross_bits), cross)?;
        let value = vec![times(1, &[&self.on(cross).view])];
        let (cross_high, cross_low) =
            self.b.split("norm.cross_limbs", &none, value, 15, Range::signed(cross_bits - 14))?;
        let mut low_terms = lows;
        low_terms.push(times(1 << 17, &[&self.on(cross_low).view]));
        let carry_bits = log_entries.max(1) + 2;
        let (carry, low) = self.b.split("norm.low", &none, low_terms, 32, Range::unsigned(carry_bits))?;
        let mut high_terms = squares_of_high;
        high_terms.push(times(1, &[&self.on(cross_high).view]));
        high_terms.push(times(1, &[&self.on(carry).view]));
        let high = self.scalar("norm.high", Range::unsigned(2 * NORM_BITS - 32), high_terms)?;
        let square = vec![times(1 << 32, &[&self.on(high).view]), times(1, &[&self.on(low).view])];
        let make = Make { name: "norm", axes: &none, range: Range::unsigned(NORM_BITS), fraction_bits: 0 };
        Ok(self.b.square_root(&make, &none, square, 1u128 << (2 * NORM_BITS))?)
    }
}
