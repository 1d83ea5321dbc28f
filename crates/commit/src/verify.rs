//! The joint opening of several trees: messages and verification.
//!
//! Statement: `sum_o <w_o, f_o> = target`, where `f_o` has `2^(m_o + k_o)` entries, entry
//! `row * 2^(k_o) + column`; the column polynomials `sum_row f[row][column] X^row` are committed.
//!
//! The profile has `2^m` rows. A tree with fewer, `2^(m_o)`, stands for the polynomials `f(X^s)` with
//! `s = 2^(m - m_o)`: its row `r` is row `r s` of the profile, all others are zero, and position `p` of the
//! profile's domain is its leaf `p` modulo the number of its leaves.
//!
//! Messages, numbered as in the code. The masked tree carries three polynomials over E beside its columns: the mask M
//! with `2^m` coefficients, the pads Q and their cover Q' with [`Profile::pads_length`] coefficients each, all uniform.
//!  1. A sumcheck over `m + k_max` variables, row variables first, most significant first. A round
//!     sends `h(0)` and the leading coefficient of `h`; `h(1)` follows from the claim. A tree with
//!     `m_o < m` or `k_o < k_max` is multiplied by `1 - X` in each of the last `m - m_o` row rounds and of the first
//!     `k_max - k_o` column rounds. Both scalars are sent under pads of their own ([`Hidden`]), and the
//!     claim is `known - <lin, Q>`.
//!  2. The values `v_o = f_o(z_o)` and `v_M = M(z_row)` of the mask, each under a pad of its own. With `s_o` the product
//!     of the `1 - z` of the dummy rounds, `sum_o s_o W_o(z_o) v_o = claim` becomes the first relation
//!     `<lin_1, Q> = tau_1`.
//!  3. A challenge gamma. `y = M + sum_o gamma^(o+1) sum_c eq(z_col_o, c) f_o[., c]`; its value `Y = <eq(z_row), y>` is
//!     sent as it is. With `t_o` the product of the `1 - z` of the last `m - m_o` row rounds,
//!     `v_M + sum_o gamma^(o+1) t_o v_o = Y` becomes the second relation `<lin_2, Q> = tau_2`.
//!  4. The sums `sigma_i = <lin_i, Q'>`; a challenge beta'; the covered pads `r = Q' + beta' Q`, all their coefficients.
//!     Each relation holds if `<lin_i, r> = sigma_i + beta' tau_i`.
//!  5. For each level: the root of `y` written as a matrix (column = high bits) and encoded at the rate
//!     of the level; then rows of the previous oracle at random leaves, each giving one claim
//!     `<(x^b)_b, y> = value`; a challenge beta that combines all claims, Y the first; a sumcheck over the column
//!     variables. The columns folded at its challenges are the next `y`. Every opened leaf of the masked tree holds
//!     `r(x) = Q'(x) + beta' Q(x)`.
//!  6. The last `y` in clear, then rows of the last oracle, checked one by one, and the combined claim.
//!
//! Zero knowledge (perfect, for fixed challenges, but for the digests of what is not opened). Take what is sent in this
//! order, with the part of the randomness that nothing before it depends on:
//!   - the opened rows of the `f_o`: uniform by the random rows of each column, which make any `queries * budget`
//!     evaluations uniform;
//!   - y: uniform by M, whose `2^m` coefficients are uniform; Y, every message of 5 and 6 but the trees' rows, and the
//!     opened rows of M are functions of y and of the rows above;
//!   - the scalars of 1 and 2: each uniform by its pad;
//!   - the opened rows of Q: uniform by its last `queries` coefficients. At distinct points, none of them zero, these
//!     are multiplied by a Vandermonde matrix with non-zero factors, as the random rows are;
//!   - r: uniform by Q'; the opened rows of Q' are what r leaves, and so are the sums: `sigma_i = <lin_i, r> - beta' tau_i`.
//!
//! The map is triangular, so all that is uniform is so jointly, whatever the `f_o` are; the rest is a function of it that
//! does not depend on the `f_o`. A simulator draws the one and computes the other. The oracles of `y` need no salt:
//! everything in them is a function of the uniform `y`. The digests of leaves that are not opened hide them by their
//! salts, an assumption on the tree's hash.
//!
//! Soundness: [`Profile::ledger`]. Q and Q' are fixed by the root before every challenge, so every scalar of 1 and 2 is
//! fixed when it is sent; lin_1, tau_1, lin_2 and tau_2 are fixed before beta'. The rows need not be absorbed
//! before beta: the root and the positions fix them.
//!
//! Source: the crate's header.

