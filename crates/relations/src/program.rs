//! The integer program: named axes, integer tensors, operations, and the equations and lookups they imply.
//!
//! Statement of a program: there are integer tensors in the witness such that
//! 1. every [`Equation`] is zero at every active index, over the integers (the builder proves from declared
//!    widths that no equation can wrap modulo p), and
//! 2. every [`Lookup`] row is a row of its table.
//!
//! An [`Operation`] is how the executor computes a tensor; the builder emits the operation *and* the equations
//! and lookups that pin its result, so that there is one definition of both.

use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// The order of the field.
pub const FIELD_ORDER: u128 = 0xffff_ffff_0000_0001;

/// Index of an [`Axis`] in [`Program::axes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct AxisId(pub usize);

/// A named index range `0..len`.
///
/// In a multilinear extension an axis takes [`Axis::log_len`] variables and every tensor is zero at indices
/// `len..2^log_len`: inactive indices are never looked up and never weighted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Axis {
    /// Name, unique in the program: `layer`, `token`, `hidden` …
    pub name: String,
    /// Number of active indices, at least 1.
    pub len: usize,
}

impl Axis {
    /// Variables that the axis takes: the least `k` with `len <= 2^k`.
    pub fn log_len(&self) -> usize {
        self.len.next_power_of_two().trailing_zeros() as usize
    }
}

/// Index of a [`Tensor`] in [`Program::tensors`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct TensorId(pub usize);

/// The committed vector (or public table) that holds a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Place {
    /// Fresh in every proof. Stored as limbs, each range-checked to its exact width.
    Witness,
    /// The frozen base model: public, committed once, settled once per run. Stored as it is.
    Base,
    /// Adapter and optimiser state before the step, stored as it is. Moments have their ranges from the step before, masters
    /// from the copy and remainder that this step makes of them (docs/notes/soundness.md, section 3).
    StateBefore,
    /// Adapter and optimiser state after the step, stored as it is. Moments are looked up where they lie; of a master, what the
    /// decay took from it.
    StateAfter,
    /// Known to everybody; its values are in [`Tensor::values`].
    Public,
}

/// The integers that a tensor may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Range {
    /// Width in bits. Unsigned: `0 ..= 2^bits - 1`. Signed: `-2^(bits-1) ..= 2^(bits-1) - 1`.
    pub bits: u32,
    /// Whether negative values are allowed.
    pub signed: bool,
}

impl Range {
    /// `0 ..= 2^bits - 1`.
    pub const fn unsigned(bits: u32) -> Self {
        Self { bits, signed: false }
    }
    /// `-2^(bits-1) ..= 2^(bits-1) - 1`.
    pub const fn signed(bits: u32) -> Self {
        Self { bits, signed: true }
    }
    /// Any field element, as the signed integer of least absolute value. Nothing checks it, so no equation over the
    /// integers may read it: its bound is the field order.
    pub const FIELD: Self = Self { bits: 64, signed: true };
    /// Least allowed value.
    pub const fn min(self) -> i64 {
        if self.signed { i64::MIN >> (64 - self.bits) } else { 0 }
    }
    /// Greatest allowed value.
    pub const fn max(self) -> i64 {
        if self.signed { i64::MAX >> (64 - self.bits) } else { ((1u64 << self.bits) - 1) as i64 }
    }
    /// Greatest absolute value that the check admits.
    pub const fn max_abs(self) -> u128 {
        if self.bits == 64 {
            FIELD_ORDER
        } else if self.signed {
            1u128 << (self.bits - 1)
        } else {
            (1u128 << self.bits) - 1
        }
    }
    /// Whether `x` is allowed.
    pub const fn contains(self, x: i64) -> bool {
        x >= self.min() && x <= self.max()
    }
}

