//! The `Spec`: the small public record from which prover and verifier build the same program.

use crate::digest::record_digest;
use crate::scales::{Scale, ScaleRange, Scales};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// A decimal number, kept exactly as it was written: `1e-3`, `0.999`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Decimal(pub String);

/// A `Spec` field outside its published range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("spec field {field}: {reason}")]
pub struct SpecError {
    /// The field.
    pub field: String,
    /// What is wrong and what is supported.
    pub reason: String,
}

impl SpecError {
    /// An error about a field.
    pub fn new(field: &str, reason: impl Into<String>) -> Self {
        Self { field: field.to_owned(), reason: reason.into() }
    }
}

impl Decimal {
    /// `(numerator, power of ten)`: the value is `numerator / 10^power`. A sign or none, 1 to 30 digits with at most one point
    /// among them, then perhaps `e` and an exponent of at most 30.
    pub fn parts(&self) -> Result<(i128, u32), SpecError> {
        let wrong = || SpecError::new("decimal", format!("{:?} is not a decimal number of at most 30 digits", self.0));
        let (mantissa, exponent) = match self.0.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| wrong())?),
            None => (self.0.as_str(), 0),
        };
        let unsigned = mantissa.strip_prefix(['+', '-']).unwrap_or(mantissa);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits = format!("{whole}{fraction}");
        // A sign elsewhere than in front would be read as one of the joined digits' number.
        let is_number = (1..=30).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
        if !is_number || !(-30..=30).contains(&exponent) {
            return Err(wrong());
        }
        let mut numerator: i128 = digits.parse().map_err(|_| wrong())?;
        if mantissa.starts_with('-') {
            numerator = -numerator;
        }
        let mut power = i32::try_from(fraction.len()).map_err(|_| wrong())? - exponent;
        while power < 0 {
            numerator = numerator.checked_mul(10).ok_or_else(wrong)?;
            power += 1;
        }
        while power > 0 && numerator % 10 == 0 {
            numerator /= 10;
            power -= 1;
        }
        if power > 30 {
            return Err(wrong());
        }
        Ok((numerator, power.unsigned_abs()))
    }
    /// `round(value * 2^bits)`, half up, exactly.
    pub fn to_fixed(&self, bits: u32) -> Result<i64, SpecError> {
        self.times_to_fixed(1, bits)
    }
    /// `round(value * factor * 2^bits)`, half up, exactly; refused if a product leaves 127 bits or the result 62.
    pub fn times_to_fixed(&self, factor: usize, bits: u32) -> Result<i64, SpecError> {
        let wrong = || {
            SpecError::new(
                "decimal",
                format!("{} does not fit in 62 bits at scale 2^-{bits}; use fewer digits", self.0),
            )
        };
        let (numerator, power) = self.parts()?;
        let denominator = 10i128.checked_pow(power).ok_or_else(wrong)?;
        let factor = i128::try_from(factor).map_err(|_| wrong())?;
        let unit = 1i128.checked_shl(bits).filter(|unit| *unit > 0).ok_or_else(wrong)?;
        let scaled = numerator.checked_mul(factor).and_then(|n| n.checked_mul(unit)).ok_or_else(wrong)?;
        let (floor, rest) = (scaled.div_euclid(denominator), scaled.rem_euclid(denominator));
        // Twice the rest could leave 127 bits.
        let rounded = if rest >= denominator - rest { floor + 1 } else { floor };
        let value = i64::try_from(rounded).map_err(|_| wrong())?;
        if value.unsigned_abs() >= 1 << 62 { Err(wrong()) } else { Ok(value) }
    }
    /// Refuses a negative number.
    fn check_sign(&self, field: &str) -> Result<(), SpecError> {
        if self.parts()?.0 < 0 { Err(SpecError::new(field, format!("{} is negative", self.0))) } else { Ok(()) }
    }
}

/// A linear layer that may carry an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Target {
    /// Attention query.
    #[serde(rename = "q_proj")]
    Query,
    /// Attention key.
    #[serde(rename = "k_proj")]
    Key,
    /// Attention value.
    #[serde(rename = "v_proj")]
    Value,
    /// Attention output.
    #[serde(rename = "o_proj")]
    Output,
    /// SwiGLU gate.
    #[serde(rename = "gate_proj")]
    Gate,
    /// SwiGLU up.
    #[serde(rename = "up_proj")]
    Up,
    /// SwiGLU down.
    #[serde(rename = "down_proj")]
    Down,
}

impl Target {
    /// All targets in canonical order.
    pub const ALL: [Self; 7] = [Self::Query, Self::Key, Self::Value, Self::Output, Self::Gate, Self::Up, Self::Down];
    /// PEFT's name of the module.
    pub const fn module(self) -> &'static str {
        match self {
            Self::Query => "q_proj",
            Self::Key => "k_proj",
            Self::Value => "v_proj",
            Self::Output => "o_proj",
            Self::Gate => "gate_proj",
            Self::Up => "up_proj",
            Self::Down => "down_proj",
        }
    }
}

