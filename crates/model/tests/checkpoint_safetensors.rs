//! Safetensors directories made by hand: what is read, and what is refused with which code and name.

mod fixture;

use fixture::{Tensor, config, config_json, safetensors_bytes, safetensors_tensors, values, write_safetensors};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;
use veritune_model::{Architecture, Checkpoint, Inventory, ModelConfig, ModelError, Weight};

fn tiny() -> (TempDir, ModelConfig, Vec<Tensor>) {
    let config = config(Architecture::Llama, true);
    let tensors = safetensors_tensors(&config);
    let directory = tempfile::tempdir().unwrap();
    write_safetensors(directory.path(), &config, &tensors);
    (directory, config, tensors)
}

fn assert_refused(directory: &Path, code: &str, part: &str) {
    let error = Checkpoint::open(directory).unwrap_err();
    assert!(error.code() == code && error.to_string().contains(part), "{}: {error}", error.code());
}

/// Opens the tiny model with `config.json` changed.
fn open_with(change: impl Fn(&mut Value)) -> Result<ModelConfig, ModelError> {
    let (directory, config, _) = tiny();
    let mut json = config_json(&config);
    change(&mut json);
    std::fs::write(directory.path().join("config.json"), json.to_string()).unwrap();
    Checkpoint::open(directory.path()).map(|checkpoint| checkpoint.config().clone())
}

fn assert_field_refused(code: &str, field: &str, change: impl Fn(&mut Value)) {
    let error = open_with(change).unwrap_err();
    assert!(error.code() == code && error.to_string().contains(field), "{field}: {}: {error}", error.code());
}

#[test]
fn a_directory_gives_its_config_values_and_inventory() {
    for (architecture, tied) in [(Architecture::Llama, true), (Architecture::Llama, false), (Architecture::Qwen2, true)]
    {
        let config = config(architecture, tied);
        let directory = tempfile::tempdir().unwrap();
        let tensors = safetensors_tensors(&config);
        write_safetensors(directory.path(), &config, &tensors);
        let checkpoint = Checkpoint::open(directory.path()).unwrap();
        assert_eq!(checkpoint.config(), &config);
        for weight in Weight::present(&config) {
            for layer in 0..weight.num_layers(&config) {
                assert_eq!(checkpoint.values(weight, layer).unwrap(), values(&config, weight, layer));
            }
        }
        let inventory = checkpoint.inventory();
        let names: Vec<_> = inventory.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["config.json", "model.safetensors"]);
        assert_eq!(inventory.tensors.len(), tensors.len());
        let text = serde_json::to_string(&inventory).unwrap();
        assert_eq!(serde_json::from_str::<Inventory>(&text).unwrap(), inventory);
    }
}

#[test]
fn half_precision_tensors() {
    let (directory, config, mut tensors) = tiny();
    let bf16 = |tensor: &mut Tensor| {
        tensor.dtype = "BF16";
        tensor.bytes = tensor.bytes.chunks(4).flat_map(|value| value[2..].to_vec()).collect();
    };
    bf16(&mut tensors[0]);
    tensors[1].dtype = "F16";
    tensors[1].bytes = [0x00, 0x3c].repeat(32 * 32);
    write_safetensors(directory.path(), &config, &tensors);
    let checkpoint = Checkpoint::open(directory.path()).unwrap();
    let truncated = |value: &f32| f32::from_bits(value.to_bits() & 0xffff_0000);
    let expected: Vec<f32> = values(&config, Weight::Embedding, 0).iter().map(truncated).collect();
    assert_eq!(checkpoint.values(Weight::Embedding, 0).unwrap(), expected);
    assert_eq!(checkpoint.values(Weight::Query, 0).unwrap(), vec![1.0; 32 * 32]);
}

#[test]
fn shards_and_their_index_agree() {
    let (directory, config, tensors) = tiny();
    let path = |name: &str| directory.path().join(name);
    let (first, second) = tensors.split_at(7);
    std::fs::remove_file(path("model.safetensors")).unwrap();
    std::fs::write(path("a.safetensors"), safetensors_bytes(first)).unwrap();
    std::fs::write(path("b.safetensors"), safetensors_bytes(second)).unwrap();
    let index = |change: &dyn Fn(&mut Value)| {
        let mut map = json!({});
        first.iter().for_each(|tensor| map[&tensor.name] = json!("a.safetensors"));
        second.iter().for_each(|tensor| map[&tensor.name] = json!("b.safetensors"));
        change(&mut map);
        let index = json!({"metadata": {"total_size": 1}, "weight_map": map});
        std::fs::write(path("model.safetensors.index.json"), index.to_string()).unwrap();
    };
    index(&|_| ());
    let checkpoint = Checkpoint::open(directory.path()).unwrap();
    assert_eq!(checkpoint.values(Weight::Down, 1).unwrap(), values(&config, Weight::Down, 1));
    assert_eq!(checkpoint.inventory().files.len(), 4);

    let name = first[3].name.as_str();
    index(&|map| map[name] = json!("b.safetensors"));
    assert_refused(directory.path(), "VT-MODEL-010", name);
    index(&|map| drop(map.as_object_mut().unwrap().remove(name)));
    assert_refused(directory.path(), "VT-MODEL-010", name);
    index(&|map| map["model.extra"] = json!("a.safetensors"));
    assert_refused(directory.path(), "VT-MODEL-010", "model.extra");
    for escape in ["../a.safetensors", "/a.safetensors", "..\\a.safetensors", "config.json"] {
        index(&|map| map[name] = json!(escape));
        assert_refused(directory.path(), "VT-MODEL-005", name);
    }
    index(&|map| map[name] = json!("0.safetensors"));
    assert_refused(directory.path(), "VT-MODEL-001", "0.safetensors");
}

