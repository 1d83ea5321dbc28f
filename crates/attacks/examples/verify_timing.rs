//! Whether the time of `verify` depends on the witness: proofs of two witnesses of one statement, verified in turn.
//!
//! `cargo run --release -p veritune-attacks --features mutation-testing --example verify_timing -- PROOFS REPEAT` prints, as
//! JSON, Mann and Whitney's statistic of the medians of both samples in units of its standard deviation. Challenges are
//! programmed, so that no two proofs differ in positions or sizes.

#[path = "../tests/hiding/instance.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod instance;

use instance::{HONEST, Instance, Proved, SECRETS};
use std::time::Instant;

fn main() {
    let argument = |i: usize, default: usize| std::env::args().nth(i).map_or(default, |a| a.parse().expect("a number"));
    let (count, repeat) = (argument(1, 100), argument(2, 21));
    let instance = Instance::new();
    let prove =
        |secret: usize, number: usize| instance.prove(&SECRETS[secret], (secret * count + number) as u64, HONEST);
    let proofs: Vec<(usize, Proved)> = (0..2 * count).map(|i| (i % 2, prove(i % 2, i / 2))).collect();
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); proofs.len()];
    for _ in 0..repeat {
        for ((_, proof), times) in proofs.iter().zip(&mut times) {
            let since = Instant::now();
            let (verdict, _) = instance.verify(proof);
            times.push(since.elapsed().as_secs_f64());
            assert_eq!(verdict, Ok(()));
        }
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let mut medians: Vec<(f64, usize)> =
        times.iter_mut().zip(&proofs).map(|(t, (secret, _))| (median(t), *secret)).collect();
    medians.sort_by(|a, b| a.0.total_cmp(&b.0));
    let ranks: f64 =
        medians.iter().zip(1..).filter(|((_, secret), _)| *secret == 0).map(|(_, rank)| f64::from(rank)).sum();
    let n = count as f64;
    let statistic = ranks - n * (n + 1.0) / 2.0;
    let deviation = (statistic - n * n / 2.0) / (n * n * (2.0 * n + 1.0) / 12.0).sqrt();
    let of = |secret: usize| median(&mut medians.iter().filter(|m| m.1 == secret).map(|m| m.0).collect());
    println!(
        "{}",
        serde_json::json!({"proofs_of_each": count, "repeat": repeat, "median_ms": [of(0) * 1e3, of(1) * 1e3], "sigmas": deviation})
    );
}
