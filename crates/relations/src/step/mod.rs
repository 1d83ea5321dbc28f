//! One LoRA training step of a Llama-family model as an integer program.
//!
//! Statement: with the base, the state before and the leaves of the step's rows, there are integers
//! such that the forward pass, the loss gradient, the complete backward pass, clipping and the optimiser hold
//! exactly, and the state after is what they give. The order of the modules is the order of computation.

mod adapter;
mod attention;
mod clip;
mod head;
mod input;
mod loss;
mod mlp;
mod norm;
mod optimizer;

use crate::builder::{Builder, Make, Operand, Sum};
use crate::poseidon2::DIGEST;
use crate::program::{AxisId, Index, Place, Program, ProgramError, Range, Sweep, TensorId};
use crate::spec::{Spec, SpecError, Target};
pub use adapter::{Adapter, Matrix};
pub use loss::LOSS_BITS;
pub use optimizer::{Update, build_update};
use std::collections::BTreeMap;
use std::sync::Arc;
use veritune_field::F;
use veritune_field::traits::PrimeCharacteristicRing;

/// A step's program cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// The spec is outside its published ranges.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The widths of the spec admit a wrap.
    #[error(transparent)]
    Program(#[from] ProgramError),
}

type Built<T> = Result<T, StepError>;

/// Axes that the modules share.
#[derive(Debug, Clone, Copy)]
pub struct Axes {
    layer: AxisId,
    boundary: AxisId,
    row: AxisId,
    token: AxisId,
    source: AxisId,
    hidden: AxisId,
    group: AxisId,
    member: AxisId,
    half: AxisId,
    half_in: AxisId,
    pair: AxisId,
    entry: AxisId,
    ffn: AxisId,
    vocab: AxisId,
    rank: AxisId,
}

/// Base tensors in canonical order. All are declared whatever the targets are, so that the layout of the base is
/// a function of the model alone.
struct Base {
    embedding: TensorId,
    head: TensorId,
    query: TensorId,
    key: TensorId,
    value: TensorId,
    output: TensorId,
    gate: TensorId,
    up: TensorId,
    down: TensorId,
    gain_attention: TensorId,
    gain_mlp: TensorId,
    gain_final: TensorId,
    bias: Option<[TensorId; 3]>,
}

/// A program under construction whose tensors have kinds.
struct Kinded<'a> {
    b: &'a mut Builder,
    spec: &'a Spec,
    /// Kind of every tensor that has one, by name of the tensor.
    kinds: &'a mut BTreeMap<String, &'static str>,
}

impl Kinded<'_> {
    /// A `Make` of a kind.
    fn make<'n>(&mut self, name: &'n str, axes: &'n [AxisId], kind: &'static str) -> Built<Make<'n>> {
        let scale = self.spec.scale(kind)?;
        self.kinds.insert(name.to_owned(), kind);
        Ok(Make { name, axes, range: scale.range(), fraction_bits: scale.fraction_bits })
    }
    /// A new tensor of a kind: `sum`, rounded.
    fn rescale(&mut self, name: &str, axes: &[AxisId], kind: &'static str, sum: Sum) -> Built<TensorId> {
        let make = self.make(name, axes, kind)?;
        Ok(self.b.rescale(&make, axes, sum)?)
    }
    fn on(&self, tensor: TensorId) -> Operand {
        self.b.on(tensor)
    }
}

/// The step under construction.
struct StepBuilder<'a> {
    b: Builder,
    spec: &'a Spec,
    tables: &'a Tables,
    step: u64,
    axes: Axes,
    base: Base,
    adapters: BTreeMap<Target, Adapter>,
    causal: TensorId,
    exponential: usize,
    /// 1 at every entry of the vocabulary.
    vocabulary_ones: TensorId,
    /// Kind of every tensor that has one, by name of the tensor.
    kinds: BTreeMap<String, &'static str>,
}

impl StepBuilder<'_> {
    /// A `Make` of a kind.
    fn make<'n>(&mut self, name: &'n str, axes: &'n [AxisId], kind: &'static str) -> Built<Make<'n>> {
        self.kinded().make(name, axes, kind)
    }
    /// A new tensor of a kind: `sum`, rounded.
    fn rescale(&mut self, name: &str, axes: &[AxisId], kind: &'static str, sum: Sum) -> Built<TensorId> {
        self.kinded().rescale(name, axes, kind, sum)
    }
    /// The part that knows kinds and scales alone.
    fn kinded(&mut self) -> Kinded<'_> {
        Kinded { b: &mut self.b, spec: self.spec, kinds: &mut self.kinds }
    }
    fn on(&self, tensor: TensorId) -> Operand {
        self.b.on(tensor)
    }
    /// Query or key with the source position in place of the token.
    fn at_source(&self, tensor: TensorId) -> Operand {
        self.b.with(tensor, &[(self.axes.token, Index::Axis(self.axes.source))])
    }
}

