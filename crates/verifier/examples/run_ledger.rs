//! Prints what the ledger of a run follows from, and the ledger, as JSON.
//!
//! `cargo run -p veritune-verifier --example run_ledger -- plan.json`. `scripts/soundness_recheck.py` reads the output and
//! derives every term once more from the counts, which are those of the program and of its plan.

use serde_json::{Value, json};
use veritune_argument::one_hots::rounds_and_degree;
use veritune_argument::{Argument, BlockKind, LOG_UNIT};
use veritune_commit::{MAX_LOG_COLUMNS, Root};
use veritune_verifier::ledger::{NUM_TREES, run_ledger};
use veritune_verifier::statement::Run;
use veritune_verifier::step::Context;

fn main() {
    let path = std::env::args().nth(1).expect("usage: run_ledger plan.json");
    let plan: Value = serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON");
    let spec = serde_json::from_value(plan["spec"].clone()).expect("a plan with a spec");
    let none = Root([0; 32]);
    let run = Run { spec, plan_digest: [0; 32], seed: [0; 32], dataset: none, base: none };
    let context = Context::new(&run).expect("a statement");
    let program = &context.first.program;
    let argument = Argument::new(program).expect("an argument");
    let (plan, wiring) = (&argument.plan, &argument.wiring);

    let logs = |is: fn(BlockKind) -> bool| -> Vec<usize> {
        plan.blocks.iter().filter(|b| is(b.kind)).map(|b| b.log_len()).collect()
    };
    let one_hot = |tensor| program.one_hots.iter().position(|o| o.tensor == tensor);
    let one_hots: Vec<usize> = plan.factors.iter().filter_map(|f| one_hot(f.tensor)).collect();
    let (one_hot_rounds, one_hot_degree) = rounds_and_degree(program, one_hots.iter().copied());
    let opening = context.profile.ledger_json(NUM_TREES, MAX_LOG_COLUMNS);
    let mut printed: Value = serde_json::from_str(&opening).expect("JSON");
    printed["argument"] = json!({
        "table_logs": logs(|kind| matches!(kind, BlockKind::RangeTable | BlockKind::Table(_))),
        "row_logs": logs(|kind| matches!(kind, BlockKind::Limb { .. } | BlockKind::Lookup(_))),
        "widest_table": program.tables.iter().map(|t| t.columns.len()).max().unwrap_or(1),
        "least_log_leaves": LOG_UNIT,
        "axis_lengths": program.axes.iter().map(|a| a.len).collect::<Vec<_>>(),
        "equations": program.equations.len(),
        "most_factors": plan.products.iter().map(|t| t.factors.len()).max().unwrap_or(0),
        "most_variables": plan.products.iter().map(|t| t.num_variables).max().unwrap_or(0),
        "one_hot_claims": one_hots.len(),
        "one_hot_rounds": one_hot_rounds,
        "one_hot_degree": one_hot_degree,
        "products": wiring.products.len(),
        "claims": wiring.num_claims,
        "checks": wiring.num_equations,
        "base_claims": wiring.num_base_claims,
        "steps": run.spec.training.steps,
    });
    let ledger = run_ledger(&context).expect("a ledger").to_json();
    printed["ledger"] = serde_json::from_str(&ledger).expect("JSON");
    println!("{printed}");
}
