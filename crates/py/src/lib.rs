//! The Python module `veritune._core`: conversions and one error map, nothing else.
//!
//! The contract is `python/veritune/_core.pyi`: structured data crosses as JSON strings, arrays as
//! C-contiguous `int64`, and every failure is a `CoreError`.

mod error;

/// The functions of the core.
#[pyo3::pymodule]
pub mod _core {
    #[pymodule_export]
    use super::error::CoreError;
    use pyo3::prelude::*;

    /// Returns the version of the Rust core, the same string as the Python package's version.
    #[pyfunction]
    fn core_version() -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}
