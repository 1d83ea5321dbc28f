//! The error terms of the argument, each a numerator over |E| = p^3.

use crate::blocks::BlockKind;
use crate::eq::pow2;
use crate::one_hots::rounds_and_degree;
use crate::verify::Argument;

/// Every source of error of a masked argument with its numerator; the error is numerator / |E|.
pub fn soundness_terms(argument: &Argument<'_>) -> Vec<(String, u64)> {
    let Argument { program, plan, wiring, .. } = argument;
    let wide = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let leaves = wide(plan.num_leaves);
    let looked_up = program.lookups.iter().map(|l| l.columns.len());
    let tables = program.tables.iter().map(|t| t.columns.len());
    let columns = wide(looked_up.chain(tables).max().unwrap_or(1).max(1));
    let is_table = |kind| matches!(kind, BlockKind::RangeTable | BlockKind::Table(_));
    let table_rows: usize = plan.blocks.iter().filter(|b| is_table(b.kind)).map(|b| pow2(b.log_len())).sum();
    let mut terms = vec![
        // The sum of fractions is a rational function of alpha whose numerator has degree below the leaves.
        ("lookup alpha".to_owned(), leaves),
        // One row outside its table must collide with some table row; each collision has at most `columns` betas.
        // Collisions among looked-up rows add fractions of one sign, fewer than p, and cannot cancel.
        ("lookup beta".to_owned(), wide(table_rows).saturating_mul(columns)),
        ("lookup merge of layer 1".to_owned(), 1),
    ];
    for layer in 1..plan.units.log_leaves() {
        // lambda, then per round degree 3 with eq, then the merge.
        let numerator = wide(layer).saturating_mul(3).saturating_add(2);
        terms.push((format!("lookup layer {layer}"), numerator));
    }
    let variables = wide(program.axes.iter().map(|a| a.log_len()).sum());
    terms.push(("equation rho".to_owned(), variables));
    terms.push(("equation delta".to_owned(), wide(program.equations.len())));
    terms.push(("equation sumcheck".to_owned(), wide(plan.degree.saturating_mul(plan.num_rounds))));
    let one_hot = |tensor| program.one_hots.iter().position(|o| o.tensor == tensor);
    let claims: Vec<usize> = plan.factors.iter().filter_map(|f| one_hot(f.tensor)).collect();
    if !claims.is_empty() {
        let (rounds, degree) = rounds_and_degree(program, claims.iter().copied());
        terms.push(("one-hot eta".to_owned(), wide(claims.len())));
        terms.push(("one-hot sumcheck".to_owned(), wide(degree.saturating_mul(rounds))));
    }
    terms.push(("products of pads".to_owned(), wide(wiring.num_nodes().saturating_mul(2))));
    // Two more equations for the products.
    let combined = wiring.num_claims.saturating_add(wiring.num_equations).saturating_add(2);
    terms.push(("joint gamma".to_owned(), wide(combined)));
    terms
}
