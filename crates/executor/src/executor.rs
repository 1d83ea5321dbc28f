//! Running a program: inputs, order of execution, and what is checked of every value written.

use std::collections::HashMap;
use std::sync::Arc;

use veritune_relations::{AxisId, Index, Place, Program, Step, Sweep, TensorId, View};

use crate::carrier::Carrier;
use crate::operand::{Operand, Scope, locate, positions};
use crate::validate::{validate, written};
use crate::{ExecuteError, Maximum, Tensors, statistics};

/// Executes one program on one set of inputs at a time.
#[derive(Debug)]
pub struct Executor<'p, C: Carrier> {
    pub(crate) program: &'p Program,
    pub(crate) tensors: Tensors<C>,
    pub(crate) tables: Vec<TableIndex>,
    produced: Vec<bool>,
}

/// Row of a table by the value in column 0.
#[derive(Debug)]
pub(crate) enum TableIndex {
    /// Column 0 counts up by one from this value.
    Consecutive(i64),
    /// Any other column 0.
    Scattered(HashMap<i64, usize>),
}

impl TableIndex {
    fn new(column: &[i64]) -> Self {
        match column.first() {
            Some(&start) if (start..).zip(column).all(|(x, &y)| x == y) => Self::Consecutive(start),
            _ => Self::Scattered(column.iter().enumerate().rev().map(|(row, &x)| (x, row)).collect()),
        }
    }

    /// The row whose column 0 is `value`; at least the table's length if there is none.
    pub fn row(&self, value: i64) -> usize {
        match self {
            Self::Consecutive(start) => {
                value.checked_sub(*start).and_then(|row| usize::try_from(row).ok()).unwrap_or(usize::MAX)
            }
            Self::Scattered(rows) => rows.get(&value).copied().unwrap_or(usize::MAX),
        }
    }
}

impl<'p, C: Carrier> Executor<'p, C> {
    /// An executor with the public tensors set and every other input missing.
    ///
    /// # Errors
    /// [`ExecuteError::Malformed`] or [`ExecuteError::Shape`] if a step cannot be indexed as it is declared.
    pub fn new(program: &'p Program) -> Result<Self, ExecuteError> {
        validate(program)?;
        let mut tensors = Tensors::empty(program);
        let mut produced = vec![false; program.tensors.len()];
        for (i, tensor) in program.tensors.iter().enumerate() {
            if let (Place::Public, Some(values)) = (tensor.place, &tensor.values) {
                tensors.set(TensorId(i), values.iter().map(|&x| C::from_i64(x)).collect::<Vec<_>>());
            }
        }
        for view in program.steps.iter().flat_map(|step| written(&step.operation)) {
            produced[view.tensor.0] = true;
        }
        let tables = program.tables.iter().map(|t| TableIndex::new(&t.columns[0])).collect();
        Ok(Self { program, tensors, tables, produced })
    }

    /// Tensors that [`set_input`](Self::set_input) must set before a run.
    pub fn inputs(&self) -> Vec<TensorId> {
        (0..self.program.tensors.len()).map(TensorId).filter(|&id| self.not_an_input(id).is_none()).collect()
    }

    /// Sets a tensor that no operation computes, row-major over active indices. A shared buffer is not copied.
    ///
    /// # Errors
    /// [`ExecuteError::NotAnInput`], [`ExecuteError::Shape`], [`ExecuteError::OutOfRange`].
    pub fn set_input(&mut self, id: TensorId, values: impl Into<Arc<Vec<C>>>) -> Result<(), ExecuteError> {
        let values = values.into();
        let tensor = || self.program.tensor(id).name.clone();
        if let Some(reason) = self.not_an_input(id) {
            return Err(ExecuteError::NotAnInput { tensor: tensor(), reason });
        }
        let (expected, got) = (self.tensors.num_values(id), values.len());
        if got != expected {
            let shape = self.tensors.shape(id).to_vec();
            return Err(ExecuteError::Shape { tensor: tensor(), shape, expected, got });
        }
        if let Some((position, observed)) = C::outside(&values, self.program.tensor(id).range) {
            let layer_axis = self.program.tensor(id).axes.first().copied();
            let layer = (layer_axis.is_some() && layer_axis == self.program.layer)
                .then(|| position / (expected / self.tensors.shape(id)[0]));
            return Err(self.out_of_range("input", id, layer, observed));
        }
        self.tensors.set(id, values);
        Ok(())
    }

