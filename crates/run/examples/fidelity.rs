//! Calibrates and trains a real model exactly on rows from raw i64 files (all tokens, then all targets), and dumps
//! what a float reference needs to follow the same run: row order, losses, adapters, gradients, scales.
//!
//! `fidelity model=DIR train=FILE calibration=FILE out=DIR [tokens=64] [batch=1] [targets=qv|all] [steps=100]
//! [calibration_steps=12] [range_bits=20] [base_bits=20] [threads=1] [lr=1e-3] [warmup=4] [clip=1.0] [seed=5] [gradients=2,40]
//! [adapters=0,1,40,100] [check=0] [only=spec|calibration]`

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;
use veritune_model::{BaseModel, Checkpoint, DEFAULT_BASE_BITS};
use veritune_relations::sampler::Sampler;
use veritune_relations::scales::Scales;
use veritune_relations::step::{StepProgram, Tables, build_with, no_leaves};
use veritune_relations::{Spec, TensorId};
use veritune_run::dataset::{self, Dataset};
use veritune_run::inputs::Inputs;
use veritune_run::settings::Settings;
use veritune_run::train::{Executed, State};
use veritune_run::{calibrate, train};

type Done<T> = Result<T, Box<dyn Error>>;

/// `name=value` arguments.
struct Arguments(BTreeMap<String, String>);

impl Arguments {
    fn read() -> Done<Self> {
        let pairs = std::env::args().skip(1).map(|argument| {
            let pair = argument.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
            pair.ok_or_else(|| format!("{argument} is not name=value"))
        });
        Ok(Self(pairs.collect::<Result<_, _>>()?))
    }
    fn text<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.0.get(name).map_or(default, String::as_str)
    }
    fn path(&self, name: &str) -> Done<PathBuf> {
        Ok(self.0.get(name).map(PathBuf::from).ok_or_else(|| format!("{name}= is missing"))?)
    }
    fn number(&self, name: &str, default: u64) -> Done<u64> {
        Ok(self.0.get(name).map_or(Ok(default), |value| value.parse())?)
    }
    fn numbers(&self, name: &str, default: &str) -> Done<Vec<u64>> {
        let list = self.text(name, default).split(',').filter(|s| !s.is_empty());
        Ok(list.map(str::parse).collect::<Result<_, _>>()?)
    }
}

/// Rows of a raw file.
struct Rows {
    tokens: Vec<i64>,
    targets: Vec<i64>,
    len: usize,
}

impl Rows {
    fn read(path: &Path, tokens_per_row: usize) -> Done<Self> {
        let bytes = fs::read(path)?;
        let words: Vec<i64> = bytes.as_chunks::<8>().0.iter().map(|w| i64::from_le_bytes(*w)).collect();
        let (tokens, targets) = words.split_at(words.len() / 2);
        Ok(Self { tokens: tokens.to_vec(), targets: targets.to_vec(), len: tokens.len() / tokens_per_row })
    }
}

impl Rows {
    fn dataset(&self, spec: &Spec) -> Done<Dataset> {
        let meta = vec![[0; 32]; self.len];
        let rows = dataset::Rows { tokens: &self.tokens, targets: &self.targets, meta: &meta };
        Ok(Dataset::new(spec, rows, [0; 32])?)
    }
}