use crate::error::{Location, OpeningError};
use crate::leaves::{Covered, Oracle, oracle_rows, tree_rows};
use crate::pads::Hidden;
use crate::profile::{MAX_TREES, Profile};
use crate::reader::{Reader, elements};
use crate::shape::{Root, ShapeError, TreeHash, TreeShape};
use crate::tensor::{EqWeight, PowerWeight, Weights, evaluate_at};
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_field::{E, F, eq_table};
use veritune_transcript::Transcript;

/// Transcript labels of the opening, shared with the prover.
pub struct Labels;

impl Labels {
    /// The profile identifier.
    pub const PROFILE: &'static str = "opening profile";
    /// One tree: shape and root.
    pub const TREE: &'static str = "opening tree";
    /// The target.
    pub const TARGET: &'static str = "opening target";
    /// A round polynomial of the first sumcheck.
    pub const SUMCHECK: &'static str = "opening sumcheck";
    /// The values at the final point.
    pub const VALUES: &'static str = "opening values";
    /// The combination of trees.
    pub const GAMMA: &'static str = "opening gamma";
    /// The value of the combination.
    pub const COMBINED_VALUE: &'static str = "opening combined value";
    /// What the relations of the pads give for the cover.
    pub const COVER_SUMS: &'static str = "opening cover sums";
    /// What the pads are multiplied with under their cover.
    pub const COVER: &'static str = "opening cover";
    /// The pads under their cover.
    pub const COVERED_PADS: &'static str = "opening covered pads";
    /// The root of a level.
    pub const ROOT: &'static str = "opening level root";
    /// Leaf positions.
    pub const POSITIONS: &'static str = "opening positions";
    /// The combination of claims.
    pub const BETA: &'static str = "opening beta";
    /// A round polynomial of the sumcheck of a level.
    pub const FOLD: &'static str = "opening fold";
    /// The last vector.
    pub const FINAL: &'static str = "opening final vector";
}

/// Binds the transcript to the profile, the trees and the target.
pub fn absorb_statement(transcript: &mut Transcript, profile: &Profile, trees: &[(TreeShape, Root)], target: E) {
    transcript.absorb(Labels::PROFILE, profile.id().as_bytes());
    for (shape, root) in trees {
        let message: Vec<u8> = shape.to_bytes().into_iter().chain(root.0).collect();
        transcript.absorb(Labels::TREE, &message);
    }
    transcript.absorb_e(Labels::TARGET, &[target]);
}

/// The part of the final point `z` (rows, then columns of the widest tree) at which a tree is evaluated: its first
/// `log_rows` and its last `log_columns` coordinates.
pub fn tree_point(z: &[E], shape: &TreeShape) -> Vec<E> {
    let columns = z.len().saturating_sub(size(shape.log_columns));
    z.iter().take(size(shape.log_rows)).chain(z.iter().skip(columns)).copied().collect()
}

/// The product of `1 - z` over a range of coordinates.
fn waited(z: &[E], range: std::ops::Range<u32>) -> E {
    let (start, len) = (size(range.start), range.len());
    z.iter().skip(start).take(len).map(|&r| E::ONE - r).product()
}

