//! Linear expressions of tensors along padded axes, row by row: no tensor of their values is made.

use super::super::expression;
use veritune_argument::BlockAxis;
use veritune_field::{F, f_from_i64};
use veritune_relations::{Expression, Index, Program, View};

/// The axes of a block of leaves, outermost first.
#[derive(Debug, Clone)]
pub(in super::super) struct Axes {
    axes: Vec<BlockAxis>,
    /// Of each, entries of the tensor over the whole axes from one index to the next.
    strides: Vec<usize>,
}

impl Axes {
    pub(in super::super) fn new(program: &Program, axes: &[BlockAxis]) -> Self {
        let mut stride = 1;
        let strides = axes.iter().rev().map(|axis| {
            let own = stride;
            stride *= program.axis(axis.axis).len;
            own
        });
        let mut strides: Vec<usize> = strides.collect();
        strides.reverse();
        Self { axes: axes.to_vec(), strides }
    }

    /// Active length and padded base-2 logarithm of a row of the innermost axis; one leaf if there is no axis.
    pub(in super::super) fn inner(&self) -> (usize, usize) {
        self.axes.last().map_or((1, 0), |axis| (axis.len, axis.log))
    }

    /// Active rows.
    pub(in super::super) fn num_rows(&self) -> usize {
        self.axes.iter().rev().skip(1).map(|axis| axis.len).product()
    }

    /// The padded index of an active row.
    pub(in super::super) fn padded_row(&self, mut row: usize) -> usize {
        let (mut padded, mut shift) = (0, 0);
        for axis in self.axes.iter().rev().skip(1) {
            padded |= (row % axis.len) << shift;
            row /= axis.len;
            shift += axis.log;
        }
        padded
    }

    /// Where a padded row begins among the entries of the tensor over the whole axes; none if it is not active.
    pub(in super::super) fn start(&self, mut padded: usize) -> Option<usize> {
        let mut start = self.axes.last().map_or(0, |axis| axis.start);
        for (axis, stride) in self.axes.iter().zip(&self.strides).rev().skip(1) {
            let index = padded & ((1 << axis.log) - 1);
            if index >= axis.len {
                return None;
            }
            start += (axis.start + index) * stride;
            padded >>= axis.log;
        }
        Some(start)
    }
}

/// A tensor's values times a coefficient.
struct Term<'a> {
    values: &'a [i64],
    coefficient: i64,
    base: usize,
    /// Of the outer axes that the term has: first bit and mask within a padded row's index, active length, stride.
    outer: Vec<(usize, usize, usize, usize)>,
    /// Active length and stride of the innermost axis, if the term has it.
    inner: Option<(usize, usize)>,
}

impl Term<'_> {
    /// Where a padded row begins in the values; none if an axis of the term is not active there.
    fn start(&self, row: usize) -> Option<usize> {
        let mut at = self.base;
        for &(shift, mask, len, stride) in &self.outer {
            let index = (row >> shift) & mask;
            if index >= len {
                return None;
            }
            at += index * stride;
        }
        Some(at)
    }

    /// Calls `add(i, value)` for the entries `from + i` of a padded row, `count` at most, that the term has a value at.
    #[inline(always)]
    fn for_each(&self, row: usize, from: usize, count: usize, mut add: impl FnMut(usize, i64)) {
        let Some(start) = self.start(row) else {
            return;
        };
        match self.inner {
            None => (0..count).for_each(|i| add(i, self.values[start])),
            Some((len, stride)) => {
                let count = count.min(len.saturating_sub(from));
                if count == 0 {
                    return;
                }
                let values = &self.values[start + from * stride..];
                if stride == 1 {
                    values[..count].iter().enumerate().for_each(|(i, &value)| add(i, value));
                } else {
                    (0..count).for_each(|i| add(i, values[i * stride]));
                }
            }
        }
    }
}

/// A linear expression over axes. A term that does not have an axis is constant along it, inactive indices included,
/// and a constant holds everywhere: this is what the verifier's functional says.
pub(in super::super) struct Linear<'a> {
    terms: Vec<Term<'a>>,
    constants: Vec<i64>,
    /// Bits of the sum of the absolute values of all coefficients.
    coefficient_bits: u32,
}

