//! A checkpoint in safetensors, in one file or in shards: `config.json`, the index of the shards, the file of weights.

use crate::bytes::Input;
use crate::checkpoint::written::{config_json, safetensors_bytes, safetensors_tensors};
use crate::checkpoint::{open, smallest};
use crate::scratch::Scratch;
use std::sync::LazyLock;
use veritune_model::Architecture;

static SINGLE: LazyLock<Scratch> = LazyLock::new(Scratch::new);
static SHARDED: LazyLock<Scratch> = LazyLock::new(Scratch::new);

/// Writes and opens the folder that the bytes describe.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let is_sharded = input.byte() % 2 == 1;
    let folder = if is_sharded { &*SHARDED } else { &*SINGLE };
    folder.write("config.json", input.section());
    let weights = if is_sharded {
        folder.write("model.safetensors.index.json", input.section());
        "a.safetensors"
    } else {
        "model.safetensors"
    };
    folder.write(weights, input.rest());
    open(folder.path());
}

/// Honest inputs.
pub fn seeds() -> Vec<Vec<u8>> {
    let seed = |architecture, is_sharded: bool| {
        let config = smallest(architecture);
        let tensors = safetensors_tensors(&config);
        let map: Vec<String> = tensors.iter().map(|tensor| format!(r#""{}":"a.safetensors""#, tensor.name)).collect();
        let index = format!(r#"{{"metadata":{{"total_size":1}},"weight_map":{{{}}}}}"#, map.join(","));
        let section = |bytes: &[u8]| [&u16::try_from(bytes.len()).expect("short").to_le_bytes(), bytes].concat();
        let mut seed = vec![u8::from(is_sharded)];
        seed.extend(section(config_json(&config).to_string().as_bytes()));
        if is_sharded {
            seed.extend(section(index.as_bytes()));
        }
        seed.extend(safetensors_bytes(&tensors));
        seed
    };
    vec![seed(Architecture::Llama, false), seed(Architecture::Qwen2, false), seed(Architecture::Llama, true)]
}
