//! Blocked matrix products over strided operands.
//!
//! `tile[m][n] = sum over k of left[m][k] * right[k][n]`. Both sides are packed into panels, as `i32` when every
//! value fits (the product of two then is one widening multiply per lane), and a register tile of
//! [`ROWS`] × [`COLUMNS`] sums runs over `k`. The order of `k` is fixed.

use rayon::prelude::*;

use crate::carrier::Carrier;

/// Rows of the register tile.
const ROWS: usize = 6;
/// Columns of the register tile: two vectors of eight sums.
const COLUMNS: usize = 16;
/// Depth of a packed panel: a panel of the right side (64 KiB of `i32`) stays in a core's second-level cache.
const DEPTH: usize = 1024;
/// Depth that is interleaved at a time.
const BLOCK: usize = 16;
/// Multiply-adds per task.
const TASK_PRODUCTS: usize = 1 << 22;
/// Tasks whose results are held at once.
const WAVE: usize = 64;

/// A packed number.
pub(crate) trait Packed<S>: Copy + Default + Send + Sync {
    fn pack(value: S) -> Self;
    fn accumulate(sum: S, left: Self, right: Self) -> S;
}

impl Packed<i64> for i32 {
    #[inline(always)]
    fn pack(value: i64) -> Self {
        debug_assert!(i32::try_from(value).is_ok());
        value as i32
    }
    #[inline(always)]
    fn accumulate(sum: i64, left: i32, right: i32) -> i64 {
        sum + i64::from(left) * i64::from(right)
    }
}

impl Packed<i64> for i64 {
    #[inline(always)]
    fn pack(value: i64) -> Self {
        value
    }
    #[inline(always)]
    fn accumulate(sum: i64, left: i64, right: i64) -> i64 {
        sum + left * right
    }
}

impl Packed<f64> for f64 {
    #[inline(always)]
    fn pack(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn accumulate(sum: f64, left: f64, right: f64) -> f64 {
        sum + left * right
    }
}

/// One side of a product: a value is at `rows[m] + inner[k]` (plus the batch's base).
#[derive(Debug, Clone, Copy)]
pub struct Side<'a, S> {
    pub(crate) data: &'a [S],
    pub(crate) base: usize,
    pub(crate) rows: &'a [usize],
    pub(crate) inner: &'a [usize],
}

/// What one task computes: all left rows against a run of right rows.
#[derive(Debug, Clone, Copy)]
pub struct Product<'a, S> {
    pub(crate) left: Side<'a, S>,
    pub(crate) right: Side<'a, S>,
    /// Whether every value of both sides fits in an `i32`.
    pub(crate) narrow: bool,
}

/// A batch of products with where their results go.
pub(crate) struct Batch<'a, S> {
    pub left: Side<'a, S>,
    pub right: Side<'a, S>,
    pub narrow: bool,
    /// Per batch: base of left, right and output.
    pub bases: Vec<[usize; 3]>,
    /// Output position per left row, and per right row.
    pub out_rows: Vec<usize>,
    pub out_columns: Vec<usize>,
}

impl<S: Carrier> Batch<'_, S> {
    /// `out += coefficient * product`, for every batch.
    pub fn accumulate(&self, coefficient: S, out: &mut [S]) {
        let (rows, columns) = (self.left.rows.len(), self.right.rows.len());
        let width = (TASK_PRODUCTS / (rows * self.left.inner.len()).max(1)).clamp(COLUMNS, 256);
        let width = width.next_multiple_of(COLUMNS).min(columns.max(1));
        let tasks: Vec<_> =
            (0..self.bases.len()).flat_map(|b| (0..columns).step_by(width).map(move |c| (b, c))).collect();
        for wave in tasks.chunks(WAVE) {
            let compute = |&(batch, column): &(usize, usize)| {
                let [left, right, _] = self.bases[batch];
                let run = column..(column + width).min(columns);
                S::product(&Product {
                    left: Side { base: self.left.base + left, ..self.left },
                    right: Side { base: self.right.base + right, rows: &self.right.rows[run], ..self.right },
                    narrow: self.narrow,
                })
            };
            let tiles: Vec<Vec<S>> = if wave.len() == 1 {
                wave.iter().map(compute).collect()
            } else {
                wave.par_iter().map(compute).collect()
            };
            for (&(batch, column), tile) in wave.iter().zip(&tiles) {
                let run = &self.out_columns[column..(column + width).min(columns)];
                for (row, values) in self.out_rows.iter().zip(tile.chunks_exact(run.len())) {
                    let base = self.bases[batch][2] + row;
                    for (&position, &value) in run.iter().zip(values) {
                        out[base + position] += coefficient * value;
                    }
                }
            }
        }
    }
}

