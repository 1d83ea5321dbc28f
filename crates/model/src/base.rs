//! The integer base: every tensor of the model as integers, a function of the checkpoint alone.
//!
//! Statement: tensor `t` at an index is `⌊w·g·2^f + 1/2⌋`, where `w` is the checkpoint's value, `g` the gain of the
//! norm before it for query, key, value, gate and up (per input column; else 1), and `f` one number per kind of
//! tensor for all layers: 12 for gains, otherwise the largest at which every magnitude is at most
//! `2^(base_bits − 1) − 1`. Biases get no gain and the same width as weights.
//!
//! The gain is folded in as the checkpoint has it, not as `base.gain_*` rounds it: the latter is what adapters
//! read.

use crate::fixed_point::{MAX_BASE_BITS, MIN_BASE_BITS, fixed_point, largest_fraction_bits};
use crate::{Checkpoint, ModelConfig, ModelError, Weight, inventory};
use sha2::{Digest as _, Sha256};

/// Width of weights, unless told otherwise.
pub const DEFAULT_BASE_BITS: u32 = 20;
/// Scale of the gains of norms.
pub const GAIN_FRACTION_BITS: u32 = 12;
/// Width of the gains of norms, signed.
pub const GAIN_BITS: u32 = 20;

/// One kind of tensor over all layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseTensor {
    /// `base.query` and so on.
    pub name: &'static str,
    /// Outermost axis first; the layer is the outermost where every layer has one.
    pub shape: Vec<usize>,
    /// The real value is the integer times `2^-fraction_bits`.
    pub fraction_bits: u32,
    /// Every magnitude is at most `2^(width_bits − 1) − 1`.
    pub width_bits: u32,
    /// Row-major.
    pub values: Vec<i32>,
}

/// The integers that runs are proved against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseModel {
    /// The checkpoint's configuration.
    pub config: ModelConfig,
    /// In canonical order (see [`Weight::ALL`]).
    pub tensors: Vec<BaseTensor>,
}

impl BaseModel {
    /// The integer base of a checkpoint. Each weight takes `base_bits` bits, sign included; what fewer
    /// cost is measured in `docs/benchmarks/fidelity.md`.
    ///
    /// Cost: decodes each tensor twice; needs 4 bytes per parameter beside the checkpoint.
    ///
    /// # Errors
    /// [`ModelError::NotFinite`], [`ModelError::OutOfRange`], [`ModelError::BaseBits`].
    pub fn build(checkpoint: &Checkpoint, base_bits: u32) -> Result<Self, ModelError> {
        if !(MIN_BASE_BITS..=MAX_BASE_BITS).contains(&base_bits) {
            return Err(ModelError::BaseBits { least: MIN_BASE_BITS, greatest: MAX_BASE_BITS, got: base_bits });
        }
        let config = checkpoint.config();
        let tensors = Weight::present(config).map(|weight| build_tensor(checkpoint, weight, base_bits));
        Ok(Self { config: config.clone(), tensors: tensors.collect::<Result<_, _>>()? })
    }

    /// The tensor of this name.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<&BaseTensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }
}

impl BaseTensor {
    /// SHA-256 of name, shape, scale, width and values: for tests and for comparing two machines. The commitment of
    /// a base is another thing.
    #[must_use]
    pub fn sha256(&self) -> String {
        let shape: Vec<String> = self.shape.iter().map(usize::to_string).collect();
        let mut hasher = Sha256::new();
        hasher.update(format!("{} {} {} {}\n", self.name, shape.join("x"), self.fraction_bits, self.width_bits));
        for value in &self.values {
            hasher.update(value.to_le_bytes());
        }
        inventory::hex(&hasher.finalize())
    }
}

fn build_tensor(checkpoint: &Checkpoint, weight: Weight, base_bits: u32) -> Result<BaseTensor, ModelError> {
    let config = checkpoint.config();
    let num_layers = weight.num_layers(config);
    let width_bits = if weight.is_gain() { GAIN_BITS } else { base_bits };
    let limit = i32::MAX >> 32u32.saturating_sub(width_bits);

    let (mut least, mut greatest) = (0.0f64, 0.0f64);
    for layer in 0..num_layers {
        for value in folded_values(checkpoint, weight, layer)? {
            least = least.min(value);
            greatest = greatest.max(value);
        }
    }
    let out_of_range = |fraction_bits: u32| ModelError::OutOfRange {
        name: weight.base_name().to_owned(),
        limit: format!("{limit}·2^-{fraction_bits}"),
        got: greatest.max(-least).to_string(),
    };
    let fraction_bits = if weight.is_gain() {
        GAIN_FRACTION_BITS
    } else {
        largest_fraction_bits(least, greatest, limit).ok_or_else(|| out_of_range(0))?
    };

    let mut shape = weight.shape(config);
    if weight.is_per_layer() {
        shape.insert(0, num_layers);
    }
    let mut values = Vec::with_capacity(shape.iter().fold(1usize, |product, axis| product.saturating_mul(*axis)));
    for layer in 0..num_layers {
        for value in folded_values(checkpoint, weight, layer)? {
            values.push(fixed_point(value, fraction_bits, limit).ok_or_else(|| out_of_range(fraction_bits))?);
        }
    }
    Ok(BaseTensor { name: weight.base_name(), shape, fraction_bits, width_bits, values })
}

/// `w·g`, exact.
fn folded_values(
    checkpoint: &Checkpoint,
    weight: Weight,
    layer: usize,
) -> Result<impl Iterator<Item = f64>, ModelError> {
    let gain = match weight.folded_gain() {
        Some(gain) => checkpoint.values(gain, layer)?,
        None => vec![1.0],
    };
    let values = checkpoint.values(weight, layer)?;
    Ok(values.into_iter().zip(gain.into_iter().cycle()).map(|(w, g)| f64::from(w) * f64::from(g)))
}
