//! The recipe that people read says what the spec proves.

use veritune_envelope::canonical_json::Value;
use veritune_relations::spec::{Optimizer, Schedule, Spec, Visibility};

/// Members of the sections that say what is proved. Another member would say more than the proofs show.
const MEMBERS: [(&str, &[&str]); 5] = [
    ("lora", &["r", "lora_alpha", "target_modules", "use_rslora", "init_lora_weights"]),
    (
        "train",
        &[
            "optimizer",
            "learning_rate",
            "lr_scheduler_type",
            "warmup_steps",
            "weight_decay",
            "adam_beta1",
            "adam_beta2",
            "adam_epsilon",
            "max_grad_norm",
            "per_device_train_batch_size",
            "gradient_accumulation_steps",
            "num_train_epochs",
            "max_steps",
            "seed_rule",
        ],
    ),
    ("data", &["max_length", "bucket"]),
    ("proof", &["range_bits", "steps_per_proof", "profile"]),
    ("disclose", &["loss", "order", "data", "adapter"]),
];

/// Sections that say how the rows and the seed came about; the plan's maker states them.
const STATED: [&str; 4] = ["text", "calibration", "sampler", "beacon"];

/// The first section with a member that no check reads, or that is no section of a recipe.
fn unknown(recipe: &Value) -> Option<&'static str> {
    let Value::Object(sections) = recipe else { return Some("recipe") };
    let known = |name: &str| STATED.contains(&name) || MEMBERS.iter().any(|(section, _)| *section == name);
    if !sections.keys().all(|name| known(name)) {
        return Some("a section of no recipe");
    }
    let has_unknown = |section: &str, known: &[&str]| match recipe.get(section) {
        Some(Value::Object(members)) => members.keys().any(|name| !known.contains(&name.as_str())),
        _ => true,
    };
    MEMBERS.iter().find(|(section, known)| has_unknown(section, known)).map(|(section, _)| *section)
}

/// The first recipe field that disagrees with the spec, or section with a field that no check reads; none if all agree.
pub fn disagreement(recipe: &Value, spec: &Spec) -> Option<&'static str> {
    if let Some(section) = unknown(recipe) {
        return Some(section);
    }
    let get = |section: &str, name: &str| recipe.get(section).and_then(|s| s.get(name));
    let text = |section: &str, name: &str, expected: &str| get(section, name).and_then(Value::as_str) == Some(expected);
    let integer = |section: &str, name: &str| match get(section, name) {
        Some(Value::Integer(value)) => u64::try_from(*value).ok(),
        _ => None,
    };
    let wide = |n: usize| u64::try_from(n).ok();
    let training = &spec.training;
    let optimizer = match training.optimizer {
        Optimizer::AdamW => "adamw",
        Optimizer::Sgd => "sgd",
    };
    let schedule = match training.schedule {
        Schedule::Constant => "constant",
        Schedule::Linear => "linear",
        Schedule::Cosine => "cosine",
    };
    let shown = |visibility: Visibility| match visibility {
        Visibility::Hidden => "hidden",
        Visibility::Public => "public",
    };
    let rows = integer("train", "per_device_train_batch_size")
        .zip(integer("train", "gradient_accumulation_steps"))
        .and_then(|(batch, steps)| batch.checked_mul(steps));
    let per_epoch = wide(spec.dataset_rows).zip(rows).and_then(|(all, rows)| all.checked_div(rows));
    let steps = match (get("train", "max_steps"), get("train", "num_train_epochs")) {
        // Which of both were trained would be for the reader to know.
        (Some(_), Some(_)) => None,
        (Some(_), None) => integer("train", "max_steps"),
        (None, Some(_)) => integer("train", "num_train_epochs").zip(per_epoch).and_then(|(n, e)| n.checked_mul(e)),
        (None, None) => per_epoch,
    };
    let modules: Vec<Value> = spec.lora.targets.iter().map(|t| Value::String(t.module().to_owned())).collect();
    // Options with one value so far: absent, or that value.
    let only = |section: &str, name: &str, value: Value| get(section, name).is_none_or(|given| *given == value);
    let lengths = integer("data", "max_length").zip(wide(training.tokens));
    let fits_bucket = get("data", "max_length").is_none() || lengths.is_some_and(|(longest, bucket)| longest <= bucket);
    let checks = [
        ("lora.init_lora_weights", only("lora", "init_lora_weights", Value::Bool(true))),
        ("train.seed_rule", only("train", "seed_rule", Value::String("plan-beacon/v1".to_owned()))),
        ("proof.steps_per_proof", only("proof", "steps_per_proof", Value::Integer(1))),
        ("proof.profile", only("proof", "profile", Value::String("v1".to_owned()))),
        ("data.max_length", fits_bucket),
        ("lora.target_modules", get("lora", "target_modules") == Some(&Value::Array(modules))),
        ("train.optimizer", text("train", "optimizer", optimizer)),
        ("train.learning_rate", text("train", "learning_rate", &training.learning_rate.0)),
        ("train.lr_scheduler_type", text("train", "lr_scheduler_type", schedule)),
        ("train.warmup_steps", integer("train", "warmup_steps") == Some(training.warmup_steps)),
        ("train.weight_decay", text("train", "weight_decay", &training.weight_decay.0)),
        ("train.adam_beta1", text("train", "adam_beta1", &training.adam_beta1.0)),
        ("train.adam_beta2", text("train", "adam_beta2", &training.adam_beta2.0)),
        ("train.adam_epsilon", text("train", "adam_epsilon", &training.adam_epsilon.0)),
        ("train.max_grad_norm", text("train", "max_grad_norm", &training.max_grad_norm.0)),
        ("train batch", rows.is_some() && rows == wide(training.rows)),
        ("train steps", steps == Some(training.steps)),
        ("data.bucket", integer("data", "bucket") == wide(training.tokens)),
        ("proof.range_bits", integer("proof", "range_bits") == Some(u64::from(spec.range_bits))),
        ("disclose.loss", text("disclose", "loss", shown(spec.disclose.loss))),
        ("disclose.order", text("disclose", "order", shown(spec.disclose.order))),
        ("disclose.data", text("disclose", "data", shown(spec.disclose.data))),
        ("disclose.adapter", text("disclose", "adapter", shown(spec.disclose.adapter))),
    ];
    checks.into_iter().find(|(_, agrees)| !agrees).map(|(field, _)| field)
}
