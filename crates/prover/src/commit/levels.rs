//! The recursion of an opening: steps 5 and 6 of `veritune_commit::verify_opening`.

use super::deviation::{Deviation, Queried};
use super::encode::transform;
use super::oracle::{Oracle, Proof, draw};
use super::sumcheck::ProductSumcheck;
use rayon::prelude::*;
use veritune_commit::{Labels, Profile};
use veritune_field::E;
use veritune_field::traits::{BasedVectorSpace, PrimeCharacteristicRing};
use veritune_transcript::Transcript;

/// Enough scalar work to hide the cost of scheduling.
const ELEMENTS_PER_TASK: usize = 1 << 12;

/// The claim `<weights, vector> = value` on the combination of all trees.
pub(super) struct Combination {
    pub(super) weights: Vec<E>,
    pub(super) vector: Vec<E>,
    pub(super) value: E,
}

/// Proves the claim; `write_rows` opens the trees at the positions that it gets.
pub(super) fn prove_combination(
    profile: &Profile,
    combination: Combination,
    transcript: &mut Transcript,
    proof: &mut Proof,
    deviation: &dyn Deviation,
    mut write_rows: impl FnMut(&[u64], &mut Proof),
) {
    let Combination { mut weights, mut vector, value: mut claim } = combination;

    // 5. Levels.
    let mut previous: Option<Oracle> = None;
    for (index, level) in profile.levels().iter().enumerate() {
        let (queries, log_domain) = match &previous {
            None => (profile.queries(), profile.log_domain()),
            Some(Oracle { level, .. }) => (level.queries, level.log_domain()),
        };
        let at = Queried { level: index + 1, transcript, queries, log_domain, weights: &weights, claim };
        deviation.vector(&at, &mut vector);
        let oracle = Oracle::new(level, &vector);
        transcript.absorb(Labels::ROOT, &oracle.merkle.root());
        proof.bytes.extend_from_slice(&oracle.merkle.root());
        let (log_domain, positions) = match &previous {
            None => {
                let log_domain = profile.log_domain();
                let positions = draw(transcript, profile.queries(), log_domain);
                write_rows(&positions, proof);
                (log_domain, positions)
            }
            Some(oracle) => (oracle.level.log_domain(), oracle.answer(transcript, proof)),
        };
        let beta = transcript.challenge_e(Labels::BETA);
        claim += add_query_weights(&mut weights, &vector, beta, &positions, log_domain);
        let mut product = ProductSumcheck::over_extension(weights, vector);
        for _ in 0..level.log_columns {
            let mut polynomial = product.polynomial();
            deviation.fold(transcript, &mut polynomial, &|| claim - product.claim());
            let challenge = round(transcript, proof, polynomial, &mut claim);
            product.bind(challenge);
        }
        (weights, vector) = product.into_parts();
        previous = Some(oracle);
        proof.mark(&format!("level {} root and sumcheck", index + 1));
    }

    // 6. The last vector.
    debug_assert!(dot(&weights, &vector) == claim || !deviation.is_honest());
    if let Some(Oracle { level, .. }) = &previous {
        let (number, log_domain) = (profile.levels().len() + 1, level.log_domain());
        let at = Queried { level: number, transcript, queries: level.queries, log_domain, weights: &weights, claim };
        deviation.vector(&at, &mut vector);
    }
    transcript.absorb_e(Labels::FINAL, &vector);
    proof.elements(&vector);
    proof.mark("final vector");
    if let Some(oracle) = previous {
        oracle.answer(transcript, proof);
        proof.mark("last oracle rows");
    }
}

/// Sends a round polynomial, draws its challenge and reduces the claim.
fn round(transcript: &mut Transcript, proof: &mut Proof, polynomial: [E; 2], claim: &mut E) -> E {
    transcript.absorb_e(Labels::FOLD, &polynomial);
    proof.elements(&polynomial);
    let challenge = transcript.challenge_e(Labels::FOLD);
    *claim = reduce(*claim, polynomial, challenge);
    challenge
}

/// `h(challenge)` for the round polynomial with `h(0) + h(1) = claim`.
pub(super) fn reduce(claim: E, [constant, leading]: [E; 2], challenge: E) -> E {
    let middle = claim - constant.double() - leading;
    constant + challenge * (middle + challenge * leading)
}

/// The positions of the trees' rows if `vector` is committed next.
pub(super) fn first_positions(profile: &Profile, vector: &[E], transcript: &Transcript) -> Vec<u64> {
    let mut transcript = transcript.clone();
    if let Some(level) = profile.levels().first() {
        transcript.absorb(Labels::ROOT, &Oracle::new(level, vector).merkle.root());
    }
    draw(&mut transcript, profile.queries(), profile.log_domain())
}

/// Adds the weights of the query claims to `weights`; returns the sum of their values.
///
/// The weight `sum_j beta^(j+1) x_j^b`, with `x_j` in a subgroup, is the transform of the vector that
/// holds `beta^(j+1)` at the exponent of `x_j`: no power is computed.
fn add_query_weights(weights: &mut [E], vector: &[E], beta: E, positions: &[u64], log_domain: u32) -> E {
    let mut sparse = vec![E::ZERO; 1 << log_domain];
    for (&position, power) in positions.iter().zip(beta.shifted_powers(beta)) {
        sparse[position as usize] = power;
    }
    let spread = E::reconstitute_from_base(transform(E::flatten_to_base(sparse), 3));
    weights
        .par_iter_mut()
        .zip(vector)
        .zip(&spread)
        .with_min_len(ELEMENTS_PER_TASK)
        .map(|((slot, &value), &weight)| {
            *slot += weight;
            weight * value
        })
        .reduce(|| E::ZERO, |a, b| a + b)
}

/// The inner product of vectors of one length.
pub(super) fn dot(a: &[E], b: &[E]) -> E {
    let pieces = a.par_chunks(ELEMENTS_PER_TASK).zip(b.par_chunks(ELEMENTS_PER_TASK));
    pieces.map(|(a, b)| veritune_field::dot(a, b)).reduce(|| E::ZERO, |a, b| a + b)
}