/// The tile of one task, row-major.
pub(crate) fn run_product<S: Carrier, E: Packed<S>>(product: &Product<'_, S>) -> Vec<S> {
    let (left, right) = (&product.left, &product.right);
    let (rows, columns) = (left.rows.len(), right.rows.len());
    let mut tile = vec![S::default(); rows * columns];
    let mut left_panels: Vec<E> = Vec::new();
    let mut right_panel: Vec<E> = Vec::new();
    let depth = left.inner.len();
    for start in (0..depth).step_by(DEPTH) {
        let run = start..(start + DEPTH).min(depth);
        let len = run.len();
        left_panels.clear();
        left_panels.resize(rows.div_ceil(ROWS) * ROWS * len, E::default());
        for (panel, rows) in left_panels.chunks_exact_mut(ROWS * len).zip(left.rows.chunks(ROWS)) {
            pack::<S, E, ROWS>(left.data, left.base, rows, &left.inner[run.clone()], panel);
        }
        for (c, right_rows) in right.rows.chunks(COLUMNS).enumerate() {
            right_panel.clear();
            right_panel.resize(COLUMNS * len, E::default());
            pack::<S, E, COLUMNS>(right.data, right.base, right_rows, &right.inner[run.clone()], &mut right_panel);
            for (r, panel) in left_panels.chunks_exact(ROWS * len).enumerate() {
                let sums = kernel::<S, E>(panel, &right_panel);
                for (i, sums) in sums.iter().enumerate().take(rows - r * ROWS) {
                    let at = (r * ROWS + i) * columns + c * COLUMNS;
                    for (t, &s) in tile[at..at + right_rows.len()].iter_mut().zip(sums) {
                        *t += s;
                    }
                }
            }
        }
    }
    tile
}

/// Interleaves up to `W` rows: `panel[k * W + r]`.
fn pack<S: Carrier, E: Packed<S>, const W: usize>(
    data: &[S],
    base: usize,
    rows: &[usize],
    inner: &[usize],
    panel: &mut [E],
) {
    let contiguous = |p: &[usize]| p.windows(2).all(|w| w[1] == w[0] + 1);
    if contiguous(inner) {
        // In blocks, so that a block of the panel stays in the first-level cache while every row is put into it.
        let panel = &mut panel[..inner.len() * W];
        for (start, block) in (0..).step_by(BLOCK).zip(panel.chunks_mut(BLOCK * W)) {
            for (r, &row) in rows.iter().enumerate() {
                let at = base + row + inner[0] + start;
                let values = &data[at..at + block.len() / W];
                for (slots, &value) in block.as_chunks_mut::<W>().0.iter_mut().zip(values) {
                    slots[r] = E::pack(value);
                }
            }
        }
    } else if contiguous(rows) {
        for (&k, slots) in inner.iter().zip(panel.chunks_exact_mut(W)) {
            let at = base + rows[0] + k;
            for (slot, &value) in slots.iter_mut().zip(&data[at..at + rows.len()]) {
                *slot = E::pack(value);
            }
        }
    } else {
        for (&k, slots) in inner.iter().zip(panel.chunks_exact_mut(W)) {
            for (slot, &row) in slots.iter_mut().zip(rows) {
                *slot = E::pack(data[base + row + k]);
            }
        }
    }
}

/// The register tile. One local per row and no loop over rows: the compiler then keeps the sums in vector registers.
#[inline(never)]
fn kernel<S: Carrier, E: Packed<S>>(left: &[E], right: &[E]) -> [[S; COLUMNS]; ROWS] {
    let zero = [S::default(); COLUMNS];
    let (mut s0, mut s1, mut s2, mut s3, mut s4, mut s5) = (zero, zero, zero, zero, zero, zero);
    for (a, b) in left.as_chunks::<ROWS>().0.iter().zip(right.as_chunks::<COLUMNS>().0) {
        row(&mut s0, a[0], b);
        row(&mut s1, a[1], b);
        row(&mut s2, a[2], b);
        row(&mut s3, a[3], b);
        row(&mut s4, a[4], b);
        row(&mut s5, a[5], b);
        // Without this the compiler turns lanes toward k, with gathers.
        std::hint::black_box(());
    }
    [s0, s1, s2, s3, s4, s5]
}

#[inline(always)]
fn row<S: Carrier, E: Packed<S>>(sums: &mut [S; COLUMNS], left: E, right: &[E; COLUMNS]) {
    for (sum, &right) in sums.iter_mut().zip(right) {
        *sum = E::accumulate(*sum, left, right);
    }
}

/// `left (rows, depth)` times `right (columns, depth)` transposed: `(rows, columns)`, row-major.
///
/// Exact while sums stay below 2^63. Uses `i32` lanes when every value fits. For measurement.
pub fn multiply(left: &[i64], right: &[i64], depth: usize) -> Vec<i64> {
    let fits = |values: &[i64]| values.iter().all(|&x| i32::try_from(x).is_ok());
    let rows: Vec<_> = (0..left.len()).step_by(depth).collect();
    let columns: Vec<_> = (0..right.len()).step_by(depth).collect();
    let inner: Vec<_> = (0..depth).collect();
    let mut out = vec![0; rows.len() * columns.len()];
    Batch {
        left: Side { data: left, base: 0, rows: &rows, inner: &inner },
        right: Side { data: right, base: 0, rows: &columns, inner: &inner },
        narrow: fits(left) && fits(right),
        bases: vec![[0; 3]],
        out_rows: (0..rows.len()).map(|r| r * columns.len()).collect(),
        out_columns: (0..columns.len()).collect(),
    }
    .accumulate(1, &mut out);
    out
}
