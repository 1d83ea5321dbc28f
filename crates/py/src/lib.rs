//! The Python module `veritune._core`: conversions and one error map, nothing else.
//!
//! The contract is `python/veritune/_core.pyi`: structured data crosses as JSON strings, arrays as
//! C-contiguous `int64`, and every failure is a `CoreError`.

mod certificates;
mod error;
mod plans;
mod prediction;
mod runs;
mod work;

use error::Failure;
use numpy::{PyReadonlyArray2, PyUntypedArrayMethods};
use serde::Serialize;
use serde::de::DeserializeOwned;
use veritune_run::codes;
use veritune_run::dataset::Rows;
use zeroize::Zeroizing;

// A verifier whose checks can be switched off must not exist outside tests.
const _: () = assert!(!veritune_mutation::ENABLED);

/// Token ids or targets: `(rows, positions)` int64, C-contiguous.
type Ids<'py> = PyReadonlyArray2<'py, i64>;

/// Rows from two arrays of one shape and 32 bytes of meta data for each row.
fn rows_of<'a>(tokens: &'a Ids<'_>, targets: &'a Ids<'_>, meta: &'a [u8]) -> Result<Rows<'a>, Failure> {
    let wrong = |reason: &str| Failure::new(codes::CALL, reason, "data");
    if tokens.shape() != targets.shape() {
        return Err(wrong("tokens and targets have different shapes"));
    }
    let (meta, rest) = meta.as_chunks::<32>();
    if meta.len() != tokens.shape()[0] || !rest.is_empty() {
        return Err(wrong("meta must be 32 bytes for each row"));
    }
    // A slice of a column-major array would be its transpose.
    match (tokens.as_slice(), targets.as_slice()) {
        (Ok(a), Ok(b)) if tokens.is_c_contiguous() && targets.is_c_contiguous() => {
            Ok(Rows { tokens: a, targets: b, meta })
        }
        _ => Err(wrong("arrays must be C-contiguous")),
    }
}

/// A value that Python sent as JSON text.
fn from_json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| Failure::json(what, error))
}

/// JSON text for Python.
fn to_json<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::new(codes::CALL, error, "answer"))
}

/// 32 secret bytes.
fn secret_of(bytes: &[u8]) -> Result<Zeroizing<[u8; 32]>, Failure> {
    let mut secret = Zeroizing::new([0; 32]);
    if bytes.len() != secret.len() {
        return Err(Failure::new(codes::FILE, "the row salt must be 32 bytes", "data/secret/salt.bin"));
    }
    secret.copy_from_slice(bytes);
    Ok(secret)
}

/// Lower-case hex.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The functions of the core.
#[pyo3::pymodule]
pub mod _core {
    #[pymodule_export]
    use super::certificates::{export_adapter, generate_key, key_id, public_key, sign, verify};
    #[pymodule_export]
    use super::error::CoreError;
    #[pymodule_export]
    use super::plans::{calibrate, commit_data, commit_model, make_spec};
    #[pymodule_export]
    use super::prediction::{counts, measure};
    #[pymodule_export]
    use super::runs::{check_seed, prove, train};
    #[pymodule_export]
    use super::work::stop;
    use pyo3::prelude::*;

    /// Returns the version of the Rust core, the same string as the Python package's version.
    #[pyfunction]
    fn core_version() -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}