/// Shape of a Llama-family model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Width of the residual stream.
    pub hidden: usize,
    /// Transformer layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Entries of a head; even.
    pub head_dim: usize,
    /// Width of the MLP.
    pub ffn: usize,
    /// Vocabulary.
    pub vocab: usize,
    /// Whether the output head is the embedding.
    pub tied: bool,
    /// Whether query, key and value have a bias.
    pub qkv_bias: bool,
    /// RMSNorm epsilon.
    pub rms_norm_eps: Decimal,
    /// RoPE base.
    pub rope_theta: Decimal,
    /// Fraction bits of each base tensor (`base.query` …): a function of the checkpoint alone.
    pub base_fraction_bits: BTreeMap<String, i32>,
    /// Width of base weights in bits.
    pub base_bits: u32,
    /// Width of norm gains in bits, sign included: the least that holds the checkpoint's.
    pub gain_bits: u32,
}

/// The adapter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lora {
    /// Rank.
    pub r: usize,
    /// The scaling `lora_alpha / r` (or `lora_alpha / sqrt(r)`) times 2^16, rounded half up.
    pub scaling_65536: i64,
    /// Targets in canonical order.
    pub targets: Vec<Target>,
}

/// How the learning rate moves over the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// The same at every step after warm-up.
    Constant,
    /// Falls to zero at the last step.
    Linear,
    /// Half a cosine to zero.
    Cosine,
}

/// Which optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Adam with decoupled weight decay, as PyTorch defines it.
    AdamW,
    /// Plain gradient descent without momentum, with decoupled weight decay.
    Sgd,
}

/// Optimiser and schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Optimiser.
    pub optimizer: Optimizer,
    /// Peak learning rate.
    pub learning_rate: Decimal,
    /// Schedule.
    pub schedule: Schedule,
    /// Steps of linear warm-up.
    pub warmup_steps: u64,
    /// Weight decay.
    pub weight_decay: Decimal,
    /// First moment decay.
    pub adam_beta1: Decimal,
    /// Second moment decay.
    pub adam_beta2: Decimal,
    /// Denominator constant.
    pub adam_epsilon: Decimal,
    /// Greatest global gradient norm.
    pub max_grad_norm: Decimal,
    /// Rows of one optimiser step (batch times accumulation).
    pub rows: usize,
    /// Bucket length: tokens of a row.
    pub tokens: usize,
    /// Optimiser steps of the run.
    pub steps: u64,
}

/// Whether a part of a run stands in its certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// It stays with the maker.
    #[default]
    Hidden,
    /// Everybody reads it.
    Public,
}

/// What the maker of a run discloses, by choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disclose {
    /// The mean loss of every step.
    pub loss: Visibility,
    /// Which row of the maker's files a leaf of the dataset is of: public if leaves lie in the order of the files.
    pub order: Visibility,
    /// The rows with their salts.
    pub data: Visibility,
    /// The adapter: whether the certificate has its file's digest and the proof of the release, by which whoever guesses an
    /// adapter sees whether it is the one.
    pub adapter: Visibility,
}

impl Default for Disclose {
    /// An adapter is made to be given away.
    fn default() -> Self {
        let hidden = Visibility::Hidden;
        Self { loss: hidden, order: hidden, data: hidden, adapter: Visibility::Public }
    }
}

/// Everything that prover and verifier need to build the program of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Version of this record: 1.
    pub version: u32,
    /// The base model.
    pub model: Model,
    /// The adapter.
    pub lora: Lora,
    /// Optimiser and schedule.
    pub training: Training,
    /// Rows of the dataset.
    pub dataset_rows: usize,
    /// Widths and scales.
    pub scales: Scales,
    /// Width of the range table.
    pub range_bits: u32,
    /// `log2` of the rows of every committed matrix.
    pub log_rows: u32,
    /// What the maker discloses.
    pub disclose: Disclose,
}

/// Fraction bits that a tensor of the base may have.
const BASE_FRACTION_BITS: RangeInclusive<i32> = 0..=30;

/// A whole number of the [`Spec`] and the closed range that this version supports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldRange {
    /// The field.
    pub field: &'static str,
    /// Its value; a negative one reads as 0.
    pub value: u64,
    /// The least that is supported.
    pub low: u64,
    /// The greatest that is supported.
    pub high: u64,
}

