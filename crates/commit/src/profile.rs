//! The parameters of an opening, derived from the number of rows and the bits per term.
//!
//! Prover and verifier build the same [`Profile`]; nothing in it comes from a proof.

use crate::shape::ShapeError;
use veritune_soundness::{BelowTarget, queries_for};

/// Proved bits of every certificate.
pub const TARGET_BITS: u32 = 128;
/// Proofs of one certificate that share the target.
pub const MAX_PROOFS: u64 = 1000;
/// Bits of every query term: 128, plus 10 for 1,000 proofs, plus 5 for up to 32 terms of this size.
pub const TERM_BITS: u32 = 143;
/// The most trees of one opening.
pub const MAX_TREES: usize = 16;
/// Base-2 logarithm of the most columns of one tree.
pub const MAX_LOG_COLUMNS: u32 = 10;

const MIN_LOG_ROWS: u32 = 10;
const MAX_LOG_ROWS: u32 = 24;
const MAX_LOG_INVERSE_RATE: u32 = 4;
/// Variables bound by each level: 16 columns balance row bytes against the number of levels.
const LOG_FOLD: u32 = 4;
/// A vector of at most 2^11 elements is sent in clear: 48 KiB, less than a further level costs.
const LOG_FINAL: u32 = 11;
/// Minus the base-2 logarithm of the rate of level 1; each next level halves the rate.
const LEVEL_LOG_INVERSE_RATE: u32 = 3;

/// The parameters of one recursion level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Base-2 logarithm of the number of coefficients of each column.
    pub log_rows: u32,
    /// Base-2 logarithm of the number of columns, over the challenge field.
    pub log_columns: u32,
    /// Minus the base-2 logarithm of the rate.
    pub log_inverse_rate: u32,
    /// Positions drawn, with replacement.
    pub queries: u32,
}

impl Level {
    /// Base-2 logarithm of the number of leaves.
    pub fn log_domain(&self) -> u32 {
        self.log_rows.saturating_add(self.log_inverse_rate)
    }
}

/// Why there is no such profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// The number of rows is out of range.
    #[error("2^{0} rows: between 2^{MIN_LOG_ROWS} and 2^{MAX_LOG_ROWS} are served")]
    LogRows(u32),
    /// The rate is out of range.
    #[error("rate 2^-{0}: between 2^-1 and 2^-{MAX_LOG_INVERSE_RATE} is served")]
    LogInverseRate(u32),
    /// The union bound misses the target.
    #[error(transparent)]
    BelowTarget(#[from] BelowTarget),
    /// Pads and cover are longer than the columns of the tree that carries them.
    #[error("pads of {length} coefficients do not fit 2^{log_rows} rows")]
    Pads {
        /// Coefficients of each.
        length: usize,
        /// Base-2 logarithm of the rows.
        log_rows: u32,
    },
    /// The random rows of a single opening leave no data row.
    #[error(transparent)]
    Shape(#[from] ShapeError),
}

/// The parameters of an opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    log_rows: u32,
    log_inverse_rate: u32,
    queries: u32,
    term_bits: u32,
    max_proofs: u64,
    levels: Vec<Level>,
    log_final: u32,
}

impl Profile {
    /// The standard profile for `2^log_rows` rows: rate 1/2, 143 bits per query term, 1,000 proofs.
    pub fn new(log_rows: u32) -> Result<Self, ProfileError> {
        Self::with_parameters(log_rows, 1, TERM_BITS, MAX_PROOFS)
    }

    /// A profile with another first rate, another size of the terms or another number of proofs.
    ///
    /// Refused when the largest statement that it serves has a ledger total below [`TARGET_BITS`].
    pub fn with_parameters(
        log_rows: u32,
        log_inverse_rate: u32,
        term_bits: u32,
        max_proofs: u64,
    ) -> Result<Self, ProfileError> {
        if !(MIN_LOG_ROWS..=MAX_LOG_ROWS).contains(&log_rows) {
            return Err(ProfileError::LogRows(log_rows));
        }
        if !(1..=MAX_LOG_INVERSE_RATE).contains(&log_inverse_rate) {
            return Err(ProfileError::LogInverseRate(log_inverse_rate));
        }
        // More than |E| bits per term cannot be reached by the other terms anyway.
        let term_bits = term_bits.min(180);
        let mut levels = Vec::new();
        let mut log_length = log_rows;
        let mut log_rate = LEVEL_LOG_INVERSE_RATE.max(log_inverse_rate.saturating_add(1));
        // The first level always exists: it is what commits to the combination before it is queried.
        while levels.is_empty() || log_length > LOG_FINAL {
            let rows = log_length.saturating_sub(LOG_FOLD);
            levels.push(Level {
                log_rows: rows,
                log_columns: LOG_FOLD,
                log_inverse_rate: log_rate,
                queries: queries_for(log_rate, term_bits),
            });
            log_length = rows;
            log_rate = log_rate.saturating_add(1);
        }
        let profile = Self {
            log_rows,
            log_inverse_rate,
            queries: queries_for(log_inverse_rate, term_bits),
            term_bits,
            max_proofs,
            levels,
            log_final: log_length,
        };
        let length = profile.pads_length();
        if length > 1_usize.checked_shl(log_rows).unwrap_or(0) {
            return Err(ProfileError::Pads { length, log_rows });
        }
        profile.ledger(MAX_TREES, MAX_LOG_COLUMNS).require(TARGET_BITS)?;
        Ok(profile)
    }