/// Peak resident memory of the process in MiB, where the system tells it.
fn peak_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn settings(arguments: &Arguments) -> Done<Settings> {
    let targets = match arguments.text("targets", "qv") {
        "qv" => r#"["q_proj","v_proj"]"#,
        "all" => r#"["q_proj","k_proj","v_proj","o_proj","gate_proj","up_proj","down_proj"]"#,
        other => return Err(format!("targets={other}: qv or all").into()),
    };
    let (tokens, batch) = (arguments.number("tokens", 64)?, arguments.number("batch", 1)?);
    let (rate, warmup) = (arguments.text("lr", "1e-3"), arguments.number("warmup", 4)?);
    let (clip, steps) = (arguments.text("clip", "1.0"), arguments.number("steps", 100)?);
    let range_bits = arguments.number("range_bits", 20)?;
    Ok(Settings::parse(&format!(
        r#"{{"lora":{{"r":8,"lora_alpha":16,"target_modules":{targets},"use_rslora":false,"init_lora_weights":true}},
        "train":{{"optimizer":"adamw","learning_rate":"{rate}","lr_scheduler_type":"constant","warmup_steps":{warmup},
        "weight_decay":"0.01","adam_beta1":"0.9","adam_beta2":"0.999","adam_epsilon":"1e-8","max_grad_norm":"{clip}",
        "per_device_train_batch_size":{batch},"gradient_accumulation_steps":1,"max_steps":{steps},
        "seed_rule":"plan-beacon/v1"}},"data":{{"max_length":{tokens},"bucket":{tokens}}},
        "proof":{{"range_bits":{range_bits},"steps_per_proof":1,"profile":"v1"}},"disclose":{{"loss":"hidden","order":"public","data":"hidden","adapter":"public"}}}}"#
    ))?)
}

/// The spec of these settings. `Settings::spec` refuses a witness above 2^26 for want of rows in the commitment;
/// execution needs no commitment, so it is asked for two tokens of one target and the rest is put in afterwards.
fn spec_of(settings: &Settings, base: &BaseModel, base_bits: u32, scales: Scales, rows: usize) -> Done<Spec> {
    let tokens = settings.data.bucket;
    let mut small = settings.clone();
    (small.data.bucket, small.data.max_length) = (2, 2);
    small.lora.target_modules.truncate(1);
    let mut spec = small.spec(base, scales, rows)?;
    (spec.training.tokens, spec.log_rows) = (tokens, 20);
    // The width that the base was built with; `Settings::spec` writes the default.
    spec.model.base_bits = base_bits;
    spec.lora.targets.clone_from(&settings.lora.target_modules);
    spec.validate()?;
    Ok(spec)
}

/// `values * factor` as little-endian f64 in one file, one tensor after another; the manifest line is printed.
fn dump(path: &Path, tensors: &[(String, &[i64], f64)]) -> Done<()> {
    let mut bytes = Vec::new();
    for (_, values, factor) in tensors {
        bytes.extend(values.iter().flat_map(|&x| (x as f64 * factor).to_le_bytes()));
    }
    Ok(fs::write(path, bytes)?)
}

fn unit(built: &StepProgram, id: TensorId) -> f64 {
    (-f64::from(built.program.tensor(id).fraction_bits)).exp2()
}

fn dump_adapter(out: &Path, built: &StepProgram, state: &State, step: u64) -> Done<()> {
    let matrices = built.adapters.values().flat_map(|a| [&a.a, &a.b]);
    let tensors: Vec<_> = matrices
        .filter_map(|m| {
            let id = m.before[0];
            let values = state.get(&built.program.tensor(id).name)?;
            Some((m.name.clone(), values.as_slice(), unit(built, id)))
        })
        .collect();
    dump(&out.join(format!("adapter_{step}.f64")), &tensors)
}

/// Gradients of the mean loss, before clipping.
fn dump_gradients(out: &Path, executed: &Executed, step: u64) -> Done<()> {
    let (built, tensors) = (&executed.built, &executed.tensors);
    let labels = scalar(executed, "labels").max(1.0);
    let matrices = built.adapters.values().flat_map(|a| [&a.a, &a.b]);
    let list: Vec<_> = matrices
        .filter_map(|m| Some((m.name.clone(), tensors.get(m.gradient?), unit(built, m.gradient?) / labels)))
        .collect();
    dump(&out.join(format!("gradient_{step}.f64")), &list)
}

