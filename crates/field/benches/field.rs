//! Multiplication in registers: a sum of products over vectors that fit in the first cache, per core.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use veritune_field::traits::{BasedVectorSpace, ExtensionField, Field, PackedValue, PrimeCharacteristicRing};
use veritune_field::{E, F};

type Packing = <F as Field>::Packing;
type PackedE = <E as ExtensionField<F>>::ExtensionPacking;

const ELEMENTS: usize = 1024;

fn field(c: &mut Criterion) {
    let base = |offset: u64| -> Vec<F> { (0..ELEMENTS as u64).map(|i| F::from_u64((i + offset).pow(6))).collect() };
    let (a, b) = (base(3), base(7));
    let packed = |values: &[F]| -> Vec<PackedE> {
        let values = Packing::pack_slice(values);
        values.iter().map(|&x| PackedE::from_basis_coefficients_fn(|i| x + F::from_usize(i))).collect()
    };
    let mut group = c.benchmark_group("field");
    group.throughput(Throughput::Elements(ELEMENTS as u64));
    group.bench_function("base multiply-add", |bench| {
        let (a, b) = (Packing::pack_slice(&a), Packing::pack_slice(&b));
        bench.iter(|| black_box(a).iter().zip(black_box(b)).fold(Packing::ZERO, |sum, (&a, &b)| sum + a * b));
    });
    group.bench_function("cubic multiply-add", |bench| {
        let (a, b) = (packed(&a), packed(&b));
        bench.iter(|| black_box(&a).iter().zip(black_box(&b)).fold(PackedE::ZERO, |sum, (&a, &b)| sum + a * b));
    });
    group.finish();
}

criterion_group!(benches, field);
criterion_main!(benches);
