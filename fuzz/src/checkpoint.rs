//! What the targets of both containers share: the smallest model there is, and what holds of any checkpoint that opens.

#[path = "../../crates/model/tests/fixture/mod.rs"]
pub(crate) mod written;

use std::path::Path;
use veritune_model::{Architecture, BaseModel, Checkpoint, DEFAULT_BASE_BITS, MAX_FRACTION_BITS, ModelConfig};

/// A model of the least lengths.
pub(crate) fn smallest(architecture: Architecture) -> ModelConfig {
    ModelConfig {
        vocab_size: 2,
        hidden_size: 2,
        intermediate_size: 1,
        num_hidden_layers: 1,
        num_attention_heads: 1,
        num_key_value_heads: 1,
        head_dim: 2,
        ..written::config(architecture, true)
    }
}

/// Opens the model folder. Its base has an integer of the declared width for every element of every tensor.
pub(crate) fn open(folder: &Path) {
    let Ok(checkpoint) = Checkpoint::open(folder) else { return };
    let config = serde_json::to_vec(checkpoint.config()).expect("JSON");
    assert_eq!(serde_json::from_slice::<ModelConfig>(&config).ok().as_ref(), Some(checkpoint.config()));
    assert!(!checkpoint.inventory().tensors.is_empty());
    let Ok(base) = BaseModel::build(&checkpoint, DEFAULT_BASE_BITS) else { return };
    for tensor in &base.tensors {
        assert_eq!(tensor.values.len(), tensor.shape.iter().product::<usize>(), "{}", tensor.name);
        assert!(tensor.fraction_bits <= MAX_FRACTION_BITS, "{}", tensor.name);
        let limit = (1_u32 << (tensor.width_bits - 1)) - 1;
        assert!(tensor.values.iter().all(|value| value.unsigned_abs() <= limit), "{}", tensor.name);
    }
}
