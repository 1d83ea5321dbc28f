//! The integer matrix product on operands of a training step: 18-bit activations times 16-bit weights,
//! 64 x 576 x 1536, in 32-bit lanes; with one weight of 33 bits, in 64-bit lanes.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use veritune_executor::multiply;

fn matmul(c: &mut Criterion) {
    let (rows, depth, columns) = (64, 576, 1536);
    let mut state = 1u64;
    let mut sample = |bits: u32| -> i64 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state as i64 >> (64 - bits)
    };
    let left: Vec<i64> = (0..rows * depth).map(|_| sample(18)).collect();
    let narrow: Vec<i64> = (0..columns * depth).map(|_| sample(16)).collect();
    let mut wide = narrow.clone();
    wide[0] = 1 << 32;
    let mut group = c.benchmark_group("executor");
    group.throughput(Throughput::Elements((rows * depth * columns) as u64));
    for (name, right) in [("matmul s18 x s16", &narrow), ("matmul s18 x s34", &wide)] {
        group.bench_function(name, |b| b.iter(|| multiply(black_box(&left), black_box(right), depth)));
    }
    group.finish();
}

criterion_group!(benches, matmul);
criterion_main!(benches);
