//! The `llama.*` keys of a GGUF file.
//!
//! Keys of other namespaces describe the file or the tokenizer. A `llama.*` key is read, or demanded to have the
//! one value that changes nothing; any other is refused by name.

use super::header::Value;
use crate::error::shown;
use crate::{Architecture, Decimal, ModelConfig, ModelError};
use std::collections::BTreeMap;

/// Metadata keys that were not read yet.
struct Keys<'a> {
    file: &'a str,
    metadata: BTreeMap<String, Value>,
}

/// The configuration that the metadata describe. `tie_word_embeddings`: whether the file has no head of its own.
pub(crate) fn read(
    file: &str,
    metadata: BTreeMap<String, Value>,
    tie_word_embeddings: bool,
) -> Result<ModelConfig, ModelError> {
    let mut keys = Keys { file, metadata };
    keys.only("general.architecture", "llama", |value| value.shown() == "llama", true)?;
    keys.only("general.type", "model", |value| value.shown() == "model", false)?;
    keys.only("split.count", "0 or 1: one file", |v| matches!(v, Value::Integer(0 | 1)), false)?;
    keys.only("llama.rope.scaling.type", "none", |value| value.shown() == "none", false)?;
    for key in ["llama.expert_count", "llama.expert_used_count", "llama.attention.sliding_window"] {
        keys.only(key, "0", |value| *value == Value::Integer(0), false)?;
    }
    for key in ["llama.use_parallel_residual", "llama.tensor_data_layout"] {
        keys.only(key, "absence or false", |value| *value == Value::Bool(false), false)?;
    }

    let hidden_size = keys.natural("llama.embedding_length")?;
    let num_attention_heads = keys.natural("llama.attention.head_count")?;
    let num_key_value_heads = keys.optional("llama.attention.head_count_kv")?.unwrap_or(num_attention_heads);
    let head_dim = match keys.optional("llama.attention.key_length")? {
        Some(head_dim) => head_dim,
        None if hidden_size.checked_rem(num_attention_heads) == Some(0) => {
            hidden_size.checked_div(num_attention_heads).unwrap_or(0)
        }
        None => return Err(keys.missing("llama.attention.key_length")),
    };
    for key in ["llama.attention.value_length", "llama.rope.dimension_count"] {
        if let Some(got) = keys.optional(key)?
            && got != head_dim
        {
            return Err(keys.unsupported(key, &format!("the head's width {head_dim}"), &got.to_string()));
        }
    }
    let config = ModelConfig {
        architecture: Architecture::Llama,
        vocab_size: vocab_size(&mut keys)?,
        hidden_size,
        intermediate_size: keys.natural("llama.feed_forward_length")?,
        num_hidden_layers: keys.natural("llama.block_count")?,
        num_attention_heads,
        num_key_value_heads,
        head_dim,
        rms_norm_eps: keys.decimal("llama.attention.layer_norm_rms_epsilon")?,
        rope_theta: keys.decimal("llama.rope.freq_base")?,
        tie_word_embeddings,
        max_position_embeddings: keys.optional("llama.context_length")?,
    };
    if let Some(key) = keys.metadata.keys().find(|key| key.starts_with("llama.")) {
        return Err(ModelError::UnknownField { file: file.to_owned(), field: shown(key) });
    }
    config.check(file, |field| gguf_key(field).to_owned())
}

/// The key of a field of [`ModelConfig`].
fn gguf_key(field: &'static str) -> &'static str {
    match field {
        "vocab_size" => "llama.vocab_size",
        "hidden_size" => "llama.embedding_length",
        "intermediate_size" => "llama.feed_forward_length",
        "num_hidden_layers" => "llama.block_count",
        "num_attention_heads" => "llama.attention.head_count",
        "num_key_value_heads" => "llama.attention.head_count_kv",
        "head_dim" => "llama.attention.key_length",
        other => other,
    }
}

/// `llama.vocab_size` and the number of tokens, which agree where both are there.
fn vocab_size(keys: &mut Keys<'_>) -> Result<usize, ModelError> {
    let stated = keys.optional("llama.vocab_size")?;
    let tokens = match keys.metadata.get("tokenizer.ggml.tokens") {
        Some(Value::Array { len }) => usize::try_from(*len).ok(),
        _ => None,
    };
    match (stated, tokens) {
        (Some(stated), Some(tokens)) if stated != tokens => Err(keys.unsupported(
            "llama.vocab_size",
            &format!("the {tokens} tokens of the tokenizer"),
            &stated.to_string(),
        )),
        (Some(size), _) | (None, Some(size)) => Ok(size),
        (None, None) => Err(keys.missing("llama.vocab_size")),
    }
}

impl Keys<'_> {
    fn missing(&self, key: &str) -> ModelError {
        ModelError::MissingField { file: self.file.to_owned(), field: key.to_owned() }
    }

    fn unsupported(&self, key: &str, supported: &str, got: &str) -> ModelError {
        ModelError::UnsupportedField {
            file: self.file.to_owned(),
            field: key.to_owned(),
            supported: supported.to_owned(),
            got: got.to_owned(),
        }
    }

    fn only(
        &mut self,
        key: &str,
        supported: &str,
        is_supported: impl Fn(&Value) -> bool,
        required: bool,
    ) -> Result<(), ModelError> {
        match self.metadata.remove(key) {
            Some(value) if !is_supported(&value) => Err(self.unsupported(key, supported, &value.shown())),
            None if required => Err(self.missing(key)),
            _ => Ok(()),
        }
    }

    fn optional(&mut self, key: &str) -> Result<Option<usize>, ModelError> {
        let Some(value) = self.metadata.remove(key) else {
            return Ok(None);
        };
        let natural = match value {
            Value::Integer(value) => usize::try_from(value).ok(),
            _ => None,
        };
        natural.map(Some).ok_or_else(|| self.unsupported(key, "one natural number", &value.shown()))
    }

    fn natural(&mut self, key: &str) -> Result<usize, ModelError> {
        self.optional(key)?.ok_or_else(|| self.missing(key))
    }

    /// A positive number, as the shortest decimal that reads back as the stored `f32`.
    fn decimal(&mut self, key: &str) -> Result<Decimal, ModelError> {
        let value = self.metadata.remove(key).ok_or_else(|| self.missing(key))?;
        let decimal = match value {
            Value::Float32(value) => Decimal::shortest(value),
            _ => None,
        };
        decimal.ok_or_else(|| self.unsupported(key, "a positive finite FLOAT32", &value.shown()))
    }
}
