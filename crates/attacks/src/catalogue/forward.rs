//! Batch, attention and MLP, forward.

use super::{Attack, Caught, attack};
use veritune_relations::{Index, Operation, Step, Term, View};

const BATCH: &str = "batch";
const FORWARD: &str = "forward";

/// The attacks.
pub(super) const ATTACKS: &[Attack] = &[
    attack(BATCH, "a token is another one", &["batch.row_0.tokens"], |c| {
        change_index(c, "batch.row_0.tokens", "data.tokens");
    }),
    attack(BATCH, "a label is another one", &["batch.row_1.targets"], |c| {
        change_index(c, "batch.row_1.targets", "data.targets");
    }),
    attack(BATCH, "an inconvenient token has label -100", &["batch.row_0.supervised"], |c| {
        let row = c.setting.rows[0];
        let tokens = c.setting.spec.training.tokens;
        let labelled = (0..tokens).find(|&t| c.honest_at("data.supervised", &[row, t]) == 1);
        c.bump("batch.row_0.supervised", &[labelled.expect("a label")], -1);
    }),
    attack(
        BATCH,
        "the rows are those of another batch",
        &["batch.row_0.tokens", "batch.row_0.targets", "batch.row_0.supervised"],
        |c| {
            let other = (0..c.setting.spec.dataset_rows).find(|r| !c.setting.rows.contains(r));
            let other = Index::Fixed(other.expect("a row that is not in the batch"));
            for part in ["tokens", "targets"] {
                if let Operation::Bits { value, .. } = c.operation(&format!("batch.row_0.{part}")) {
                    value.index[0] = other;
                }
            }
            c.replace("batch.row_0.supervised", "data.supervised", |v| v.index[0] = other);
        },
    ),
    attack(BATCH, "a label of the dataset counts three times", &["range.batch.supervised"], |c| {
        let row = c.setting.rows[0];
        let position = c.offset("data.supervised", &[row, 1]);
        if let Some(values) = c.inputs.get_mut("data.supervised") {
            values[position] = 3;
        }
    }),
    Attack {
        name: "a frozen weight is another one",
        section: FORWARD,
        caught: Caught::Settlement,
        cheat: |c| c.inputs.get_mut("base.query").expect("the base").iter_mut().take(1).for_each(|x| *x += 1),
    },
    Attack {
        name: "an embedding is another one",
        section: FORWARD,
        caught: Caught::Settlement,
        cheat: |c| c.inputs.get_mut("base.embedding").expect("the base").iter_mut().for_each(|x| *x += 1),
    },
    attack(
        BATCH,
        "a token is none of the vocabulary, its embedding made up",
        &["batch.token.allowed", "embedding"],
        |c| beyond(c, "data.tokens"),
    ),
    attack(BATCH, "a label is none of the vocabulary", &["batch.target.allowed"], |c| beyond(c, "data.targets")),
    attack(FORWARD, "the first residual is no embedding", &["embedding"], |c| c.bump("embedding", &[0, 0, 0], 1)),
    attack(FORWARD, "a layer is skipped", &["residual_next"], |c| {
        let divisor = c.divisor("residual_next");
        let layer = c.axis("layer");
        c.mask("residual_next", &["layer"], |l| i64::from(l[0] != 1));
        let only = c.public(&[layer], |l| i64::from(l[0] == 1));
        let mut residual = c.view("residual");
        residual.index[0] = Index::Axis(layer);
        c.expression("residual_next").push(Term { coefficient: divisor, factors: vec![residual, only] });
    }),
    attack(FORWARD, "the adapter of the query is left out", &["q_proj.inner"], |c| {
        c.expression("q_proj.inner").clear();
    }),
    attack(FORWARD, "the adapter is read at another rounding", &["v_proj.a.copy"], |c| {
        c.bump("v_proj.a.copy", &[0, 0, 0], 1);
    }),
    attack(FORWARD, "queries are rotated by the next position", &["query"], |c| {
        let original = c.program.tensor(c.tensor("rotation")).clone();
        let values = original.values.clone().expect("a public table");
        let shape = c.program.shape(c.tensor("rotation"));
        let (tokens, pairs) = (shape[2], shape[3]);
        let shifted =
            c.public(&original.axes, |i| values[((i[0] * 2 + i[1]) * tokens + (i[2] + 1) % tokens) * pairs + i[3]]);
        c.replace("query", "rotation", |v| v.tensor = shifted.tensor);
    }),
    attack(FORWARD, "the causal mask lets one future position through", &["attention"], |c| {
        // The output of position 0 reads the value of position 1 as well.
        let axes = [c.axis("token"), c.axis("source")];
        let divisor = c.divisor("attention");
        let leak = c.public(&axes, |i| i64::from(i[0] == 0 && i[1] == 1));
        let mut value = c.view("value");
        value.index[2] = Index::Axis(axes[1]);
        c.expression("attention").push(Term { coefficient: divisor / 2, factors: vec![leak, value] });
    }),
    attack(FORWARD, "a row maximum is too large", &["score.maximum.attained"], |c| {
        c.nudge("score.maximum", "score.maximum", &[0, 0, 0, 0, 1], 5);
    }),
    attack(FORWARD, "a row maximum comes from a masked position", &["score.maximum.allowed"], |c| {
        masked_maximum(c);
    }),
    attack(FORWARD, "a row maximum is too small", &["exponential"], |c| {
        diagonal_maximum(c);
    }),
    attack(FORWARD, "attention is flattened", &["exponential"], |c| {
        let axes = ["layer", "row", "group", "member", "token", "source"].map(|a| c.axis(a)).to_vec();
        let (causal, quotient) = (c.view("causal"), c.view("exponential"));
        let accumulator = vec![Term { coefficient: 1 << 24, factors: vec![causal] }];
        *c.operation("exponential") = Operation::Rescale { axes, accumulator, divisor: 1, quotient, remainder: None };
    }),
    attack(FORWARD, "a probability is one unit larger", &["probability"], |c| {
        c.bump("probability", &[0, 0, 0, 0, 2, 1], 1);
    }),
    attack(FORWARD, "a norm uses half the power of two", &["range.attention.norm.root_excess"], |c| {
        let at = [0, 0, 0];
        for (part, shift) in [("power", 1), ("square", 2)] {
            let name = format!("attention.norm.normalise.{part}");
            let value = c.honest_at(&name, &at);
            c.nudge("attention.norm.normalise", &name, &at, (value >> shift) - value);
        }
        let power = c.honest_at("attention.norm.normalise.power", &at);
        let value = c.honest_at("attention.norm.normalise.ceiling", &at);
        let next = ((1i64 << 62) - 1) >> (2 * (power.ilog2() - 1));
        for part in ["ceiling", "slack"] {
            c.nudge("attention.norm.normalise", &format!("attention.norm.normalise.{part}"), &at, next - value);
        }
    }),
    attack(FORWARD, "a norm uses a power that is no power of two", &["attention.norm.normalise.row"], |c| {
        c.nudge("attention.norm.normalise", "attention.norm.normalise.power", &[0, 0, 0], 3);
    }),
    attack(FORWARD, "SiLU of another input", &["silu"], |c| {
        c.expression("silu").push(Term { coefficient: 1, factors: Vec::new() });
    }),
    attack(FORWARD, "the derivative of SiLU comes from the neighbouring row", &["silu"], |c| {
        neighbour(c);
    }),
    attack(FORWARD, "a part of the residual does not pass the MLP", &["residual_next"], |c| {
        let middle = c.tensor("middle");
        for term in c.expression("residual_next") {
            if term.factors.iter().any(|v| v.tensor == middle) {
                term.coefficient -= term.coefficient / 64;
            }
        }
    }),
];

