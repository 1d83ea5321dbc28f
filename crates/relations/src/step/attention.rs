//! Attention of one layer, forward and backward, with every head, the causal mask, RoPE and grouped heads.
//!
//! Forward: `q0 = W_q y + adapter (+ bias)`, rotated; scores `x = q k / sqrt(d_head)`; m = greatest unmasked
//! score (attained: by one-hot; greatest: because `m - x` is looked up in a table that starts at 0);
//! `e = exp(-(m - x))`; `p = round(e * floor(2^48 / sum e))`, 0 where masked ([`crate::softmax`]); `o = p v`.
//!
//! Backward: `dv = p^T do`, `D = sum do o`, `dx = p (do v^T - D)`, then q and k, rotation reversed.

use super::norm::Normed;
use super::{Built, StepBuilder};
use crate::builder::{Make, Operand, Sum};
use crate::constants;
use crate::program::{Index, Place, Range, TensorId};
use crate::softmax::SoftmaxTensors;
use crate::spec::Target;

/// What the backward pass needs.
pub(super) struct Attention {
    normed: Normed,
    query: TensorId,
    key: TensorId,
    value: TensorId,
    probability: TensorId,
    output: TensorId,
    rotation: TensorId,
    /// The residual after attention, `(layer, row, token, hidden)`.
    pub middle: TensorId,
}

