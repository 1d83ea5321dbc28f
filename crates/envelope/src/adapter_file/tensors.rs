//! `adapter_model.safetensors` as a function of integers.
//!
//! The bytes are those that the safetensors library itself writes for these tensors with the metadata
//! `{"format": "pt"}`, as PEFT does:
//!
//! ```text
//! u64 little-endian: length of the header, a multiple of 8
//! {"__metadata__":{"format":"pt"},"NAME":{"dtype":"F32","shape":[…],"data_offsets":[START,END]},…}
//! spaces up to the length
//! float32 little-endian, tensor after tensor, without gaps
//! ```
//!
//! Tensors are sorted by the bytes of their names (so `layers.10` comes before `layers.2`).

use super::float32;
use crate::codes::{ADAPTER_FLOAT, ADAPTER_HEADER, ADAPTER_LAYOUT, ADAPTER_LENGTH, ADAPTER_VALUE};
use crate::verdict::Refusal;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What is public about a tensor: its place in the file and its scale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorLayout {
    /// Letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// The extents, slowest first; one at least, none zero.
    pub shape: Vec<u64>,
    /// The scale is 2 to minus this.
    pub fraction_bits: u32,
}

impl TensorLayout {
    /// The number of elements, if it and the number of bytes fit the machine.
    fn num_elements(&self) -> Option<usize> {
        let elements = self.shape.iter().try_fold(1u64, |product, extent| product.checked_mul(*extent))?;
        let elements = usize::try_from(elements).ok()?;
        elements.checked_mul(ELEMENT_BYTES).map(|_| elements)
    }
}

/// A tensor of integers at a scale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Name, shape and scale.
    pub layout: TensorLayout,
    /// The integers in row-major order, magnitude below 2^24.
    pub values: Vec<i64>,
}

const ELEMENT_BYTES: usize = 4;
const LENGTH_BYTES: usize = 8;

/// The file of `tensors`, which may come in any order.
pub fn encode(tensors: &[Tensor]) -> Result<Vec<u8>, Refusal> {
    let sorted = sort(tensors, |tensor| &tensor.layout)?;
    let layouts: Vec<&TensorLayout> = sorted.iter().map(|tensor| &tensor.layout).collect();
    let mut out = header(&layouts)?;
    for tensor in sorted {
        let layout = &tensor.layout;
        if layout.num_elements() != Some(tensor.values.len()) {
            return Err(Refusal::new(
                ADAPTER_LAYOUT,
                &layout.name,
                format_args!("the elements of shape {:?}", layout.shape),
                tensor.values.len(),
            ));
        }
        out.reserve(tensor.values.len().saturating_mul(ELEMENT_BYTES));
        for (element, integer) in tensor.values.iter().enumerate() {
            let bits = float32::encode(*integer, layout.fraction_bits).ok_or_else(|| {
                Refusal::new(
                    ADAPTER_VALUE,
                    element_location(layout, element),
                    format_args!(
                        "magnitude below 2^24 at a scale of at least 2^-126, here 2^-{}",
                        layout.fraction_bits
                    ),
                    integer,
                )
            })?;
            out.extend(bits.to_le_bytes());
        }
    }
    Ok(out)
}

/// The length of the file of tensors with these layouts, whatever their values.
pub fn num_bytes(layouts: &[TensorLayout]) -> Result<u64, Refusal> {
    let sorted = sort(layouts, |layout| layout)?;
    let expected = file_len(&header(&sorted)?, &sorted).and_then(|len| u64::try_from(len).ok());
    expected.ok_or_else(too_large)
}

/// The tensors of a file with these layouts, in the order of the layouts; encoding them gives `bytes` again.
///
/// Soundness: none is lost; the encoding is injective, and nothing but an encoding is decoded.
///
/// *Caller must* check the integers against their declared range and their commitment.
pub fn decode(bytes: &[u8], layouts: &[TensorLayout]) -> Result<Vec<Tensor>, Refusal> {
    let sorted = sort(layouts, |layout| layout)?;
    let data = split(bytes, &sorted)?;
    let by_name: BTreeMap<&str, &[u8]> =
        sorted.iter().zip(data).map(|(layout, data)| (layout.name.as_str(), data)).collect();
    layouts
        .iter()
        .map(|layout| {
            let (elements, _) = by_name.get(layout.name.as_str()).copied().unwrap_or(&[]).as_chunks();
            let values = elements.iter().enumerate().map(|(element, bytes)| {
                let bits = u32::from_le_bytes(*bytes);
                float32::decode(bits, layout.fraction_bits).ok_or_else(|| {
                    Refusal::new(
                        ADAPTER_FLOAT,
                        element_location(layout, element),
                        format_args!("an integer at 2^-{}", layout.fraction_bits),
                        format_args!("float32 bits {bits:08x}"),
                    )
                })
            });
            Ok(Tensor { layout: layout.clone(), values: values.collect::<Result<_, _>>()? })
        })
        .collect()
}

