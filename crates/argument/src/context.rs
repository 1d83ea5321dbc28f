//! The context that the one verifier runs over.
//!
//! The verifier is written once, in terms of scalars that the prover sent. What a scalar is (an element, a masked
//! element in affine form, a wire of a circuit, nothing at all) is the interpreter's business: scalars are used
//! linearly, except in [`Arithmetic::mul`], which takes two scalars that were sent as they are.

use crate::check::{ArgumentError, CheckId};
use crate::functional::{Functional, Part};
use std::ops::{Add, Sub};
use veritune_field::E;

/// A value that is linear in what the prover sent and in products of two such scalars.
pub trait Linear: Clone + Add<Output = Self> + Sub<Output = Self> {
    /// A value that the verifier knows.
    fn known(value: E) -> Self;
    /// The value times a factor that the verifier knows.
    fn scaled(self, factor: E) -> Self;
}

impl Linear for E {
    fn known(value: E) -> Self {
        value
    }
    fn scaled(self, factor: E) -> Self {
        self * factor
    }
}

/// What prover and verifier compute alike from scalars that were sent.
pub trait Arithmetic {
    /// A scalar that the prover sent.
    type Sent: Copy;
    /// A combination of such.
    type Scalar: Linear + From<Self::Sent>;

    /// The product of two scalars.
    fn mul(&mut self, a: Self::Sent, b: Self::Sent) -> Self::Scalar;
    /// The value as a scalar that is sent by itself, so that it can be multiplied once more.
    fn hold(&mut self, label: &'static str, value: Self::Scalar) -> Result<Self::Sent, ArgumentError>;
}

/// A claim on the public base model: its functional has the value, to be settled by the caller.
#[derive(Debug, Clone)]
pub struct BaseClaim {
    /// The functional, over the base place only: its weights are points, since claims are kept until the settlement.
    pub parts: Vec<Part>,
    /// Its value, sent in clear.
    pub value: E,
}

/// An interpreter of the verifier.
pub trait Context: Arithmetic {
    /// Whether known values (public tables, weights) matter; if not, the verifier skips their evaluation.
    const NEEDS_VALUES: bool = true;

    /// The prover's next scalar, bound to the transcript.
    fn read(&mut self, label: &'static str) -> Result<Self::Sent, ArgumentError>;
    /// The prover's next scalar that hides nothing, bound to the transcript.
    fn read_public(&mut self, label: &'static str) -> Result<E, ArgumentError>;
    /// A challenge that depends on everything before.
    fn challenge(&mut self, label: &'static str) -> E;
    /// Refuses unless the value is zero; `step` locates it. A context in which values are hidden refuses later.
    fn assert_zero(&mut self, check: CheckId, step: usize, value: Self::Scalar) -> Result<(), ArgumentError>;
    /// Records that the functional of the committed vectors has this value.
    fn claim(&mut self, functional: Functional, value: Self::Scalar);
    /// Records a claim on the base model.
    fn base_claim(&mut self, claim: BaseClaim);

    /// Reads a scalar that must be `value`: what [`Arithmetic::hold`] is for every context.
    fn read_held(&mut self, label: &'static str, value: Self::Scalar) -> Result<Self::Sent, ArgumentError> {
        let held = self.read(label)?;
        self.assert_zero(CheckId::Held, 0, value - held.into())?;
        Ok(held)
    }
}

/// Labels of the transcript, shared with the prover.
pub struct Labels;

impl Labels {
    /// Challenge that separates denominators.
    pub const LOOKUP_ALPHA: &'static str = "lookup alpha";
    /// Challenge that combines columns.
    pub const LOOKUP_BETA: &'static str = "lookup beta";
    /// The four values at the bottom of a layer, and the challenge that merges them.
    pub const LOOKUP_VALUES: &'static str = "lookup values";
    /// Challenge that combines numerator and denominator claims.
    pub const LOOKUP_LAMBDA: &'static str = "lookup lambda";
    /// A round of a lookup layer.
    pub const LOOKUP_ROUND: &'static str = "lookup round";
    /// The value of a base tensor in a lookup.
    pub const LOOKUP_BASE: &'static str = "lookup base value";
    /// A coordinate of an axis point.
    pub const EQUATION_RHO: &'static str = "equation rho";
    /// Challenge that combines equations.
    pub const EQUATION_DELTA: &'static str = "equation delta";
    /// The sum of all product terms.
    pub const EQUATION_SUM: &'static str = "equation sum";
    /// A round of the equation sumcheck.
    pub const EQUATION_ROUND: &'static str = "equation round";
    /// The evaluation of a factor.
    pub const EQUATION_FACTOR: &'static str = "equation factor";
    /// A product of two factors that is multiplied by a third.
    pub const EQUATION_PRODUCT: &'static str = "equation product";
    /// The value of a base tensor.
    pub const EQUATION_BASE: &'static str = "equation base value";
    /// Challenge that combines one-hot claims.
    pub const ONE_HOT_ETA: &'static str = "one-hot eta";
    /// A round of the one-hot sumcheck.
    pub const ONE_HOT_ROUND: &'static str = "one-hot round";
    /// The evaluation of a bit or a flag.
    pub const ONE_HOT_VALUE: &'static str = "one-hot value";
    /// A product of bits that is multiplied by another.
    pub const ONE_HOT_PRODUCT: &'static str = "one-hot product";
    /// The point at which the products of pads are checked.
    pub const PRODUCT_POINT: &'static str = "product point";
    /// The value there of the polynomial of the products' left factors.
    pub const PRODUCT_LEFT: &'static str = "product left value";
    /// Challenge that combines all claims.
    pub const JOINT_GAMMA: &'static str = "joint gamma";
}
