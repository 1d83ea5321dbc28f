//! The record of a run, and what a plan is made from: spec, settings, calibration. A spec that is read is written as the
//! same; whatever builds from it builds within the limits on time and memory.

use crate::bytes::Input;
use crate::checkpoint::smallest;
use crate::checkpoint::written::safetensors_tensors;
use crate::checkpoint::written::write_safetensors;
use crate::scratch::Scratch;
use std::sync::LazyLock;
use veritune_attacks::run::{adamw, monotonous};
use veritune_commit::Root;
use veritune_model::{Architecture, BaseModel, Checkpoint, DEFAULT_BASE_BITS};
use veritune_relations::Spec;
use veritune_relations::scales::Scales;
use veritune_relations::spec::Target;
use veritune_run::session::{Calibration, CalibrationSchema, spec_of};
use veritune_run::settings::Settings;
use veritune_verifier::adapter;
use veritune_verifier::statement::Run;
use veritune_verifier::step::Context;

static BASE: LazyLock<BaseModel> = LazyLock::new(|| {
    let (folder, config) = (Scratch::new(), smallest(Architecture::Llama));
    write_safetensors(folder.path(), &config, &safetensors_tensors(&config));
    let checkpoint = Checkpoint::open(folder.path()).expect("a checkpoint");
    BaseModel::build(&checkpoint, DEFAULT_BASE_BITS).expect("a base")
});

const SETTINGS: &str = r#"{"lora":{"r":2,"lora_alpha":4,"target_modules":["q_proj","down_proj"],"use_rslora":false,"init_lora_weights":true},"train":{"optimizer":"adamw","learning_rate":"2e-3","lr_scheduler_type":"cosine","warmup_steps":1,"weight_decay":"0.01","adam_beta1":"0.9","adam_beta2":"0.999","adam_epsilon":"1e-8","max_grad_norm":"1.0","per_device_train_batch_size":1,"gradient_accumulation_steps":2,"max_steps":3,"seed_rule":"plan-beacon/v1"},"data":{"max_length":4,"bucket":4},"proof":{"range_bits":16,"steps_per_proof":1,"profile":"v1"}}"#;

/// Reads the bytes after the first as what the first says.
pub fn run(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let mut input = Input::new(bytes);
    match kind % 3 {
        0 => spec(bytes),
        1 => {
            let dataset_rows = usize::from(u16::from_le_bytes(input.array()));
            let Ok(settings) = Settings::parse(&String::from_utf8_lossy(input.rest())) else { return };
            let scales = Scales::starting(settings.proof.range_bits);
            if let Ok(spec) = settings.spec(&BASE, scales, dataset_rows) {
                assert!(spec.validate().is_ok());
            }
        }
        _ => {
            let Ok(calibration) = serde_json::from_slice::<Calibration>(bytes) else { return };
            let settings = Settings::parse(SETTINGS).expect("settings");
            if let Ok(spec) = spec_of(&settings, &BASE, calibration) {
                assert!(spec.validate().is_ok());
            }
        }
    }
}

fn spec(bytes: &[u8]) {
    let Ok(spec) = serde_json::from_slice::<Spec>(bytes) else { return };
    let written = serde_json::to_vec(&spec).expect("JSON");
    assert_eq!(serde_json::from_slice::<Spec>(&written).ok().as_ref(), Some(&spec));
    if spec.validate().is_err() {
        return;
    }
    let run = Run { spec, plan_digest: [1; 32], seed: [5; 32], dataset: Root([0; 32]), base: Root([0; 32]) };
    let Ok(context) = Context::new(&run) else { return };
    let layouts =
        adapter::layouts(&context.first).and_then(|layouts| veritune_envelope::adapter_file::num_bytes(&layouts));
    assert_eq!(layouts, adapter::num_bytes(&run.spec));
    let rows = context.rows(run.spec.training.steps);
    assert_eq!(rows.len(), run.spec.training.rows);
    assert!(rows.iter().all(|&row| row < run.spec.dataset_rows));
}

/// Honest inputs.
pub fn seeds() -> Vec<Vec<u8>> {
    let calibration = Calibration {
        schema: CalibrationSchema::V1,
        dataset_rows: 4,
        steps: 32,
        range_bits: 16,
        scales: Scales::starting(16),
    };
    let specs = [monotonous(3), adamw(2)].map(|spec| [&[0], &serde_json::to_vec(&spec).expect("JSON")[..]].concat());
    let mut seeds = specs.to_vec();
    // The largest dataset, rows and adapter.
    let greedy: [fn(&mut Spec); 3] = [
        |spec| spec.dataset_rows = 1 << 21,
        |spec| spec.training.tokens = 2048,
        |spec| {
            (spec.lora.targets, spec.lora.r, spec.log_rows) = (vec![Target::Output], 32, 20);
            (spec.model.layers, spec.model.hidden, spec.model.head_dim) = (32, 2, 128);
            (spec.model.kv_heads, spec.model.heads) = (8, 64);
        },
    ];
    seeds.extend(greedy.map(|change| {
        let mut spec = monotonous(3);
        change(&mut spec);
        [&[0], &serde_json::to_vec(&spec).expect("JSON")[..]].concat()
    }));
    seeds.push([&[1, 4, 0], SETTINGS.as_bytes()].concat());
    seeds.push([&[2], &serde_json::to_vec(&calibration).expect("JSON")[..]].concat());
    seeds
}
