//! The ledger of a run: every error term of its proofs, recomputed by the verifier.
//!
//! Each proof has its opening's and its argument's terms. Those of the opening are of trees as wide as any may be, those of
//! the argument of the first step's (`attacks/tests/all/every_proof.rs`: no step and no release has larger ones). The union
//! bound runs over `max_proofs` proofs of a certificate. Hashes, and the transcript as a random oracle, are assumptions in
//! rows of their own.
//!
//! The beacon is no part of the total. Whatever its bytes are, the seed follows from them, and the proofs show the training
//! that this seed names. What a forged signature gives is the choice among seeds: of the order of rows and of the first
//! adapter. The certificate's ledger names its bits in a row of their own.

use crate::seed::QUICKNET;
use crate::statement::{Run, StatementError};
use crate::step::Context;
use veritune_argument::{Argument, soundness_terms};
use veritune_commit::{MAX_LOG_COLUMNS, Profile};
use veritune_envelope::statement as envelope;
use veritune_soundness::{Assumption, Derivation, Ledger};

/// Bits that every certificate must reach.
pub const TARGET_BITS: u32 = 128;

/// Bits against a forged signature of the beacon: discrete logarithms in the field that BLS12-381 pairs into.
const BEACON_BITS: u32 = 120;

/// What is hidden, and under which assumption: for given challenges all that is sent is uniform, exactly.
const HIDING: &[(&str, &str)] = &[
    (
        "pads, masks, random rows and salts, expanded from seeds",
        "heuristic: keyed BLAKE3 as a pseudorandom function; uniform seeds from the operating system",
    ),
    (
        "leaves that are not opened, rows of the dataset",
        "heuristic: BLAKE3 and Poseidon2 as random oracles, uniform salts",
    ),
    ("challenges", "heuristic: BLAKE3 as a random oracle"),
];

/// Trees of the largest opening: witness and two states.
pub const NUM_TREES: usize = 3;

const SCHWARTZ_ZIPPEL: Assumption = Assumption::Proved("Schwartz-Zippel over G3");

/// The terms of a step's proof, of which settlement and release have no more.
pub fn run_ledger(context: &Context<'_>) -> Result<Ledger, StatementError> {
    let run: &Run = context.run;
    let argument = Argument::new(&context.first.program)?;
    let mut ledger = proof_ledger(&context.profile, NUM_TREES, MAX_LOG_COLUMNS, &argument);
    // Powers of one challenge combine the claims on the base of all steps, as many in each.
    let claims = u64::try_from(argument.wiring.num_base_claims).unwrap_or(u64::MAX);
    let numerator = claims.saturating_mul(run.spec.training.steps);
    ledger.push("settlement challenge", Derivation::OverChallengeField { numerator }, SCHWARTZ_ZIPPEL);
    Ok(ledger)
}

/// The terms of one proof with `num_trees` trees of at most `2^widest` columns.
pub fn proof_ledger(profile: &Profile, num_trees: usize, widest: u32, argument: &Argument<'_>) -> Ledger {
    let mut ledger = profile.ledger(num_trees, widest);
    for (source, numerator) in soundness_terms(argument) {
        ledger.push(source, Derivation::OverChallengeField { numerator }, SCHWARTZ_ZIPPEL);
    }
    ledger
}

/// The ledger as it stands in the certificate of a run with a beacon of this source.
pub fn to_certificate(ledger: &Ledger, beacon: &str) -> envelope::Ledger {
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
        source: "collisions, not in the total: leaves of rows, trees of states and base".to_owned(),
        bits: TARGET_BITS,
        assumption: "conjectured: Poseidon2 over Goldilocks, 128 bits against collisions".to_owned(),
    });
    rows.push(envelope::LedgerRow {
        source: "Fiat-Shamir, not in the total: transcript".to_owned(),
        bits: TARGET_BITS,
        assumption: "heuristic: BLAKE3 as a random oracle; 128 bits against collisions".to_owned(),
    });
    // What a proof hides rests on these; no false statement passes if they fail (docs/notes/zero-knowledge.md).
    for (source, assumption) in HIDING {
        rows.push(envelope::LedgerRow {
            source: format!("hiding, not in the total: {source}"),
            bits: TARGET_BITS,
            assumption: (*assumption).to_owned(),
        });
    }
    if beacon == QUICKNET {
        rows.push(envelope::LedgerRow {
            source: "beacon, not in the total: order of rows and first adapter alone depend on it".to_owned(),
            bits: BEACON_BITS,
            assumption:
                "conjectured: BLS signatures over BLS12-381, about 120 bits; honest threshold of drand's league"
                    .to_owned(),
        });
    }
    envelope::Ledger { rows, total_bits: ledger.total_bits().0 / 1000, max_proofs: ledger.max_proofs() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::DEMO;

    #[test]
    fn a_recorded_beacon_has_its_own_row_beside_the_total() {
        let mut ledger = Ledger::new(1000);
        ledger.push("x", Derivation::OverChallengeField { numerator: 1 }, SCHWARTZ_ZIPPEL);
        let (demo, recorded) = (to_certificate(&ledger, DEMO), to_certificate(&ledger, QUICKNET));
        let (row, others) = recorded.rows.split_last().unwrap();
        assert_eq!((row.bits, others), (120, &demo.rows[..]));
        assert_eq!(recorded.total_bits, demo.total_bits);
    }
}
