//! The pad counter: the verifier without a proof, counting what it would read and multiply.

use crate::check::{ArgumentError, CheckId};
use crate::context::{BaseClaim, Context, Linear};
use crate::functional::Functional;
use std::ops::{Add, Sub};
use veritune_field::E;
use veritune_field::traits::PrimeCharacteristicRing;

/// What a program's argument needs; a function of the program alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PadCounter {
    /// Scalars that hide something: one pad each.
    pub num_hidden: usize,
    /// Scalars sent in clear.
    pub num_public: usize,
    /// Products of scalars.
    pub num_products: usize,
    /// Claims on committed vectors.
    pub num_claims: usize,
    /// Claims on the base model.
    pub num_base_claims: usize,
    num_challenges: u64,
}

impl PadCounter {
    /// All scalars of the proof.
    pub const fn num_scalars(&self) -> usize {
        self.num_hidden.saturating_add(self.num_public)
    }
}

/// A scalar without a value.
#[derive(Debug, Clone, Copy)]
pub struct Counted;

impl Add for Counted {
    type Output = Self;
    fn add(self, _: Self) -> Self {
        Self
    }
}

impl Sub for Counted {
    type Output = Self;
    fn sub(self, _: Self) -> Self {
        Self
    }
}

impl Linear for Counted {
    fn known(_: E) -> Self {
        Self
    }
    fn scaled(self, _: E) -> Self {
        Self
    }
}

impl Context for PadCounter {
    type Scalar = Counted;
    const NEEDS_VALUES: bool = false;

    fn read(&mut self, _: &'static str) -> Result<Counted, ArgumentError> {
        self.num_hidden = self.num_hidden.saturating_add(1);
        Ok(Counted)
    }
    fn read_public(&mut self, _: &'static str) -> Result<E, ArgumentError> {
        self.num_public = self.num_public.saturating_add(1);
        Ok(E::ZERO)
    }
    fn challenge(&mut self, _: &'static str) -> E {
        // Any values do: nothing that is counted depends on them.
        self.num_challenges = self.num_challenges.saturating_add(1);
        E::from_u64(self.num_challenges)
    }
    fn mul(&mut self, _: &Counted, _: &Counted) -> Counted {
        self.num_products = self.num_products.saturating_add(1);
        Counted
    }
    fn assert_zero(&mut self, _: CheckId, _: usize, _: &Counted) -> Result<(), ArgumentError> {
        Ok(())
    }
    fn claim(&mut self, _: Functional, _: Counted) {
        self.num_claims = self.num_claims.saturating_add(1);
    }
    fn base_claim(&mut self, _: BaseClaim) {
        self.num_base_claims = self.num_base_claims.saturating_add(1);
    }
}
