//! Fuzz targets: one function per target, any bytes in, nothing out. A target panics only if a property is broken.
//!
//! The functions need no fuzzer: `tests/corpus.rs` runs them on the committed inputs. `libfuzzer/` links each of them to
//! libFuzzer, with a limit on time and on allocations. docs/notes/fuzzing.md is the guide.

pub mod canonical_json;

/// A target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name: of its module, its program and its folder of inputs.
    pub name: &'static str,
    /// What it does with an input.
    pub run: fn(&[u8]),
}

/// Every target of this build.
pub const TARGETS: &[Target] = &[Target { name: "canonical_json", run: canonical_json::run }];
