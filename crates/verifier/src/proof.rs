//! One proof of a program: witness root, argument, joint opening.
//!
//! Bytes: root of the fresh witness tree (32), the argument's scalars (24 each, as many as the program fixes), the
//! opening (the rest, whose length the profile fixes).
//!
//! Statement: the trees hold vectors that satisfy the program. Messages: witness root; argument, masked by pads in the
//! witness vector (its challenges come after every root); joint opening of all trees at the argument's one functional.
//! Soundness: the sum of the argument's and the opening's terms, see [`crate::ledger`].

use crate::known::Known;
use veritune_argument::{Argument, ArgumentError, BaseClaim, Joint, NUM_PLACES, WITNESS_PLACE};
use veritune_commit::{OpeningError, Profile, Root, TreeShape, tree_point, verify_opening};
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_field::{E, E_BYTES};
use veritune_transcript::Transcript;

/// Where the values of a place other than the witness come from.
#[derive(Debug, Clone)]
pub enum Source<'a> {
    /// A committed tree.
    Tree(TreeShape, Root),
    /// A vector that the verifier has itself.
    Known(&'a Known),
}

/// A place and its source.
pub type Placed<'a> = (usize, Source<'a>);

/// Why a proof is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The bytes end before the witness root and the scalars.
    #[error("VT-PROOF-001: the proof has {got} bytes, its fixed part needs {expected}")]
    Truncated {
        /// Least number of bytes.
        expected: usize,
        /// Bytes received.
        got: usize,
    },
    /// A claim is on a place that the statement does not have.
    #[error("VT-PROOF-002: the program weighs place {0}, which the statement does not have")]
    Place(usize),
    /// The argument is refused.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// The opening is refused.
    #[error(transparent)]
    Opening(#[from] OpeningError),
}

impl ProofError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "VT-PROOF-001",
            Self::Place(_) => "VT-PROOF-002",
            Self::Argument(error) => error.code(),
            Self::Opening(error) => error.code(),
        }
    }
}

/// Bytes of a root.
pub(crate) const ROOT_BYTES: usize = 32;

/// Bytes of the scalars of a proof.
pub fn scalar_bytes(argument: &Argument<'_>) -> usize {
    argument.wiring.num_masked_scalars().saturating_mul(E_BYTES)
}

/// Binds a transcript to the witness root; prover and verifier.
pub fn absorb_witness(transcript: &mut Transcript, root: &Root) {
    transcript.absorb("witness root", &root.0);
}

/// The target of the opening: the joint target less what the known vectors contribute.
pub fn opening_target(joint: &Joint, placed: &[Placed<'_>]) -> E {
    let known = placed.iter().filter_map(|(place, source)| match source {
        Source::Known(vector) => Some(vector.value(&joint.parts, *place)),
        Source::Tree(..) => None,
    });
    joint.target - known.sum::<E>()
}

/// Checks a proof and returns its claims on the base.
///
/// *Caller must* have absorbed all public inputs and the roots of `placed`, and settle the returned claims.
pub fn verify(
    argument: &Argument<'_>,
    profile: &Profile,
    witness: TreeShape,
    placed: &[Placed<'_>],
    bytes: &[u8],
    transcript: &mut Transcript,
) -> Result<Vec<BaseClaim>, ProofError> {
    let scalar_bytes = scalar_bytes(argument);
    let expected = scalar_bytes.saturating_add(ROOT_BYTES);
    let truncated = || ProofError::Truncated { expected, got: bytes.len() };
    let (root, rest) = bytes.split_first_chunk::<ROOT_BYTES>().ok_or_else(truncated)?;
    veritune_mutation::field(|| "witness root".to_owned(), 0, ROOT_BYTES);
    let (scalars, opening) = rest.split_at_checked(scalar_bytes).ok_or_else(truncated)?;
    let root = Root(*root);
    absorb_witness(transcript, &root);
    let (joint, base_claims) = argument.verify_masked(scalars, transcript)?;

    let mut trees = vec![(WITNESS_PLACE, witness, root)];
    for (place, source) in placed {
        if let Source::Tree(shape, root) = source {
            trees.push((*place, *shape, *root));
        }
    }
    let has_place = |place: usize| place == WITNESS_PLACE || placed.iter().any(|(p, _)| *p == place);
    if let Some(part) = joint.parts.iter().find(|p| !has_place(p.place))
        && !veritune_mutation::off("VT-PROOF-002")
    {
        return Err(ProofError::Place(part.place));
    }
    let statement: Vec<_> = trees.iter().map(|(_, shape, root)| (*shape, *root)).collect();
    let target = opening_target(&joint, placed);
    verify_opening(profile, &statement, target, opening, transcript, |z| {
        let points: Vec<Vec<E>> = trees.iter().map(|(_, shape, _)| tree_point(z, shape)).collect();
        let mut by_place: [&[E]; NUM_PLACES] = [&[]; NUM_PLACES];
        for ((place, _, _), point) in trees.iter().zip(&points) {
            if let Some(slot) = by_place.get_mut(*place) {
                *slot = point;
            }
        }
        let values = joint.weights_at(&by_place);
        trees.iter().map(|(place, _, _)| values.get(*place).copied().unwrap_or(E::ZERO)).collect()
    })?;
    Ok(base_claims)
}
