//! What the verifier checks, and how it refuses.

use std::fmt;

/// A check of the verifier. Codes are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckId {
    /// The fractions of all lookups and tables sum to zero.
    LookupSum,
    /// The last claim of a layer equals the combination of the four values below it.
    LookupLayer,
    /// The last claim of the equation sumcheck equals the combination of factor evaluations.
    Equations,
    /// The last claim of the one-hot sumcheck equals the product of its bits.
    OneHots,
    /// A product that is sent to be multiplied once more is the product.
    Held,
    /// The committed products of pads are their products.
    Products,
    /// The public outputs are the values of their tensors.
    Outputs,
}

impl CheckId {
    /// All checks, in the order of their codes.
    pub const ALL: [Self; 7] =
        [Self::LookupSum, Self::LookupLayer, Self::Equations, Self::OneHots, Self::Held, Self::Products, Self::Outputs];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::LookupSum => "VT-ARG-001",
            Self::LookupLayer => "VT-ARG-002",
            Self::Equations => "VT-ARG-003",
            Self::OneHots => "VT-ARG-004",
            Self::Held => "VT-ARG-005",
            Self::Products => "VT-ARG-006",
            Self::Outputs => "VT-ARG-007",
        }
    }
}

impl fmt::Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Why an argument is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// VT-ARG-010: the proof does not have the length that the program fixes.
    #[error("VT-ARG-010: the argument has {got} bytes, the program fixes {expected}")]
    Length {
        /// Bytes that the program fixes.
        expected: usize,
        /// Bytes received.
        got: usize,
    },
    /// VT-ARG-011: bytes that are no field element.
    #[error("VT-ARG-011: scalar {index} is not canonical")]
    NotCanonical {
        /// Position of the scalar in the proof.
        index: usize,
    },
    /// VT-ARG-012: the verifier asked for more scalars than the proof has, which its length check excludes.
    #[error("VT-ARG-012: scalar {index} is missing")]
    Missing {
        /// Position of the scalar in the proof.
        index: usize,
    },
    /// A check failed.
    #[error("{check}: not zero after scalar {index} (step {step})")]
    Refused {
        /// The check.
        check: CheckId,
        /// Layer of the lookups, 0 elsewhere.
        step: usize,
        /// Scalars read so far.
        index: usize,
    },
    /// The program cannot be argued about.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

impl ArgumentError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Length { .. } => "VT-ARG-010",
            Self::NotCanonical { .. } => "VT-ARG-011",
            Self::Missing { .. } => "VT-ARG-012",
            Self::Refused { check, .. } => check.code(),
            Self::Plan(_) => "VT-ARG-020",
        }
    }
}

/// VT-ARG-020: a program that this argument does not support.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("VT-ARG-020: {place}: {reason}")]
pub struct PlanError {
    /// The equation, lookup or tensor.
    pub place: String,
    /// What is wrong with it.
    pub reason: &'static str,
}
