//! Commits to a witness, two states and a batch and opens them together, with times and bytes.
//!
//! `cargo run --release -p veritune-prover --example four_trees -- [log_rows] [log_witness] [log_state]
//! [log_batch] [repetitions] [log_inverse_rate]`; without arguments 18, 24, 21, 17, 3, 1. The
//! logarithms are those of the committed vectors, random rows included. A state or batch log of 0
//! leaves these trees out.

use std::time::{Duration, Instant};
use veritune_commit::{MAX_PROOFS, Profile, TERM_BITS, TreeHash, TreeShape, capacity, tree_point, verify_opening};
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_field::{E, F, eq_table};
use veritune_prover::commit::{Randomness, commit, open_with_report};
use veritune_transcript::Transcript;

fn main() {
    let arguments: Vec<u32> = std::env::args().skip(1).map(|a| a.parse().expect("a small integer")).collect();
    let argument = |i: usize, default: u32| arguments.get(i).copied().unwrap_or(default);
    let (log_rows, log_witness) = (argument(0, 18), argument(1, 24));
    let (log_state, log_batch, repetitions) = (argument(2, 21), argument(3, 17), argument(4, 3));
    let profile = Profile::with_parameters(log_rows, argument(5, 1), TERM_BITS, MAX_PROOFS)
        .expect("a profile that reaches the target");
    let shape = |log_size: u32, masked: bool, budget: u32| TreeShape {
        log_rows,
        log_columns: log_size.saturating_sub(log_rows),
        hash: TreeHash::Blake3,
        masked,
        budget,
    };
    let mut shapes = vec![("witness", shape(log_witness, true, 1))];
    if log_state > 0 {
        shapes.extend([("state before", shape(log_state, false, 4)), ("state after", shape(log_state, false, 4))]);
    }
    if log_batch > 0 {
        shapes.push(("batch", shape(log_batch, false, 1)));
    }
    let ledger = profile.ledger(shapes.len(), shapes.iter().map(|(_, s)| s.log_columns).max().unwrap_or(0));
    println!("{}", profile.id());
    println!("ledger: {} bits for {} proofs", ledger.total_bits(), ledger.max_proofs());
    println!("peak memory at start: {}", peak_memory());

    let mut commit_times = vec![Vec::new(); shapes.len()];
    let (mut open_times, mut verify_times) = (Vec::new(), Vec::new());
    for repetition in 0..repetitions.max(1) {
        let mut trees = Vec::new();
        for (number, (_, shape)) in shapes.iter().enumerate() {
            let data: Vec<F> = sample_data(capacity(&profile, shape).expect("a served shape"), number);
            let start = Clock::start();
            let seed = [number as u8 + 1; 32];
            let tree = commit(&profile, *shape, data, Randomness::from_seed(seed)).expect("within capacity");
            commit_times[number].push(start.elapsed());
            trees.push(tree);
        }
        // Tensor weights: the verifier evaluates them in logarithmic time.
        let points: Vec<Vec<E>> = shapes
            .iter()
            .enumerate()
            .map(|(number, (_, shape))| {
                let mut transcript = Transcript::new(b"four trees weights");
                transcript.absorb_u64("tree", number as u64);
                transcript.challenges_e("point", (log_rows + shape.log_columns) as usize)
            })
            .collect();
        let weights: Vec<Vec<E>> = points.iter().map(|point| eq_table(point)).collect();
        let target: E = weights
            .iter()
            .zip(&trees)
            .map(|(w, tree)| w.iter().zip(tree.vector()).map(|(&w, &f)| w * f).sum::<E>())
            .sum();
        let statement: Vec<_> = trees.iter().map(|tree| (tree.shape(), tree.root())).collect();
        let start = Clock::start();
        let mut opened: Vec<_> = trees.iter_mut().collect();
        let (proof, report) = open_with_report(
            &profile,
            &mut opened,
            weights.into_iter().map(Into::into).collect(),
            target,
            &mut Transcript::new(b"four trees"),
        )
        .expect("an honest opening");
        open_times.push(start.elapsed());
        for _ in 0..5 {
            let start = Clock::start();
            let weights_at = |z: &[E]| {
                let parts = shapes.iter().map(|(_, shape)| tree_point(z, shape));
                parts.zip(&points).map(|(part, point)| eq(&part, point)).collect()
            };
            verify_opening(&profile, &statement, target, &proof, &mut Transcript::new(b"four trees"), weights_at)
                .expect("an honest proof");
            verify_times.push(start.elapsed());
        }
        if repetition == 0 {
            for (name, bytes) in &report.components {
                println!("  {bytes:>9} bytes  {name}");
            }
            println!("  {:>9} bytes  in all", proof.len());
        }
    }
    for ((name, shape), times) in shapes.iter().zip(&mut commit_times) {
        let log_size = log_rows + shape.log_columns;
        println!("commit {name} 2^{log_size}, budget {}: {}", shape.budget, median(times));
    }
    println!("open:   {}", median(&mut open_times));
    println!("verify: {}", median(&mut verify_times));
    println!("peak memory: {}", peak_memory());
}

fn sample_data(length: usize, number: usize) -> Vec<F> {
    let mut state = number as u64 + 1;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            F::from_u64(state >> 1)
        })
        .collect()
}

fn eq(a: &[E], b: &[E]) -> E {
    a.iter().zip(b).map(|(&a, &b)| (a * b).double() + E::ONE - a - b).product()
}

fn median(times: &mut [Elapsed]) -> Elapsed {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Wall time and, on Linux, processor time of all threads in steps of 10 ms: on a shared machine the
/// second tells more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Elapsed {
    wall: Duration,
    processor: Duration,
}

impl std::fmt::Display for Elapsed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (wall, processor) = (self.wall.as_secs_f64() * 1e3, self.processor.as_millis());
        write!(f, "{wall:.1} ms wall, {processor} ms processor")
    }
}

struct Clock {
    wall: Instant,
    processor: Duration,
}

impl Clock {
    fn start() -> Self {
        Self { wall: Instant::now(), processor: processor_time() }
    }

    fn elapsed(&self) -> Elapsed {
        Elapsed { wall: self.wall.elapsed(), processor: processor_time().saturating_sub(self.processor) }
    }
}

fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields 14 and 15 of proc(5), counted after the parenthesised name; ticks of 10 ms.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|t| t.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}

/// The high-water mark that Linux keeps for the process.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    line.map_or("unknown on this system".to_owned(), |line| line.trim_start_matches("VmHWM:").trim().to_owned())
}
