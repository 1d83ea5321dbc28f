//! Settlement: every value that the proofs read from the public base is the base's.
//!
//! Statement: for all steps in order, all claims `<w, base> = value` hold for the committed base. The claims of a step
//! are fixed by its proof's bytes, whose digest is absorbed with the values; one challenge combines all claims, one
//! opening shows the combination. Missing, repeated or reordered steps change the transcript. Soundness: number of
//! claims / |E| + opening.

use crate::statement::Run;
use veritune_argument::{BaseClaim, Joint, Part};
use veritune_commit::{OpeningError, Profile, TreeShape, tree_point, verify_opening};
use veritune_field::E;
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_transcript::Transcript;

/// The claims of one step.
#[derive(Debug, Clone)]
pub struct StepClaims {
    /// The step, the first is 1.
    pub step: u64,
    /// BLAKE3 of the proof's bytes.
    pub proof_digest: [u8; 32],
    /// Its claims on the base.
    pub claims: Vec<BaseClaim>,
}

/// All claims as one, and the transcript after the challenge; prover and verifier.
pub fn combine(run: &Run, steps: &[StepClaims]) -> (Joint, Transcript) {
    let mut transcript = run.settlement_transcript();
    for step in steps {
        transcript.absorb_u64("settled step", step.step);
        transcript.absorb("settled proof", &step.proof_digest);
        for claim in &step.claims {
            transcript.absorb_e("settled value", &[claim.value]);
        }
    }
    let challenge = transcript.challenge_e("settlement challenge");
    let mut joint = Joint::default();
    let mut power = E::ONE;
    for claim in steps.iter().flat_map(|s| &s.claims) {
        joint.target += power * claim.value;
        joint.parts.extend(claim.parts.iter().map(|p| Part { scale: p.scale * power, ..p.clone() }));
        power *= challenge;
    }
    (joint, transcript)
}

/// Checks a settlement of all `steps`.
pub fn verify(
    run: &Run,
    profile: &Profile,
    base: TreeShape,
    steps: &[StepClaims],
    bytes: &[u8],
) -> Result<(), OpeningError> {
    let (joint, mut transcript) = combine(run, steps);
    verify_opening(profile, &[(base, run.base)], joint.target, bytes, &mut transcript, |z| {
        let point = tree_point(profile, z, base.log_columns);
        let mut points: [&[E]; veritune_argument::NUM_PLACES] = [&[]; veritune_argument::NUM_PLACES];
        if let Some(slot) = points.last_mut() {
            *slot = &point;
        }
        joint.weights_at(&points).last().map(|v| vec![*v]).unwrap_or_default()
    })
}
