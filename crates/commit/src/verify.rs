//! The joint opening of several trees: messages and verification.
//!
//! Statement: `sum_o <w_o, f_o> = target`, where `f_o` has `2^(m_o + k_o)` entries, entry
//! `row * 2^(k_o) + column`; the column polynomials `sum_row f[row][column] X^row` are committed.
//!
//! The profile has `2^m` rows. A tree with fewer, `2^(m_o)`, stands for the polynomials `f(X^s)` with
//! `s = 2^(m - m_o)`: its row `r` is row `r s` of the profile, all others are zero, and position `p` of the
//! profile's domain is its leaf `p` modulo the number of its leaves.
//!
//! Messages, numbered as in the code:
//!  1. A sumcheck over `m + k_max` variables, row variables first, most significant first. A round
//!     sends `h(0)` and the leading coefficient of `h`; `h(1)` follows from the claim. A tree with
//!     `m_o < m` or `k_o < k_max` is multiplied by `1 - X` in each of the last `m - m_o` row rounds and of the first
//!     `k_max - k_o` column rounds.
//!  2. The values `v_o = f_o(z_o)` and `v_M = M(z_row)` of the mask; they must satisfy
//!     `sum_o s_o W_o(z_o) v_o = claim`, with `s_o` the product of the `1 - z` of the dummy rounds.
//!  3. A challenge gamma. `y = M + sum_o gamma^(o+1) sum_c eq(z_col_o, c) f_o[., c]` has the claim
//!     `<eq(z_row), y> = v_M + sum_o gamma^(o+1) t_o v_o`, with `t_o` the product of the `1 - z` of the last `m - m_o`
//!     row rounds.
//!  4. For each level: the root of `y` written as a matrix (column = high bits) and encoded at the rate
//!     of the level; then rows of the previous oracle at random leaves, each giving one claim
//!     `<(x^b)_b, y> = value`; a challenge beta that combines all claims; a sumcheck over the column
//!     variables. The columns folded at its challenges are the next `y`.
//!  5. The last `y` in clear, then rows of the last oracle, checked one by one, and the combined claim.
//!
//! Zero knowledge of 3 to 5: the mask M is uniform with all its `2^m` coefficients, used once, so `y` is
//! uniform under the one linear relation with the values already sent, whatever the `f_o` are. A
//! simulator draws `y`, draws the opened rows of the `f_o` uniformly (the random rows of each column
//! make any `queries * budget` evaluations uniform) and solves for the opened values of M. The oracles
//! of `y` need no salt: everything in them is a function of the uniform `y`. *Messages 1 and 2 are
//! not masked here*: their scalars are functions of the committed vectors. The masked sumcheck is a
//! separate task; until then an opening alone is sound but not zero-knowledge.
//!
//! Soundness: [`Profile::ledger`]. The rows need not be absorbed before beta: the root and the
//! positions fix them.
//!
//! Source: the crate's header.