    /// A name that determines every parameter; absorbed first by an opening.
    pub fn id(&self) -> String {
        format!(
            "veritune-opening-v2/rows=2^{}/rate=2^-{}/term-bits={}/proofs={}",
            self.log_rows, self.log_inverse_rate, self.term_bits, self.max_proofs
        )
    }

    /// Base-2 logarithm of the number of message rows of every tree.
    pub fn log_rows(&self) -> u32 {
        self.log_rows
    }

    /// Minus the base-2 logarithm of the rate of the trees; random rows are part of the message, so
    /// this is the true rate.
    pub fn log_inverse_rate(&self) -> u32 {
        self.log_inverse_rate
    }

    /// Base-2 logarithm of the number of leaves of every tree.
    pub fn log_domain(&self) -> u32 {
        self.log_rows.saturating_add(self.log_inverse_rate)
    }

    /// Positions drawn in the trees by one opening, with replacement.
    pub fn queries(&self) -> u32 {
        self.queries
    }

    /// One-time pads of an opening: two for each round of the first sumcheck, one for the value of each tree and one for
    /// the mask's, of the largest statement.
    pub fn num_pads(&self) -> usize {
        let rounds = self.log_rows.saturating_add(MAX_LOG_COLUMNS);
        size(rounds).saturating_mul(2).saturating_add(MAX_TREES).saturating_add(1)
    }

    /// Coefficients of pads and of cover: behind the pads as many as there are queries, so that the opened values of the
    /// pads' polynomial tell nothing of the pads.
    pub fn pads_length(&self) -> usize {
        self.num_pads().saturating_add(size(self.queries))
    }

    /// Bits of every query term.
    pub fn term_bits(&self) -> u32 {
        self.term_bits
    }

    /// Proofs that share the target.
    pub fn max_proofs(&self) -> u64 {
        self.max_proofs
    }

    /// The recursion levels, from level 1.
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// Base-2 logarithm of the length of the vector sent in clear.
    pub fn log_final(&self) -> u32 {
        self.log_final
    }
}

/// A count that fits every target; the limits above bound it.
fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_profile_for_2_18_rows_has_two_levels() {
        let profile = Profile::new(18).unwrap();
        assert_eq!(profile.queries(), 345);
        let rows: Vec<u32> = profile.levels().iter().map(|l| l.log_rows).collect();
        let rates: Vec<u32> = profile.levels().iter().map(|l| l.log_inverse_rate).collect();
        assert_eq!((rows, rates, profile.log_final()), (vec![14, 10], vec![3, 4], 10));
    }

    #[test]
    fn pads_are_those_of_the_largest_statement_and_fit_every_profile() {
        let profile = Profile::new(18).unwrap();
        assert_eq!((profile.num_pads(), profile.pads_length()), (2 * 28 + 16 + 1, 73 + 345));
        // Terms are at most 180 bits, which takes 434 queries.
        let longest = Profile::with_parameters(10, 1, 180, 1).unwrap();
        assert_eq!(longest.pads_length(), 2 * 20 + 17 + 434);
    }

    #[test]
    fn a_profile_below_the_target_is_refused() {
        assert!(matches!(Profile::with_parameters(18, 1, 130, 1000), Err(ProfileError::BelowTarget(_))));
        assert!(matches!(Profile::with_parameters(18, 1, 143, 1 << 20), Err(ProfileError::BelowTarget(_))));
        assert!(Profile::with_parameters(18, 1, 131, 1).is_ok());
        assert!(matches!(Profile::new(9), Err(ProfileError::LogRows(9))));
        assert!(matches!(Profile::with_parameters(18, 0, 143, 1000), Err(ProfileError::LogInverseRate(0))));
    }

    #[test]
    fn every_standard_profile_reaches_the_target_for_its_largest_statement() {
        for log_rows in MIN_LOG_ROWS..=MAX_LOG_ROWS {
            let profile = Profile::new(log_rows).unwrap();
            let ledger = profile.ledger(MAX_TREES, MAX_LOG_COLUMNS);
            assert!(ledger.require(TARGET_BITS).is_ok(), "{}", ledger.to_json());
        }
    }
}
