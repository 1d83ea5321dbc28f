//! What stops an execution, and what it says.

mod support;

use support::*;
use veritune_executor::{ExecuteError, Executor};
use veritune_relations::*;

fn narrow() -> (Draft, View, View) {
    let mut draft = Draft::new();
    let (layer, t) = (draft.axis("layer", 3), draft.axis("token", 4));
    draft.program.layer = Some(layer);
    let x = draft.base("x", &[layer, t], 16);
    let y = draft.witness("layer.query", &[layer, t], Range::signed(10));
    draft.copy("query", Sweep::Ascending, &[layer, t], vec![term(1, &[&x])], &y);
    (draft, x, y)
}

#[test]
fn a_value_out_of_range_names_what_to_change() {
    let (draft, x, _) = narrow();
    let mut executor = Executor::<i64>::new(&draft.program).expect("well-formed");
    let mut values = vec![0; 12];
    (values[5], values[6], values[9]) = (600, -2000, 9999);
    executor.set_input(x.tensor, values).expect("in range");
    let error = executor.run(2).expect_err("600 needs 11 bits");
    assert_eq!(
        error.to_string(),
        "query: layer.query of layer 1 holds -2000, outside -512 ..= 511 (s10, 8 fraction bits); \
         widen layer.query from 10 to at least 12 bits, or lower its fraction bits from 8 to at most 6"
    );
    assert!(matches!(error, ExecuteError::OutOfRange { observed: -2000, layer: Some(1), .. }));
}

#[test]
fn the_layer_is_found_without_a_sweep() {
    let (mut draft, x, _) = narrow();
    draft.program.steps[0].sweep = Sweep::Once;
    let mut executor = Executor::<i64>::new(&draft.program).expect("well-formed");
    let mut values = vec![0; 12];
    values[11] = 512;
    executor.set_input(x.tensor, values).expect("in range");
    let error = executor.run(1).expect_err("512 needs 11 bits");
    assert!(matches!(error, ExecuteError::OutOfRange { observed: 512, layer: Some(2), .. }));
}

#[test]
fn inputs_are_checked() {
    let (draft, x, y) = narrow();
    let mut executor = Executor::<i64>::new(&draft.program).expect("well-formed");
    assert_eq!(executor.inputs(), [x.tensor]);
    assert_eq!(executor.run(1), Err(ExecuteError::MissingInput { tensor: "x".into() }));
    let shape = executor.set_input(x.tensor, vec![0; 11]);
    assert!(matches!(shape, Err(ExecuteError::Shape { expected: 12, got: 11, .. })));
    let range = executor.set_input(x.tensor, vec![1 << 15; 12]);
    assert!(matches!(range, Err(ExecuteError::OutOfRange { layer: Some(0), .. })));
    let computed = executor.set_input(y.tensor, vec![0; 12]);
    assert_eq!(computed, Err(ExecuteError::NotAnInput { tensor: "layer.query".into(), reason: "computed" }));
}

/// A one-step program over `x` (signed), run on `value`.
fn run_on(value: i64, build: impl Fn(&mut Draft, AxisId, &View, [View; 4]) -> Operation) -> Result<(), ExecuteError> {
    let mut draft = Draft::new();
    let t = draft.axis("token", 2);
    let x = draft.base("x", &[t], 16);
    let out = ["a", "b", "c", "d"].map(|name| draft.witness(name, &[t], Range::signed(20)));
    let operation = build(&mut draft, t, &x, out);
    draft.step("step", Sweep::Once, operation);
    let mut executor = Executor::<i64>::new(&draft.program)?;
    for id in executor.inputs() {
        executor.set_input(id, vec![0; 2])?;
    }
    executor.set_input(x.tensor, vec![1, value])?;
    executor.run(1)
}

#[test]
fn operations_refuse_what_they_are_not_defined_on() {
    let divide = |_: &mut Draft, t, x: &View, [a, b, ..]: [View; 4]| Operation::Divide {
        axes: vec![t],
        numerator: vec![term(1, &[])],
        denominator: vec![term(1, &[x])],
        quotient: a,
        remainder: b,
    };
    assert_eq!(run_on(0, divide), Err(ExecuteError::Denominator { operation: "step".into(), value: 0 }));
    let root = |_: &mut Draft, t, x: &View, [a, b, ..]: [View; 4]| Operation::SquareRoot {
        axes: vec![t],
        square: vec![term(1, &[x])],
        root: a,
        remainder: b,
    };
    assert_eq!(run_on(-1, root), Err(ExecuteError::NegativeSquare { operation: "step".into(), value: -1 }));
    let look = |draft: &mut Draft, t, x: &View, [a, ..]: [View; 4]| {
        draft.program.tables.push(Table { name: "exp".into(), tag: 1, columns: vec![vec![0, 1], vec![5, 6]].into() });
        Operation::Look {
            axes: vec![t],
            table: 0,
            input: vec![term(1, &[x])],
            mask: None,
            out: vec![a],
            functions: vec![],
            input_fraction_bits: 0,
            output_fraction_bits: 0,
        }
    };
    let missing = ExecuteError::NotInTable { operation: "step".into(), table: "exp".into(), value: 2 };
    assert_eq!(run_on(2, look), Err(missing));
    let rescale = |_: &mut Draft, t, x: &View, [a, ..]: [View; 4]| Operation::Rescale {
        axes: vec![t],
        accumulator: vec![term(1, &[x])],
        divisor: 3,
        quotient: a,
        remainder: None,
    };
    assert!(matches!(run_on(2, rescale), Err(ExecuteError::Malformed { .. })));
    let beyond = |_: &mut Draft, t, x: &View, [a, ..]: [View; 4]| Operation::Rescale {
        axes: vec![t],
        accumulator: vec![term(1, &[&View { tensor: x.tensor, index: vec![Index::Shifted(t, 1)] }])],
        divisor: 1,
        quotient: a,
        remainder: None,
    };
    assert!(matches!(run_on(2, beyond), Err(ExecuteError::Malformed { .. })));
}

#[test]
fn a_maximum_over_nothing_is_refused() {
    let mut draft = Draft::new();
    let (t, s, bit) = (draft.axis("query", 2), draft.axis("key", 2), draft.axis("bit", 1));
    let x = draft.base("x", &[t, s], 8);
    let mask = draft.public("mask", &[t, s], vec![1, 0, 0, 0]);
    let maximum = draft.witness("maximum", &[t], Range::signed(8));
    let bits = draft.witness("bits", &[t, bit], Range::unsigned(1));
    draft.step(
        "maximum",
        Sweep::Once,
        Operation::Maximum { axes: vec![t], over: s, values: x, mask: Some(mask), maximum, bits },
    );
    let mut executor = Executor::<i64>::new(&draft.program).expect("well-formed");
    fill(&mut executor, 1);
    assert_eq!(executor.run(1), Err(ExecuteError::EmptyMaximum { operation: "maximum".into(), row: 1 }));
}
