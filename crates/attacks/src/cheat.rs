//! The program that a cheating executor runs instead of the honest one.
//!
//! Executors interpret the steps of a program, proofs its equations and lookups. A cheat edits the steps; whatever
//! follows is computed from the lie. Ranges of the executor are loosened, so that it computes what the honest one
//! would refuse; tensors can be changed once more at the end, where nothing depends on them.

use crate::setting::{Setting, execute};
use std::collections::BTreeMap;
use veritune_executor::{ExecuteError, Tensors};
use veritune_relations::{
    AxisId, Expression, Index, Operation, Place, Program, Range, Step, Tensor, TensorId, Term, View,
};

type Last = Box<dyn FnOnce(&Program, &mut Tensors<i64>)>;

/// A cheating prover of one setting.
pub struct Cheat<'a> {
    /// What is attacked.
    pub setting: &'a Setting,
    /// The honest values.
    pub honest: &'a Tensors<i64>,
    /// The program to run.
    pub program: Program,
    /// The inputs to run it on.
    pub inputs: BTreeMap<String, Vec<i64>>,
    last: Vec<Last>,
}

impl<'a> Cheat<'a> {
    /// Honest until told otherwise.
    pub fn new(setting: &'a Setting, honest: &'a Tensors<i64>) -> Self {
        let mut program = setting.program.clone();
        for tensor in &mut program.tensors {
            if tensor.place != Place::Public {
                tensor.range = Range::FIELD;
            }
        }
        Self { setting, honest, program, inputs: setting.inputs.clone(), last: Vec::new() }
    }

    /// Runs the cheating program; the tensors are those of the honest program.
    ///
    /// # Errors
    /// If the attack itself cannot be executed.
    pub fn run(self) -> Result<Tensors<i64>, ExecuteError> {
        let all = execute(&self.program, &self.inputs)?;
        let honest = &self.setting.program;
        let mut tensors = Tensors::empty(honest);
        for id in (0..honest.tensors.len()).map(TensorId).filter(|&id| all.is_set(id)) {
            tensors.set(id, all.shared(id));
        }
        for last in self.last {
            last(honest, &mut tensors);
        }
        Ok(tensors)
    }

    /// The tensor of this name.
    ///
    /// # Panics
    /// If there is none: the attack is out of date.
    pub fn tensor(&self, name: &str) -> TensorId {
        self.program.find(name).unwrap_or_else(|| panic!("no tensor {name}"))
    }

    /// The axis of this name.
    ///
    /// # Panics
    /// If there is none: the attack is out of date.
    pub fn axis(&self, name: &str) -> AxisId {
        let position = self.program.axes.iter().position(|a| a.name == name);
        AxisId(position.unwrap_or_else(|| panic!("no axis {name}")))
    }

    /// A tensor indexed by its own axes.
    pub fn view(&self, name: &str) -> View {
        let tensor = self.tensor(name);
        let index = self.program.tensor(tensor).axes.iter().map(|&a| Index::Axis(a)).collect();
        View { tensor, index }
    }

    fn position(&self, step: &str) -> usize {
        let position = self.program.steps.iter().position(|s| s.name == step);
        position.unwrap_or_else(|| panic!("no step {step}"))
    }

    /// Names of the steps that end so.
    pub fn steps_ending(&self, suffix: &str) -> Vec<String> {
        let names = self.program.steps.iter().map(|s| s.name.clone());
        names.filter(|n| n.ends_with(suffix)).collect()
    }

    /// The operation of a step.
    pub fn operation(&mut self, step: &str) -> &mut Operation {
        let position = self.position(step);
        &mut self.program.steps[position].operation
    }

