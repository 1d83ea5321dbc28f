//! Virtual one-hot tensors: a sum against one is a gather, an output along one is a scatter.

use veritune_relations::{AxisId, Index, OneHot, View};

use crate::carrier::Carrier;
use crate::contraction;
use crate::operand::{Operand, Scope, locate_index, positions};
use crate::term::Evaluator;

/// The axis and shift of an index that is not fixed.
pub(crate) fn value_axis(index: Index) -> Option<(AxisId, usize)> {
    match index {
        Index::Axis(axis) => Some((axis, 0)),
        Index::Shifted(axis, shift) => Some((axis, shift)),
        Index::Fixed(_) => None,
    }
}

/// A view of a one-hot, decoded: per index tuple over `axes`, which value it selects and with which weight.
struct Decoded<C> {
    axes: Vec<AxisId>,
    values: Vec<usize>,
    flags: Vec<C>,
}

impl<C: Carrier> Decoded<C> {
    fn new(evaluator: &Evaluator<'_, C>, one_hot: &OneHot, view: &View) -> Self {
        let scope = evaluator.scope;
        let outer = &view.index[..view.index.len() - 1];
        let read = |tensor| {
            let own = evaluator.tensors.strides(tensor);
            let (offset, strides) = locate_index(&own[..outer.len()], scope, outer);
            let axes: Vec<AxisId> = strides.iter().map(|(a, _)| *a).collect();
            let at = positions(&axes, &scope.lens, |a| strides.iter().find(|(b, _)| *b == a).map_or(0, |(_, s)| *s));
            (axes, at.into_iter().map(|p| p + offset).collect::<Vec<_>>())
        };
        let (axes, at) = read(one_hot.bits);
        let num_bits = evaluator.tensors.shape(one_hot.bits).last().copied().unwrap_or(0);
        let bits = evaluator.tensors.get(one_hot.bits);
        let values = at
            .iter()
            .map(|&p| (0..num_bits).fold(0, |v, j| v | usize::from(bits[p + j] != C::default()) << j))
            .collect();
        let flags = match one_hot.flag {
            Some(flag) => {
                let data = evaluator.tensors.get(flag);
                read(flag).1.into_iter().map(|p| data[p]).collect()
            }
            None => vec![C::from_i64(1); at.len()],
        };
        Self { axes, values, flags }
    }

    /// Selected index along `axis`, shifted by `shift`, if it is active in `scope`.
    fn select(&self, scope: &Scope, axis: AxisId, shift: usize) -> Vec<Option<usize>> {
        let first = scope.start(axis) + shift;
        self.values.iter().map(|v| v.checked_sub(first).filter(|&i| i < scope.lens[axis.0])).collect()
    }

    /// Weights of the tuples that select something, zero for the others.
    fn weights(&self, selected: &[Option<usize>]) -> Vec<C> {
        let weight = |(&flag, s): (&C, &Option<usize>)| if s.is_some() { flag } else { C::default() };
        self.flags.iter().zip(selected).map(weight).collect()
    }
}

/// The view written out as a tensor.
pub(crate) fn dense<'a, C: Carrier>(evaluator: &Evaluator<'a, C>, one_hot: &OneHot, view: &View) -> Operand<'a, C> {
    let lens = &evaluator.scope.lens;
    let decoded = Decoded::new(evaluator, one_hot, view);
    match view.index[view.index.len() - 1] {
        Index::Fixed(value) => {
            let pairs = decoded.values.iter().zip(&decoded.flags);
            let data = pairs.map(|(&v, &f)| if v == value { f } else { C::default() }).collect();
            Operand::of_values(data, &decoded.axes, lens)
        }
        Index::Axis(axis) | Index::Shifted(axis, _) => {
            let shift = value_axis(view.index[view.index.len() - 1]).map_or(0, |(_, s)| s);
            let selected = decoded.select(evaluator.scope, axis, shift);
            let len = lens[axis.0];
            let mut data = vec![C::default(); selected.len() * len];
            for (i, (s, &flag)) in selected.iter().zip(&decoded.flags).enumerate() {
                if let Some(s) = s {
                    data[i * len + s] = flag;
                }
            }
            let mut axes = decoded.axes;
            axes.push(axis);
            Operand::of_values(data, &axes, lens)
        }
    }
}

