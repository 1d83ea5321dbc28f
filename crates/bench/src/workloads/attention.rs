//! P2. Statement: one causal head, from hidden input and hidden weights to the block's output.
//!
//! `q, k, v = x W_q, x W_k, x W_v`; scores `q k / sqrt(d)`; the step's softmax with its proved row maximum; `o = p v`;
//! `y = o W_o`. No norm, rotation or residual.

use super::{Input, Workload};
use crate::BenchError;
use veritune_relations::builder::{Builder, Make, Sum};
use veritune_relations::program::{AxisId, Index, ProgramError};
use veritune_relations::scales::Scales;
use veritune_relations::softmax::SoftmaxTensors;
use veritune_relations::{Place, Range, TensorId, fixed};

/// Score gaps from 0 up to this many units have a table row, as in the step.
const LOG_TABLE_ROWS: u32 = 18;
/// The exponential's table is the largest part here, so a narrow range table saves nothing.
const RANGE_BITS: u32 = 16;
/// Scale of weights; entries are below 2^-2, so that rows of 64 have a norm of about 1.
const WEIGHT_BITS: i32 = 14;

struct Block {
    b: Builder,
    scales: Scales,
    token: AxisId,
    inputs: Vec<Input>,
}

impl Block {
    /// A `Make` of a kind of the step.
    fn make<'n>(&self, name: &'n str, axes: &'n [AxisId], kind: &str) -> Result<Make<'n>, BenchError> {
        let scale = self.scales.0.get(kind).ok_or_else(|| BenchError::Workload(format!("kind {kind}")))?;
        Ok(Make { name, axes, range: scale.range(), fraction_bits: scale.fraction_bits })
    }

    /// `round(input weight)` for a hidden weight `(inner, outer)`.
    fn project(
        &mut self,
        name: &str,
        input: TensorId,
        [inner, outer]: [AxisId; 2],
        kind: &str,
    ) -> Result<TensorId, BenchError> {
        let weight_name = format!("weight.{name}");
        let axes = [inner, outer];
        let make = Make { name: &weight_name, axes: &axes, range: Range::signed(16), fraction_bits: WEIGHT_BITS };
        let weight = self.b.tensor(Place::Witness, &make);
        self.inputs.push(Input::signed(weight, WEIGHT_BITS as u32 - 2));
        let axes = [self.token, outer];
        let sum = Sum::product(1, &[&self.b.on(input), &self.b.on(weight)]);
        Ok(self.b.rescale(&self.make(name, &axes, kind)?, &axes, sum)?)
    }
}

pub(super) fn build(name: &str, tokens: usize, width: usize) -> Result<Workload, BenchError> {
    let mut b = Builder::new(RANGE_BITS);
    let [token, source] = ["token", "source"].map(|axis| b.axis(axis, tokens));
    let [hidden, entry, output] = ["hidden", "entry", "output"].map(|axis| b.axis(axis, width));
    // Widths of the step for the small model's range table.
    let mut block = Block { b, scales: Scales::starting(18), token, inputs: Vec::new() };

    let axes = [token, hidden];
    let make = Make { name: "x", axes: &axes, range: Range::signed(16), fraction_bits: 12 };
    let x = block.b.tensor(Place::Witness, &make);
    block.inputs.push(Input::signed(x, 13));
    let query = block.project("query", x, [hidden, entry], "query")?;
    let key = block.project("key", x, [hidden, entry], "key")?;
    let value = block.project("value", x, [hidden, entry], "value")?;

    let exponential = block.make("exponential", &[], "exponential")?.fraction_bits;
    let score = block.make("score", &[], "score")?.fraction_bits;
    let rows = 1usize << LOG_TABLE_ROWS;
    let columns = vec![(0..rows as i64).collect(), fixed::exp_table(rows, score as u32, exponential as u32)];
    let table = block.b.table("exponential", columns);
    let causal = (0..tokens).flat_map(|i| (0..tokens).map(move |j| i64::from(j <= i))).collect();
    let (outer, axes) = ([token], [token, source]);
    let make = Make { name: "causal", axes: &axes, range: Range::unsigned(1), fraction_bits: 0 };
    let causal = block.b.public(&make, causal);
    let at_source = [(token, Index::Axis(source))];
    let scores = Sum::product(score_factor(width)?, &[&block.b.on(query), &block.b.with(key, &at_source)])
        .scaled_by_power(-SCORE_FACTOR_BITS);
    let tensors = SoftmaxTensors {
        score: block.make("score", &axes, "score")?,
        maximum: block.make("score.maximum", &outer, "score")?,
        exponential: block.make("exponential", &axes, "exponential")?,
        inverse_sum: block.make("inverse_sum", &outer, "inverse_sum")?,
        probability: block.make("probability", &axes, "probability")?,
    };
    let probability = block.b.softmax(&tensors, source, scores, causal, table)?;

    let axes = [token, entry];
    let sum = Sum::product(1, &[&block.b.on(probability), &block.b.with(value, &at_source)]);
    let make = block.make("attention", &axes, "attention")?;
    let attended = block.b.rescale(&make, &axes, sum)?;
    block.project("y", attended, [entry, output], "attention")?;
    Ok(Workload {
        name: name.to_owned(),
        statement: format!(
            "one causal attention head, {tokens} tokens x {width}: four {width} x {width} projections, scores, softmax \
             with proved row maximum, weighted sum"
        ),
        precision: "16-bit input and weights, 18-bit activations, 20-bit scores, exponential with 24 fraction bits, \
                    probability with 16"
            .to_owned(),
        program: block.b.program,
        inputs: block.inputs,
        elements: None,
    })
}

/// Fraction bits of [`score_factor`].
const SCORE_FACTOR_BITS: i32 = 16;

/// `round(2^16 / sqrt(width))`.
fn score_factor(width: usize) -> Result<i64, ProgramError> {
    let doubled = ((1u128 << 34) / width as u128).isqrt();
    i64::try_from(doubled.div_ceil(2))
        .map_err(|_| ProgramError::Malformed { operation: "score".to_owned(), reason: "too wide".to_owned() })
}
