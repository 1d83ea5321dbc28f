//! Prints the size of the step program of the small model: tensors, equations, lookups, slots, largest bound.

use std::collections::BTreeMap;
use veritune_relations::layout::{self, Layout};
use veritune_relations::scales::Scales;
use veritune_relations::spec::*;
use veritune_relations::{Place, TensorId, step};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tokens: usize = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(64);
    let targets = match std::env::args().nth(2).as_deref() {
        Some("all") => Target::ALL.to_vec(),
        _ => vec![Target::Query, Target::Value],
    };
    let range_bits = std::env::args().nth(3).and_then(|s| s.parse().ok()).unwrap_or(18);
    let names = ["embedding", "query", "key", "value", "output", "gate", "up", "down"];
    let mut base: BTreeMap<String, i32> = names.iter().map(|n| (format!("base.{n}"), 15)).collect();
    for n in ["attention", "mlp", "final"] {
        base.insert(format!("base.gain_{n}"), 12);
    }
    let d = |s: &str| Decimal(s.into());
    let spec = Spec {
        version: 1,
        model: Model {
            hidden: 128,
            layers: 4,
            heads: 4,
            kv_heads: 2,
            head_dim: 32,
            ffn: 384,
            vocab: 2048,
            tied: true,
            qkv_bias: false,
            rms_norm_eps: d("1e-5"),
            rope_theta: d("10000"),
            base_fraction_bits: base,
            base_bits: 20,
            gain_bits: 14,
        },
        lora: Lora { r: 8, scaling_65536: 131_072, targets },
        training: Training {
            optimizer: Optimizer::AdamW,
            learning_rate: d("1e-3"),
            schedule: Schedule::Linear,
            warmup_steps: 2,
            weight_decay: d("0.01"),
            adam_beta1: d("0.9"),
            adam_beta2: d("0.999"),
            adam_epsilon: d("1e-8"),
            max_grad_norm: d("1.0"),
            rows: 1,
            tokens,
            steps: 20,
        },
        dataset_rows: 512,
        scales: Scales::starting(18),
        range_bits,
        log_rows: 16,
        disclose: Disclose::default(),
    };
    let start = std::time::Instant::now();
    let program = step::build(&spec, 3, &step::no_leaves(&spec))?.program;
    println!("built in {:?}", start.elapsed());
    let layout = Layout::new(&program);
    println!(
        "tensors {} equations {} lookups {} steps {}",
        program.tensors.len(),
        program.equations.len(),
        program.lookups.len(),
        program.steps.len()
    );
    println!("slots {:?}", layout.used);
    println!("largest bound {:?}", program.largest_bound.as_ref().map(|(b, n)| ((*b as f64).log2(), n)));
    let mut by: Vec<(usize, String)> = (0..program.tensors.len())
        .filter_map(|i| {
            let t = TensorId(i);
            let slot = layout.slots[i].as_ref()?;
            (program.tensor(t).place == Place::Witness)
                .then(|| (slot.blocks.len() * layout::block_len(&program, t), program.tensor(t).name.clone()))
        })
        .collect();
    by.sort_by_key(|x| std::cmp::Reverse(x.0));
    for (n, name) in by.iter().take(25) {
        println!("{n:9} {name}");
    }
    Ok(())
}
