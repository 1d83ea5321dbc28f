//! The adapter: its state, the copies that forward and backward read, and its terms in both passes.
//!
//! Statement: `A' = round(master_A / 2^14)`, `B' = round(master_B / 2^12)`; a target's output gets
//! `s B' u` with `u = round(A' x)`, its input gradient `A'^T t` with `t = round(s B'^T dy)`; the gradients are
//! `round(s dy u^T)` and `round(t x^T)`, summed over every row and token of the step. The same A' and B' serve
//! forward and backward.

use super::{Built, Kinded, StepBuilder};
use crate::builder::{Make, Operand, Sum};
use crate::program::{AxisId, Place, TensorId};
use crate::spec::Target;

/// One of the two matrices of an adapter.
#[derive(Debug, Clone)]
pub struct Matrix {
    /// Name: `q_proj.a`.
    pub name: String,
    /// Axes, layer first.
    pub axes: Vec<AxisId>,
    /// Master, first and second moment before the step.
    pub before: [TensorId; 3],
    /// The same after the step.
    pub after: [TensorId; 3],
    /// The rounded copy.
    pub copy: TensorId,
    /// Its gradient, once the backward pass has made it.
    pub gradient: Option<TensorId>,
}

/// The adapter of one target.
#[derive(Debug, Clone)]
pub struct Adapter {
    /// `(layer, rank, in)`.
    pub a: Matrix,
    /// `(layer, out, rank)`.
    pub b: Matrix,
    /// `u = A' x`, made by the forward pass.
    pub inner: Option<TensorId>,
}

/// Kinds of the three parts of the state.
pub(super) const STATE: [(&str, &str); 3] =
    [("master", "master"), ("first", "first_moment"), ("second", "second_moment")];

impl Kinded<'_> {
    /// Declares the state of one matrix around the step, and its rounded copy.
    pub(super) fn declare_matrix(&mut self, name: String, axes: Vec<AxisId>, kind: &'static str) -> Built<Matrix> {
        let mut state = |when: &str, place: Place| -> Built<[TensorId; 3]> {
            let mut ids = Vec::new();
            for (part, kind) in STATE {
                let scale = self.spec.scale(kind)?;
                let full = format!("state_{when}.{name}.{part}");
                let make = Make { name: &full, axes: &axes, range: scale.range(), fraction_bits: scale.fraction_bits };
                ids.push(self.b.tensor(place, &make));
            }
            Ok([ids[0], ids[1], ids[2]])
        };
        let before = state("before", Place::StateBefore)?;
        let after = state("after", Place::StateAfter)?;
        let sum = Sum::product(1, &[&self.on(before[0])]);
        let copy = self.rescale(&format!("{name}.copy"), &axes, kind, sum)?;
        Ok(Matrix { name, axes, before, after, copy, gradient: None })
    }
}

