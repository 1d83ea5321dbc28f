//! The integer base: of tiny models by another computation, and of the repository's small model.

mod fixture;

use fixture::{config, safetensors_tensors, values, write_safetensors};
use std::path::Path;
use veritune_model::{Architecture, BaseModel, Checkpoint, DEFAULT_BASE_BITS, ModelConfig, ModelError, Weight};

fn checkpoint(config: &ModelConfig, change: impl Fn(&mut Vec<fixture::Tensor>)) -> Checkpoint {
    let directory = tempfile::tempdir().unwrap();
    let mut tensors = safetensors_tensors(config);
    change(&mut tensors);
    write_safetensors(directory.path(), config, &tensors);
    Checkpoint::open(directory.path()).unwrap()
}

/// Values of the fixture are multiples of 2^-10, products of 2^-20: exact in i64.
fn folded(config: &ModelConfig, weight: Weight) -> Vec<i64> {
    let units = |value: &f32| (value * 1024.0) as i64;
    let mut all = Vec::new();
    for layer in 0..weight.num_layers(config) {
        let gain = match weight {
            Weight::Query | Weight::Key | Weight::Value => Some(Weight::GainAttention),
            Weight::Gate | Weight::Up => Some(Weight::GainMlp),
            _ => None,
        };
        let gain = gain.map(|gain| values(config, gain, layer));
        for (index, value) in values(config, weight, layer).iter().enumerate() {
            let gain = gain.as_ref().map_or(1024, |gain| units(&gain[index % gain.len()]));
            all.push(units(value) * gain);
        }
    }
    all
}

/// Half up from 20 fraction bits.
fn rounded(product: i64, fraction_bits: u32) -> i64 {
    if fraction_bits >= 20 {
        product << (fraction_bits - 20)
    } else {
        let shift = 20 - fraction_bits;
        (product + (1 << (shift - 1))) >> shift
    }
}

#[test]
fn order_names_shapes_and_every_value() {
    for (architecture, tied, base_bits) in
        [(Architecture::Llama, true, 16), (Architecture::Llama, false, 8), (Architecture::Qwen2, true, 24)]
    {
        let config = config(architecture, tied);
        let base = BaseModel::build(&checkpoint(&config, |_| ()), base_bits).unwrap();
        let mut names = vec![
            "base.embedding",
            "base.head",
            "base.query",
            "base.key",
            "base.value",
            "base.output",
            "base.gate",
            "base.up",
            "base.down",
            "base.gain_attention",
            "base.gain_mlp",
            "base.gain_final",
            "base.query_bias",
            "base.key_bias",
            "base.value_bias",
        ];
        names.retain(|name| !(tied && *name == "base.head"));
        names.retain(|name| architecture == Architecture::Qwen2 || !name.ends_with("_bias"));
        assert_eq!(base.tensors.iter().map(|tensor| tensor.name).collect::<Vec<_>>(), names);
        assert_eq!(base.tensor("base.key").unwrap().shape, [2, 16, 32]);
        assert_eq!(base.tensor("base.gain_final").unwrap().shape, [32]);

        for (tensor, weight) in base.tensors.iter().zip(Weight::present(&config)) {
            let expected = folded(&config, weight);
            assert_eq!(tensor.values.len(), tensor.shape.iter().product::<usize>());
            let is_gain = weight.is_gain();
            assert_eq!(tensor.width_bits, if is_gain { 20 } else { base_bits });
            let limit = (1i64 << (tensor.width_bits - 1)) - 1;
            let fits = |f: u32| expected.iter().all(|value| rounded(*value, f).abs() <= limit);
            let fraction_bits = if is_gain { 12 } else { (0..=30).rev().find(|f| fits(*f)).unwrap() };
            assert_eq!(tensor.fraction_bits, fraction_bits, "{}", tensor.name);
            for (index, (got, value)) in tensor.values.iter().zip(&expected).enumerate() {
                assert_eq!(i64::from(*got), rounded(*value, fraction_bits), "{} at {index}", tensor.name);
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let config = config(Architecture::Llama, true);
    let set = |name: &'static str, value: f32| {
        checkpoint(&config, move |tensors| {
            let tensor = tensors.iter_mut().find(|tensor| tensor.name == name).unwrap();
            tensor.bytes[..4].copy_from_slice(&value.to_le_bytes());
        })
    };
    let refusal = |checkpoint: &Checkpoint, bits| BaseModel::build(checkpoint, bits).unwrap_err();
    for (name, value, base_name) in [
        ("model.norm.weight", 128.0, "base.gain_final"),
        ("model.norm.weight", -128.0, "base.gain_final"),
        ("model.layers.1.mlp.down_proj.weight", 524_288.0, "base.down"),
    ] {
        match refusal(&set(name, value), DEFAULT_BASE_BITS) {
            ModelError::OutOfRange { name, .. } => assert_eq!(name, base_name),
            other => panic!("{other}"),
        }
    }
    assert!(BaseModel::build(&set("model.norm.weight", 127.9997), DEFAULT_BASE_BITS).is_ok());
    let nan = refusal(&set("model.layers.1.mlp.down_proj.weight", f32::NAN), DEFAULT_BASE_BITS);
    assert_eq!(nan.code(), "VT-MODEL-013");
    for bits in [0, 7, 25, 32, u32::MAX] {
        assert_eq!(refusal(&checkpoint(&config, |_| ()), bits).code(), "VT-MODEL-015");
    }
}

#[test]
fn one_scale_for_all_layers_is_set_by_the_largest_of_them() {
    let config = config(Architecture::Llama, true);
    let name = "model.layers.1.self_attn.o_proj.weight";
    let checkpoint = checkpoint(&config, |tensors| {
        let tensor = tensors.iter_mut().find(|tensor| tensor.name == name).unwrap();
        tensor.bytes[..4].copy_from_slice(&100.0f32.to_le_bytes());
    });
    let output = BaseModel::build(&checkpoint, DEFAULT_BASE_BITS).unwrap();
    let output = output.tensor("base.output").unwrap();
    assert_eq!(output.fraction_bits, 12);
    assert_eq!(output.values[32 * 32], 409_600);
}

#[test]
fn the_small_model_has_a_base() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/small");
    let checkpoint = Checkpoint::open(&directory).unwrap();
    let config = checkpoint.config();
    assert_eq!((config.hidden_size, config.num_hidden_layers, config.vocab_size), (128, 4, 2048));
    let base = BaseModel::build(&checkpoint, DEFAULT_BASE_BITS).unwrap();
    for tensor in base.tensors.iter().filter(|tensor| !tensor.name.starts_with("base.gain")) {
        let greatest = tensor.values.iter().map(|value| value.abs()).max().unwrap();
        // The scale is the largest that fits: one more bit would not.
        assert!((262_143..=524_287).contains(&greatest), "{}: {greatest}", tensor.name);
    }
}
