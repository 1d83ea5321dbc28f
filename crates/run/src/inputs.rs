//! Inputs of a step's program: the base's integers and the rows.

use crate::RunError;
use std::collections::BTreeMap;
use std::sync::Arc;
use veritune_executor::{Carrier, Executor};
use veritune_model::BaseModel;
use veritune_relations::{Place, Program, Spec, TensorId};

/// Target of a position without label.
pub const NO_LABEL: i64 = -100;

/// Named values of base and dataset, shared by all steps.
#[derive(Debug, Clone)]
pub struct Inputs {
    values: BTreeMap<String, Arc<Vec<i64>>>,
}

impl Inputs {
    /// The inputs of a run: `tokens` and `targets` are `(rows, tokens)` row-major, targets already shifted.
    ///
    /// # Errors
    /// If a row has the wrong length, or an id is outside the vocabulary.
    pub fn new(spec: &Spec, base: &BaseModel, tokens: &[i64], targets: &[i64]) -> Result<Self, RunError> {
        let mut values = BTreeMap::new();
        for tensor in &base.tensors {
            let integers = tensor.values.iter().map(|&x| i64::from(x)).collect();
            values.insert(tensor.name.to_owned(), Arc::new(integers));
        }
        let expected = spec.dataset_rows * spec.training.tokens;
        if tokens.len() != expected || targets.len() != expected {
            return Err(RunError::Rows(format!(
                "expected {} rows of {} tokens, got {} tokens and {} targets",
                spec.dataset_rows,
                spec.training.tokens,
                tokens.len(),
                targets.len()
            )));
        }
        let vocab = spec.model.vocab as i64;
        let place = |i: usize| format!("row {}, position {}", i / spec.training.tokens, i % spec.training.tokens);
        for (i, (&token, &target)) in tokens.iter().zip(targets).enumerate() {
            if !(0..vocab).contains(&token) {
                return Err(RunError::Rows(format!("{}: token {token} is not in 0..{vocab}", place(i))));
            }
            if target != NO_LABEL && !(0..vocab).contains(&target) {
                return Err(RunError::Rows(format!(
                    "{}: target {target} is not in 0..{vocab} or {NO_LABEL}",
                    place(i)
                )));
            }
        }
        values.insert("data.tokens".into(), Arc::new(tokens.to_vec()));
        values.insert("data.targets".into(), Arc::new(targets.iter().map(|&t| t.max(0)).collect()));
        values.insert("data.supervised".into(), Arc::new(targets.iter().map(|&t| i64::from(t != NO_LABEL)).collect()));
        Ok(Self { values })
    }

    /// The values of a base or dataset tensor.
    pub fn get(&self, name: &str) -> Option<&Arc<Vec<i64>>> {
        self.values.get(name)
    }

    /// Gives an exact executor its inputs; `state` are the values of the state before.
    pub fn set(
        &self,
        executor: &mut Executor<'_, i64>,
        program: &Program,
        state: &BTreeMap<String, Arc<Vec<i64>>>,
    ) -> Result<(), veritune_executor::ExecuteError> {
        self.set_with(executor, program, state, Arc::clone)
    }

    /// Gives an executor of any carrier its inputs.
    pub fn set_with<C: Carrier>(
        &self,
        executor: &mut Executor<'_, C>,
        program: &Program,
        state: &BTreeMap<String, Arc<Vec<C>>>,
        convert: impl Fn(&Arc<Vec<i64>>) -> Arc<Vec<C>>,
    ) -> Result<(), veritune_executor::ExecuteError> {
        for id in executor.inputs() {
            let name = &program.tensor(id).name;
            if let Some(values) = self.values.get(name) {
                executor.set_input(id, convert(values))?;
            } else if let Some(values) = state.get(name) {
                executor.set_input(id, Arc::clone(values))?;
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
