//! What must hold of a program before it can be executed.

use veritune_relations::{Expression, Index, Operation, Place, Program, Sweep, TensorId, View};

use crate::ExecuteError;

/// Views that the operation writes.
pub(crate) fn written(operation: &Operation) -> Vec<&View> {
    match operation {
        Operation::Rescale { quotient, remainder, .. } => [quotient].into_iter().chain(remainder).collect(),
        Operation::Divide { quotient, remainder, .. } => vec![quotient, remainder],
        Operation::SquareRoot { root, remainder, .. } => vec![root, remainder],
        Operation::Maximum { maximum, bits, .. } => vec![maximum, bits],
        Operation::Look { out, .. } => out.iter().collect(),
        Operation::Normalise { power, square, ceiling, slack, .. } => vec![power, square, ceiling, slack],
        Operation::Octave { out, .. } => out.iter().collect(),
        Operation::Bits { bits, .. } => vec![bits],
        Operation::Sign { out, magnitude, .. } => vec![out, magnitude],
        Operation::Split { high, low, .. } => [high].into_iter().chain(low).collect(),
        Operation::Sponge { state, point, cube, seventh, .. } => vec![state, point, cube, seventh],
    }
}

/// Views that the operation reads.
pub(crate) fn read(operation: &Operation) -> Vec<&View> {
    fn of(expression: &Expression) -> impl Iterator<Item = &View> {
        expression.iter().flat_map(|term| &term.factors)
    }
    match operation {
        Operation::Rescale { accumulator, .. } => of(accumulator).collect(),
        Operation::Divide { numerator, denominator, .. } => of(numerator).chain(of(denominator)).collect(),
        Operation::SquareRoot { square, .. } => of(square).collect(),
        Operation::Maximum { values, mask, .. } => [values].into_iter().chain(mask).collect(),
        Operation::Look { input, mask, .. } => of(input).chain(mask).collect(),
        Operation::Normalise { value, .. }
        | Operation::Octave { value, .. }
        | Operation::Sign { value, .. }
        | Operation::Split { value, .. } => of(value).collect(),
        Operation::Bits { value, .. } => vec![value],
        Operation::Sponge { header, messages, .. } => [header].into_iter().chain(messages).collect(),
    }
}

/// Checks every step, so that a run meets no view that it cannot index.
pub(crate) fn validate(program: &Program) -> Result<(), ExecuteError> {
    for (index, tensor) in program.tensors.iter().enumerate() {
        if tensor.place == Place::Public {
            let expected = program.shape(TensorId(index)).iter().product();
            let got = tensor.values.as_ref().map_or(0, Vec::len);
            if got != expected {
                let shape = program.shape(TensorId(index));
                return Err(ExecuteError::Shape { tensor: tensor.name.clone(), shape, expected, got });
            }
        }
    }
    for step in &program.steps {
        check_step(program, step.sweep, &step.operation)
            .map_err(|reason| ExecuteError::Malformed { operation: step.name.clone(), reason })?;
    }
    Ok(())
}

fn check_step(program: &Program, sweep: Sweep, operation: &Operation) -> Result<(), String> {
    if sweep != Sweep::Once && program.layer.is_none() {
        return Err("sweeps over layers, but the program names no layer axis".into());
    }
    for view in read(operation).into_iter().chain(written(operation)) {
        check_view(program, view)?;
    }
    let axes = operation.axes();
    for view in written(operation) {
        let tensor = program.tensor(view.tensor);
        if tensor.place == Place::Public || program.one_hot(view.tensor).is_some() {
            return Err(format!("writes {}, which is public or virtual", tensor.name));
        }
        for &axis in axes {
            let pinned = sweep != Sweep::Once && program.layer == Some(axis);
            let has = |i: &Index| matches!(*i, Index::Axis(a) | Index::Shifted(a, _) if a == axis);
            let over = matches!(operation, Operation::Maximum { over, .. } if *over == axis);
            if !view.index.iter().any(has) && program.axis(axis).len > 1 && !pinned && !over {
                return Err(format!("{} is written along {}, which it lacks", tensor.name, program.axis(axis).name));
            }
        }
    }
    match operation {
        Operation::Rescale { divisor, .. } if *divisor < 1 || (*divisor > 1 && divisor % 2 == 1) => {
            Err(format!("divisor {divisor} is neither even nor 1"))
        }
        Operation::Split { base, .. } if *base < 1 => Err(format!("base {base} is not positive")),
        Operation::Look { table, out, .. } => check_table(program, *table, out.len() + 1),
        Operation::Normalise { table, .. } => check_table(program, *table, 3),
        Operation::Octave { table, out, .. } => check_table(program, *table, out.len()),
        Operation::Bits { bits, .. } | Operation::Maximum { bits, .. } => match bits.index.last() {
            Some(Index::Axis(a)) if !axes.contains(a) => Ok(()),
            _ => Err("the last index of the bits must be an axis of its own".into()),
        },
        _ => Ok(()),
    }
}

fn check_table(program: &Program, table: usize, columns: usize) -> Result<(), String> {
    let table = program.tables.get(table).ok_or_else(|| format!("there is no table {table}"))?;
    if table.columns.len() < columns {
        return Err(format!("table {} has {} columns, needs {columns}", table.name, table.columns.len()));
    }
    match table.columns.iter().all(|c| c.len() == table.columns[0].len()) {
        true => Ok(()),
        false => Err(format!("columns of table {} differ in length", table.name)),
    }
}

fn check_view(program: &Program, view: &View) -> Result<(), String> {
    let tensor = program.tensor(view.tensor);
    if view.index.len() != tensor.axes.len() {
        return Err(format!("{} has {} axes, is indexed by {}", tensor.name, tensor.axes.len(), view.index.len()));
    }
    for (index, &own) in view.index.iter().zip(&tensor.axes) {
        let end = match *index {
            Index::Axis(axis) => program.axis(axis).len,
            Index::Shifted(axis, shift) => program.axis(axis).len + shift,
            Index::Fixed(i) => i + 1,
        };
        // A one-hot selects nothing beyond its own axis: only stored values can be missed.
        if end > program.axis(own).len && program.one_hot(view.tensor).is_none() {
            return Err(format!("{} is read beyond its axis {}", tensor.name, program.axis(own).name));
        }
    }
    Ok(())
}
