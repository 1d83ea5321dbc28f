//! The recipe that people read says what the spec proves, field by field.

use std::collections::BTreeMap;
use veritune_attacks::certificate::plan;
use veritune_attacks::run::monotonous;
use veritune_commit::Root;
use veritune_envelope::canonical_json::Value;
use veritune_verifier::adapter;
use veritune_verifier::recipe::disagreement;

fn honest() -> Value {
    plan(&monotonous(3), &Root([0; 32]), &Root([0; 32])).recipe
}

/// The honest recipe with one field another, or new.
fn with(section: &str, field: &str, value: Value) -> Value {
    let mut recipe = honest();
    let Value::Object(sections) = &mut recipe else { panic!("a recipe has sections") };
    let Some(Value::Object(fields)) = sections.get_mut(section) else { panic!("no section {section}") };
    fields.insert(field.to_owned(), value);
    recipe
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

#[test]
fn every_field_that_is_proved_is_the_specs() {
    let spec = monotonous(3);
    assert_eq!(disagreement(&honest(), &spec), None);
    let (integer, list) = (Value::Integer, |name: &str| Value::Array(vec![text(name)]));
    let sizes = [("per_device_train_batch_size", "train batch"), ("gradient_accumulation_steps", "train batch")];
    let changes = [
        ("lora", "init_lora_weights", Value::Bool(false), "lora.init_lora_weights"),
        ("lora", "target_modules", list("q_proj"), "lora.target_modules"),
        ("train", "seed_rule", text("own-choice/v1"), "train.seed_rule"),
        ("train", "optimizer", text("adamw"), "train.optimizer"),
        ("train", "learning_rate", text("1.0e-3"), "train.learning_rate"),
        ("train", "lr_scheduler_type", text("linear"), "train.lr_scheduler_type"),
        ("train", "warmup_steps", integer(1), "train.warmup_steps"),
        ("train", "weight_decay", text("0.2"), "train.weight_decay"),
        ("train", "adam_beta1", text("0.8"), "train.adam_beta1"),
        ("train", "adam_beta2", text("0.99"), "train.adam_beta2"),
        ("train", "adam_epsilon", text("1e-9"), "train.adam_epsilon"),
        ("train", "max_grad_norm", text("1"), "train.max_grad_norm"),
        ("train", sizes[0].0, integer(2), sizes[0].1),
        ("train", sizes[1].0, integer(2), sizes[1].1),
        ("train", "max_steps", integer(4), "train steps"),
        ("train", "num_train_epochs", integer(3), "train steps"),
        ("data", "bucket", integer(9), "data.bucket"),
        ("data", "max_length", integer(9), "data.max_length"),
        ("proof", "range_bits", integer(13), "proof.range_bits"),
        ("proof", "steps_per_proof", integer(2), "proof.steps_per_proof"),
        ("proof", "profile", text("v2"), "proof.profile"),
    ];
    for (section, field, value, expected) in changes {
        assert_eq!(disagreement(&with(section, field, value), &spec), Some(expected), "{section}.{field}");
    }
    // As long as the bucket, and the one value that an option has.
    for (section, field, value) in [
        ("data", "max_length", integer(8)),
        ("proof", "profile", text("v1")),
        ("proof", "steps_per_proof", integer(1)),
        ("lora", "init_lora_weights", Value::Bool(true)),
    ] {
        assert_eq!(disagreement(&with(section, field, value), &spec), None, "{section}.{field}");
    }
}

#[test]
fn a_length_is_named_once() {
    let mut spec = monotonous(3);
    spec.dataset_rows = 4;
    let train = |names: &[(&str, i64)]| {
        let mut recipe = honest();
        let Value::Object(sections) = &mut recipe else { panic!("a recipe has sections") };
        let Some(Value::Object(fields)) = sections.get_mut("train") else { panic!("no section") };
        fields.remove("max_steps");
        let named: BTreeMap<String, Value> = names.iter().map(|(n, v)| ((*n).to_owned(), Value::Integer(*v))).collect();
        fields.extend(named);
        recipe
    };
    for (steps, names) in [(3, &[("max_steps", 3)][..]), (8, &[("num_train_epochs", 2)]), (4, &[])] {
        spec.training.steps = steps;
        assert_eq!(disagreement(&train(names), &spec), None, "{steps}");
        // Both say the same, and still nobody is told which of them was meant.
        let both = train(&[("max_steps", steps as i64), ("num_train_epochs", 2)]);
        assert_eq!(disagreement(&both, &spec), Some("train steps"), "{steps}");
        spec.training.steps += 1;
        assert_eq!(disagreement(&train(names), &spec), Some("train steps"), "{steps}");
    }
}

/// These fields go to the adapter's configuration, which is refused with `VT-RUN-015` when there is none.
#[test]
fn rank_and_scaling_are_the_specs() {
    let spec = monotonous(3);
    let config = |recipe: &Value| adapter::config(recipe, &spec, "base");
    assert!(config(&honest()).is_some());
    for (field, value) in [
        ("r", Value::Integer(4)),
        ("r", Value::Integer(-2)),
        ("r", text("2")),
        ("lora_alpha", Value::Integer(4)),
        ("use_rslora", Value::Bool(true)),
        ("use_rslora", Value::Integer(0)),
    ] {
        assert!(config(&with("lora", field, value.clone())).is_none(), "{field} {value:?}");
    }
    // The same scaling of another rank.
    let mut recipe = with("lora", "r", Value::Integer(4));
    let Value::Object(sections) = &mut recipe else { panic!("a recipe has sections") };
    let Some(Value::Object(lora)) = sections.get_mut("lora") else { panic!("no section") };
    assert_eq!(lora.insert("lora_alpha".to_owned(), Value::Integer(6)), Some(Value::Integer(3)));
    assert!(config(&recipe).is_none());
}