#[test]
fn the_directory_names_one_set_of_weights() {
    let (directory, _, _) = tiny();
    std::fs::write(directory.path().join("x.gguf"), b"GGUF").unwrap();
    assert_refused(directory.path(), "VT-MODEL-003", "model.safetensors, x.gguf");
    let empty = tempfile::tempdir().unwrap();
    assert_refused(empty.path(), "VT-MODEL-003", "got []");
    assert_refused(&empty.path().join("absent"), "VT-MODEL-001", "cannot be read");
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("x.gguf")).unwrap();
    assert_refused(folder.path(), "VT-MODEL-001", "not a regular file");
    std::fs::remove_file(directory.path().join("x.gguf")).unwrap();
    std::fs::write(directory.path().join("config.json"), vec![b' '; (1 << 20) + 1]).unwrap();
    assert_refused(directory.path(), "VT-MODEL-002", "config.json");
}

#[test]
fn tensors_are_refused_by_name() {
    let (directory, config, tensors) = tiny();
    let check = |code: &str, part: &str, change: &dyn Fn(&mut Vec<Tensor>)| {
        let mut tensors = tensors.clone();
        change(&mut tensors);
        write_safetensors(directory.path(), &config, &tensors);
        assert_refused(directory.path(), code, part);
    };
    let name = tensors[5].name.clone();
    check("VT-MODEL-008", &name, &|t| drop(t.remove(5)));
    check("VT-MODEL-008", &name, &|t| t[5].name = "model.layers.9.x".into());
    check("VT-MODEL-009", "lm_head.weight", &|t| {
        let head = Tensor { name: "lm_head.weight".into(), ..t[0].clone() };
        t.push(head);
    });
    check("VT-MODEL-011", &name, &|t| t[5].shape.reverse());
    check("VT-MODEL-012", &name, &|t| t[5].dtype = "I32");
}

#[test]
fn a_value_that_is_not_finite_is_refused_with_its_index() {
    let (directory, config, mut tensors) = tiny();
    let name = tensors[3].name.clone();
    tensors[3].bytes[4 * 9..4 * 10].copy_from_slice(&f32::NEG_INFINITY.to_le_bytes());
    write_safetensors(directory.path(), &config, &tensors);
    let error = Checkpoint::open(directory.path()).unwrap().values(Weight::Key, 0).map(|_| ());
    let index_9 = ModelError::NotFinite { name: name.clone(), index: 9, value: "-inf".into() };
    assert_eq!((error, name.as_str()), (Err(index_9), "model.layers.0.self_attn.k_proj.weight"));
}

#[test]
fn every_value_that_is_not_finite_is_refused_in_every_element_type() {
    let (directory, config, tensors) = tiny();
    for (dtype, bits) in [
        ("F32", [0x7fc0_0000u32, 0x7f80_0000, 0xff80_0000, 0x7f80_0001].map(|b| b.to_le_bytes().to_vec())),
        ("F16", [0x7e00u16, 0x7c00, 0xfc00, 0x7c01].map(|b| b.to_le_bytes().to_vec())),
        ("BF16", [0x7fc0u16, 0x7f80, 0xff80, 0x7f81].map(|b| b.to_le_bytes().to_vec())),
    ] {
        for (bytes, word) in bits.into_iter().zip(["NaN", "inf", "-inf", "NaN"]) {
            let mut tensors = tensors.clone();
            let len = bytes.len();
            let tensor = &mut tensors[3];
            (tensor.dtype, tensor.bytes) = (dtype, vec![0; tensor.bytes.len() / 4 * len]);
            tensor.bytes[len * 9..len * 10].copy_from_slice(&bytes);
            let name = tensor.name.clone();
            write_safetensors(directory.path(), &config, &tensors);
            let error = Checkpoint::open(directory.path()).unwrap().values(Weight::Key, 0).unwrap_err();
            assert_eq!(error, ModelError::NotFinite { name, index: 9, value: word.into() }, "{dtype}");
            assert_eq!(error.code(), "VT-MODEL-013");
        }
    }
}

