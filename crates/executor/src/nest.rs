//! Loop nests: `out += coefficient * product of operands`, summed over axes that `out` does not have.
//!
//! Chunks of the output are independent tasks. How the output is cut and in which order a sum runs depends on
//! the shapes alone, never on the number of threads: that keeps sums of reals reproducible.

use rayon::prelude::*;
use veritune_relations::AxisId;

use crate::carrier::Carrier;
use crate::operand::Operand;

/// Products per task: large enough to hide the cost of starting one, small enough to stay in a core's cache.
const TASK_PRODUCTS: usize = 1 << 15;

/// One loop: its length, and the steps of the output and of each operand.
#[derive(Debug, Clone, Copy)]
struct Loop {
    len: usize,
    out: usize,
    steps: [usize; 3],
}

impl Loop {
    fn is_unit(&self) -> bool {
        self.out <= 1 && self.steps.iter().all(|&s| s <= 1)
    }
    /// Whether `inner` continues this loop in every buffer.
    fn continues(&self, inner: &Loop) -> bool {
        self.out == inner.out * inner.len && (0..3).all(|i| self.steps[i] == inner.steps[i] * inner.len)
    }
}

/// Adds the term to `out`, which is row-major over `axes`. At most three operands.
pub(crate) fn accumulate<C: Carrier>(
    coefficient: C,
    operands: &[Operand<'_, C>],
    axes: &[AxisId],
    lens: &[usize],
    out: &mut [C],
) {
    if out.is_empty() {
        return;
    }
    let steps = |axis: AxisId| std::array::from_fn(|i| operands.get(i).map_or(0, |o| o.stride(axis)));
    let mut outer: Vec<Loop> = Vec::with_capacity(axes.len());
    let mut stride = 1;
    for &axis in axes.iter().rev() {
        outer.push(Loop { len: lens[axis.0], out: stride, steps: steps(axis) });
        stride *= lens[axis.0];
    }
    outer.reverse();
    let contracted: Vec<Loop> = contracted_axes(operands, axes, lens)
        .into_iter()
        .map(|axis| Loop { len: lens[axis.0], out: 0, steps: steps(axis) })
        .collect();
    let slices: Vec<&[C]> = operands.iter().map(|o| &*o.data).collect();
    let base: [usize; 3] = std::array::from_fn(|i| operands.get(i).map_or(0, |o| o.offset));

    let mut tasks = Vec::new();
    cut(&outer, base, contracted.iter().map(|l| l.len).product(), out, &mut tasks);
    let run = |task: Task<'_, C>| {
        let mut loops = task.loops;
        loops.extend_from_slice(&contracted);
        let loops = arrange(loops);
        walk(&loops, &slices, task.at, 0, coefficient, task.out);
    };
    if tasks.len() == 1 { tasks.into_iter().for_each(run) } else { tasks.into_par_iter().for_each(run) }
}

/// Axes of the operands that are not output axes, largest step of the first operand first.
pub(crate) fn contracted_axes<C: Carrier>(operands: &[Operand<'_, C>], axes: &[AxisId], lens: &[usize]) -> Vec<AxisId> {
    let mut contracted: Vec<AxisId> = Vec::new();
    for operand in operands {
        let mut own: Vec<_> = operand.strides.iter().filter(|(a, _)| lens[a.0] > 1).collect();
        own.sort_by_key(|(_, stride)| std::cmp::Reverse(*stride));
        for (axis, _) in own {
            if !axes.contains(axis) && !contracted.contains(axis) {
                contracted.push(*axis);
            }
        }
    }
    contracted
}

/// A contiguous part of the output and the loops that fill it.
struct Task<'o, C> {
    loops: Vec<Loop>,
    at: [usize; 3],
    out: &'o mut [C],
}

/// Cuts along outer loops until a part has at most about [`TASK_PRODUCTS`] products.
fn cut<'o, C>(loops: &[Loop], at: [usize; 3], sums: usize, out: &'o mut [C], tasks: &mut Vec<Task<'o, C>>) {
    let products = out.len() * sums;
    let Some((first, rest)) = loops.split_first().filter(|_| products > TASK_PRODUCTS) else {
        tasks.push(Task { loops: loops.to_vec(), at, out });
        return;
    };
    let row = out.len() / first.len;
    let rows = (TASK_PRODUCTS / (row * sums)).clamp(1, first.len);
    for (i, part) in out.chunks_mut(rows * row).enumerate() {
        let at = std::array::from_fn(|j| at[j] + i * rows * first.steps[j]);
        if rows == 1 {
            cut(rest, at, sums, part, tasks);
        } else {
            let mut loops = loops.to_vec();
            loops[0].len = part.len() / row;
            tasks.push(Task { loops, at, out: part });
        }
    }
}