    fn not_an_input(&self, id: TensorId) -> Option<&'static str> {
        if self.program.one_hot(id).is_some() {
            Some("virtual")
        } else if self.program.tensor(id).place == Place::Public {
            Some("public")
        } else if self.produced[id.0] {
            Some("computed")
        } else {
            None
        }
    }

    /// Computes every tensor of the program, on `threads` threads; the result does not depend on their number.
    ///
    /// Adjacent steps of one sweep run together, once per layer. A tensor that is read before a step wrote it is 0.
    ///
    /// # Errors
    /// The first value that leaves its range, or any other [`ExecuteError`]; tensors computed so far remain.
    pub fn run(&mut self, threads: usize) -> Result<(), ExecuteError> {
        for id in self.inputs() {
            if !self.tensors.is_set(id) {
                return Err(ExecuteError::MissingInput { tensor: self.program.tensor(id).name.clone() });
            }
        }
        for id in (0..self.produced.len()).map(TensorId).filter(|id| self.produced[id.0]) {
            self.tensors.set(id, vec![C::default(); self.tensors.num_values(id)]);
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .build()
            .map_err(|e| ExecuteError::Threads { threads, reason: e.to_string() })?;
        pool.install(|| self.run_steps())
    }

    fn run_steps(&mut self) -> Result<(), ExecuteError> {
        let program = self.program;
        for block in program.steps.chunk_by(|a, b| a.sweep == b.sweep) {
            match (block[0].sweep, program.layer) {
                (Sweep::Ascending, Some(axis)) => {
                    (0..program.axis(axis).len).try_for_each(|l| self.run_block(block, Some((axis, l))))?;
                }
                (Sweep::Descending, Some(axis)) => {
                    (0..program.axis(axis).len).rev().try_for_each(|l| self.run_block(block, Some((axis, l))))?;
                }
                _ => self.run_block(block, None)?,
            }
        }
        Ok(())
    }

    fn run_block(&mut self, block: &[Step], layer: Option<(AxisId, usize)>) -> Result<(), ExecuteError> {
        let scope = Scope::new(self.program, layer);
        block.iter().try_for_each(|step| self.run_step(step, &scope))
    }

    /// Stores `values`, row-major over `axes`, where `view` says, if the tensor may hold them.
    pub(crate) fn write(
        &mut self,
        operation: &str,
        scope: &Scope,
        view: &View,
        axes: &[AxisId],
        values: Vec<C>,
    ) -> Result<(), ExecuteError> {
        let id = view.tensor;
        if let Some((position, observed)) = C::outside(&values, self.program.tensor(id).range) {
            let layer = scope.layer.map(|(_, l)| l).or_else(|| self.layer_at(scope, axes, position));
            return Err(self.out_of_range(operation, id, layer, observed));
        }
        let (offset, strides) = locate(&self.tensors, scope, view);
        let stride = |axis| strides.iter().find(|(a, _)| *a == axis).map_or(0, |(_, s)| *s);
        let dense = Operand::<C>::of_values(Vec::new(), axes, &scope.lens);
        if dense.strides.iter().all(|&(a, s)| scope.lens[a.0] == 1 || stride(a) == s) {
            if values.len() == self.tensors.num_values(id) {
                self.tensors.set(id, values);
            } else {
                self.tensors.get_mut(id)[offset..offset + values.len()].copy_from_slice(&values);
            }
            return Ok(());
        }
        let (outer, inner) = axes.split_at(axes.len().saturating_sub(1));
        let row = positions(inner, &scope.lens, stride);
        let target = self.tensors.get_mut(id);
        for (base, values) in positions(outer, &scope.lens, stride).into_iter().zip(values.chunks_exact(row.len())) {
            for (&p, &value) in row.iter().zip(values) {
                target[offset + base + p] = value;
            }
        }
        Ok(())
    }

    /// Index of the layer axis at a row-major position over `axes`.
    fn layer_at(&self, scope: &Scope, axes: &[AxisId], position: usize) -> Option<usize> {
        let at = axes.iter().position(|&a| Some(a) == self.program.layer)?;
        let inner = scope.num_values(&axes[at + 1..]);
        Some(position / inner % scope.lens[axes[at].0])
    }

    fn out_of_range(&self, operation: &str, id: TensorId, layer: Option<usize>, observed: i64) -> ExecuteError {
        let tensor = self.program.tensor(id);
        let magnitude = if observed < 0 { !observed } else { observed };
        let bits = (i64::BITS - magnitude.leading_zeros() + u32::from(tensor.range.signed)).max(1);
        let suggestion = if observed < 0 && !tensor.range.signed {
            format!("{} must not be negative: declare it signed, or look for the cause before this step", tensor.name)
        } else {
            let extra = bits.saturating_sub(tensor.range.bits);
            format!(
                "widen {} from {} to at least {bits} bits, or lower its fraction bits from {} to at most {}",
                tensor.name,
                tensor.range.bits,
                tensor.fraction_bits,
                tensor.fraction_bits - extra as i32
            )
        };
        ExecuteError::OutOfRange {
            operation: operation.into(),
            tensor: tensor.name.clone(),
            layer,
            observed,
            allowed: tensor.range,
            fraction_bits: tensor.fraction_bits,
            suggestion,
        }
    }

    /// The program.
    pub fn program(&self) -> &'p Program {
        self.program
    }

    /// All values so far.
    pub fn tensors(&self) -> &Tensors<C> {
        &self.tensors
    }

    /// All values so far, kept.
    pub fn into_tensors(self) -> Tensors<C> {
        self.tensors
    }

    /// Greatest absolute value of every tensor that has values.
    pub fn maxima(&self) -> Vec<Maximum> {
        statistics::maxima(self.program, &self.tensors)
    }
}

/// Whether the tensor's first axis is indexed by the layer axis in some step.
pub(crate) fn first_axis_is_layer(program: &Program, id: TensorId) -> bool {
    let Some(layer) = program.layer else {
        return false;
    };
    let by_layer = |view: &View| {
        view.tensor == id && matches!(view.index.first(), Some(Index::Axis(a) | Index::Shifted(a, _)) if *a == layer)
    };
    program.tensor(id).axes.first() == Some(&layer)
        || program
            .steps
            .iter()
            .any(|s| written(&s.operation).into_iter().chain(crate::validate::read(&s.operation)).any(by_layer))
}
