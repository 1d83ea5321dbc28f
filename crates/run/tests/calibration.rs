//! Calibrated scales always build a program.

use std::path::Path;
use veritune_relations::scales::{KINDS, Scales};
use veritune_relations::spec::Visibility;
use veritune_relations::step::{StepError, build, no_leaves};
use veritune_relations::{ProgramError, Spec};
use veritune_run::calibrate::fitted;
use veritune_run::dataset::{Dataset, Rows};
use veritune_run::session::{Planned, calibrate_settings, open_base, spec_of};
use veritune_run::settings::Settings;

const ROWS: usize = 8;
const TOKENS: usize = 16;

fn settings(rank: usize) -> Settings {
    Settings::parse(&format!(
        r#"{{"lora":{{"r":{rank},"lora_alpha":64,"target_modules":["q_proj","k_proj","v_proj","o_proj","gate_proj","up_proj",
        "down_proj"],"use_rslora":false,"init_lora_weights":true}},
        "train":{{"optimizer":"adamw","learning_rate":"2e-3","lr_scheduler_type":"linear","warmup_steps":0,"weight_decay":"0.01",
        "adam_beta1":"0.9","adam_beta2":"0.999","adam_epsilon":"1e-8","max_grad_norm":"1.0","per_device_train_batch_size":1,
        "gradient_accumulation_steps":1,"max_steps":8,"seed_rule":"plan-beacon/v1"}},
        "data":{{"max_length":{TOKENS},"bucket":{TOKENS}}},"proof":{{"range_bits":18,"steps_per_proof":1,"profile":"v1"}}}}"#
    ))
    .unwrap()
}

fn rows() -> (Vec<i64>, Vec<i64>) {
    let tokens: Vec<i64> = (0..(ROWS * TOKENS) as i64).map(|i| (i * i * 31 + i * 7) % 2048).collect();
    let targets = tokens.iter().cycle().skip(1).take(tokens.len()).copied().collect();
    (tokens, targets)
}

/// Gradients of gate and up that are large beside the adapters' have the coarsest scale, the adapters' the finest: a sum
/// of both, aligned to the finer, leaves the field.
#[test]
fn scales_that_would_wrap_give_up_fraction_bits() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/small");
    let (base, _) = open_base(&model).unwrap();
    let spec = settings(32).spec(&base, Scales::starting(18), ROWS).unwrap();
    let large = |name: &str| if ["grad.gate", "grad.up"].contains(&name) { 1e9 } else { 1e-9 };
    let maxima = KINDS.iter().map(|kind| (kind.name.to_owned(), large(kind.name))).collect();
    let raw = Spec { scales: Scales::calibrated(&maxima, 18), ..spec };
    let refused = build(&raw, 1, &no_leaves(&raw));
    assert!(matches!(refused, Err(StepError::Program(ProgramError::Wraps { .. }))), "the raw scales build: no test");
    let fitted = fitted(raw.clone()).unwrap();
    assert!(build(&fitted, 1, &no_leaves(&fitted)).is_ok());
    let given_up: i32 =
        raw.scales.0.iter().map(|(kind, s)| s.fraction_bits - fitted.scales.0[kind].fraction_bits).sum();
    assert!((1..=24).contains(&given_up), "{given_up} fraction bits");
}

/// What no proof shows and `veritune commit model` does: one integer beyond its width, and no root is made.
#[test]
fn a_base_with_an_integer_beyond_its_width_has_no_root() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/small");
    let (mut base, _) = open_base(&model).unwrap();
    let planned = Planned::new(settings(8).spec(&base, Scales::starting(18), ROWS).unwrap()).unwrap();
    assert!(planned.base_root(&base).is_ok());
    let up = base.tensors.iter_mut().find(|tensor| tensor.name == "base.up").unwrap();
    let limit = 1 << (up.width_bits - 1);
    for (value, is_inside) in [(limit - 1, true), (limit, false), (-limit, true), (-limit - 1, false)] {
        base.tensors.iter_mut().find(|tensor| tensor.name == "base.up").unwrap().values[7] = value;
        let root = planned.base_root(&base);
        assert_eq!(root.is_ok(), is_inside, "{value}");
        if let Err(error) = root {
            assert_eq!((error.code().0, error.location().as_str()), ("VT-JOB-017", "model"));
            let expected =
                format!("base.up holds {value} at position 7, its declared width of 20 bits holds -524288 to 524287");
            assert_eq!(error.to_string(), expected);
        }
    }
}

#[test]
fn a_calibrated_recipe_of_all_targets_builds() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/small");
    let (base, _) = open_base(&model).unwrap();
    let (tokens, targets) = rows();
    let rows = Rows { tokens: &tokens, targets: &targets, meta: &[[0; 32]; ROWS] };
    let calibration = calibrate_settings(&settings(32), &base, rows, [9; 32], 2, 2, |_, _| true).unwrap();
    assert!(spec_of(&settings(32), &base, calibration).is_ok());
}

/// The scales are public. Of a hidden order they are those of the rows in the order of their leaves: the order of the files
/// has no other way into them than through the secret.
#[test]
fn scales_of_a_hidden_order_are_those_of_the_leaves() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/small");
    let (base, _) = open_base(&model).unwrap();
    let (tokens, targets) = rows();
    let meta = [[0; 32]; ROWS];
    let of = |order, tokens: &[i64], targets: &[i64], secret| {
        let mut settings = settings(4);
        settings.disclose.order = order;
        let rows = Rows { tokens, targets, meta: &meta };
        calibrate_settings(&settings, &base, rows, secret, 2, 2, |_, _| true).unwrap().scales
    };
    let secret = [9; 32];
    let mut spec = settings(4).spec(&base, Scales::starting(18), ROWS).unwrap();
    spec.disclose.order = Visibility::Hidden;
    let all: Vec<usize> = (0..ROWS).collect();
    let rows = Rows { tokens: &tokens, targets: &targets, meta: &meta };
    let leaves = Dataset::new(&spec, rows, secret).unwrap().file_rows(&all);
    assert_ne!(leaves, all);
    let in_leaves = |values: &[i64]| -> Vec<i64> {
        leaves.iter().flat_map(|&row| values[row * TOKENS..][..TOKENS].to_vec()).collect()
    };
    let hidden = of(Visibility::Hidden, &tokens, &targets, secret);
    assert_eq!(hidden, of(Visibility::Public, &in_leaves(&tokens), &in_leaves(&targets), secret));
    assert_ne!(hidden, of(Visibility::Public, &tokens, &targets, secret), "an order that no scale depends on: no test");
}
