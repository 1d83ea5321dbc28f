//! The prover's inner loops: `cargo bench -p veritune-prover --features kernels`.
//!
//! Sizes are those of a small model's step divided by four: 2^21 slots in 2^15 rows, 2^21 fractions.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use veritune_commit::TreeHash;
use veritune_field::traits::{BasedVectorSpace, PrimeCharacteristicRing};
use veritune_field::{E, F};
use veritune_prover::kernels;

const LOG_ROWS: usize = 15;
const COLUMNS: usize = 64;
const SLOTS: usize = COLUMNS << LOG_ROWS;

fn elements(count: usize) -> Vec<F> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        F::from_u64(state >> 1)
    };
    (0..count).map(|_| next()).collect()
}

fn extension(count: usize) -> Vec<E> {
    elements(3 * count).as_chunks::<3>().0.iter().map(|c| E::from_basis_coefficients_fn(|i| c[i])).collect()
}

fn prover(c: &mut Criterion) {
    let slots = elements(SLOTS);
    let weights = extension(SLOTS);
    let challenge = weights[1];
    let mut group = c.benchmark_group("prover");
    group.sample_size(10);

    group.throughput(Throughput::Elements(2 * SLOTS as u64));
    group.bench_function("encode at rate 1/2", |b| b.iter(|| kernels::encode(black_box(&slots), COLUMNS, 1)));
    group.throughput(Throughput::Elements(SLOTS as u64));
    for (name, hash) in [("tree hash BLAKE3", TreeHash::Blake3), ("tree hash Poseidon2", TreeHash::Poseidon2)] {
        group.bench_function(name, |b| b.iter(|| kernels::tree_root(black_box(&slots), COLUMNS, hash)));
    }
    group.bench_function("opening sumcheck, all rounds", |b| {
        let run = |weights| kernels::product_sumcheck(weights, &slots, challenge);
        b.iter_batched(|| weights.clone(), run, BatchSize::PerIteration);
    });
    group.bench_function("lookup fractions, all layers", |b| {
        b.iter(|| kernels::fractions(black_box(&slots), black_box(&weights), challenge));
    });
    group.finish();
}

criterion_group!(benches, prover);
criterion_main!(benches);