impl StepBuilder<'_> {
    /// Axes of a target's output (without row and token).
    fn out_axes(&self, target: Target) -> Vec<AxisId> {
        let a = self.axes;
        match target {
            Target::Query => vec![a.group, a.member, a.half, a.pair],
            Target::Key => vec![a.group, a.half, a.pair],
            Target::Value => vec![a.group, a.entry],
            Target::Output | Target::Down => vec![a.hidden],
            Target::Gate | Target::Up => vec![a.ffn],
        }
    }
    /// Axes of a target's input (without row and token).
    fn in_axes(&self, target: Target) -> Vec<AxisId> {
        let a = self.axes;
        match target {
            Target::Query | Target::Key | Target::Value | Target::Gate | Target::Up => vec![a.hidden],
            Target::Output => vec![a.group, a.member, a.entry],
            Target::Down => vec![a.ffn],
        }
    }

    /// Declares the state of every target and the copies.
    pub(super) fn declare_adapters(&mut self) -> Built<()> {
        for &target in &self.spec.lora.targets {
            let (layer, rank) = (self.axes.layer, self.axes.rank);
            let mut a_axes = vec![layer, rank];
            a_axes.extend(self.in_axes(target));
            let mut b_axes = vec![layer];
            b_axes.extend(self.out_axes(target));
            b_axes.push(rank);
            let a = self.kinded().declare_matrix(format!("{}.a", target.module()), a_axes, "a")?;
            let b = self.kinded().declare_matrix(format!("{}.b", target.module()), b_axes, "b")?;
            self.adapters.insert(target, super::Adapter { a, b, inner: None });
        }
        Ok(())
    }

    /// The adapter's addition to a target's output; `input` are the factors whose product is its input.
    pub(super) fn adapter_forward(&mut self, target: Target, input: &[&Operand]) -> Built<Sum> {
        let Some(adapter) = self.adapters.get(&target).cloned() else { return Ok(Sum::zero()) };
        let a = self.axes;
        let mut factors = input.to_vec();
        let copy = self.on(adapter.a.copy);
        factors.push(&copy);
        let kind = if target == Target::Down { "adapter_input_down" } else { "adapter_input" };
        let name = format!("{}.inner", target.module());
        let inner = self.rescale(&name, &[a.layer, a.row, a.token, a.rank], kind, Sum::product(1, &factors))?;
        if let Some(adapter) = self.adapters.get_mut(&target) {
            adapter.inner = Some(inner);
        }
        Ok(self.scaled(&[&self.on(inner), &self.on(adapter.b.copy)]))
    }

    /// A gradient of a matrix: `sum`, rounded. Its limbs for the norm (see [`super::clip`]) are its range check.
    fn gradient(&mut self, name: &str, axes: &[AxisId], kind: &'static str, sum: Sum) -> Built<TensorId> {
        let make = self.kinded().make(name, axes, kind)?;
        let gradient = self.b.witness_by_other(&make);
        let view = self.on(gradient).view;
        self.b.rescale_into(name, axes, sum, view, make.fraction_bits)?;
        Ok(gradient)
    }

    /// `lora scaling * product`.
    fn scaled(&self, operands: &[&Operand]) -> Sum {
        // The power of two in the scaling moves the scale and costs the bound nothing.
        let power = self.spec.lora.scaling_65536.trailing_zeros();
        Sum::product(self.spec.lora.scaling_65536 >> power, operands).scaled_by_power(power as i32 - 16)
    }

    /// Makes the adapter's gradients from the gradient of the target's output, and returns the addition to the
    /// gradient of its input (before any gain that the input was multiplied by).
    pub(super) fn adapter_backward(
        &mut self,
        target: Target,
        gradient: &Operand,
        input: &[&Operand],
        gain: Option<TensorId>,
    ) -> Built<Sum> {
        let Some(adapter) = self.adapters.get(&target).cloned() else { return Ok(Sum::zero()) };
        let a = self.axes;
        let module = target.module();
        let Some(inner) = adapter.inner else { return Ok(Sum::zero()) };
        let sum = self.scaled(&[gradient, &self.on(adapter.b.copy)]);
        let back = self.rescale(&format!("{module}.back"), &[a.layer, a.row, a.token, a.rank], "grad.adapter", sum)?;
        let sum = self.scaled(&[gradient, &self.on(inner)]);
        let grad_b = self.gradient(&format!("grad.{module}.b"), &adapter.b.axes, "grad.b", sum)?;
        let back_operand = self.on(back);
        let mut factors = vec![&back_operand];
        factors.extend_from_slice(input);
        let grad_a =
            self.gradient(&format!("grad.{module}.a"), &adapter.a.axes, "grad.a", Sum::product(1, &factors))?;
        if let Some(adapter) = self.adapters.get_mut(&target) {
            adapter.a.gradient = Some(grad_a);
            adapter.b.gradient = Some(grad_b);
        }
        let copy = self.on(adapter.a.copy);
        let mut factors = vec![&back_operand, &copy];
        let gain = gain.map(|g| self.on(g));
        factors.extend(gain.as_ref());
        Ok(Sum::product(1, &factors))
    }
}
