//! `veritune/index.json`: lists and hashes every other file of a certificate.
//!
//! The index is not signed; `model.sig`, made last, covers it, and the signed claims name the digests that matter. It
//! makes an incomplete or damaged copy visible before any proof is read.

use crate::canonical_json;
use crate::codes::{FILE_MISSING, INDEX_DIGEST, INDEX_PATH, INDEX_SCHEMA, INDEX_SIZE, INDEX_UNLISTED};
use crate::digest::Digest;
use crate::directory::{self, Listing};
use crate::verdict::Refusal;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::path::Path;

/// The index's name in the certificate.
pub const INDEX_NAME: &str = "index.json";

/// The value of `schema`.
pub const INDEX_SCHEMA_NAME: &str = "veritune.index/v1";

/// Longest index.
pub const MAX_INDEX_BYTES: u64 = 1 << 19;

/// One listed file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexEntry {
    /// The path relative to the certificate: a safe name, or `proofs/` and a safe name.
    pub path: String,
    /// The digest of the file's bytes.
    pub sha256: Digest,
    /// The number of bytes.
    pub size: u64,
}

/// The list of the files of a certificate, sorted by path, no path twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    entries: Vec<IndexEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    schema: String,
    files: Vec<IndexEntry>,
}

/// True iff `name` is a file name that every file system takes as it is: ASCII letters, digits, `.`, `_` and `-`, not
/// beginning with `.` or `-`, at most 100 bytes.
#[must_use]
pub fn is_safe_name(name: &str) -> bool {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=100).contains(&name.len()) && name.bytes().all(safe) && !name.starts_with(['.', '-'])
}

/// True iff `path` may stand in an index.
#[must_use]
pub fn is_safe_path(path: &str) -> bool {
    path != INDEX_NAME && is_safe_name(path.strip_prefix("proofs/").unwrap_or(path))
}

impl Index {
    /// The index with these entries, sorted.
    pub fn new(mut entries: Vec<IndexEntry>) -> Result<Self, Refusal> {
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        let index = Self { entries };
        index.check()?;
        Ok(index)
    }

    /// The index of the files that lie in the certificate `root`, none longer than `max_file_bytes`.
    pub fn build(root: &Path, max_file_bytes: u64) -> Result<Self, Refusal> {
        let listing = directory::list_certificate(root)?;
        let paths = listing.paths().filter(|path| *path != INDEX_NAME);
        let entries = paths.map(|path| {
            let bytes = directory::read_file(root, path, max_file_bytes)?;
            let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            Ok(IndexEntry { path: path.to_owned(), sha256: Digest::sha256(&bytes), size })
        });
        Self::new(entries.collect::<Result<_, Refusal>>()?)
    }

    /// The entries, sorted by path.
    #[must_use]
    pub fn entries(&self) -> &[IndexEntry] {
        &self.entries
    }

    /// The bytes of `index.json`.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Refusal> {
        canonical_json::to_bytes(&Wire { schema: INDEX_SCHEMA_NAME.to_owned(), files: self.entries.clone() })
    }

    /// The index that canonical JSON holds.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Refusal> {
        let limit = usize::try_from(MAX_INDEX_BYTES).unwrap_or(usize::MAX);
        let wire: Wire = canonical_json::decode_canonical(bytes, limit).map_err(Refusal::in_container)?;
        if wire.schema != INDEX_SCHEMA_NAME {
            return Err(Refusal::new(INDEX_SCHEMA, "schema", INDEX_SCHEMA_NAME, wire.schema));
        }
        let index = Self { entries: wire.files };
        index.check()?;
        Ok(index)
    }

    fn check(&self) -> Result<(), Refusal> {
        let mut previous = "";
        for (position, entry) in self.entries.iter().enumerate() {
            let location = || format!("files[{position}].path");
            if !is_safe_path(&entry.path) {
                return Err(Refusal::new(INDEX_PATH, location(), "a safe path", &entry.path));
            }
            if entry.path.as_str() <= previous {
                let expected = format!("a path after `{previous}`");
                return Err(Refusal::new(INDEX_PATH, location(), expected, &entry.path));
            }
            previous = &entry.path;
        }
        Ok(())
    }

    /// Accepts iff the certificate's files are the listed ones and `index.json`, with the listed sizes.
    pub fn check_listing(&self, listing: &Listing) -> Result<(), Refusal> {
        for path in listing.paths() {
            if path != INDEX_NAME && self.find(path).is_none() {
                Refusal::new(INDEX_UNLISTED, path, "a listed file", "an unlisted one").raise()?;
            }
        }
        for entry in &self.entries {
            match listing.size(&entry.path) {
                None => {
                    return Err(Refusal::new(FILE_MISSING, &entry.path, "a listed file", "none"));
                }
                Some(size) if size != entry.size => {
                    let expected = format_args!("{} bytes", entry.size);
                    return Err(Refusal::new(INDEX_SIZE, &entry.path, expected, size));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// The bytes of a listed file of at most `max_file_bytes`; they have the listed digest.
    pub fn read(&self, root: &Path, path: &str, max_file_bytes: u64) -> Result<Vec<u8>, Refusal> {
        let entry = self.find(path).ok_or_else(|| Refusal::new(FILE_MISSING, path, "a listed file", "none"))?;
        let bytes = directory::read_file(root, path, max_file_bytes)?;
        let digest = Digest::sha256(&bytes);
        if digest != entry.sha256 {
            Refusal::new(INDEX_DIGEST, path, entry.sha256, digest).raise()?;
        }
        Ok(bytes)
    }

    /// Hands the bytes of a listed file to `each` in pieces of `piece_bytes`, the last perhaps shorter; returns their digest,
    /// which is the listed one. Memory: one piece.
    ///
    /// *Caller must* trust nothing of the pieces before this returns.
    pub fn read_pieces(
        &self,
        root: &Path,
        path: &str,
        piece_bytes: u64,
        each: &mut dyn FnMut(&[u8]) -> Result<(), Refusal>,
    ) -> Result<Digest, Refusal> {
        let entry = self.find(path).ok_or_else(|| Refusal::new(FILE_MISSING, path, "a listed file", "none"))?;
        let mut hasher = Sha256::new();
        directory::read_pieces(root, path, entry.size, piece_bytes, &mut |piece| {
            hasher.update(piece);
            each(piece)
        })?;
        let digest = Digest::from_bytes(hasher.finalize().into());
        if digest != entry.sha256 {
            Refusal::new(INDEX_DIGEST, path, entry.sha256, digest).raise()?;
        }
        Ok(digest)
    }

    /// The entry of `path`.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&IndexEntry> {
        let position = self.entries.binary_search_by(|entry| entry.path.as_str().cmp(path)).ok()?;
        self.entries.get(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leaves_the_certificate_is_refused() {
        let index =
            |path: &str| Index::new(vec![IndexEntry { path: path.into(), sha256: Digest::sha256(b""), size: 0 }]);
        assert!(index("proofs/a").is_ok());
        for path in ["../a", "proofs/../../a", "/a", "proofs//a", "./a"] {
            assert_eq!(index(path).unwrap_err().code(), INDEX_PATH, "{path}");
        }
    }
}
