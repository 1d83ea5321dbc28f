//! Changes of a proof's bytes, field by field as the verifier's own decoder reads them.

use veritune_argument::ArgumentError;
use veritune_commit::OpeningError;
use veritune_mutation::Field;
use veritune_verifier::proof::ProofError;
use veritune_verifier::rows::RowsRefused;
use veritune_verifier::step::StepRefused;

/// One change of one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Its lowest bit.
    Mutate,
    /// Left out.
    Drop,
    /// Twice.
    Duplicate,
    /// Exchanged with the next field of its name, or its halves exchanged if it is the last.
    Swap,
    /// The proof ends within it.
    Truncate,
    /// One more byte at its end.
    Extend,
}

/// All changes.
pub const CHANGES: [Change; 6] =
    [Change::Mutate, Change::Drop, Change::Duplicate, Change::Swap, Change::Truncate, Change::Extend];

/// The bytes with the change at a field; none if that changes nothing.
pub fn changed(bytes: &[u8], fields: &[Field], at: usize, change: Change) -> Option<Vec<u8>> {
    let field = &fields[at];
    let (start, end) = (field.offset, field.offset + field.len);
    let mut out = bytes.to_vec();
    match change {
        Change::Mutate => out[start] ^= 1,
        Change::Drop => drop(out.drain(start..end)),
        Change::Duplicate => drop(out.splice(end..end, bytes[start..end].to_vec())),
        Change::Swap => match fields[at + 1..].iter().find(|f| f.name == field.name && f.len == field.len) {
            Some(next) => {
                out[start..end].copy_from_slice(&bytes[next.offset..next.offset + next.len]);
                out[next.offset..next.offset + next.len].copy_from_slice(&bytes[start..end]);
            }
            None => out[start..end].rotate_left(field.len / 2),
        },
        Change::Truncate => out.truncate(start + field.len / 2),
        Change::Extend => out.insert(end, 0),
    }
    (out != bytes).then_some(out)
}

/// Code and location of a refusal, as the manifest writes them.
pub fn of_proof(error: &ProofError) -> (&'static str, String) {
    let location = match error {
        ProofError::Truncated { .. } => "length".to_owned(),
        ProofError::Place(place) => format!("place {place}"),
        ProofError::Argument(ArgumentError::Refused { step, .. }) => format!("layer {step}"),
        ProofError::Argument(ArgumentError::NotCanonical { index }) => format!("scalar {index}"),
        ProofError::Argument(error) => error.to_string(),
        ProofError::Opening(error) => return of_opening(error),
    };
    (error.code(), location)
}

/// See [`of_proof`].
pub fn of_opening(error: &OpeningError) -> (&'static str, String) {
    let location = match error {
        OpeningError::UnexpectedEnd { at, .. } | OpeningError::NotCanonical { at, .. } => at.field(),
        OpeningError::RootMismatch { level: 0, tree } => format!("tree {tree}"),
        OpeningError::RootMismatch { level, .. } => format!("level {level}"),
        OpeningError::SumcheckClaim | OpeningError::CombinedValue => "values".to_owned(),
        OpeningError::CoveredRow { .. } => "covered pads".to_owned(),
        OpeningError::FinalRow { .. } | OpeningError::FinalClaim => "final vector".to_owned(),
        OpeningError::TrailingBytes { .. } => "end".to_owned(),
        OpeningError::Statement { .. } | OpeningError::WeightCount { .. } | OpeningError::Profile => "statement".into(),
    };
    (error.code(), location)
}

/// See [`of_proof`].
pub fn of_step(error: &StepRefused) -> (&'static str, String) {
    match error {
        StepRefused::Proof(error) => of_proof(error),
        StepRefused::Chain(_) => ("VT-PROOF-003", "step".to_owned()),
        StepRefused::Rows(error) => match error {
            RowsRefused::Truncated { .. } => ("VT-ROWS-001", "length".to_owned()),
            RowsRefused::NotCanonical { .. } => ("VT-ROWS-002", "row".to_owned()),
            RowsRefused::Root { .. } => ("VT-ROWS-003", "row".to_owned()),
        },
        StepRefused::Statement(error) => ("statement", error.to_string()),
    }
}

/// Where changes of the fields of one name may be refused.
///
/// The challenges after a changed field are drawn anew, so a field that later messages answer to is refused at the
/// first check that they then fail; rows and siblings bind nothing after them and are refused where they stand.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The field.
    pub field: &'static str,
    /// Codes and locations of every change but truncation; a location of `*` is any.
    pub refused: &'static [(&'static str, &'static str)],
    /// Code and location of truncation.
    pub truncated: (&'static str, &'static str),
}
