//! Forgeries and excesses that an outside attacker found; each test says what must not happen.

use peak_alloc::PeakAlloc;
use std::fs;
use std::path::Path;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use veritune_argument::{Argument, soundness_terms};
use veritune_attacks::{TinyCertificate, World, prove_and_verify, run, setting, violated};
use veritune_envelope::canonical_json::Value;
use veritune_envelope::directory::{ADAPTER_CONFIG, ADAPTER_MODEL, CERTIFICATE};
use veritune_field::P;
use veritune_relations::constants::step_constants;
use veritune_relations::program::{Operation, Term};
use veritune_relations::release;
use veritune_relations::spec::Decimal;
use veritune_relations::step::build_update;
use veritune_verifier::request::{Request, verify};
use veritune_verifier::step::Context;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

static HONEST: LazyLock<TinyCertificate> = LazyLock::new(|| World::AdamW.prove());

fn published(folder: &Path) {
    HONEST.publish(&HONEST.parts, folder).expect("published");
    assert_eq!(HONEST.verify(folder).exit, 0);
}

/// The same weights under another position encoding are another base model.
#[test]
fn a_policy_that_names_a_base_names_its_configuration_too() {
    let _alone = alone();
    let named = HONEST.parts.plan.base.root;
    let mut spec = run::adamw(2);
    spec.model.rope_theta = Decimal("3".into());
    spec.model.rms_norm_eps = Decimal("0.5".into());
    let other = TinyCertificate::new(spec);
    let folder = tempfile::tempdir().expect("a folder");
    other.publish(&other.parts, folder.path()).expect("published");
    let policy = format!("schema: veritune.policy/v1\nbase_root: '{named}'\n");
    let request = Request { keys: vec![other.public_key()], policy: Some(policy), ..Request::default() };
    let report = verify(folder.path(), &request);
    assert_ne!(report.exit, 0, "another function of the same weights passes for the named base");
}

/// What the signer writes beside what is proved must not look like it.
#[test]
fn a_recipe_has_no_sections_that_nobody_reads() {
    let _alone = alone();
    let (spec, inputs) = (run::monotonous(1), run::random_inputs(&run::monotonous(1)));
    let boasting = TinyCertificate::with_plan(spec, inputs.clone(), &inputs, |plan| {
        let Value::Object(sections) = &mut plan.recipe else { panic!("a recipe has sections") };
        sections.insert("privacy".to_owned(), Value::Integer(1));
    });
    let folder = tempfile::tempdir().expect("a folder");
    boasting.publish(&boasting.parts, folder.path()).expect("published");
    let report = boasting.verify(folder.path());
    assert_eq!((report.exit, report.code.as_str()), (1, "VT-RUN-001"), "{}", report.message);
}

static ALONE: Mutex<()> = Mutex::new(());

/// One test at a time: the peak of the allocator is the process's.
fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn peak_of(folder: &Path) -> usize {
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let report = HONEST.verify(folder);
    assert_ne!(report.exit, 0);
    eprintln!("{} {} {}", report.exit, report.code, report.message);
    ALLOCATOR.peak_usage().saturating_sub(before)
}

