//! The mean loss of the batch, exact.
//!
//! Statement: `loss = floor(sum over labels of (ln Z + maximum - logit at the label) / max(1, labels))` in units of
//! 2^-20. The logarithm is a table: with `Z = vocabulary.sum` of w bits, the octave is the `e` with
//! `n = Z 2^(w-1-f-e)` in `2^(w-1) .. 2^w`, `high` the 13 leading bits of n, and `ln Z` is
//! `e ln 2 + ln((high + 1/2) / 2^12)`, each rounded. It is off by at most 2^-13 a label. The loss is an output of the program if
//! the spec discloses it; otherwise it stays in the witness.
//!
//! Soundness: `high` is looked up in a table of `2^12 .. 2^13`, so only one octave is possible.

use super::input::Batch;
use super::{Built, StepBuilder};
use crate::builder::{Make, Sum};
use crate::fixed;
use crate::program::{Function, Output, Range, TensorId, Term, View};
use crate::spec::{Spec, SpecError, Visibility};

/// Fraction bits of logarithm and loss.
pub const LOSS_BITS: u32 = 20;
/// Leading bits of the sum that the logarithm reads.
const LEADING_BITS: u32 = 13;
/// Integer bits of the sum of losses over one label: `ln Z` and a gap of 2^18 units of 2^-11.
const INTEGER_BITS: u32 = 8;

/// Factor and logarithm of every octave; leading bits and logarithm of every mantissa.
pub(super) fn columns(spec: &Spec) -> Built<[Vec<Vec<i64>>; 2]> {
    let sum = spec.scale("vocabulary_sum")?;
    let fraction_bits = u32::try_from(sum.fraction_bits).unwrap_or(0);
    let octaves = sum.bits.checked_sub(1 + fraction_bits).filter(|_| !sum.signed && sum.bits > LEADING_BITS);
    let octaves = octaves.ok_or_else(|| SpecError::new("vocabulary_sum", "has no integer bits"))?;
    let log_2 = fixed::ln_integer(2);
    let octave = vec![
        (0..=octaves).map(|e| 1i64 << (octaves - e)).collect(),
        (0..=octaves).map(|e| fixed::round_to(i128::from(e) * log_2, LOSS_BITS)).collect(),
    ];
    let leading = 1u64 << (LEADING_BITS - 1)..1 << LEADING_BITS;
    let logarithm = |high: u64| {
        let doubled = fixed::ln_integer(2 * high + 1) - i128::from(LEADING_BITS) * log_2;
        fixed::round_to(doubled, LOSS_BITS)
    };
    let mantissa = vec![leading.clone().map(|h| h as i64).collect(), leading.map(logarithm).collect()];
    Ok([octave, mantissa])
}

fn term(coefficient: i64, factors: &[&View]) -> Term {
    Term { coefficient, factors: factors.iter().map(|&v| v.clone()).collect() }
}

impl StepBuilder<'_> {
    /// The sum of the losses of all labels: a scalar in units of 2^-20.
    pub(super) fn loss_sum(
        &mut self,
        batch: &Batch,
        logit: TensorId,
        maximum: TensorId,
        sum: TensorId,
    ) -> Built<TensorId> {
        let outer = [self.axes.row, self.axes.token];
        let [octave, mantissa] = self.tables.logarithm.clone();
        let sum_scale = self.spec.scale("vocabulary_sum")?;
        let limit = (1i64 << sum_scale.bits) - 1;
        let (octave, mantissa) = (self.b.table("loss.octave", octave), self.b.table("loss.mantissa", mantissa));
        let value = self.on(sum).view;
        // The greatest factor is a power of two.
        let factor_bits = limit.ilog2() + 1 - sum_scale.fraction_bits as u32;
        let whole = |bits: u32| Range::unsigned(bits);
        let names = [("loss.factor", whole(factor_bits)), ("loss.octave", whole(LOSS_BITS + 5))];
        let makes = names.map(|(name, range)| Make { name, axes: &outer, range, fraction_bits: LOSS_BITS as i32 });
        let [factor, octave] =
            self.b.octave("loss.octave", &outer, vec![term(1, &[&value])], octave, limit, &makes)[..]
        else {
            return Err(SpecError::new("vocabulary_sum", "has no octave").into());
        };
        let (factor, octave) = (self.on(factor).view, self.on(octave).view);
        let low_bits = sum_scale.bits - LEADING_BITS;
        let scaled = vec![term(1, &[&value, &factor])];
        let (high, _) = self.b.split("loss.leading", &outer, scaled, low_bits, whole(LEADING_BITS))?;
        let high = Sum { terms: vec![term(1, &[&self.on(high).view])], fraction_bits: LEADING_BITS as i32 - 1 };
        let make =
            Make { name: "loss.mantissa", axes: &outer, range: whole(LOSS_BITS), fraction_bits: LOSS_BITS as i32 };
        let outputs = [(make, Function::LogarithmOfLeading)];
        let mantissa = self.b.look("loss.mantissa", &outer, mantissa, high, None, &outputs)[0];
        let mantissa = self.on(mantissa).view;

        let label = Sum::product(1, &[&self.on(batch.target), &self.on(logit)]);
        let make = self.make("loss.label_logit", &outer, "logit")?;
        let label = self.b.copy(&make, &outer, label)?;
        let (label, maximum, supervised) = (self.on(label), self.on(maximum), self.on(batch.supervised).view);
        let unit = 1i64 << (LOSS_BITS as i32 - label.fraction_bits);
        let terms = vec![
            term(1, &[&supervised, &octave]),
            term(1, &[&supervised, &mantissa]),
            term(unit, &[&supervised, &maximum.view]),
            term(-unit, &[&label.view]),
        ];
        let positions = self.spec.training.rows * self.spec.training.tokens;
        let range = whole(INTEGER_BITS + LOSS_BITS + positions.ilog2() + 1);
        let make = Make { name: "loss.sum", axes: &[], range, fraction_bits: LOSS_BITS as i32 };
        Ok(self.b.copy(&make, &[], Sum { terms, fraction_bits: LOSS_BITS as i32 })?)
    }

    /// The mean over the labels, `labels` of `count_bits` bits being at least 1.
    pub(super) fn loss(&mut self, sum: TensorId, labels: &View, count_bits: u32) -> Built<()> {
        let range = Range::unsigned(INTEGER_BITS + LOSS_BITS);
        let make = Make { name: "loss", axes: &[], range, fraction_bits: LOSS_BITS as i32 };
        let total = vec![term(1, &[&self.on(sum).view])];
        let tensor = self.b.divide(&make, &[], total, vec![term(1, &[labels])], count_bits)?;
        if self.spec.disclose.loss == Visibility::Public {
            self.b.program.outputs.push(Output { tensor, value: 0 });
        }
        Ok(())
    }
}
