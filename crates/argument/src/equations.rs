//! Equations: every equation of the program is zero at every active index.
//!
//! Statement: `sum_e delta^(e+1) sum over active i of eq(rho, i) E_e(i) = 0`.
//!
//! Source: the sum-check protocol (Lund, Fortnow, Karloff, Nisan 1992) on matrix products bound at random
//! points (Thaler 2013), all terms in one batch.
//!
//! Messages, numbered as in the code:
//!  1. A challenge point rho for every axis and a challenge delta.
//!  2. Values of base tensors that stand alone, in clear; all terms without a sum and with one hidden factor
//!     form one functional L.
//!  3. V, the sum of all product terms; the claim `L = -V`.
//!  4. A sumcheck for V. A round sends `h(0), h_2, …, h_d` (coefficients; `h_1 = claim - 2 h(0) - h_2 - …`). A term of
//!     fewer variables is multiplied by `1 - X` in each of the first rounds and has its own variables last.
//!  5. One evaluation per distinct factor, then every product of two that is multiplied by a third; the last claim must
//!     equal the combination of the products. Public factors are evaluated by the verifier, base factors are sent in
//!     clear, each other one is a claim.
//!
//! Soundness: axes' variables (rho) + number of equations (delta) + degree times rounds, over |E|.

use crate::check::{ArgumentError, CheckId};
use crate::context::{Arithmetic, BaseClaim, Context, Labels, Linear};
use crate::eq::eq_points;
use crate::functional::{Functional, Part};
use crate::one_hots::{self, OneHotClaim};
use crate::plan::{Plan, is_one_hot};
use crate::products::{Product, Value};
use crate::terms::{Factor, LinearTerm, ProductTerm};
use crate::weights::{Points, evaluate, public_sum, tensor_functional};
use std::collections::BTreeMap;
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_field::{E, f_from_i64};
use veritune_relations::layout::Layout;
use veritune_relations::{Place, Program};

/// Reduces all equations of the program to claims.
pub(crate) fn verify<C: Context>(
    program: &Program,
    layout: &Layout,
    plan: &Plan,
    ctx: &mut C,
) -> Result<(), ArgumentError> {
    // 1.
    let rho = axis_points(program, ctx);
    let delta = ctx.challenge(Labels::EQUATION_DELTA);
    let powers = equation_weights(program, delta);
    // 2.
    let mut points = Points::new(program, &rho, &[]);
    let linear = linear_functional(program, layout, plan, &powers, &mut points, ctx)?;
    if plan.products.is_empty() {
        ctx.claim(linear, C::Scalar::known(E::ZERO));
        return Ok(());
    }
    // 3.
    let sum = ctx.read(Labels::EQUATION_SUM)?;
    ctx.claim(linear, C::Scalar::known(E::ZERO) - sum.into());
    // 4.
    let (claim, challenges) = sumcheck(ctx, sum.into(), plan.num_rounds, plan.degree, Labels::EQUATION_ROUND)?;
    // 5.
    let mut points = Points::new(program, &rho, &challenges);
    let needed = plan.needed();
    let mut values: Vec<Value<C::Sent>> = Vec::with_capacity(plan.factors.len());
    let mut one_hot_claims = Vec::new();
    for (factor, needed) in plan.factors.iter().zip(needed) {
        if !needed {
            values.push(Value::Known(E::ZERO));
            continue;
        }
        let weights = points.factor_weights(factor);
        values.push(if is_one_hot(program, factor.tensor) {
            let value = ctx.read(Labels::EQUATION_FACTOR)?;
            one_hot_claims.extend(OneHotClaim::new(program, &points, factor, &weights, value));
            Value::Sent(value)
        } else {
            let labels = (Labels::EQUATION_FACTOR, Labels::EQUATION_BASE);
            evaluate(ctx, program, layout, factor.tensor, &weights, labels)?
        });
    }
    let expected = combine(plan, &powers, &mut points, &values, ctx)?;
    ctx.assert_zero(CheckId::Equations, 0, claim - expected)?;
    one_hots::verify(program, layout, one_hot_claims, ctx)
}

/// What the last claim must be: the combination of the products of factors, whose evaluations are `values`.
pub fn combine<A: Arithmetic>(
    plan: &Plan,
    powers: &[E],
    points: &mut Points<'_>,
    values: &[Value<A::Sent>],
    arithmetic: &mut A,
) -> Result<A::Scalar, ArgumentError> {
    // Equal products are made once; a key's product is that of its last factor and of the key without it.
    let mut made: BTreeMap<Vec<usize>, Product<A>> = BTreeMap::from([(Vec::new(), Product::ONE)]);
    let mut sum = A::Scalar::known(E::ZERO);
    for term in &plan.products {
        let mut factors = term.factors.clone();
        factors.sort_unstable();
        let mut key = Vec::with_capacity(factors.len());
        for id in factors {
            let next: Vec<usize> = key.iter().copied().chain([id]).collect();
            if !made.contains_key(&next)
                && let (Some(before), Some(&value)) = (made.get_mut(&key), values.get(id))
            {
                let product = before.times(value.into(), Labels::EQUATION_PRODUCT, arithmetic)?;
                made.insert(next.clone(), product);
            }
            key = next;
        }
        if let Some(product) = made.get(&key) {
            sum = sum + product.clone().scalar().scaled(term_scale(plan, term, powers, points));
        }
    }
    Ok(sum)
}

