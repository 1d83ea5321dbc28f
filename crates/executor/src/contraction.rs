//! Terms of two and three operands: which products are formed first, and which are matrix products.

use veritune_relations::AxisId;

use crate::carrier::Carrier;
use crate::matmul::{Batch, Side};
use crate::nest;
use crate::operand::{Operand, positions};

/// Values of an intermediate that may be held at once; a larger one is formed in blocks along one axis.
const INTERMEDIATE_VALUES: usize = 1 << 22;

/// `out += coefficient * product of operands`, summed over axes that are not in `axes`; `out` is row-major.
pub(crate) fn accumulate<C: Carrier>(
    coefficient: C,
    operands: Vec<Operand<'_, C>>,
    axes: &[AxisId],
    lens: &[usize],
    out: &mut [C],
) {
    if nest::contracted_axes(&operands, axes, lens).is_empty() {
        return nest::accumulate(coefficient, &operands, axes, lens, out);
    }
    let mut operands = operands;
    for i in 0..operands.len() {
        reduce_own_axes(&mut operands, i, axes, lens);
    }
    let sums = !nest::contracted_axes(&operands, axes, lens).is_empty();
    match &operands[..] {
        [a, b] => pair(coefficient, a, b, axes, lens, out),
        [_, _, _] if sums => triple(coefficient, &operands, axes, lens, out),
        _ => nest::accumulate(coefficient, &operands, axes, lens, out),
    }
}

/// Sums operand `i` over the contracted axes that no other operand has.
fn reduce_own_axes<C: Carrier>(operands: &mut [Operand<'_, C>], i: usize, axes: &[AxisId], lens: &[usize]) {
    if operands.len() < 2 {
        return;
    }
    let others = |a: AxisId| operands.iter().enumerate().any(|(j, o)| j != i && o.has(a));
    let kept: Vec<AxisId> =
        operands[i].strides.iter().map(|(a, _)| *a).filter(|&a| axes.contains(&a) || others(a)).collect();
    let own = operands[i].strides.iter().any(|(a, _)| !kept.contains(a) && lens[a.0] > 1);
    if own {
        let mut sums = vec![C::default(); kept.iter().map(|a| lens[a.0]).product()];
        nest::accumulate(C::from_i64(1), &operands[i..=i], &kept, lens, &mut sums);
        operands[i] = Operand::of_values(sums, &kept, lens);
    }
}

/// Two operands: a batch of matrix products if both have enough axes of their own, else a loop nest.
fn pair<C: Carrier>(
    coefficient: C,
    a: &Operand<'_, C>,
    b: &Operand<'_, C>,
    axes: &[AxisId],
    lens: &[usize],
    out: &mut [C],
) {
    let group = |in_a: bool, in_b: bool| -> Vec<AxisId> {
        axes.iter().copied().filter(|&x| a.has(x) == in_a && b.has(x) == in_b).collect()
    };
    let count = |axes: &[AxisId]| axes.iter().map(|x| lens[x.0]).product::<usize>();
    let inner = nest::contracted_axes(&[a.clone_view(), b.clone_view()], axes, lens);
    let (batch, own_a, own_b, neither) =
        (group(true, true), group(true, false), group(false, true), group(false, false));
    let (rows, columns) = (count(&own_a), count(&own_b));
    if rows.min(columns) < 2 || rows * columns < 32 || count(&inner) < 4 {
        return nest::accumulate(coefficient, &[a.clone_view(), b.clone_view()], axes, lens, out);
    }
    if count(&neither) > 1 {
        let kept: Vec<AxisId> = axes.iter().copied().filter(|x| !neither.contains(x)).collect();
        let mut sums = vec![C::default(); count(&kept)];
        pair(C::from_i64(1), a, b, &kept, lens, &mut sums);
        let sums = Operand::of_values(sums, &kept, lens);
        return nest::accumulate(coefficient, &[sums], axes, lens, out);
    }
    // The smaller side is packed once per task, so it goes left.
    let ((left, left_axes), (right, right_axes)) =
        if rows <= columns { ((a, own_a), (b, own_b)) } else { ((b, own_b), (a, own_a)) };
    let target = Operand::<C>::of_values(Vec::new(), axes, lens);
    let of = |o: &Operand<'_, C>, axes: &[AxisId]| positions(axes, lens, |x| o.stride(x));
    let (left_rows, right_rows) = (of(left, &left_axes), of(right, &right_axes));
    let (left_inner, right_inner) = (of(left, &inner), of(right, &inner));
    let bases: Vec<[usize; 3]> = of(left, &batch)
        .into_iter()
        .zip(of(right, &batch))
        .zip(of(&target, &batch))
        .map(|((l, r), o)| [l, r, o])
        .collect();
    let fits = |side: &Side<'_, C>, known: bool, base: usize| {
        known
            || bases.iter().all(|b| {
                side.rows.iter().all(|r| {
                    side.inner.iter().all(|k| {
                        let x = side.data[side.base + b[base] + r + k].to_i64();
                        i32::try_from(x).is_ok()
                    })
                })
            })
    };
    let left_side = Side { data: &left.data, base: left.offset, rows: &left_rows, inner: &left_inner };
    let right_side = Side { data: &right.data, base: right.offset, rows: &right_rows, inner: &right_inner };
    let narrow = fits(&left_side, left.narrow, 0) && fits(&right_side, right.narrow, 1);
    let (out_rows, out_columns) = (of(&target, &left_axes), of(&target, &right_axes));
    Batch { left: left_side, right: right_side, narrow, bases, out_rows, out_columns }.accumulate(coefficient, out);
}