/// An integer tensor: value at an index is the real value times `2^fraction_bits`.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Name, unique in the program: `layer.query`, `state.q.a.master` …
    pub name: String,
    /// Axes, outermost first; storage is row-major.
    pub axes: Vec<AxisId>,
    /// Where it lies.
    pub place: Place,
    /// What it may hold. Checked by lookups for [`Place::Witness`], declared (and checked once, elsewhere) for the others.
    pub range: Range,
    /// Binary scale of its real value; for reports and calibration only, no equation reads it.
    pub fraction_bits: i32,
    /// Values of a [`Place::Public`] tensor, row-major over active indices.
    pub values: Option<Vec<i64>>,
    /// Whether its range is enforced by a table that is not the range table (a lookup names it), or by an equation.
    pub range_by_other: bool,
}

/// How one axis of a tensor is indexed inside a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Index {
    /// By the index of this axis of the equation.
    Axis(AxisId),
    /// By the index of this axis plus a constant (the next layer).
    Shifted(AxisId, usize),
    /// Always at this index.
    Fixed(usize),
}

/// A tensor indexed by the axes of an equation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct View {
    /// The tensor.
    pub tensor: TensorId,
    /// One entry per axis of the tensor.
    pub index: Vec<Index>,
}

/// `coefficient * product of factors`, summed over every axis that is not an axis of the equation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Term {
    /// Integer coefficient.
    pub coefficient: i64,
    /// At most three factors; none is a constant.
    pub factors: Vec<View>,
}

/// A sum of terms.
pub type Expression = Vec<Term>;

/// `sum of terms = 0` at every active index of `axes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Equation {
    /// Which check this is; the code in a verdict is derived from it.
    pub name: String,
    /// Output axes.
    pub axes: Vec<AxisId>,
    /// The terms.
    pub terms: Expression,
    /// Whether it states a congruence modulo p between field elements, and no equality of integers.
    pub modular: bool,
}

/// A table of allowed rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Name.
    pub name: String,
    /// Distinguishes tables (and widths of the range table) inside the fingerprint; unique.
    pub tag: u64,
    /// Columns of equal length; row `i` is `(columns[0][i], columns[1][i], …)`. Programs share them: they are most of what a
    /// program holds.
    pub columns: Arc<Vec<Vec<i64>>>,
}

/// Which table a lookup reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum TableId {
    /// The one range table at this width: the looked-up column is in `0 .. 2^width`, `1 <= width <= Program::range_bits`.
    Range(u32),
    /// [`Program::tables`] at this index.
    Table(usize),
}

/// Every row `(columns…)` at every active index of `axes` at which `mask` is not zero is a row of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lookup {
    /// Which check this is.
    pub name: String,
    /// The table.
    pub table: TableId,
    /// Axes of the looked-up rows.
    pub axes: Vec<AxisId>,
    /// One linear expression per column: every term has at most one factor, no contracted axis, no public factor.
    pub columns: Vec<Expression>,
    /// A public 0/1 tensor over (some of) the axes; rows at zero are not looked up.
    pub mask: Option<View>,
}

/// Bit-decomposed index: `one_hot[..., v] = flag * [bits encode v]`, evaluated without storing the one-hot tensor.
///
/// `bits` has the one-hot's outer axes and then one axis `bit` of `log_len(value axis)` entries, bit 0 first
/// (least significant). The one-hot may be used as a factor in terms as if it were stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OneHot {
    /// The virtual tensor (its place is [`Place::Witness`], it has no storage).
    pub tensor: TensorId,
    /// The tensor of bits.
    pub bits: TensorId,
    /// 0/1 tensor over the outer axes that multiplies it.
    pub flag: Option<TensorId>,
}

/// How often and in which order the executor runs an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sweep {
    /// Once, over all its axes.
    Once,
    /// Once per index of the layer axis, first layer first, together with the adjacent operations of the same sweep.
    Ascending,
    /// Once per index of the layer axis, last layer first.
    Descending,
}

/// A real function that a table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    /// `exp(-x)`.
    ExpNegative,
    /// `x * sigmoid(x)`.
    Silu,
    /// Derivative of [`Function::Silu`].
    SiluDerivative,
    /// `ln(x)`, where a table has it at the middle of the inputs that share their leading bits.
    LogarithmOfLeading,
}

