//! A slow, obvious executor for test programs.

use std::collections::BTreeMap;
use veritune_relations::{AxisId, Expression, Index, Operation, Program, Step, Sweep, TensorId, View};

type Environment = BTreeMap<AxisId, usize>;

fn own_index(view: &View, env: &Environment) -> Vec<usize> {
    let one = |i: &Index| match *i {
        Index::Fixed(at) => at,
        Index::Axis(a) => env[&a],
        Index::Shifted(a, shift) => env[&a] + shift,
    };
    view.index.iter().map(one).collect()
}

pub(super) struct Solver<'a> {
    pub(super) program: &'a Program,
    pub(super) tensors: Vec<Vec<i64>>,
}

impl<'a> Solver<'a> {
    /// Zero tensors, public ones filled in.
    pub(super) fn new(program: &'a Program) -> Self {
        let len = |t: usize| program.shape(TensorId(t)).iter().product();
        let tensors = (0..program.tensors.len())
            .map(|t| {
                let one_hot = program.one_hot(TensorId(t)).is_some();
                program.tensors[t].values.clone().unwrap_or_else(|| vec![0; if one_hot { 0 } else { len(t) }])
            })
            .collect();
        Self { program, tensors }
    }

    fn position(&self, tensor: TensorId, index: &[usize]) -> usize {
        let shape = self.program.shape(tensor);
        index.iter().zip(shape).fold(0, |at, (&i, len)| at * len + i)
    }

    fn read(&self, view: &View, env: &Environment) -> i128 {
        let index = own_index(view, env);
        match self.program.one_hot(view.tensor) {
            None => i128::from(self.tensors[view.tensor.0][self.position(view.tensor, &index)]),
            Some(one_hot) => {
                let (&value, outer) = index.split_last().unwrap();
                let flag = one_hot.flag.map_or(1, |f| self.tensors[f.0][self.position(f, outer)]);
                let bits = *self.program.shape(one_hot.bits).last().unwrap();
                let encoded: usize = (0..bits)
                    .map(|j| {
                        let at = [outer, &[j]].concat();
                        (self.tensors[one_hot.bits.0][self.position(one_hot.bits, &at)] as usize) << j
                    })
                    .sum();
                i128::from(flag * i64::from(encoded == value))
            }
        }
    }

    fn write(&mut self, view: &View, env: &Environment, value: i128) {
        let position = self.position(view.tensor, &own_index(view, env));
        self.tensors[view.tensor.0][position] = value as i64;
    }

    pub(super) fn value(&self, expression: &Expression, env: &Environment) -> i128 {
        let mut sum = 0;
        for term in expression {
            let mut contracted: Vec<AxisId> = Vec::new();
            for index in term.factors.iter().flat_map(|f| &f.index) {
                if let Index::Axis(a) | Index::Shifted(a, _) = *index
                    && !env.contains_key(&a)
                    && !contracted.contains(&a)
                {
                    contracted.push(a);
                }
            }
            let mut env = env.clone();
            self.for_all(&contracted, &mut env, &mut |solver, env| {
                let product: i128 = term.factors.iter().map(|f| solver.read(f, env)).product();
                sum += i128::from(term.coefficient) * product;
            });
        }
        sum
    }

    fn for_all(&self, axes: &[AxisId], env: &mut Environment, f: &mut impl FnMut(&Self, &Environment)) {
        let Some((&axis, rest)) = axes.split_first() else {
            return f(self, env);
        };
        for i in 0..self.program.axis(axis).len {
            env.insert(axis, i);
            self.for_all(rest, env, f);
        }
        env.remove(&axis);
    }

    fn environments(&self, axes: &[AxisId], layer: Option<usize>) -> Vec<Environment> {
        let mut all = vec![Environment::new()];
        for &axis in axes {
            let range = match layer {
                Some(l) if Some(axis) == self.program.layer => l..l + 1,
                _ => 0..self.program.axis(axis).len,
            };
            all = all
                .into_iter()
                .flat_map(|env| {
                    range.clone().map(move |i| {
                        let mut env = env.clone();
                        env.insert(axis, i);
                        env
                    })
                })
                .collect();
        }
        all
    }

    /// Runs all operations in order.
    pub(super) fn run(mut self) -> Vec<Vec<i64>> {
        let steps = &self.program.steps;
        let mut at = 0;
        while at < steps.len() {
            let end = (at..steps.len()).find(|&i| steps[i].sweep != steps[at].sweep).unwrap_or(steps.len());
            let layers = self.program.layer.map_or(1, |l| self.program.axis(l).len);
            let order: Vec<Option<usize>> = match steps[at].sweep {
                Sweep::Once => vec![None],
                Sweep::Ascending => (0..layers).map(Some).collect(),
                Sweep::Descending => (0..layers).rev().map(Some).collect(),
            };
            for layer in order {
                steps[at..end].iter().for_each(|step| self.step(step, layer));
            }
            at = end;
        }
        self.tensors
    }

