//! Builds a [`Program`]: each method emits an operation together with the equations and lookups that pin its result.
//!
//! Soundness of every method rests on one rule, checked by [`Builder::equation`]: the sum of the absolute values
//! of an equation's terms, over everything that the range checks admit, is below the field order. Then an
//! equation that holds modulo p holds over the integers.

mod arithmetic;
mod lookups;
mod ranges;

use crate::program::*;
use std::sync::Arc;

/// Coefficients of an equation are below this in absolute value.
const COEFFICIENT_LIMIT: u64 = 1 << 62;

/// A tensor indexed by the axes of an equation, with its scale.
#[derive(Debug, Clone)]
pub struct Operand {
    /// The indexed tensor.
    pub view: View,
    /// Its scale.
    pub fraction_bits: i32,
}

/// Terms on one scale.
#[derive(Debug, Clone)]
pub struct Sum {
    /// The terms.
    pub terms: Expression,
    /// Scale of their sum.
    pub fraction_bits: i32,
}

impl Sum {
    /// `coefficient * product of operands` at the product of their scales.
    pub fn product(coefficient: i64, operands: &[&Operand]) -> Self {
        Self {
            terms: vec![Term { coefficient, factors: operands.iter().map(|o| o.view.clone()).collect() }],
            fraction_bits: operands.iter().map(|o| o.fraction_bits).sum(),
        }
    }
    /// The constant `value * 2^-fraction_bits`.
    pub fn constant(value: i64, fraction_bits: i32) -> Self {
        Self { terms: vec![Term { coefficient: value, factors: Vec::new() }], fraction_bits }
    }
    /// No terms.
    pub fn zero() -> Self {
        Self { terms: Vec::new(), fraction_bits: 0 }
    }
    /// The same sum on a scale at least as fine as its own. A coefficient that leaves 62 bits becomes one that
    /// [`Builder::equation`] refuses.
    pub fn at_scale(mut self, fraction_bits: i32) -> Self {
        let unit = u32::try_from(fraction_bits - self.fraction_bits).ok().and_then(|shift| 1i64.checked_shl(shift));
        for term in &mut self.terms {
            let aligned = unit.filter(|unit| *unit > 0).and_then(|unit| term.coefficient.checked_mul(unit));
            term.coefficient = aligned.filter(|c| c.unsigned_abs() < COEFFICIENT_LIMIT).unwrap_or(i64::MAX);
        }
        self.fraction_bits = fraction_bits;
        self
    }
    /// The sum of both, aligned to the finer scale.
    pub fn plus(self, other: Self) -> Self {
        if self.terms.is_empty() {
            return other;
        }
        if other.terms.is_empty() {
            return self;
        }
        let fine = self.fraction_bits.max(other.fraction_bits);
        let mut sum = self.at_scale(fine);
        sum.terms.extend(other.at_scale(fine).terms);
        sum
    }
    /// The negated sum.
    pub fn negated(mut self) -> Self {
        for term in &mut self.terms {
            term.coefficient = -term.coefficient;
        }
        self
    }
    /// The same integers declared to be `bits` powers of two larger: multiplies the real value by `2^bits`.
    pub fn scaled_by_power(mut self, bits: i32) -> Self {
        self.fraction_bits -= bits;
        self
    }
}

/// A tensor to be made.
#[derive(Debug, Clone)]
pub struct Make<'a> {
    /// Name.
    pub name: &'a str,
    /// Axes of the tensor.
    pub axes: &'a [AxisId],
    /// Range.
    pub range: Range,
    /// Scale.
    pub fraction_bits: i32,
}

/// Builds a program operation by operation.
#[derive(Debug, Default)]
pub struct Builder {
    /// The program so far.
    pub program: Program,
    sweep: Option<Sweep>,
}

type Built<T> = Result<T, ProgramError>;

impl Builder {
    /// An empty program whose range table is `range_bits` wide.
    pub fn new(range_bits: u32) -> Self {
        Self { program: Program { range_bits, ..Program::default() }, sweep: None }
    }

    /// Operations emitted from here on run in this order.
    pub fn sweep(&mut self, sweep: Sweep) {
        self.sweep = Some(sweep);
    }

    /// Declares an axis.
    pub fn axis(&mut self, name: &str, len: usize) -> AxisId {
        self.program.axes.push(Axis { name: name.to_owned(), len });
        AxisId(self.program.axes.len() - 1)
    }

    /// Declares a tensor.
    pub fn tensor(&mut self, place: Place, make: &Make<'_>) -> TensorId {
        self.program.tensors.push(Tensor {
            name: make.name.to_owned(),
            axes: make.axes.to_vec(),
            place,
            range: make.range,
            fraction_bits: make.fraction_bits,
            values: None,
            range_by_other: false,
        });
        TensorId(self.program.tensors.len() - 1)
    }