/// Bytes of the header and of the data of `layouts`, if they fit the machine.
fn file_len(header: &[u8], layouts: &[&TensorLayout]) -> Option<usize> {
    layouts
        .iter()
        .try_fold(header.len(), |sum, layout| sum.checked_add(layout.num_elements()?.checked_mul(ELEMENT_BYTES)?))
}

fn too_large() -> Refusal {
    Refusal::new(ADAPTER_LAYOUT, "the header", "a file that fits the machine", "a larger one")
}

/// The data of each tensor of a file whose length and header are those of the sorted `layouts`.
fn split<'a>(bytes: &'a [u8], layouts: &[&TensorLayout]) -> Result<Vec<&'a [u8]>, Refusal> {
    let header = header(layouts)?;
    let sizes: Vec<usize> =
        layouts.iter().map(|layout| layout.num_elements().unwrap_or(0).saturating_mul(ELEMENT_BYTES)).collect();
    if let Some(offset) = header.iter().enumerate().position(|(at, byte)| bytes.get(at) != Some(byte)) {
        let shown = |text: &[u8]| {
            let end = offset.saturating_add(48).min(text.len());
            String::from_utf8_lossy(text.get(offset..end).unwrap_or(b"")).into_owned()
        };
        let location = format!("header byte {offset}");
        return Err(Refusal::new(ADAPTER_HEADER, location, shown(&header), shown(bytes)));
    }
    let expected = file_len(&header, layouts);
    if expected != Some(bytes.len()) {
        return Err(Refusal::new(
            ADAPTER_LENGTH,
            "the whole file",
            format_args!("{} bytes", expected.unwrap_or(usize::MAX)),
            format_args!("{} bytes", bytes.len()),
        ));
    }
    let mut rest = bytes.get(header.len()..).unwrap_or(&[]);
    let mut parts = Vec::with_capacity(sizes.len());
    for size in sizes {
        let (part, after) = rest.split_at_checked(size).unwrap_or((rest, &[]));
        parts.push(part);
        rest = after;
    }
    Ok(parts)
}

/// `items` sorted by name; refused unless every layout has a canonical form and the names differ.
fn sort<T>(items: &[T], layout: impl Fn(&T) -> &TensorLayout) -> Result<Vec<&T>, Refusal> {
    let refuse = |name: &str, expected: &str, got: String| {
        Err(Refusal::new(ADAPTER_LAYOUT, format_args!("tensor `{name}`"), expected, got))
    };
    let mut by_name = BTreeMap::new();
    for item in items {
        let TensorLayout { name, shape, .. } = layout(item);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if name.is_empty() || !name.bytes().all(plain) || name == "__metadata__" {
            return refuse(name, "letters, digits, `.`, `_` and `-`", name.clone());
        }
        if shape.is_empty() || layout(item).num_elements().is_none_or(|count| count == 0) {
            return refuse(name, "a shape with elements", format!("{shape:?}"));
        }
        if by_name.insert(name.as_str(), item).is_some() {
            return refuse(name, "each name once", name.clone());
        }
    }
    if by_name.is_empty() {
        return refuse("", "at least one tensor", "none".to_owned());
    }
    Ok(by_name.into_values().collect())
}

/// The length field and the padded header of the sorted `layouts`.
fn header(layouts: &[&TensorLayout]) -> Result<Vec<u8>, Refusal> {
    let mut text = String::from(r#"{"__metadata__":{"format":"pt"}"#);
    let mut start = 0usize;
    for layout in layouts {
        let size = layout.num_elements().and_then(|count| count.checked_mul(ELEMENT_BYTES));
        let end = size.and_then(|size| start.checked_add(size)).ok_or_else(too_large)?;
        let shape: Vec<String> = layout.shape.iter().map(u64::to_string).collect();
        write!(
            text,
            r#","{}":{{"dtype":"F32","shape":[{}],"data_offsets":[{start},{end}]}}"#,
            layout.name,
            shape.join(",")
        )
        .map_err(|_| too_large())?;
        start = end;
    }
    text.push('}');
    while !text.len().is_multiple_of(LENGTH_BYTES) {
        text.push(' ');
    }
    let length = u64::try_from(text.len()).map_err(|_| too_large())?;
    let mut out = length.to_le_bytes().to_vec();
    out.extend(text.bytes());
    Ok(out)
}

/// `name[i, j]`, from the position in row-major order.
fn element_location(layout: &TensorLayout, element: usize) -> String {
    let mut rest = u64::try_from(element).unwrap_or(u64::MAX);
    let mut place: Vec<String> = Vec::new();
    for extent in layout.shape.iter().rev() {
        place.push(rest.checked_rem(*extent).unwrap_or(0).to_string());
        rest = rest.checked_div(*extent).unwrap_or(0);
    }
    place.reverse();
    format!("{}[{}]", layout.name, place.join(", "))
}

#[cfg(test)]
#[path = "tensors_tests.rs"]
mod tests;
