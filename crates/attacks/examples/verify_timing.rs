//! Whether the time of verification depends on the witness: certificates of runs that differ in one hidden token, by the
//! product's prover, verified in turn.
//!
//! `cargo run --release -p veritune-attacks --features mutation-testing --example verify_timing -- CERTIFICATES REPEAT` prints,
//! as JSON, Mann and Whitney's statistic of the medians of both samples in units of its standard deviation; then the same for
//! a verifier that waits for a share of its time if the token is the second one, which has to be seen.

#[path = "../tests/hiding/one_token_certificate.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod certificates;

use certificates::{Certificate, Saved, TOKENS, certify, context};
use std::time::{Duration, Instant};

/// What the verifier that tells waits for: a hundredth of its time.
const DELAY: u32 = 100;

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Median times of every certificate, with its token; `delay` is what the second token costs more.
fn measure(all: &[(usize, Certificate)], repeat: usize, delay: Duration) -> Vec<(f64, usize)> {
    let contexts: Vec<_> = all.iter().map(|(_, c)| context(&c.run, Some(c.shapes))).collect();
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); all.len()];
    for _ in 0..repeat {
        for (((token, certificate), context), times) in all.iter().zip(&contexts).zip(&mut times) {
            let since = Instant::now();
            for (step, bytes) in &certificate.steps {
                let [before, after] = [*step - 1, *step].map(|number| certificate.roots[number as usize]);
                context.verify_step(*step, before, after, bytes).expect("accepted");
            }
            let wait = Instant::now();
            while *token == 1 && wait.elapsed() < delay {
                std::hint::spin_loop();
            }
            times.push(since.elapsed().as_secs_f64());
        }
    }
    times.iter_mut().zip(all).map(|(times, (token, _))| (median(times), *token)).collect()
}

/// Mann and Whitney's statistic of the first token's certificates.
fn sigmas(medians: &[(f64, usize)]) -> f64 {
    let mut sorted = medians.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let ranks: f64 =
        sorted.iter().zip(1..).filter(|((_, token), _)| *token == 0).map(|(_, rank)| f64::from(rank)).sum();
    let n = medians.len() as f64 / 2.0;
    let statistic = ranks - n * (n + 1.0) / 2.0;
    (statistic - n * n / 2.0) / (n * n * (2.0 * n + 1.0) / 12.0).sqrt()
}

fn main() {
    let argument = |i: usize, default: usize| std::env::args().nth(i).map_or(default, |a| a.parse().expect("a number"));
    let (count, repeat) = (argument(1, 20), argument(2, 9));
    let all: Vec<(usize, Certificate)> =
        (0..2 * count).map(|i| (i % 2, certify(TOKENS[i % 2], Saved::Nothing))).collect();
    let honest = measure(&all, repeat, Duration::ZERO);
    let of = |token: usize| median(&mut honest.iter().filter(|m| m.1 == token).map(|m| m.0).collect::<Vec<_>>());
    let delay = Duration::from_secs_f64(of(0)) / DELAY;
    let told = measure(&all, repeat, delay);
    println!(
        "{}",
        serde_json::json!({
            "certificates_of_each": count,
            "repeat": repeat,
            "median_ms": [of(0) * 1e3, of(1) * 1e3],
            "sigmas": sigmas(&honest),
            "delay_ms": delay.as_secs_f64() * 1e3,
            "sigmas_with_delay": sigmas(&told),
        })
    );
}