/// How the executor computes tensors. Views index the tensors read and written; each variant's text names its fields.
#[allow(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// `quotient = floor((accumulator + divisor/2) / divisor)`; the remainder, `0 <= remainder < divisor`, is kept where
    /// it is no linear expression of other tensors. `divisor` is even or 1; 1 copies.
    Rescale { axes: Vec<AxisId>, accumulator: Expression, divisor: i64, quotient: View, remainder: Option<View> },
    /// `quotient = floor(numerator / denominator)`, `remainder = numerator - quotient*denominator`.
    Divide { axes: Vec<AxisId>, numerator: Expression, denominator: Expression, quotient: View, remainder: View },
    /// `root = floor(sqrt(square))`, `remainder = square - root^2`.
    SquareRoot { axes: Vec<AxisId>, square: Expression, root: View, remainder: View },
    /// Greatest along `over` of `values` (where `mask` is 1, if given); `bits` is the least index that attains it.
    Maximum { axes: Vec<AxisId>, over: AxisId, values: View, mask: Option<View>, maximum: View, bits: View },
    /// `out[k] = table.columns[1 + k]` at the row whose column 0 equals `input`. Positions masked out get 0.
    Look {
        axes: Vec<AxisId>,
        table: usize,
        input: Expression,
        mask: Option<View>,
        out: Vec<View>,
        functions: Vec<Function>,
        input_fraction_bits: i32,
        output_fraction_bits: i32,
    },
    /// The power `2^e` with the greatest `e` such that `value * 4^e <= limit` (row of a table): `power = 2^e`,
    /// `square = 4^e`, `ceiling = floor(limit / 4^e)`, `slack = ceiling - value`.
    Normalise {
        axes: Vec<AxisId>,
        value: Expression,
        table: usize,
        power: View,
        square: View,
        ceiling: View,
        slack: View,
    },
    /// The row of a table with the greatest first column `c` such that `value * c <= limit`; `out` are its columns.
    Octave { axes: Vec<AxisId>, value: Expression, table: usize, limit: i64, out: Vec<View> },
    /// `bits[..., j]` = bit j of `value`.
    Bits { axes: Vec<AxisId>, value: View, bits: View },
    /// `out = [value >= 0]` and `magnitude = value` if so, else `-1 - value`.
    Sign { axes: Vec<AxisId>, value: Expression, out: View, magnitude: View },
    /// Splits `value = high * base + low` with `0 <= low < base`; what is low may be left to a look-up.
    Split { axes: Vec<AxisId>, value: Expression, base: i64, high: View, low: Option<View> },
    /// The sponge of a row: see [`crate::sponge`]. `axes` is the row axis; `header` has the rate's values of the first
    /// block, `messages` one value each of every later block, `capacity` what the capacity starts as; `state` is the
    /// input of every permutation, `point`, `cube` and `seventh` are what its S-boxes read, the third and the seventh
    /// power.
    Sponge {
        axes: Vec<AxisId>,
        header: View,
        messages: Vec<View>,
        capacity: [i64; 4],
        state: View,
        point: View,
        cube: View,
        seventh: View,
    },
}

impl Operation {
    /// The axes at whose indices it is run.
    pub fn axes(&self) -> &[AxisId] {
        match self {
            Self::Rescale { axes, .. }
            | Self::Divide { axes, .. }
            | Self::SquareRoot { axes, .. }
            | Self::Maximum { axes, .. }
            | Self::Look { axes, .. }
            | Self::Normalise { axes, .. }
            | Self::Octave { axes, .. }
            | Self::Bits { axes, .. }
            | Self::Sign { axes, .. }
            | Self::Split { axes, .. }
            | Self::Sponge { axes, .. } => axes,
        }
    }
}

/// An operation with its place in the order of execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Name, for errors and progress.
    pub name: String,
    /// Order of execution.
    pub sweep: Sweep,
    /// What is computed.
    pub operation: Operation,
}

