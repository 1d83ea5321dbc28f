//! Batch, attention and MLP, forward.

use super::{Attack, Caught, attack};
use std::sync::Arc;
use veritune_relations::{Index, Operation, Step, Term, View};

const BATCH: &str = "batch";
const FORWARD: &str = "forward";
/// The digest of a row is its leaf.
const LEAF: &str = "batch.leaf.digest";

/// The attacks.
pub(super) const ATTACKS: &[Attack] = &[
    attack(BATCH, "a token is another one than the leaf's", &["batch.tokens.bits"], |c| {
        change_index(c, "batch.tokens");
    }),
    attack(BATCH, "a label is another one than the leaf's", &["batch.targets.bits"], |c| {
        change_index(c, "batch.targets");
    }),
    attack(BATCH, "a token is another one, and so is the leaf", &[LEAF], |c| {
        let vocab = c.setting.spec.model.vocab as i64;
        change_input(c, "batch.tokens", |id| (id + 1) % vocab);
    }),
    attack(BATCH, "an inconvenient token has label -100", &[LEAF], |c| {
        change_input(c, "batch.supervised", |_| 0);
    }),
    attack(BATCH, "the rows are those of another batch", &[LEAF], |c| {
        let other = (0..c.setting.spec.dataset_rows).find(|r| !c.setting.rows.contains(r));
        let mut rows = c.setting.rows.clone();
        rows[0] = other.expect("a row that is not in the batch");
        for (name, values) in &mut c.inputs {
            *values = c.setting.dataset.input(name, &rows).unwrap_or_else(|| std::mem::take(values));
        }
    }),
    attack(BATCH, "a row has another salt or other meta data", &[LEAF], |c| {
        change_input(c, "batch.leaf.header", |x| x + 1)
    }),
    attack(BATCH, "a label counts three times", &["range.batch.supervised", LEAF], |c| {
        change_input(c, "batch.supervised", |_| 3);
    }),
    attack(BATCH, "the sponge reads another header", &["batch.leaf.header", LEAF], |c| {
        let mut rows = c.setting.rows.clone();
        rows.reverse();
        let other = c.setting.dataset.input("batch.leaf.header", &rows).expect("a header");
        let (axes, rate) = ([c.axis("row"), c.axis("batch.leaf.rate")], other.len() / rows.len());
        let view = c.public(&axes, |i| other[i[0] * rate + i[1]]);
        if let Operation::Sponge { header, .. } = c.operation("batch.leaf") {
            *header = view;
        }
    }),
    attack(BATCH, "the sponge absorbs another token", &["batch.leaf.absorb", LEAF], |c| {
        let axes = [c.axis("row"), c.axis("token")];
        let view = c.public(&axes, |i| (3 * i[0] + i[1]) as i64);
        if let Operation::Sponge { messages, .. } = c.operation("batch.leaf") {
            messages[0] = view;
        }
    }),
    attack(BATCH, "the sponge starts from another capacity", &["batch.leaf.start", LEAF], |c| {
        if let Operation::Sponge { capacity, .. } = c.operation("batch.leaf") {
            capacity[0] = 1;
        }
    }),
    attack(BATCH, "an S-box gives another cube", &["batch.leaf.cube", "batch.leaf.seventh"], |c| {
        c.nudge("batch.leaf", "batch.leaf.cube", &[0, 1, 20], 1);
    }),
    attack(BATCH, "the last S-box gives what the digest wants", &["batch.leaf.seventh", LEAF], |c| {
        let last = c.setting.spec.training.tokens;
        c.nudge("batch.leaf", "batch.leaf.seventh", &[1, last, 117], 1);
    }),
    attack(
        BATCH,
        "an S-box reads another value",
        &["batch.leaf.point", "batch.leaf.cube", "batch.leaf.seventh"],
        |c| {
            c.nudge("batch.leaf", "batch.leaf.point", &[1, 0, 60], 1);
        },
    ),
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
        &["batch.token.allowed", "embedding", LEAF],
        |c| beyond(c, "batch.tokens"),
    ),
    attack(BATCH, "a label is none of the vocabulary", &["batch.target.allowed", LEAF], |c| beyond(c, "batch.targets")),
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
    attack(FORWARD, "the adapter is read at another rounding", &["range.v_proj.a.copy.remainder.upper"], |c| {
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
    attack(FORWARD, "a norm uses half the power of two", &["range.attention.norm.root_excess.upper"], |c| {
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
    attack(FORWARD, "the product of SiLU and the up branch is one unit larger", &["product"], |c| {
        c.bump("product", &[1, 0, 1, 2], 1);
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

/// A position of the first row with a label, so that changes have an effect.
fn labelled(c: &crate::Cheat<'_>) -> usize {
    let tokens = c.setting.spec.training.tokens;
    (0..tokens).find(|&t| c.honest_at("batch.supervised", &[0, t]) == 1).expect("a label")
}

/// The bits of one token or target encode its successor.
fn change_index(c: &mut crate::Cheat<'_>, name: &str) {
    let at = [0, labelled(c)];
    let (vocab, axes) = (c.setting.spec.model.vocab as i64, [c.axis("row"), c.axis("token")]);
    let honest = c.honest.get(c.tensor(name)).to_vec();
    let (own, tokens) = (c.honest_at(name, &at), c.setting.spec.training.tokens);
    let view: View = c.public(&axes, |i| if i == at { (own + 1) % vocab } else { honest[i[0] * tokens + i[1]] });
    if let Operation::Bits { value, .. } = c.operation(&format!("{name}.bits")) {
        *value = view;
    }
}

/// Changes an input at a position of the first row.
fn change_input(c: &mut crate::Cheat<'_>, name: &str, change: impl Fn(i64) -> i64) {
    let position = c.offset(name, &[0, labelled(c)]);
    let values = c.inputs.get_mut(name).expect("an input");
    values[position] = change(values[position]);
}

/// An id that its bits can hold and no token has.
fn beyond(c: &mut crate::Cheat<'_>, name: &str) {
    let (at, vocab) = (labelled(c), c.setting.spec.model.vocab as i64);
    change_input(c, name, |_| vocab + 1);
    if name == "batch.tokens" {
        // A residual of zero has a reciprocal root beyond its range: the lie adds an embedding by hand.
        c.bump("embedding", &[0, at, 0], 1 << 9);
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
    let columns = Arc::make_mut(&mut table.columns);
    columns[0].splice(0..0, -rows..0);
    columns[1].splice(0..0, (0..rows).map(|_| 1 << 24));
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