/// `out += coefficient * product of factors`, where factor `first` is a one-hot.
pub(crate) fn accumulate<C: Carrier>(
    evaluator: &Evaluator<'_, C>,
    coefficient: C,
    factors: &[View],
    first: usize,
    axes: &[AxisId],
    out: &mut [C],
) {
    let lens = &evaluator.scope.lens;
    let view = &factors[first];
    let others: Vec<Operand<'_, C>> =
        factors.iter().enumerate().filter(|(i, _)| *i != first).map(|(_, v)| evaluator.operand(v)).collect();
    let Some(one_hot) = evaluator.program.one_hot(view.tensor) else {
        return;
    };
    let Some((axis, shift)) = value_axis(view.index[view.index.len() - 1]) else {
        let mut operands = others;
        operands.push(dense(evaluator, one_hot, view));
        return contraction::accumulate(coefficient, operands, axes, lens, out);
    };
    let decoded = Decoded::new(evaluator, one_hot, view);
    let selected = decoded.select(evaluator.scope, axis, shift);
    let mut weights = Some(decoded.weights(&selected));
    let mut operands: Vec<Operand<'_, C>> = Vec::with_capacity(3);
    for other in &others {
        operands.push(if other.has(axis) {
            gather(other, axis, &decoded.axes, &selected, weights.take(), lens)
        } else {
            other.clone_view()
        });
    }
    operands.extend(weights.map(|w| Operand::of_values(w, &decoded.axes, lens)));
    if axes.contains(&axis) {
        scatter(coefficient, operands, axis, &decoded.axes, &selected, axes, lens, out);
    } else {
        contraction::accumulate(coefficient, operands, axes, lens, out);
    }
}

/// `other` at the selected index of `axis`, times the weight, over `outer` and the other axes of `other`.
fn gather<C: Carrier>(
    other: &Operand<'_, C>,
    axis: AxisId,
    outer: &[AxisId],
    selected: &[Option<usize>],
    weights: Option<Vec<C>>,
    lens: &[usize],
) -> Operand<'static, C> {
    let rest: Vec<AxisId> =
        other.strides.iter().map(|(a, _)| *a).filter(|a| *a != axis && !outer.contains(a)).collect();
    let rows = positions(outer, lens, |a| other.stride(a));
    let row = positions(&rest, lens, |a| other.stride(a));
    let mut data = vec![C::default(); rows.len() * row.len()];
    for (i, (values, s)) in data.chunks_exact_mut(row.len()).zip(selected).enumerate() {
        let Some(s) = s else { continue };
        let base = other.offset + rows[i] + s * other.stride(axis);
        let weight = weights.as_ref().map_or(C::from_i64(1), |w| w[i]);
        for (value, &p) in values.iter_mut().zip(&row) {
            *value = weight * other.data[base + p];
        }
    }
    let axes: Vec<AxisId> = outer.iter().copied().chain(rest).collect();
    let mut gathered = Operand::of_values(data, &axes, lens);
    gathered.narrow = other.narrow && weights.is_none();
    gathered
}

/// Adds the product of `operands` to `out` at the selected index of `axis`.
#[expect(clippy::too_many_arguments)]
fn scatter<C: Carrier>(
    coefficient: C,
    operands: Vec<Operand<'_, C>>,
    axis: AxisId,
    outer: &[AxisId],
    selected: &[Option<usize>],
    axes: &[AxisId],
    lens: &[usize],
    out: &mut [C],
) {
    let rest: Vec<AxisId> = axes.iter().copied().filter(|a| *a != axis && !outer.contains(a)).collect();
    let all: Vec<AxisId> = outer.iter().chain(&rest).copied().collect();
    let mut product = vec![C::default(); all.iter().map(|a| lens[a.0]).product()];
    contraction::accumulate(coefficient, operands, &all, lens, &mut product);
    let target = Operand::<C>::of_values(Vec::new(), axes, lens);
    let rows = positions(outer, lens, |a| target.stride(a));
    let row = positions(&rest, lens, |a| target.stride(a));
    for ((values, s), base) in product.chunks_exact(row.len()).zip(selected).zip(rows) {
        let Some(s) = s else { continue };
        for (&value, p) in values.iter().zip(&row) {
            out[base + s * target.stride(axis) + p] += value;
        }
    }
}
