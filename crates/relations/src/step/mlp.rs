//! The SwiGLU block of one layer, forward and backward.
//!
//! Forward: `g = W_gate y`, `u = W_up y`, `(silu(g), silu'(g))` by one table row, `z = round(silu(g) u)`,
//! `h' = h + W_down z`. Without the rounding of z, its width times that of the weights would leave too few bits for u.
//! Backward: `da = W_down^T dh`, `dg = da u silu'(g)`, `du = da silu(g)`.

use super::attention::Attention;
use super::norm::Normed;
use super::{Built, StepBuilder};
use crate::builder::Sum;
use crate::fixed;
use crate::program::{Function, Index, TensorId};
use crate::scales::Scale;
use crate::spec::{Spec, SpecError, Target};

/// What the backward pass needs.
pub(super) struct Mlp {
    normed: Normed,
    up: TensorId,
    silu: TensorId,
    derivative: TensorId,
    product: TensorId,
}

/// Every gate with its SiLU and derivative.
pub(super) fn silu_columns(spec: &Spec) -> Built<Vec<Vec<i64>>> {
    let (gate, silu, derivative) = (spec.scale("gate")?, spec.scale("silu")?, spec.scale("silu_derivative")?);
    let bits = |scale: Scale| {
        u32::try_from(scale.fraction_bits)
            .ok()
            .filter(|b| *b <= 30)
            .ok_or_else(|| SpecError::new("silu", "fraction bits are not in 0..=30"))
    };
    let (gate_bits, silu_bits, derivative_bits) = (bits(gate)?, bits(silu)?, bits(derivative)?);
    if gate.bits > 22 {
        return Err(SpecError::new("gate", "is wider than 22 bits, and its table has a row for every value").into());
    }
    let range = gate.range();
    let mut columns = vec![Vec::new(), Vec::new(), Vec::new()];
    for input in range.min()..=range.max() {
        let (value, slope) = fixed::silu(input, gate_bits, silu_bits, derivative_bits);
        columns[0].push(input);
        columns[1].push(value);
        columns[2].push(slope);
    }
    Ok(columns)
}

impl StepBuilder<'_> {
    /// The MLP block of every layer.
    pub(super) fn mlp_forward(&mut self, residual: TensorId, attention: &Attention) -> Built<Mlp> {
        let a = self.axes;
        let outer = [a.layer, a.row, a.token];
        let x = self.on(attention.middle);
        let normed = self.norm("mlp.norm", &outer, &x)?;
        let (y, gain) = (self.on(normed.y), self.on(self.base.gain_mlp));
        let ffn_axes = [a.layer, a.row, a.token, a.ffn];
        let adapter = self.adapter_forward(Target::Gate, &[&y, &gain])?;
        let sum = Sum::product(1, &[&y, &self.on(self.base.gate)]).plus(adapter);
        let gate = self.rescale("gate", &ffn_axes, "gate", sum)?;
        let adapter = self.adapter_forward(Target::Up, &[&y, &gain])?;
        let sum = Sum::product(1, &[&y, &self.on(self.base.up)]).plus(adapter);
        let up = self.rescale("up", &ffn_axes, "up", sum)?;

        let table = self.b.table("silu", self.tables.silu.clone());
        let outputs = [
            (self.make("silu", &ffn_axes, "silu")?, Function::Silu),
            (self.make("silu_derivative", &ffn_axes, "silu_derivative")?, Function::SiluDerivative),
        ];
        let input = Sum::product(1, &[&self.on(gate)]);
        let looked = self.b.look("silu", &ffn_axes, table, input, None, &outputs);
        let (silu, derivative) = (looked[0], looked[1]);

        let sum = Sum::product(1, &[&self.on(silu), &self.on(up)]);
        let product = self.rescale("product", &ffn_axes, "product", sum)?;
        let z = self.on(product);
        let adapter = self.adapter_forward(Target::Down, &[&z])?;
        let sum = Sum::product(1, &[&z, &self.on(self.base.down)]).plus(Sum::product(1, &[&x])).plus(adapter);
        let out = self.b.with(residual, &[(a.boundary, Index::Shifted(a.layer, 1))]);
        let axes = [a.layer, a.row, a.token, a.hidden];
        self.b.rescale_into("residual_next", &axes, sum, out.view, out.fraction_bits)?;
        Ok(Mlp { normed, up, silu, derivative, product })
    }

    /// The gradients of every layer's MLP block; returns the gradient of the residual after attention.
    pub(super) fn mlp_backward(&mut self, gradient: TensorId, forward: &Mlp) -> Built<TensorId> {
        let a = self.axes;
        let outer = [a.layer, a.row, a.token];
        let ffn_axes = [a.layer, a.row, a.token, a.ffn];
        let dh = self.b.with(gradient, &[(a.boundary, Index::Shifted(a.layer, 1))]);
        let (s, u) = (self.on(forward.silu), self.on(forward.up));
        let adapter = self.adapter_backward(Target::Down, &dh, &[&self.on(forward.product)], None)?;
        let sum = Sum::product(1, &[&dh, &self.on(self.base.down)]).plus(adapter);
        let d_product = self.rescale("grad.product", &ffn_axes, "grad.product", sum)?;
        let da = self.on(d_product);
        let sum = Sum::product(1, &[&da, &u, &self.on(forward.derivative)]);
        let d_gate = self.rescale("grad.gate", &ffn_axes, "grad.gate", sum)?;
        let d_up = self.rescale("grad.up", &ffn_axes, "grad.up", Sum::product(1, &[&da, &s]))?;

        let y = self.on(forward.normed.y);
        let gain_tensor = self.base.gain_mlp;
        let gain = self.on(gain_tensor);
        let mut sum = Sum::zero();
        for (target, gradient, weight) in [(Target::Gate, d_gate, self.base.gate), (Target::Up, d_up, self.base.up)] {
            let dy = self.on(gradient);
            sum = sum.plus(Sum::product(1, &[&dy, &self.on(weight)]));
            sum = sum.plus(self.adapter_backward(target, &dy, &[&y, &gain], Some(gain_tensor))?);
        }
        let axes = [a.layer, a.row, a.token, a.hidden];
        let d_y = self.rescale("grad.mlp_input", &axes, "grad.normed", sum)?;
        let middle = self.middle_gradient()?;
        let out = self.on(middle);
        self.norm_backward("mlp.norm_backward", &outer, d_y, forward.normed, Some(&dh), &out)?;
        Ok(middle)
    }
}
