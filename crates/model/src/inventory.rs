//! What was read: every file and every tensor with its SHA-256.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The schema of a serialized [`Inventory`].
pub const INVENTORY_SCHEMA: &str = "veritune.model-inventory/v1";

/// Container of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `model.safetensors`, or shards with an index.
    Safetensors,
    /// One GGUF file.
    Gguf,
}

/// One file that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    /// File name inside the model directory.
    pub name: String,
    /// Its size.
    pub num_bytes: u64,
    /// SHA-256 of its bytes, 64 lower-case hexadecimal digits.
    pub sha256: String,
}

impl FileRecord {
    pub(crate) fn of(name: &str, bytes: &[u8]) -> Self {
        Self { name: name.to_owned(), num_bytes: num_bytes(bytes), sha256: sha256_hex(bytes) }
    }
}

/// One tensor of the checkpoint, as the file holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorRecord {
    /// Name, as the file spells it.
    pub name: String,
    /// Element type: `BF16`, `F16`, `F32`, `Q4_0`, `Q4_1` or `Q8_0`.
    pub dtype: String,
    /// Outermost axis first, also for GGUF, which stores it the other way round.
    pub shape: Vec<usize>,
    /// Size of its bytes in the file.
    pub num_bytes: u64,
    /// SHA-256 of its bytes in the file: still quantised and, for GGUF, still permuted.
    pub sha256: String,
}

/// Every file that was read and every tensor in them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// [`INVENTORY_SCHEMA`].
    pub schema: String,
    /// Container of the weights.
    pub format: Format,
    /// Sorted by name.
    pub files: Vec<FileRecord>,
    /// Sorted by name.
    pub tensors: Vec<TensorRecord>,
}

pub(crate) fn num_bytes(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::sha256_hex;

    #[test]
    fn digest_of_abc() {
        // FIPS 180-4, the message "abc".
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_hex(b"abc"), expected);
    }
}
