//! The tensors of a model: one list, their names in each container, their shapes.

use crate::ModelConfig;

/// A kind of tensor; the variants are in the canonical order of the integer base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weight {
    /// Token embedding `[vocab, hidden]`.
    Embedding,
    /// Head `[vocab, hidden]`, only where it is not the embedding.
    Head,
    /// Query projection `[heads·head_dim, hidden]`, each layer.
    Query,
    /// Key projection `[kv_heads·head_dim, hidden]`, each layer.
    Key,
    /// Value projection `[kv_heads·head_dim, hidden]`, each layer.
    Value,
    /// Output projection `[hidden, heads·head_dim]`, each layer.
    Output,
    /// Gate projection `[ffn, hidden]`, each layer.
    Gate,
    /// Up projection `[ffn, hidden]`, each layer.
    Up,
    /// Down projection `[hidden, ffn]`, each layer.
    Down,
    /// Gain of the norm before attention `[hidden]`, each layer.
    GainAttention,
    /// Gain of the norm before the MLP `[hidden]`, each layer.
    GainMlp,
    /// Gain of the last norm `[hidden]`.
    GainFinal,
    /// Bias of the query `[heads·head_dim]`, each layer, Qwen2 only.
    QueryBias,
    /// Bias of the key `[kv_heads·head_dim]`, each layer, Qwen2 only.
    KeyBias,
    /// Bias of the value `[kv_heads·head_dim]`, each layer, Qwen2 only.
    ValueBias,
}

impl Weight {
    /// All kinds, in canonical order.
    pub const ALL: [Self; 15] = [
        Self::Embedding,
        Self::Head,
        Self::Query,
        Self::Key,
        Self::Value,
        Self::Output,
        Self::Gate,
        Self::Up,
        Self::Down,
        Self::GainAttention,
        Self::GainMlp,
        Self::GainFinal,
        Self::QueryBias,
        Self::KeyBias,
        Self::ValueBias,
    ];

    /// The kinds that a model has, in canonical order.
    pub fn present(config: &ModelConfig) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|weight| match weight {
            Self::Head => !config.tie_word_embeddings,
            Self::QueryBias | Self::KeyBias | Self::ValueBias => config.has_attention_bias(),
            _ => true,
        })
    }

    /// Whether every layer has one.
    #[must_use]
    pub const fn is_per_layer(self) -> bool {
        !matches!(self, Self::Embedding | Self::Head | Self::GainFinal)
    }

    /// How many of them a model has: its layers, or 1.
    #[must_use]
    pub const fn num_layers(self, config: &ModelConfig) -> usize {
        if self.is_per_layer() { config.num_hidden_layers } else { 1 }
    }

    /// Shape of one of them, outermost axis first.
    #[must_use]
    pub fn shape(self, config: &ModelConfig) -> Vec<usize> {
        let hidden = config.hidden_size;
        match self {
            Self::Embedding | Self::Head => vec![config.vocab_size, hidden],
            Self::Query => vec![config.query_rows(), hidden],
            Self::Key | Self::Value => vec![config.key_rows(), hidden],
            Self::Output => vec![hidden, config.query_rows()],
            Self::Gate | Self::Up => vec![config.intermediate_size, hidden],
            Self::Down => vec![hidden, config.intermediate_size],
            Self::GainAttention | Self::GainMlp | Self::GainFinal => vec![hidden],
            Self::QueryBias => vec![config.query_rows()],
            Self::KeyBias | Self::ValueBias => vec![config.key_rows()],
        }
    }

    /// The gain that multiplies the input columns of this weight.
    #[must_use]
    pub const fn folded_gain(self) -> Option<Self> {
        match self {
            Self::Query | Self::Key | Self::Value => Some(Self::GainAttention),
            Self::Gate | Self::Up => Some(Self::GainMlp),
            _ => None,
        }
    }

    /// Whether it is a gain of a norm.
    #[must_use]
    pub const fn is_gain(self) -> bool {
        matches!(self, Self::GainAttention | Self::GainMlp | Self::GainFinal)
    }

    /// Name in the integer base.
    #[must_use]
    pub const fn base_name(self) -> &'static str {
        match self {
            Self::Embedding => "base.embedding",
            Self::Head => "base.head",
            Self::Query => "base.query",
            Self::Key => "base.key",
            Self::Value => "base.value",
            Self::Output => "base.output",
            Self::Gate => "base.gate",
            Self::Up => "base.up",
            Self::Down => "base.down",
            Self::GainAttention => "base.gain_attention",
            Self::GainMlp => "base.gain_mlp",
            Self::GainFinal => "base.gain_final",
            Self::QueryBias => "base.query_bias",
            Self::KeyBias => "base.key_bias",
            Self::ValueBias => "base.value_bias",
        }
    }

    /// Name in a safetensors checkpoint.
    #[must_use]
    pub fn safetensors_name(self, layer: usize) -> String {
        let inner = match self {
            Self::Embedding => return "model.embed_tokens.weight".to_owned(),
            Self::Head => return "lm_head.weight".to_owned(),
            Self::GainFinal => return "model.norm.weight".to_owned(),
            Self::Query => "self_attn.q_proj.weight",
            Self::Key => "self_attn.k_proj.weight",
            Self::Value => "self_attn.v_proj.weight",
            Self::Output => "self_attn.o_proj.weight",
            Self::Gate => "mlp.gate_proj.weight",
            Self::Up => "mlp.up_proj.weight",
            Self::Down => "mlp.down_proj.weight",
            Self::GainAttention => "input_layernorm.weight",
            Self::GainMlp => "post_attention_layernorm.weight",
            Self::QueryBias => "self_attn.q_proj.bias",
            Self::KeyBias => "self_attn.k_proj.bias",
            Self::ValueBias => "self_attn.v_proj.bias",
        };
        format!("model.layers.{layer}.{inner}")
    }

    /// Name in a GGUF file.
    #[must_use]
    pub fn gguf_name(self, layer: usize) -> String {
        let inner = match self {
            Self::Embedding => return "token_embd.weight".to_owned(),
            Self::Head => return "output.weight".to_owned(),
            Self::GainFinal => return "output_norm.weight".to_owned(),
            Self::Query => "attn_q.weight",
            Self::Key => "attn_k.weight",
            Self::Value => "attn_v.weight",
            Self::Output => "attn_output.weight",
            Self::Gate => "ffn_gate.weight",
            Self::Up => "ffn_up.weight",
            Self::Down => "ffn_down.weight",
            Self::GainAttention => "attn_norm.weight",
            Self::GainMlp => "ffn_norm.weight",
            Self::QueryBias => "attn_q.bias",
            Self::KeyBias => "attn_k.bias",
            Self::ValueBias => "attn_v.bias",
        };
        format!("blk.{layer}.{inner}")
    }
}

#[cfg(test)]
mod tests {
    use super::Weight;

    #[test]
    fn the_page_lists_every_tensor_in_order() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/spec/base-model.md");
        let page = std::fs::read_to_string(page).unwrap();
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `base.")).collect();
        assert_eq!(rows.len(), Weight::ALL.len());
        for (row, weight) in rows.iter().zip(Weight::ALL) {
            let in_safetensors = format!("`{}`", weight.safetensors_name(7).replace('7', "{}"));
            let in_gguf = format!("`{}`", weight.gguf_name(7).replace('7', "{}"));
            assert!(row.starts_with(&format!("| `{}`", weight.base_name())), "{row}");
            assert!(row.contains(&in_safetensors), "{row}");
            assert!(row.contains(&in_gguf) || weight.base_name().ends_with("_bias"), "{row}");
        }
    }
}
