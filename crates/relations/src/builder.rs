//! Builds a [`Program`]: each method emits an operation together with the equations and lookups that pin its result.
//!
//! Soundness of every method rests on one rule, checked by [`Builder::equation`]: the sum of the absolute values
//! of an equation's terms, over everything that the range checks admit, is below the field order. Then an
//! equation that holds modulo p holds over the integers.

use crate::program::*;

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
    pub fn table(&mut self, name: &str, columns: Vec<Vec<i64>>) -> usize {
        // Tags up to the greatest range width belong to the range table.
        let tag = 64 + self.program.tables.len() as u64;
        self.program.tables.push(Table { name: name.to_owned(), tag, columns });
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
        self.program.equations.push(Equation { name: name.to_owned(), axes: axes.to_vec(), terms, modular: false });
        Ok(())
    }

    /// Adds `terms = 0` modulo p, between field elements: says nothing of integers.
    pub(crate) fn field_equation(&mut self, name: &str, axes: &[AxisId], terms: Expression) {
        self.program.equations.push(Equation { name: name.to_owned(), axes: axes.to_vec(), terms, modular: true });
    }

    fn lookup(&mut self, name: &str, table: TableId, axes: &[AxisId], columns: Vec<Expression>, mask: Option<View>) {
        self.program.lookups.push(Lookup { name: name.to_owned(), table, axes: axes.to_vec(), columns, mask });
    }

    /// A new tensor that is `sum` rounded half up to its scale.
    pub fn rescale(&mut self, make: &Make<'_>, axes: &[AxisId], sum: Sum) -> Built<TensorId> {
        let quotient = self.witness(make);
        let view = self.on(quotient).view;
        self.rescale_into(make.name, axes, sum, view, make.fraction_bits)?;
        Ok(quotient)
    }

    /// Writes `sum` rounded half up to the scale `2^-fraction_bits` to an existing view.
    pub fn rescale_into(&mut self, name: &str, axes: &[AxisId], sum: Sum, out: View, fraction_bits: i32) -> Built<()> {
        let shift = sum.fraction_bits - fraction_bits;
        let (sum, shift) = if shift < 0 { (sum.at_scale(fraction_bits), 0) } else { (sum, shift) };
        if shift > 61 {
            return Err(ProgramError::Malformed {
                operation: name.to_owned(),
                reason: format!("a shift of {shift} bits"),
            });
        }
        self.divide_by_constant(name, axes, sum.terms, 1i64 << shift, out)
    }

    /// Writes `floor((accumulator + divisor/2) / divisor)` to a view. The divisor is public and even, or 1.
    pub fn divide_by_constant(
        &mut self,
        name: &str,
        axes: &[AxisId],
        accumulator: Expression,
        divisor: i64,
        out: View,
    ) -> Built<()> {
        let mut terms = accumulator.clone();
        terms.push(Term { coefficient: -divisor, factors: vec![out.clone()] });
        if divisor == 1 {
            self.equation(name, axes, terms)?;
            self.step(
                name,
                Operation::Rescale { axes: axes.to_vec(), accumulator, divisor, quotient: out, remainder: None },
            );
            return Ok(());
        }
        let bits = 64 - (divisor as u64 - 1).leading_zeros();
        let remainder_name = format!("{name}.remainder");
        let remainder =
            self.witness(&Make { name: &remainder_name, axes, range: Range::unsigned(bits), fraction_bits: 0 });
        let remainder_view = self.on(remainder).view;
        terms.push(Term { coefficient: divisor / 2, factors: Vec::new() });
        terms.push(Term { coefficient: -1, factors: vec![remainder_view.clone()] });
        self.equation(name, axes, terms)?;
        self.step(
            name,
            Operation::Rescale {
                axes: axes.to_vec(),
                accumulator,
                divisor,
                quotient: out,
                remainder: Some(remainder_view.clone()),
            },
        );
        if divisor as u64 != 1u64 << bits {
            // The remainder is below 2^bits by its limbs; below the divisor because this is not negative either.
            let slack = vec![
                Term { coefficient: divisor - 1, factors: Vec::new() },
                Term { coefficient: -1, factors: vec![remainder_view] },
            ];
            let slack_name = format!("{name}.remainder_slack");
            self.copy(
                &Make { name: &slack_name, axes, range: Range::unsigned(bits), fraction_bits: 0 },
                axes,
                Sum { terms: slack, fraction_bits: 0 },
            )?;
        }
        Ok(())
    }

    /// A new tensor equal to `sum`, range-checked.
    pub fn copy(&mut self, make: &Make<'_>, axes: &[AxisId], sum: Sum) -> Built<TensorId> {
        let out = self.witness(make);
        let view = self.on(out).view;
        self.divide_by_constant(make.name, axes, sum.terms, 1, view)?;
        Ok(out)
    }

    /// A new tensor `floor(numerator / denominator)`; `denominator_bits` bounds the denominator, which must be
    /// at least 1 by its own construction.
    pub fn divide(
        &mut self,
        make: &Make<'_>,
        axes: &[AxisId],
        numerator: Expression,
        denominator: Expression,
        denominator_bits: u32,
    ) -> Built<TensorId> {
        if make.range.bits + denominator_bits > 63 {
            return Err(ProgramError::Malformed {
                operation: make.name.to_owned(),
                reason: format!(
                    "a quotient of {} bits times a denominator of {denominator_bits} bits",
                    make.range.bits
                ),
            });
        }
        // The bound below takes the denominator at its declared width, so it must not be able to exceed it.
        let largest = denominator.iter().fold(0u128, |sum, t| sum.saturating_add(self.program.term_bound(axes, t)));
        if largest > 1u128 << denominator_bits {
            return Err(ProgramError::Malformed {
                operation: make.name.to_owned(),
                reason: format!("a denominator of up to {largest} is wider than {denominator_bits} bits"),
            });
        }
        let quotient = self.witness(make);
        let range = Range::unsigned(denominator_bits);
        let (remainder_name, slack_name) = (format!("{}.remainder", make.name), format!("{}.slack", make.name));
        let remainder = self.witness(&Make { name: &remainder_name, axes, range, fraction_bits: 0 });
        let slack = self.witness(&Make { name: &slack_name, axes, range, fraction_bits: 0 });
        let views = [quotient, remainder, slack].map(|t| self.on(t).view);
        let mut exact = numerator.clone();
        for term in &denominator {
            let mut factors = vec![views[0].clone()];
            factors.extend(term.factors.iter().cloned());
            exact.push(Term { coefficient: -term.coefficient, factors });
        }
        exact.push(Term { coefficient: -1, factors: vec![views[1].clone()] });
        // The product is at most quotient * denominator with the denominator's own bound, which is sharper than
        // the product of its terms' bounds.
        let numerator_bound = self.bound(axes, &numerator);
        let bound = numerator_bound.saturating_add((make.range.max_abs() << denominator_bits) + range.max_abs());
        self.equation_with_bound(&format!("{}.exact", make.name), axes, exact, bound)?;
        let mut below = denominator.clone();
        below.push(Term { coefficient: -1, factors: Vec::new() });
        below.push(Term { coefficient: -1, factors: vec![views[1].clone()] });
        below.push(Term { coefficient: -1, factors: vec![views[2].clone()] });
        self.equation(&format!("{}.below", make.name), axes, below)?;
        let [quotient_view, remainder, slack] = views;
        self.step(
            make.name,
            Operation::Divide {
                axes: axes.to_vec(),
                numerator,
                denominator,
                quotient: quotient_view,
                remainder,
                slack,
            },
        );
        Ok(quotient)
    }

    /// A new tensor `floor(sqrt(square))`. `square_bound` bounds `square`, which is not negative by its construction.
    pub fn square_root(
        &mut self,
        make: &Make<'_>,
        axes: &[AxisId],
        square: Expression,
        square_bound: u128,
    ) -> Built<TensorId> {
        let root = self.witness(make);
        let range = Range::unsigned(make.range.bits + 1);
        let (remainder_name, slack_name) = (format!("{}.remainder", make.name), format!("{}.slack", make.name));
        let remainder = self.witness(&Make { name: &remainder_name, axes, range, fraction_bits: 0 });
        let slack = self.witness(&Make { name: &slack_name, axes, range, fraction_bits: 0 });
        let views = [root, remainder, slack].map(|t| self.on(t).view);
        let mut exact = square.clone();
        exact.push(Term { coefficient: -1, factors: vec![views[0].clone(), views[0].clone()] });
        exact.push(Term { coefficient: -1, factors: vec![views[1].clone()] });
        let bound = square_bound + make.range.max_abs() * make.range.max_abs() + range.max_abs();
        self.equation_with_bound(&format!("{}.exact", make.name), axes, exact, bound)?;
        let below = vec![
            Term { coefficient: 2, factors: vec![views[0].clone()] },
            Term { coefficient: -1, factors: vec![views[1].clone()] },
            Term { coefficient: -1, factors: vec![views[2].clone()] },
        ];
        self.equation(&format!("{}.below", make.name), axes, below)?;
        let [root_view, remainder, slack] = views;
        self.step(make.name, Operation::SquareRoot { axes: axes.to_vec(), square, root: root_view, remainder, slack });
        Ok(root)
    }

    /// Declares the bits of an index along `value_axis` for every index of `axes`; each bit is 0 or 1 by equation.
    pub fn index_bits(&mut self, name: &str, axes: &[AxisId], value_axis: AxisId) -> Built<TensorId> {
        let log = self.program.axis(value_axis).log_len().max(1);
        let bit_axis = self.axis(&format!("{name}.bit"), log);
        let mut bit_axes = axes.to_vec();
        bit_axes.push(bit_axis);
        let bits = self.witness_by_other(&Make { name, axes: &bit_axes, range: Range::unsigned(1), fraction_bits: 0 });
        self.boolean(&format!("{name}.boolean"), bits)?;
        Ok(bits)
    }

    fn boolean(&mut self, name: &str, tensor: TensorId) -> Built<()> {
        let (view, axes) = (self.on(tensor).view, self.program.tensor(tensor).axes.clone());
        let terms = vec![
            Term { coefficient: 1, factors: vec![view.clone(), view.clone()] },
            Term { coefficient: -1, factors: vec![view] },
        ];
        self.equation(name, &axes, terms)
    }

    /// The virtual one-hot of bits: `flag * [bits encode index]` along `value_axis`.
    pub fn one_hot(
        &mut self,
        name: &str,
        axes: &[AxisId],
        value_axis: AxisId,
        bits: TensorId,
        flag: Option<TensorId>,
    ) -> TensorId {
        let mut all = axes.to_vec();
        all.push(value_axis);
        let tensor = self.witness_by_other(&Make { name, axes: &all, range: Range::unsigned(1), fraction_bits: 0 });
        self.program.one_hots.push(OneHot { tensor, bits, flag });
        tensor
    }

    /// A new tensor that is the greatest of `values` along `over`, among the indices where `mask` is 1.
    ///
    /// Attained: a one-hot on an unmasked index picks it. That no value is greater is for the caller to show
    /// (by a lookup of `maximum - value` in a table that starts at 0).
    pub fn maximum(
        &mut self,
        make: &Make<'_>,
        axes: &[AxisId],
        over: AxisId,
        values: TensorId,
        values_view: View,
        mask: Option<TensorId>,
    ) -> Built<TensorId> {
        let maximum = self.witness(make);
        let bits = self.index_bits(&format!("{}.argument", make.name), axes, over)?;
        let one_hot = self.one_hot(&format!("{}.one_hot", make.name), axes, over, bits, None);
        let one_hot_view = self.on(one_hot).view;
        let maximum_view = self.on(maximum).view;
        let attained = vec![
            Term { coefficient: 1, factors: vec![one_hot_view.clone(), values_view.clone()] },
            Term { coefficient: -1, factors: vec![maximum_view.clone()] },
        ];
        debug_assert_eq!(values_view.tensor, values);
        self.equation(&format!("{}.attained", make.name), axes, attained)?;
        let allowed = match mask {
            Some(mask) => mask,
            None => {
                let len = self.program.axis(over).len;
                let name = format!("{}.allowed", make.name);
                self.public(
                    &Make { name: &name, axes: &[over], range: Range::unsigned(1), fraction_bits: 0 },
                    vec![1; len],
                )
            }
        };
        let allowed_view = self.on(allowed).view;
        let on_allowed = vec![
            Term { coefficient: 1, factors: vec![one_hot_view, allowed_view.clone()] },
            Term { coefficient: -1, factors: Vec::new() },
        ];
        self.equation(&format!("{}.allowed", make.name), axes, on_allowed)?;
        let bits_view = self.on(bits).view;
        self.step(
            make.name,
            Operation::Maximum {
                axes: axes.to_vec(),
                over,
                values: values_view,
                mask: mask.map(|_| allowed_view),
                maximum: maximum_view,
                bits: bits_view,
            },
        );
        Ok(maximum)
    }

    /// New tensors that are the other columns of the table row whose first column is `input`.
    #[allow(clippy::too_many_arguments)]
    pub fn look(
        &mut self,
        name: &str,
        axes: &[AxisId],
        table: usize,
        input: Sum,
        mask: Option<View>,
        outputs: &[(Make<'_>, Function)],
    ) -> Vec<TensorId> {
        let mut columns = vec![input.terms.clone()];
        let mut tensors = Vec::new();
        for (make, _) in outputs {
            let id = self.witness_by_other(make);
            columns.push(vec![Term { coefficient: 1, factors: vec![self.on(id).view] }]);
            tensors.push(id);
        }
        self.lookup(name, TableId::Table(table), axes, columns, mask.clone());
        let out = tensors.iter().map(|&t| self.on(t).view).collect();
        self.step(
            name,
            Operation::Look {
                axes: axes.to_vec(),
                table,
                input: input.terms,
                mask,
                out,
                functions: outputs.iter().map(|(_, f)| *f).collect(),
                input_fraction_bits: input.fraction_bits,
                output_fraction_bits: outputs.first().map_or(0, |(m, _)| m.fraction_bits),
            },
        );
        tensors
    }

    /// New scalars `[value >= 0]` and the magnitude (`value`, or `-1 - value`) in `magnitude_bits` bits.
    pub fn sign(&mut self, name: &str, axes: &[AxisId], value: Expression, magnitude_bits: u32) -> Built<TensorId> {
        let out = self.witness_by_other(&Make { name, axes, range: Range::unsigned(1), fraction_bits: 0 });
        self.boolean(&format!("{name}.boolean"), out)?;
        let magnitude_name = format!("{name}.magnitude");
        let magnitude = self.witness(&Make {
            name: &magnitude_name,
            axes,
            range: Range::unsigned(magnitude_bits),
            fraction_bits: 0,
        });
        let (out_view, magnitude_view) = (self.on(out).view, self.on(magnitude).view);
        // value = (2*out - 1) * magnitude + out - 1
        let mut terms = value.clone();
        terms.push(Term { coefficient: -2, factors: vec![out_view.clone(), magnitude_view.clone()] });
        terms.push(Term { coefficient: 1, factors: vec![magnitude_view.clone()] });
        terms.push(Term { coefficient: -1, factors: vec![out_view.clone()] });
        terms.push(Term { coefficient: 1, factors: Vec::new() });
        let value_bound = self.bound(axes, &value);
        // |(2*out - 1) * magnitude + out - 1| is at most the magnitude + 1.
        let bound = value_bound.saturating_add((1u128 << magnitude_bits) + 1);
        self.equation_with_bound(name, axes, terms, bound)?;
        self.step(name, Operation::Sign { axes: axes.to_vec(), value, out: out_view, magnitude: magnitude_view });
        Ok(out)
    }

    /// New tensors with `value = high * base + low`, `0 <= low < base`, base a power of two.
    pub fn split(
        &mut self,
        name: &str,
        axes: &[AxisId],
        value: Expression,
        base_bits: u32,
        high_range: Range,
    ) -> Built<(TensorId, TensorId)> {
        let (high_name, low_name) = (format!("{name}.high"), format!("{name}.low"));
        let high = self.witness(&Make { name: &high_name, axes, range: high_range, fraction_bits: 0 });
        let low = self.witness(&Make { name: &low_name, axes, range: Range::unsigned(base_bits), fraction_bits: 0 });
        let base = 1i64 << base_bits;
        let (high_view, low_view) = (self.on(high).view, self.on(low).view);
        let mut terms = value.clone();
        terms.push(Term { coefficient: -base, factors: vec![high_view.clone()] });
        terms.push(Term { coefficient: -1, factors: vec![low_view.clone()] });
        self.equation(name, axes, terms)?;
        self.step(name, Operation::Split { axes: axes.to_vec(), value, base, high: high_view, low: low_view });
        Ok((high, low))
    }

    /// `square`-scaled value for a square root with full relative precision.
    ///
    /// Finds `power = 2^e` with the greatest `e` such that `value * 4^e < 2^62`, proves `value * 4^e < 2^62` by
    /// the table's ceiling, and returns `(power, square)`. `value` is at least `least` by its construction, so
    /// that `value * 4^e >= 2^60` always: the table ends at the `e` where `least * 4^e` reaches it.
    pub fn normalise(
        &mut self,
        name: &str,
        axes: &[AxisId],
        value: Expression,
        least: u64,
    ) -> Built<(TensorId, TensorId)> {
        let log_least = least.max(1).ilog2();
        let greatest = 60u32.saturating_sub(log_least).div_ceil(2);
        let table_name = format!("normalise.{greatest}");
        let table = match self.program.tables.iter().position(|t| t.name == table_name) {
            Some(table) => table,
            None => {
                let rows = 0..=greatest;
                let columns = vec![
                    rows.clone().map(|e| 1i64 << e).collect(),
                    rows.clone().map(|e| 1i64 << (2 * e)).collect(),
                    rows.map(|e| ((1i64 << 62) - 1) >> (2 * e)).collect(),
                ];
                self.table(&table_name, columns)
            }
        };
        let names = ["power", "square", "ceiling"].map(|part| format!("{name}.{part}"));
        let bits = [greatest + 1, 2 * greatest + 1, 62];
        let parts: Vec<TensorId> = (0..3)
            .map(|i| {
                self.witness_by_other(&Make {
                    name: &names[i],
                    axes,
                    range: Range::unsigned(bits[i]),
                    fraction_bits: 0,
                })
            })
            .collect();
        let views: Vec<View> = parts.iter().map(|&t| self.on(t).view).collect();
        let columns = views.iter().map(|v| vec![Term { coefficient: 1, factors: vec![v.clone()] }]).collect();
        self.lookup(&format!("{name}.row"), TableId::Table(table), axes, columns, None);
        let slack_name = format!("{name}.slack");
        let slack = self.witness(&Make { name: &slack_name, axes, range: Range::unsigned(62), fraction_bits: 0 });
        let slack_view = self.on(slack).view;
        let mut terms = value.clone();
        terms.push(Term { coefficient: 1, factors: vec![slack_view.clone()] });
        terms.push(Term { coefficient: -1, factors: vec![views[2].clone()] });
        self.equation(&format!("{name}.ceiling"), axes, terms)?;
        self.step(
            name,
            Operation::Normalise {
                axes: axes.to_vec(),
                value,
                table,
                power: views[0].clone(),
                square: views[1].clone(),
                ceiling: views[2].clone(),
                slack: slack_view,
            },
        );
        Ok((parts[0], parts[1]))
    }

    /// New tensors that are a row of a table: the one with the greatest first column `c` such that `value * c <= limit`.
    ///
    /// The lookup says only that they are a row; which one is for the caller to show.
    pub fn octave(
        &mut self,
        name: &str,
        axes: &[AxisId],
        value: Expression,
        table: usize,
        limit: i64,
        outputs: &[Make<'_>],
    ) -> Vec<TensorId> {
        let tensors: Vec<TensorId> = outputs.iter().map(|make| self.witness_by_other(make)).collect();
        let out: Vec<View> = tensors.iter().map(|&t| self.on(t).view).collect();
        let columns = out.iter().map(|v| vec![Term { coefficient: 1, factors: vec![v.clone()] }]).collect();
        self.lookup(name, TableId::Table(table), axes, columns, None);
        self.step(name, Operation::Octave { axes: axes.to_vec(), value, table, limit, out });
        tensors
    }

    /// Ties bits to a stored value: `sum of 2^j * bits[.., j] = value`, and computes them.
    pub fn bits_of(&mut self, name: &str, axes: &[AxisId], bits: View, value: View) -> Built<()> {
        let (&last, outer) = match bits.index.split_last() {
            Some(parts) => parts,
            None => return Err(ProgramError::Malformed { operation: name.to_owned(), reason: "no bit axis".into() }),
        };
        let Index::Axis(bit_axis) = last else {
            return Err(ProgramError::Malformed { operation: name.to_owned(), reason: "the bit axis is fixed".into() });
        };
        let mut terms = vec![Term { coefficient: -1, factors: vec![value.clone()] }];
        for bit in 0..self.program.axis(bit_axis).len {
            let mut index = outer.to_vec();
            index.push(Index::Fixed(bit));
            terms.push(Term { coefficient: 1 << bit, factors: vec![View { tensor: bits.tensor, index }] });
        }
        self.equation(name, axes, terms)?;
        self.step(name, Operation::Bits { axes: axes.to_vec(), value, bits });
        Ok(())
    }

    /// States that a stored tensor equals a witness tensor and has the executor copy it.
    pub fn store(&mut self, name: &str, stored: TensorId, from: TensorId) -> Built<()> {
        let axes = self.program.tensor(stored).axes.clone();
        let (out, value) = (self.on(stored).view, self.on(from).view);
        self.divide_by_constant(name, &axes, vec![Term { coefficient: 1, factors: vec![value] }], 1, out)
    }
}
