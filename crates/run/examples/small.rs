//! Calibrates and trains the small model on rows from a raw i64 file (tokens then targets), printing losses.

use std::path::Path;
use veritune_commit::Root;
use veritune_model::{BaseModel, Checkpoint, DEFAULT_BASE_BITS};
use veritune_relations::scales::Scales;
use veritune_relations::step::{Tables, no_leaves};
use veritune_run::dataset::{Dataset, Rows};
use veritune_run::inputs::Inputs;
use veritune_run::settings::Settings;
use veritune_run::{calibrate, train};
use veritune_verifier::statement::Run;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
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
        "gradient_accumulation_steps":1,"max_steps":20,"seed_rule":"plan-beacon/v1"}},
        "data":{{"max_length":64,"bucket":64}},"proof":{{"range_bits":18,"steps_per_proof":1,"profile":"v1"}}}}"#
    ))?;
    let start = std::time::Instant::now();
    let base = BaseModel::build(&Checkpoint::open(Path::new(&args[2]))?, DEFAULT_BASE_BITS)?;
    let spec = settings.spec(&base, Scales::starting(18), rows)?;
    let arrays = Rows { tokens, targets: labels, meta: &vec![[0; 32]; rows] };
    let inputs = Inputs::new(&base, Dataset::new(&spec, arrays, [3; 32])?);
    let seed = [5; 32];
    println!("base {:?}", start.elapsed());
    let maxima = calibrate::maxima(&spec, &inputs, &[9; 32], 32, 2, |_| true)?;
    println!("calibrated {:?}", start.elapsed());
    for (kind, value) in &maxima {
        println!("  {kind:24} {value:12.5}");
    }
    let spec = settings.spec(&base, calibrate::scales(&maxima, 18), rows)?;
    for (kind, scale) in &spec.scales.0 {
        print!("{kind} {}{}f{} · ", if scale.signed { "s" } else { "u" }, scale.bits, scale.fraction_bits);
    }
    println!("\nlog_rows {}", spec.log_rows);
    let run = Run { spec, plan_digest: [1; 32], seed, dataset: Root([0; 32]), base: Root([0; 32]) };
    let tables = Tables::new(&run.spec)?;
    let first = run.program(&tables, 1, &no_leaves(&run.spec))?;
    let state = train::first_state(&first, &seed);
    let mut state = state;
    let mut sampler = run.sampler();
    for step in 1..=8 {
        let t = std::time::Instant::now();
        let rows = sampler.rows(step);
        let built = run.program(&tables, step, &inputs.dataset.leaves(&rows))?;
        let executed = train::execute(built, &inputs, step, &rows, &state, 2)?;
        if step <= 2 {
            let violations = veritune_executor::check(&executed.built.program, &executed.tensors);
            println!("violations {} {:?}", violations.len(), violations.iter().take(5).collect::<Vec<_>>());
        }
        state = train::state_after(&executed);
        println!("step {step} loss {:.4} {:?}", train::loss(&executed), t.elapsed());
    }
    Ok(())
}
