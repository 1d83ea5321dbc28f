//! The pad counter: the verifier without a proof, noting what it would read and multiply.

use crate::check::{ArgumentError, CheckId};
use crate::context::{Arithmetic, BaseClaim, Context, Linear};
use crate::functional::Functional;
use crate::wiring::Wiring;
use std::ops::{Add, Sub};
use veritune_field::E;
use veritune_field::traits::PrimeCharacteristicRing;

/// Notes the wiring of a program's argument; a function of the program alone.
#[derive(Debug, Default)]
pub struct PadCounter {
    /// What was noted so far.
    pub wiring: Wiring,
    num_challenges: u64,
}

/// The number of a scalar that hides something, and so of its pad.
#[derive(Debug, Clone, Copy)]
pub struct PadNumber(pub(crate) usize);

/// A scalar without a value.
#[derive(Debug, Clone, Copy)]
pub struct Counted;

impl From<PadNumber> for Counted {
    fn from(_: PadNumber) -> Self {
        Self
    }
}

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

impl Arithmetic for PadCounter {
    type Sent = PadNumber;
    type Scalar = Counted;

    fn mul(&mut self, a: PadNumber, b: PadNumber) -> Counted {
        self.wiring.products.push([a.0, b.0]);
        Counted
    }
    fn hold(&mut self, label: &'static str, value: Counted) -> Result<PadNumber, ArgumentError> {
        self.read_held(label, value)
    }
}

impl Context for PadCounter {
    const NEEDS_VALUES: bool = false;

    fn read(&mut self, _: &'static str) -> Result<PadNumber, ArgumentError> {
        let number = self.wiring.num_pads;
        self.wiring.num_pads = number.saturating_add(1);
        Ok(PadNumber(number))
    }
    fn read_public(&mut self, _: &'static str) -> Result<E, ArgumentError> {
        self.wiring.num_public = self.wiring.num_public.saturating_add(1);
        Ok(E::ZERO)
    }
    fn challenge(&mut self, _: &'static str) -> E {
        // Any values do: nothing that is noted depends on them.
        self.num_challenges = self.num_challenges.saturating_add(1);
        E::from_u64(self.num_challenges)
    }
    fn assert_zero(&mut self, _: CheckId, _: usize, _: Counted) -> Result<(), ArgumentError> {
        self.wiring.num_equations = self.wiring.num_equations.saturating_add(1);
        Ok(())
    }
    fn claim(&mut self, _: Functional, _: Counted) {
        self.wiring.num_claims = self.wiring.num_claims.saturating_add(1);
    }
    fn base_claim(&mut self, _: BaseClaim) {
        self.wiring.num_base_claims = self.wiring.num_base_claims.saturating_add(1);
    }
}
