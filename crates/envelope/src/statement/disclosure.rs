//! What a certificate shows and what it keeps back: a closed list, one word each.

use crate::digest::Digest;
use serde::{Deserialize, Serialize};

/// Whether something stands in the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// It stays with the maker.
    Hidden,
    /// Everybody reads it.
    Public,
}

/// The list. *Caller must* compare it with the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Disclosure {
    /// The base model: public.
    pub base: Visibility,
    /// The mean loss of every step.
    pub loss: Visibility,
    /// Which row of the maker's files a leaf of the dataset is of.
    pub order: Visibility,
    /// The rows with their salts.
    pub data: Visibility,
    /// The digest of the adapter's file and the proof of its release.
    pub adapter: Visibility,
    /// The digest of the file of rows; there iff they are public.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows_sha256: Option<Digest>,
    /// What nobody chooses to show, for a person.
    pub by_nature: Vec<String>,
}