/// A scalar tensor whose value is public: the statement has it from outside, as it has public tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// The tensor, without axes.
    pub tensor: TensorId,
    /// Its value; 0 until [`Program::publish`].
    pub value: i64,
}

/// A complete program.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// Axes.
    pub axes: Vec<Axis>,
    /// The axis that sweeps run over.
    pub layer: Option<AxisId>,
    /// Tensors.
    pub tensors: Vec<Tensor>,
    /// Virtual one-hot tensors.
    pub one_hots: Vec<OneHot>,
    /// Operations in order; adjacent operations of one sweep form a block that is run per layer.
    pub steps: Vec<Step>,
    /// Equations.
    pub equations: Vec<Equation>,
    /// Lookups, range checks of witness tensors included.
    pub lookups: Vec<Lookup>,
    /// Tables other than the range table.
    pub tables: Vec<Table>,
    /// Scalars that are public.
    pub outputs: Vec<Output>,
    /// Greatest width of the range table; limbs are at most this wide.
    pub range_bits: u32,
    /// Largest bound of an equation that the builder saw, with its name: the ledger and `plan` print it.
    pub largest_bound: Option<(u128, String)>,
}

/// A program that cannot be built because an equation could wrap modulo p, or is malformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// An equation could hold modulo p without holding over the integers.
    #[allow(missing_docs)]
    #[error(
        "{operation}: the values that its range checks admit reach {bound}, which is not below the field order; use narrower widths or a smaller scale"
    )]
    Wraps { operation: String, bound: u128 },
    /// A declaration is inconsistent.
    #[allow(missing_docs)]
    #[error("{operation}: {reason}")]
    Malformed { operation: String, reason: String },
}

impl Program {
    /// The axis.
    pub fn axis(&self, id: AxisId) -> &Axis {
        &self.axes[id.0]
    }
    /// The tensor.
    pub fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0]
    }
    /// Lengths of the tensor's axes.
    pub fn shape(&self, id: TensorId) -> Vec<usize> {
        self.tensor(id).axes.iter().map(|&a| self.axis(a).len).collect()
    }
    /// The tensor of this name.
    pub fn find(&self, name: &str) -> Option<TensorId> {
        self.tensors.iter().position(|t| t.name == name).map(TensorId)
    }
    /// States the values of the outputs, in their order.
    pub fn publish(&mut self, values: impl IntoIterator<Item = i64>) {
        self.outputs.iter_mut().zip(values).for_each(|(output, value)| output.value = value);
    }
    /// The one-hot whose virtual tensor this is.
    pub fn one_hot(&self, id: TensorId) -> Option<&OneHot> {
        self.one_hots.iter().find(|o| o.tensor == id)
    }
    /// Greatest absolute value of a term, over all that the range checks admit.
    pub fn term_bound(&self, equation_axes: &[AxisId], term: &Term) -> u128 {
        let mut contracted: Vec<AxisId> = Vec::new();
        let mut bound = u128::from(term.coefficient.unsigned_abs());
        let mut one_hot_axes: Vec<AxisId> = Vec::new();
        for view in &term.factors {
            let tensor = self.tensor(view.tensor);
            let largest = match &tensor.values {
                Some(values) => values.iter().map(|v| u128::from(v.unsigned_abs())).max().unwrap_or(0),
                None => tensor.range.max_abs(),
            };
            bound = bound.saturating_mul(largest);
            for (&index, &own) in view.index.iter().zip(&tensor.axes) {
                if let Index::Axis(a) | Index::Shifted(a, _) = index
                    && !equation_axes.contains(&a)
                    && !contracted.contains(&a)
                {
                    contracted.push(a);
                    // A one-hot has a single one along its value axis: the sum has one term.
                    if self.one_hot(view.tensor).is_some() && tensor.axes.last() == Some(&own) {
                        one_hot_axes.push(a);
                    }
                }
            }
        }
        for a in contracted {
            if !one_hot_axes.contains(&a) {
                bound = bound.saturating_mul(self.axis(a).len as u128);
            }
        }
        bound
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.signed { "s" } else { "u" }, self.bits)
    }
}
