//! Fuzz targets: one function per target, any bytes in, nothing out. A target panics only if a property is broken.
//!
//! The functions need no fuzzer: `tests/corpus.rs` runs them on the committed inputs. `libfuzzer/` links each of them to
//! libFuzzer, with a limit on time and on memory. docs/notes/fuzzing.md is the guide.

pub mod adapter_files;
pub mod canonical_json;
pub mod certificate;
#[cfg(feature = "mutation-testing")]
pub mod certificate_switched;
pub mod container;
pub mod gguf;
pub mod keys;
pub mod opening;
pub mod plan_files;
pub mod policy;
pub mod proof;
#[cfg(feature = "mutation-testing")]
pub mod proof_switched;
pub mod safetensors;
pub mod spec;
pub mod statement;

mod bytes;
pub mod certified;
mod checkpoint;
pub mod key;
mod scratch;

/// A target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name: of its module, its program and its folder of inputs.
    pub name: &'static str,
    /// What it does with an input.
    pub run: fn(&[u8]),
    /// Inputs from which a fuzzer begins.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

macro_rules! targets {
    ($($(#[$condition:meta])? $name:ident),+ $(,)?) => {
        /// Every target of this build.
        pub const TARGETS: &[Target] = &[
            $($(#[$condition])? Target { name: stringify!($name), run: $name::run, seeds: $name::seeds }),+
        ];
    };
}

targets![
    adapter_files,
    canonical_json,
    certificate,
    #[cfg(feature = "mutation-testing")]
    certificate_switched,
    container,
    gguf,
    keys,
    opening,
    plan_files,
    policy,
    proof,
    #[cfg(feature = "mutation-testing")]
    proof_switched,
    safetensors,
    spec,
    statement,
];
