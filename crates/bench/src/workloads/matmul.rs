//! P1. Statement: `y = round(x W)` for hidden x `(n, n)` and hidden W `(n, n)` whose widths are proved.

use super::{Input, Workload};
use crate::BenchError;
use veritune_relations::builder::{Builder, Make, Sum};
use veritune_relations::{Place, Range};

/// Scale of both factors: entries are below 1.
const FACTOR_BITS: i32 = 14;
/// A product of n terms of entries uniform in -1..1 has a standard deviation of sqrt(n)/3; this many fraction bits
/// leave six of them below 2^15.
const fn result_bits(size: usize) -> i32 {
    14 - (size.ilog2() / 2 + 1) as i32
}

pub(super) fn build(name: &str, size: usize) -> Result<Workload, BenchError> {
    // Limbs of 8 bits keep the table of a small product small; from 2^16 entries on one limb each is cheaper.
    let range_bits = if size * size < 1 << 16 { 8 } else { 16 };
    let mut b = Builder::new(range_bits);
    let [row, inner, column] = ["row", "inner", "column"].map(|axis| b.axis(axis, size));
    let range = Range::signed(16);
    let make = Make { name: "x", axes: &[row, inner], range, fraction_bits: FACTOR_BITS };
    let x = b.tensor(Place::Witness, &make);
    let make = Make { name: "weight", axes: &[inner, column], range, fraction_bits: FACTOR_BITS };
    let weight = b.tensor(Place::Witness, &make);
    let fraction_bits = result_bits(size);
    let make = Make { name: "y", axes: &[row, column], range, fraction_bits };
    let sum = Sum::product(1, &[&b.on(x), &b.on(weight)]);
    b.rescale(&make, &[row, column], sum)?;
    Ok(Workload {
        name: name.to_owned(),
        statement: format!("matrix product {size} x {size} x {size}"),
        precision: format!("16-bit factors (f {FACTOR_BITS}), exact sum, 16-bit result (f {fraction_bits})"),
        program: b.program,
        inputs: vec![Input::signed(x, 14), Input::signed(weight, 14)],
        elements: None,
    })
}
