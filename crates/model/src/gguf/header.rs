//! Metadata and tensor directory of a GGUF file.

use super::cursor::Cursor;
use crate::error::shown;
use crate::source_file::{SourceFile, StoredTensor};
use crate::{ElementType, ModelError};
use std::collections::BTreeMap;

const MAGIC: [u8; 4] = *b"GGUF";
const MAX_KEY_BYTES: u64 = (1 << 16) - 1;
const MAX_STRING_BYTES: u64 = 1 << 24;
const MAX_TENSOR_NAME_BYTES: u64 = 64;
const MAX_AXES: u32 = 4;
/// Most metadata keys, and most tensors: an entry takes several times as much memory as its bytes.
const MAX_ENTRIES: u64 = 1 << 16;
const MAX_ALIGNMENT: u64 = 1 << 16;
const DEFAULT_ALIGNMENT: u64 = 32;

/// A metadata value. The contents of an array are skipped: tokenizers are read elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Integer(i128),
    Float(f64),
    /// Kept apart from `Float`: its shortest decimal is another.
    Float32(f32),
    Bool(bool),
    Text(String),
    Array {
        len: u64,
    },
}

impl Value {
    /// What a message shows.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Integer(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Float32(value) => value.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::Text(value) => shown(value),
            Self::Array { len } => format!("an array of {len}"),
        }
    }
}

/// Metadata by key, and the tensors in file order.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) metadata: BTreeMap<String, Value>,
    pub(crate) tensors: Vec<StoredTensor>,
}

impl Header {
    /// Reads and checks everything but the values of the tensors. Work is linear in the bytes read: a count never
    /// reserves memory, each entry consumes bytes.
    pub(crate) fn parse(file: &SourceFile) -> Result<Self, ModelError> {
        let mut cursor = Cursor::new(&file.name, &file.bytes);
        let magic: [u8; 4] = cursor.array()?;
        if magic != MAGIC {
            return Err(cursor.malformed(0, "the magic GGUF", shown(&String::from_utf8_lossy(&magic))));
        }
        let version = cursor.u32()?;
        if version != 2 && version != 3 {
            return Err(cursor.malformed(4, "version 2 or 3, little-endian", version));
        }
        let num_tensors = cursor.u64()?;
        let num_keys = cursor.u64()?;
        for (offset, count) in [(8, num_tensors), (16, num_keys)] {
            if count > MAX_ENTRIES {
                return Err(cursor.malformed(offset, "at most 65536 tensors and as many keys", count));
            }
        }
        let mut metadata = BTreeMap::new();
        for _ in 0..num_keys {
            let offset = cursor.offset();
            let key = cursor.text(MAX_KEY_BYTES)?.to_owned();
            let value = value(&mut cursor)?;
            if metadata.contains_key(&key) {
                return Err(cursor.malformed(offset, "a key that is not there yet", shown(&key)));
            }
            metadata.insert(key, value);
        }
        let alignment = alignment(&cursor, &metadata)?;
        let entries = directory(&mut cursor, num_tensors, alignment)?;
        let tensors = place(&cursor, file.bytes.len(), entries, alignment)?;
        Ok(Self { metadata, tensors })
    }
}

fn value(cursor: &mut Cursor<'_>) -> Result<Value, ModelError> {
    let offset = cursor.offset();
    Ok(match cursor.u32()? {
        0 => Value::Integer(i128::from(u8::from_le_bytes(cursor.array()?))),
        1 => Value::Integer(i128::from(i8::from_le_bytes(cursor.array()?))),
        2 => Value::Integer(i128::from(u16::from_le_bytes(cursor.array()?))),
        3 => Value::Integer(i128::from(i16::from_le_bytes(cursor.array()?))),
        4 => Value::Integer(i128::from(cursor.u32()?)),
        5 => Value::Integer(i128::from(i32::from_le_bytes(cursor.array()?))),
        6 => Value::Float32(f32::from_le_bytes(cursor.array()?)),
        7 => match cursor.array()? {
            [0] => Value::Bool(false),
            [1] => Value::Bool(true),
            [other] => return Err(cursor.malformed(offset, "a boolean 0 or 1", other)),
        },
        8 => Value::Text(cursor.text(MAX_STRING_BYTES)?.to_owned()),
        9 => array(cursor)?,
        10 => Value::Integer(i128::from(cursor.u64()?)),
        11 => Value::Integer(i128::from(i64::from_le_bytes(cursor.array()?))),
        12 => Value::Float(f64::from_le_bytes(cursor.array()?)),
        other => return Err(cursor.malformed(offset, "a value type from 0 to 12", other)),
    })
}

fn array(cursor: &mut Cursor<'_>) -> Result<Value, ModelError> {
    let offset = cursor.offset();
    let element = cursor.u32()?;
    let len = cursor.u64()?;
    let element_bytes = match element {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        10..=12 => 8,
        8 => {
            for _ in 0..len {
                let bytes = cursor.u64()?;
                cursor.take(bytes)?;
            }
            return Ok(Value::Array { len });
        }
        other => {
            return Err(cursor.malformed(offset, "an array of numbers, booleans or strings", other));
        }
    };
    cursor.take(len.saturating_mul(element_bytes))?;
    Ok(Value::Array { len })
}

