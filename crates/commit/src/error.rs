//! Why an opening is refused, and where.

use crate::shape::ShapeError;

/// The message of the opening in which an error was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    /// The root of a tree, given with the statement.
    TreeRoot {
        /// Which tree.
        tree: usize,
    },
    /// A round polynomial of the sumcheck over rows and columns.
    Sumcheck {
        /// Which round, from 0.
        round: u32,
    },
    /// The evaluations of the committed vectors at the final point.
    Values,
    /// The value of the combination of all trees at the row coordinates of the final point.
    CombinedValue,
    /// What the two relations of the pads give for the cover.
    CoverSums,
    /// The pads under their cover.
    CoveredPads,
    /// The root of the oracle of a level, from 1.
    LevelRoot {
        /// Which level.
        level: usize,
    },
    /// An opened row.
    Row {
        /// Which level; level 0 holds the trees of the statement.
        level: usize,
        /// Which tree of that level.
        tree: usize,
        /// Which leaf.
        position: u64,
    },
    /// The sibling digests of the opened rows.
    Siblings {
        /// Which level.
        level: usize,
        /// Which tree of that level.
        tree: usize,
    },
    /// A round polynomial of the sumcheck of a level.
    LevelSumcheck {
        /// Which level.
        level: usize,
        /// Which round, from 0.
        round: u32,
    },
    /// The last vector, sent in clear.
    FinalVector,
}

impl Location {
    /// The name of the message: the same for every round, row and sibling of one kind.
    pub fn field(&self) -> String {
        match self {
            Self::TreeRoot { tree } => format!("root of tree {tree}"),
            Self::Sumcheck { .. } => "sumcheck".to_owned(),
            Self::Values => "values".to_owned(),
            Self::CombinedValue => "combined value".to_owned(),
            Self::CoverSums => "cover sums".to_owned(),
            Self::CoveredPads => "covered pads".to_owned(),
            Self::LevelRoot { level } => format!("root of level {level}"),
            Self::Row { level: 0, tree, .. } => format!("tree {tree} row"),
            Self::Row { level, .. } => format!("level {level} row"),
            Self::Siblings { level: 0, tree } => format!("tree {tree} siblings"),
            Self::Siblings { level, .. } => format!("level {level} siblings"),
            Self::LevelSumcheck { level, .. } => format!("level {level} sumcheck"),
            Self::FinalVector => "final vector".to_owned(),
        }
    }
}

/// Why an opening is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpeningError {
    /// The statement itself is malformed.
    #[error("opening-statement: tree {tree} of the statement: {problem}")]
    Statement {
        /// Which tree; the number of trees when the list as a whole is at fault.
        tree: usize,
        /// What is wrong.
        problem: ShapeError,
    },
    /// The proof ends inside a message.
    #[error(
        "opening-unexpected-end: the proof ends inside {at:?}: {needed} bytes needed at offset {offset}, {left} left"
    )]
    UnexpectedEnd {
        /// The message.
        at: Location,
        /// Where its missing part begins.
        offset: usize,
        /// How many bytes it needs.
        needed: usize,
        /// How many there are.
        left: usize,
    },
    /// Eight bytes are no canonical field element.
    #[error("opening-not-canonical: {at:?} holds a field element at or above the order, before offset {offset}")]
    NotCanonical {
        /// The message.
        at: Location,
        /// The end of the element or row in the proof.
        offset: usize,
    },
    /// Bytes follow the last message.
    #[error("opening-trailing-bytes: {extra} bytes follow the last message")]
    TrailingBytes {
        /// How many.
        extra: usize,
    },
    /// The weight callback answered for another number of trees.
    #[error("opening-weight-count: {got} weight evaluations for {expected} trees")]
    WeightCount {
        /// One per tree.
        expected: usize,
        /// What the callback returned.
        got: usize,
    },
    /// The values at the final point do not satisfy the last sumcheck claim.
    #[error("opening-sumcheck-claim: the values at the final point contradict the sumcheck over rows and columns")]
    SumcheckClaim,
    /// The values at the final point do not add up to the value of the combination.
    #[error(
        "opening-combined-value: the values at the final point contradict the value of the combination of all trees"
    )]
    CombinedValue,
    /// The covered pads are not those of the masked tree.
    #[error("opening-covered-row: the covered pads contradict the masked tree at leaf {position}")]
    CoveredRow {
        /// Which leaf.
        position: u64,
    },
    /// Rows and siblings do not hash to the root.
    #[error("opening-root-mismatch: the opened rows of tree {tree} of level {level} do not hash to its root")]
    RootMismatch {
        /// Which level.
        level: usize,
        /// Which tree of that level.
        tree: usize,
    },
    /// A row of the last oracle does not fold to the codeword of the last vector.
    #[error("opening-final-row: the last oracle contradicts the last vector at leaf {position}")]
    FinalRow {
        /// Which leaf.
        position: u64,
    },
    /// The last vector contradicts the combined claims.
    #[error("opening-final-claim: the last vector contradicts the combined claims")]
    FinalClaim,
    /// A profile that this build cannot evaluate.
    #[error("opening-profile: the profile exceeds the limits of this build")]
    Profile,
}

impl OpeningError {
    /// A stable identifier of the kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Statement { .. } => "opening-statement",
            Self::UnexpectedEnd { .. } => "opening-unexpected-end",
            Self::NotCanonical { .. } => "opening-not-canonical",
            Self::TrailingBytes { .. } => "opening-trailing-bytes",
            Self::WeightCount { .. } => "opening-weight-count",
            Self::SumcheckClaim => "opening-sumcheck-claim",
            Self::CombinedValue => "opening-combined-value",
            Self::CoveredRow { .. } => "opening-covered-row",
            Self::RootMismatch { .. } => "opening-root-mismatch",
            Self::FinalRow { .. } => "opening-final-row",
            Self::FinalClaim => "opening-final-claim",
            Self::Profile => "opening-profile",
        }
    }
}