/// JSON that costs little on disk and much in memory, read before anybody's signature or digest is compared.
#[test]
fn unsigned_json_takes_memory_in_proportion() {
    let _alone = alone();
    let items = vec![r#"{"":0}"#; 1 << 18].join(",");
    let mut excess = false;
    for (name, text) in [
        ("claims.sigstore.json", format!("{{\"a\":[{items}]}}")),
        ("plan.json", {
            let plan =
                String::from_utf8(veritune_envelope::canonical_json::to_bytes(&HONEST.parts.plan).expect("a plan"));
            plan.expect("text").replace(r#""recipe":{"#, &format!("\"recipe\":{{\"a\":[{items}],"))
        }),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        published(folder.path());
        fs::write(folder.path().join(CERTIFICATE).join(name), &text).expect("written");
        HONEST.index(folder.path()).expect("an index");
        let peak = peak_of(folder.path());
        let factor = peak / text.len();
        eprintln!("{name}: {} bytes take {peak} bytes, {factor} times as many", text.len());
        excess |= factor >= 16;
    }
    assert!(!excess);
}

/// A file that takes no space on disk and claims much: its length is known before it is read.
#[test]
fn an_adapter_of_another_length_is_not_read() {
    let _alone = alone();
    let adapter = tempfile::tempdir().expect("a folder");
    published(adapter.path());
    let run = tempfile::tempdir().expect("a folder");
    published(run.path());
    fs::rename(run.path().join(CERTIFICATE), run.path().join("certificate")).expect("moved");
    fs::create_dir(run.path().join("release")).expect("a folder");
    for name in [ADAPTER_MODEL, ADAPTER_CONFIG] {
        fs::rename(run.path().join(name), run.path().join("release").join(name)).expect("moved");
    }
    assert_eq!(HONEST.verify(run.path()).exit, 0);
    let honest = HONEST.parts.adapter.len() as u64;
    for (folder, file) in [
        (adapter.path(), adapter.path().join(ADAPTER_MODEL)),
        (run.path(), run.path().join("release").join(ADAPTER_MODEL)),
    ] {
        for length in [1 << 30, honest + 1, honest - 1] {
            fs::OpenOptions::new().write(true).open(&file).expect("a file").set_len(length).expect("a length");
            let peak = peak_of(folder);
            assert!(peak < 1 << 24, "{length} bytes: {peak} bytes");
            let report = HONEST.verify(folder);
            assert_eq!((report.exit, report.code.as_str()), (1, "VT-ENV-052"), "{}", report.message);
            assert_eq!(report.message, format!("expected {honest} bytes, got {length} bytes"));
        }
    }
}

/// Adam's epsilon beyond the declared width of the denominator: the division's equation wraps once around the field.
#[test]
fn a_division_whose_denominator_exceeds_its_declared_width_is_refused() {
    let _alone = alone();
    let mut spec = setting::tiny_spec([8, 2, 2, 1, 4, 16, 32, 2, 8, 2, 4]);
    spec.training.steps = 100;
    (spec.training.adam_beta1, spec.training.adam_beta2) = (Decimal("0".into()), Decimal("0.98".into()));
    spec.training.adam_epsilon = Decimal("0.4027".into());
    let rates = (2000..2100).rev().map(|milli| format!("{}.{:03}", milli / 1000, milli % 1000));
    let found = rates.into_iter().find_map(|rate| {
        spec.training.learning_rate = Decimal(rate);
        build_update(&spec, 100, [1, 1]).ok()
    });
    let Some(update) = found else { return };
    let constants = step_constants(&spec.training, 100, 34).expect("constants");
    let program = &update.program;
    let place = |name: &str| program.find(name).map(|id| program.tensor(id).name.clone()).expect("a tensor");
    for k in 0..64_i64 {
        let gradient = (1 << 19) - 1 - k;
        let first = gradient << 10;
        let numerator = i128::from(constants.update_factor) * i128::from(first) - i128::from(P);
        let mut cheating = program.clone();
        for step in &mut cheating.steps {
            if let Operation::Divide { numerator: terms, .. } = &mut step.operation
                && step.name.ends_with("update")
            {
                let coefficient = i64::try_from(numerator).expect("a small difference");
                *terms = vec![Term { coefficient, factors: Vec::new() }];
            }
        }
        let mut inputs = std::collections::BTreeMap::new();
        for (name, value) in [("gradient", gradient), ("clip.factor", 1 << 30)] {
            inputs.insert(place(name), vec![value]);
        }
        for part in ["master", "first", "second"] {
            inputs.insert(place(&format!("state_before.update.{part}")), vec![0]);
        }
        let Ok(tensors) = setting::execute(&cheating, &inputs) else { continue };
        assert!(violated(program, &tensors).is_empty());
        let verdict = prove_and_verify(program, program, &tensors, None);
        let moved = tensors.get(program.find("update.update").expect("a tensor"))[0];
        assert!(verdict.is_err(), "first moment {first}, update {moved} of the other sign is proved");
        return;
    }
    panic!("no witness was found");
}

/// No term of the release's argument is above the step's, whose ledger stands for both.
#[test]
fn the_ledger_of_a_step_covers_the_release() {
    let _alone = alone();
    let context = Context::new(&HONEST.tiny.run).expect("a context");
    let release = release::build(&HONEST.tiny.run.spec, &context.first, &run::copies(&context, &HONEST.tiny.states[1]));
    let terms = |program| soundness_terms(&Argument::new(program).expect("an argument"));
    let step = terms(&context.first.program);
    for (name, numerator) in terms(&release.expect("a release").program) {
        let ours = step.iter().find(|(n, _)| *n == name).map_or(0, |(_, n)| *n);
        assert!(numerator <= ours, "{name}: {numerator} in the release, {ours} in the step");
    }
}
