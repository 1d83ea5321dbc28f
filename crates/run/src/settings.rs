//! From the plan's recipe and the checkpoint to a `Spec`.

use crate::RunError;
use serde::{Deserialize, Serialize};
use veritune_commit::MAX_PROOFS;
use veritune_model::{BaseModel, ModelConfig};
use veritune_relations::scales::Scales;
use veritune_relations::spec::{
    Decimal, Disclose, Lora, Model, Optimizer, Schedule, Spec, SpecError, Target, Training,
};
use veritune_relations::step::no_leaves;
use veritune_verifier::adapter::scaling_65536;

/// The part of a recipe that is proved, in PEFT's and the Trainer's words; decimals are text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Adapter.
    pub lora: LoraSettings,
    /// Optimiser and schedule.
    pub train: TrainSettings,
    /// Lengths.
    pub data: DataSettings,
    /// Proof parameters.
    pub proof: ProofSettings,
    /// What is disclosed; nothing if absent.
    #[serde(default)]
    pub disclose: Disclose,
}

/// Adapter settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoraSettings {
    /// Rank.
    pub r: usize,
    /// Scaling numerator.
    pub lora_alpha: i64,
    /// Modules with an adapter.
    pub target_modules: Vec<Target>,
    /// Whether the scaling divides by the root of the rank.
    pub use_rslora: bool,
    /// PEFT's default initialisation; nothing else is supported.
    pub init_lora_weights: bool,
}

/// Optimiser settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct TrainSettings {
    pub optimizer: Optimizer,
    pub learning_rate: Decimal,
    pub lr_scheduler_type: Schedule,
    pub warmup_steps: u64,
    pub weight_decay: Decimal,
    pub adam_beta1: Decimal,
    pub adam_beta2: Decimal,
    pub adam_epsilon: Decimal,
    pub max_grad_norm: Decimal,
    pub per_device_train_batch_size: usize,
    pub gradient_accumulation_steps: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_train_epochs: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    pub seed_rule: String,
}

/// Lengths of rows.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSettings {
    /// Greatest length of a row.
    pub max_length: usize,
    /// Padded length of every row.
    pub bucket: usize,
}

/// Proof parameters.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofSettings {
    /// Width of the range table.
    pub range_bits: u32,
    /// Optimiser steps of one proof; 1.
    pub steps_per_proof: u64,
    /// Profile of the commitment.
    pub profile: String,
}

impl Settings {
    /// Reads settings.
    pub fn parse(json: &str) -> Result<Self, RunError> {
        serde_json::from_str(json).map_err(|e| RunError::Settings(e.to_string()))
    }

    fn scaling_65536(&self) -> Result<i64, SpecError> {
        let alpha = u64::try_from(self.lora.lora_alpha).ok();
        let scaling = alpha.and_then(|alpha| scaling_65536(self.lora.r as u64, alpha, self.lora.use_rslora));
        scaling.ok_or_else(|| SpecError::new("lora.lora_alpha", "has no scaling with this rank"))
    }

    /// The spec of a run over `dataset_rows` rows.
    pub fn spec(&self, base: &BaseModel, scales: Scales, dataset_rows: usize) -> Result<Spec, RunError> {
        if self.proof.steps_per_proof != 1 {
            return Err(SpecError::new("proof.steps_per_proof", "only 1 is supported so far").into());
        }
        if !self.lora.init_lora_weights {
            return Err(SpecError::new("lora.init_lora_weights", "only true is supported").into());
        }
        let train = &self.train;
        let too_large = |field| SpecError::new(field, "is too large");
        let rows = train.per_device_train_batch_size.checked_mul(train.gradient_accumulation_steps);
        let rows = rows.ok_or_else(|| too_large("training.rows"))?;
        let per_epoch = (dataset_rows / rows.max(1)) as u64;
        let steps = match (train.max_steps, train.num_train_epochs) {
            (Some(steps), _) => steps,
            (None, Some(epochs)) => epochs.checked_mul(per_epoch).ok_or_else(|| too_large("training.steps"))?,
            (None, None) => per_epoch,
        };
        // One proof a step, settlement and release.
        if steps.saturating_add(2) > MAX_PROOFS {
            let reason = format!("{steps} steps take more proofs than the {MAX_PROOFS} of a certificate");
            return Err(SpecError::new("training.steps", reason).into());
        }
        let mut spec = Spec {
            version: 1,
            model: model(base),
            lora: Lora {
                r: self.lora.r,
                scaling_65536: self.scaling_65536()?,
                targets: self.lora.target_modules.clone(),
            },
            training: Training {
                optimizer: train.optimizer,
                learning_rate: train.learning_rate.clone(),
                schedule: train.lr_scheduler_type,
                warmup_steps: train.warmup_steps,
                weight_decay: train.weight_decay.clone(),
                adam_beta1: train.adam_beta1.clone(),
                adam_beta2: train.adam_beta2.clone(),
                adam_epsilon: train.adam_epsilon.clone(),
                max_grad_norm: train.max_grad_norm.clone(),
                rows,
                tokens: self.data.bucket,
                steps,
            },
            dataset_rows,
            scales,
            range_bits: self.proof.range_bits,
            log_rows: 10,
            disclose: self.disclose,
        };
        spec.validate()?;
        spec.log_rows = log_rows(&spec)?;
        Ok(spec)
    }
}

/// Rows of the matrices: a sixty-fourth of the witness's slots, these rounded up to a power of two; at least 2^12.
fn log_rows(spec: &Spec) -> Result<u32, RunError> {
    let program = veritune_relations::step::build(spec, 1, &no_leaves(spec))?.program;
    let used = veritune_relations::layout::Layout::new(&program).used[0];
    Ok(used.next_power_of_two().ilog2().saturating_sub(6).max(12))
}

fn decimal(value: &veritune_model::Decimal) -> Decimal {
    Decimal(value.to_string())
}

/// The model of a spec: a function of the checkpoint alone.
pub fn model(base: &BaseModel) -> Model {
    let config: &ModelConfig = &base.config;
    Model {
        hidden: config.hidden_size,
        layers: config.num_hidden_layers,
        heads: config.num_attention_heads,
        kv_heads: config.num_key_value_heads,
        head_dim: config.head_dim,
        ffn: config.intermediate_size,
        vocab: config.vocab_size,
        tied: config.tie_word_embeddings,
        qkv_bias: config.has_attention_bias(),
        rms_norm_eps: decimal(&config.rms_norm_eps),
        rope_theta: decimal(&config.rope_theta),
        base_fraction_bits: base.tensors.iter().map(|t| (t.name.to_owned(), t.fraction_bits as i32)).collect(),
        base_bits: veritune_model::DEFAULT_BASE_BITS,
        gain_bits: gain_bits(base),
    }
}

/// The least signed width that holds every norm gain.
fn gain_bits(base: &BaseModel) -> u32 {
    let gains = base.tensors.iter().filter(|t| t.name.starts_with("base.gain_"));
    let largest = gains.flat_map(|t| &t.values).map(|x| x.unsigned_abs()).max().unwrap_or(1);
    33 - largest.max(1).leading_zeros()
}
