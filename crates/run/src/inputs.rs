//! Inputs of a step's program: the base's integers, the rows, the state before.

use crate::dataset::Dataset;
use std::collections::BTreeMap;
use std::sync::Arc;
use veritune_executor::{Carrier, ExecuteError, Executor};
use veritune_model::BaseModel;
use veritune_relations::{Place, Program, TensorId};

/// Values of tensors by name.
pub type Named<C = i64> = BTreeMap<String, Arc<Vec<C>>>;

/// What all steps share.
#[derive(Debug)]
pub struct Inputs {
    /// Values of the base's tensors.
    pub base: Named,
    /// The rows.
    pub dataset: Dataset,
}

/// The base's integers by name of the tensor.
pub fn base_values(base: &BaseModel) -> Named {
    let widened = |values: &[i32]| Arc::new(values.iter().map(|&x| i64::from(x)).collect());
    base.tensors.iter().map(|tensor| (tensor.name.to_owned(), widened(&tensor.values))).collect()
}

impl Inputs {
    /// The inputs of a run.
    pub fn new(base: &BaseModel, dataset: Dataset) -> Self {
        Self { base: base_values(base), dataset }
    }

    /// Gives an exact executor its inputs for a step on `rows`; `state` are the values of the state before.
    pub fn set(
        &self,
        executor: &mut Executor<'_, i64>,
        program: &Program,
        state: &Named,
        rows: &[usize],
    ) -> Result<(), ExecuteError> {
        self.set_with(executor, program, state, rows, Arc::clone)
    }

    /// Gives an executor of any carrier its inputs; `convert` is asked for the base's tensors.
    pub fn set_with<C: Carrier>(
        &self,
        executor: &mut Executor<'_, C>,
        program: &Program,
        state: &Named<C>,
        rows: &[usize],
        convert: impl Fn(&Arc<Vec<i64>>) -> Arc<Vec<C>>,
    ) -> Result<(), ExecuteError> {
        for id in executor.inputs() {
            let name = &program.tensor(id).name;
            if let Some(values) = self.base.get(name) {
                executor.set_input(id, convert(values))?;
            } else if let Some(values) = state.get(name) {
                executor.set_input(id, Arc::clone(values))?;
            } else if let Some(values) = self.dataset.input(name, rows) {
                executor.set_input(id, values.into_iter().map(C::from_i64).collect::<Vec<_>>())?;
            }
        }
        Ok(())
    }
}

/// Tensors of a place in order of declaration.
pub fn tensors_of(program: &Program, place: Place) -> Vec<TensorId> {
    (0..program.tensors.len()).map(TensorId).filter(|&t| program.tensor(t).place == place).collect()
}

/// The name in the state before of a tensor of the state after.
pub fn name_before(after: &str) -> String {
    after.replacen("state_after.", "state_before.", 1)
}
