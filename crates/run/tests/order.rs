//! The order of the leaves: the files' own, or one that depends on the job's secret alone.

use std::path::Path;
use veritune_commit::MAX_PROOFS;
use veritune_field::F;
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_model::{BaseModel, Checkpoint, DEFAULT_BASE_BITS};
use veritune_relations::Spec;
use veritune_relations::scales::Scales;
use veritune_relations::spec::Visibility;
use veritune_run::dataset::{Dataset, Rows};
use veritune_run::settings::Settings;

const ROWS: usize = 20;
const TOKENS: usize = 4;
const SETTINGS: &str = r#"{"lora":{"r":2,"lora_alpha":4,"target_modules":["q_proj"],"use_rslora":false,"init_lora_weights":true},
"train":{"optimizer":"sgd","learning_rate":"2e-3","lr_scheduler_type":"constant","warmup_steps":0,"weight_decay":"0",
"adam_beta1":"0.9","adam_beta2":"0.999","adam_epsilon":"1e-8","max_grad_norm":"1.0","per_device_train_batch_size":2,
"gradient_accumulation_steps":1,"max_steps":1,"seed_rule":"plan-beacon/v1"},
"data":{"max_length":4,"bucket":4},"proof":{"range_bits":18,"steps_per_proof":1,"profile":"v1"}}"#;

fn spec(order: Visibility) -> Spec {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/small");
    let base = BaseModel::build(&Checkpoint::open(&model).unwrap(), DEFAULT_BASE_BITS).unwrap();
    let mut spec = Settings::parse(SETTINGS).unwrap().spec(&base, Scales::starting(18), ROWS).unwrap();
    // What a recipe without the section means.
    assert_eq!(spec.disclose.order, Visibility::Hidden);
    spec.disclose.order = order;
    spec
}

/// Rows whose every token is the row's number.
fn dataset(spec: &Spec, secret: u8) -> Dataset {
    let tokens: Vec<i64> = (0..ROWS as i64).flat_map(|row| [row; TOKENS]).collect();
    let meta: Vec<[u8; 32]> = (0..ROWS).map(|row| [row as u8; 32]).collect();
    Dataset::new(spec, Rows { tokens: &tokens, targets: &tokens, meta: &meta }, [secret; 32]).unwrap()
}

/// For every leaf, the row of the files that it covers, by its content.
fn covered(dataset: &Dataset) -> Vec<usize> {
    let number = |leaf: usize| {
        let row = dataset.row(leaf);
        let number = (0..ROWS).find(|&n| row.positions[0][0] == F::from_usize(n)).unwrap();
        assert_eq!(row.meta[0], F::from_u64(u64::from_le_bytes([number as u8; 8])));
        assert!(
            row.positions.iter().all(|position| *position == [F::from_usize(number), F::from_usize(number), F::ONE])
        );
        number
    };
    (0..ROWS).map(number).collect()
}

#[test]
fn two_secrets_give_two_orders_and_an_order_in_public_is_the_files() {
    let [hidden, public] = [Visibility::Hidden, Visibility::Public].map(spec);
    let [one, other] = [1, 2].map(|secret| dataset(&hidden, secret));
    let orders = [covered(&one), covered(&other)];
    assert_ne!(orders[0], orders[1]);
    for (dataset, order) in [&one, &other].into_iter().zip(&orders) {
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..ROWS).collect::<Vec<_>>());
        // What a message names is the row of the files, and what a step trains on is the leaf's row.
        let leaves = [3, 0, 17];
        let rows: Vec<usize> = leaves.iter().map(|&leaf| order[leaf]).collect();
        assert_eq!(dataset.file_rows(&leaves), rows);
        let tokens: Vec<i64> = rows.iter().flat_map(|&row| [row as i64; TOKENS]).collect();
        assert_eq!(dataset.input("batch.tokens", &leaves), Some(tokens));
    }
    assert_eq!(covered(&dataset(&hidden, 1)), orders[0]);
    assert_eq!(dataset(&hidden, 1).root(), one.root());
    let files = dataset(&public, 1);
    assert_eq!(covered(&files), (0..ROWS).collect::<Vec<_>>());
    assert_eq!(files.file_rows(&[3, 0, 17]), [3, 0, 17]);
}

/// A longer run would be trained and proved, and then be refuted for its number of proofs.
#[test]
fn a_run_has_as_many_steps_as_its_certificate_has_room_for() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/small");
    let base = BaseModel::build(&Checkpoint::open(&model).unwrap(), DEFAULT_BASE_BITS).unwrap();
    let planned = |steps: u64| {
        let settings = SETTINGS.replace("\"max_steps\":1,", &format!("\"max_steps\":{steps},"));
        let spec = Settings::parse(&settings).unwrap().spec(&base, Scales::starting(18), ROWS);
        spec.map(|spec| spec.training.steps).map_err(|error| error.to_string())
    };
    assert_eq!(planned(MAX_PROOFS - 2), Ok(MAX_PROOFS - 2));
    let refused = planned(MAX_PROOFS - 1).unwrap_err();
    assert!(refused.contains("training.steps") && refused.contains("999 steps take more proofs"), "{refused}");
}
