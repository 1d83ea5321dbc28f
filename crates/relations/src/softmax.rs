//! Softmax along one axis with a proved maximum.
//!
//! Statement: `x` is the rounded score; m is the greatest `x` where the mask is 1 (attained: by one-hot; greatest:
//! because `m - x` is looked up in a table that starts at 0); `e = exp(-(m - x))` by the table, 0 where masked;
//! `p = round(e * floor(2^(f_e + f_z) / sum e))` with the fraction bits of `e` and of the inverse.

use crate::builder::{Builder, Make, Sum};
use crate::program::{AxisId, Function, ProgramError, TensorId};

/// The tensors that a softmax makes. Score, exponential and probability have the same axes; the softmax axis is the
/// last of them. Maximum and inverse have the others.
#[derive(Debug, Clone)]
pub struct SoftmaxTensors<'a> {
    /// Rounded scores.
    pub score: Make<'a>,
    /// Greatest unmasked score; on the score's scale.
    pub maximum: Make<'a>,
    /// `exp(-(maximum - score))`; on the table's scale.
    pub exponential: Make<'a>,
    /// Inverse of the sum of exponentials.
    pub inverse_sum: Make<'a>,
    /// The result.
    pub probability: Make<'a>,
}

impl Builder {
    /// A new tensor: the softmax of `scores` along `over`, among the indices where the public `mask` is 1.
    ///
    /// *Caller must* give a mask with at least one 1 along `over`, and a table of score gaps from 0 and `exp(-gap)`
    /// whose first row is `(0, 2^fraction bits of the exponential)`.
    pub fn softmax(
        &mut self,
        tensors: &SoftmaxTensors<'_>,
        over: AxisId,
        scores: Sum,
        mask: TensorId,
        table: usize,
    ) -> Result<TensorId, ProgramError> {
        let (axes, outer) = (tensors.score.axes, tensors.maximum.axes);
        let score = self.rescale(&tensors.score, axes, scores)?;
        let score_view = self.on(score).view;
        let maximum = self.maximum(&tensors.maximum, outer, over, score_view, Some(mask))?;
        let gap = Sum::product(1, &[&self.on(maximum)]).plus(Sum::product(-1, &[&self.on(score)]));
        let mask_view = self.on(mask).view;
        let outputs = [(tensors.exponential.clone(), Function::ExpNegative)];
        let exponential = self.look(tensors.exponential.name, axes, table, gap, Some(mask_view), &outputs)[0];

        let (e, allowed) = (self.on(exponential), self.on(mask));
        let inverse = &tensors.inverse_sum;
        let one = Sum::constant(1 << (e.fraction_bits + inverse.fraction_bits), 0).terms;
        let log_len = self.program.axis(over).log_len() as u32;
        // At least one unit of the exponential, because the greatest score is attained and exp(0) is in the table.
        let total = Sum::product(1, &[&allowed, &e]).terms;
        let inverse = self.divide(inverse, outer, one, total, e.fraction_bits as u32 + log_len + 1)?;
        let sum = Sum::product(1, &[&allowed, &e, &self.on(inverse)]);
        self.rescale(&tensors.probability, axes, sum)
    }
}
