//! Speed of the integer matrix product: `cargo run --release -p veritune-executor --example matmul`.
//!
//! Operands as in a training step: weights of 16 bits, activations of 18 bits (signed), 64 × 576 × 1536.

use std::hint::black_box;
use std::time::Instant;

use veritune_executor::multiply;

fn main() {
    let (rows, depth, columns) = (64, 576, 1536);
    let mut state = 1u64;
    let mut sample = |bits: u32| -> i64 {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        state as i64 >> (64 - bits)
    };
    let left: Vec<i64> = (0..rows * depth).map(|_| sample(18)).collect();
    let narrow: Vec<i64> = (0..columns * depth).map(|_| sample(16)).collect();
    let mut wide = narrow.clone();
    wide[0] = 1 << 32;
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads start");
        for (name, right) in [("s18 x s16 in i32 lanes", &narrow), ("s18 x s34 in i64 lanes", &wide)] {
            let seconds = pool.install(|| {
                (0..20)
                    .map(|_| {
                        let start = Instant::now();
                        black_box(multiply(black_box(&left), black_box(right), depth));
                        start.elapsed().as_secs_f64()
                    })
                    .fold(f64::INFINITY, f64::min)
            });
            let products = (rows * depth * columns) as f64;
            println!("{threads} thread(s), {name}: {:.2} GMAC/s ({:.2} ms)", products / seconds / 1e9, seconds * 1e3);
        }
    }
}