/// The leaf of a row in the dataset's tree: its Poseidon2 digest.
pub type Leaf = [F; DIGEST];

/// Stands for leaves where only shapes matter: in layouts, in the program's digest, in calibration.
pub fn no_leaves(spec: &Spec) -> Vec<Leaf> {
    vec![[F::ZERO; DIGEST]; spec.training.rows]
}

/// A step's program and the kind of each of its tensors.
#[derive(Debug)]
pub struct StepProgram {
    /// The program.
    pub program: Program,
    /// Kind by name of the tensor, for those that have one (see [`crate::scales::KINDS`]).
    pub kinds: BTreeMap<String, &'static str>,
    /// The adapter of every target, in canonical order.
    pub adapters: BTreeMap<Target, Adapter>,
}

/// The tables of a spec's programs: the same at every step, and most of the work of building one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// Score gap and `exp(-gap)`.
    exponential: Arc<Vec<Vec<i64>>>,
    /// Gate, SiLU and its derivative.
    silu: Arc<Vec<Vec<i64>>>,
    /// Octaves and mantissas of the logarithm.
    logarithm: [Arc<Vec<Vec<i64>>>; 2],
}

impl Tables {
    /// The tables of the spec.
    pub fn new(spec: &Spec) -> Built<Self> {
        spec.validate()?;
        Ok(Self {
            exponential: exponential_columns(spec)?.into(),
            silu: mlp::silu_columns(spec)?.into(),
            logarithm: loss::columns(spec)?.map(Arc::new),
        })
    }
}

/// The program of optimiser step `step` (the first is 1) on the rows with these leaves.
pub fn build(spec: &Spec, step: u64, leaves: &[Leaf]) -> Built<StepProgram> {
    build_with(spec, &Tables::new(spec)?, step, leaves)
}

/// [`build`] with the spec's tables at hand.
pub fn build_with(spec: &Spec, tables: &Tables, step: u64, leaves: &[Leaf]) -> Built<StepProgram> {
    spec.validate()?;
    if leaves.len() != spec.training.rows {
        return Err(SpecError::new("leaves", "must be as many as training.rows").into());
    }
    let mut s = StepBuilder::new(spec, tables, step)?;
    let batch = s.input(leaves)?;
    s.declare_adapters()?;

    let a = s.axes;
    let residual_axes = [a.boundary, a.row, a.token, a.hidden];
    let make = s.make("residual", &residual_axes, "residual")?;
    let residual = s.b.tensor(Place::Witness, &make);
    s.embed(residual, &batch)?;

    s.b.sweep(Sweep::Ascending);
    let attention = s.attention_forward(residual)?;
    let mlp = s.mlp_forward(residual, &attention)?;

    s.b.sweep(Sweep::Once);
    let make = s.make("grad.residual", &residual_axes, "grad.residual")?;
    let gradient = s.b.tensor(Place::Witness, &make);
    let loss_sum = s.head(residual, gradient, &batch)?;

    s.b.sweep(Sweep::Descending);
    let middle = s.mlp_backward(gradient, &mlp)?;
    s.attention_backward(gradient, middle, &attention)?;

    s.b.sweep(Sweep::Once);
    let clip = s.clip(&batch, loss_sum)?;
    s.optimize(clip)?;
    Ok(StepProgram { program: s.b.program, kinds: s.kinds, adapters: s.adapters })
}

