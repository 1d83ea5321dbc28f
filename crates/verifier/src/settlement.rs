//! Settlement: every value that the proofs read from the public base is the base's.
//!
//! Statement: for all steps in order, all claims `<w, base> = value` hold for the committed base. The claims of a step
//! are fixed by its proof's bytes, whose digest is absorbed with the values; one challenge combines all claims, one
//! opening shows the combination. Missing, repeated or reordered steps change the transcript. Soundness: number of
//! claims / |E| + opening.

use crate::proof::ROOT_BYTES;
use crate::statement::{Run, base_root};
use veritune_argument::{BaseClaim, Joint, Part};
use veritune_commit::{OpeningError, Profile, Root, TreeShape, tree_point, verify_opening};
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

/// Why a settlement is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettlementRefused {
    /// The bytes end before the root of the base's tree.
    #[error("VT-PROOF-001: the settlement has {got} bytes, its fixed part needs {expected}")]
    Truncated {
        /// Least number of bytes.
        expected: usize,
        /// Bytes received.
        got: usize,
    },
    /// The bytes do not begin with the root of the base's tree.
    #[error("VT-PROOF-004: the settlement is not of the base that the run names")]
    Base,
    /// The opening is refused.
    #[error(transparent)]
    Opening(#[from] OpeningError),
}

impl SettlementRefused {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "VT-PROOF-001",
            Self::Base => "VT-PROOF-004",
            Self::Opening(error) => error.code(),
        }
    }
}

/// Checks a settlement of all `steps`: the root of the base's tree (32 bytes), then the opening.
pub fn verify(
    run: &Run,
    profile: &Profile,
    base: TreeShape,
    steps: &[StepClaims],
    bytes: &[u8],
) -> Result<(), SettlementRefused> {
    let truncated = SettlementRefused::Truncated { expected: ROOT_BYTES, got: bytes.len() };
    let (tree, opening) = bytes.split_first_chunk::<ROOT_BYTES>().ok_or(truncated)?;
    veritune_mutation::field(|| "base tree".to_owned(), 0, ROOT_BYTES);
    let tree = Root(*tree);
    if base_root(&run.spec, &tree) != run.base && !veritune_mutation::off("VT-PROOF-004") {
        return Err(SettlementRefused::Base);
    }
    let (joint, mut transcript) = combine(run, steps);
    verify_opening(profile, &[(base, tree)], joint.target, opening, &mut transcript, |z| {
        let point = tree_point(z, &base);
        let mut points: [&[E]; veritune_argument::NUM_PLACES] = [&[]; veritune_argument::NUM_PLACES];
        if let Some(slot) = points.last_mut() {
            *slot = &point;
        }
        joint.weights_at(&points).last().map(|v| vec![*v]).unwrap_or_default()
    })?;
    Ok(())
}
