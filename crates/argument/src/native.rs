//! The native interpreter: scalars are elements, read from the proof and absorbed.

use crate::check::{ArgumentError, CheckId};
use crate::context::{BaseClaim, Context, Labels};
use crate::functional::{Evaluator, Functional, NUM_PLACES, Part};
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_field::{E, E_BYTES, e_from_bytes, e_reduced};
use veritune_transcript::Transcript;

/// All claims of an argument as one: `sum of parts over all places = target`.
#[derive(Debug, Clone, Default)]
pub struct Joint {
    /// The parts of the functional; after [`merge`](Self::merge), no two that differ in their scales only.
    pub parts: Vec<Part>,
    /// Its value.
    pub target: E,
}

impl Joint {
    /// Makes one part of those that weigh the same slots in the same proportions: a block that several look-ups read
    /// has a claim of each at the same point.
    pub fn merge(&mut self) {
        self.parts.sort_by_key(|part| (part.place, part.offset));
        let mut merged: Vec<Part> = Vec::with_capacity(self.parts.len());
        for part in self.parts.drain(..) {
            let here = |other: &&mut Part| (other.place, other.offset) == (part.place, part.offset);
            match merged.iter_mut().rev().take_while(here).find(|other| other.axes == part.axes) {
                Some(other) => other.scale += part.scale,
                None => merged.push(part),
            }
        }
        self.parts = merged;
    }

    /// Per place, `sum over slots of weight(slot) eq(point, slot)` at that place's point.
    pub fn weights_at(&self, points: &[&[E]; NUM_PLACES]) -> [E; NUM_PLACES] {
        let mut values = [E::ZERO; NUM_PLACES];
        for (place, (value, point)) in values.iter_mut().zip(points).enumerate() {
            let mut evaluator = Evaluator::new(point);
            *value = self.parts.iter().filter(|p| p.place == place).map(|p| evaluator.part(p)).sum();
        }
        values
    }
}

/// Checks an argument natively.
#[derive(Debug)]
pub struct NativeCheck<'a> {
    scalars: &'a [[u8; E_BYTES]],
    next: usize,
    transcript: &'a mut Transcript,
    claims: Vec<(Functional, E)>,
    base_claims: Vec<BaseClaim>,
}

impl<'a> NativeCheck<'a> {
    /// A check of `proof`, which must hold exactly `num_scalars` scalars.
    ///
    /// *Caller must* have absorbed the protocol, all public inputs and all roots.
    pub fn new(proof: &'a [u8], num_scalars: usize, transcript: &'a mut Transcript) -> Result<Self, ArgumentError> {
        let expected = num_scalars.saturating_mul(E_BYTES);
        if proof.len() != expected && !veritune_mutation::off("VT-ARG-010") {
            return Err(ArgumentError::Length { expected, got: proof.len() });
        }
        Ok(Self { scalars: proof.as_chunks().0, next: 0, transcript, claims: Vec::new(), base_claims: Vec::new() })
    }

    /// Combines all claims by powers of one more challenge; the base claims are left to the caller.
    pub fn finish(self) -> Result<(Joint, Vec<BaseClaim>), ArgumentError> {
        let expected = self.scalars.len().saturating_mul(E_BYTES);
        if self.next != self.scalars.len() && !veritune_mutation::off("VT-ARG-010") {
            return Err(ArgumentError::Length { expected: self.next.saturating_mul(E_BYTES), got: expected });
        }
        let gamma = self.transcript.challenge_e(Labels::JOINT_GAMMA);
        let mut joint = Joint::default();
        let mut power = E::ONE;
        for (functional, value) in self.claims {
            joint.target += power * (value - functional.constant);
            joint.parts.extend(functional.parts.into_iter().map(|p| Part { scale: p.scale * power, ..p }));
            power *= gamma;
        }
        joint.merge();
        Ok((joint, self.base_claims))
    }

    fn next(&mut self, label: &'static str) -> Result<E, ArgumentError> {
        let index = self.next;
        let bytes = self.scalars.get(index).ok_or(ArgumentError::Missing { index })?;
        veritune_mutation::field(|| label.to_owned(), index.saturating_mul(E_BYTES), E_BYTES);
        let value = match e_from_bytes(*bytes) {
            Ok(value) => value,
            Err(_) if veritune_mutation::off("VT-ARG-011") => e_reduced(*bytes),
            Err(_) => return Err(ArgumentError::NotCanonical { index }),
        };
        self.transcript.absorb_e(label, &[value]);
        self.next = index.saturating_add(1);
        Ok(value)
    }
}

impl Context for NativeCheck<'_> {
    type Scalar = E;

    fn read(&mut self, label: &'static str) -> Result<E, ArgumentError> {
        self.next(label)
    }
    fn read_public(&mut self, label: &'static str) -> Result<E, ArgumentError> {
        self.next(label)
    }
    fn challenge(&mut self, label: &'static str) -> E {
        self.transcript.challenge_e(label)
    }
    fn mul(&mut self, a: &E, b: &E) -> E {
        *a * *b
    }
    fn assert_zero(&mut self, check: CheckId, step: usize, value: &E) -> Result<(), ArgumentError> {
        if *value == E::ZERO || veritune_mutation::off(check.code()) {
            Ok(())
        } else {
            Err(ArgumentError::Refused { check, step, index: self.next })
        }
    }
    fn claim(&mut self, functional: Functional, value: E) {
        self.claims.push((functional, value));
    }
    fn base_claim(&mut self, claim: BaseClaim) {
        self.base_claims.push(claim);
    }
}
