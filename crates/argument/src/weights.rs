//! Evaluations of tensors under tensor-product weights: known, settled later, or hidden.

use crate::axis_weight::AxisWeight;
use crate::check::ArgumentError;
use crate::context::{BaseClaim, Context};
use crate::eq::eq_prefix;
use crate::extension::extension;
use crate::functional::{Functional, Part};
use crate::products::Value;
use crate::terms::{Binding, Factor};
use std::collections::BTreeMap;
use std::sync::Arc;
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_field::{E, F, dot, f_from_i64};
use veritune_relations::layout::{Layout, order, place_index};
use veritune_relations::{AxisId, Place, Program, TensorId};

/// The points that bindings refer to, and the weights made from them.
pub struct Points<'a> {
    program: &'a Program,
    /// Per axis, its point.
    pub rho: &'a [Vec<E>],
    /// Challenges of the equation sumcheck.
    pub challenges: &'a [E],
    points: BTreeMap<Binding, Arc<Vec<E>>>,
    /// Weights of bindings without their shifts, from index 0 on.
    weights: BTreeMap<Binding, AxisWeight>,
}

impl<'a> Points<'a> {
    /// Points of `program`.
    pub fn new(program: &'a Program, rho: &'a [Vec<E>], challenges: &'a [E]) -> Self {
        Self { program, rho, challenges, points: BTreeMap::new(), weights: BTreeMap::new() }
    }

    /// The point of an axis.
    pub fn rho(&self, axis: AxisId) -> &'a [E] {
        self.rho.get(axis.0).map_or(&[], Vec::as_slice)
    }

    /// `log` challenges from this round on.
    pub fn rounds(&self, first: usize, log: usize) -> &'a [E] {
        self.challenges.get(first..first.saturating_add(log)).unwrap_or(&[])
    }

    /// The weights of a binding along the tensor's own axis.
    pub fn axis_weight(&mut self, own: AxisId, binding: Binding) -> AxisWeight {
        let log = self.program.axis(own).log_len();
        let (key, axis, start) = match binding {
            Binding::Fixed(at) => return AxisWeight::single(log, at),
            Binding::Eq(axis, shift) => (Binding::Eq(axis, 0), axis, shift),
            Binding::Ones(axis, shift) => (Binding::Ones(axis, 0), axis, shift),
            Binding::Variables { axis, shift, first_round } => {
                (Binding::Variables { axis, shift: 0, first_round }, axis, shift)
            }
        };
        let axis_data = self.program.axis(axis);
        let point = match key {
            Binding::Eq(..) => Some(self.rho(axis)),
            Binding::Variables { first_round, .. } => Some(self.rounds(first_round, axis_data.log_len())),
            Binding::Ones(..) | Binding::Fixed(_) => None,
        };
        let make = || match point {
            Some(point) => AxisWeight::run(log, 0, axis_data.len, point),
            None => AxisWeight::Dense { log, start: 0, values: Arc::new(vec![E::ONE; axis_data.len]) },
        };
        self.weights.entry(key).or_insert_with(make).moved(log, start)
    }

    /// The same as a point, however short: what is kept until the settlement takes no memory in proportion to the axis.
    fn axis_point(&mut self, own: AxisId, binding: Binding) -> AxisWeight {
        let (axis, start, point) = match binding {
            Binding::Eq(axis, shift) => (axis, shift, self.rho(axis)),
            Binding::Variables { axis, shift, first_round } => {
                (axis, shift, self.rounds(first_round, self.program.axis(axis).log_len()))
            }
            // Ones have no point; no step sums a tensor of the base alone.
            Binding::Fixed(_) | Binding::Ones(..) => return self.axis_weight(own, binding),
        };
        let point = Arc::clone(self.points.entry(binding).or_insert_with(|| Arc::new(point.to_vec())));
        AxisWeight::Eq { log: self.program.axis(own).log_len(), start, len: self.program.axis(axis).len, point }
    }

    /// The weights of a factor, outermost axis first: points for a tensor of the base, for another what is sooner evaluated.
    pub fn factor_weights(&mut self, factor: &Factor) -> Vec<AxisWeight> {
        let tensor = self.program.tensor(factor.tensor);
        let weight = |(&axis, &binding): (&AxisId, &Binding)| match tensor.place {
            Place::Base => self.axis_point(axis, binding),
            _ => self.axis_weight(axis, binding),
        };
        tensor.axes.iter().zip(&factor.bindings).map(weight).collect()
    }

    /// `sum of eq(rho, i)` over active `i`, for each axis, multiplied.
    pub fn unused(&self, axes: &[AxisId]) -> E {
        axes.iter().map(|&axis| eq_prefix(self.rho(axis), self.program.axis(axis).len)).product()
    }
}

