//! Clipping, moments, update and the state after.

use super::{Attack, attack};
use crate::Cheat;
use veritune_relations::constants::{StepConstants, step_constants};
use veritune_relations::spec::{Decimal, Training};
use veritune_relations::{Operation, Term};

const CLIP: &str = "clipping";
const OPTIMIZER: &str = "optimiser";
const STATE: &str = "state";

/// The attacks.
pub(super) const ATTACKS: &[Attack] = &[
    attack(CLIP, "the norm leaves a matrix out", &["norm.high"], |c| {
        c.expression("norm.high").remove(0);
    }),
    attack(CLIP, "the norm is one unit larger", &["range.norm.remainder"], |c| shift_root(c, "norm", &[], 1)),
    attack(CLIP, "the norm is one unit smaller", &["range.norm.slack.upper"], |c| shift_root(c, "norm", &[], -1)),
    attack(
        CLIP,
        "the norm is the other root modulo p, so that nothing is clipped",
        &["range.norm", "range.norm.slack.upper", "range.clip.quotient.slack.upper"],
        |c| {
            let (root, rest) = (c.honest_at("norm", &[]), c.honest_at("norm.remainder", &[]));
            c.pin("norm", &[("norm", -root), ("norm.remainder", rest)]);
            c.pin("clip.quotient", &[("clip.quotient", 0), ("clip.quotient.remainder", 0)]);
        },
    ),
    attack(CLIP, "nothing is clipped above the limit", &["clip.active"], |c| {
        c.pin("clip.active", &[("clip.active", 0), ("clip.active.magnitude", 0)]);
        c.pin("clip.quotient", &[("clip.quotient", 0), ("clip.quotient.remainder", 0)]);
    }),
    attack(CLIP, "gradients are clipped twice", &["clip.factor"], |c| {
        if let Operation::Rescale { divisor, .. } = c.operation("clip.factor") {
            *divisor = 1 << 25;
        }
        let quotient = c.view("clip.quotient");
        *c.expression("clip.factor") = vec![Term { coefficient: 1, factors: vec![quotient.clone(), quotient] }];
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
    attack(OPTIMIZER, "bias correction of the next step", &["*.update.exact"], |c| {
        let constants = constants(c.setting.spec.training.clone(), c.setting.step + 1);
        for step in c.steps_ending(".update") {
            let Operation::Divide { numerator, denominator, .. } = c.operation(&step) else { continue };
            numerator[0].coefficient = constants.update_factor;
            denominator[1].coefficient = constants.epsilon;
        }
    }),
    attack(
        OPTIMIZER,
        "the learning rate of another step",
        &["*.update.exact", "range.*.master.remainder.upper"],
        |c| {
            let mut training = c.setting.spec.training.clone();
            training.learning_rate = Decimal("2e-3".into());
            let constants = constants(training, c.setting.step);
            for step in c.steps_ending(".update") {
                c.expression(&step)[0].coefficient = constants.update_factor;
            }
            for step in c.steps_ending(".master") {
                let decay = c.expression(&step).last_mut().expect("a decay");
                decay.coefficient = decay.coefficient.signum() * constants.decay_factor;
            }
        },
    ),
    attack(OPTIMIZER, "no weight decay", &["range.*.master.remainder.upper"], |c| {
        for step in c.steps_ending(".master") {
            c.expression(&step).pop();
        }
    }),
    attack(OPTIMIZER, "the first moment forgets the past", &["o_proj.a.first.remainder"], |c| {
        c.expression("o_proj.a.first").remove(0);
    }),
    attack(OPTIMIZER, "the second moment takes no gradient in", &["q_proj.b.second"], |c| {
        c.expression("q_proj.b.second").pop();
    }),
    attack(
        OPTIMIZER,
        "the update has the other sign",
        &["range.gate_proj.a.decay.upper", "range.gate_proj.a.master.remainder.upper"],
        |c| {
            let update = c.tensor("gate_proj.a.update");
            for term in c.expression("gate_proj.a.master") {
                if term.factors.iter().any(|v| v.tensor == update) {
                    term.coefficient = -term.coefficient;
                }
            }
        },
    ),
    attack(OPTIMIZER, "the root of a second moment is one unit smaller", &["range.up_proj.a.root.slack.upper"], |c| {
        shift_root(c, "up_proj.a.root", &[0, 0, 0], -1);
    }),
    attack(
        STATE,
        "the moments are exchanged",
        &[
            "q_proj.a.first",
            "q_proj.a.first.remainder",
            "q_proj.a.second",
            "q_proj.a.root.exact",
            "q_proj.a.update.exact",
        ],
        |c| {
            let (first, second) = (c.tensor("state_after.q_proj.a.first"), c.tensor("state_after.q_proj.a.second"));
            c.exchange([first, second], [second, first]);
        },
    ),
    attack(
        STATE,
        "a matrix of the state after is the state before",
        &["range.v_proj.b.decay.upper", "range.v_proj.b.master.remainder.upper"],
        |c| {
            let divisor = c.divisor("v_proj.b.master");
            let before = c.view("state_before.v_proj.b.master");
            *c.expression("v_proj.b.master") = vec![Term { coefficient: divisor, factors: vec![before] }];
        },
    ),
    attack(STATE, "a master is right modulo p only", &["q_proj.a.decay", "q_proj.a.master.remainder"], |c| {
        // `w' + 2^-16` modulo p leaves a remainder that is one less: still a row, if its lowest limb was not 0.
        let inverse = (1 << 16) - (1i64 << 48);
        let coefficient = c.expression("q_proj.a.master").last().expect("a decay").coefficient;
        let read = |name: &str| c.honest.get(c.tensor(name)).to_vec();
        let (before, after) = (read("state_before.q_proj.a.master"), read("state_after.q_proj.a.master"));
        let (update, copy) = (read("q_proj.a.update"), read("q_proj.a.copy"));
        let remainder = |i: usize| ((before[i] - update[i] - after[i]) << 16) + coefficient * copy[i] + (1 << 15);
        let limb = c.setting.spec.range_bits;
        let at = (0..after.len()).find(|&i| remainder(i) & ((1 << limb) - 1) > 0).expect("such an entry");
        c.at_last("state_after.q_proj.a.master", move |v| v[at] += inverse);
    }),
    attack(STATE, "an entry of the state after is one unit larger", &["down_proj.a.master.remainder"], |c| {
        c.at_last_add("state_after.down_proj.a.master", &[1, 1, 1], 1);
    }),
];

/// The attacks on a step whose gradients stay below the limit.
pub(super) const UNCLIPPED: &[Attack] =
    &[attack(CLIP, "gradients are clipped below the limit", &["clip.active"], |c| {
        c.pin("clip.active", &[("clip.active", 1), ("clip.active.magnitude", 0)]);
    })];

/// Adds to a root and repairs its remainder; the slack follows.
fn shift_root(c: &mut Cheat<'_>, name: &str, at: &[usize], delta: i64) {
    let root = c.honest_at(name, at);
    c.nudge(name, name, at, delta);
    c.nudge(name, &format!("{name}.remainder"), at, -delta * (2 * root + delta));
}

fn constants(training: Training, step: u64) -> StepConstants {
    // Fraction bits of the root of the second moment.
    step_constants(&training, step, 34).expect("the tiny spec's constants")
}