fn alignment(cursor: &Cursor<'_>, metadata: &BTreeMap<String, Value>) -> Result<u64, ModelError> {
    let Some(value) = metadata.get("general.alignment") else {
        return Ok(DEFAULT_ALIGNMENT);
    };
    let alignment = match value {
        Value::Integer(value) => u64::try_from(*value).ok(),
        _ => None,
    };
    alignment.filter(|a| a.is_power_of_two() && (8..=MAX_ALIGNMENT).contains(a)).ok_or_else(|| {
        cursor.malformed(cursor.offset(), "general.alignment a power of two from 8 to 65536", value.shown())
    })
}

/// A row of the tensor directory.
struct Entry {
    name: String,
    shape: Vec<usize>,
    element: ElementType,
    num_bytes: u64,
}

/// Reads the directory and checks that each tensor starts where the one before it ends, rounded up. A repeated name
/// is refused with the unexpected ones.
fn directory(cursor: &mut Cursor<'_>, num_tensors: u64, alignment: u64) -> Result<Vec<Entry>, ModelError> {
    let mut entries = Vec::new();
    let mut next_offset = 0u64;
    for _ in 0..num_tensors {
        let name = cursor.text(MAX_TENSOR_NAME_BYTES)?.to_owned();
        let at = cursor.offset();
        let num_axes = cursor.u32()?;
        if !(1..=MAX_AXES).contains(&num_axes) {
            return Err(cursor.malformed(at, "1 to 4 axes", num_axes));
        }
        let mut shape = Vec::new();
        for _ in 0..num_axes {
            let at = cursor.offset();
            let axis = cursor.u64()?;
            let axis = usize::try_from(axis).ok().filter(|axis| *axis > 0);
            shape.push(axis.ok_or_else(|| cursor.malformed(at, "a positive axis", "another number"))?);
        }
        shape.reverse();
        let element = element(&name, cursor.u32()?)?;
        let num_bytes = element.num_bytes(&shape).and_then(|bytes| u64::try_from(bytes).ok());
        let num_bytes = num_bytes.ok_or_else(|| ModelError::ElementType {
            name: shown(&name),
            supported: format!("{element} in rows of whole blocks of {}", element.block_len()),
            got: format!("shape {shape:?}"),
        })?;
        let at = cursor.offset();
        let offset = cursor.u64()?;
        if offset != next_offset {
            return Err(cursor.malformed(at, &format!("tensor {} at offset {next_offset}", shown(&name)), offset));
        }
        next_offset = offset
            .checked_add(num_bytes)
            .and_then(|end| end.checked_next_multiple_of(alignment))
            .ok_or_else(|| cursor.malformed(at, "a tensor that ends before 2^64", num_bytes))?;
        entries.push(Entry { name, shape, element, num_bytes });
    }
    Ok(entries)
}

fn element(name: &str, id: u32) -> Result<ElementType, ModelError> {
    Ok(match id {
        0 => ElementType::F32,
        1 => ElementType::F16,
        2 => ElementType::Q4_0,
        3 => ElementType::Q4_1,
        8 => ElementType::Q8_0,
        30 => ElementType::Bf16,
        other => {
            return Err(ModelError::ElementType {
                name: shown(name),
                supported: "F32, F16, BF16, Q4_0, Q4_1 and Q8_0".to_owned(),
                got: format!("GGML type {other}"),
            });
        }
    })
}

/// Finds the bytes of each tensor: the data start at the next multiple of the alignment after the directory, and
/// the file ends with the last tensor, with or without its padding.
fn place(
    cursor: &Cursor<'_>,
    file_len: usize,
    entries: Vec<Entry>,
    alignment: u64,
) -> Result<Vec<StoredTensor>, ModelError> {
    let past_end = || cursor.malformed(file_len, "all bytes of the tensors", "the end of the file");
    let aligned = |end: usize| end.checked_next_multiple_of(usize::try_from(alignment).ok()?);
    let mut start = aligned(cursor.offset()).ok_or_else(past_end)?;
    let mut end = start;
    let mut tensors = Vec::new();
    for Entry { name, shape, element, num_bytes } in entries {
        let num_bytes = usize::try_from(num_bytes).map_err(|_| past_end())?;
        end = start.checked_add(num_bytes).filter(|end| *end <= file_len).ok_or_else(past_end)?;
        tensors.push(StoredTensor { name, shape, element, file: 0, range: start..end });
        start = aligned(end).ok_or_else(past_end)?;
    }
    if file_len != end && file_len != start {
        return Err(cursor.malformed(end, "the end of the file after the last tensor", format!("{file_len} bytes")));
    }
    Ok(tensors)
}