use crate::error::{Location, OpeningError};
use crate::hash::{Digest, TreeHasher};
use crate::merkle::{leaf_point, root_of, sorted_unique};
use crate::profile::{Level, MAX_TREES, Profile};
use crate::reader::{Reader, elements, extensions};
use crate::shape::{Root, SALT_BYTES, ShapeError, TreeHash, TreeShape};
use crate::tensor::{EqWeight, PowerWeight, Weights, eq_table, evaluate_at};
use veritune_field::traits::{BasedVectorSpace, PrimeCharacteristicRing};
use veritune_field::{E, E_BYTES, F, F_BYTES};
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

    // 1. Sumcheck over rows and columns.
    let num_rounds = profile.log_rows().saturating_add(log_columns_max);
    let (claim, z) =
        sumcheck(&mut reader, transcript, target, num_rounds, Labels::SUMCHECK, |round| Location::Sumcheck { round })?;

    // 2. Values at the final point.
    let values = reader.es(trees.len(), Location::Values)?;
    let mask_value = reader.e(Location::Values)?;
    transcript.absorb_e(Labels::VALUES, &values);
    transcript.absorb_e(Labels::VALUES, &[mask_value]);
    let weights = weights_at(&z);
    if weights.len() != trees.len() {
        return Err(OpeningError::WeightCount { expected: trees.len(), got: weights.len() });
    }
    let num_rows = size(profile.log_rows());
    let mut combined = E::ZERO;
    for (((shape, _), &value), &weight) in trees.iter().zip(&values).zip(&weights) {
        combined += waited(&z, shape.waits(profile, log_columns_max)) * weight * value;
    }
    if combined != claim && !veritune_mutation::off("opening-sumcheck-claim") {
        return Err(OpeningError::SumcheckClaim);
    }

    // 3. One vector for all trees.
    let gamma = transcript.challenge_e(Labels::GAMMA);
    let mut claim = mask_value;
    let mut power = E::ONE;
    let mut coefficients = Vec::with_capacity(trees.len());
    for ((shape, _), &value) in trees.iter().zip(&values) {
        power *= gamma;
        claim += power * waited(&z, shape.log_rows..profile.log_rows()) * value;
        let point = tree_point(&z, shape);
        let columns: Vec<E> = point.into_iter().skip(size(shape.log_rows)).collect();
        coefficients.push(eq_table(&columns).into_iter().map(|v| v * power).collect::<Vec<E>>());
    }
    let point = z.iter().take(num_rows).copied().collect();
    let eq = EqWeight { coefficient: E::ONE, point };
    let mut all = Weights { eq, powers: Vec::new(), log_length: num_rows };

    // 4. Levels.
    let mut previous: Option<Oracle> = None;
    for (level, parameters) in (1_usize..).zip(profile.levels()) {
        let at = Location::LevelRoot { level };
        let root: [u8; 32] = reader.array(at)?;
        transcript.absorb(Labels::ROOT, &root);
        let rows = match &previous {
            None => tree_rows(profile, trees, &coefficients, &mut reader, transcript)?,
            Some(oracle) => oracle_rows(oracle, &mut reader, transcript)?,
        };
        let beta = transcript.challenge_e(Labels::BETA);
        let mut power = E::ONE;
        for row in &rows {
            power *= beta;
            claim += power * row.value;
            all.powers.push(PowerWeight { coefficient: power, x: row.x });
        }
        let (folded, challenges) =
            sumcheck(&mut reader, transcript, claim, parameters.log_columns, Labels::FOLD, |round| {
                Location::LevelSumcheck { level, round }
            })?;
        claim = folded;
        all.fold(&challenges);
        previous = Some(Oracle { level, parameters: *parameters, root, fold: eq_table(&challenges) });
    }

    // 5. The last vector: every row of the last oracle, then the combined claim.
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

/// What later queries need of the oracle of a level.
struct Oracle {
    level: usize,
    parameters: Level,
    root: [u8; 32],
    fold: Vec<E>,
}

