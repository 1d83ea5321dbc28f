//! Hostile specs within their published ranges: every statement is formed or refused, in bounded time and memory.

use peak_alloc::PeakAlloc;
use std::panic::catch_unwind;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use veritune_argument::Argument;
use veritune_attacks::setting::{Numbers, tiny_spec};
use veritune_attacks::tamper::of_step;
use veritune_commit::Root;
use veritune_relations::Spec;
use veritune_relations::digest::spec_digest;
use veritune_relations::scales::{KINDS, Scales};
use veritune_relations::spec::{Decimal, Optimizer, Schedule, Target};
use veritune_relations::step::{StepProgram, no_leaves};
use veritune_verifier::ledger::run_ledger;
use veritune_verifier::rows::{self, RowsRefused};
use veritune_verifier::statement::Run;
use veritune_verifier::step::{Context, StepRefused};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The allocator counts for the whole program: tests take turns.
static TURN: Mutex<()> = Mutex::new(());

fn pick<'a, T>(numbers: &mut Numbers, from: &'a [T]) -> &'a T {
    &from[numbers.between(0, from.len() as i64 - 1) as usize]
}

fn spec(n: &mut Numbers) -> Spec {
    let mut spec = tiny_spec([8, 2, 2, 1, 4, 16, 30, 2, 8, 1, 4]);
    let changes = n.between(1, 6);
    for _ in 0..changes {
        match n.between(0, 24) {
            0 => spec.model.hidden = *pick(n, &[2, 3, 5, 16, 576, 4096, 16_384]),
            1 => spec.model.layers = *pick(n, &[1, 3, 30, 256]),
            2 => spec.model.heads = *pick(n, &[1, 2, 8, 9, 256]),
            3 => spec.model.kv_heads = *pick(n, &[1, 2, 3, 256]),
            4 => spec.model.head_dim = *pick(n, &[2, 6, 64, 512]),
            5 => spec.model.ffn = *pick(n, &[2, 3, 1536, 65_536]),
            6 => spec.model.vocab = *pick(n, &[2, 3, 49_152, 262_144]),
            7 => spec.model.base_bits = *pick(n, &[8, 12, 20, 24]),
            8 => spec.model.gain_bits = *pick(n, &[2, 16, 20]),
            9 => spec.lora.r = *pick(n, &[1, 3, 64, 256]),
            10 => spec.lora.scaling_65536 = *pick(n, &[1, 3, 1 << 16, (1 << 28) - 1, 1 << 28]),
            11 => spec.training.rows = *pick(n, &[1, 2, 3, 1024]),
            12 => spec.training.tokens = *pick(n, &[2, 3, 5, 256, 2048]),
            13 => spec.training.steps = *pick(n, &[1, 2, 998, 1 << 20]),
            14 => spec.dataset_rows = *pick(n, &[1, 2, 1024, 1 << 21]),
            15 => {
                spec.range_bits = *pick(n, &[8, 9, 11, 12, 13, 16, 19, 20]);
                spec.scales = Scales::starting(spec.range_bits);
            }
            16 => spec.log_rows = *pick(n, &[10, 11, 16, 20]),
            17 => {
                let at = n.between(0, 6) as usize;
                spec.lora.targets = Target::ALL[at..].to_vec();
            }
            18 => spec.training.optimizer = Optimizer::Sgd,
            19 => spec.training.schedule = *pick(n, &[Schedule::Constant, Schedule::Linear, Schedule::Cosine]),
            20 => spec.training.warmup_steps = *pick(n, &[0, 1, 1000, (1 << 53) - 1]),
            21 => spec.model.qkv_bias = true,
            22 => spec.model.tied = false,
            23 => {
                let names = ["bias", "head", "query_bias", "key_bias", "value_bias", "query"];
                let name = *pick(n, &names);
                let bits = *pick(n, &[0, 1, 12, 30]);
                spec.model.base_fraction_bits.insert(format!("base.{name}"), bits);
            }
            _ => {
                let text = *pick(
                    n,
                    &[
                        "0",
                        "-0",
                        "1",
                        "1e-30",
                        "1e30",
                        "0.9999",
                        "0.99999",
                        "3.999999999999999999",
                        "2",
                        "1e18",
                        "1234567890123456789012345678901",
                        "+1",
                        ".5",
                        "5.",
                        "e5",
                        "1e-8",
                        "1099511627776",
                        "0.0001",
                    ],
                );
                let field = match n.between(0, 7) {
                    0 => &mut spec.model.rms_norm_eps,
                    1 => &mut spec.model.rope_theta,
                    2 => &mut spec.training.learning_rate,
                    3 => &mut spec.training.weight_decay,
                    4 => &mut spec.training.adam_beta1,
                    5 => &mut spec.training.adam_beta2,
                    6 => &mut spec.training.adam_epsilon,
                    _ => &mut spec.training.max_grad_norm,
                };
                *field = Decimal(text.to_owned());
            }
        }
    }
    if n.between(0, 3) == 0 {
        for kind in KINDS {
            if let Some(scale) = spec.scales.0.get_mut(kind.name)
                && n.between(0, 4) == 0
            {
                scale.fraction_bits += n.between(-6, 4) as i32;
            }
        }
    }
    spec
}

