//! P3. Statement: one SGD step of a LoRA adapter on one frozen linear layer, from the state before to the state after.
//!
//! `y = W x + 2 B' u`, `u = A' x`; the loss is half the squared distance to a hidden target, so `dy = y - target`;
//! `t = 2 B'^T dy`, `dB = 2 dy u^T`, `dA = t x^T`; masters `A -= rate dA`, `B -= rate dB`. A' and B' are the rounded
//! masters. W, x and target are hidden in the witness tree, the masters in the two state trees.

use super::{Input, Workload};
use crate::BenchError;
use veritune_relations::builder::{Builder, Make, Sum};
use veritune_relations::program::AxisId;
use veritune_relations::{Place, Range, TensorId};

const RANGE_BITS: u32 = 12;
const MASTER_BITS: i32 = 30;
const MASTER_RANGE_BITS: u32 = 33;
const GRADIENT_BITS: i32 = 20;
/// `lora_alpha / r`, as a power of two.
const LOG_SCALING: i32 = 1;
/// The learning rate 0.01 at 24 bits.
const RATE: i64 = 167_772;
const RATE_BITS: i32 = 24;

/// A master with its rounded copy.
struct Matrix {
    name: &'static str,
    axes: [AxisId; 2],
    before: TensorId,
    after: TensorId,
    copy: TensorId,
}

fn matrix(
    b: &mut Builder,
    name: &'static str,
    axes: [AxisId; 2],
    bits: u32,
    fraction: i32,
) -> Result<Matrix, BenchError> {
    // The copy and its remainder, in the step that reads a master, are the check of its range.
    let range = Range::signed(MASTER_RANGE_BITS);
    let names = ["before", "after"].map(|when| format!("state_{when}.{name}"));
    let make = |name| Make { name, axes: &axes, range, fraction_bits: MASTER_BITS };
    let before = b.tensor(Place::StateBefore, &make(&names[0]));
    let after = b.tensor(Place::StateAfter, &make(&names[1]));
    let copy_name = format!("{name}.copy");
    let make = Make { name: &copy_name, axes: &axes, range: Range::signed(bits), fraction_bits: fraction };
    let copy = b.rescale(&make, &axes, Sum::product(1, &[&b.on(before)]))?;
    Ok(Matrix { name, axes, before, after, copy })
}

/// `master - rate * gradient`, stored in the state after.
fn update(b: &mut Builder, matrix: &Matrix, gradient: Sum) -> Result<(), BenchError> {
    let range = Range::signed(32);
    let named = |part: &str| format!("{}.{part}", matrix.name);
    let gradient_name = named("gradient");
    let axes = &matrix.axes;
    let make = Make { name: &gradient_name, axes, range, fraction_bits: GRADIENT_BITS };
    let gradient = b.rescale(&make, axes, gradient)?;
    let step = Sum::product(-RATE, &[&b.on(gradient)]).scaled_by_power(-RATE_BITS);
    let sum = Sum::product(1, &[&b.on(matrix.before)]).plus(step);
    let after = b.on(matrix.after).view;
    Ok(b.rescale_into(&named("master"), axes, sum, after, MASTER_BITS)?)
}

pub(super) fn build(name: &str, tokens: usize, width: usize, rank: usize) -> Result<Workload, BenchError> {
    let mut b = Builder::new(RANGE_BITS);
    let token = b.axis("token", tokens);
    let [input, output] = ["input", "output"].map(|axis| b.axis(axis, width));
    let rank_axis = b.axis("rank", rank);
    let hidden = |b: &mut Builder, name: &str, axes: &[AxisId], fraction_bits: i32| {
        b.tensor(Place::Witness, &Make { name, axes, range: Range::signed(16), fraction_bits })
    };
    let x = hidden(&mut b, "x", &[token, input], 12);
    let target = hidden(&mut b, "target", &[token, output], 12);
    let weight = hidden(&mut b, "weight", &[output, input], 14);
    let a = matrix(&mut b, "a", [rank_axis, input], 18, 16)?;
    let up = matrix(&mut b, "b", [output, rank_axis], 20, 18)?;
    let scaled = |sum: Sum| sum.scaled_by_power(LOG_SCALING);

    let activation = |name, axes, bits, fraction_bits| Make { name, axes, range: Range::signed(bits), fraction_bits };
    let axes = [token, rank_axis];
    let sum = Sum::product(1, &[&b.on(x), &b.on(a.copy)]);
    let inner = b.rescale(&activation("inner", &axes, 20, 14), &axes, sum)?;
    let sum = scaled(Sum::product(1, &[&b.on(inner), &b.on(up.copy)]));
    let sum = Sum::product(1, &[&b.on(x), &b.on(weight)]).plus(sum);
    let axes = [token, output];
    let y = b.rescale(&activation("y", &axes, 20, 12), &axes, sum)?;
    let sum = Sum::product(1, &[&b.on(y)]).plus(Sum::product(-1, &[&b.on(target)]));
    let gradient = b.rescale(&activation("grad.y", &axes, 20, 12), &axes, sum)?;
    let axes = [token, rank_axis];
    let sum = scaled(Sum::product(1, &[&b.on(gradient), &b.on(up.copy)]));
    let back = b.rescale(&activation("back", &axes, 22, 14), &axes, sum)?;
    let sum = scaled(Sum::product(1, &[&b.on(gradient), &b.on(inner)]));
    update(&mut b, &up, sum)?;
    let sum = Sum::product(1, &[&b.on(back), &b.on(x)]);
    update(&mut b, &a, sum)?;
    Ok(Workload {
        name: name.to_owned(),
        statement: format!(
            "LoRA SGD step of one linear {width} x {width}, rank {rank}, {tokens} tokens: forward, backward, update"
        ),
        precision:
            "16-bit input, target and weight, 18- and 20-bit adapter copies, 32-bit gradients and masters (f 30)"
                .to_owned(),
        program: b.program,
        inputs: vec![
            Input::signed(x, 12),
            Input::signed(target, 12),
            Input::signed(weight, 11),
            Input::signed(a.before, 27),
            Input::signed(up.before, 24),
        ],
        elements: None,
    })
}
