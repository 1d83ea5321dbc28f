//! A factor of a term, resolved: a buffer with a stride per axis.

use std::borrow::Cow;

use veritune_relations::{AxisId, Index, Program, View};

use crate::Tensors;

/// Lengths of the axes for one evaluation, and the layer that is pinned, if any.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    /// Length per axis; 1 for the pinned layer axis.
    pub lens: Vec<usize>,
    /// The layer axis and its index.
    pub layer: Option<(AxisId, usize)>,
}

impl Scope {
    /// All axes at full length, with `layer` pinned.
    pub fn new(program: &Program, layer: Option<(AxisId, usize)>) -> Self {
        let mut lens: Vec<_> = program.axes.iter().map(|a| a.len).collect();
        if let Some((axis, _)) = layer {
            lens[axis.0] = 1;
        }
        Self { lens, layer }
    }

    /// First index of the axis in this scope.
    pub fn start(&self, axis: AxisId) -> usize {
        match self.layer {
            Some((layer, index)) if layer == axis => index,
            _ => 0,
        }
    }

    /// Number of index tuples over `axes`.
    pub fn num_values(&self, axes: &[AxisId]) -> usize {
        axes.iter().map(|a| self.lens[a.0]).product()
    }
}

/// Strided read access: the value at an index is `data[offset + sum of index * stride]`.
#[derive(Debug, Clone)]
pub(crate) struct Operand<'a, C: Clone> {
    /// The buffer.
    pub data: Cow<'a, [C]>,
    /// Position of the index zero.
    pub offset: usize,
    /// Axes that it depends on, each once.
    pub strides: Vec<(AxisId, usize)>,
    /// Whether every value is known to fit in an `i32`.
    pub narrow: bool,
}

impl<'a, C: Copy + Default> Operand<'a, C> {
    /// The view of a stored tensor.
    pub fn of_view(program: &Program, tensors: &'a Tensors<C>, scope: &Scope, view: &View) -> Self {
        let range = program.tensor(view.tensor).range;
        let (offset, strides) = locate(tensors, scope, view);
        let narrow = range.min() >= i64::from(i32::MIN) && range.max() <= i64::from(i32::MAX);
        Self { data: Cow::Borrowed(tensors.get(view.tensor)), offset, strides, narrow }
    }

    /// A row-major buffer over `axes`.
    pub fn of_values(data: Vec<C>, axes: &[AxisId], lens: &[usize]) -> Self {
        let mut strides = Vec::with_capacity(axes.len());
        let mut stride = 1;
        for &axis in axes.iter().rev() {
            strides.push((axis, stride));
            stride *= lens[axis.0];
        }
        strides.reverse();
        Self { data: Cow::Owned(data), offset: 0, strides, narrow: false }
    }

    /// Distance between neighbours along `axis`; 0 if the operand does not depend on it.
    pub fn stride(&self, axis: AxisId) -> usize {
        self.strides.iter().find(|(a, _)| *a == axis).map_or(0, |(_, s)| *s)
    }

    /// Whether the operand depends on `axis`.
    pub fn has(&self, axis: AxisId) -> bool {
        self.strides.iter().any(|(a, _)| *a == axis)
    }

    /// The same operand without a copy of its buffer.
    pub fn clone_view(&self) -> Operand<'_, C> {
        Operand {
            data: Cow::Borrowed(&self.data),
            offset: self.offset,
            strides: self.strides.clone(),
            narrow: self.narrow,
        }
    }

    /// The same values with index `start` of `axis` as the new index zero.
    pub fn starting_at(&self, axis: AxisId, start: usize) -> Operand<'_, C> {
        let mut operand = self.clone_view();
        operand.offset += start * self.stride(axis);
        operand
    }
}

/// Offset and strides of a view inside its tensor's buffer.
pub(crate) fn locate<C: Copy + Default>(
    tensors: &Tensors<C>,
    scope: &Scope,
    view: &View,
) -> (usize, Vec<(AxisId, usize)>) {
    locate_index(&tensors.strides(view.tensor), scope, &view.index)
}

/// Offset and strides of an index list whose entries step by `own`.
pub(crate) fn locate_index(own: &[usize], scope: &Scope, index: &[Index]) -> (usize, Vec<(AxisId, usize)>) {
    let mut offset = 0;
    let mut strides: Vec<(AxisId, usize)> = Vec::new();
    for (&index, &stride) in index.iter().zip(own) {
        let (axis, shift) = match index {
            Index::Fixed(i) => {
                offset += i * stride;
                continue;
            }
            Index::Axis(axis) => (axis, 0),
            Index::Shifted(axis, shift) => (axis, shift),
        };
        offset += (scope.start(axis) + shift) * stride;
        match strides.iter_mut().find(|(a, _)| *a == axis) {
            Some((_, sum)) => *sum += stride,
            None => strides.push((axis, stride)),
        }
    }
    (offset, strides)
}

/// Row-major positions of all index tuples over `axes`, by a stride per axis.
pub(crate) fn positions(axes: &[AxisId], lens: &[usize], stride: impl Fn(AxisId) -> usize) -> Vec<usize> {
    let mut positions = vec![0];
    for &axis in axes {
        let step = stride(axis);
        positions = positions.iter().flat_map(|&p| (0..lens[axis.0]).map(move |i| p + i * step)).collect();
    }
    positions
}
