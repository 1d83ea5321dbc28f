//! Every operation: evaluate what it reads, apply its arithmetic, store what it writes.

use rayon::prelude::*;
use veritune_relations::{AxisId, Function, Index, Operation, Step, View};

use crate::ExecuteError;
use crate::carrier::Carrier;
use crate::executor::Executor;
use crate::operand::Scope;
use crate::term::Evaluator;

/// Values per task of an elementwise operation.
const CHUNK: usize = 1 << 13;

/// Applies `f` to every value in parallel.
fn map2<C: Carrier>(values: Vec<C>, f: impl Fn(usize, C) -> (C, C) + Sync) -> (Vec<C>, Vec<C>) {
    let mut first = values;
    let mut second = vec![C::default(); first.len()];
    first.par_chunks_mut(CHUNK).zip(second.par_chunks_mut(CHUNK)).enumerate().for_each(|(chunk, (a, b))| {
        for (i, (a, b)) in a.iter_mut().zip(b).enumerate() {
            (*a, *b) = f(chunk * CHUNK + i, *a);
        }
    });
    (first, second)
}

impl<C: Carrier> Executor<'_, C> {
    pub(crate) fn run_step(&mut self, step: &Step, scope: &Scope) -> Result<(), ExecuteError> {
        let name = &step.name;
        let program = self.program;
        let on = |tensors| Evaluator { program, tensors, scope };
        match &step.operation {
            Operation::Rescale { axes, accumulator, divisor, quotient, remainder } => {
                let values = on(&self.tensors).expression(axes, accumulator);
                if *divisor == 1 {
                    return self.write(name, scope, quotient, axes, values);
                }
                let (q, r) = map2(values, |_, x| x.rescale(*divisor));
                self.write(name, scope, quotient, axes, q)?;
                match remainder {
                    Some(view) => self.write(name, scope, view, axes, r),
                    None => Ok(()),
                }
            }
            Operation::Divide { axes, numerator, denominator, quotient, remainder } => {
                let values = on(&self.tensors).expression(axes, numerator);
                let by = on(&self.tensors).expression(axes, denominator);
                let one = C::from_i64(1);
                if let Some(bad) = by.par_iter().find_first(|d| one.divide(**d).is_none()) {
                    return Err(ExecuteError::Denominator { operation: name.clone(), value: bad.to_i64() });
                }
                let (q, r) = map2(values, |i, x| x.divide(by[i]).unwrap_or_default());
                self.write(name, scope, quotient, axes, q)?;
                self.write(name, scope, remainder, axes, r)
            }
            Operation::SquareRoot { axes, square, root, remainder } => {
                let values = on(&self.tensors).expression(axes, square);
                if let Some(bad) = values.par_iter().find_first(|x| x.square_root().is_none()) {
                    return Err(ExecuteError::NegativeSquare { operation: name.clone(), value: bad.to_i64() });
                }
                let (roots, rest) = map2(values, |_, x| x.square_root().unwrap_or_default());
                self.write(name, scope, root, axes, roots)?;
                self.write(name, scope, remainder, axes, rest)
            }
            Operation::Maximum { axes, over, values, mask, maximum, bits } => {
                self.maximum(name, scope, axes, *over, values, mask.as_ref(), maximum, bits)
            }
            Operation::Look { axes, table, input, mask, out, functions, input_fraction_bits, .. } => {
                let evaluator = on(&self.tensors);
                let values = evaluator.expression(axes, input);
                let mask = mask.as_ref().map(|mask| evaluator.view(axes, mask));
                for (column, view) in out.iter().enumerate() {
                    // Columns may have scales of their own: SiLU and its derivative do.
                    let output_fraction_bits = self.program.tensor(view.tensor).fraction_bits;
                    let scales = (*input_fraction_bits, output_fraction_bits);
                    let function = functions.get(column).copied();
                    let found = self.look(name, *table, column + 1, &values, mask.as_deref(), function, scales)?;
                    self.write(name, scope, view, axes, found)?;
                }
                Ok(())
            }
            Operation::Normalise { axes, value, table, power, square, ceiling, slack } => {
                let values = on(&self.tensors).expression(axes, value);
                let [powers, squares, ceilings] = [0, 1, 2].map(|c| self.program.tables[*table].columns[c].as_slice());
                let mut rows = Vec::with_capacity(values.len());
                for &x in &values {
                    let fits = |row: &usize| x <= C::from_i64(ceilings[*row]);
                    let row = (0..powers.len()).filter(fits).max_by_key(|&row| powers[row]);
                    rows.push(row.ok_or_else(|| self.not_in_table(name, *table, x.to_i64()))?);
                }
                let column = |c: &[i64]| rows.iter().map(|&row| C::from_i64(c[row])).collect::<Vec<_>>();
                let limits = column(ceilings);
                let slacks = limits.iter().zip(&values).map(|(&c, &x)| c - x).collect();
                self.write(name, scope, power, axes, column(powers))?;
                self.write(name, scope, square, axes, column(squares))?;
                self.write(name, scope, ceiling, axes, limits)?;
                self.write(name, scope, slack, axes, slacks)
            }
            Operation::Octave { axes, value, table, limit, out } => {
                let values = on(&self.tensors).expression(axes, value);
                let columns = self.program.tables[*table].columns.as_slice();
                let mut rows = Vec::with_capacity(values.len());
                for &x in &values {
                    let fits = |row: &usize| x <= C::from_i64(limit / columns[0][*row]);
                    let row = (0..columns[0].len()).filter(fits).max_by_key(|&row| columns[0][row]);
                    rows.push(row.ok_or_else(|| self.not_in_table(name, *table, x.to_i64()))?);
                }
                for (view, column) in out.iter().zip(columns) {
                    let values = rows.iter().map(|&row| C::from_i64(column[row])).collect();
                    self.write(name, scope, view, axes, values)?;
                }
                Ok(())
            }
            Operation::Bits { axes, value, bits } => {
                let values = on(&self.tensors).view(axes, value);
                self.write_bits(name, scope, axes, bits, &values)
            }
            Operation::Sign { axes, value, out, magnitude } => {
                let values = on(&self.tensors).expression(axes, value);
                let (sign, rest) = map2(values, |_, x| x.sign());
                self.write(name, scope, out, axes, sign)?;
                self.write(name, scope, magnitude, axes, rest)
            }
            Operation::Split { axes, value, base, high, low } => {
                let values = on(&self.tensors).expression(axes, value);
                let (h, l) = map2(values, |_, x| x.split(*base));
                self.write(name, scope, high, axes, h)?;
                match low {
                    Some(view) => self.write(name, scope, view, axes, l),
                    None => Ok(()),
                }
            }
            Operation::Sponge { .. } => self.sponge(name, scope, &step.operation),
        }
    }

    #[expect(clippy::too_many_arguments)]
    fn maximum(
        &mut self,
        name: &str,
        scope: &Scope,
        axes: &[AxisId],
        over: AxisId,
        values: &View,
        mask: Option<&View>,
        maximum: &View,
        bits: &View,
    ) -> Result<(), ExecuteError> {
        let rows: Vec<AxisId> = axes.iter().copied().filter(|&a| a != over).collect();
        let all: Vec<AxisId> = rows.iter().copied().chain([over]).collect();
        let evaluator = Evaluator { program: self.program, tensors: &self.tensors, scope };
        let values = evaluator.view(&all, values);
        let mask = mask.map(|mask| evaluator.view(&all, mask));
        let len = scope.lens[over.0];
        let best: Vec<Option<(usize, C)>> = values
            .par_chunks(len)
            .enumerate()
            .map(|(row, values)| {
                let open = |i: usize| mask.as_ref().is_none_or(|m| m[row * len + i] != C::default());
                let mut best: Option<(usize, C)> = None;
                for (i, &x) in values.iter().enumerate().filter(|(i, _)| open(*i)) {
                    if best.is_none_or(|(_, b)| x > b) {
                        best = Some((i, x));
                    }
                }
                best
            })
            .collect();
        let mut greatest = Vec::with_capacity(best.len());
        let mut indices = Vec::with_capacity(best.len());
        for (row, best) in best.into_iter().enumerate() {
            let (i, x) = best.ok_or_else(|| ExecuteError::EmptyMaximum { operation: name.into(), row })?;
            greatest.push(x);
            indices.push(C::from_i64(i as i64));
        }
        self.write(name, scope, maximum, &rows, greatest)?;
        self.write_bits(name, scope, &rows, bits, &indices)
    }

    /// Writes the bits of `values` along the last axis of `view`; the value must have no others.
    fn write_bits(
        &mut self,
        name: &str,
        scope: &Scope,
        axes: &[AxisId],
        view: &View,
        values: &[C],
    ) -> Result<(), ExecuteError> {
        let Some(&Index::Axis(bit)) = view.index.last() else {
            return Err(ExecuteError::Malformed { operation: name.into(), reason: "bits have no axis".into() });
        };
        let num_bits = scope.lens[bit.0];
        if let Some(bad) = values.iter().map(|x| x.to_i64()).find(|&x| x < 0 || x >> num_bits.min(63) != 0) {
            let reason = format!("{bad} does not fit in {num_bits} bits");
            return Err(ExecuteError::Malformed { operation: name.into(), reason });
        }
        let bits = values.iter().flat_map(|x| (0..num_bits).map(|j| x.bit(j))).collect();
        let axes: Vec<AxisId> = axes.iter().copied().chain([bit]).collect();
        self.write(name, scope, view, &axes, bits)
    }

    /// One column of a table at every value, or its real function where the carrier has one.
    #[expect(clippy::too_many_arguments)]
    fn look(
        &self,
        name: &str,
        table: usize,
        column: usize,
        values: &[C],
        mask: Option<&[C]>,
        function: Option<Function>,
        (input_fraction_bits, output_fraction_bits): (i32, i32),
    ) -> Result<Vec<C>, ExecuteError> {
        let outputs = &self.program.tables[table].columns[column];
        let index = &self.tables[table];
        let one = |(i, &x): (usize, &C)| {
            if mask.is_some_and(|mask| mask[i] == C::default()) {
                return Ok(C::default());
            }
            if let Some(y) = function.and_then(|f| x.real_function(f, input_fraction_bits, output_fraction_bits)) {
                return Ok(y);
            }
            outputs.get(index.row(x.to_i64())).map(|&y| C::from_i64(y)).ok_or(x)
        };
        let found: Vec<Result<C, C>> = values.par_iter().enumerate().with_min_len(CHUNK).map(one).collect();
        found.into_iter().collect::<Result<_, _>>().map_err(|x| self.not_in_table(name, table, x.to_i64()))
    }

    fn not_in_table(&self, name: &str, table: usize, value: i64) -> ExecuteError {
        ExecuteError::NotInTable { operation: name.into(), table: self.program.tables[table].name.clone(), value }
    }
}
