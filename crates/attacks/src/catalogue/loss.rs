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
    attack(LOSS, "the loss is a unit smaller", &["loss.exact"], |c| c.nudge("loss", "loss", &[], -1)),
    attack(LOSS, "the sum of the losses misses a part", &["loss.sum"], |c| c.bump("loss.sum", &[], -(1 << 18))),
    attack(LOSS, "the logit at a label is another", &["loss.label_logit"], |c| {
        c.bump("loss.label_logit", &[0, position(c, 1)], 3);
    }),
    attack(LOSS, "a logarithm is another", &["loss.mantissa"], |c| {
        c.nudge("loss.mantissa", "loss.mantissa", &[0, position(c, 1)], -5);
    }),
    attack(LOSS, "the logarithm of an octave is another", &["loss.octave"], |c| {
        c.nudge("loss.octave", "loss.octave", &[0, position(c, 1)], -5);
    }),
    attack(LOSS, "the leading bits are those of another sum", &["loss.leading"], |c| {
        c.nudge("loss.leading", "loss.leading.high", &[0, position(c, 1)], -1);
    }),
    attack(LOSS, "the leading bits are one less, the rest beyond its width", &["range.loss.leading.low"], |c| {
        let at = [0, position(c, 1)];
        c.nudge("loss.leading", "loss.leading.high", &at, -1);
        c.nudge("loss.leading", "loss.leading.low", &at, 1 << LOW_BITS);
    }),
    attack(LOSS, "a sum is put into the next octave", &["loss.mantissa"], |c| {
        // At a position without label nothing else depends on it.
        let at = [0, position(c, 0)];
        let (factor, high) = (c.honest_at("loss.factor", &at), c.honest_at("loss.leading.high", &at));
        let low = c.honest_at("loss.leading.low", &at);
        c.at_last_add("loss.factor", &at, -factor / 2);
        let row = c.setting.program.tables.iter().find(|t| t.name == "loss.octave").expect("a table");
        let next = row.columns[0].iter().position(|&f| f == factor / 2).expect("a next octave");
        let octave = c.honest_at("loss.octave", &at);
        c.at_last_add("loss.octave", &at, row.columns[1][next] - octave);
        c.at_last_add("loss.leading.high", &at, high / 2 - high);
        c.at_last_add("loss.leading.low", &at, ((high % 2) << (LOW_BITS - 1)) + low / 2 - low);
    }),
];

/// Bits of the sum of exponentials below its leading ones.
const LOW_BITS: u32 = 20;

/// A position of the first row with (1) or without (0) a label.
fn position(c: &crate::Cheat<'_>, supervised: i64) -> usize {
    let tokens = c.setting.spec.training.tokens;
    (0..tokens).find(|&t| c.honest_at("batch.supervised", &[0, t]) == supervised).expect("such a position")
}

fn labels(c: &crate::Cheat<'_>) -> i64 {
    c.honest_at("labels", &[])
}