    fn step(&mut self, step: &Step, layer: Option<usize>) {
        for env in self.environments(step.operation.axes(), layer) {
            self.apply(&step.operation, &env);
        }
    }

    fn apply(&mut self, operation: &Operation, env: &Environment) {
        match operation {
            Operation::Rescale { accumulator, divisor, quotient, remainder, .. } => {
                let divisor = i128::from(*divisor);
                let sum = self.value(accumulator, env) + divisor / 2;
                self.write(quotient, env, sum.div_euclid(divisor));
                if let Some(remainder) = remainder {
                    self.write(remainder, env, sum.rem_euclid(divisor));
                }
            }
            Operation::Sponge { .. } | Operation::Octave { .. } => panic!("no program of these tests has one"),
            Operation::Divide { numerator, denominator, quotient, remainder, .. } => {
                let (n, d) = (self.value(numerator, env), self.value(denominator, env));
                self.write(quotient, env, n.div_euclid(d));
                self.write(remainder, env, n.rem_euclid(d));
            }
            Operation::SquareRoot { square, root, remainder, .. } => {
                let square = self.value(square, env);
                let r = (0..).take_while(|r| r * r <= square).last().unwrap();
                self.write(root, env, r);
                self.write(remainder, env, square - r * r);
            }
            Operation::Maximum { over, values, mask, maximum, bits, .. } => {
                let mut best: Option<(i128, usize)> = None;
                for i in 0..self.program.axis(*over).len {
                    let mut env = env.clone();
                    env.insert(*over, i);
                    let allowed = mask.as_ref().is_none_or(|m| self.read(m, &env) == 1);
                    let value = self.read(values, &env);
                    if allowed && best.is_none_or(|(b, _)| value > b) {
                        best = Some((value, i));
                    }
                }
                let (value, index) = best.unwrap();
                self.write(maximum, env, value);
                self.write_bits(bits, env, index);
            }
            Operation::Look { table, input, mask, out, .. } => {
                let masked_out = mask.as_ref().is_some_and(|m| self.read(m, env) == 0);
                let input = self.value(input, env);
                let table = &self.program.tables[*table];
                let row = table.columns[0].iter().position(|&c| i128::from(c) == input);
                for (k, view) in out.iter().enumerate() {
                    let value = if masked_out { 0 } else { table.columns[1 + k][row.unwrap()] };
                    self.write(view, env, i128::from(value));
                }
            }
            Operation::Normalise { value, table, power, square, ceiling, slack, .. } => {
                let value = self.value(value, env);
                let table = &self.program.tables[*table];
                let row =
                    (0..table.columns[0].len()).rev().find(|&e| i128::from(table.columns[2][e]) >= value).unwrap();
                for (k, view) in [power, square, ceiling].into_iter().enumerate() {
                    self.write(view, env, i128::from(table.columns[k][row]));
                }
                self.write(slack, env, i128::from(table.columns[2][row]) - value);
            }
            Operation::Bits { value, bits, .. } => {
                let value = self.read(value, env);
                self.write_bits(bits, env, value as usize);
            }
            Operation::Sign { value, out, magnitude, .. } => {
                let value = self.value(value, env);
                self.write(out, env, i128::from(value >= 0));
                self.write(magnitude, env, if value >= 0 { value } else { -1 - value });
            }
            Operation::Split { value, base, high, low, .. } => {
                let value = self.value(value, env);
                self.write(high, env, value.div_euclid(i128::from(*base)));
                if let Some(low) = low {
                    self.write(low, env, value.rem_euclid(i128::from(*base)));
                }
            }
        }
    }

    fn write_bits(&mut self, bits: &View, env: &Environment, value: usize) {
        let Some(&Index::Axis(axis)) = bits.index.last() else { panic!("the bit axis is an axis") };
        for j in 0..self.program.axis(axis).len {
            let mut env = env.clone();
            env.insert(axis, j);
            self.write(bits, &env, (value >> j & 1) as i128);
        }
    }

    /// Names of the equations that do not hold.
    pub(super) fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for equation in &self.program.equations {
            let holds = |env: &Environment| self.value(&equation.terms, env) == 0;
            if !self.environments(&equation.axes, None).iter().all(holds) {
                broken.push(equation.name.clone());
            }
        }
        broken
    }
}
