//! Parameters of the Poseidon2 sponge: trees hash with it, and a step's program has it as equations.
//!
//! The permutation has [`WIDTH`] elements. The capacity starts as `(tag, number of elements, 0, 0)`, so that leaves of
//! matrices, nodes and rows of a dataset never share an input.

/// Elements of the state.
pub const WIDTH: usize = 12;
/// Elements that a block adds to.
pub const RATE: usize = 8;
/// Elements that no block touches.
pub const CAPACITY: usize = WIDTH - RATE;
/// Elements of a digest.
pub const DIGEST: usize = 4;
/// First capacity element of a leaf of a matrix.
pub const LEAF_TAG: u64 = 1;
/// First capacity element of a node.
pub const NODE_TAG: u64 = 2;
/// First capacity element of a row of a dataset.
pub const ROW_TAG: u64 = 3;