/// The weights of a tensor's axes, outermost first as its blocks lie.
pub(crate) fn in_layout_order(program: &Program, tensor: TensorId, axes: &[AxisWeight]) -> Vec<AxisWeight> {
    order(program, tensor).into_iter().filter_map(|position| axes.get(position).cloned()).collect()
}

/// The weighted sum of a stored tensor as a functional of its place.
pub fn tensor_functional(
    program: &Program,
    layout: &Layout,
    tensor: TensorId,
    axes: &[AxisWeight],
    scale: E,
) -> Functional {
    let mut functional = Functional::default();
    let place = program.tensors.get(tensor.0).and_then(|t| place_index(t.place));
    let slot = layout.slots.get(tensor.0).and_then(Option::as_ref);
    let (Some(place), Some(slot)) = (place, slot) else {
        return functional;
    };
    if slot.minimum != 0 {
        let all: E = axes.iter().map(AxisWeight::sum).product();
        functional.constant = all * scale * f_from_i64(slot.minimum);
    }
    let base = F::TWO.exp_u64(u64::from(program.range_bits));
    let axes = in_layout_order(program, tensor, axes);
    let mut scale = scale;
    for block in &slot.blocks {
        functional.parts.push(Part { place, offset: block.offset, axes: axes.clone(), scale });
        scale *= base;
    }
    functional
}

/// The weighted sum of a public tensor, by folding the innermost axis first.
pub fn public_sum(program: &Program, tensor: TensorId, axes: &[AxisWeight]) -> E {
    let Some(tensor) = program.tensors.get(tensor.0) else {
        return E::ZERO;
    };
    let Some(values) = &tensor.values else {
        return E::ZERO;
    };
    let mut axes = tensor.axes.iter().zip(axes).rev();
    // The innermost axis in the base field, the others on what is left.
    let mut sums: Vec<E> = match axes.next() {
        None => return values.first().map_or(E::ZERO, |&v| E::from(f_from_i64(v))),
        Some((axis, weight)) => {
            let rows = values.chunks(program.axis(*axis).len.max(1));
            rows.map(|row| integer_sum(row, weight)).collect()
        }
    };
    for (axis, weight) in axes {
        let (start, weights) = weight.expanded();
        let rows = sums.chunks(program.axis(*axis).len.max(1));
        sums = rows.map(|row| dot(row.get(start..).unwrap_or(&[]), &weights)).collect();
    }
    sums.first().copied().unwrap_or(E::ZERO)
}

/// The weighted sum of integers along one axis.
fn integer_sum(row: &[i64], weight: &AxisWeight) -> E {
    match weight {
        AxisWeight::Dense { start, values, .. } => {
            row.iter().skip(*start).zip(values.iter()).map(|(&v, &w)| w * f_from_i64(v)).sum()
        }
        AxisWeight::Eq { start, len, point, .. } => {
            let row = row.get(*start..).unwrap_or(&[]);
            extension(row.get(..*len).unwrap_or(row), point)
        }
    }
}

