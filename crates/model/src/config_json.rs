//! `config.json` of a safetensors checkpoint, as `transformers` 4 and 5 write it.
//!
//! A field is read, or demanded to have the one value that changes nothing, or named in [`INERT`]; any other field
//! is refused by name. Fields whose default differs between versions of the library are required.

use crate::json_fields::JsonFields;
use crate::{Architecture, Decimal, ModelConfig, ModelError};

/// Fields that do not change what the model computes at training time.
const INERT: &[&str] = &[
    "_attn_implementation_autoset",
    "_name_or_path",
    "bos_token_id",
    "dtype",
    "eos_token_id",
    "initializer_range",
    "is_llama_config",
    "max_window_layers",
    "pad_token_id",
    "sliding_window",
    "torch_dtype",
    "transformers.js_config",
    "transformers_version",
    "unk_token_id",
    "use_cache",
];

/// The configuration that the text of a `config.json` describes.
pub(crate) fn read(file: &str, bytes: &[u8]) -> Result<ModelConfig, ModelError> {
    let mut fields = JsonFields::parse(file, bytes)?;
    let architecture = architecture(&mut fields)?;
    demand_plain_computation(&mut fields, architecture)?;

    let num_hidden_layers = natural(&mut fields, "num_hidden_layers")?;
    if let Some(types) = fields.texts("layer_types")?
        && types.iter().any(|kind| kind != "full_attention")
    {
        return Err(fields.unsupported("layer_types", "full_attention only", &types.join(",")));
    }
    let hidden_size = natural(&mut fields, "hidden_size")?;
    let num_attention_heads = natural(&mut fields, "num_attention_heads")?;
    let num_key_value_heads = fields.natural("num_key_value_heads")?.unwrap_or(num_attention_heads);
    let head_dim = match fields.natural("head_dim")? {
        Some(head_dim) => head_dim,
        None => match hidden_size.checked_rem(num_attention_heads) {
            Some(0) => hidden_size.checked_div(num_attention_heads).unwrap_or(0),
            _ => {
                return Err(fields.unsupported("head_dim", "a number, where heads do not divide the width", "null"));
            }
        },
    };
    let rms_norm_eps = fields.decimal("rms_norm_eps")?;
    let tie_word_embeddings = fields.flag("tie_word_embeddings")?;
    let config = ModelConfig {
        architecture,
        vocab_size: natural(&mut fields, "vocab_size")?,
        hidden_size,
        intermediate_size: natural(&mut fields, "intermediate_size")?,
        num_hidden_layers,
        num_attention_heads,
        num_key_value_heads,
        head_dim,
        rms_norm_eps: fields.required("rms_norm_eps", rms_norm_eps)?,
        rope_theta: rope_theta(&mut fields)?,
        tie_word_embeddings: fields.required("tie_word_embeddings", tie_word_embeddings)?,
        max_position_embeddings: fields.natural("max_position_embeddings")?,
    };
    fields.finish(INERT)?;
    config.check(file, str::to_owned)
}

fn architecture(fields: &mut JsonFields) -> Result<Architecture, ModelError> {
    let names = fields.texts("architectures")?;
    let names = fields.required("architectures", names)?;
    let (architecture, model_type) = match names.as_slice() {
        [name] if name == "LlamaForCausalLM" => (Architecture::Llama, "\"llama\""),
        [name] if name == "Qwen2ForCausalLM" => (Architecture::Qwen2, "\"qwen2\""),
        _ => {
            let supported = "LlamaForCausalLM or Qwen2ForCausalLM";
            return Err(fields.unsupported("architectures", supported, &names.join(",")));
        }
    };
    fields.only("model_type", &[model_type])?;
    Ok(architecture)
}

/// Demands that every option that would change the computation is off.
fn demand_plain_computation(fields: &mut JsonFields, architecture: Architecture) -> Result<(), ModelError> {
    let activation = fields.text("hidden_act")?;
    let activation = fields.required("hidden_act", activation)?;
    if activation != "silu" {
        return Err(fields.unsupported("hidden_act", "silu", &activation));
    }
    // Qwen2 has its biases whatever this field says; Llama's would add one on the output projection too.
    fields.only("attention_bias", if architecture == Architecture::Qwen2 { &["true"] } else { &["false"] })?;
    fields.only("mlp_bias", &["false"])?;
    fields.only("attention_dropout", &["0", "0.0"])?;
    fields.only("partial_rotary_factor", &["1", "1.0"])?;
    fields.only("pretraining_tp", &["1"])?;
    fields.only("quantization_config", &[])?;
    fields.only("rope_interleaved", &["false"])?;
    fields.only("rope_scaling", &[])?;
    fields.only("use_mrope", &["false"])?;
    fields.only("use_sliding_window", &["false"])
}

/// `rope_theta` itself, or inside `rope_parameters`, where version 5 of `transformers` writes it.
fn rope_theta(fields: &mut JsonFields) -> Result<Decimal, ModelError> {
    let outer = fields.decimal("rope_theta")?;
    let Some(mut parameters) = fields.object("rope_parameters")? else {
        return fields.required("rope_theta", outer);
    };
    parameters.only("rope_type", &["\"default\""])?;
    parameters.only("partial_rotary_factor", &["1", "1.0"])?;
    let inner = parameters.decimal("rope_theta")?;
    let inner = parameters.required("rope_theta", inner)?;
    if let Some(outer) = outer
        && outer != inner
    {
        return Err(parameters.unsupported("rope_theta", &outer.to_string(), &inner.to_string()));
    }
    parameters.finish(&[])?;
    Ok(inner)
}

fn natural(fields: &mut JsonFields, name: &str) -> Result<usize, ModelError> {
    let value = fields.natural(name)?;
    fields.required(name, value)
}
