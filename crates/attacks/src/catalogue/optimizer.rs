//! Clipping, moments, update and the state after.

use super::{Attack, attack};
use veritune_relations::Operation;
use veritune_relations::constants::{StepConstants, step_constants};
use veritune_relations::spec::{Decimal, Training};

const CLIP: &str = "clipping";
const OPTIMIZER: &str = "optimiser";
const STATE: &str = "state";

/// The attacks.
pub(super) const ATTACKS: &[Attack] = &[
    attack(CLIP, "the norm leaves a matrix out", &["norm.high"], |c| {
        c.expression("norm.high").remove(0);
    }),
    attack(CLIP, "the norm is one unit larger", &["range.norm.remainder"], |c| {
        let (root, rest) = (c.honest_at("norm", &[]), c.honest_at("norm.remainder", &[]));
        c.nudge("norm", "norm", &[], 1);
        c.at_last_add("norm.remainder", &[], -2 * root - 1);
        let slack = 2 * (root + 1) - (rest - 2 * root - 1);
        c.at_last("norm.slack", move |v| v[0] = slack);
    }),
    attack(CLIP, "the norm is one unit smaller", &["range.norm.slack"], |c| {
        let (root, rest) = (c.honest_at("norm", &[]), c.honest_at("norm.remainder", &[]));
        c.nudge("norm", "norm", &[], -1);
        c.at_last_add("norm.remainder", &[], 2 * root - 1);
        let slack = 2 * (root - 1) - (rest + 2 * root - 1);
        c.at_last("norm.slack", move |v| v[0] = slack);
    }),
    attack(
        CLIP,
        "the norm is the other root modulo p, so that nothing is clipped",
        &["range.norm", "range.norm.slack", "range.clip.quotient.slack"],
        |c| {
            let (root, rest) = (c.honest_at("norm", &[]), c.honest_at("norm.remainder", &[]));
            let labels = c.honest_at("labels", &[]);
            c.pin("norm", &[("norm", -root), ("norm.remainder", rest), ("norm.slack", -2 * root - rest)]);
            let slack = labels - root - 1;
            c.pin(
                "clip.quotient",
                &[("clip.quotient", 0), ("clip.quotient.remainder", 0), ("clip.quotient.slack", slack)],
            );
        },
    ),
    attack(CLIP, "nothing is clipped above the limit", &["clip.active"], |c| {
        let slack = c.honest_at("norm", &[]) + c.honest_at("labels", &[]) - 1;
        c.pin("clip.active", &[("clip.active", 0), ("clip.active.magnitude", 0)]);
        c.pin("clip.quotient", &[("clip.quotient", 0), ("clip.quotient.remainder", 0), ("clip.quotient.slack", slack)]);
    }),
    attack(CLIP, "gradients are clipped twice", &["clip.factor"], |c| {
        if let Operation::Rescale { divisor, .. } = c.operation("clip.factor") {
            *divisor = 1 << 30;
        }
        let quotient = c.view("clip.quotient");
        *c.expression("clip.factor") =
            vec![veritune_relations::Term { coefficient: 1, factors: vec![quotient.clone(), quotient] }];
    }),
    attack(CLIP, "a matrix is not clipped", &["k_proj.b.clipped"], |c| {
        let clip = c.tensor("clip.factor");
        let divisor = c.divisor("k_proj.b.clipped");
        for term in c.expression("k_proj.b.clipped") {
            term.factors.retain(|v| v.tensor != clip);
            term.coefficient = divisor;
        }
    }),
    attack(CLIP, "gradients are rounded to zero", &["*.clipped"], |c| {
        for step in c.steps_ending(".clipped") {
            c.expression(&step).clear();
        }
    }),
    attack(OPTIMIZER, "bias correction of the next step", &["*.update.exact", "*.update.below"], |c| {
        let constants = constants(c.setting.spec.training.clone(), c.setting.step + 1);
        for step in c.steps_ending(".update") {
            let Operation::Divide { numerator, denominator, .. } = c.operation(&step) else { continue };
            numerator[0].coefficient = constants.update_factor;
            denominator[1].coefficient = constants.epsilon;
        }
    }),
    attack(OPTIMIZER, "the learning rate of another step", &["*.update.exact", "*.decay"], |c| {
        let mut training = c.setting.spec.training.clone();
        training.learning_rate = Decimal("2e-3".into());
        let constants = constants(training, c.setting.step);
        for step in c.steps_ending(".update") {
            c.expression(&step)[0].coefficient = constants.update_factor;
        }
        for step in c.steps_ending(".decay") {
            c.expression(&step)[0].coefficient = constants.decay_factor;
        }
    }),
    attack(OPTIMIZER, "no weight decay", &["*.decay"], |c| {
        for step in c.steps_ending(".decay") {
            c.expression(&step).clear();
        }
    }),
    attack(OPTIMIZER, "the first moment forgets the past", &["o_proj.a.first"], |c| {
        c.expression("o_proj.a.first").remove(0);
    }),
    attack(OPTIMIZER, "the second moment takes no gradient in", &["q_proj.b.second"], |c| {
        c.expression("q_proj.b.second").pop();
    }),
    attack(OPTIMIZER, "the update has the other sign", &["gate_proj.a.master"], |c| {
        let update = c.tensor("gate_proj.a.update");
        for term in c.expression("gate_proj.a.master") {
            if term.factors.iter().any(|v| v.tensor == update) {
                term.coefficient = -term.coefficient;
            }
        }
    }),
    attack(OPTIMIZER, "the root of a second moment is one unit smaller", &["range.up_proj.a.root.slack"], |c| {
        let at = [0, 0, 0];
        let (root, rest) = (c.honest_at("up_proj.a.root", &at), c.honest_at("up_proj.a.root.remainder", &at));
        c.nudge("up_proj.a.root", "up_proj.a.root", &at, -1);
        c.at_last_add("up_proj.a.root.remainder", &at, 2 * root - 1);
        c.at_last_add("up_proj.a.root.slack", &at, 2 * (root - 1) - (rest + 2 * root - 1) - (2 * root - rest));
    }),
    attack(STATE, "the moments are exchanged", &["q_proj.a.first.stored", "q_proj.a.second.stored"], |c| {
        let (first, second) = (c.tensor("state_after.q_proj.a.first"), c.tensor("state_after.q_proj.a.second"));
        let (a, b) = (c.tensor("q_proj.a.first"), c.tensor("q_proj.a.second"));
        c.exchange([first, second], [b, a]);
    }),
    attack(STATE, "a matrix of the state after is the state before", &["v_proj.b.master.stored"], |c| {
        let before = c.tensor("state_before.v_proj.b.master");
        c.replace("v_proj.b.master.stored", "v_proj.b.master", |v| v.tensor = before);
    }),
    attack(STATE, "an entry of the state after is one unit larger", &["down_proj.a.master.stored"], |c| {
        c.at_last_add("state_after.down_proj.a.master", &[1, 1, 1], 1);
    }),
];

/// The attacks on a step whose gradients stay below the limit.
pub(super) const UNCLIPPED: &[Attack] =
    &[attack(CLIP, "gradients are clipped below the limit", &["clip.active"], |c| {
        c.pin("clip.active", &[("clip.active", 1), ("clip.active.magnitude", 0)]);
    })];

fn constants(training: Training, step: u64) -> StepConstants {
    // Fraction bits of the root of the second moment: (54 + 14) / 2.
    step_constants(&training, step, 34).expect("the tiny spec's constants")
}
