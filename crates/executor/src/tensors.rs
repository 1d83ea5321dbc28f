//! Storage: one dense row-major buffer per tensor, over active indices.

use std::sync::Arc;

use veritune_relations::{Program, TensorId};

/// The values of a program's tensors.
///
/// Buffers are shared until they are written: a clone, or a base that several executors read, costs nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensors<C> {
    shapes: Vec<Vec<usize>>,
    buffers: Vec<Arc<Vec<C>>>,
}

impl<C: Copy + Default> Tensors<C> {
    /// Buffers without values, one per tensor of `program`.
    pub fn empty(program: &Program) -> Self {
        let shapes: Vec<_> = (0..program.tensors.len()).map(|i| program.shape(TensorId(i))).collect();
        let buffers = shapes.iter().map(|_| Arc::new(Vec::new())).collect();
        Self { shapes, buffers }
    }

    /// Row-major values; empty for a virtual tensor and for an input that was not set.
    pub fn get(&self, id: TensorId) -> &[C] {
        &self.buffers[id.0]
    }

    /// The values of every tensor.
    pub fn all(&self) -> Vec<&[C]> {
        self.buffers.iter().map(|buffer| buffer.as_slice()).collect()
    }

    /// The buffer itself, to keep or to share.
    pub fn shared(&self, id: TensorId) -> Arc<Vec<C>> {
        Arc::clone(&self.buffers[id.0])
    }

    /// Lengths of the tensor's axes.
    pub fn shape(&self, id: TensorId) -> &[usize] {
        &self.shapes[id.0]
    }

    /// Number of active indices of the tensor.
    pub fn num_values(&self, id: TensorId) -> usize {
        self.shapes[id.0].iter().product()
    }

    /// Number of tensors.
    pub fn len(&self) -> usize {
        self.buffers.len()
    }

    /// Whether the program has no tensors.
    pub fn is_empty(&self) -> bool {
        self.buffers.is_empty()
    }

    /// Whether the tensor has values.
    pub fn is_set(&self, id: TensorId) -> bool {
        !self.buffers[id.0].is_empty()
    }

    /// Replaces the buffer.
    ///
    /// # Panics
    /// If `values` does not have [`num_values`](Self::num_values) entries.
    pub fn set(&mut self, id: TensorId, values: impl Into<Arc<Vec<C>>>) {
        let values = values.into();
        assert_eq!(values.len(), self.num_values(id), "one value per active index");
        self.buffers[id.0] = values;
    }

    /// The buffer, to change; copied first if it is shared.
    pub fn get_mut(&mut self, id: TensorId) -> &mut [C] {
        Arc::make_mut(&mut self.buffers[id.0]).as_mut_slice()
    }

    /// Distance in the buffer between neighbours along each axis.
    pub(crate) fn strides(&self, id: TensorId) -> Vec<usize> {
        let shape = &self.shapes[id.0];
        let mut strides = vec![1; shape.len()];
        for i in (1..shape.len()).rev() {
            strides[i - 1] = strides[i] * shape[i];
        }
        strides
    }
}
