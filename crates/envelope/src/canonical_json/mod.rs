//! RFC 8785 canonical JSON without floats, read strictly and decoded into types without loss.
//!
//! A *strict* text follows the grammar of RFC 8259 in UTF-8 and holds no duplicate key, no unpaired surrogate, no
//! number but integers of magnitude at most 2^53 and no nesting beyond [`MAX_DEPTH`]; nothing follows the value.
//! A *canonical* text is strict and is what [`Value::to_canonical`] writes: no white space, keys in the order of
//! their UTF-16 code units, shortest escapes. Integers beyond 2^53, field elements and decimals are strings.
//!
//! Source: RFC 8785 §3.2. Our own parser because the available ones accept duplicate keys or floats.

mod parse;
mod value;

pub use parse::{MAX_DEPTH, MAX_VALUES, parse};
pub use value::{MAX_INTEGER, Value};

use crate::codes::{JSON_NOT_CANONICAL, JSON_SHAPE};
use crate::verdict::Refusal;
use serde::{Serialize, de::DeserializeOwned};

/// The value of a canonical text of at most `limit` bytes.
pub fn parse_canonical(bytes: &[u8], limit: usize) -> Result<Value, Refusal> {
    let value = parse(bytes, limit)?;
    let canonical = value.to_canonical();
    if canonical == bytes {
        return Ok(value);
    }
    let offset = canonical.iter().zip(bytes).take_while(|(a, b)| a == b).count();
    Err(Refusal::new(
        JSON_NOT_CANONICAL,
        format_args!("byte {offset}"),
        "the RFC 8785 form",
        "another form of the same value",
    ))
}

/// The `T` that a strict text holds; writing it again gives the same value.
///
/// The comparison closes what serde leaves open: an array in place of an object, `null` in place of an absent field.
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, Refusal> {
    let value = parse(bytes, limit)?;
    decode_parsed(bytes, &value)
}

/// The `T` that a canonical text holds; writing it again gives the same bytes.
pub fn decode_canonical<T: Serialize + DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, Refusal> {
    let value = parse_canonical(bytes, limit)?;
    decode_parsed(bytes, &value)
}

/// The `T` that strict `bytes` with the parsed `value` hold.
pub(crate) fn decode_parsed<T: Serialize + DeserializeOwned>(bytes: &[u8], value: &Value) -> Result<T, Refusal> {
    let decoded: T = serde_json::from_slice(bytes).map_err(|error| {
        Refusal::new(
            JSON_SHAPE,
            format_args!("line {} column {}", error.line(), error.column()),
            "the fields of the schema",
            error,
        )
    })?;
    match to_value(&decoded)?.first_difference(value) {
        None => Ok(decoded),
        Some(path) => Err(Refusal::new(JSON_SHAPE, path, "the field in the schema's form", "another form")),
    }
}

/// The value that `source` serialises to; refused if it holds a float or an integer beyond 2^53.
pub fn to_value<T: Serialize>(source: &T) -> Result<Value, Refusal> {
    let bytes = serde_json::to_vec(source)
        .map_err(|error| Refusal::new(JSON_SHAPE, "the value to write", "a JSON value", error))?;
    parse(&bytes, usize::MAX)
}

/// The canonical text of `source`; refused if it holds a float or an integer beyond 2^53.
pub fn to_bytes<T: Serialize>(source: &T) -> Result<Vec<u8>, Refusal> {
    Ok(to_value(source)?.to_canonical())
}

#[cfg(test)]
mod tests;