/// A challenge point for every axis.
fn axis_points<C: Context>(program: &Program, ctx: &mut C) -> Vec<Vec<E>> {
    let point = |log: usize, ctx: &mut C| (0..log).map(|_| ctx.challenge(Labels::EQUATION_RHO)).collect();
    program.axes.iter().map(|axis| point(axis.log_len(), ctx)).collect()
}

/// `delta^(e+1)` for every equation.
pub fn equation_weights(program: &Program, delta: E) -> Vec<E> {
    delta.powers().skip(1).take(program.equations.len()).collect()
}

/// Reduces the claim of a batched sumcheck; returns the last claim and the challenges.
pub(crate) fn sumcheck<C: Context>(
    ctx: &mut C,
    mut claim: C::Scalar,
    num_rounds: usize,
    degree: usize,
    label: &'static str,
) -> Result<(C::Scalar, Vec<E>), ArgumentError> {
    let mut challenges = Vec::with_capacity(num_rounds);
    for _ in 0..num_rounds {
        let at_zero = ctx.read(label)?;
        let mut high = Vec::with_capacity(degree.saturating_sub(1));
        for _ in 1..degree {
            high.push(ctx.read(label)?);
        }
        let x = ctx.challenge(label);
        // h(0) + h_1 x + h_2 x^2 + … with h_1 = claim - 2 h(0) - h_2 - …
        claim = claim.scaled(x) + C::Scalar::from(at_zero).scaled(E::ONE - x.double());
        let mut power = x;
        for coefficient in high {
            power *= x;
            claim = claim + C::Scalar::from(coefficient).scaled(power - x);
        }
        challenges.push(x);
    }
    Ok((claim, challenges))
}

/// The functional of all linear terms. Base values are read, once per distinct factor, in order of the terms.
fn linear_functional<C: Context>(
    program: &Program,
    layout: &Layout,
    plan: &Plan,
    powers: &[E],
    points: &mut Points<'_>,
    ctx: &mut C,
) -> Result<Functional, ArgumentError> {
    let mut base_values: BTreeMap<usize, E> = BTreeMap::new();
    for id in base_factors(program, plan) {
        let Some(factor) = plan.factors.get(id) else {
            continue;
        };
        let parts = if C::NEEDS_VALUES { factor_functional(program, layout, factor, points).parts } else { Vec::new() };
        let value = ctx.read_public(Labels::EQUATION_BASE)?;
        ctx.base_claim(BaseClaim { parts, value });
        base_values.insert(id, value);
    }
    if !C::NEEDS_VALUES {
        return Ok(Functional::default());
    }
    // One functional per distinct factor, however many terms share it.
    let mut constant = E::ZERO;
    let mut scales: BTreeMap<usize, E> = BTreeMap::new();
    for term in &plan.linear {
        let scale = linear_scale(program, plan, term, powers, points);
        match term.hidden {
            None => constant += scale,
            Some(id) => match base_values.get(&id) {
                Some(&value) => constant += scale * value,
                None => *scales.entry(id).or_insert(E::ZERO) += scale,
            },
        }
    }
    let mut functional = Functional { constant, parts: Vec::new() };
    for (id, scale) in scales {
        let Some(factor) = plan.factors.get(id) else {
            continue;
        };
        let part = factor_functional(program, layout, factor, points);
        functional.constant += part.constant * scale;
        functional.parts.extend(part.parts.into_iter().map(|p| Part { scale: p.scale * scale, ..p }));
    }
    Ok(functional)
}

/// The base factors of linear terms, in order of the terms, each once.
pub fn base_factors(program: &Program, plan: &Plan) -> Vec<usize> {
    let mut ids = Vec::new();
    for id in plan.linear.iter().filter_map(|t| t.hidden) {
        let base = plan.factors.get(id).is_some_and(|f| program.tensor(f.tensor).place == Place::Base);
        if base && !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

fn factor_functional(program: &Program, layout: &Layout, factor: &Factor, points: &mut Points<'_>) -> Functional {
    let weights = points.factor_weights(factor);
    tensor_functional(program, layout, factor.tensor, &weights, E::ONE)
}

/// What a linear term multiplies its hidden factor with.
fn linear_scale(program: &Program, plan: &Plan, term: &LinearTerm, powers: &[E], points: &mut Points<'_>) -> E {
    let weight = powers.get(term.equation).copied().unwrap_or(E::ZERO);
    let mut scale = weight * f_from_i64(term.coefficient) * points.unused(&term.unused);
    for factor in term.public.iter().filter_map(|&id| plan.factors.get(id)) {
        let weights = points.factor_weights(factor);
        scale *= public_sum(program, factor.tensor, &weights);
    }
    scale
}

/// What a product term multiplies the product of its factors with, at the final point.
fn term_scale(plan: &Plan, term: &ProductTerm, powers: &[E], points: &mut Points<'_>) -> E {
    let weight = powers.get(term.equation).copied().unwrap_or(E::ZERO);
    let mut scale = weight * f_from_i64(term.coefficient) * points.unused(&term.unused);
    let mut round = plan.num_rounds.saturating_sub(term.num_variables);
    scale *= points.rounds(0, round).iter().map(|&x| E::ONE - x).product::<E>();
    for sum_axis in &term.sum_axes {
        let rho = points.rho(sum_axis.axis);
        if sum_axis.output {
            scale *= eq_points(rho, points.rounds(round, rho.len()));
        }
        round = round.saturating_add(rho.len());
    }
    scale
}
