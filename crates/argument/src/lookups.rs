//! Lookups: every looked-up row is a row of its table.
//!
//! Statement: `sum over leaves of numerator / denominator = 0`, where a looked-up row has numerator 1, a table
//! row minus its multiplicity, and the denominator of a row `c` of the table with tag `g` is
//! `alpha - g - sum of beta^(j+1) c_j`. All other leaves have numerator 0.
//!
//! Source: LogUp (Haböck 2022), with the fractions summed by GKR (Papini, Haböck 2023).
//!
//! Messages, numbered as in the code; layer `l` has `2^l` fractions, fraction `x` of layer `l` is the sum of the
//! fractions `x` and `x + 2^l` of layer `l + 1`:
//!  1. Challenges alpha and beta.
//!  2. The four values `p0, p1, q0, q1` of layer 1, with `p0 q1 + p1 q0 = 0`; a challenge merges them to claims
//!     `p(r)`, `q(r)` on layer 1.
//!  3. For each layer up to the leaves: a challenge lambda; a sumcheck for
//!     `p(r) + lambda q(r) = sum_x eq(r, x) (p0 q1 + p1 q0 + lambda q0 q1)(x)`, whose round sends `s(1) - s(0)` and the
//!     leading coefficient of `s`, the sum without the factor `eq` of the variables bound so far and of the
//!     current one: `s(0) = claim - r_i (s(1) - s(0))`; then the four values and a merging challenge.
//!  4. At the leaves: `p(r)` and `q(r)` are affine functionals of the committed vectors; two claims.
//!
//! Soundness: [`crate::soundness`] lists alpha and beta (leaves times columns), and per layer of `k` rounds
//! `3k + 2`. The roots are never sent and a zero root denominator need not be excluded: denominators are
//! `alpha` minus what was committed before alpha.

use crate::check::{ArgumentError, CheckId};
use crate::context::{Context, Labels, Linear};
use crate::leaves;
use crate::plan::Plan;
use veritune_field::E;
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_relations::Program;
use veritune_relations::layout::Layout;

/// The challenges that make denominators.
#[derive(Debug, Clone, Copy)]
pub struct Fingerprint {
    /// What columns and tags are subtracted from.
    pub alpha: E,
    /// Combines columns.
    pub beta: E,
}

struct Values<S> {
    p0: S,
    p1: S,
    q0: S,
    q1: S,
}

impl<S: Copy> Values<S> {
    fn read<C: Context<Sent = S>>(ctx: &mut C) -> Result<Self, ArgumentError> {
        let mut next = || ctx.read(Labels::LOOKUP_VALUES);
        Ok(Self { p0: next()?, p1: next()?, q0: next()?, q1: next()? })
    }
    /// The numerator of the sum of the two fractions.
    fn numerator<C: Context<Sent = S>>(&self, ctx: &mut C) -> C::Scalar {
        ctx.mul(self.p0, self.q1) + ctx.mul(self.p1, self.q0)
    }
    /// The claims after the merging challenge.
    fn merge<C: Context<Sent = S>>(self, challenge: E) -> (C::Scalar, C::Scalar) {
        let line = |a: S, b: S| C::Scalar::from(a).scaled(E::ONE - challenge) + C::Scalar::from(b).scaled(challenge);
        (line(self.p0, self.p1), line(self.q0, self.q1))
    }
}

/// Reduces all lookups of the program to two claims.
pub(crate) fn verify<C: Context>(
    program: &Program,
    layout: &Layout,
    plan: &Plan,
    ctx: &mut C,
) -> Result<(), ArgumentError> {
    // 1.
    let alpha = ctx.challenge(Labels::LOOKUP_ALPHA);
    let beta = ctx.challenge(Labels::LOOKUP_BETA);
    // 2.
    let values = Values::read(ctx)?;
    let sum = values.numerator(ctx);
    ctx.assert_zero(CheckId::LookupSum, 0, sum)?;
    let merge = ctx.challenge(Labels::LOOKUP_VALUES);
    let (mut p, mut q) = values.merge::<C>(merge);
    let mut point = vec![merge];
    // 3.
    for layer in 1..plan.units.log_leaves() {
        let lambda = ctx.challenge(Labels::LOOKUP_LAMBDA);
        let mut claim = p + q.scaled(lambda);
        let mut challenges = Vec::with_capacity(plan.units.log_leaves());
        for &coordinate in &point {
            let difference = C::Scalar::from(ctx.read(Labels::LOOKUP_ROUND)?);
            let leading = C::Scalar::from(ctx.read(Labels::LOOKUP_ROUND)?);
            let x = ctx.challenge(Labels::LOOKUP_ROUND);
            // s(0) = claim - coordinate * difference.
            claim = claim + difference.scaled(x - coordinate) + leading.scaled(x * (x - E::ONE));
            challenges.push(x);
        }
        let values = Values::read(ctx)?;
        let sum = values.numerator(ctx) + ctx.mul(values.q0, values.q1).scaled(lambda);
        ctx.assert_zero(CheckId::LookupLayer, layer, claim - sum)?;
        let merge = ctx.challenge(Labels::LOOKUP_VALUES);
        (p, q) = values.merge::<C>(merge);
        point.clear();
        point.push(merge);
        point.append(&mut challenges);
    }
    // 4.
    let (numerator, denominator) =
        leaves::functionals(program, layout, plan, Fingerprint { alpha, beta }, &point, ctx)?;
    ctx.claim(numerator, p);
    ctx.claim(denominator, q);
    Ok(())
}