/// One token or target of a row is its successor.
fn change_index(c: &mut crate::Cheat<'_>, step: &str, data: &str) {
    let row = if step.contains("row_0") { c.setting.rows[0] } else { c.setting.rows[1] };
    let vocab = c.setting.spec.model.vocab as i64;
    let tokens = c.setting.spec.training.tokens;
    let mut ids: Vec<i64> = (0..tokens).map(|t| c.honest_at(data, &[row, t])).collect();
    // At a position with a label, so that a changed target has an effect.
    let labelled = (0..tokens).find(|&t| c.honest_at("data.supervised", &[row, t]) == 1).unwrap_or(0);
    ids[labelled] = (ids[labelled] + 1) % vocab;
    let axis = c.axis("token");
    let view: View = c.public(&[axis], |t| ids[t[0]]);
    if let Operation::Bits { value, .. } = c.operation(step) {
        *value = view;
    }
}

/// An id of the dataset that its bits can hold and no token has.
fn beyond(c: &mut crate::Cheat<'_>, data: &str) {
    let (row, tokens) = (c.setting.rows[0], c.setting.spec.training.tokens);
    let labelled = (0..tokens).find(|&t| c.honest_at("data.supervised", &[row, t]) == 1).expect("a label");
    let position = c.offset(data, &[row, labelled]);
    let vocab = c.setting.spec.model.vocab as i64;
    c.inputs.get_mut(data).expect("the dataset")[position] = vocab + 1;
    if data == "data.tokens" {
        // A residual of zero has a reciprocal root beyond its range: the lie adds an embedding by hand.
        c.bump("embedding", &[0, labelled, 0], 1 << 9);
    }
}

