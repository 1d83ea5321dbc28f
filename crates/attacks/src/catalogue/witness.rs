//! Roundings, limbs, divisions, and what must have no effect.

use super::{Attack, Caught, attack};
use veritune_field::P;

const ROUNDING: &str = "rounding";
const UNUSED: &str = "unused values";

/// The attacks.
pub(super) const ATTACKS: &[Attack] = &[
    attack(ROUNDING, "a quotient is one unit larger, its remainder negative", &["range.value.remainder"], |c| {
        let divisor = c.divisor("value");
        c.bump("value", &[0, 0, 1, 0, 2], 1);
        c.at_last_add("value.remainder", &[0, 0, 1, 0, 2], -divisor);
    }),
    attack(
        ROUNDING,
        "a quotient is one unit smaller, its remainder uses a loose top limb",
        &["range.gate.remainder"],
        |c| {
            let divisor = c.divisor("gate");
            // The remainder has as many bits more than whole limbs hold: the top limb is narrower than the table.
            assert!(!(divisor.ilog2()).is_multiple_of(c.setting.spec.range_bits), "choose another tensor");
            c.bump("gate", &[0, 0, 1, 3], -1);
            c.at_last_add("gate.remainder", &[0, 0, 1, 3], divisor);
        },
    ),
    attack(ROUNDING, "a looked-up remainder is negative", &["range.q_proj.a.copy.remainder.upper"], |c| {
        c.bump("q_proj.a.copy", &[0, 1, 2], 1);
    }),
    attack(ROUNDING, "a remainder of a division by ten is ten or more", &["k_proj.a.first.remainder"], |c| {
        c.bump("k_proj.a.first", &[0, 1, 2], -1);
    }),
    attack(
        ROUNDING,
        "a remainder of a division by a thousand is a thousand or more",
        &["k_proj.a.second.remainder"],
        |c| {
            let divisor = c.divisor("k_proj.a.second");
            c.bump("k_proj.a.second", &[0, 1, 2], -1);
            c.at_last_add("k_proj.a.second.remainder", &[0, 1, 2], divisor);
        },
    ),
    attack(ROUNDING, "the remainder of a division reaches its denominator", &["range.inverse_sum.slack"], |c| {
        shift_division(c, -1)
    }),
    attack(ROUNDING, "the remainder of a division is negative", &["range.inverse_sum.remainder"], |c| {
        shift_division(c, 1);
    }),
    attack(
        ROUNDING,
        "a slack is one unit of its upper limb larger, its lowest limb negative",
        &["q_proj.a.root.slack"],
        |c| {
            c.at_last_add("q_proj.a.root.slack.upper", &[0, 1, 2], 1);
        },
    ),
    attack(ROUNDING, "a quotient is a field inverse", &["range.labels.inverse"], field_quotient),
    attack(ROUNDING, "a limb of a norm's upper part is moved to the lower", &["range.norm.low.low"], |c| {
        c.nudge("norm.low", "norm.low.high", &[], -1);
        c.nudge("norm.low", "norm.low.low", &[], 1 << 32);
    }),
    Attack {
        name: "exponentials at masked positions are anything",
        section: UNUSED,
        caught: Caught::NoEffect,
        cheat: |c| {
            for (at, value) in [([0, 0, 0, 0, 0, 1], -7), ([1, 1, 0, 0, 1, 4], i64::MAX)] {
                c.at_last_add("exponential", &at, value);
            }
        },
    },
];

/// Adds to a quotient of attention and repairs the remainder; the slack follows.
fn shift_division(c: &mut crate::Cheat<'_>, delta: i64) {
    let at = [0, 0, 0, 0, 3];
    let numerator = c.expression("inverse_sum")[0].coefficient;
    let (quotient, remainder) = (c.honest_at("inverse_sum", &at), c.honest_at("inverse_sum.remainder", &at));
    let denominator = (numerator - remainder) / quotient;
    c.nudge("inverse_sum", "inverse_sum", &at, delta);
    c.nudge("inverse_sum", "inverse_sum.remainder", &at, -delta * denominator);
}

/// `labels.inverse` becomes `(2^25 - r) / labels` in the field, where active clipping cancels it; r is chosen so that
/// the comparison still has a magnitude of 63 bits.
fn field_quotient(c: &mut crate::Cheat<'_>) {
    assert_eq!(c.honest_at("clip.active", &[]), 1, "clipping is active");
    let (labels, norm) = (c.honest_at("labels", &[]), c.honest_at("norm", &[]));
    let limit = -c.expression("clip.active")[2].coefficient - 1;
    let p = i128::from(P);
    let signed = |x: i128| if x > p / 2 { (x - p) as i64 } else { x as i64 };
    let inverse = power(labels as u128, u128::from(P) - 2) as i128;
    let chosen = (0..labels).find_map(|rest| {
        let quotient = (i128::from((1i64 << 25) - rest) * inverse).rem_euclid(p);
        let excess = (quotient * i128::from(norm + labels) - i128::from(limit) - 1).rem_euclid(p);
        (quotient >= 1 << 26 && excess < 1 << 63).then_some((rest, signed(quotient), excess as i64))
    });
    let (rest, quotient, excess) = chosen.expect("half of the remainders do");
    let values = [("labels.inverse", quotient), ("labels.inverse.remainder", rest), ("clip.active.magnitude", excess)];
    for (tensor, value) in values {
        c.at_last(tensor, move |v| v[0] = value);
    }
}

/// `base^exponent` modulo p.
fn power(mut base: u128, mut exponent: u128) -> u128 {
    let p = u128::from(P);
    let mut result = 1;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * base % p;
        }
        base = base * base % p;
        exponent >>= 1;
    }
    result
}