/// Succeeds only if the committer knows `f_o` behind every root with `sum_o <w_o, f_o> = target`.
///
/// Args: `trees` in the order of the prover, exactly one masked; `weights_at` receives the final point
/// `z` (row coordinates, then column coordinates of the widest tree, most significant first) and returns
/// for every tree `W_o(z_o) = sum_b w_o(b) eq(z_o, b)`, see [`tree_point`].
///
/// *Caller must* have absorbed everything that the weights and the target depend on.
///
/// Cost: a few thousand hashes and about a million field operations; memory below 1 MB beside the proof.
pub fn verify_opening(
    profile: &Profile,
    trees: &[(TreeShape, Root)],
    target: E,
    proof: &[u8],
    transcript: &mut Transcript,
    weights_at: impl FnOnce(&[E]) -> Vec<E>,
) -> Result<(), OpeningError> {
    let log_columns_max = check_statement(profile, trees)?;
    absorb_statement(transcript, profile, trees, target);
    let mut reader = Reader::new(proof);

    // 1. Sumcheck over rows and columns, under pads.
    let num_rounds = profile.log_rows().saturating_add(log_columns_max);
    let mut claim = Hidden::new(target);
    let mut z = Vec::with_capacity(size(num_rounds));
    for round in 0..num_rounds {
        let at = Location::Sumcheck { round };
        let sent = [reader.e(at)?, reader.e(at)?];
        transcript.absorb_e(Labels::SUMCHECK, &sent);
        let challenge = transcript.challenge_e(Labels::SUMCHECK);
        claim.reduce(size(round), sent, challenge);
        z.push(challenge);
    }

    // 2. Values at the final point, under the pads after those of the rounds.
    let values = reader.es(trees.len(), Location::Values)?;
    let mask_value = reader.e(Location::Values)?;
    transcript.absorb_e(Labels::VALUES, &values);
    transcript.absorb_e(Labels::VALUES, &[mask_value]);
    let weights = weights_at(&z);
    if weights.len() != trees.len() {
        return Err(OpeningError::WeightCount { expected: trees.len(), got: weights.len() });
    }
    let value_pads = size(num_rounds).saturating_mul(2)..;
    let mut missing = claim;
    for ((((shape, _), &value), &weight), pad) in trees.iter().zip(&values).zip(&weights).zip(value_pads.clone()) {
        missing.add(-(waited(&z, shape.waits(profile, log_columns_max)) * weight), value, pad);
    }

    // 3. One vector for all trees, and its value.
    let gamma = transcript.challenge_e(Labels::GAMMA);
    let combined_value = reader.e(Location::CombinedValue)?;
    transcript.absorb_e(Labels::COMBINED_VALUE, &[combined_value]);
    let mut excess = Hidden::new(-combined_value);
    let mut power = E::ONE;
    let mut coefficients = Vec::with_capacity(trees.len());
    for (((shape, _), &value), pad) in trees.iter().zip(&values).zip(value_pads.clone()) {
        power *= gamma;
        excess.add(power * waited(&z, shape.log_rows..profile.log_rows()), value, pad);
        let columns: Vec<E> = tree_point(&z, shape).into_iter().skip(size(shape.log_rows)).collect();
        coefficients.push(eq_table(&columns).into_iter().map(|v| v * power).collect::<Vec<E>>());
    }
    excess.add(E::ONE, mask_value, value_pads.start.saturating_add(trees.len()));

    // 4. Both numbers are zero: the pads under their cover.
    let sums = [reader.e(Location::CoverSums)?, reader.e(Location::CoverSums)?];
    transcript.absorb_e(Labels::COVER_SUMS, &sums);
    let challenge = transcript.challenge_e(Labels::COVER);
    let covered = reader.es(profile.pads_length(), Location::CoveredPads)?;
    transcript.absorb_e(Labels::COVERED_PADS, &covered);
    let holds = |number: &Hidden, sum: E| number.inner_product(&covered) == sum + challenge * number.known();
    let [first, second] = sums;
    if !holds(&missing, first) && !veritune_mutation::off("opening-sumcheck-claim") {
        return Err(OpeningError::SumcheckClaim);
    }
    if !holds(&excess, second) && !veritune_mutation::off("opening-combined-value") {
        return Err(OpeningError::CombinedValue);
    }
    let covered = Covered { challenge, covered };

    // 5. Levels.
    let num_rows = size(profile.log_rows());
    let point = z.into_iter().take(num_rows).collect();
    let eq = EqWeight { coefficient: E::ONE, point };
    let mut all = Weights { eq, powers: Vec::new(), log_length: num_rows };
    let mut claim = combined_value;
    let mut previous: Option<Oracle> = None;
    for (level, parameters) in (1_usize..).zip(profile.levels()) {
        let at = Location::LevelRoot { level };
        let root: [u8; 32] = reader.array(at)?;
        transcript.absorb(Labels::ROOT, &root);
        let rows = match &previous {
            None => tree_rows(profile, trees, &coefficients, &covered, &mut reader, transcript)?,
            Some(oracle) => oracle_rows(oracle, &mut reader, transcript)?,
        };
        let beta = transcript.challenge_e(Labels::BETA);
        let mut power = E::ONE;
        for row in &rows {
            power *= beta;
            claim += power * row.value;
            all.powers.push(PowerWeight { coefficient: power, x: row.x });
        }
        let (folded, challenges) = sumcheck(&mut reader, transcript, claim, parameters.log_columns, level)?;
        claim = folded;
        all.fold(&challenges);
        previous = Some(Oracle { level, parameters: *parameters, root, fold: eq_table(&challenges) });
    }

    // 6. The last vector: every row of the last oracle, then the combined claim.
    let length = 1_usize.checked_shl(profile.log_final()).ok_or(OpeningError::Profile)?;
    let last = reader.es(length, Location::FinalVector)?;
    transcript.absorb_e(Labels::FINAL, &last);
    let oracle = previous.ok_or(OpeningError::Profile)?;
    let rows = oracle_rows(&oracle, &mut reader, transcript)?;
    reader.finish()?;
    let points: Vec<F> = rows.iter().map(|row| row.x).collect();
    for (row, expected) in rows.iter().zip(evaluate_at(&last, &points)) {
        if row.value != expected && !veritune_mutation::off("opening-final-row") {
            return Err(OpeningError::FinalRow { position: row.position });
        }
    }
    if all.inner_product(&last) == claim || veritune_mutation::off("opening-final-claim") {
        Ok(())
    } else {
        Err(OpeningError::FinalClaim)
    }
}

