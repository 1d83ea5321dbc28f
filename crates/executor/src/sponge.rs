//! The sponge of a row, permutation by permutation.

use veritune_field::traits::PrimeCharacteristicRing;
use veritune_field::{F, f_from_i64, f_to_i64};
use veritune_relations::poseidon2::{RATE, WIDTH, permute};
use veritune_relations::{AxisId, Index, Operation, View};

use crate::ExecuteError;
use crate::carrier::Carrier;
use crate::executor::Executor;
use crate::operand::Scope;
use crate::term::Evaluator;

/// Axes that index the view, outermost first.
fn axes_of(view: &View) -> Vec<AxisId> {
    let axis = |index: &Index| match *index {
        Index::Axis(a) | Index::Shifted(a, _) => Some(a),
        Index::Fixed(_) => None,
    };
    view.index.iter().filter_map(axis).collect()
}

impl<C: Carrier> Executor<'_, C> {
    /// Runs an [`Operation::Sponge`]: inputs of all permutations, and what their S-boxes read and give.
    pub(crate) fn sponge(&mut self, name: &str, scope: &Scope, operation: &Operation) -> Result<(), ExecuteError> {
        let Operation::Sponge { header, messages, capacity, state, point, cube, seventh, .. } = operation else {
            return Err(ExecuteError::Malformed { operation: name.into(), reason: "is no sponge".into() });
        };
        if !C::EXACT {
            return Ok(());
        }
        let evaluator = Evaluator { program: self.program, tensors: &self.tensors, scope };
        let elements = |view: &View| -> Vec<F> {
            evaluator.view(&axes_of(view), view).iter().map(|x| f_from_i64(x.to_i64())).collect()
        };
        let headers = elements(header);
        let messages: Vec<Vec<F>> = messages.iter().map(elements).collect();
        let num_rows = headers.len() / RATE;
        let positions = messages.first().map_or(0, |m| m.len() / num_rows.max(1));
        let mut states = Vec::new();
        let mut traces: [Vec<C>; 3] = Default::default();
        let integer = |x: F| C::from_i64(f_to_i64(x));
        for row in 0..num_rows {
            let mut lanes = [F::ZERO; WIDTH];
            lanes[..RATE].copy_from_slice(&headers[row * RATE..(row + 1) * RATE]);
            for (lane, &start) in lanes[RATE..].iter_mut().zip(capacity) {
                *lane = f_from_i64(start);
            }
            for block in 0..=positions {
                if let Some(position) = block.checked_sub(1) {
                    for (lane, message) in lanes.iter_mut().zip(&messages) {
                        *lane += message[row * positions + position];
                    }
                }
                states.extend(lanes.map(integer));
                for powers in permute(&mut lanes) {
                    for (values, power) in traces.iter_mut().zip(powers) {
                        values.push(integer(power));
                    }
                }
            }
        }
        self.write(name, scope, state, &axes_of(state), states)?;
        for (view, values) in [point, cube, seventh].into_iter().zip(traces) {
            self.write(name, scope, view, &axes_of(view), values)?;
        }
        Ok(())
    }
}
