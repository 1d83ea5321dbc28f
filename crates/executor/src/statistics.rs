//! How large each tensor became: what a calibration chooses scales from.

use veritune_relations::{Program, TensorId};

use crate::Tensors;
use crate::carrier::Carrier;
use crate::executor::first_axis_is_layer;

/// Greatest absolute value of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Maximum {
    /// The tensor.
    pub tensor: TensorId,
    /// Its name.
    pub name: String,
    /// In integer units.
    pub units: f64,
    /// Real: `units * 2^-fraction_bits`.
    pub real: f64,
    /// In integer units, per index of the tensor's first axis, if steps index that by layer; else empty.
    pub per_layer: Vec<f64>,
}

/// One entry per tensor that has values, in the order of the program.
pub(crate) fn maxima<C: Carrier>(program: &Program, tensors: &Tensors<C>) -> Vec<Maximum> {
    let ids = (0..program.tensors.len()).map(TensorId).filter(|&id| tensors.is_set(id));
    ids.map(|id| {
        let tensor = program.tensor(id);
        let values = tensors.get(id);
        let largest = |values: &[C]| values.iter().map(|x| x.to_f64().abs()).fold(0.0, greater);
        let per_layer: Vec<f64> = if first_axis_is_layer(program, id) {
            values.chunks(values.len() / tensors.shape(id)[0]).map(largest).collect()
        } else {
            Vec::new()
        };
        let units = if per_layer.is_empty() { largest(values) } else { per_layer.iter().copied().fold(0.0, greater) };
        let real = units * f64::from(-tensor.fraction_bits).exp2();
        Maximum { tensor: id, name: tensor.name.clone(), units, real, per_layer }
    })
    .collect()
}

/// The greater one; not a number if either is not.
fn greater(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}