/// The first value of a tensor in real units.
fn scalar(executed: &Executed, name: &str) -> f64 {
    let Some(id) = executed.built.program.find(name) else { return f64::NAN };
    executed.tensors.get(id).first().map_or(f64::NAN, |&x| x as f64 * unit(&executed.built, id))
}

/// Values of the maxima of a step's tensors over what their ranges allow, the greatest of each kind.
fn use_of_ranges(executed: &Executed, worst: &mut BTreeMap<&'static str, f64>) {
    for (name, &kind) in &executed.built.kinds {
        let Some(id) = executed.built.program.find(name) else { continue };
        let largest = executed.tensors.get(id).iter().map(|x| x.unsigned_abs()).max().unwrap_or(0) as f64;
        let share = largest / executed.built.program.tensor(id).range.max() as f64;
        let entry = worst.entry(kind).or_insert(0.0);
        *entry = entry.max(share);
    }
}

fn print_bound(spec: &Spec, program: &veritune_relations::Program) {
    let values = |place| -> usize {
        let ids = (0..program.tensors.len()).map(TensorId).filter(|&i| program.tensor(i).place == place);
        ids.map(|i| program.shape(i).iter().product::<usize>()).sum()
    };
    if let Some((bound, name)) = &program.largest_bound {
        println!("largest bound 2^{:.3} ({name})", (*bound as f64).log2());
    }
    println!(
        "tensors {}, equations {}, witness values {:.1} M, log_rows {}",
        program.tensors.len(),
        program.equations.len(),
        values(veritune_relations::Place::Witness) as f64 / 1e6,
        spec.log_rows
    );
}

fn main() -> Done<()> {
    let arguments = Arguments::read()?;
    let out = arguments.path("out")?;
    fs::create_dir_all(&out)?;
    let tokens = arguments.number("tokens", 64)? as usize;
    let range_bits = arguments.number("range_bits", 20)? as u32;
    let threads = arguments.number("threads", 1)? as usize;
    let base_bits = arguments.number("base_bits", DEFAULT_BASE_BITS.into())? as u32;
    let settings = settings(&arguments)?;
    let only = arguments.text("only", "");

    let start = Instant::now();
    let base = BaseModel::build(&Checkpoint::open(&arguments.path("model")?)?, base_bits)?;
    println!("base {:.1} s, peak {} MiB", start.elapsed().as_secs_f64(), peak_mib());
    let rows = Rows::read(&arguments.path("train")?, tokens)?;
    let calibration = Rows::read(&arguments.path("calibration")?, tokens)?;

    let start = Instant::now();
    let spec = spec_of(&settings, &base, base_bits, Scales::starting(range_bits), calibration.len)?;
    let first = veritune_relations::step::build(&spec, 1, &no_leaves(&spec))?;
    println!("starting scales build, {:.1} s", start.elapsed().as_secs_f64());
    print_bound(&spec, &first.program);
    if only == "spec" {
        return Ok(());
    }

    let start = Instant::now();
    let maxima_path = out.join("maxima.json");
    let maxima: BTreeMap<String, f64> = if maxima_path.exists() {
        serde_json::from_slice(&fs::read(&maxima_path)?)?
    } else {
        let inputs = Inputs::new(&base, calibration.dataset(&spec)?);
        let steps = arguments.number("calibration_steps", 12)?;
        let maxima = calibrate::maxima(&spec, &inputs, &[9; 32], steps, threads, |step| {
            println!("calibration step {step}, {:.1} s", start.elapsed().as_secs_f64());
            true
        })?;
        fs::write(&maxima_path, serde_json::to_vec_pretty(&maxima)?)?;
        maxima
    };
    println!("calibrated in {:.1} s, peak {} MiB", start.elapsed().as_secs_f64(), peak_mib());
    let base_scales: Vec<_> = base.tensors.iter().map(|t| format!("{} f{}", t.name, t.fraction_bits)).collect();
    println!("{}", base_scales.join(" · "));
    let raw = spec_of(&settings, &base, base_bits, Scales::calibrated(&maxima, range_bits), rows.len)?;
    let spec = calibrate::fitted(raw)?;
    fs::write(out.join("spec.json"), serde_json::to_vec_pretty(&spec)?)?;
    for (kind, scale) in &spec.scales.0 {
        let sign = if scale.signed { "s" } else { "u" };
        let seen = maxima.get(kind).copied().unwrap_or(0.0);
        let room = scale.range().max() as f64 * (-f64::from(scale.fraction_bits)).exp2() / seen;
        println!("{kind:24} {sign}{:<2} f{:<3} max {seen:12.6} room {room:10.1}", scale.bits, scale.fraction_bits);
    }
    let inputs = Inputs::new(&base, rows.dataset(&spec)?);
    drop(base);
    if only == "calibration" {
        return Ok(());
    }
    run(&arguments, &spec, &inputs, &out, threads)
}