    /// The expression that a step evaluates first.
    ///
    /// # Panics
    /// If the step evaluates none.
    pub fn expression(&mut self, step: &str) -> &mut Expression {
        match self.operation(step) {
            Operation::Rescale { accumulator, .. } => accumulator,
            Operation::Divide { numerator, .. } => numerator,
            Operation::SquareRoot { square, .. } => square,
            Operation::Look { input, .. } => input,
            Operation::Normalise { value, .. }
            | Operation::Octave { value, .. }
            | Operation::Sign { value, .. }
            | Operation::Split { value, .. } => value,
            Operation::Maximum { .. } | Operation::Bits { .. } | Operation::Sponge { .. } => {
                panic!("{step} evaluates a view")
            }
        }
    }

    /// The tensor that a factor of a step's term reads, replaced wherever the step reads it.
    ///
    /// # Panics
    /// If the step does not read it.
    pub fn replace(&mut self, step: &str, tensor: &str, change: impl Fn(&mut View)) {
        let id = self.tensor(tensor);
        let views = self.expression(step).iter_mut().flat_map(|t| &mut t.factors);
        let mut found = false;
        for view in views.filter(|v| v.tensor == id) {
            change(view);
            found = true;
        }
        assert!(found, "{step} does not read {tensor}");
    }

    /// A public tensor that only the cheat knows.
    pub fn public(&mut self, axes: &[AxisId], value: impl Fn(&[usize]) -> i64) -> View {
        let lens: Vec<usize> = axes.iter().map(|&a| self.program.axis(a).len).collect();
        let count: usize = lens.iter().product();
        let mut index = vec![0; lens.len()];
        let mut values = Vec::with_capacity(count);
        for position in 0..count {
            let mut rest = position;
            for (i, len) in index.iter_mut().zip(&lens).rev() {
                *i = rest % len;
                rest /= len;
            }
            values.push(value(&index));
        }
        self.program.tensors.push(Tensor {
            name: format!("cheat {}", self.program.tensors.len()),
            axes: axes.to_vec(),
            place: Place::Public,
            range: Range::signed(63),
            fraction_bits: 0,
            values: Some(values),
            range_by_other: false,
        });
        let tensor = TensorId(self.program.tensors.len() - 1);
        View { tensor, index: axes.iter().map(|&a| Index::Axis(a)).collect() }
    }

    /// Multiplies every term of a step by a mask.
    ///
    /// # Panics
    /// If a term of three factors has none with all axes of the mask.
    pub fn mask(&mut self, step: &str, axes: &[&str], mask: impl Fn(&[usize]) -> i64) {
        let axes: Vec<AxisId> = axes.iter().map(|a| self.axis(a)).collect();
        let mask = self.public(&axes, mask);
        for position in 0..self.expression(step).len() {
            let mut factors = self.expression(step)[position].factors.clone();
            if factors.len() < 3 {
                factors.push(mask.clone());
            } else {
                // Executors multiply three factors at most: one of them is masked beforehand.
                let has = |v: &View| axes.iter().all(|&a| v.index.contains(&Index::Axis(a)));
                let factor = factors.iter().position(has).expect("a factor with all axes of the mask");
                factors[factor] = self.masked(step, &factors[factor], &mask);
            }
            self.expression(step)[position].factors = factors;
        }
    }

    /// A copy of a factor times a mask, made right before a step.
    fn masked(&mut self, step: &str, factor: &View, mask: &View) -> View {
        let copy = self.program.tensor(factor.tensor).clone();
        self.program.tensors.push(Tensor { name: "cheat masked".into(), place: Place::Witness, values: None, ..copy });
        let view = View { tensor: TensorId(self.program.tensors.len() - 1), index: factor.index.clone() };
        let axes = self.program.tensor(view.tensor).axes.clone();
        let accumulator = vec![Term { coefficient: 1, factors: vec![factor.clone(), mask.clone()] }];
        let operation = Operation::Rescale { axes, accumulator, divisor: 1, quotient: view.clone(), remainder: None };
        let position = self.position(step);
        let sweep = self.program.steps[position].sweep;
        self.program.steps.insert(position, Step { name: "cheat".into(), sweep, operation });
        view
    }

