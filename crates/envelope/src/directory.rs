//! The files of an adapter directory and of a certificate: an allow-list, and reading with a limit.
//!
//! ```text
//! adapter_model.safetensors  adapter_config.json       needed
//! adapter_release.bin                                  allowed beside a hidden adapter
//! README.md                                            allowed, never read
//! model.sig                                            allowed
//! veritune/NAME  veritune/proofs/NAME                  allowed; the index says which
//! ```
//!
//! Everything else is refused by name: another file could change what a loader does (`adapter_model.bin`,
//! `tokenizer_config.json` with code). Symbolic links and special files are refused. A directory that changes while it
//! is verified is out of scope, except that bytes are hashed as they were read.

use crate::codes::{
    DIRECTORY_EXTRA, DIRECTORY_NOT_REGULAR, DIRECTORY_TOO_MANY, FILE_MISSING, FILE_TOO_LARGE, PATH_UNREADABLE,
};
use crate::index::is_safe_name;
use crate::verdict::Refusal;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

/// The adapter's weights.
pub const ADAPTER_MODEL: &str = "adapter_model.safetensors";
/// The adapter's configuration.
pub const ADAPTER_CONFIG: &str = "adapter_config.json";
/// The proof that the weights are those of the last state, beside a hidden adapter. A public one's lies in the certificate.
pub const ADAPTER_RELEASE: &str = "adapter_release.bin";
/// The certificate inside an adapter directory.
pub const CERTIFICATE: &str = "veritune";
/// The proofs inside a certificate.
pub const PROOFS: &str = "proofs";
/// The OpenSSF model signature.
pub const MODEL_SIGNATURE: &str = "model.sig";
/// The model card.
pub const README: &str = "README.md";

/// Most entries of one directory.
pub const MAX_ENTRIES: usize = 1 << 17;

/// The files below a directory, with sizes, sorted by path; separators are `/`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing(BTreeMap<String, u64>);

impl Listing {
    /// The paths, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The size of a file in bytes; `None` if it is not there.
    #[must_use]
    pub fn size(&self, path: &str) -> Option<u64> {
        self.0.get(path).copied()
    }
}

/// The files of an adapter directory; accepts iff all are on the allow-list and the adapter's two files are there.
///
/// The certificate's files are listed by [`list_certificate`]. *Caller must* refuse [`ADAPTER_RELEASE`] beside an adapter
/// that is not hidden.
pub fn list_adapter(root: &Path) -> Result<Listing, Refusal> {
    let files = [ADAPTER_MODEL, ADAPTER_CONFIG, ADAPTER_RELEASE, MODEL_SIGNATURE, README];
    let mut listing = Listing::default();
    list(root, "", &|name| files.contains(&name), Some(CERTIFICATE), &mut listing)?;
    for needed in [ADAPTER_MODEL, ADAPTER_CONFIG] {
        if listing.size(needed).is_none() {
            return Err(Refusal::new(FILE_MISSING, needed, "the adapter's file", "none"));
        }
    }
    Ok(listing)
}

/// The files of a certificate; accepts iff all have safe names and lie in it or in its `proofs`.
pub fn list_certificate(root: &Path) -> Result<Listing, Refusal> {
    let mut listing = Listing::default();
    if list(root, "", &is_safe_name, Some(PROOFS), &mut listing)? {
        list(&root.join(PROOFS), "proofs/", &is_safe_name, None, &mut listing)?;
    }
    Ok(listing)
}

/// Adds the files of `directory` to `listing`; true iff the one allowed subdirectory is there.
fn list(
    directory: &Path,
    prefix: &str,
    allowed: &dyn Fn(&str) -> bool,
    subdirectory: Option<&str>,
    listing: &mut Listing,
) -> Result<bool, Refusal> {
    let unreadable = |error: io::Error| unreadable(if prefix.is_empty() { "." } else { prefix }, &error);
    let mut has_subdirectory = false;
    for (count, entry) in fs::read_dir(directory).map_err(unreadable)?.enumerate() {
        if count >= MAX_ENTRIES {
            return Err(Refusal::new(
                DIRECTORY_TOO_MANY,
                if prefix.is_empty() { "." } else { prefix },
                format_args!("at most {MAX_ENTRIES} entries"),
                "more",
            ));
        }
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let location = format!("{prefix}{}", name.to_string_lossy());
        // Of a symbolic link, this is the link itself.
        let metadata = entry.metadata().map_err(unreadable)?;
        let name = name.to_str().unwrap_or("");
        if metadata.is_dir() {
            if subdirectory != Some(name) {
                return Err(Refusal::new(DIRECTORY_EXTRA, location, "a listed file", "a directory"));
            }
            has_subdirectory = true;
        } else if !metadata.is_file() {
            return Err(not_regular(&location));
        } else if subdirectory == Some(name) || !allowed(name) {
            Refusal::new(DIRECTORY_EXTRA, location, "a file of the allow-list", "another file").raise()?;
        } else {
            listing.0.insert(location, metadata.len());
        }
    }
    Ok(has_subdirectory)
}

/// The bytes of the regular file `path` below `root`, at most `limit` of them.
///
/// *Caller must* pass a `path` that a listing or an index holds.
pub fn read_file(root: &Path, path: &str, limit: u64) -> Result<Vec<u8>, Refusal> {
    let file = open_file(root, path)?;
    let len = file.metadata().map_err(|error| unreadable(path, &error))?.len();
    // At once: a vector that grows as it is read would take up to twice as much.
    let mut bytes = Vec::with_capacity(usize::try_from(len.min(limit)).unwrap_or(0));
    // One byte more than the limit shows that there are more.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    if u64::try_from(bytes.len()).is_ok_and(|size| size <= limit) {
        return Ok(bytes);
    }
    Err(too_large(path, limit))
}

/// Hands the bytes of a regular file, at most `limit` of them, to `each` in pieces of `piece_bytes`, the last perhaps shorter.
///
/// *Caller must* pass a `path` that a listing or an index holds.
pub fn read_pieces(
    root: &Path,
    path: &str,
    limit: u64,
    piece_bytes: u64,
    each: &mut dyn FnMut(&[u8]) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut file = open_file(root, path)?;
    let (mut piece, mut read) = (Vec::new(), 0_u64);
    loop {
        piece.clear();
        file.by_ref().take(piece_bytes).read_to_end(&mut piece).map_err(|error| unreadable(path, &error))?;
        if piece.is_empty() {
            return Ok(());
        }
        read = read.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if read > limit {
            return Err(too_large(path, limit));
        }
        each(&piece)?;
    }
}

/// The regular file `path` below `root`.
fn open_file(root: &Path, path: &str) -> Result<fs::File, Refusal> {
    let full_path = root.join(path);
    let metadata = match fs::symlink_metadata(&full_path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Refusal::new(FILE_MISSING, path, "a file", "none"));
        }
        other => other.map_err(|error| unreadable(path, &error))?,
    };
    if !metadata.is_file() {
        return Err(not_regular(path));
    }
    fs::File::open(&full_path).map_err(|error| unreadable(path, &error))
}

fn too_large(path: &str, limit: u64) -> Refusal {
    Refusal::new(FILE_TOO_LARGE, path, format_args!("at most {limit} bytes"), "more")
}

fn not_regular(location: &str) -> Refusal {
    Refusal::new(DIRECTORY_NOT_REGULAR, location, "a regular file", "a link or a special file")
}

fn unreadable(location: &str, error: &io::Error) -> Refusal {
    Refusal::new(PATH_UNREADABLE, location, "a readable path", error)
}
