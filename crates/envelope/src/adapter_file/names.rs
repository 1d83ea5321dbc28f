//! PEFT's names of the tensors of a LoRA adapter on a Llama-family model.

use std::fmt;

/// A linear layer of a transformer block that an adapter may sit on, in PEFT's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Module {
    /// `self_attn.q_proj`
    Q,
    /// `self_attn.k_proj`
    K,
    /// `self_attn.v_proj`
    V,
    /// `self_attn.o_proj`
    O,
    /// `mlp.gate_proj`
    Gate,
    /// `mlp.up_proj`
    Up,
    /// `mlp.down_proj`
    Down,
}

impl Module {
    /// All modules, in the order of the program.
    pub const ALL: [Module; 7] = [Module::Q, Module::K, Module::V, Module::O, Module::Gate, Module::Up, Module::Down];

    /// The name in `target_modules`.
    #[must_use]
    pub const fn target(self) -> &'static str {
        match self {
            Self::Q => "q_proj",
            Self::K => "k_proj",
            Self::V => "v_proj",
            Self::O => "o_proj",
            Self::Gate => "gate_proj",
            Self::Up => "up_proj",
            Self::Down => "down_proj",
        }
    }

    const fn parent(self) -> &'static str {
        match self {
            Self::Q | Self::K | Self::V | Self::O => "self_attn",
            Self::Gate | Self::Up | Self::Down => "mlp",
        }
    }
}

/// One of the two factors of an adapter: the update of a weight is `B · A`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Factor {
    /// `(lora_rank, d_in)`
    A,
    /// `(d_out, lora_rank)`
    B,
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "lora_A",
            Self::B => "lora_B",
        })
    }
}

/// The tensor's name in `adapter_model.safetensors`.
#[must_use]
pub fn tensor_name(layer: usize, module: Module, factor: Factor) -> String {
    let (parent, target) = (module.parent(), module.target());
    format!("base_model.model.model.layers.{layer}.{parent}.{target}.{factor}.weight")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_peft() {
        assert_eq!(
            tensor_name(3, Module::Q, Factor::A),
            "base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight"
        );
        assert_eq!(
            tensor_name(12, Module::Down, Factor::B),
            "base_model.model.model.layers.12.mlp.down_proj.lora_B.weight"
        );
    }
}
