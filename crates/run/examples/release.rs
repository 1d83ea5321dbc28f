//! Writes the released files of made-up integers for a real model, and the integers beside them: what the test of the
//! released format needs for a model whose run is too long for a test.
//!
//! `release MODEL_DIR qv|all OUT_DIR`: `OUT_DIR/adapter_model.safetensors`, `adapter_config.json`, and `integers.bin`
//! (i64 LE, matrix after matrix, each layer after layer, row-major); a JSON line on stdout names the matrices.

use serde_json::json;
use std::error::Error;
use std::fs;
use std::path::Path;
use veritune_envelope::adapter_file;
use veritune_model::{BaseModel, Checkpoint, DEFAULT_BASE_BITS};
use veritune_relations::release;
use veritune_relations::scales::Scales;
use veritune_relations::step::{Tables, build_with, no_leaves};
use veritune_run::settings::Settings;
use veritune_verifier::adapter;

const RANGE_BITS: u32 = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [model, targets, out] = words.as_slice() else { return Err("usage: release MODEL_DIR qv|all OUT_DIR".into()) };
    let (model, out) = (Path::new(model), Path::new(out));
    let targets = match targets.as_str() {
        "qv" => r#"["q_proj","v_proj"]"#,
        "all" => r#"["q_proj","k_proj","v_proj","o_proj","gate_proj","up_proj","down_proj"]"#,
        other => return Err(format!("targets {other}: qv or all").into()),
    };
    let settings = Settings::parse(&format!(
        r#"{{"lora":{{"r":8,"lora_alpha":16,"target_modules":{targets},"use_rslora":false,"init_lora_weights":true}},
        "train":{{"optimizer":"adamw","learning_rate":"1e-3","lr_scheduler_type":"constant","warmup_steps":0,
        "weight_decay":"0","adam_beta1":"0.9","adam_beta2":"0.999","adam_epsilon":"1e-8","max_grad_norm":"1",
        "per_device_train_batch_size":1,"gradient_accumulation_steps":1,"max_steps":1,"seed_rule":"plan-beacon/v1"}},
        "data":{{"max_length":2,"bucket":2}},"proof":{{"range_bits":{RANGE_BITS},"steps_per_proof":1,"profile":"v1"}}}}"#
    ))?;
    let base = BaseModel::build(&Checkpoint::open(model)?, DEFAULT_BASE_BITS)?;
    // A witness of all targets has no commitment yet; the released layout needs none, so the targets come afterwards.
    let mut one = settings.clone();
    one.lora.target_modules.truncate(1);
    let mut spec = one.spec(&base, Scales::starting(RANGE_BITS), 4)?;
    spec.lora.targets.clone_from(&settings.lora.target_modules);
    spec.log_rows = 20;
    let built = build_with(&spec, &Tables::new(&spec)?, 1, &no_leaves(&spec))?;

    let mut state = 1u64;
    let mut copies = Vec::new();
    let mut matrices = Vec::new();
    for (name, id) in release::matrices(&built) {
        let len = built.program.shape(id).iter().product::<usize>();
        let values: Vec<i64> = (0..len)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                i64::from((state >> 48) as u16) / 16 - 2048
            })
            .collect();
        let fraction_bits = built.program.tensor(id).fraction_bits;
        matrices.push(json!({"name": name, "len": len, "fraction_bits": fraction_bits}));
        copies.push(values);
    }
    fs::create_dir_all(out)?;
    fs::write(out.join("adapter_model.safetensors"), adapter_file::encode(&adapter::tensors(&built, &copies)?)?)?;
    let recipe = serde_json::from_str(&format!(
        r#"{{"lora":{{"r":8,"lora_alpha":16,"use_rslora":false,"target_modules":{targets}}}}}"#
    ))?;
    let config = adapter::config(&recipe, &spec, "made-up").ok_or("the recipe is not the spec's")?;
    fs::write(out.join("adapter_config.json"), config.to_bytes()?)?;
    let bytes: Vec<u8> = copies.iter().flatten().flat_map(|x| x.to_le_bytes()).collect();
    fs::write(out.join("integers.bin"), bytes)?;
    println!("{}", json!(matrices));
    Ok(())
}
