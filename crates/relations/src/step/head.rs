//! Final norm, vocabulary softmax and the gradient of the cross-entropy sum.
//!
//! The gradient of the loss *sum* at the final normed state is `sum_v p_v E_v - E_target` where there is a label
//! and 0 elsewhere; the division by the number of labels is part of clipping. `p` is never stored:
//! `X = round(sum_v e_v E_v)`, `1/Z` by division of the rounded sum of exponentials.

use super::input::Batch;
use super::{Built, StepBuilder};
use crate::builder::Sum;
use crate::program::{Function, Index, TensorId};

impl StepBuilder<'_> {
    /// Reads the last residual, writes the last entry of its gradient; returns the sum of the losses.
    pub(super) fn head(&mut self, residual: TensorId, gradient: TensorId, batch: &Batch) -> Built<TensorId> {
        let a = self.axes;
        let layers = self.spec.model.layers;
        let outer = [a.row, a.token];
        let hidden_axes = [a.row, a.token, a.hidden];
        let vocab_axes = [a.row, a.token, a.vocab];
        let x = self.b.with(residual, &[(a.boundary, Index::Fixed(layers))]);
        let normed = self.norm("final.norm", &outer, &x)?;
        let gain = self.on(self.base.gain_final);
        let sum = Sum::product(1, &[&self.on(normed.y), &gain]);
        let final_normed = self.rescale("final_normed", &hidden_axes, "final_normed", sum)?;
        let head = self.on(self.base.head);

        let sum = Sum::product(1, &[&self.on(final_normed), &head]);
        let logit = self.rescale("logit", &vocab_axes, "logit", sum)?;
        let make = self.make("logit.maximum", &outer, "logit")?;
        let view = self.on(logit).view;
        let maximum = self.b.maximum(&make, &outer, a.vocab, view, None)?;
        let gap = Sum::product(1, &[&self.on(maximum)]).plus(Sum::product(-1, &[&self.on(logit)]));
        let make = self.make("vocabulary.exponential", &vocab_axes, "exponential")?;
        let outputs = [(make, Function::ExpNegative)];
        let exponential = self.b.look("vocabulary.exponential", &vocab_axes, self.exponential, gap, None, &outputs)[0];
        let e = self.on(exponential);

        // The sum in units of the attention's sum over 2^8, so that its inverse times itself stays in 62 bits.
        let sum_axes = self.make("vocabulary.sum", &outer, "vocabulary_sum")?;
        let total = Sum::product(1, &[&e, &self.on(self.vocabulary_ones)]);
        let total = self.b.rescale(&sum_axes, &outer, total)?;
        let loss_sum = self.loss_sum(batch, logit, maximum, total)?;
        let total = self.on(total);
        let make = self.make("vocabulary.inverse", &outer, "vocabulary_inverse")?;
        let one = Sum::constant(1 << (total.fraction_bits + make.fraction_bits), 0).terms;
        let denominator = Sum::product(1, &[&total]).terms;
        let inverse = self.b.divide(&make, &outer, one, denominator, self.spec.scale("vocabulary_sum")?.bits)?;

        let sum = Sum::product(1, &[&e, &head]);
        let expected = self.rescale("expected_embedding", &hidden_axes, "expected_embedding", sum)?;
        let supervised = self.on(batch.supervised);
        let sum = Sum::product(1, &[&self.on(expected), &self.on(inverse), &supervised])
            .plus(Sum::product(-1, &[&self.on(batch.target), &head]));
        let d_final = self.rescale("grad.final_normed", &hidden_axes, "grad.final_normed", sum)?;
        let sum = Sum::product(1, &[&self.on(d_final), &gain]);
        let d_y = self.rescale("grad.final_input", &hidden_axes, "grad.normed", sum)?;
        let out = self.b.with(gradient, &[(a.boundary, Index::Fixed(layers))]);
        self.norm_backward("final.norm_backward", &outer, d_y, normed, None, &out)?;
        Ok(loss_sum)
    }
}