/// The weighted sum of a tensor: known if public, sent in clear if of the base, else sent and claimed.
pub(crate) fn evaluate<C: Context>(
    ctx: &mut C,
    program: &Program,
    layout: &Layout,
    tensor: TensorId,
    axes: &[AxisWeight],
    labels: (&'static str, &'static str),
) -> Result<Value<C::Sent>, ArgumentError> {
    let functional = |tensor| {
        if C::NEEDS_VALUES { tensor_functional(program, layout, tensor, axes, E::ONE) } else { Functional::default() }
    };
    match program.tensor(tensor).place {
        Place::Public => Ok(Value::Known(if C::NEEDS_VALUES { public_sum(program, tensor, axes) } else { E::ZERO })),
        Place::Base => {
            let value = ctx.read_public(labels.1)?;
            ctx.base_claim(BaseClaim { parts: functional(tensor).parts, value });
            Ok(Value::Known(value))
        }
        _ => {
            let value = ctx.read(labels.0)?;
            ctx.claim(functional(tensor), value.into());
            Ok(Value::Sent(value))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eq::tests::point;
    use veritune_field::eq_table;
    use veritune_relations::{Axis, Range, Tensor};

    /// A public tensor over an axis of `len + 40` indices, outermost or innermost, and one of 3.
    fn program(len: usize, is_outermost: bool) -> Program {
        let mut program = Program::default();
        for (name, len) in [("bound", len), ("own", len + 40), ("other", 3)] {
            program.axes.push(Axis { name: name.to_owned(), len });
        }
        // In part a progression, in part none.
        let value = |i: usize| if i < 2 * len { 5 * i as i64 - 70 } else { (i * i % 1009) as i64 };
        program.tensors.push(Tensor {
            name: "values".to_owned(),
            axes: if is_outermost { vec![AxisId(1), AxisId(2)] } else { vec![AxisId(2), AxisId(1)] },
            place: Place::Public,
            range: Range::FIELD,
            fraction_bits: 0,
            values: Some((0..3 * (len + 40)).map(value).collect()),
            range_by_other: false,
        });
        program
    }

    #[test]
    fn a_binding_weighs_a_public_tensor_as_its_table_does() {
        for (len, is_outermost) in [3, 1023, 1024, 1025, 1400].into_iter().flat_map(|len| [(len, false), (len, true)]) {
            let program = program(len, is_outermost);
            let rho: Vec<Vec<E>> =
                program.axes.iter().enumerate().map(|(i, a)| point(a.log_len(), 1_000_003 + i as u64)).collect();
            let challenges = point(14, 77_777);
            let mut points = Points::new(&program, &rho, &challenges);
            let values = program.tensors[0].values.as_ref().unwrap();
            let other = eq_table(&rho[2]);
            // The first of each kind has a shift.
            for shift in [7, 0, 40] {
                for (binding, table) in [
                    (Binding::Eq(AxisId(0), shift), eq_table(&rho[0])),
                    (Binding::Ones(AxisId(0), shift), vec![E::ONE; len]),
                    (
                        Binding::Variables { axis: AxisId(0), shift, first_round: 2 },
                        eq_table(&challenges[2..2 + program.axes[0].log_len()]),
                    ),
                ] {
                    let long = points.axis_weight(AxisId(1), binding);
                    let short = points.axis_weight(AxisId(2), Binding::Eq(AxisId(2), 0));
                    let axes = if is_outermost { [long, short] } else { [short, long] };
                    let mut expected = E::ZERO;
                    for (i, &own) in table.iter().take(len).enumerate() {
                        for (j, &weight) in other.iter().take(3).enumerate() {
                            let at = if is_outermost { (shift + i) * 3 + j } else { j * (len + 40) + shift + i };
                            expected += own * weight * f_from_i64(values[at]);
                        }
                    }
                    assert_eq!(public_sum(&program, TensorId(0), &axes), expected, "{len} {binding:?}");
                }
            }
        }
    }
}
