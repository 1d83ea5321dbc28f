//! The error terms of one opening.
//!
//! All terms are proved. Write `N` for the number of leaves, `K` for the rows, `e = floor((N - K)/2)`
//! for the unique-decoding radius, so `e/N = (1 - rate)/2`.
//!
//! - *Proximity.* Folding a column variable replaces an interleaved word by a random point of a line
//!   of interleaved words. If more than N challenges give a word within e of the interleaved code, both
//!   ends share such a neighbourhood (Theorem 4.1 of Ben-Sasson et al. 2020 for one word, lifted to
//!   interleaved words by Theorem 3.1 of Diamond and Gruen 2024). Trees with fewer columns stand still during the
//!   first folds, a line whose two ends agree. The final combination by powers of one challenge is a
//!   curve of degree `num_trees`: at most `num_trees * N` bad challenges (Theorem 1.5 there).
//! - *Fewer rows.* A tree with `2^(m_o)` rows enters as words that repeat `s = 2^(m - m_o)` times, shares of agreement
//!   unchanged. If such a word agrees with a codeword `g` of degree below K on more than `N - e` leaves, it agrees
//!   with `g(zeta X)`, `zeta^s = 1`, on as many, and both agree with each other on more than `N - 2e >= K`: they are
//!   equal, `g` is a polynomial in `X^s`, and the tree's own word is within the same share of its own code.
//! - *Queries.* If the trees are not jointly within e, or the next oracle is another codeword than the
//!   combination, then more than e leaves contradict the next oracle. All queries miss them with
//!   probability below `(1 - (1 - rate)/2)^queries`.
//! - *Cover.* The pads Q and their cover Q' are words of the masked tree, fixed before every challenge. They belong to
//!   the code of degree below [`Profile::pads_length`], a subcode, so e is below half its distance. If more than N
//!   challenges beta' leave Q' + beta' Q within e of it, both words are within e jointly (Theorem 4.1 above). If they
//!   are, and r is another polynomial than the combination of those near them, or if they are not, more than e leaves
//!   contradict r, and all queries miss them as above. Else `<lin, Q>` and `<lin, Q'>` are numbers that are fixed
//!   before beta', and each of the two relations `<lin, Q'> + beta' <lin, Q> = sigma + beta' tau` holds for one beta'
//!   unless `<lin, Q> = tau`.
//! - *Sumcheck, batching.* Schwartz-Zippel over the challenge field.

use crate::profile::Profile;
use veritune_soundness::{Assumption, Derivation, Ledger};

const PROXIMITY: Assumption = Assumption::Proved(
    "proximity gaps up to half the minimum distance: Ben-Sasson, Carmon, Ishai, Kopparty, Saraf 2020, \
     Theorems 4.1 and 1.5; interleaved: Diamond, Gruen 2024, Theorem 3.1",
);
const SCHWARTZ_ZIPPEL: Assumption = Assumption::Proved("Schwartz-Zippel");
const SAMPLING: Assumption = Assumption::Proved("independent uniform positions, unique decoding");

/// What the sumcheck's last claim and the combination's value say of the pads.
const NUM_RELATIONS: u64 = 2;

impl Profile {
    /// The ledger of an opening of `num_trees` trees of at most `2^max_log_columns` columns.
    ///
    /// The caller pushes the terms of the argument that uses the opening.
    pub fn ledger(&self, num_trees: usize, max_log_columns: u32) -> Ledger {
        let trees = u64::try_from(num_trees).unwrap_or(u64::MAX);
        let columns = u64::from(max_log_columns);
        let variables = u64::from(self.log_rows()).saturating_add(columns);
        let mut ledger = Ledger::new(self.max_proofs());
        push(&mut ledger, "opening sumcheck", variables.saturating_mul(2), SCHWARTZ_ZIPPEL);
        push(
            &mut ledger,
            "level 0 proximity",
            columns.saturating_add(trees).saturating_mul(1 << self.log_domain()),
            PROXIMITY,
        );
        push(&mut ledger, "combination of trees", trees, SCHWARTZ_ZIPPEL);
        push_queries(&mut ledger, "level 0", self.log_inverse_rate(), self.queries());
        push(&mut ledger, "cover proximity", 1 << self.log_domain(), PROXIMITY);
        push(&mut ledger, "cover relations", NUM_RELATIONS, SCHWARTZ_ZIPPEL);
        push_queries(&mut ledger, "cover", self.log_inverse_rate(), self.queries());
        let mut claims = u64::from(self.queries());
        for (level, parameters) in (1_u32..).zip(self.levels()) {
            let folds = u64::from(parameters.log_columns);
            push(&mut ledger, &format!("level {level} claims"), claims, SCHWARTZ_ZIPPEL);
            push(&mut ledger, &format!("level {level} sumcheck"), folds.saturating_mul(2), SCHWARTZ_ZIPPEL);
            push(
                &mut ledger,
                &format!("level {level} proximity"),
                folds.saturating_mul(1 << parameters.log_domain()),
                PROXIMITY,
            );
            push_queries(&mut ledger, &format!("level {level}"), parameters.log_inverse_rate, parameters.queries);
            claims = u64::from(parameters.queries);
        }
        ledger
    }

    /// The parameters and the ledger as one JSON object, for the independent recomputation.
    pub fn ledger_json(&self, num_trees: usize, max_log_columns: u32) -> String {
        let levels: Vec<String> = self
            .levels()
            .iter()
            .map(|level| {
                format!(
                    "{{\"log_rows\":{},\"log_columns\":{},\"log_inverse_rate\":{},\"queries\":{}}}",
                    level.log_rows, level.log_columns, level.log_inverse_rate, level.queries
                )
            })
            .collect();
        format!(
            "{{\"id\":\"{}\",\"log_rows\":{},\"log_inverse_rate\":{},\"queries\":{},\"term_bits\":{},\
             \"num_trees\":{num_trees},\"max_log_columns\":{max_log_columns},\"levels\":[{}],\
             \"ledger\":{}}}",
            self.id(),
            self.log_rows(),
            self.log_inverse_rate(),
            self.queries(),
            self.term_bits(),
            levels.join(","),
            self.ledger(num_trees, max_log_columns).to_json()
        )
    }
}

fn push(ledger: &mut Ledger, source: &str, numerator: u64, assumption: Assumption) {
    ledger.push(source, Derivation::OverChallengeField { numerator }, assumption);
}

fn push_queries(ledger: &mut Ledger, of: &str, log_inverse_rate: u32, queries: u32) {
    let derivation = Derivation::QueriesMiss { log_inverse_rate, queries };
    ledger.push(format!("{of} queries"), derivation, SAMPLING);
}