    /// Adds `delta` to the result of a step at one index of its axes; the remainder is that of the honest result.
    ///
    /// # Panics
    /// If the step does not rescale.
    pub fn bump(&mut self, step: &str, at: &[usize], delta: i64) {
        let Operation::Rescale { axes, divisor, .. } = self.operation(step) else { panic!("{step} does not rescale") };
        let (axes, divisor) = (axes.clone(), *divisor);
        let view = self.public(&axes, |index| if index == at { delta } else { 0 });
        self.expression(step).push(Term { coefficient: divisor, factors: vec![view] });
    }

    /// Adds `delta` to a tensor at one index right after a step.
    pub fn nudge(&mut self, step: &str, tensor: &str, at: &[usize], delta: i64) {
        let axes = self.program.tensor(self.tensor(tensor)).axes.clone();
        let change = self.public(&axes, |index| if index == at { delta } else { 0 });
        let own = self.view(tensor);
        let term = |view: &View| Term { coefficient: 1, factors: vec![view.clone()] };
        let accumulator = vec![term(&own), term(&change)];
        let operation = Operation::Rescale { axes, accumulator, divisor: 1, quotient: own, remainder: None };
        let position = self.position(step);
        let sweep = self.program.steps[position].sweep;
        self.program.steps.insert(position + 1, Step { name: "cheat".into(), sweep, operation });
    }

    /// Replaces a step of scalars: each tensor gets a value.
    pub fn pin(&mut self, step: &str, values: &[(&str, i64)]) {
        let position = self.position(step);
        let sweep = self.program.steps[position].sweep;
        let steps: Vec<Step> = values
            .iter()
            .map(|&(name, value)| {
                let accumulator = vec![Term { coefficient: value, factors: Vec::new() }];
                let quotient = self.view(name);
                let operation =
                    Operation::Rescale { axes: Vec::new(), accumulator, divisor: 1, quotient, remainder: None };
                Step { name: step.to_owned(), sweep, operation }
            })
            .collect();
        self.program.steps.splice(position..=position, steps);
    }

    /// Inserts a step after another.
    pub fn insert_after(&mut self, step: &str, operation: Operation) {
        let position = self.position(step);
        let sweep = self.program.steps[position].sweep;
        self.program.steps.insert(position + 1, Step { name: "cheat".into(), sweep, operation });
    }

    /// Changes a tensor at the end, when nothing is computed from it any more.
    pub fn at_last(&mut self, tensor: &str, change: impl FnOnce(&mut [i64]) + 'static) {
        let id = self.tensor(tensor);
        self.last.push(Box::new(move |_, tensors| change(tensors.get_mut(id))));
    }

    /// Adds to one value at the end.
    pub fn at_last_add(&mut self, tensor: &str, at: &[usize], delta: i64) {
        let position = self.offset(tensor, at);
        self.at_last(tensor, move |values| values[position] += delta);
    }

    /// Writes the final values of `from` to `to`, one to one, at the end.
    pub fn exchange(&mut self, to: [TensorId; 2], from: [TensorId; 2]) {
        self.last.push(Box::new(move |_, tensors| {
            let values = from.map(|from| tensors.shared(from));
            for (to, values) in to.into_iter().zip(values) {
                tensors.set(to, values);
            }
        }));
    }

    /// Position of an index in a tensor's values.
    pub fn offset(&self, tensor: &str, at: &[usize]) -> usize {
        let shape = self.program.shape(self.tensor(tensor));
        at.iter().zip(&shape).fold(0, |p, (i, len)| p * len + i)
    }

    /// The honest value at an index.
    pub fn honest_at(&self, tensor: &str, at: &[usize]) -> i64 {
        self.honest.get(self.tensor(tensor))[self.offset(tensor, at)]
    }

    /// The divisor of a rescale.
    ///
    /// # Panics
    /// If the step does not rescale.
    pub fn divisor(&mut self, step: &str) -> i64 {
        match self.operation(step) {
            Operation::Rescale { divisor, .. } => *divisor,
            _ => panic!("{step} does not rescale"),
        }
    }
}
