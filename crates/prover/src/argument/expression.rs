//! Values of linear expressions and masks over the axes of a lookup.

use rayon::prelude::*;
use veritune_relations::{AxisId, Expression, Index, Program, View};

/// A tensor read along the axes of a lookup: base index and one stride per axis.
struct Reader<'a> {
    values: &'a [i64],
    coefficient: i64,
    base: usize,
    strides: Vec<usize>,
}

/// The dense values of a tensor: its own if public, else the witness's.
pub(super) fn values<'a>(program: &'a Program, tensors: &'a [Vec<i64>], view: &View) -> &'a [i64] {
    match &program.tensor(view.tensor).values {
        Some(values) => values,
        None => &tensors[view.tensor.0],
    }
}

fn reader<'a>(
    program: &'a Program,
    tensors: &'a [Vec<i64>],
    axes: &[AxisId],
    coefficient: i64,
    view: &View,
) -> Reader<'a> {
    let mut strides = vec![0; axes.len()];
    let (mut base, mut stride) = (0, 1);
    let own = &program.tensor(view.tensor).axes;
    for (&index, &axis) in view.index.iter().zip(own).rev() {
        let (a, shift) = match index {
            Index::Fixed(at) => (None, at),
            Index::Axis(a) => (Some(a), 0),
            Index::Shifted(a, shift) => (Some(a), shift),
        };
        base += shift * stride;
        if let Some(position) = axes.iter().position(|&x| Some(x) == a) {
            strides[position] = stride;
        }
        stride *= program.axis(axis).len;
    }
    Reader { values: values(program, tensors, view), coefficient, base, strides }
}

/// The values of `expression` at all active indices of `axes`, row-major. Sums wrap: a value that does not fit
/// is in no table.
pub(super) fn evaluate(program: &Program, tensors: &[Vec<i64>], axes: &[AxisId], expression: &Expression) -> Vec<i64> {
    let lens: Vec<usize> = axes.iter().map(|&a| program.axis(a).len).collect();
    let constant = expression.iter().filter(|t| t.factors.is_empty()).map(|t| t.coefficient).sum::<i64>();
    let linear = expression.iter().filter_map(|t| t.factors.first().map(|view| (t.coefficient, view)));
    let readers: Vec<Reader<'_>> =
        linear.map(|(coefficient, view)| reader(program, tensors, axes, coefficient, view)).collect();
    let inner = lens.last().copied().unwrap_or(1);
    let mut out = vec![constant; lens.iter().product()];
    out.par_chunks_mut(inner).with_min_len(1 + 4096 / inner).enumerate().for_each(|(row, out)| {
        for reader in &readers {
            let (mut rest, mut at) = (row, reader.base);
            let outer = lens.len().saturating_sub(1);
            for axis in (0..outer).rev() {
                at += (rest % lens[axis]) * reader.strides[axis];
                rest /= lens[axis];
            }
            let stride = reader.strides.last().copied().unwrap_or(0);
            for (i, out) in out.iter_mut().enumerate() {
                let term = reader.coefficient.wrapping_mul(reader.values[at + i * stride]);
                *out = out.wrapping_add(term);
            }
        }
    });
    out
}

/// Whether each active index of `axes` is looked up.
pub(super) fn mask(program: &Program, axes: &[AxisId], mask: Option<&View>) -> Option<Vec<i64>> {
    let view = mask?;
    let term = veritune_relations::Term { coefficient: 1, factors: vec![view.clone()] };
    Some(evaluate(program, &[], axes, &vec![term]))
}
