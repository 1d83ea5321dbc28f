//! Entries, their union bound, and the target.

use crate::bound::{Bits, ErrorBound};

/// What an entry rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assumption {
    /// A theorem, named.
    Proved(&'static str),
    /// A conjecture, named.
    Conjectured(&'static str),
    /// A heuristic model, named.
    Heuristic(&'static str),
}

/// How the bound of an entry is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Derivation {
    /// `numerator / |E|`, with `|E| = p^3`.
    OverChallengeField {
        /// The number of bad challenges.
        numerator: u64,
    },
    /// `((1 + 2^-log_inverse_rate) / 2)^queries`.
    QueriesMiss {
        /// Minus the base-2 logarithm of the true rate.
        log_inverse_rate: u32,
        /// Number of positions drawn, with replacement.
        queries: u32,
    },
}

impl Derivation {
    /// The bound, rounded up.
    pub fn bound(self) -> ErrorBound {
        match self {
            Self::OverChallengeField { numerator } => ErrorBound::over_challenge_field(numerator),
            Self::QueriesMiss { log_inverse_rate, queries } => ErrorBound::all_queries_miss(log_inverse_rate, queries),
        }
    }
}

/// One source of error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where in the protocol the error can happen.
    pub source: String,
    /// How its bound is computed.
    pub derivation: Derivation,
    /// What the bound rests on.
    pub assumption: Assumption,
}

/// The total does not reach the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ledger proves {got} bits, the target is {target} bits")]
pub struct BelowTarget {
    /// The target, in bits.
    pub target: u32,
    /// The bits that the entries add up to.
    pub got: Bits,
}

/// The error sources of one proof, and how many proofs share the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    max_proofs: u64,
    entries: Vec<Entry>,
}

impl Ledger {
    /// An empty ledger for at most `max_proofs` proofs.
    pub fn new(max_proofs: u64) -> Self {
        Self { max_proofs, entries: Vec::new() }
    }

    /// Adds one source of error. The argument adds its own terms here, after the opening's.
    pub fn push(&mut self, source: impl Into<String>, derivation: Derivation, assumption: Assumption) {
        self.entries.push(Entry { source: source.into(), derivation, assumption });
    }

    /// Adds all `entries`.
    pub fn extend(&mut self, entries: impl IntoIterator<Item = Entry>) {
        self.entries.extend(entries);
    }

    /// The entries, in the order added.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The number of proofs that share the target.
    pub fn max_proofs(&self) -> u64 {
        self.max_proofs
    }

    /// The union bound over all entries and all proofs.
    pub fn total(&self) -> ErrorBound {
        self.entries
            .iter()
            .fold(ErrorBound::ZERO, |sum, entry| sum.plus(entry.derivation.bound()))
            .times(self.max_proofs)
    }

    /// The bits of [`Self::total`], rounded down.
    pub fn total_bits(&self) -> Bits {
        self.total().bits()
    }

    /// Succeeds when the total is at least `target` bits.
    pub fn require(&self, target: u32) -> Result<(), BelowTarget> {
        let got = self.total_bits();
        if got.0 / 1000 >= target { Ok(()) } else { Err(BelowTarget { target, got }) }
    }

    /// The ledger as a JSON object: `max_proofs`, `total_millibits`, `entries`.
    pub fn to_json(&self) -> String {
        let entries: Vec<String> = self.entries.iter().map(entry_json).collect();
        format!(
            "{{\"max_proofs\":{},\"total_millibits\":{},\"entries\":[{}]}}",
            self.max_proofs,
            self.total_bits().0,
            entries.join(",")
        )
    }
}

/// Sources and theorem names are plain ASCII chosen in this workspace; only quotes and backslashes
/// could break the string.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

fn entry_json(entry: &Entry) -> String {
    let derivation = match entry.derivation {
        Derivation::OverChallengeField { numerator } => {
            format!("\"kind\":\"over_challenge_field\",\"numerator\":{numerator}")
        }
        Derivation::QueriesMiss { log_inverse_rate, queries } => {
            format!("\"kind\":\"queries_miss\",\"log_inverse_rate\":{log_inverse_rate},\"queries\":{queries}")
        }
    };
    let (status, basis) = match &entry.assumption {
        Assumption::Proved(basis) => ("proved", basis),
        Assumption::Conjectured(basis) => ("conjectured", basis),
        Assumption::Heuristic(basis) => ("heuristic", basis),
    };
    format!(
        "{{\"source\":\"{}\",{derivation},\"millibits\":{},\"assumption\":\"{status}\",\"basis\":\"{}\"}}",
        escaped(&entry.source),
        entry.derivation.bound().bits().0,
        escaped(basis)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(max_proofs: u64, queries: u32) -> Ledger {
        let mut ledger = Ledger::new(max_proofs);
        ledger.push("queries", Derivation::QueriesMiss { log_inverse_rate: 1, queries }, Assumption::Proved("test"));
        ledger
    }

    #[test]
    fn a_total_below_the_target_is_refused() {
        assert!(ledger(1, 345).require(143).is_ok());
        assert!(ledger(1, 344).require(143).is_err());
        assert!(ledger(1000, 345).require(134).is_err());
        assert_eq!(ledger(2, 345).total_bits().0, ledger(1, 345).total_bits().0 - 1000);
    }

    #[test]
    fn entries_add_up() {
        let mut two = ledger(1, 345);
        two.push("again", Derivation::QueriesMiss { log_inverse_rate: 1, queries: 345 }, Assumption::Proved("test"));
        assert_eq!(two.total(), ledger(2, 345).total());
    }
}
