//! Proves that committed vectors satisfy a program: the prover of [`veritune_argument`].
//!
//! Order: lookups, equations, one-hots; then the verifier runs on the scalars that were sent and hands over the
//! joint functional, so that there is one definition of it.
//!
//! Cost: the lookups touch each leaf a few times; a product term touches its tables once in the base field and
//! then half as much in the challenge field; everything else is linear in the axis lengths.

mod bind;
mod channel;
mod dense;
mod equations;
mod expression;
mod fractions;
mod leaves;
mod one_hots;
mod pads;
mod products;
mod table;
mod witness;

pub use channel::{Channel, MaskedChannel, NativeChannel};
pub use dense::dense_weights;
pub use pads::Pads;
pub use witness::{Multiplicities, multiplicities, place_vector, place_vectors, witness_vector};

use veritune_argument::lookups::Fingerprint;
use veritune_argument::{Argument, ArgumentError, BaseClaim, Labels, Part};
use veritune_field::{E, F};
use veritune_transcript::Transcript;

/// A proof and what the joint opening needs.
#[derive(Debug, Clone)]
pub struct ArgumentProof {
    /// All scalars, canonical bytes.
    pub scalars: Vec<u8>,
    /// The joint functional; [`dense_weights`] expands it.
    pub parts: Vec<Part>,
    /// Its value.
    pub target: E,
    /// Claims on the base model, to be settled later.
    pub base_claims: Vec<BaseClaim>,
}

/// Sends all scalars of the argument into `channel`.
///
/// `tensors` are dense values over active indices, row-major, per tensor; those of public and virtual tensors are
/// not read. `witness` is the committed witness vector, of which the multiplicities are read.
pub fn prove_into<C: Channel, T: AsRef<[i64]>>(argument: &Argument<'_>, witness: &[F], tensors: &[T], channel: &mut C) {
    let tensors = &witness::slices(tensors);
    let Argument { program, layout, plan, .. } = argument;
    let alpha = channel.challenge(Labels::LOOKUP_ALPHA);
    let beta = channel.challenge(Labels::LOOKUP_BETA);
    let leaves = leaves::leaves(program, layout, plan, Fingerprint { alpha, beta }, tensors, witness);
    let point = fractions::prove(leaves, channel);
    leaves::send_base_values(program, tensors, plan, &point, channel);
    equations::prove(program, plan, tensors, channel);
}

/// Proves the program for committed vectors, behind the pads that the witness vector ends with.
///
/// *Caller must* have absorbed the protocol, all public inputs and the roots of all vectors into `transcript`, and use
/// `pads` for nothing else. A false witness gives a proof that no opening completes.
pub fn prove<T: AsRef<[i64]>>(
    argument: &Argument<'_>,
    witness: &[F],
    tensors: &[T],
    pads: &Pads,
    transcript: &mut Transcript,
) -> Result<ArgumentProof, ArgumentError> {
    let mut replay = transcript.clone();
    let mut channel = MaskedChannel::new(transcript, &argument.wiring, pads);
    prove_into(argument, witness, tensors, &mut channel);
    let scalars = channel.finish();
    let (joint, base_claims) = argument.verify_masked(&scalars, &mut replay)?;
    *transcript = replay;
    Ok(ArgumentProof { scalars, parts: joint.parts, target: joint.target, base_claims })
}

/// GKR of a sum of fractions by itself; at least one run of leaves, a power of two.
#[cfg(feature = "kernels")]
pub(crate) fn fraction_sum<C: Channel>(numerators: &[F], denominators: &[E], channel: &mut C) {
    use fractions::{Chunk, Leaves, Run};
    let units = veritune_argument::Units::new(denominators.len());
    let leaves = Leaves::new(&units, E::default(), |position, _| {
        let p = Run::from_fn(|i| numerators[position + i].into());
        Chunk::General(Box::new([p, Run::from_fn(|i| denominators[position + i])]))
    });
    fractions::prove(leaves, channel);
}

#[cfg(test)]
mod tests;
