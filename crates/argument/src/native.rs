//! The native interpreter: scalars are elements, sent as they are. It hides nothing; a proof that leaves is masked.

use crate::check::{ArgumentError, CheckId};
use crate::context::{Arithmetic, BaseClaim, Context, Labels};
use crate::functional::Functional;
use crate::joint::Joint;
use crate::scalars::Scalars;
use veritune_field::E;
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_transcript::Transcript;

/// Checks an argument natively.
#[derive(Debug)]
pub struct NativeCheck<'a> {
    scalars: Scalars<'a>,
    claims: Vec<(Functional, E)>,
    base_claims: Vec<BaseClaim>,
}

impl<'a> NativeCheck<'a> {
    /// A check of `proof`, which must hold exactly `num_scalars` scalars.
    ///
    /// *Caller must* have absorbed the protocol, all public inputs and all roots.
    pub fn new(proof: &'a [u8], num_scalars: usize, transcript: &'a mut Transcript) -> Result<Self, ArgumentError> {
        let scalars = Scalars::new(proof, num_scalars, transcript)?;
        Ok(Self { scalars, claims: Vec::new(), base_claims: Vec::new() })
    }

    /// Combines all claims by powers of one more challenge; the base claims are left to the caller.
    pub fn finish(self) -> Result<(Joint, Vec<BaseClaim>), ArgumentError> {
        self.scalars.finish()?;
        let gamma = self.scalars.transcript.challenge_e(Labels::JOINT_GAMMA);
        let mut joint = Joint::default();
        for ((functional, value), power) in self.claims.into_iter().zip(gamma.powers()) {
            joint.add(functional, value, power);
        }
        joint.merge();
        Ok((joint, self.base_claims))
    }
}

impl Arithmetic for NativeCheck<'_> {
    type Sent = E;
    type Scalar = E;

    fn mul(&mut self, a: E, b: E) -> E {
        a * b
    }
    fn hold(&mut self, label: &'static str, value: E) -> Result<E, ArgumentError> {
        self.read_held(label, value)
    }
}

impl Context for NativeCheck<'_> {
    fn read(&mut self, label: &'static str) -> Result<E, ArgumentError> {
        self.scalars.read(label)
    }
    fn read_public(&mut self, label: &'static str) -> Result<E, ArgumentError> {
        self.scalars.read(label)
    }
    fn challenge(&mut self, label: &'static str) -> E {
        self.scalars.transcript.challenge_e(label)
    }
    fn assert_zero(&mut self, check: CheckId, step: usize, value: E) -> Result<(), ArgumentError> {
        if value == E::ZERO || veritune_mutation::off(check.code()) {
            Ok(())
        } else {
            Err(ArgumentError::Refused { check, step, index: self.scalars.position() })
        }
    }
    fn claim(&mut self, functional: Functional, value: E) {
        self.claims.push((functional, value));
    }
    fn base_claim(&mut self, claim: BaseClaim) {
        self.base_claims.push(claim);
    }
}
