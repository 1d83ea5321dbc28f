//! Trains, proves and verifies a few steps of the small model, with times.

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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let steps: u64 = args[4].parse()?;
    let targets = if args.get(3).is_some_and(|a| a == "all") {
        r#"["q_proj","k_proj","v_proj","o_proj","gate_proj","up_proj","down_proj"]"#
    } else {
        r#"["q_proj","v_proj"]"#
    };
    let tokens_per_row = 64usize;
    let bytes = std::fs::read(&args[1])?;
    let words: Vec<i64> = bytes.as_chunks::<8>().0.iter().map(|w| i64::from_le_bytes(*w)).collect();
    let rows = words.len() / 2 / tokens_per_row;
    let (tokens, labels) = words.split_at(words.len() / 2);
    let settings = Settings::parse(&format!(
        r#"{{"lora":{{"r":8,"lora_alpha":16,"target_modules":{targets},"use_rslora":false,"init_lora_weights":true}},
        "train":{{"optimizer":"adamw","learning_rate":"2e-3","lr_scheduler_type":"linear","warmup_steps":2,"weight_decay":"0.01",
        "adam_beta1":"0.9","adam_beta2":"0.999","adam_epsilon":"1e-8","max_grad_norm":"1.0","per_device_train_batch_size":1,
        "gradient_accumulation_steps":1,"max_steps":{steps},"seed_rule":"plan-beacon/v1"}},
        "data":{{"max_length":64,"bucket":64}},"proof":{{"range_bits":18,"steps_per_proof":1,"profile":"v1"}}}}"#
    ))?;
    let base = BaseModel::build(&Checkpoint::open(Path::new(&args[2]))?, DEFAULT_BASE_BITS)?;
    let spec = settings.spec(&base, Scales::starting(18), rows)?;
    let arrays = Rows { tokens, targets: labels, meta: &vec![[0; 32]; rows] };
    let inputs = Inputs::new(&base, Dataset::new(&spec, arrays, [3; 32])?);
    let maxima = calibrate::maxima(&spec, &inputs, &[9; 32], 32, 2, |_| true)?;
    let spec = settings.spec(&base, calibrate::scales(&maxima, 18), rows)?;
    let mut run = Run { spec, plan_digest: [1; 32], seed: [5; 32], dataset: Root([0; 32]), base: Root([0; 32]) };
    let folder = std::env::temp_dir().join(format!("veritune-small-{}", std::process::id()));
    let store = Store::open(&folder)?;
    let profile = run.profile()?;
    let first = run.program(&Tables::new(&run.spec)?, 1, &no_leaves(&run.spec))?;
    let argument = Argument::new(&first.program)?;
    let layout = &argument.layout;
    let shapes = run.shapes(&profile, &argument)?;
    println!("log_rows {} shapes {shapes:?} used {:?}", run.spec.log_rows, layout.used);
    let t = Instant::now();
    run.dataset = inputs.dataset.root();
    println!("rows hashed {:?}", t.elapsed());
    let t = Instant::now();
    let committer = Committer { run: &run, profile: &profile, shapes, secret: store.secret()? };
    let tree = committer.base(&first, layout, &inputs.base)?.root();
    run.base = base_root(&run.spec, &tree);
    println!("base committed {:?}", t.elapsed());
    let t = Instant::now();
    train::train(&run, &inputs, &store, 2, |step, loss| {
        println!("step {step} loss {loss:.4}");
        true
    })?;
    println!("trained {:?}", t.elapsed());
    let mut prover = Prover::new(&run, &profile, &inputs, &store, 2)?;
    let mut claims = Vec::new();
    for step in 1..=steps {
        let t = Instant::now();
        let proof = prover.prove_step(step)?;
        let proved = t.elapsed();
        let bytes = std::fs::read(store.path(&step_file(step)))?;
        let t = Instant::now();
        let checked = check_step(prover.context(), step, &bytes);
        for _ in 0..std::env::var("REPEAT").ok().and_then(|r| r.parse().ok()).unwrap_or(0) {
            check_step(prover.context(), step, &bytes);
        }
        println!(
            "step {step}: proved {proved:?}, {} bytes, {} base claims, verified {} in {:?}",
            bytes.len(),
            proof.claims.len(),
            checked.is_some(),
            t.elapsed()
        );
        if step == 2 {
            let t = Instant::now();
            let program = prover.context().program(step, &no_leaves(&run.spec))?.program;
            let built = t.elapsed();
            let argument = Argument::new(&program)?;
            println!("program {built:?} argument {:?}; {} scalars", t.elapsed(), argument.wiring.num_masked_scalars());
        }
        claims.push(checked.ok_or("refused")?);
    }
    let t = Instant::now();
    let settlement = prover.settle(&claims)?;
    println!("settled {:?}, {} bytes", t.elapsed(), settlement.len());
    let t = Instant::now();
    let context = prover.context();
    veritune_verifier::settlement::verify(&run, &profile, context.shapes.base, &claims, &settlement)?;
    println!("settlement verified {:?}", t.elapsed());
    let copies = prover.copies()?;
    let t = Instant::now();
    let release = prover.release(&[8; 32])?;
    println!("released {:?}, {} bytes", t.elapsed(), release.len());
    let t = Instant::now();
    let last = Root(store.root(steps)?);
    prover.context().verify_release(last, &copies, &[8; 32], &release)?;
    println!("release verified {:?}", t.elapsed());
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
