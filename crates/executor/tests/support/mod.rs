//! Programs written by hand, with the equations and lookups that a builder would emit.

#![allow(dead_code)]

use veritune_executor::{Executor, Tensors, check};
use veritune_relations::*;

/// A program under construction.
#[derive(Default)]
pub struct Draft {
    pub program: Program,
}

pub fn at(axis: AxisId) -> Index {
    Index::Axis(axis)
}

pub fn term(coefficient: i64, factors: &[&View]) -> Term {
    Term { coefficient, factors: factors.iter().map(|&v| v.clone()).collect() }
}

impl Draft {
    pub fn new() -> Self {
        Self { program: Program { range_bits: 16, ..Program::default() } }
    }

    pub fn axis(&mut self, name: &str, len: usize) -> AxisId {
        self.program.axes.push(Axis { name: name.into(), len });
        AxisId(self.program.axes.len() - 1)
    }

    /// A tensor and the view of it by its own axes.
    pub fn tensor(&mut self, name: &str, axes: &[AxisId], place: Place, range: Range) -> (TensorId, View) {
        self.program.tensors.push(Tensor {
            name: name.into(),
            axes: axes.to_vec(),
            place,
            range,
            fraction_bits: 8,
            values: None,
            range_by_other: false,
        });
        let id = TensorId(self.program.tensors.len() - 1);
        (id, View { tensor: id, index: axes.iter().map(|&a| at(a)).collect() })
    }

    pub fn witness(&mut self, name: &str, axes: &[AxisId], range: Range) -> View {
        self.tensor(name, axes, Place::Witness, range).1
    }

    pub fn base(&mut self, name: &str, axes: &[AxisId], bits: u32) -> View {
        self.tensor(name, axes, Place::Base, Range::signed(bits)).1
    }

    pub fn public(&mut self, name: &str, axes: &[AxisId], values: Vec<i64>) -> View {
        let (id, view) = self.tensor(name, axes, Place::Public, Range::signed(32));
        self.program.tensors[id.0].values = Some(values);
        view
    }

    pub fn one_hot(&mut self, name: &str, axes: &[AxisId], bits: &View, flag: Option<&View>) -> View {
        let (tensor, view) = self.tensor(name, axes, Place::Witness, Range::unsigned(1));
        self.program.one_hots.push(OneHot { tensor, bits: bits.tensor, flag: flag.map(|f| f.tensor) });
        view
    }

    pub fn step(&mut self, name: &str, sweep: Sweep, operation: Operation) {
        self.program.steps.push(Step { name: name.into(), sweep, operation });
    }

    pub fn equation(&mut self, name: &str, axes: &[AxisId], terms: Expression) {
        self.program.equations.push(Equation { name: name.into(), axes: axes.to_vec(), terms, modular: false });
    }

    /// `0 <= terms < 2^bits`.
    pub fn look_up(&mut self, name: &str, axes: &[AxisId], terms: Expression, bits: u32) {
        self.program.lookups.push(Lookup {
            name: name.into(),
            table: TableId::Range(bits),
            axes: axes.to_vec(),
            columns: vec![terms],
            mask: None,
        });
    }

    /// `out = terms`, exactly: divisor 1, with its equation.
    pub fn copy(&mut self, name: &str, sweep: Sweep, axes: &[AxisId], terms: Expression, out: &View) {
        self.equation(name, axes, terms.iter().cloned().chain([term(-1, &[out])]).collect());
        self.step(
            name,
            sweep,
            Operation::Rescale {
                axes: axes.to_vec(),
                accumulator: terms,
                divisor: 1,
                quotient: out.clone(),
                remainder: None,
            },
        );
    }

    /// `out = round(terms / divisor)`, with remainder, equation and the remainder's range check.
    pub fn rescale(&mut self, name: &str, sweep: Sweep, axes: &[AxisId], terms: Expression, divisor: i64, out: &View) {
        let tensor = self.program.tensor(out.tensor).clone();
        let bits = 64 - (divisor - 1).leading_zeros();
        let (id, _) = self.tensor(&format!("{name}.remainder"), &tensor.axes, Place::Witness, Range::unsigned(bits));
        let remainder = View { tensor: id, index: out.index.clone() };
        let mut equation = terms.clone();
        equation.extend([term(divisor / 2, &[]), term(-divisor, &[out]), term(-1, &[&remainder])]);
        self.equation(name, axes, equation);
        self.step(
            name,
            sweep,
            Operation::Rescale {
                axes: axes.to_vec(),
                accumulator: terms,
                divisor,
                quotient: out.clone(),
                remainder: Some(remainder),
            },
        );
    }
}

/// A fixed sequence of numbers.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn signed(&mut self, bits: u32) -> i64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 as i64 >> (64 - bits)
    }
}

/// Sets every input to random values in its range, and runs.
pub fn execute<'p>(program: &'p Program, seed: u64, threads: usize) -> Executor<'p, i64> {
    let mut executor = Executor::<i64>::new(program).expect("the program is well-formed");
    fill(&mut executor, seed);
    executor.run(threads).expect("every value is in range");
    executor
}

pub fn fill(executor: &mut Executor<'_, i64>, seed: u64) {
    let mut numbers = Numbers(seed);
    for id in executor.inputs() {
        let tensor = executor.program().tensor(id).clone();
        let count = executor.tensors().num_values(id);
        let sign = if tensor.range.signed { 0 } else { i64::MAX };
        let draw = |n: &mut Numbers| match sign {
            0 => n.signed(tensor.range.bits),
            _ => n.signed(tensor.range.bits + 1) & tensor.range.max(),
        };
        let values: Vec<i64> = (0..count).map(|_| draw(&mut numbers)).collect();
        executor.set_input(id, values).expect("drawn in range");
    }
}

/// Runs on one and two threads: same bits, and nothing that the slow reading objects to.
pub fn completes(program: &Program, seed: u64) -> Tensors<i64> {
    let one = execute(program, seed, 1).into_tensors();
    let two = execute(program, seed, 2).into_tensors();
    assert!(one == two, "one and two threads differ");
    let violations = check(program, &one);
    assert!(violations.is_empty(), "{:?}", &violations[..violations.len().min(5)]);
    one
}
