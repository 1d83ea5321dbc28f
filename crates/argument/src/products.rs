//! Products of evaluations, which prover and verifier make in the same order.

use crate::check::ArgumentError;
use crate::context::{Arithmetic, Linear};
use veritune_field::E;
use veritune_field::traits::PrimeCharacteristicRing;

/// A value that the verifier knows or that the prover sent.
#[derive(Debug, Clone, Copy)]
pub enum Value<S> {
    /// Known to both.
    Known(E),
    /// Sent by the prover.
    Sent(S),
}

/// `constant + slope * value`: what a product is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<S> {
    pub(crate) constant: E,
    pub(crate) slope: E,
    pub(crate) value: Value<S>,
}

impl<S> From<Value<S>> for Line<S> {
    fn from(value: Value<S>) -> Self {
        Self { constant: E::ZERO, slope: E::ONE, value }
    }
}

/// A product of lines so far. A scalar that was sent can be multiplied at once; what came out of a multiplication has to be
/// sent first.
pub(crate) enum Product<A: Arithmetic> {
    Known(E),
    /// Constant and slope of a scalar that was sent.
    Line([E; 2], A::Sent),
    /// The result of a multiplication.
    Scalar(A::Scalar),
}

impl<A: Arithmetic> Clone for Product<A> {
    fn clone(&self) -> Self {
        match self {
            Self::Known(value) => Self::Known(*value),
            Self::Line(line, sent) => Self::Line(*line, *sent),
            Self::Scalar(scalar) => Self::Scalar(scalar.clone()),
        }
    }
}

impl<A: Arithmetic> Product<A> {
    pub(crate) const ONE: Self = Self::Known(E::ONE);

    /// The product as a scalar.
    pub(crate) fn scalar(self) -> A::Scalar {
        match self {
            Self::Known(value) => A::Scalar::known(value),
            Self::Line([constant, slope], sent) => A::Scalar::known(constant) + A::Scalar::from(sent).scaled(slope),
            Self::Scalar(scalar) => scalar,
        }
    }

    /// The product with one more factor. What has to be sent for it, under `label`, stays in `self`, so that it is sent once.
    pub(crate) fn times(
        &mut self,
        factor: Line<A::Sent>,
        label: &'static str,
        arithmetic: &mut A,
    ) -> Result<Self, ArgumentError> {
        let (c, t) = (factor.constant, factor.slope);
        let sent = match factor.value {
            Value::Known(value) => {
                let scale = c + t * value;
                return Ok(match self {
                    Self::Known(product) => Self::Known(*product * scale),
                    Self::Line(line, sent) => Self::Line(line.map(|l| l * scale), *sent),
                    Self::Scalar(scalar) => Self::Scalar(scalar.clone().scaled(scale)),
                });
            }
            Value::Sent(sent) => sent,
        };
        if let Self::Scalar(scalar) = self {
            *self = Self::Line([E::ZERO, E::ONE], arithmetic.hold(label, scalar.clone())?);
        }
        Ok(match *self {
            Self::Line([d, u], held) => {
                let linear =
                    A::Scalar::known(c * d) + A::Scalar::from(held).scaled(u * c) + A::Scalar::from(sent).scaled(d * t);
                Self::Scalar(linear + arithmetic.mul(held, sent).scaled(u * t))
            }
            Self::Known(product) => Self::Line([product * c, product * t], sent),
            // Held above.
            Self::Scalar(_) => Self::Known(E::ZERO),
        })
    }
}