fn check_statement(profile: &Profile, trees: &[(TreeShape, Root)]) -> Result<u32, OpeningError> {
    let count = trees.len();
    let list = |problem| OpeningError::Statement { tree: count, problem };
    if count == 0 || count > MAX_TREES {
        return Err(list(ShapeError::TreeCount(count)));
    }
    for (tree, (shape, root)) in trees.iter().enumerate() {
        shape.check(profile).map_err(|problem| OpeningError::Statement { tree, problem })?;
        if shape.hash == TreeHash::Poseidon2 {
            elements(&root.0, Location::TreeRoot { tree }, 0)?;
        }
    }
    let masked = trees.iter().filter(|(shape, _)| shape.masked).count();
    if masked != 1 {
        return Err(list(ShapeError::MaskedCount(masked)));
    }
    Ok(trees.iter().map(|(shape, _)| shape.log_columns).max().unwrap_or(0))
}

/// Reduces the claim of a level round by round; returns the last claim and the challenges.
fn sumcheck(
    reader: &mut Reader<'_>,
    transcript: &mut Transcript,
    mut claim: E,
    num_rounds: u32,
    level: usize,
) -> Result<(E, Vec<E>), OpeningError> {
    let mut challenges = Vec::with_capacity(size(num_rounds));
    for round in 0..num_rounds {
        let at = Location::LevelSumcheck { level, round };
        let constant = reader.e(at)?;
        let leading = reader.e(at)?;
        transcript.absorb_e(Labels::FOLD, &[constant, leading]);
        let challenge = transcript.challenge_e(Labels::FOLD);
        // h(1) = claim - h(0) fixes the middle coefficient.
        let middle = claim - constant.double() - leading;
        claim = constant + challenge * (middle + challenge * leading);
        challenges.push(challenge);
    }
    Ok((claim, challenges))
}

/// A count that fits every target; profiles bound it far below.
pub(crate) fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