/// Row maxima are the scores of the diagonal, attained and unmasked but not the greatest. The executor reads
/// `exp` of a negative gap from rows that only its own table has.
fn diagonal_maximum(c: &mut crate::Cheat<'_>) {
    let axes = [c.axis("token"), c.axis("source")];
    let diagonal = c.public(&axes, |i| i64::from(i[0] == i[1]));
    if let Operation::Maximum { mask, .. } = c.operation("score.maximum") {
        *mask = Some(diagonal);
    }
    let table = c.program.tables.iter_mut().find(|t| t.name == "exponential").expect("the table");
    let rows = table.columns[0].len() as i64;
    table.columns[0].splice(0..0, -rows..0);
    table.columns[1].splice(0..0, (0..rows).map(|_| 1 << 24));
}

/// A score of the first layer that the mask hides, a little greater than the maximum, becomes the maximum.
fn masked_maximum(c: &mut crate::Cheat<'_>) {
    let shape = c.program.shape(c.tensor("score"));
    let (rows, members, tokens) = (shape[1], shape[3], shape[4]);
    let all = (0..rows * members * tokens * tokens).map(|i| {
        [0, i / (members * tokens * tokens), 0, i / (tokens * tokens) % members, i / tokens % tokens, i % tokens]
    });
    let gap = |at: &[usize; 6]| c.honest_at("score", at) - c.honest_at("score.maximum", &at[..5]);
    let at = all.filter(|at| at[5] > at[4]).find(|at| (1..1000).contains(&gap(at))).expect("such a score");
    let delta = gap(&at);
    c.nudge("score.maximum", "score.maximum", &at[..5], delta);
    let mut bit_at = at;
    for bit in 0..c.program.shape(c.tensor("score.maximum.argument"))[5] {
        bit_at[5] = bit;
        let change = (at[5] >> bit & 1) as i64 - c.honest_at("score.maximum.argument", &bit_at);
        c.nudge("score.maximum", "score.maximum.argument", &bit_at, change);
    }
}

/// `silu` from the right row, its derivative from the next one.
fn neighbour(c: &mut crate::Cheat<'_>) {
    let Operation::Look { out, .. } = c.operation("silu").clone() else { return };
    let mut second = c.operation("silu").clone();
    let scratch = c.program.tensor(out[0].tensor).clone();
    c.program.tensors.push(veritune_relations::Tensor { name: "cheat scratch".into(), ..scratch });
    let scratch =
        View { tensor: veritune_relations::TensorId(c.program.tensors.len() - 1), index: out[0].index.clone() };
    if let Operation::Look { out, input, .. } = &mut second {
        out[0] = scratch;
        input.push(Term { coefficient: 1, factors: Vec::new() });
    }
    // After the honest look-up, which wrote both.
    let position = c.program.steps.iter().position(|s| s.name == "silu").expect("the step");
    let sweep = c.program.steps[position].sweep;
    c.program.steps.insert(position + 1, Step { name: "cheat".into(), sweep, operation: second });
}