impl<'a> Linear<'a> {
    pub(in super::super) fn new(
        program: &'a Program,
        tensors: &'a [&'a [i64]],
        axes: &[BlockAxis],
        expression: &Expression,
    ) -> Self {
        let constants: Vec<i64> = expression.iter().filter(|t| t.factors.is_empty()).map(|t| t.coefficient).collect();
        let views = expression.iter().filter_map(|t| t.factors.first().map(|view| (t.coefficient, view)));
        let terms: Vec<Term<'a>> =
            views.map(|(coefficient, view)| term(program, tensors, axes, coefficient, view)).collect();
        let coefficients = terms.iter().map(|t| t.coefficient).chain(constants.iter().copied());
        let sum = coefficients.fold(0u64, |sum, c| sum.saturating_add(c.unsigned_abs()));
        Self { terms, constants, coefficient_bits: u64::BITS - sum.leading_zeros() }
    }

    /// A view by itself.
    pub(in super::super) fn view(
        program: &'a Program,
        tensors: &'a [&'a [i64]],
        axes: &[BlockAxis],
        view: &View,
    ) -> Self {
        Self { terms: vec![term(program, tensors, axes, 1, view)], constants: vec![], coefficient_bits: 1 }
    }

    /// Writes the values of entries `from ..` of a padded row, or returns false if they might not fit: values of
    /// tensors of a false witness are any.
    pub(in super::super) fn write(&self, row: usize, from: usize, out: &mut [i64]) -> bool {
        if self.coefficient_bits > 61 {
            return false;
        }
        out.fill(self.constants.iter().sum());
        let mut magnitude = 1;
        for term in &self.terms {
            let coefficient = term.coefficient;
            let len = out.len();
            term.for_each(row, from, len, |i, value| {
                magnitude |= value ^ (value >> 63);
                out[i] = out[i].wrapping_add(coefficient.wrapping_mul(value));
            });
        }
        // |value| <= 2^(64 - leading zeros): all sums stay below 2^62.
        let bits = u64::BITS - magnitude.cast_unsigned().leading_zeros();
        bits + self.coefficient_bits <= 62
    }

    /// Writes the values of all active entries of a padded row. One that does not fit, which no table holds, is written
    /// as the least integer.
    pub(in super::super) fn write_exact(&self, row: usize, out: &mut [i64]) {
        if self.write(row, 0, out) {
            return;
        }
        // Modulo 2^128, which no honest witness reaches.
        let mut wide: Vec<i128> = vec![self.constants.iter().map(|&c| i128::from(c)).sum(); out.len()];
        for term in &self.terms {
            let coefficient = i128::from(term.coefficient);
            term.for_each(row, 0, out.len(), |i, value| {
                wide[i] = wide[i].wrapping_add(coefficient.wrapping_mul(i128::from(value)));
            });
        }
        for (out, wide) in out.iter_mut().zip(wide) {
            *out = i64::try_from(wide).unwrap_or(i64::MIN);
        }
    }

    /// The same modulo p.
    pub(in super::super) fn write_field(&self, row: usize, from: usize, out: &mut [F]) {
        out.fill(self.constants.iter().map(|&c| f_from_i64(c)).sum());
        for term in &self.terms {
            let coefficient = f_from_i64(term.coefficient);
            let len = out.len();
            term.for_each(row, from, len, |i, value| out[i] += coefficient * f_from_i64(value));
        }
    }
}

fn term<'a>(
    program: &'a Program,
    tensors: &'a [&'a [i64]],
    axes: &[BlockAxis],
    coefficient: i64,
    view: &View,
) -> Term<'a> {
    let mut strides = vec![None; axes.len()];
    let (mut base, mut stride) = (0, 1);
    for (&index, &own) in view.index.iter().zip(&program.tensor(view.tensor).axes).rev() {
        let (axis, shift) = match index {
            Index::Fixed(at) => (None, at),
            Index::Axis(axis) => (Some(axis), 0),
            Index::Shifted(axis, shift) => (Some(axis), shift),
        };
        base += shift * stride;
        if let Some(position) = axes.iter().position(|x| Some(x.axis) == axis) {
            strides[position] = Some(stride);
            base += axes[position].start * stride;
        }
        stride *= program.axis(own).len;
    }
    let inner = axes.last().zip(strides.pop().flatten()).map(|(axis, stride)| (axis.len, stride));
    let (mut outer, mut shift) = (Vec::new(), 0);
    for (axis, stride) in axes.iter().zip(strides).rev() {
        if let Some(stride) = stride {
            outer.push((shift, (1 << axis.log) - 1, axis.len, stride));
        }
        shift += axis.log;
    }
    Term { values: expression::values(program, tensors, view), coefficient, base, outer, inner }
}
