//! Linear functionals of the committed vectors with tensor-product weights.
//!
//! A part weighs a block of one vector: slot `offset + i_0 * alignment + (bits of i_1, i_2, …)` has weight
//! `scale * product of axis weights`, where `alignment = 2^(sum of inner logs)` divides `offset`. Everything
//! else has weight 0. The verifier evaluates the multilinear extension of the weights at the opening's point
//! ([`crate::Evaluator`]) in time linear in the lengths of short axes and in the logarithms of long ones; the prover
//! expands them.

use crate::axis_weight::AxisWeight;
use veritune_field::E;

/// A weighted block of one vector.
#[derive(Debug, Clone)]
pub struct Part {
    /// Position of the vector, see [`veritune_relations::layout::place_index`].
    pub place: usize,
    /// First slot of the block.
    pub offset: usize,
    /// Weights, outermost axis first; none for a single slot.
    pub axes: Vec<AxisWeight>,
    /// Factor of all weights.
    pub scale: E,
}

impl Part {
    /// Slots between two indices of the outermost axis, as a power of two.
    pub fn log_alignment(&self) -> usize {
        self.axes.iter().skip(1).map(AxisWeight::log).sum()
    }
}

/// `constant + sum of parts`.
#[derive(Debug, Clone, Default)]
pub struct Functional {
    /// What the verifier knows of it.
    pub constant: E,
    /// The rest.
    pub parts: Vec<Part>,
}
