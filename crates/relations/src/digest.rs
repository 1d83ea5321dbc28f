//! Digest of a built program: what a plan pins beside the spec, so that a change of tables or equations in another
//! version of the code is noticed before anything is proved.

use crate::program::Program;
use crate::spec::Spec;
use crate::step::{StepError, Tables, build_with, no_leaves};

/// The digest that a plan pins: of the first step's program without leaves, so that it follows from the spec alone.
pub fn spec_digest(spec: &Spec, tables: &Tables) -> Result<[u8; 32], StepError> {
    Ok(program_digest(&build_with(spec, tables, 1, &no_leaves(spec))?.program))
}

/// BLAKE3 over axes, tensors, equations, lookups, tables and which tensors are outputs. Values are 8 bytes LE, structure is Rust's debug text.
pub fn program_digest(program: &Program) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("veritune program v1");
    let mut text = |part: &str, value: String| {
        hasher.update(part.as_bytes());
        hasher.update(&value.len().to_le_bytes());
        hasher.update(value.as_bytes());
    };
    text("range bits", format!("{}", program.range_bits));
    text("axes", format!("{:?}", program.axes));
    for tensor in &program.tensors {
        text(
            "tensor",
            format!("{:?}", (&tensor.name, &tensor.axes, tensor.place, tensor.range, tensor.range_by_other)),
        );
    }
    text("one-hots", format!("{:?}", program.one_hots));
    text("equations", format!("{:?}", program.equations));
    text("lookups", format!("{:?}", program.lookups));
    let outputs: Vec<_> = program.outputs.iter().map(|output| output.tensor).collect();
    text("outputs", format!("{outputs:?}"));
    let public = program.tensors.iter().filter_map(|t| t.values.as_ref());
    for column in public.chain(program.tables.iter().flat_map(|t| t.columns.iter())) {
        hasher.update(&column.len().to_le_bytes());
        for value in column {
            hasher.update(&value.to_le_bytes());
        }
    }
    *hasher.finalize().as_bytes()
}
