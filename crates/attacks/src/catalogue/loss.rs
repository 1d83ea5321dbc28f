//! Final norm, vocabulary softmax and the gradient of the loss.

use super::{Attack, attack};

const LOSS: &str = "loss";

/// The attacks.
pub(super) const ATTACKS: &[Attack] = &[
    attack(LOSS, "a logit is one unit larger", &["logit"], |c| c.bump("logit", &[0, 0, 3], 1)),
    attack(LOSS, "the greatest logit is too large", &["logit.maximum.attained"], |c| {
        c.nudge("logit.maximum", "logit.maximum", &[0, 0], 4);
    }),
    attack(LOSS, "an exponential of the vocabulary is forged", &["vocabulary.exponential"], |c| {
        c.nudge("vocabulary.exponential", "vocabulary.exponential", &[0, 1, 2], 1 << 20);
    }),
    attack(LOSS, "the sum of exponentials misses one", &["vocabulary.sum"], |c| {
        c.mask("vocabulary.sum", &["vocab"], |v| i64::from(v[0] != 0));
    }),
    attack(LOSS, "the expected embedding misses a token of the vocabulary", &["expected_embedding"], |c| {
        c.mask("expected_embedding", &["vocab"], |v| i64::from(v[0] != 1));
    }),
    attack(LOSS, "the label is not subtracted", &["grad.final_normed"], |c| {
        c.expression("grad.final_normed").pop();
    }),
    attack(LOSS, "positions without label have a gradient", &["grad.final_normed"], |c| {
        let supervised = c.tensor("batch.supervised");
        for term in c.expression("grad.final_normed") {
            term.factors.retain(|v| v.tensor != supervised);
        }
    }),
    attack(LOSS, "the final norm's backward has no projection", &["final.norm_backward.rejection"], |c| {
        let projection = c.tensor("final.norm_backward.projection");
        c.expression("final.norm_backward.rejection").retain(|t| t.factors.iter().all(|v| v.tensor != projection));
    }),
    attack(LOSS, "the count of labels is halved", &["labels"], |c| {
        let count = labels(c);
        c.bump("labels", &[], count / 2 - count);
    }),
    attack(LOSS, "a flag of no label at all is no bit, and the count is one", &["labels.none.boolean"], |c| {
        let count = labels(c);
        c.pin("labels.none", &[("labels.none", 1 - count), ("labels.none.magnitude", 0)]);
    }),
];

fn labels(c: &crate::Cheat<'_>) -> i64 {
    c.honest_at("labels", &[])
}
