//! The backward pass.

use super::{Attack, attack};
use veritune_relations::Index;

const BACKWARD: &str = "backward";

/// The attacks.
pub(super) const ATTACKS: &[Attack] = &[
    attack(BACKWARD, "an entry of a gradient is one unit larger", &["grad.v_proj.b"], |c| {
        c.bump("grad.v_proj.b", &[1, 0, 1, 0], 1);
    }),
    attack(BACKWARD, "the gradient of A of a middle layer is zero", &["grad.q_proj.a"], |c| {
        c.mask("grad.q_proj.a", &["layer"], |l| i64::from(l[0] != 1));
    }),
    attack(BACKWARD, "the softmax Jacobian misses the row sum", &["grad.score"], |c| {
        c.expression("grad.score").truncate(1);
    }),
    attack(BACKWARD, "the gradient of one head's queries is dropped", &["grad.query"], |c| {
        c.mask("grad.query", &["member"], |m| i64::from(m[0] != 1));
    }),
    attack(BACKWARD, "keys get no gradient from one head of their group", &["grad.key"], |c| {
        c.mask("grad.key", &["member"], |m| i64::from(m[0] != 1));
    }),
    attack(BACKWARD, "values get no gradient from one head of their group", &["grad.value"], |c| {
        c.mask("grad.value", &["member"], |m| i64::from(m[0] != 0));
    }),
    attack(BACKWARD, "the rotation of queries is not reversed", &["grad.query_raw"], |c| {
        c.replace("grad.query_raw", "rotation", |v| v.index.swap(0, 1));
    }),
    attack(BACKWARD, "the rotation of keys is not reversed", &["grad.key_raw"], |c| {
        c.replace("grad.key_raw", "rotation", |v| v.index.swap(0, 1));
    }),
    attack(BACKWARD, "the MLP norm's backward has no projection", &["mlp.norm_backward.rejection"], |c| {
        without_projection(c, "mlp");
    }),
    attack(BACKWARD, "the attention norm's backward has no projection", &["attention.norm_backward.rejection"], |c| {
        without_projection(c, "attention");
    }),
    attack(BACKWARD, "the projection is divided by another width", &["attention.norm_backward.projection"], |c| {
        for term in c.expression("attention.norm_backward.projection") {
            term.coefficient *= 2;
        }
    }),
    attack(BACKWARD, "the residual's gradient does not pass the attention", &["attention.norm_backward.input"], |c| {
        let middle = c.tensor("grad.middle");
        c.expression("attention.norm_backward.input").retain(|t| t.factors.iter().all(|v| v.tensor != middle));
    }),
    attack(BACKWARD, "the gate's gradient uses SiLU for its derivative", &["grad.gate"], |c| {
        let silu = c.tensor("silu");
        c.replace("grad.gate", "silu_derivative", |v| v.tensor = silu);
    }),
    attack(BACKWARD, "the up branch has no gradient", &["grad.up"], |c| c.expression("grad.up").clear()),
    attack(BACKWARD, "the backward pass reads the weights of another layer", &["grad.product"], |c| {
        c.replace("grad.product", "base.down", |v| v.index[0] = Index::Fixed(0));
    }),
    attack(BACKWARD, "the backward pass reads another adapter than the forward pass", &["up_proj.back"], |c| {
        let gate = c.tensor("gate_proj.b.copy");
        c.replace("up_proj.back", "up_proj.b.copy", |v| v.tensor = gate);
    }),
    attack(BACKWARD, "the adapter's gradient of its input is left out", &["grad.attention_input"], |c| {
        let copy = c.tensor("q_proj.a.copy");
        c.expression("grad.attention_input").retain(|t| t.factors.iter().all(|v| v.tensor != copy));
    }),
    attack(BACKWARD, "the gradient of another micro-batch", &["grad.down_proj.b"], |c| {
        let row = c.axis("row");
        for term in c.expression("grad.down_proj.b") {
            term.coefficient *= 2;
            for index in term.factors.iter_mut().flat_map(|v| &mut v.index) {
                if *index == Index::Axis(row) {
                    *index = Index::Fixed(0);
                }
            }
        }
    }),
];

fn without_projection(c: &mut crate::Cheat<'_>, name: &str) {
    let projection = c.tensor(&format!("{name}.norm_backward.projection"));
    c.expression(&format!("{name}.norm_backward.rejection"))
        .retain(|t| t.factors.iter().all(|v| v.tensor != projection));
}
