//! What a root commits to: its shape, its capacity and its bytes.

use crate::merkle::sorted_unique;
use crate::profile::{MAX_LOG_COLUMNS, Profile};
use std::fmt;
use veritune_field::{E_BYTES, F_BYTES};

/// Bytes of salt in every leaf: 32 for BLAKE3, four field elements for Poseidon2.
pub const SALT_BYTES: usize = 32;

/// The hash function of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TreeHash {
    /// BLAKE3 in keyed mode.
    Blake3,
    /// Poseidon2 over Goldilocks, width 12, for proofs that will be recursed.
    Poseidon2,
}

/// The public shape of a committed vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeShape {
    /// Base-2 logarithm of the number of message rows, random ones included: at most that of the profile.
    pub log_rows: u32,
    /// Base-2 logarithm of the number of columns.
    pub log_columns: u32,
    /// The hash function.
    pub hash: TreeHash,
    /// Whether the tree carries mask, pads and cover, a column over the challenge field each. Exactly one tree of an
    /// opening does, and it is opened once.
    pub masked: bool,
    /// How many openings the random rows pay for; at least one, and one for a masked tree.
    pub budget: u32,
}

/// A shape, or a list of shapes, that no profile serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// More rows than the profile has, or fewer in a masked tree.
    #[error("2^{log_rows} rows: at most 2^{profile} are served, and exactly as many in the masked tree")]
    Rows {
        /// Base-2 logarithm of the rows of the shape.
        log_rows: u32,
        /// Base-2 logarithm of the rows of the profile.
        profile: u32,
    },
    /// Too many columns.
    #[error("2^{0} columns exceed 2^{MAX_LOG_COLUMNS}")]
    TooManyColumns(u32),
    /// A budget of zero openings.
    #[error("the opening budget is zero")]
    ZeroBudget,
    /// A masked tree with a budget above one.
    #[error("a masked tree is opened once, its budget is {0}")]
    MaskedBudget(u32),
    /// The random rows of the budget leave no row for data.
    #[error("{tail_rows} random rows leave none of 2^{log_rows} rows for data")]
    BudgetExceedsRows {
        /// Rows that the budget needs.
        tail_rows: u64,
        /// Base-2 logarithm of the rows there are.
        log_rows: u32,
    },
    /// Data longer than the capacity.
    #[error("{got} elements exceed the capacity {capacity}")]
    OverCapacity {
        /// The capacity.
        capacity: usize,
        /// The elements given.
        got: usize,
    },
    /// Not exactly one masked tree.
    #[error("{0} masked trees in one opening, there must be exactly one")]
    MaskedCount(usize),
    /// Too many trees, or none.
    #[error("{0} trees in one opening")]
    TreeCount(usize),
}

impl TreeShape {
    /// Number of random rows at the end of every column.
    pub fn tail_rows(&self, profile: &Profile) -> u64 {
        u64::from(profile.queries()).saturating_mul(u64::from(self.budget))
    }

    /// Checks the shape against `profile`.
    pub fn check(&self, profile: &Profile) -> Result<(), ShapeError> {
        if self.log_rows > profile.log_rows() || (self.masked && self.log_rows != profile.log_rows()) {
            return Err(ShapeError::Rows { log_rows: self.log_rows, profile: profile.log_rows() });
        }
        if self.log_columns > MAX_LOG_COLUMNS {
            return Err(ShapeError::TooManyColumns(self.log_columns));
        }
        if self.budget == 0 {
            return Err(ShapeError::ZeroBudget);
        }
        if self.masked && self.budget != 1 {
            return Err(ShapeError::MaskedBudget(self.budget));
        }
        let tail_rows = self.tail_rows(profile);
        if tail_rows >= self.num_rows() {
            return Err(ShapeError::BudgetExceedsRows { tail_rows, log_rows: self.log_rows });
        }
        Ok(())
    }

    /// Number of message rows.
    pub fn num_rows(&self) -> u64 {
        1_u64.checked_shl(self.log_rows).unwrap_or(0)
    }

    /// Base-2 logarithm of the number of leaves.
    pub fn log_domain(&self, profile: &Profile) -> u32 {
        self.log_rows.saturating_add(profile.log_inverse_rate())
    }

    /// The leaves that hold the values at these positions of the profile's domain, sorted and unique.
    pub fn leaves(&self, profile: &Profile, positions: &[u64]) -> Vec<u64> {
        sorted_unique(positions.iter().map(|&position| self.leaf(profile, position)).collect())
    }

    /// The leaf that holds the values at a position of the profile's domain: `f(X^k)` at `omega^position` is `f` at
    /// the point of the leaf `position` modulo the number of leaves.
    pub fn leaf(&self, profile: &Profile, position: u64) -> u64 {
        position & 1_u64.checked_shl(self.log_domain(profile)).unwrap_or(0).saturating_sub(1)
    }

    /// The variables of the opening's first sumcheck that the tree does not have, which it meets with the factor
    /// `1 - X`: low bits of the row, then high bits of the column.
    pub fn waits(&self, profile: &Profile, log_columns_max: u32) -> std::ops::Range<u32> {
        let rounds = profile.log_rows().saturating_add(log_columns_max);
        self.log_rows..rounds.saturating_sub(self.log_columns)
    }

    /// Number of columns.
    pub fn num_columns(&self) -> usize {
        1_usize << self.log_columns.min(MAX_LOG_COLUMNS)
    }

    /// Bytes of one row as it is hashed and sent: columns; mask, pads and cover of a masked tree; salt.
    pub fn row_bytes(&self) -> usize {
        let masks = if self.masked { 3 * E_BYTES } else { 0 };
        self.num_columns().saturating_mul(F_BYTES).saturating_add(masks).saturating_add(SALT_BYTES)
    }

    /// The canonical bytes of the shape, absorbed with the root.
    pub fn to_bytes(&self) -> [u8; 14] {
        let hash = match self.hash {
            TreeHash::Blake3 => 0,
            TreeHash::Poseidon2 => 1,
        };
        let [r0, r1, r2, r3] = self.log_rows.to_le_bytes();
        let [c0, c1, c2, c3] = self.log_columns.to_le_bytes();
        let [b0, b1, b2, b3] = self.budget.to_le_bytes();
        [r0, r1, r2, r3, c0, c1, c2, c3, b0, b1, b2, b3, hash, u8::from(self.masked)]
    }
}

/// Number of data elements that a tree of this shape holds.
pub fn capacity(profile: &Profile, shape: &TreeShape) -> Result<usize, ShapeError> {
    shape.check(profile)?;
    let rows = shape.num_rows().saturating_sub(shape.tail_rows(profile));
    let elements = rows << shape.log_columns;
    Ok(usize::try_from(elements).unwrap_or(usize::MAX))
}

/// The root of a tree. For Poseidon2, four canonical field elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Root(pub [u8; 32]);

impl fmt::Display for Root {
    /// Lower-case hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