impl<'a> StepBuilder<'a> {
    fn new(spec: &'a Spec, tables: &'a Tables, step: u64) -> Built<Self> {
        let mut b = Builder::new(spec.range_bits);
        let (m, t) = (&spec.model, &spec.training);
        let axes = Axes {
            layer: b.axis("layer", m.layers),
            boundary: b.axis("boundary", m.layers + 1),
            row: b.axis("row", t.rows),
            token: b.axis("token", t.tokens),
            source: b.axis("source", t.tokens),
            hidden: b.axis("hidden", m.hidden),
            group: b.axis("group", m.kv_heads),
            member: b.axis("member", m.heads / m.kv_heads),
            half: b.axis("half", 2),
            half_in: b.axis("half_in", 2),
            pair: b.axis("pair", m.head_dim / 2),
            entry: b.axis("entry", m.head_dim),
            ffn: b.axis("ffn", m.ffn),
            vocab: b.axis("vocab", m.vocab),
            rank: b.axis("rank", spec.lora.r),
        };
        b.program.layer = Some(axes.layer);
        let base = declare_base(&mut b, spec, &axes)?;
        let causal_values = (0..t.tokens).flat_map(|i| (0..t.tokens).map(move |j| i64::from(j <= i))).collect();
        let causal = b.public(
            &Make { name: "causal", axes: &[axes.token, axes.source], range: Range::unsigned(1), fraction_bits: 0 },
            causal_values,
        );
        let exponential = b.table("exponential", tables.exponential.clone());
        let make = Make { name: "vocabulary.ones", axes: &[axes.vocab], range: Range::unsigned(1), fraction_bits: 0 };
        let vocabulary_ones = b.public(&make, vec![1; m.vocab]);
        Ok(Self {
            b,
            spec,
            tables,
            step,
            axes,
            base,
            adapters: BTreeMap::new(),
            causal,
            exponential,
            vocabulary_ones,
            kinds: BTreeMap::new(),
        })
    }
}

/// `exp(-x)` for score gaps up to 2^18 units.
fn exponential_columns(spec: &Spec) -> Built<Vec<Vec<i64>>> {
    let bits = |kind: &str| -> Built<u32> {
        let bits = spec.scale(kind)?.fraction_bits;
        Ok(u32::try_from(bits)
            .ok()
            .filter(|b| *b <= 30)
            .ok_or_else(|| SpecError::new(kind, "fraction bits are not in 0..=30"))?)
    };
    // One table serves both softmaxes.
    if spec.scale("logit")?.fraction_bits != spec.scale("score")?.fraction_bits {
        return Err(SpecError::new("logit", "must have the fraction bits of score").into());
    }
    let rows = 1usize << 18;
    let inputs = (0..rows as i64).collect();
    Ok(vec![inputs, crate::fixed::exp_table(rows, bits("score")?, bits("exponential")?)])
}

fn declare_base(b: &mut Builder, spec: &Spec, a: &Axes) -> Built<Base> {
    let heads = [a.group, a.member, a.half, a.pair];
    let keys = [a.group, a.half, a.pair];
    let mut declare = |name: &str, axes: &[AxisId], bits: u32| -> Built<TensorId> {
        let fraction_bits = spec.base_fraction_bits(name)?;
        Ok(b.tensor(Place::Base, &Make { name, axes, range: Range::signed(bits), fraction_bits }))
    };
    let bits = spec.model.base_bits;
    let stacked = |inner: &[AxisId]| {
        let mut axes = vec![a.layer];
        axes.extend_from_slice(inner);
        axes
    };
    let with = |inner: &[AxisId], last: AxisId| {
        let mut axes = stacked(inner);
        axes.push(last);
        axes
    };
    let embedding = declare("base.embedding", &[a.vocab, a.hidden], bits)?;
    let head = if spec.model.tied { embedding } else { declare("base.head", &[a.vocab, a.hidden], bits)? };
    let base = Base {
        embedding,
        head,
        query: declare("base.query", &with(&heads, a.hidden), bits)?,
        key: declare("base.key", &with(&keys, a.hidden), bits)?,
        value: declare("base.value", &with(&[a.group, a.entry], a.hidden), bits)?,
        output: declare("base.output", &stacked(&[a.hidden, a.group, a.member, a.entry]), bits)?,
        gate: declare("base.gate", &stacked(&[a.ffn, a.hidden]), bits)?,
        up: declare("base.up", &stacked(&[a.ffn, a.hidden]), bits)?,
        down: declare("base.down", &stacked(&[a.hidden, a.ffn]), bits)?,
        gain_attention: declare("base.gain_attention", &stacked(&[a.hidden]), spec.model.gain_bits)?,
        gain_mlp: declare("base.gain_mlp", &stacked(&[a.hidden]), spec.model.gain_bits)?,
        gain_final: declare("base.gain_final", &[a.hidden], spec.model.gain_bits)?,
        bias: if spec.model.qkv_bias {
            Some([
                declare("base.query_bias", &stacked(&heads), 24)?,
                declare("base.key_bias", &stacked(&keys), 24)?,
                declare("base.value_bias", &stacked(&[a.group, a.entry]), 24)?,
            ])
        } else {
            None
        },
    };
    // Scales that nothing reads would stand in the verdict beside those of the base.
    match spec.model.base_fraction_bits.keys().find(|name| b.program.find(name).is_none()) {
        Some(name) => {
            Err(SpecError::new(&format!("model.base_fraction_bits.{name}"), "is no tensor of this base").into())
        }
        None => Ok(base),
    }
}
