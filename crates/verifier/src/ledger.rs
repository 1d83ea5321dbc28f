//! The ledger of a run: every error term of its proofs, recomputed by the verifier.
//!
//! Each proof has its opening's and its argument's terms; the largest proof of the run bounds each, and the union bound
//! runs over `max_proofs` proofs of a certificate. The transcript as a random oracle is the one heuristic.

use crate::statement::{Run, StatementError};
use crate::step::Context;
use veritune_argument::soundness_terms;
use veritune_commit::Profile;
use veritune_envelope::statement as envelope;
use veritune_relations::Program;
use veritune_relations::layout::Layout;
use veritune_soundness::{Assumption, Derivation, Ledger};

/// Bits that every certificate must reach.
pub const TARGET_BITS: u32 = 128;

/// Trees of the largest opening: witness and two states.
const NUM_TREES: usize = 3;

const SCHWARTZ_ZIPPEL: Assumption = Assumption::Proved("Schwartz-Zippel over G3");

/// The terms of a step's proof, of which settlement and release have no more.
pub fn run_ledger(context: &Context<'_>) -> Result<Ledger, StatementError> {
    let run: &Run = context.run;
    let shapes = &context.shapes;
    let columns = [shapes.witness, shapes.state, shapes.base];
    let widest = columns.iter().map(|s| s.log_columns).max().unwrap_or(0);
    let program = &context.first.program;
    let mut ledger = proof_ledger(&context.profile, NUM_TREES, widest, program)?;
    // Claims of a step on the base, over all steps: fewer than its scalars.
    let claims = u64::try_from(program.equations.len()).unwrap_or(u64::MAX);
    let numerator = claims.saturating_mul(run.spec.training.steps);
    ledger.push("settlement challenge", Derivation::OverChallengeField { numerator }, SCHWARTZ_ZIPPEL);
    Ok(ledger)
}

/// The terms of one proof of `program` with `num_trees` trees of at most `2^widest` columns.
pub fn proof_ledger(
    profile: &Profile,
    num_trees: usize,
    widest: u32,
    program: &Program,
) -> Result<Ledger, StatementError> {
    let mut ledger = profile.ledger(num_trees, widest);
    let layout = Layout::new(program);
    for (source, numerator) in soundness_terms(program, &layout).map_err(StatementError::from)? {
        ledger.push(source, Derivation::OverChallengeField { numerator }, SCHWARTZ_ZIPPEL);
    }
    Ok(ledger)
}

/// The ledger as it stands in a certificate.
pub fn to_certificate(ledger: &Ledger) -> envelope::Ledger {
    let text = |assumption: &Assumption| match assumption {
        Assumption::Proved(theorem) => format!("proved: {theorem}"),
        Assumption::Conjectured(name) => format!("conjectured: {name}"),
        Assumption::Heuristic(name) => format!("heuristic: {name}"),
    };
    let rows = ledger.entries().iter().map(|entry| envelope::LedgerRow {
        source: entry.source.clone(),
        bits: entry.derivation.bound().bits().0 / 1000,
        assumption: text(&entry.assumption),
    });
    let mut rows: Vec<_> = rows.collect();
    rows.push(envelope::LedgerRow {
        source: "leaves of rows, trees of states and base".to_owned(),
        bits: TARGET_BITS,
        assumption: "conjectured: Poseidon2 over Goldilocks, 128 bits against collisions".to_owned(),
    });
    rows.push(envelope::LedgerRow {
        source: "transcript".to_owned(),
        bits: TARGET_BITS,
        assumption: "heuristic: BLAKE3 as a random oracle; 128 bits against collisions".to_owned(),
    });
    envelope::Ledger { rows, total_bits: ledger.total_bits().0 / 1000, max_proofs: ledger.max_proofs() }
}