/// All that the verifier does with a spec and a first proof that is nothing.
fn form(spec: Spec) -> Result<(), String> {
    spec.validate().map_err(|e| e.to_string())?;
    let none = Root([0; 32]);
    let run = Run { spec, plan_digest: [0; 32], seed: [3; 32], dataset: none, base: none };
    let context = Context::new(&run).map_err(|e| e.to_string())?;
    spec_digest(&run.spec, context.tables()).map_err(|e| e.to_string())?;
    run_ledger(&context).map_err(|e| e.to_string())?;
    let [least, _] = context.step_bytes();
    let refused = context.verify_step(1, context.first_root(), none, &vec![0; least]);
    assert!(matches!(refused, Err(StepRefused::Rows(RowsRefused::Root { .. }))), "{refused:?}");
    // A step's length is taken from the first one's program.
    let scalars =
        |p: &StepProgram| Argument::new(&p.program).map(|a| a.wiring.num_masked_scalars()).map_err(|e| e.to_string());
    let last = context.program(run.spec.training.steps, &no_leaves(&run.spec)).map_err(|e| e.to_string())?;
    assert_eq!(scalars(&last)?, scalars(&context.first)?);
    Ok(())
}

/// The permutation of the largest dataset's epoch takes 8 MiB and a sixth of a second. Bytes that are too few or too many
/// for a step are refused without it.
#[test]
fn bytes_of_a_wrong_length_cost_no_permutation() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut spec = tiny_spec([8, 2, 2, 1, 4, 16, 30, 2, 8, 1, 1 << 21]);
    spec.training.steps = 3;
    let none = Root([0; 32]);
    let run = Run { spec, plan_digest: [0; 32], seed: [3; 32], dataset: none, base: none };
    let context = Context::new(&run).expect("a context");
    let (paths, [least, most]) = (rows::num_bytes(&run), context.step_bytes());
    let judge = |len: usize| {
        let bytes = vec![0; len];
        ALLOCATOR.reset_peak_usage();
        let before = ALLOCATOR.current_usage();
        let refused = context.verify_step(2, none, none, &bytes).expect_err("zeros are no proof");
        (of_step(&refused).0, ALLOCATOR.peak_usage().saturating_sub(before))
    };
    for (len, code) in [
        (0, "VT-ROWS-001"),
        (paths - 1, "VT-ROWS-001"),
        (paths, "VT-PROOF-001"),
        (least - 1, "VT-PROOF-001"),
        (most + 1, "opening-trailing-bytes"),
        (1 << 28, "opening-trailing-bytes"),
    ] {
        let (refused, peak) = judge(len);
        assert_eq!(refused, code, "{len} bytes");
        assert!(peak < 1 << 20, "{len} bytes: {peak}");
    }
    // One more or one less at the ends, and the rows are looked at: which they are, only the permutation says.
    let (refused, peak) = judge(most);
    assert_eq!(refused, "VT-ROWS-003");
    assert!(peak >= 4 << 21, "{peak}");
    assert_eq!(judge(least).0, "VT-ROWS-003");
}

/// The largest programs that fit the trees.
#[test]
fn the_largest_specs_take_bounded_memory() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    for (name, lengths, targets) in [
        ("tokens", [8, 1, 1, 1, 2, 2, 2, 1, 4096, 1, 1 << 24], vec![Target::Query]),
        ("vocabulary", [2, 1, 1, 1, 2, 2, 262_144, 1, 64, 2, 1 << 24], vec![Target::Query]),
        ("adapter", [16_384, 1, 1, 1, 2, 2, 2, 256, 2, 1, 1], Target::ALL.to_vec()),
        ("layers", [64, 256, 2, 2, 32, 64, 2, 16, 4, 1, 1], Target::ALL.to_vec()),
    ] {
        let mut spec = tiny_spec(lengths);
        (spec.log_rows, spec.lora.targets, spec.training.steps) = (20, targets, 998);
        // A narrower table refuses fewer shapes.
        (spec.range_bits, spec.scales) = (16, Scales::starting(16));
        ALLOCATOR.reset_peak_usage();
        let (before, started) = (ALLOCATOR.current_usage(), Instant::now());
        let outcome = form(spec);
        let peak = ALLOCATOR.peak_usage().saturating_sub(before);
        eprintln!("{name}: {:.1} s, {} MiB, {outcome:?}", started.elapsed().as_secs_f64(), peak >> 20);
        assert!(peak < 1 << 31, "{name}: {peak} bytes");
    }
}

#[test]
fn every_spec_is_formed_or_refused() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let rounds: u64 = std::env::var("ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(300);
    let seed: u64 = std::env::var("SEED").ok().and_then(|r| r.parse().ok()).unwrap_or(1);
    let mut numbers = Numbers(seed);
    let (mut formed, mut wrong, mut slowest, mut largest) = (0, Vec::new(), 0.0f64, 0usize);
    let mut reasons = std::collections::BTreeMap::<String, usize>::new();
    for _ in 0..rounds {
        let spec = spec(&mut numbers);
        let text = format!("{spec:?}");
        let started = Instant::now();
        ALLOCATOR.reset_peak_usage();
        let before = ALLOCATOR.current_usage();
        let outcome = catch_unwind(|| form(spec));
        let (seconds, peak) = (started.elapsed().as_secs_f64(), ALLOCATOR.peak_usage().saturating_sub(before));
        if seconds > slowest || peak > largest {
            eprintln!("{seconds:.2} s, {} MiB: {text}", peak >> 20);
        }
        (slowest, largest) = (slowest.max(seconds), largest.max(peak));
        match outcome {
            Ok(Ok(())) => formed += 1,
            Ok(Err(reason)) => *reasons.entry(reason.chars().take(40).collect()).or_default() += 1,
            Err(_) => wrong.push(text),
        }
    }
    eprintln!("{formed} formed, slowest {slowest:.2} s, largest {} MiB\n{reasons:#?}", largest >> 20);
    assert!(wrong.is_empty(), "{} panics, the first: {}", wrong.len(), wrong[0]);
}
