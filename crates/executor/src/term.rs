//! Expressions: from views of tensors to values over the axes of an operation.

use veritune_relations::{AxisId, Expression, Program, Term, View};

use crate::carrier::Carrier;
use crate::operand::{Operand, Scope};
use crate::{Tensors, contraction, one_hot};

/// What an expression is evaluated on.
pub(crate) struct Evaluator<'a, C: Carrier> {
    pub program: &'a Program,
    pub tensors: &'a Tensors<C>,
    pub scope: &'a Scope,
}

impl<'a, C: Carrier> Evaluator<'a, C> {
    /// Values of the expression, row-major over `axes`.
    pub fn expression(&self, axes: &[AxisId], terms: &Expression) -> Vec<C> {
        let mut out = vec![C::default(); self.scope.num_values(axes)];
        for term in terms {
            self.accumulate(term, axes, &mut out);
        }
        out
    }

    /// Values of one view, row-major over `axes`.
    pub fn view(&self, axes: &[AxisId], view: &View) -> Vec<C> {
        self.expression(axes, &vec![Term { coefficient: 1, factors: vec![view.clone()] }])
    }

    /// `out += term`.
    fn accumulate(&self, term: &Term, axes: &[AxisId], out: &mut [C]) {
        let coefficient = C::from_i64(term.coefficient);
        if let Some(first) = self.first_one_hot(term, axes) {
            return one_hot::accumulate(self, coefficient, &term.factors, first, axes, out);
        }
        let operands = term.factors.iter().map(|view| self.operand(view)).collect();
        contraction::accumulate(coefficient, operands, axes, &self.scope.lens, out);
    }

    /// The view as an operand; a virtual one-hot is written out.
    pub fn operand(&self, view: &View) -> Operand<'a, C> {
        match self.program.one_hot(view.tensor) {
            Some(one_hot) => one_hot::dense(self, one_hot, view),
            None => Operand::of_view(self.program, self.tensors, self.scope, view),
        }
    }

    /// The one-hot factor to resolve by index: one whose value axis is summed over, if there is one.
    fn first_one_hot(&self, term: &Term, axes: &[AxisId]) -> Option<usize> {
        let summed = |view: &View| match view.index.last() {
            Some(&index) => one_hot::value_axis(index).is_some_and(|(axis, _)| !axes.contains(&axis)),
            None => false,
        };
        (0..term.factors.len())
            .filter(|&i| self.program.one_hot(term.factors[i].tensor).is_some())
            .max_by_key(|&i| (summed(&term.factors[i]), std::cmp::Reverse(i)))
    }
}
