//! The first layers of a real model, its embedding, final norm and head at full width: calibrated, trained, proved and
//! verified, and a proof with one flipped bit refused. Prints one line of JSON with times, memory and sizes.
//!
//! `real_layers model=DIR rows=FILE [layers=2] [tokens=16] [targets=qv|all] [steps=1] [range_bits=20] [threads=2]
//! [verifications=7]`
//! `rows` is a raw i64 file, all tokens, then all targets (`scripts/fidelity/prepare.py`); a row that is longer than
//! `tokens` is cut. Of the times of verifying, the first and the median are printed.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::time::Instant;
use veritune_argument::Argument;
use veritune_commit::Root;
use veritune_model::{BaseModel, Checkpoint, DEFAULT_BASE_BITS};
use veritune_relations::scales::Scales;
use veritune_relations::step::{Tables, no_leaves};
use veritune_run::dataset::{Dataset, Rows};
use veritune_run::inputs::Inputs;
use veritune_run::prove::{Prover, check_step, step_file};
use veritune_run::settings::Settings;
use veritune_run::store::Store;
use veritune_run::train::Committer;
use veritune_run::{calibrate, train};
use veritune_verifier::statement::{Run, base_root};

/// Tokens of a row in the file.
const FILE_TOKENS: usize = 64;
/// Rows that are committed: the first of the file.
const ROWS: usize = 32;

/// The model of the first `layers` layers, with the scales of the whole.
fn first_layers(mut base: BaseModel, layers: usize) -> BaseModel {
    let all = base.config.num_hidden_layers;
    for tensor in &mut base.tensors {
        let per_layer = !matches!(tensor.name, "base.embedding" | "base.head" | "base.gain_final");
        if per_layer && tensor.shape[0] == all {
            tensor.values.truncate(tensor.values.len() / all * layers);
            tensor.shape[0] = layers;
        }
    }
    base.config.num_hidden_layers = layers;
    base
}

/// The first rows of the file, cut to `tokens`: tokens and targets.
fn read_rows(path: &str, tokens: usize) -> Result<(Vec<i64>, Vec<i64>), Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    let words: Vec<i64> = bytes.as_chunks::<8>().0.iter().map(|w| i64::from_le_bytes(*w)).collect();
    let (ids, targets) = words.split_at(words.len() / 2);
    let cut = |values: &[i64]| values.chunks(FILE_TOKENS).take(ROWS).flat_map(|row| row[..tokens].to_vec()).collect();
    // The question takes most of a short row: there every position that is no padding has a label, the next token.
    let mut labels: Vec<i64> = cut(targets);
    let ids: Vec<i64> = cut(ids);
    if tokens < FILE_TOKENS {
        for (position, label) in labels.iter_mut().enumerate() {
            let last = position % tokens == tokens - 1;
            let next = if last { 0 } else { ids[position + 1] };
            *label = if next == 0 { -100 } else { next };
        }
    }
    Ok((ids, labels))
}

