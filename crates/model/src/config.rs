//! The public shape of a model: what every other tensor, program and statement is derived from.

use crate::{Decimal, ModelError};
use serde::{Deserialize, Serialize};

/// The supported families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// RMSNorm, RoPE over the whole head, grouped-query attention, SwiGLU; no bias.
    Llama,
    /// The same with a bias on query, key and value.
    Qwen2,
}

/// A checked configuration. Every field is in its published range (see [`ModelConfig::check`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Family.
    pub architecture: Architecture,
    /// Entries of the vocabulary.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the MLP.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; divides the query heads.
    pub num_key_value_heads: usize,
    /// Width of a head, even.
    pub head_dim: usize,
    /// Added to the mean square in RMSNorm.
    pub rms_norm_eps: Decimal,
    /// Base of the RoPE frequencies.
    pub rope_theta: Decimal,
    /// Whether the head is the embedding.
    pub tie_word_embeddings: bool,
    /// Positions that the model was made for, where the checkpoint says so; no tensor depends on it.
    pub max_position_embeddings: Option<usize>,
}

impl ModelConfig {
    /// Rows of the query weight.
    #[must_use]
    pub const fn query_rows(&self) -> usize {
        self.num_attention_heads.saturating_mul(self.head_dim)
    }

    /// Rows of the key weight and of the value weight.
    #[must_use]
    pub const fn key_rows(&self) -> usize {
        self.num_key_value_heads.saturating_mul(self.head_dim)
    }

    /// Whether query, key and value have a bias.
    #[must_use]
    pub const fn has_attention_bias(&self) -> bool {
        matches!(self.architecture, Architecture::Qwen2)
    }

    /// The configuration itself, if every field is in its published range; else the refusal of the first that is
    /// not, named as `spelling` says.
    ///
    /// # Errors
    /// [`ModelError::UnsupportedField`].
    pub fn check(self, file: &str, spelling: impl Fn(&'static str) -> String) -> Result<Self, ModelError> {
        let refuse = |field, supported: String, got: usize| {
            Err(ModelError::UnsupportedField {
                file: file.to_owned(),
                field: spelling(field),
                supported,
                got: got.to_string(),
            })
        };
        for (field, got, greatest) in [
            ("vocab_size", self.vocab_size, 1 << 20),
            ("hidden_size", self.hidden_size, 1 << 16),
            ("intermediate_size", self.intermediate_size, 1 << 18),
            ("num_hidden_layers", self.num_hidden_layers, 1 << 10),
            ("num_attention_heads", self.num_attention_heads, 1 << 10),
            ("num_key_value_heads", self.num_key_value_heads, 1 << 10),
            ("head_dim", self.head_dim, 1 << 10),
        ] {
            if got == 0 || got > greatest {
                return refuse(field, format!("1 to {greatest}"), got);
            }
        }
        if !self.num_attention_heads.is_multiple_of(self.num_key_value_heads) {
            let supported = format!("a divisor of the {} query heads", self.num_attention_heads);
            return refuse("num_key_value_heads", supported, self.num_key_value_heads);
        }
        if !self.head_dim.is_multiple_of(2) {
            return refuse("head_dim", "an even number".to_owned(), self.head_dim);
        }
        Ok(self)
    }
}
