//! in-toto Statement v1: what is signed, about which files, and of which type.
//!
//! The signed bytes are the canonical JSON of `{_type, subject, predicateType, predicate}`. A statement is read for
//! one predicate type that the caller names; the type is never taken from the bytes.
//!
//! Source: in-toto attestation framework, `spec/v1/statement.md`.

mod claims;
mod disclosure;
mod plan;

pub use claims::{Claim, ClaimsSchema, ClaimsV1, Ledger, LedgerRow, ProofFile, ProofKind, Word};
pub use disclosure::{Disclosure, Visibility};
pub use plan::{PlanSchema, PlanV1};

use crate::canonical_json::{self, Value};
use crate::codes::{BASE_FILES, JSON_SHAPE, PREDICATE_SCHEMA, PREDICATE_TYPE, STATEMENT_SUBJECT, STATEMENT_TYPE};
use crate::digest::Digest;
use crate::verdict::{Code, Refusal};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeSet;

/// `_type` of every statement.
pub const STATEMENT_TYPE_URI: &str = "https://in-toto.io/Statement/v1";

/// Longest statement: the state roots of half a million steps.
pub const MAX_STATEMENT_BYTES: usize = 1 << 26;

/// A type of predicate: its names, and the conditions on its fields that types do not express.
pub trait Predicate: Serialize + DeserializeOwned {
    /// The value of `predicateType`.
    const TYPE: &'static str;
    /// The value of the predicate's `schema`.
    const SCHEMA: &'static str;

    /// Accepts iff the fields agree with each other. *Caller must* compare them with the plan and the files.
    fn check(&self) -> Result<(), Refusal>;
}

/// A file that a statement is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// The path relative to the adapter directory.
    pub name: String,
    /// The digest of the file's bytes.
    pub digest: DigestSet,
}

impl Subject {
    /// The subject `name` with these bytes.
    #[must_use]
    pub fn of(name: &str, bytes: &[u8]) -> Self {
        Self { name: name.to_owned(), digest: DigestSet { sha256: Digest::sha256(bytes) } }
    }
}

/// in-toto's set of digests; ours holds exactly SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DigestSet {
    /// SHA-256.
    pub sha256: Digest,
}

/// The commitment to a base model: a function of the checkpoint alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseCommitment {
    /// The checkpoint's files.
    pub files: Vec<BaseFile>,
    /// The root over the integer tensors that the files define.
    pub root: Digest,
}

/// One file of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseFile {
    /// The file's name in the checkpoint.
    pub name: String,
    /// The digest of the file's bytes.
    pub sha256: Digest,
}

impl BaseCommitment {
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let names = self.files.iter().map(|file| file.name.as_str());
        check_names(names, BASE_FILES, "predicate.base.files")
    }
}

/// The program that made a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// The program's name.
    pub name: String,
    /// The program's version.
    pub version: String,
}

/// A statement about `subject` with a predicate of type `P`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement<P> {
    /// The files that the predicate is about; at least one, no name twice.
    pub subject: Vec<Subject>,
    /// What is stated.
    pub predicate: P,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Wire<P> {
    #[serde(rename = "_type")]
    statement_type: String,
    subject: Vec<Subject>,
    predicate_type: String,
    predicate: P,
}

impl<P: Predicate> Statement<P> {
    /// The bytes to sign; refused if a reader would refuse them.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Refusal>
    where
        P: Clone,
    {
        self.check()?;
        canonical_json::to_bytes(&Wire {
            statement_type: STATEMENT_TYPE_URI.to_owned(),
            subject: self.subject.clone(),
            predicate_type: P::TYPE.to_owned(),
            predicate: self.predicate.clone(),
        })
    }

    /// The statement that `bytes` hold. *Caller must* have verified the signature over them.
    ///
    /// 1. The bytes are canonical JSON of at most [`MAX_STATEMENT_BYTES`].
    /// 2. `_type`, `predicateType` and the predicate's `schema` are those of `P`.
    /// 3. The fields are exactly those of `P`.
    /// 4. The subjects are named, at least one, none twice.
    /// 5. The predicate's own conditions hold.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Refusal> {
        let value = canonical_json::parse_canonical(bytes, MAX_STATEMENT_BYTES)?; // 1
        let schema = value.get("predicate").and_then(|predicate| predicate.get("schema"));
        expect_text(value.get("_type"), STATEMENT_TYPE_URI, STATEMENT_TYPE, "_type")?; // 2
        expect_text(value.get("predicateType"), P::TYPE, PREDICATE_TYPE, "predicateType")?;
        expect_text(schema, P::SCHEMA, PREDICATE_SCHEMA, "predicate.schema")?;
        let wire: Wire<P> = canonical_json::decode_parsed(bytes, &value)?; // 3
        let statement = Self { subject: wire.subject, predicate: wire.predicate };
        statement.check()?; // 4, 5
        Ok(statement)
    }

    fn check(&self) -> Result<(), Refusal> {
        let names = self.subject.iter().map(|subject| subject.name.as_str());
        check_names(names, STATEMENT_SUBJECT, "subject")?;
        self.predicate.check()
    }
}

fn expect_text(found: Option<&Value>, expected: &str, code: Code, location: &str) -> Result<(), Refusal> {
    match found.map(Value::as_str) {
        Some(Some(text)) if text == expected => Ok(()),
        Some(Some(text)) => Err(Refusal::new(code, location, expected, text)),
        _ => Err(Refusal::new(JSON_SHAPE, location, "a string", "none")),
    }
}

/// Accepts iff there is a name, none is empty and none comes twice.
fn check_names<'a>(names: impl Iterator<Item = &'a str>, code: Code, location: &str) -> Result<(), Refusal> {
    let mut seen = BTreeSet::new();
    for (position, name) in names.enumerate() {
        if name.is_empty() || !seen.insert(name) {
            let location = format!("{location}[{position}]");
            return Err(Refusal::new(code, location, "a new name that is not empty", name));
        }
    }
    if seen.is_empty() {
        return Err(Refusal::new(code, location, "at least one", "none"));
    }
    Ok(())
}
