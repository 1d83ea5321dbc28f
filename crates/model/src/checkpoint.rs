//! A checkpoint: its configuration, its inventory, and the values of each tensor on demand.

use crate::source_file::{self, MAX_CONFIG_BYTES, MAX_WEIGHTS_BYTES, SourceFile, StoredTensor};
use crate::{FileRecord, Format, INVENTORY_SCHEMA, Inventory, ModelConfig, ModelError, TensorRecord, Weight};
use crate::{config_json, error, gguf, inventory, safetensors_files};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// A model directory that was read and checked: it has exactly the tensors of its configuration, each with its
/// shape. Values are checked to be finite when [`Checkpoint::values`] gives them.
///
/// Cost: holds the files in memory; a tensor is decoded when it is asked for.
pub struct Checkpoint {
    config: ModelConfig,
    format: Format,
    files: Vec<SourceFile>,
    tensors: BTreeMap<(Weight, usize), StoredTensor>,
}

impl Checkpoint {
    /// Reads `config.json` with `model.safetensors` or its index and shards, or one `*.gguf` file alone. Other files
    /// of the directory are not read, and no claim covers them.
    ///
    /// # Errors
    /// Any [`ModelError`] but `NotFinite`, `OutOfRange` and `BaseBits`.
    pub fn open(directory: &Path) -> Result<Self, ModelError> {
        let names = source_file::names(directory)?;
        let is_weights = |name: &&str| {
            [safetensors_files::SINGLE, safetensors_files::INDEX].contains(name) || name.ends_with(".gguf")
        };
        let candidates: Vec<&str> = names.iter().map(String::as_str).filter(is_weights).collect();
        match candidates.as_slice() {
            [name] if name.ends_with(".gguf") => Self::open_gguf(directory, name),
            [name] => Self::open_safetensors(directory, *name == safetensors_files::INDEX),
            _ => Err(ModelError::Weights { got: error::shown(&candidates.join(", ")) }),
        }
    }

    fn open_safetensors(directory: &Path, is_sharded: bool) -> Result<Self, ModelError> {
        let config_file = SourceFile::read(directory, "config.json", MAX_CONFIG_BYTES)?;
        let config = config_json::read(&config_file.name, &config_file.bytes)?;
        let mut files = vec![config_file];
        let stored = if is_sharded {
            safetensors_files::read_sharded(directory, &mut files)?
        } else {
            safetensors_files::read_single(directory, &mut files)?
        };
        let tensors = assign(&config, stored, Weight::safetensors_name)?;
        Ok(Self { config, format: Format::Safetensors, files, tensors })
    }

    fn open_gguf(directory: &Path, name: &str) -> Result<Self, ModelError> {
        let file = SourceFile::read(directory, name, MAX_WEIGHTS_BYTES)?;
        let header = gguf::Header::parse(&file)?;
        let head = Weight::Head.gguf_name(0);
        let is_tied = header.tensors.iter().all(|tensor| tensor.name != head);
        let config = gguf::read_config(name, header.metadata, is_tied)?;
        let tensors = assign(&config, header.tensors, Weight::gguf_name)?;
        Ok(Self { config, format: Format::Gguf, files: vec![file], tensors })
    }

    /// The checked configuration.
    #[must_use]
    pub const fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Every file and tensor with its digest. Cost: hashes all files, and all tensors once more.
    #[must_use]
    pub fn inventory(&self) -> Inventory {
        let mut files: Vec<_> = self.files.iter().map(|file| FileRecord::of(&file.name, &file.bytes)).collect();
        files.sort_by(|left, right| left.name.cmp(&right.name));
        let record = |tensor: &StoredTensor| {
            let bytes = self.bytes(tensor);
            TensorRecord {
                name: tensor.name.clone(),
                dtype: tensor.element.to_string(),
                shape: tensor.shape.clone(),
                num_bytes: inventory::num_bytes(bytes),
                sha256: inventory::sha256_hex(bytes),
            }
        };
        let mut tensors: Vec<_> = self.tensors.values().map(record).collect();
        tensors.sort_by(|left, right| left.name.cmp(&right.name));
        Inventory { schema: INVENTORY_SCHEMA.to_owned(), format: self.format, files, tensors }
    }

    /// The values of a tensor, row-major, every one finite, rows of query and key in Hugging Face's order whatever
    /// the container. `layer` is 0 for a tensor that is not in a layer.
    ///
    /// # Errors
    /// [`ModelError::NotFinite`]; [`ModelError::MissingTensor`] for a tensor that the model does not have.
    pub fn values(&self, weight: Weight, layer: usize) -> Result<Vec<f32>, ModelError> {
        let tensor = self
            .tensors
            .get(&(weight, layer))
            .ok_or_else(|| ModelError::MissingTensor { name: format!("{} of layer {layer}", weight.base_name()) })?;
        let values = tensor.element.decode(self.bytes(tensor));
        if let Some((index, value)) = values.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            return Err(ModelError::NotFinite { name: tensor.name.clone(), index, value: value.to_string() });
        }
        let is_permuted = self.format == Format::Gguf && matches!(weight, Weight::Query | Weight::Key);
        Ok(if is_permuted {
            gguf::unpermute_rows(&values, self.config.head_dim, self.config.hidden_size)
        } else {
            values
        })
    }

    /// The readers check that the range lies in the file.
    fn bytes(&self, tensor: &StoredTensor) -> &[u8] {
        let file = self.files.get(tensor.file);
        file.and_then(|file| file.bytes.get(tensor.range.clone())).unwrap_or_default()
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoint").field("config", &self.config).field("format", &self.format).finish_non_exhaustive()
    }
}

/// Gives every tensor of the model its stored one: none is missing, none is left over, shapes agree.
fn assign(
    config: &ModelConfig,
    stored: Vec<StoredTensor>,
    file_name: impl Fn(Weight, usize) -> String,
) -> Result<BTreeMap<(Weight, usize), StoredTensor>, ModelError> {
    let mut by_name = BTreeMap::new();
    for tensor in stored {
        if let Some(twice) = by_name.insert(tensor.name.clone(), tensor) {
            return Err(ModelError::UnexpectedTensor { name: error::shown(&twice.name) });
        }
    }
    let mut assigned = BTreeMap::new();
    for weight in Weight::present(config) {
        for layer in 0..weight.num_layers(config) {
            let name = file_name(weight, layer);
            let Some(tensor) = by_name.remove(&name) else {
                return Err(ModelError::MissingTensor { name });
            };
            let expected = weight.shape(config);
            if tensor.shape != expected {
                return Err(ModelError::Shape { name, expected, got: tensor.shape });
            }
            assigned.insert((weight, layer), tensor);
        }
    }
    match by_name.into_keys().next() {
        Some(name) => Err(ModelError::UnexpectedTensor { name: error::shown(&name) }),
        None => Ok(assigned),
    }
}
