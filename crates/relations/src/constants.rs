//! Public integers of a step: learning rate, bias corrections, rotation tables. Everybody recomputes them.

use crate::fixed::{self, BITS, ONE};
use crate::spec::{Decimal, Schedule, SpecError, Training};

/// Fraction bits of the factor that turns a moment quotient into an update.
pub const UPDATE_FACTOR_BITS: u32 = 34;
/// Fraction bits of learning rate times weight decay.
pub const DECAY_FACTOR_BITS: u32 = 30;
/// Fraction bits of the rotation table.
pub const ROTATION_BITS: u32 = 16;

/// Public integers of the optimiser at one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepConstants {
    /// `learning_rate * sqrt(1 - beta2^t) / (1 - beta1^t)` at 34 bits (AdamW), or the learning rate (SGD).
    pub update_factor: i64,
    /// `epsilon * sqrt(1 - beta2^t)` in units of the root of the second moment.
    pub epsilon: i64,
    /// `learning_rate * weight_decay` at 30 bits.
    pub decay_factor: i64,
}

/// `round(a * b)` at `bits` fraction bits, both at 60; `field` is to blame if it does not fit.
fn product(field: &str, a: i128, b: i128, bits: u32) -> Result<i64, SpecError> {
    let product = fixed::checked_multiply(a, b).filter(|p| p.unsigned_abs() < 1 << 120);
    // Rounding as `fixed::round_to`, without its cast.
    let rounded = product.map(|p| (p + (1 << (BITS - bits - 1))) >> (BITS - bits));
    let wrong = || SpecError::new(field, format!("gives a constant that does not fit in 62 bits at scale 2^-{bits}"));
    rounded.and_then(|r| i64::try_from(r).ok()).filter(|r| r.unsigned_abs() < 1 << 62).ok_or_else(wrong)
}

/// Width of the decay of a step, in units of a master: a copy times the greatest decay factor, rounded. The copies' and
/// the masters' scales make that at most `2 factor + 1`.
///
/// # Errors
/// If the peak's decay is more than the whole weight: it means nothing, and the range stays far below the 45 bits that
/// admit masters which satisfy the equation modulo p only (docs/notes/soundness.md, section 3).
pub fn decay_bits(training: &Training) -> Result<u32, SpecError> {
    let (peak, decay) = (to_fixed(&training.learning_rate)?, to_fixed(&training.weight_decay)?);
    let factor = product("training.weight_decay", peak, decay, DECAY_FACTOR_BITS)?.unsigned_abs();
    if factor > 1 << DECAY_FACTOR_BITS {
        let reason = "times training.learning_rate is above 1: a step would take more than the whole weight";
        return Err(SpecError::new("training.weight_decay", reason));
    }
    Ok(factor.saturating_mul(2).saturating_add(2).ilog2() + 2)
}

fn to_fixed(value: &Decimal) -> Result<i128, SpecError> {
    value.to_fixed(BITS).map(i128::from)
}

/// The learning rate of optimiser step `step` (the first is 1), at 60 bits, as Hugging Face's schedules define it.
///
/// Warm-up: `peak * (step-1) / warmup`. Then, with progress `p = (step-1-warmup) / (steps-warmup)`, constant:
/// `peak`; linear: `peak * (1-p)`; cosine: `peak * (1 + cos(pi p)) / 2`.
pub fn learning_rate(training: &Training, step: u64) -> Result<i128, SpecError> {
    let peak = to_fixed(&training.learning_rate)?;
    let done = i128::from(step.saturating_sub(1));
    let warmup = i128::from(training.warmup_steps);
    if done < warmup {
        return Ok(peak * done / warmup);
    }
    let rest = (i128::from(training.steps) - warmup).max(1);
    let progress = ((done - warmup) << BITS) / rest;
    Ok(match training.schedule {
        Schedule::Constant => peak,
        Schedule::Linear => fixed::multiply(peak, (ONE - progress).max(0)),
        Schedule::Cosine => {
            let (cos, _) = fixed::cos_sin(fixed::multiply(fixed::PI, progress));
            fixed::multiply(peak, (ONE + cos) / 2)
        }
    })
}

/// `base^exponent` for `0 <= base <= 1`.
fn power(base: i128, exponent: u64) -> i128 {
    let (mut result, mut square, mut rest) = (ONE, base, exponent);
    while rest > 0 {
        if rest & 1 == 1 {
            result = fixed::multiply(result, square);
        }
        square = fixed::multiply(square, square);
        rest >>= 1;
    }
    result
}

/// The constants of optimiser step `step` (the first is 1). `root_bits` are the fraction bits of the root of the
/// second moment.
pub fn step_constants(training: &Training, step: u64, root_bits: u32) -> Result<StepConstants, SpecError> {
    let rate = learning_rate(training, step)?;
    let decay = to_fixed(&training.weight_decay)?;
    let decay_factor = product("training.weight_decay", rate, decay, DECAY_FACTOR_BITS)?;
    if training.optimizer == crate::spec::Optimizer::Sgd {
        let update_factor = fixed::round_to(rate, UPDATE_FACTOR_BITS);
        return Ok(StepConstants { update_factor, epsilon: 0, decay_factor });
    }
    let correction = |beta: &Decimal| {
        let value = to_fixed(beta)?;
        let correction = if (0..ONE).contains(&value) { ONE - power(value, step) } else { 0 };
        if correction > 0 {
            Ok(correction)
        } else {
            Err(SpecError::new("adam_beta", format!("{} is not in 0..1", beta.0)))
        }
    };
    let (first, second) = (correction(&training.adam_beta1)?, correction(&training.adam_beta2)?);
    let root = ((second as u128) << BITS).isqrt() as i128;
    let update_factor = product("training.learning_rate", rate, (root << BITS) / first, UPDATE_FACTOR_BITS)?;
    let epsilon = product("training.adam_epsilon", to_fixed(&training.adam_epsilon)?, root, root_bits)?;
    if epsilon < 1 {
        return Err(SpecError::new(
            "adam_epsilon",
            format!(
                "{} is below one unit (2^-{root_bits}) of the root of the second moment; use a larger one",
                training.adam_epsilon.0
            ),
        ));
    }
    Ok(StepConstants { update_factor, epsilon, decay_factor })
}

/// `cos` and `sin` of `position * theta^(-2 pair / head_dim)` at 16 bits, row-major `(position, pair)`.
pub fn rotation(tokens: usize, head_dim: usize, theta: &Decimal) -> Result<(Vec<i64>, Vec<i64>), SpecError> {
    let (numerator, power) = theta.parts()?;
    let theta = u64::try_from(numerator)
        .ok()
        .filter(|&n| power == 0 && (1..=1 << 40).contains(&n))
        .ok_or_else(|| SpecError::new("model.rope_theta", format!("{} is not a whole number in 1..=2^40", theta.0)))?;
    let ln = fixed::ln_integer(theta);
    let (mut cos, mut sin) = (Vec::new(), Vec::new());
    for position in 0..tokens as i128 {
        for pair in 0..(head_dim / 2) as i128 {
            let frequency = fixed::exp_negative(2 * pair * ln / head_dim as i128);
            let (c, s) = fixed::cos_sin(position * frequency);
            cos.push(fixed::round_to(c, ROTATION_BITS));
            sin.push(fixed::round_to(s, ROTATION_BITS));
        }
    }
    Ok((cos, sin))
}