impl StepBuilder<'_> {
    /// `1/sqrt(head_dim)`: a power of two where it is one, else at 16 bits.
    fn score_factor(&self) -> (i64, i32) {
        let d = self.spec.model.head_dim as u128;
        let log = d.trailing_zeros() as i32;
        if d.is_power_of_two() && log % 2 == 0 {
            (1, log / 2)
        } else {
            // round(2^16 / sqrt(d)) = round(sqrt(2^32 / d))
            let doubled = ((1u128 << 34) / d).isqrt();
            (doubled.div_ceil(2) as i64, 16)
        }
    }

    fn rotation_table(&mut self) -> Built<TensorId> {
        let a = self.axes;
        let (tokens, head_dim) = (self.spec.training.tokens, self.spec.model.head_dim);
        let (cos, sin) = constants::rotation(tokens, head_dim, &self.spec.model.rope_theta)?;
        // (half, half_in, token, pair): [[cos, -sin], [sin, cos]]
        let mut values = cos.clone();
        values.extend(sin.iter().map(|s| -s));
        values.extend(&sin);
        values.extend(&cos);
        let bits = constants::ROTATION_BITS;
        let axes = [a.half, a.half_in, a.token, a.pair];
        let make = Make { name: "rotation", axes: &axes, range: Range::signed(bits + 2), fraction_bits: bits as i32 };
        Ok(self.b.public(&make, values))
    }

    /// A rotated head tensor: `out[half] = sum over half_in of rotation[half, half_in] in[half_in]`, or the reverse.
    fn rotate(
        &mut self,
        name: &str,
        kind: &'static str,
        input: TensorId,
        rotation: TensorId,
        reverse: bool,
    ) -> Built<TensorId> {
        let a = self.axes;
        let axes = self.b.program.tensor(input).axes.clone();
        let input = self.b.with(input, &[(a.half, Index::Axis(a.half_in))]);
        let table = if reverse {
            let swap = [(a.half, Index::Axis(a.half_in)), (a.half_in, Index::Axis(a.half))];
            self.b.with(rotation, &swap)
        } else {
            self.on(rotation)
        };
        self.rescale(name, &axes, kind, Sum::product(1, &[&table, &input]))
    }

    fn with_bias(&self, sum: Sum, which: usize) -> Sum {
        match self.base.bias {
            Some(bias) => sum.plus(Sum::product(1, &[&self.on(bias[which])])),
            None => sum,
        }
    }

    /// The attention block of every layer.
    pub(super) fn attention_forward(&mut self, residual: TensorId) -> Built<Attention> {
        let a = self.axes;
        let outer = [a.layer, a.row, a.token];
        let x = self.b.with(residual, &[(a.boundary, Index::Axis(a.layer))]);
        let normed = self.norm("attention.norm", &outer, &x)?;
        let y = self.on(normed.y);
        let gain = self.on(self.base.gain_attention);

        let query_axes = [a.layer, a.row, a.token, a.group, a.member, a.half, a.pair];
        let key_axes = [a.layer, a.row, a.token, a.group, a.half, a.pair];
        let value_axes = [a.layer, a.row, a.token, a.group, a.entry];
        let adapter = self.adapter_forward(Target::Query, &[&y, &gain])?;
        let sum = Sum::product(1, &[&y, &self.on(self.base.query)]).plus(adapter);
        let sum = self.with_bias(sum, 0);
        let query_raw = self.rescale("query_raw", &query_axes, "query_raw", sum)?;
        let adapter = self.adapter_forward(Target::Key, &[&y, &gain])?;
        let sum = Sum::product(1, &[&y, &self.on(self.base.key)]).plus(adapter);
        let sum = self.with_bias(sum, 1);
        let key_raw = self.rescale("key_raw", &key_axes, "key_raw", sum)?;
        let adapter = self.adapter_forward(Target::Value, &[&y, &gain])?;
        let sum = Sum::product(1, &[&y, &self.on(self.base.value)]).plus(adapter);
        let sum = self.with_bias(sum, 2);
        let value = self.rescale("value", &value_axes, "value", sum)?;

        let rotation = self.rotation_table()?;
        let query = self.rotate("query", "query", query_raw, rotation, false)?;
        let key = self.rotate("key", "key", key_raw, rotation, false)?;

        let score_outer = [a.layer, a.row, a.group, a.member, a.token];
        let score_axes = [a.layer, a.row, a.group, a.member, a.token, a.source];
        let (factor, bits) = self.score_factor();
        let sum = Sum::product(factor, &[&self.on(query), &self.at_source(key)]).scaled_by_power(-bits);
        let tensors = SoftmaxTensors {
            score: self.make("score", &score_axes, "score")?,
            maximum: self.make("score.maximum", &score_outer, "score")?,
            exponential: self.make("exponential", &score_axes, "exponential")?,
            inverse_sum: self.make("inverse_sum", &score_outer, "inverse_sum")?,
            probability: self.make("probability", &score_axes, "probability")?,
        };
        let probability = self.b.softmax(&tensors, a.source, sum, self.causal, self.exponential)?;

        let output_axes = [a.layer, a.row, a.token, a.group, a.member, a.entry];
        let sum = Sum::product(1, &[&self.on(probability), &self.at_source(value)]);
        let output = self.rescale("attention", &output_axes, "attention", sum)?;
        let o = self.on(output);
        let adapter = self.adapter_forward(Target::Output, &[&o])?;
        let sum = Sum::product(1, &[&o, &self.on(self.base.output)]).plus(Sum::product(1, &[&x])).plus(adapter);
        let middle = self.rescale("middle", &[a.layer, a.row, a.token, a.hidden], "residual", sum)?;
        Ok(Attention { normed, query, key, value, probability, output, rotation, middle })
    }

    /// The gradients of every layer's attention block; `middle` is the gradient of the residual after attention.
    pub(super) fn attention_backward(
        &mut self,
        gradient: TensorId,
        middle: TensorId,
        forward: &Attention,
    ) -> Built<()> {
        let a = self.axes;
        let outer = [a.layer, a.row, a.token];
        let dh = self.on(middle);
        let o = self.on(forward.output);
        let output_axes = [a.layer, a.row, a.token, a.group, a.member, a.entry];
        let adapter = self.adapter_backward(Target::Output, &dh, &[&o], None)?;
        let sum = Sum::product(1, &[&dh, &self.on(self.base.output)]).plus(adapter);
        let d_output = self.rescale("grad.attention", &output_axes, "grad.attention", sum)?;

        let row_axes = [a.layer, a.row, a.group, a.member, a.token];
        let score_axes = [a.layer, a.row, a.group, a.member, a.token, a.source];
        let value_axes = [a.layer, a.row, a.token, a.group, a.entry];
        let p = self.on(forward.probability);
        let d_o = self.on(d_output);
        // The gradient of a value sums over the tokens that read it: there the value's token is the source.
        let value_token = [(a.token, Index::Axis(a.source)), (a.source, Index::Axis(a.token))];
        let p_read = self.b.with(forward.probability, &value_token);
        let d_o_read = self.at_source(d_output);
        let sum = Sum::product(1, &[&p_read, &d_o_read]);
        let d_value = self.rescale("grad.value", &value_axes, "grad.value", sum)?;

        let sum = Sum::product(1, &[&d_o, &o]);
        let row_sum = self.rescale("grad.row_sum", &row_axes, "grad.row_sum", sum)?;
        let sum = Sum::product(1, &[&d_o, &self.at_source(forward.value)]);
        let d_p = self.rescale("grad.probability", &score_axes, "grad.probability", sum)?;
        let sum = Sum::product(1, &[&p, &self.on(d_p)]).plus(Sum::product(-1, &[&p, &self.on(row_sum)]));
        let d_score = self.rescale("grad.score", &score_axes, "grad.score", sum)?;

        let query_axes = [a.layer, a.row, a.token, a.group, a.member, a.half, a.pair];
        let key_axes = [a.layer, a.row, a.token, a.group, a.half, a.pair];
        let (factor, bits) = self.score_factor();
        let scaled = |operands: &[&Operand]| Sum::product(factor, operands).scaled_by_power(-bits);
        let sum = scaled(&[&self.on(d_score), &self.at_source(forward.key)]);
        let d_query = self.rescale("grad.query", &query_axes, "grad.query", sum)?;
        let d_score_read = self.b.with(d_score, &value_token);
        let sum = scaled(&[&d_score_read, &self.at_source(forward.query)]);
        let d_key = self.rescale("grad.key", &key_axes, "grad.key", sum)?;
        let d_query = self.rotate("grad.query_raw", "grad.query", d_query, forward.rotation, true)?;
        let d_key = self.rotate("grad.key_raw", "grad.key", d_key, forward.rotation, true)?;

        let y = self.on(forward.normed.y);
        let gain_tensor = self.base.gain_attention;
        let gain = self.on(gain_tensor);
        let mut sum = Sum::zero();
        for (target, gradient, weight) in [
            (Target::Query, d_query, self.base.query),
            (Target::Key, d_key, self.base.key),
            (Target::Value, d_value, self.base.value),
        ] {
            let dy = self.on(gradient);
            sum = sum.plus(Sum::product(1, &[&dy, &self.on(weight)]));
            sum = sum.plus(self.adapter_backward(target, &dy, &[&y, &gain], Some(gain_tensor))?);
        }
        let y_axes = [a.layer, a.row, a.token, a.hidden];
        let d_y = self.rescale("grad.attention_input", &y_axes, "grad.normed", sum)?;
        let out = self.b.with(gradient, &[(a.boundary, Index::Axis(a.layer))]);
        self.norm_backward("attention.norm_backward", &outer, d_y, forward.normed, Some(&dh), &out)
    }

    /// Declares the gradient of the residual after attention.
    pub(super) fn middle_gradient(&mut self) -> Built<TensorId> {
        let a = self.axes;
        let axes = [a.layer, a.row, a.token, a.hidden];
        let make = self.make("grad.middle", &axes, "grad.residual")?;
        Ok(self.b.tensor(Place::Witness, &make))
    }
}