/// Three operands with a contraction: the cheapest pairing, in blocks if what it makes is large.
fn triple<C: Carrier>(coefficient: C, operands: &[Operand<'_, C>], axes: &[AxisId], lens: &[usize], out: &mut [C]) {
    let plan = [(0, 1, 2), (0, 2, 1), (1, 2, 0)]
        .map(|(i, j, k)| Pairing::new(&operands[i], &operands[j], &operands[k], axes, lens))
        .into_iter()
        .min_by_key(|p| p.cost);
    let Some(plan) = plan else { return };
    let values = plan.num_values(lens);
    if values > INTERMEDIATE_VALUES
        && let Some(axis) = plan.block_axis(axes, lens)
    {
        let len = (lens[axis.0] * INTERMEDIATE_VALUES / values).max(1);
        if len < lens[axis.0] {
            return blocks(coefficient, operands, axis, len, axes, lens, out);
        }
    }
    let mut product = vec![C::default(); values];
    accumulate(C::from_i64(1), vec![plan.a.clone_view(), plan.b.clone_view()], &plan.axes, lens, &mut product);
    let product = Operand::of_values(product, &plan.axes, lens);
    accumulate(coefficient, vec![product, plan.c.clone_view()], axes, lens, out);
}

/// Runs the term for `len` indices of `axis` at a time.
fn blocks<C: Carrier>(
    coefficient: C,
    operands: &[Operand<'_, C>],
    axis: AxisId,
    len: usize,
    axes: &[AxisId],
    lens: &[usize],
    out: &mut [C],
) {
    let whole = Operand::<C>::of_values(Vec::new(), axes, lens);
    for start in (0..lens[axis.0]).step_by(len) {
        let mut lens = lens.to_vec();
        lens[axis.0] = len.min(lens[axis.0] - start);
        let part = operands.iter().map(|o| o.starting_at(axis, start)).collect();
        if axes.contains(&axis) {
            let mut values = vec![C::default(); axes.iter().map(|a| lens[a.0]).product()];
            accumulate(coefficient, part, axes, &lens, &mut values);
            let base = start * whole.stride(axis);
            for (position, value) in positions(axes, &lens, |a| whole.stride(a)).into_iter().zip(values) {
                out[base + position] += value;
            }
        } else {
            accumulate(coefficient, part, axes, &lens, out);
        }
    }
}

/// A way to evaluate three operands: `(a * b)` over `axes`, then times `c`.
struct Pairing<'p, 'a, C: Clone> {
    a: &'p Operand<'a, C>,
    b: &'p Operand<'a, C>,
    c: &'p Operand<'a, C>,
    axes: Vec<AxisId>,
    cost: usize,
}

impl<'p, 'a, C: Carrier> Pairing<'p, 'a, C> {
    fn new(
        a: &'p Operand<'a, C>,
        b: &'p Operand<'a, C>,
        c: &'p Operand<'a, C>,
        out: &[AxisId],
        lens: &[usize],
    ) -> Self {
        let all = union(a, b, out);
        let axes: Vec<AxisId> = all.iter().copied().filter(|x| out.contains(x) || c.has(*x)).collect();
        let count = |axes: &mut dyn Iterator<Item = AxisId>| -> usize {
            axes.map(|x| lens[x.0]).fold(1, usize::saturating_mul)
        };
        let first = count(&mut all.iter().copied());
        let own = c.strides.iter().map(|(x, _)| *x).filter(|x| !axes.contains(x));
        let second = count(&mut axes.iter().copied().chain(own));
        // A value that is stored and read back costs about as much as four multiply-adds.
        let held = count(&mut axes.iter().copied());
        let cost = first.saturating_add(second).saturating_add(held.saturating_mul(4));
        Self { a, b, c, axes, cost }
    }

    fn num_values(&self, lens: &[usize]) -> usize {
        self.axes.iter().map(|a| lens[a.0]).product()
    }

    /// The longest axis of the intermediate, output axes first.
    fn block_axis(&self, out: &[AxisId], lens: &[usize]) -> Option<AxisId> {
        self.axes.iter().copied().max_by_key(|a| (out.contains(a), lens[a.0]))
    }
}

/// Axes of either operand, output axes first in their order.
fn union<C: Carrier>(a: &Operand<'_, C>, b: &Operand<'_, C>, out: &[AxisId]) -> Vec<AxisId> {
    let mut axes: Vec<AxisId> = out.iter().copied().filter(|&x| a.has(x) || b.has(x)).collect();
    for (x, _) in a.strides.iter().chain(&b.strides) {
        if !axes.contains(x) {
            axes.push(*x);
        }
    }
    axes
}