/// One opened leaf, folded to the value of the next vector's polynomial at `x`.
struct FoldedRow {
    position: u64,
    x: F,
    value: E,
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

/// Reduces the claim `sum of h over {0, 1}` round by round; returns the last claim and the challenges.
fn sumcheck(
    reader: &mut Reader<'_>,
    transcript: &mut Transcript,
    mut claim: E,
    num_rounds: u32,
    label: &str,
    at: impl Fn(u32) -> Location,
) -> Result<(E, Vec<E>), OpeningError> {
    let mut challenges = Vec::with_capacity(size(num_rounds));
    for round in 0..num_rounds {
        let constant = reader.e(at(round))?;
        let leading = reader.e(at(round))?;
        transcript.absorb_e(label, &[constant, leading]);
        let challenge = transcript.challenge_e(label);
        // h(1) = claim - h(0) fixes the middle coefficient.
        let middle = claim - constant.double() - leading;
        claim = constant + challenge * (middle + challenge * leading);
        challenges.push(challenge);
    }
    Ok((claim, challenges))
}

/// Opens all trees of the statement at the same random leaves.
fn tree_rows(
    profile: &Profile,
    trees: &[(TreeShape, Root)],
    coefficients: &[Vec<E>],
    reader: &mut Reader<'_>,
    transcript: &mut Transcript,
) -> Result<Vec<FoldedRow>, OpeningError> {
    let mut rows = draw_rows(transcript, profile.queries(), profile.log_domain());
    let positions: Vec<u64> = rows.iter().map(|row| row.position).collect();
    for (tree, ((shape, root), coefficients)) in trees.iter().zip(coefficients).enumerate() {
        let hasher = TreeHasher::new(shape.hash);
        let opened = shape.leaves(profile, &positions);
        let mut sent = Vec::with_capacity(opened.len());
        let mut values = Vec::with_capacity(opened.len());
        for &position in &opened {
            let at = Location::Row { level: 0, tree, position };
            let bytes = reader.bytes(shape.row_bytes(), at)?;
            let offset = reader.offset();
            let (data, salt) = bytes.split_at(bytes.len().saturating_sub(SALT_BYTES));
            let data = elements(data, at, offset)?;
            if shape.hash == TreeHash::Poseidon2 {
                elements(salt, at, offset)?;
            }
            sent.push(bytes);
            let (columns, mask) = data.split_at(shape.num_columns().min(data.len()));
            trace_row(reader, at, shape);
            let value = coefficients.iter().zip(columns).map(|(&c, &f)| c * f).sum::<E>();
            values.push(value + E::from_basis_coefficients_slice(mask).unwrap_or(E::ZERO));
        }
        for row in &mut rows {
            let leaf = opened.binary_search(&shape.leaf(profile, row.position));
            row.value += leaf.ok().and_then(|i| values.get(i)).copied().ok_or(OpeningError::Profile)?;
        }
        let at = Location::Siblings { level: 0, tree };
        let leaves = leaves(&hasher, &opened, &sent, reader, at)?;
        if root_of(&hasher, leaves, shape.log_domain(profile), reader, at)? != Some(root.0) && !rootless() {
            return Err(OpeningError::RootMismatch { level: 0, tree });
        }
    }
    Ok(rows)
}

/// Records columns, mask and salt of the row that was read last.
fn trace_row(reader: &Reader<'_>, at: Location, shape: &TreeShape) {
    let mut back = shape.row_bytes();
    let mask = if shape.masked { E_BYTES } else { 0 };
    for (part, len) in [("columns", shape.num_columns().saturating_mul(F_BYTES)), ("mask", mask), ("salt", SALT_BYTES)]
    {
        if len > 0 {
            reader.read(|| format!("{} {part}", at.field()), len, back);
        }
        back = back.saturating_sub(len);
    }
}

/// Whether a test has switched the comparison with roots off.
fn rootless() -> bool {
    veritune_mutation::off("opening-root-mismatch")
}

/// Opens the oracle of a level at random leaves.
fn oracle_rows(
    oracle: &Oracle,
    reader: &mut Reader<'_>,
    transcript: &mut Transcript,
) -> Result<Vec<FoldedRow>, OpeningError> {
    let level = oracle.level;
    let log_domain = oracle.parameters.log_domain();
    let row_bytes = oracle.fold.len().saturating_mul(E_BYTES);
    let mut rows = draw_rows(transcript, oracle.parameters.queries, log_domain);
    let hasher = TreeHasher::Blake3;
    let mut sent = Vec::with_capacity(rows.len());
    for row in &mut rows {
        let at = Location::Row { level, tree: 0, position: row.position };
        let bytes = reader.bytes(row_bytes, at)?;
        sent.push(bytes);
        reader.read(|| at.field(), row_bytes, row_bytes);
        let entries = extensions(bytes, at, reader.offset())?;
        row.value = oracle.fold.iter().zip(entries).map(|(&c, entry)| c * entry).sum();
    }
    let at = Location::Siblings { level, tree: 0 };
    let positions: Vec<u64> = rows.iter().map(|row| row.position).collect();
    let leaves = leaves(&hasher, &positions, &sent, reader, at)?;
    if root_of(&hasher, leaves, log_domain, reader, at)? != Some(oracle.root) && !rootless() {
        return Err(OpeningError::RootMismatch { level, tree: 0 });
    }
    Ok(rows)
}

/// The digests of the rows as they were sent, with their positions.
fn leaves(
    hasher: &TreeHasher,
    positions: &[u64],
    sent: &[&[u8]],
    reader: &Reader<'_>,
    at: Location,
) -> Result<Vec<(u64, Digest)>, OpeningError> {
    let offset = reader.offset();
    let digests = hasher.leaves(sent).map_err(|_| OpeningError::NotCanonical { at, offset })?;
    Ok(positions.iter().copied().zip(digests).collect())
}

fn draw_rows(transcript: &mut Transcript, queries: u32, log_domain: u32) -> Vec<FoldedRow> {
    let drawn = transcript.challenge_indices(Labels::POSITIONS, size(queries), log_domain);
    sorted_unique(drawn)
        .into_iter()
        .map(|position| FoldedRow { position, x: leaf_point(position, log_domain), value: E::ZERO })
        .collect()
}

/// A count that fits every target; profiles bound it far below.
fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