fn run(arguments: &Arguments, spec: &Spec, inputs: &Inputs, out: &Path, threads: usize) -> Done<()> {
    let seed = [arguments.number("seed", 5)? as u8; 32];
    let adapters = arguments.numbers("adapters", "0,1,2,10,20,40,100")?;
    let gradients = arguments.numbers("gradients", "1,2,10,40")?;
    let check = arguments.number("check", 0)?;
    let tables = Tables::new(spec)?;
    let mut sampler = Sampler::new(&seed, spec.dataset_rows, spec.training.rows);
    let first = build_with(spec, &tables, 1, &no_leaves(spec))?;
    print_bound(spec, &first.program);
    let manifest: Vec<_> = first
        .adapters
        .values()
        .flat_map(|a| [&a.a, &a.b])
        .map(|m| serde_json::json!({"name": m.name, "shape": first.program.shape(m.before[0])}))
        .collect();
    fs::write(out.join("manifest.json"), serde_json::to_vec_pretty(&manifest)?)?;

    let mut state = train::first_state(&first, &seed);
    if adapters.contains(&0) {
        dump_adapter(out, &first, &state, 0)?;
    }
    let mut log = Vec::new();
    let mut worst = BTreeMap::new();
    for step in 1..=spec.training.steps {
        let start = Instant::now();
        let built = build_with(spec, &tables, step, &no_leaves(spec))?;
        let build_seconds = start.elapsed().as_secs_f64();
        if gradients.contains(&step) {
            dump_adapter(out, &built, &state, step - 1)?;
        }
        let rows = sampler.rows(step);
        let executed = train::execute(built, inputs, step, &rows, &state, threads)?;
        let seconds = start.elapsed().as_secs_f64();
        state = train::state_after(&executed);
        let loss = train::loss(&executed);
        let norm = scalar(&executed, "norm") / 2f64.powi(20) / scalar(&executed, "labels");
        let active = scalar(&executed, "clip.active") == 1.0;
        println!(
            "step {step} loss {loss:.6} norm {norm:.4} clipped {active} {seconds:.2} s (build {build_seconds:.2}), peak {} MiB",
            peak_mib()
        );
        if gradients.contains(&step) {
            dump_gradients(out, &executed, step)?;
        }
        if adapters.contains(&step) {
            dump_adapter(out, &executed.built, &state, step)?;
        }
        use_of_ranges(&executed, &mut worst);
        if step <= check {
            let violations = veritune_executor::check(&executed.built.program, &executed.tensors);
            println!("violations {}", violations.len());
        }
        log.push(serde_json::json!({"step": step, "rows": rows, "loss": loss, "labels": scalar(&executed, "labels"),
            "norm": norm, "clipped": active, "seconds": seconds}));
        let summary = serde_json::json!({"spec": spec, "steps": log, "range_use": worst, "peak_mib": peak_mib(),
            "threads": threads});
        fs::write(out.join("run.json"), serde_json::to_vec(&summary)?)?;
    }
    for (kind, share) in &worst {
        println!("range use {kind:24} {share:.4}");
    }
    Ok(())
}