impl Spec {
    /// The scale of a kind.
    ///
    /// With an `adam_beta2` of four decimals the second moment has four bits less: its sum with denominator 10^4 would wrap.
    pub fn scale(&self, kind: &str) -> Result<Scale, SpecError> {
        let scale = self.scales.0.get(kind).copied();
        let mut scale = scale.ok_or_else(|| SpecError::new(kind, "this kind of tensor has no scale"))?;
        if kind == "second_moment" && self.training.adam_beta2.parts()?.1 > 3 {
            scale.bits = scale.bits.saturating_sub(4);
            scale.fraction_bits -= 4;
        }
        Ok(scale)
    }
    /// Fraction bits of a base tensor.
    pub fn base_fraction_bits(&self, name: &str) -> Result<i32, SpecError> {
        self.model
            .base_fraction_bits
            .get(name)
            .copied()
            .ok_or_else(|| SpecError::new(name, "this base tensor has no scale"))
    }
    /// Of the whole record.
    pub fn digest(&self) -> [u8; 32] {
        record_digest("veritune spec v1", self)
    }
    /// Every whole number of the record that is no scale, with its closed published range.
    pub fn ranges(&self) -> Vec<FieldRange> {
        let (m, t) = (&self.model, &self.training);
        let field = |field, value, low, high| FieldRange { field, value, low, high };
        vec![
            field("version", u64::from(self.version), 1, 1),
            field("model.hidden", m.hidden as u64, 2, 16_384),
            field("model.layers", m.layers as u64, 1, 256),
            field("model.heads", m.heads as u64, 1, 256),
            field("model.kv_heads", m.kv_heads as u64, 1, m.heads as u64),
            field("model.head_dim", m.head_dim as u64, 2, 512),
            field("model.ffn", m.ffn as u64, 2, 65_536),
            field("model.vocab", m.vocab as u64, 2, 262_144),
            field("model.base_bits", u64::from(m.base_bits), 8, 24),
            field("model.gain_bits", u64::from(m.gain_bits), 2, 20),
            field("lora.r", self.lora.r as u64, 1, 256),
            field("lora.scaling_65536", u64::try_from(self.lora.scaling_65536).unwrap_or(0), 1, 1 << 28),
            field("training.rows", t.rows as u64, 1, 1024),
            field("training.tokens", t.tokens as u64, 2, 2048),
            field("training.steps", t.steps, 1, 1 << 20),
            field("training.warmup_steps", t.warmup_steps, 0, 1 << 20),
            field("dataset_rows", self.dataset_rows as u64, 1, 1 << 21),
            field("range_bits", u64::from(self.range_bits), 8, 20),
            field("log_rows", u64::from(self.log_rows), 10, 20),
        ]
    }
    /// Every scale of the record with what this version allows for it: of the base's tensors, then of the kinds.
    pub fn scale_ranges(&self) -> Vec<ScaleRange> {
        let (low, high) = BASE_FRACTION_BITS.into_inner();
        let base = self.model.base_fraction_bits.iter();
        let base = base.map(|(name, &fraction_bits)| ScaleRange { name: name.clone(), fraction_bits, low, high });
        // As the program has it: see [`Spec::scale`].
        let moved = |range: ScaleRange| {
            let by = self.scale(&range.name).map_or(0, |scale| scale.fraction_bits - range.fraction_bits);
            let ScaleRange { name, fraction_bits, low, high } = range;
            ScaleRange { name, fraction_bits: fraction_bits + by, low: low + by, high: high + by }
        };
        base.chain(self.scales.ranges(self.range_bits).into_iter().map(moved)).collect()
    }
    /// Refuses values outside the published ranges.
    pub fn validate(&self) -> Result<(), SpecError> {
        let (m, t) = (&self.model, &self.training);
        for FieldRange { field, value, low, high } in self.ranges() {
            if !(low..=high).contains(&value) {
                return Err(SpecError::new(field, format!("{value} is not in {low}..={high}")));
            }
        }
        if !m.heads.is_multiple_of(m.kv_heads) {
            return Err(SpecError::new("model.kv_heads", "does not divide model.heads"));
        }
        if !m.head_dim.is_multiple_of(2) {
            return Err(SpecError::new("model.head_dim", "is odd"));
        }
        if self.lora.targets.is_empty() || !self.lora.targets.is_sorted_by(|a, b| a < b) {
            return Err(SpecError::new("lora.targets", "must be a non-empty list in canonical order"));
        }
        for (field, value) in [
            ("model.rms_norm_eps", &m.rms_norm_eps),
            ("model.rope_theta", &m.rope_theta),
            ("training.learning_rate", &t.learning_rate),
            ("training.weight_decay", &t.weight_decay),
            ("training.adam_beta1", &t.adam_beta1),
            ("training.adam_beta2", &t.adam_beta2),
            ("training.adam_epsilon", &t.adam_epsilon),
            ("training.max_grad_norm", &t.max_grad_norm),
        ] {
            value.check_sign(field)?;
        }
        if t.rows > self.dataset_rows {
            return Err(SpecError::new("training.rows", "is greater than the number of dataset rows"));
        }
        for (name, &bits) in &m.base_fraction_bits {
            if !BASE_FRACTION_BITS.contains(&bits) {
                return Err(SpecError::new(name, format!("{bits} fraction bits are not in {BASE_FRACTION_BITS:?}")));
            }
        }
        // Training is deterministic and its seed public: with either, whoever guesses the rows tests the adapter all the same.
        let Disclose { loss, data, adapter, order: _ } = self.disclose;
        if adapter == Visibility::Hidden && (loss == Visibility::Public || data == Visibility::Public) {
            return Err(SpecError::new("disclose.adapter", "is hidden, but the losses or the rows are public"));
        }
        self.scales.check(self.range_bits)
    }
}