/// Fuses loops that continue each other and puts the best one for a vector innermost.
fn arrange(loops: Vec<Loop>) -> Vec<Loop> {
    let mut fused: Vec<Loop> = Vec::with_capacity(loops.len());
    for l in loops.into_iter().filter(|l| l.len > 1) {
        match fused.last_mut() {
            Some(outer) if outer.continues(&l) => *outer = Loop { len: outer.len * l.len, ..l },
            _ => fused.push(l),
        }
    }
    let best = (0..fused.len()).max_by_key(|&i| (fused[i].is_unit() && fused[i].len >= 4, fused[i].len, i));
    if let Some(best) = best {
        let inner = fused.remove(best);
        fused.push(inner);
    }
    fused
}

fn walk<C: Carrier>(loops: &[Loop], data: &[&[C]], at: [usize; 3], to: usize, coefficient: C, out: &mut [C]) {
    match loops {
        [] => {
            let product = data.iter().zip(at).fold(coefficient, |p, (d, i)| p * d[i]);
            out[to] += product;
        }
        [inner] => run_inner(inner, data, at, to, coefficient, out),
        [first, rest @ ..] => {
            for i in 0..first.len {
                let at = std::array::from_fn(|j| at[j] + i * first.steps[j]);
                walk(rest, data, at, to + i * first.out, coefficient, out);
            }
        }
    }
}

/// The innermost loop: operands that do not move join the coefficient, contiguous ones are read as slices.
fn run_inner<C: Carrier>(l: &Loop, data: &[&[C]], at: [usize; 3], to: usize, coefficient: C, out: &mut [C]) {
    let mut scale = coefficient;
    let mut moving = [0; 3];
    let mut num_moving = 0;
    for (i, d) in data.iter().enumerate() {
        if l.steps[i] == 0 {
            scale = scale * d[at[i]];
        } else {
            moving[num_moving] = i;
            num_moving += 1;
        }
    }
    let moving = &moving[..num_moving];
    if l.out <= 1 && moving.iter().all(|&i| l.steps[i] == 1) {
        let slice = |i: usize| &data[i][at[i]..at[i] + l.len];
        match (l.out, moving) {
            (0, []) => out[to] += scale * C::from_i64(l.len as i64),
            (0, &[a]) => out[to] += scale * sum(slice(a)),
            (0, &[a, b]) => out[to] += scale * sum_of_pairs(slice(a), slice(b)),
            (_, []) => out[to..to + l.len].iter_mut().for_each(|o| *o += scale),
            (1, &[a]) => {
                out[to..to + l.len].iter_mut().zip(slice(a)).for_each(|(o, &x)| *o += scale * x);
            }
            (1, &[a, b]) => {
                let pairs = slice(a).iter().zip(slice(b));
                out[to..to + l.len].iter_mut().zip(pairs).for_each(|(o, (&x, &y))| *o += scale * x * y);
            }
            (1, &[a, b, c]) => {
                let triples = slice(a).iter().zip(slice(b)).zip(slice(c));
                out[to..to + l.len].iter_mut().zip(triples).for_each(|(o, ((&x, &y), &z))| *o += scale * x * y * z);
            }
            _ => strided(l, data, at, to, scale, moving, out),
        }
    } else {
        strided(l, data, at, to, scale, moving, out);
    }
}

fn strided<C: Carrier>(l: &Loop, data: &[&[C]], at: [usize; 3], to: usize, scale: C, moving: &[usize], out: &mut [C]) {
    for i in 0..l.len {
        out[to + i * l.out] += moving.iter().fold(scale, |p, &m| p * data[m][at[m] + i * l.steps[m]]);
    }
}

const LANES: usize = 8;

/// A sum in a fixed order that a vector unit can follow.
fn sum<C: Carrier>(values: &[C]) -> C {
    let mut lanes = [C::default(); LANES];
    let chunks = values.chunks_exact(LANES);
    let tail = chunks.remainder();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += x;
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(tail) {
        *lane += x;
    }
    lanes.into_iter().fold(C::default(), |s, x| s + x)
}

fn sum_of_pairs<C: Carrier>(left: &[C], right: &[C]) -> C {
    let mut lanes = [C::default(); LANES];
    let (a, b) = (left.chunks_exact(LANES), right.chunks_exact(LANES));
    let tail = a.remainder().iter().zip(b.remainder());
    for (a, b) in a.zip(b) {
        for ((lane, &x), &y) in lanes.iter_mut().zip(a).zip(b) {
            *lane += x * y;
        }
    }
    for (lane, (&x, &y)) in lanes.iter_mut().zip(tail) {
        *lane += x * y;
    }
    lanes.into_iter().fold(C::default(), |s, x| s + x)
}
