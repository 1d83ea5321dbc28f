//! Digests of records that both sides build: of a spec, and of a built program, which a plan pins beside the spec, so that a
//! change of tables or equations in another version of the code is noticed before anything is proved.

use crate::program::{Axis, AxisId, Equation, Lookup, OneHot, Place, Program, Range, TensorId};
use crate::spec::Spec;
use crate::step::{StepError, Tables, build_with, no_leaves};
use serde::Serialize;

/// BLAKE3 of a record as compact JSON, fields in the order of their declaration, maps sorted by key.
pub(crate) fn record_digest(context: &str, record: &impl Serialize) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    // A hasher takes every byte, and our records have no keys but text.
    serde_json::to_writer(&mut hasher, record).expect("a record is JSON");
    *hasher.finalize().as_bytes()
}

/// The digest that a plan pins: of the first step's program without leaves, so that it follows from the spec alone.
pub fn spec_digest(spec: &Spec, tables: &Tables) -> Result<[u8; 32], StepError> {
    Ok(program_digest(&build_with(spec, tables, 1, &no_leaves(spec))?.program))
}

/// What a program states: all of it but how it is executed and which values its outputs have.
#[derive(Serialize)]
struct Stated<'a> {
    range_bits: u32,
    axes: &'a [Axis],
    tensors: Vec<StatedTensor<'a>>,
    one_hots: &'a [OneHot],
    equations: &'a [Equation],
    lookups: &'a [Lookup],
    tables: Vec<StatedTable<'a>>,
    outputs: Vec<TensorId>,
}

#[derive(Serialize)]
struct StatedTensor<'a> {
    name: &'a str,
    axes: &'a [AxisId],
    place: Place,
    range: Range,
    range_by_other: bool,
    values: Option<[u8; 32]>,
}

#[derive(Serialize)]
struct StatedTable<'a> {
    name: &'a str,
    tag: u64,
    columns: Vec<[u8; 32]>,
}

/// BLAKE3 of a column of values, 8 bytes each, little endian.
fn column_digest(values: &[i64]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("veritune column v1");
    for value in values {
        hasher.update(&value.to_le_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// The digest of axes, tensors, equations, lookups, tables and which tensors are outputs; columns of values by their own.
pub fn program_digest(program: &Program) -> [u8; 32] {
    let tensors = program.tensors.iter().map(|tensor| StatedTensor {
        name: &tensor.name,
        axes: &tensor.axes,
        place: tensor.place,
        range: tensor.range,
        range_by_other: tensor.range_by_other,
        values: tensor.values.as_deref().map(column_digest),
    });
    let tables = program.tables.iter().map(|table| StatedTable {
        name: &table.name,
        tag: table.tag,
        columns: table.columns.iter().map(|column| column_digest(column)).collect(),
    });
    let stated = Stated {
        range_bits: program.range_bits,
        axes: &program.axes,
        tensors: tensors.collect(),
        one_hots: &program.one_hots,
        equations: &program.equations,
        lookups: &program.lookups,
        tables: tables.collect(),
        outputs: program.outputs.iter().map(|output| output.tensor).collect(),
    };
    record_digest("veritune program v1", &stated)
}
