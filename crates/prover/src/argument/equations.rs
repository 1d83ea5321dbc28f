//! All equations in one sumcheck: the prover of [`veritune_argument::equations`].

use super::bind::factor_table;
use super::channel::{Channel, Own};
use super::expression;
use super::one_hots;
use super::products::{FactorState, TermState};
use super::table::Table;
use rayon::prelude::*;
use veritune_argument::equations::{base_factors, combine, equation_weights};
use veritune_argument::one_hots::OneHotClaim;
use veritune_argument::{AxisWeight, Binding, Factor, Labels, Plan, Points, Value, is_one_hot};
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_field::{E, f_from_i64};
use veritune_relations::{Place, Program, View};

fn table(program: &Program, tensors: &[&[i64]], factor: &Factor, points: &mut Points<'_>) -> Table {
    if let Some(one_hot) = program.one_hot(factor.tensor) {
        return one_hots::factor_table(program, one_hot, factor, points, tensors);
    }
    let view = View { tensor: factor.tensor, index: Vec::new() };
    let tensor = program.tensor(factor.tensor);
    let bits = if tensor.values.is_some() { 62 } else { tensor.range.bits + 1 };
    factor_table(program, factor, points, expression::values(program, tensors, &view), bits)
}

/// Per round, whether its variable is one of the factor's.
fn rounds(program: &Program, factor: &Factor, num_rounds: usize) -> Vec<bool> {
    let mut rounds = vec![false; num_rounds];
    for binding in &factor.bindings {
        if let Binding::Variables { axis, first_round, .. } = *binding {
            rounds[first_round..first_round + program.axis(axis).log_len()].fill(true);
        }
    }
    rounds
}

/// Proves all equations of the program.
pub(super) fn prove<C: Channel>(program: &Program, plan: &Plan, tensors: &[&[i64]], channel: &mut C) {
    let mut rho: Vec<Vec<E>> = Vec::new();
    for axis in &program.axes {
        rho.push((0..axis.log_len()).map(|_| channel.challenge(Labels::EQUATION_RHO)).collect());
    }
    let delta = channel.challenge(Labels::EQUATION_DELTA);
    let powers = equation_weights(program, delta);
    let mut points = Points::new(program, &rho, &[]);
    for id in base_factors(program, plan) {
        let value = table(program, tensors, &plan.factors[id], &mut points).get(0);
        channel.send_public(Labels::EQUATION_BASE, value);
    }
    if plan.products.is_empty() {
        return;
    }
    let needed = plan.needed();
    let mut factors: Vec<FactorState> = plan
        .factors
        .par_iter()
        .zip(&needed)
        .map(|(factor, &needed)| {
            let mut points = Points::new(program, &rho, &[]);
            let table = if needed { table(program, tensors, factor, &mut points) } else { Table::Base(Vec::new()) };
            FactorState { table, rounds: rounds(program, factor, plan.num_rounds) }
        })
        .collect();
    let mut terms: Vec<TermState> = plan
        .products
        .iter()
        .map(|term| {
            let scale = powers[term.equation] * f_from_i64(term.coefficient) * points.unused(&term.unused);
            let mut coordinates = Vec::new();
            for sum_axis in &term.sum_axes {
                let rho = &rho[sum_axis.axis.0];
                coordinates.extend(rho.iter().map(|&c| sum_axis.output.then_some(c)));
            }
            TermState {
                factors: term.factors.clone(),
                scale,
                first_round: plan.num_rounds - term.num_variables,
                coordinates,
                claim: E::ZERO,
                round: [E::ZERO; 4],
            }
        })
        .collect();
    // A term's first round polynomial gives its sum, whenever it joins.
    for term in &mut terms {
        if term.coordinates.is_empty() {
            term.claim = term.factors.iter().map(|&f| factors[f].table.get(0)).product();
        } else {
            term.sum(&factors, term.first_round, true);
        }
    }
    let sum = terms.iter().map(|t| t.scale * t.claim).sum();
    channel.send(Labels::EQUATION_SUM, sum);
    let mut challenges = Vec::with_capacity(plan.num_rounds);
    for round in 0..plan.num_rounds {
        let mut polynomial = vec![E::ZERO; plan.degree + 1];
        for term in &mut terms {
            if round < term.first_round {
                polynomial[0] += term.scale * term.claim;
                polynomial[1] -= term.scale * term.claim;
                continue;
            }
            if round > term.first_round {
                term.sum(&factors, round, false);
            }
            term.add_to(round - term.first_round, &mut polynomial);
        }
        channel.send(Labels::EQUATION_ROUND, polynomial[0]);
        polynomial.iter().skip(2).for_each(|&c| channel.send(Labels::EQUATION_ROUND, c));
        let x = channel.challenge(Labels::EQUATION_ROUND);
        for term in &mut terms {
            if round < term.first_round {
                term.scale *= E::ONE - x;
            } else {
                term.bind(round - term.first_round, x);
            }
        }
        factors.iter_mut().filter(|f| f.rounds[round]).for_each(|f| f.table = f.table.bind(x));
        challenges.push(x);
    }
    let mut points = Points::new(program, &rho, &challenges);
    let mut values = vec![Value::Known(E::ZERO); plan.factors.len()];
    let mut claims = Vec::new();
    for (id, factor) in plan.factors.iter().enumerate().filter(|&(id, _)| needed[id]) {
        let place = program.tensor(factor.tensor).place;
        let value = factors[id].table.get(0);
        values[id] = Value::Known(value);
        if is_one_hot(program, factor.tensor) {
            let weights: Vec<AxisWeight> = points.factor_weights(factor);
            claims.extend(OneHotClaim::new(program, &points, factor, &weights, value));
        } else if place == Place::Base {
            channel.send_public(Labels::EQUATION_BASE, value);
            continue;
        } else if place == Place::Public {
            continue;
        }
        channel.send(Labels::EQUATION_FACTOR, value);
        values[id] = Value::Sent(value);
    }
    // Only what it sends matters: the products that are multiplied once more.
    let _ = combine(plan, &powers, &mut points, &values, &mut Own(channel))
        .expect("the prover's arithmetic refuses nothing");
    one_hots::prove(program, tensors, &claims, channel);
}
