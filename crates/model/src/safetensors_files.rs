//! `model.safetensors`, or shards with `model.safetensors.index.json`.

use crate::error::shown;
use crate::json_fields::JsonFields;
use crate::source_file::{MAX_INDEX_BYTES, MAX_WEIGHTS_BYTES, SourceFile, StoredTensor};
use crate::{ElementType, ModelError};
use safetensors::{Dtype, SafeTensors};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The unsharded file.
pub(crate) const SINGLE: &str = "model.safetensors";
/// The index of a sharded checkpoint.
pub(crate) const INDEX: &str = "model.safetensors.index.json";

/// Appends `model.safetensors` to `files` and gives its tensors.
pub(crate) fn read_single(directory: &Path, files: &mut Vec<SourceFile>) -> Result<Vec<StoredTensor>, ModelError> {
    read_shard(directory, SINGLE, files)
}

/// Appends the index and its shards to `files` and gives their tensors; index and shards agree on every tensor.
pub(crate) fn read_sharded(directory: &Path, files: &mut Vec<SourceFile>) -> Result<Vec<StoredTensor>, ModelError> {
    let index = SourceFile::read(directory, INDEX, MAX_INDEX_BYTES)?;
    let mut fields = JsonFields::parse(INDEX, &index.bytes)?;
    let map = fields.object("weight_map")?;
    let mut map = fields.required("weight_map", map)?;
    fields.finish(&["metadata"])?;
    files.push(index);

    let mut indexed = BTreeMap::new();
    for name in map.names().map(str::to_owned).collect::<Vec<_>>() {
        let shard = map.text(&name)?;
        let shard = map.required(&name, shard)?;
        let is_plain = shard.ends_with(".safetensors") && !shard.contains(['/', '\\', '\0']);
        if !is_plain {
            return Err(map.unsupported(&name, "a file name that ends in .safetensors", &shard));
        }
        indexed.insert(name, shard);
    }
    let mut tensors = Vec::new();
    for shard in indexed.values().collect::<BTreeSet<_>>() {
        for tensor in read_shard(directory, shard, files)? {
            let place = indexed.get(&tensor.name);
            if place != Some(shard) {
                return Err(misplaced(&tensor.name, place.map_or("no file", String::as_str), shard));
            }
            tensors.push(tensor);
        }
    }
    let found: BTreeSet<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    match indexed.iter().find(|(name, _)| !found.contains(name.as_str())) {
        Some((name, shard)) => Err(misplaced(name, shard, "no file")),
        None => Ok(tensors),
    }
}

fn misplaced(name: &str, indexed: &str, found: &str) -> ModelError {
    ModelError::Misplaced { name: shown(name), indexed: shown(indexed), found: shown(found) }
}

/// The library checks that the tensors fill the data without gap or overlap; a repeated name, of which it would
/// keep the last, is refused here.
fn read_shard(directory: &Path, name: &str, files: &mut Vec<SourceFile>) -> Result<Vec<StoredTensor>, ModelError> {
    let file = SourceFile::read(directory, name, MAX_WEIGHTS_BYTES)?;
    let malformed = |got: String| ModelError::Malformed {
        file: name.to_owned(),
        offset: 0,
        expected: "a safetensors header that describes the file".to_owned(),
        got: shown(&got),
    };
    // The library would read one of 100 MB.
    let header_bytes = file.bytes.first_chunk().map_or(0, |len| u64::from_le_bytes(*len));
    if header_bytes > MAX_INDEX_BYTES {
        return Err(malformed(format!("a header of {header_bytes} bytes, more than {MAX_INDEX_BYTES}")));
    }
    let (header_bytes, metadata) =
        SafeTensors::read_metadata(&file.bytes).map_err(|error| malformed(error.to_string()))?;
    let data_start = header_bytes.checked_add(8).ok_or_else(|| malformed("a length".to_owned()))?;
    let header = file.bytes.get(8..data_start).ok_or_else(|| malformed("a length".to_owned()))?;
    JsonFields::parse(name, header)?;

    let mut tensors = Vec::new();
    for (tensor_name, info) in metadata.tensors().into_iter().collect::<BTreeMap<_, _>>() {
        let element = match info.dtype {
            Dtype::BF16 => ElementType::Bf16,
            Dtype::F16 => ElementType::F16,
            Dtype::F32 => ElementType::F32,
            other => {
                return Err(ModelError::ElementType {
                    name: shown(&tensor_name),
                    supported: "BF16, F16 and F32".to_owned(),
                    got: format!("{other:?}"),
                });
            }
        };
        let absolute = |offset: usize| data_start.checked_add(offset).filter(|end| *end <= file.bytes.len());
        let (start, end) = info.data_offsets;
        let range = absolute(start).zip(absolute(end)).map(|(start, end)| start..end);
        let range = range.ok_or_else(|| malformed(format!("tensor {tensor_name} past the end")))?;
        tensors.push(StoredTensor { name: tensor_name, shape: info.shape.clone(), element, file: files.len(), range });
    }
    files.push(file);
    Ok(tensors)
}