    fn witness(&mut self, make: &Make<'_>) -> TensorId {
        self.tensor(Place::Witness, make)
    }

    /// Declares a witness tensor whose range is enforced by a table or an equation, not by limbs.
    pub(crate) fn witness_by_other(&mut self, make: &Make<'_>) -> TensorId {
        let id = self.witness(make);
        self.program.tensors[id.0].range_by_other = true;
        id
    }

    /// Declares a public tensor.
    pub fn public(&mut self, make: &Make<'_>, values: Vec<i64>) -> TensorId {
        let id = self.tensor(Place::Public, make);
        self.program.tensors[id.0].values = Some(values);
        id
    }

    /// Declares a table with a tag of its own.
    pub fn table(&mut self, name: &str, columns: impl Into<Arc<Vec<Vec<i64>>>>) -> usize {
        // Tags up to the greatest range width belong to the range table.
        let tag = 64 + self.program.tables.len() as u64;
        self.program.tables.push(Table { name: name.to_owned(), tag, columns: columns.into() });
        self.program.tables.len() - 1
    }

    /// The tensor indexed by its own axes.
    pub fn on(&self, tensor: TensorId) -> Operand {
        let index = self.program.tensor(tensor).axes.iter().map(|&a| Index::Axis(a)).collect();
        Operand { view: View { tensor, index }, fraction_bits: self.program.tensor(tensor).fraction_bits }
    }

    /// The tensor with some of its own axes indexed otherwise.
    pub fn with(&self, tensor: TensorId, replace: &[(AxisId, Index)]) -> Operand {
        let mut operand = self.on(tensor);
        for entry in &mut operand.view.index {
            if let Index::Axis(own) = *entry
                && let Some(&(_, new)) = replace.iter().find(|(axis, _)| *axis == own)
            {
                *entry = new;
            }
        }
        operand
    }

    pub(crate) fn step(&mut self, name: &str, operation: Operation) {
        let sweep = self.sweep.unwrap_or(Sweep::Once);
        self.program.steps.push(Step { name: name.to_owned(), sweep, operation });
    }

    /// Adds `terms = 0` after showing that it cannot wrap.
    pub fn equation(&mut self, name: &str, axes: &[AxisId], terms: Expression) -> Built<()> {
        let bound = self.bound(axes, &terms);
        self.equation_with_bound(name, axes, terms, bound)
    }

    /// The sum of the absolute values of the terms, over everything that the range checks admit.
    fn bound(&self, axes: &[AxisId], terms: &Expression) -> u128 {
        terms.iter().fold(0, |sum, t| sum.saturating_add(self.program.term_bound(axes, t)))
    }

    /// Adds `terms = 0` with a bound that the caller derived from other checks.
    fn equation_with_bound(&mut self, name: &str, axes: &[AxisId], terms: Expression, bound: u128) -> Built<()> {
        self.cannot_wrap(name, &terms, bound)?;
        self.program.equations.push(Equation { name: name.to_owned(), axes: axes.to_vec(), terms, modular: false });
        Ok(())
    }

    /// Refuses coefficients that stand for larger ones (see [`Sum::at_scale`]) and a bound that reaches the field order;
    /// keeps the largest for the ledger.
    fn cannot_wrap(&mut self, name: &str, terms: &Expression, bound: u128) -> Built<()> {
        if let Some(term) = terms.iter().find(|t| t.coefficient.unsigned_abs() >= COEFFICIENT_LIMIT) {
            let reason = format!("a coefficient of {}, the greatest is 2^62 - 1", term.coefficient);
            return Err(ProgramError::Malformed { operation: name.to_owned(), reason });
        }
        if bound >= FIELD_ORDER {
            return Err(ProgramError::Wraps { operation: name.to_owned(), bound });
        }
        if self.program.largest_bound.as_ref().is_none_or(|(largest, _)| bound > *largest) {
            self.program.largest_bound = Some((bound, name.to_owned()));
        }
        Ok(())
    }

    /// Adds `terms = 0` modulo p, between field elements: says nothing of integers.
    pub(crate) fn field_equation(&mut self, name: &str, axes: &[AxisId], terms: Expression) {
        self.program.equations.push(Equation { name: name.to_owned(), axes: axes.to_vec(), terms, modular: true });
    }

    fn lookup(&mut self, name: &str, table: TableId, axes: &[AxisId], columns: Vec<Expression>, mask: Option<View>) {
        self.program.lookups.push(Lookup { name: name.to_owned(), table, axes: axes.to_vec(), columns, mask });
    }

    fn boolean(&mut self, name: &str, tensor: TensorId) -> Built<()> {
        let (view, axes) = (self.on(tensor).view, self.program.tensor(tensor).axes.clone());
        let terms = vec![
            Term { coefficient: 1, factors: vec![view.clone(), view.clone()] },
            Term { coefficient: -1, factors: vec![view] },
        ];
        self.equation(name, &axes, terms)
    }
}