/// Peak resident memory of the process in MiB, where the system tells it.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: BTreeMap<String, String> =
        std::env::args().skip(1).filter_map(|a| a.split_once('=').map(|(k, v)| (k.into(), v.into()))).collect();
    let text = |name: &str, default: &str| arguments.get(name).cloned().unwrap_or_else(|| default.to_owned());
    let number = |name: &str, default: &str| text(name, default).parse::<usize>();
    let (layers, tokens, steps) = (number("layers", "2")?, number("tokens", "16")?, number("steps", "1")?);
    let verifications = number("verifications", "7")?.max(1);
    let (range_bits, threads) = (number("range_bits", "20")? as u32, number("threads", "2")?);
    let targets = match text("targets", "qv").as_str() {
        "qv" => r#"["q_proj","v_proj"]"#,
        "all" => r#"["q_proj","k_proj","v_proj","o_proj","gate_proj","up_proj","down_proj"]"#,
        other => return Err(format!("targets={other}: qv or all").into()),
    };
    let settings = Settings::parse(&format!(
        r#"{{"lora":{{"r":8,"lora_alpha":16,"target_modules":{targets},"use_rslora":false,"init_lora_weights":true}},
        "train":{{"optimizer":"adamw","learning_rate":"1e-3","lr_scheduler_type":"constant","warmup_steps":0,
        "weight_decay":"0.01","adam_beta1":"0.9","adam_beta2":"0.999","adam_epsilon":"1e-8","max_grad_norm":"1.0",
        "per_device_train_batch_size":1,"gradient_accumulation_steps":1,"max_steps":{steps},
        "seed_rule":"plan-beacon/v1"}},"data":{{"max_length":{tokens},"bucket":{tokens}}},
        "proof":{{"range_bits":{range_bits},"steps_per_proof":1,"profile":"v1"}},"disclose":{{"loss":"hidden","order":"public","data":"hidden","adapter":"public"}}}}"#
    ))?;
    let base = BaseModel::build(&Checkpoint::open(Path::new(&text("model", "")))?, DEFAULT_BASE_BITS)?;
    let base = first_layers(base, layers);
    let (ids, labels) = read_rows(&text("rows", ""), tokens)?;

    let spec = settings.spec(&base, Scales::starting(range_bits), ROWS)?;
    let rows = Rows { tokens: &ids, targets: &labels, meta: &vec![[0; 32]; ROWS] };
    let inputs = Inputs::new(&base, Dataset::new(&spec, rows, [3; 32])?);
    let start = Instant::now();
    let maxima = calibrate::maxima(&spec, &inputs, &[9; 32], 12, threads, |_| true)?;
    let calibrate_s = start.elapsed().as_secs_f64();
    let spec = settings.spec(&base, Scales::calibrated(&maxima, range_bits), ROWS)?;
    drop(base);
    let mut run = Run { spec, plan_digest: [1; 32], seed: [5; 32], dataset: Root([0; 32]), base: Root([0; 32]) };
    let folder = std::env::temp_dir().join(format!("veritune-real-{}", std::process::id()));
    let store = Store::open(&folder)?;
    let profile = run.profile()?;
    let tables = Tables::new(&run.spec)?;
    let first = run.program(&tables, 1, &no_leaves(&run.spec))?;
    let argument = Argument::new(&first.program)?;
    let layout = &argument.layout;
    let shapes = run.shapes(&profile, &argument)?;
    eprintln!("slots {:?}, log_rows {}, {shapes:?}", layout.used, run.spec.log_rows);
    run.dataset = inputs.dataset.root();
    let start = Instant::now();
    let committer = Committer { run: &run, profile: &profile, shapes, secret: store.secret()? };
    let tree = committer.base(&first, layout, &inputs.base)?.root();
    run.base = base_root(&run.spec, &tree);
    let commit_base_s = start.elapsed().as_secs_f64();
    eprintln!("base committed in {commit_base_s:.1} s, peak {} MiB", peak_mib());

    let start = Instant::now();
    let mut losses = Vec::new();
    train::train(&run, &inputs, &store, threads, |_, loss| {
        losses.push(loss);
        true
    })?;
    let train_s = start.elapsed().as_secs_f64();
    eprintln!("trained in {train_s:.1} s, losses {losses:?}, peak {} MiB", peak_mib());
    let mut prover = Prover::new(&run, &profile, &inputs, &store, threads)?;
    let (mut claims, mut bytes) = (Vec::new(), Vec::new());
    let (mut prove_s, mut verify_first_s, mut verify_s) = (0f64, 0f64, 0f64);
    for step in 1..=steps as u64 {
        let start = Instant::now();
        prover.prove_step(step)?;
        prove_s = start.elapsed().as_secs_f64();
        bytes = std::fs::read(store.path(&step_file(step)))?;
        let mut times = Vec::new();
        for verification in 0..verifications {
            let start = Instant::now();
            let claim = check_step(prover.context(), step, &bytes).ok_or("the verifier refused our own proof")?;
            times.push(start.elapsed().as_secs_f64());
            if verification == 0 {
                claims.push(claim);
            }
        }
        verify_first_s = times[0];
        times.sort_by(f64::total_cmp);
        verify_s = times[verifications / 2];
    }
    let prove_peak = peak_mib();
    eprintln!("proved in {prove_s:.1} s, verified in {verify_s:.3} s, peak {prove_peak} MiB");
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    if check_step(prover.context(), steps as u64, &flipped).is_some() {
        return Err("the verifier accepted a flipped bit".into());
    }
    let start = Instant::now();
    let settlement = prover.settle(&claims)?;
    let settle_s = start.elapsed().as_secs_f64();
    let start = Instant::now();
    veritune_verifier::settlement::verify(&run, &profile, shapes.base, &claims, &settlement)?;
    let verify_settlement_s = start.elapsed().as_secs_f64();
    let program = run.program(&tables, steps as u64, &no_leaves(&run.spec))?.program;
    let scalars = Argument::new(&program)?.wiring.num_masked_scalars();
    println!(
        "{}",
        serde_json::json!({"layers": layers, "tokens": tokens, "targets": text("targets", "qv"), "steps": steps,
            "threads": threads, "range_bits": range_bits, "log_rows": run.spec.log_rows, "losses": losses,
            "slots": {"witness": argument.witness_slots(), "state": layout.used[1], "base": layout.used[veritune_argument::BASE_PLACE]},
            "scalars": scalars, "calibrate_s": calibrate_s, "commit_base_s": commit_base_s, "train_s": train_s,
            "prove_s": prove_s, "prove_peak_mib": prove_peak, "proof_bytes": bytes.len(), "verify_first_s": verify_first_s, "verify_s": verify_s,
            "flipped_bit_refused": true, "settle_s": settle_s, "settlement_bytes": settlement.len(),
            "verify_settlement_s": verify_settlement_s, "peak_mib": peak_mib()})
    );
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
