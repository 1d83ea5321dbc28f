//! Whole files, read with a limit, and where their tensors lie.

use crate::{ElementType, ModelError};
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;

/// Limit of `config.json`.
pub(crate) const MAX_CONFIG_BYTES: u64 = 1 << 20;
/// Limit of the index of a sharded checkpoint, and of the header of a safetensors file: some hundred bytes a tensor. Parsed
/// JSON takes many times as much memory.
pub(crate) const MAX_INDEX_BYTES: u64 = 1 << 22;
/// Limit of one file of weights.
pub(crate) const MAX_WEIGHTS_BYTES: u64 = 1 << 37;

/// A file of the model directory.
pub(crate) struct SourceFile {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// A tensor of a file, checked to lie inside it and to have as many bytes as its shape needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredTensor {
    /// Name, as the file spells it.
    pub(crate) name: String,
    /// Outermost axis first.
    pub(crate) shape: Vec<usize>,
    pub(crate) element: ElementType,
    /// Which of the checkpoint's files.
    pub(crate) file: usize,
    /// Its bytes in that file.
    pub(crate) range: Range<usize>,
}

impl SourceFile {
    /// Reads `directory/name`, a regular file (or a link to one) of at most `limit_bytes`.
    ///
    /// Everything that is said about the file later is said about these bytes: it is read once.
    pub(crate) fn read(directory: &Path, name: &str, limit_bytes: u64) -> Result<Self, ModelError> {
        let unreadable = |problem: String| ModelError::Unreadable { file: name.to_owned(), problem };
        let path = directory.join(name);
        let metadata = std::fs::metadata(&path).map_err(|error| unreadable(error.to_string()))?;
        if !metadata.is_file() {
            return Err(unreadable("not a regular file".to_owned()));
        }
        let too_large = |got_bytes| ModelError::TooLarge { file: name.to_owned(), limit_bytes, got_bytes };
        if metadata.len() > limit_bytes {
            return Err(too_large(metadata.len()));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
        let file = std::fs::File::open(&path).map_err(|error| unreadable(error.to_string()))?;
        file.take(limit_bytes.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| unreadable(error.to_string()))?;
        let got_bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if got_bytes > limit_bytes {
            return Err(too_large(got_bytes));
        }
        Ok(Self { name: name.to_owned(), bytes })
    }
}

/// The names in `directory` that are UTF-8, sorted.
pub(crate) fn names(directory: &Path) -> Result<Vec<String>, ModelError> {
    let unreadable =
        |error: std::io::Error| ModelError::Unreadable { file: ".".to_owned(), problem: error.to_string() };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        if let Ok(name) = entry.map_err(unreadable)?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