#[test]
fn hostile_headers_are_refused() {
    let (directory, _, tensors) = tiny();
    let path = directory.path().join("model.safetensors");
    let bytes = safetensors_bytes(&tensors);
    for len in (0..300).chain([bytes.len() / 2, bytes.len() - 1]) {
        std::fs::write(&path, &bytes[..len]).unwrap();
        assert_refused(directory.path(), "VT-MODEL-004", "model.safetensors");
    }
    std::fs::write(&path, [&bytes[..], b"x"].concat()).unwrap();
    assert_refused(directory.path(), "VT-MODEL-004", "model.safetensors");
    // A header that is all white space, as long as the library alone would read.
    for len in [1 << 22, (1 << 22) + 1, 100_000_000_u64] {
        let header = vec![b' '; usize::try_from(len).unwrap()];
        std::fs::write(&path, [&len.to_le_bytes()[..], &header].concat()).unwrap();
        let error = Checkpoint::open(directory.path()).unwrap_err();
        assert_eq!((error.code(), error.to_string().contains("more than 4194304")), ("VT-MODEL-004", len > 1 << 22));
    }
    // A name that is there twice, with the same bytes: the library alone would keep the last.
    let header_len = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    let (header, data) = bytes[8..].split_at(header_len);
    let first_end = header.iter().position(|byte| *byte == b'}').unwrap();
    let header = [&header[..=first_end], b",", &header[1..]].concat();
    std::fs::write(&path, [&(header.len() as u64).to_le_bytes()[..], &header, data].concat()).unwrap();
    assert_refused(directory.path(), "VT-MODEL-004", "twice");
    for len in [u64::MAX, 1 << 40, 100_000_001] {
        std::fs::write(&path, [&len.to_le_bytes()[..], &bytes[8..]].concat()).unwrap();
        assert_refused(directory.path(), "VT-MODEL-004", "model.safetensors");
    }
}

#[test]
fn config_fields_are_refused_by_name() {
    for field in ["hidden_size", "rope_theta", "rms_norm_eps", "tie_word_embeddings", "architectures", "hidden_act"] {
        assert_field_refused("VT-MODEL-007", field, |json| drop(json.as_object_mut().unwrap().remove(field)));
        assert_field_refused("VT-MODEL-007", field, |json| json[field] = Value::Null);
    }
    for (field, value) in [
        ("architectures", json!(["MistralForCausalLM"])),
        ("architectures", json!(["LlamaForCausalLM", "Qwen2ForCausalLM"])),
        ("model_type", json!("qwen2")),
        ("hidden_act", json!("gelu")),
        ("rope_scaling", json!({"type": "linear", "factor": 2.0})),
        ("rope_parameters", json!(3)),
        ("attention_bias", json!(true)),
        ("mlp_bias", json!(true)),
        ("attention_dropout", json!(0.1)),
        ("partial_rotary_factor", json!(0.5)),
        ("quantization_config", json!({})),
        ("use_sliding_window", json!(true)),
        ("layer_types", json!(["full_attention", "sliding_attention"])),
        ("hidden_size", json!(-1)),
        ("hidden_size", json!(1.5)),
        ("hidden_size", json!("32")),
        ("hidden_size", json!(0)),
        ("vocab_size", json!(1 << 30)),
        ("num_hidden_layers", json!(u64::MAX)),
        ("num_key_value_heads", json!(3)),
        ("head_dim", json!(7)),
        ("rms_norm_eps", json!(-1e-5)),
        ("rope_theta", json!(0)),
        ("rope_theta", json!("10000")),
    ] {
        assert_field_refused("VT-MODEL-005", field, |json| json[field] = value.clone());
    }
    assert_field_refused("VT-MODEL-006", "logit_scale", |json| json["logit_scale"] = json!(2.0));
    assert_field_refused("VT-MODEL-005", "rope_parameters.rope_type", |json| {
        json["rope_parameters"] = json!({"rope_theta": 10000.0, "rope_type": "llama3"});
    });
    assert_field_refused("VT-MODEL-005", "rope_parameters.rope_theta", |json| {
        json["rope_parameters"] = json!({"rope_theta": 500.0, "rope_type": "default"});
    });
    assert_field_refused("VT-MODEL-006", "rope_parameters.factor", |json| {
        json["rope_parameters"] = json!({"rope_theta": 10000.0, "rope_type": "default", "factor": 8.0});
    });
}

#[test]
fn both_spellings_of_rope_theta_and_defaults() {
    let expected = open_with(|_| ()).unwrap();
    let newer = open_with(|json| {
        json.as_object_mut().unwrap().remove("rope_theta");
        json["rope_parameters"] = json!({"rope_theta": 10000.0, "rope_type": "default"});
        json["layer_types"] = json!(["full_attention", "full_attention"]);
        json["head_dim"] = Value::Null;
    });
    assert_eq!(newer.unwrap(), expected);
}

#[test]
fn json_that_says_a_thing_twice_or_is_no_object_is_refused() {
    let (directory, config, _) = tiny();
    let path = directory.path().join("config.json");
    let text = config_json(&config).to_string();
    for bad in [format!("{}, \"hidden_size\": 32}}", &text[..text.len() - 1]), format!("{text}x"), "[".repeat(100_000)]
    {
        std::fs::write(&path, bad).unwrap();
        assert_refused(directory.path(), "VT-MODEL-004", "config.json");
    }
}
