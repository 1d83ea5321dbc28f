//! The masked interpreter: scalars hide behind one-time pads, and the checks become claims on the vector that holds the pads.
//!
//! Statement: for the vectors behind the roots there are scalars for which every check of the verifier holds.
//!
//! Source: the masked transcript of VEIL (ePrint 2026/683) and of Longfellow (ePrint 2024/2010).
//!
//! Messages, numbered as in the code; the elements are those of [`crate::wiring`]:
//!  1. A scalar s that hides something is sent as `S = s + pad`, each with a pad of its own. The verifier goes on with the affine
//!     form `S - pad`. The product of two of them is `A B - A pad_b - B pad_a + product`, affine again.
//!  2. A challenge z; then `P = L(z)` in clear.
//!  3. After all scalars and P, a challenge gamma. The functional of the vectors that is opened combines with its powers:
//!     every claim, every equation between affine forms, `L(z) = P`, and `C(z) = P R(z)`.
//!
//! Soundness: the pads are committed before every challenge, so each scalar is fixed when it is sent: the terms are those of
//! the native check. If a product is not that of its pads then `C - L R`, of degree below 2N, is not zero: 2N (z) over |E|. L is
//! fixed before z, so P is its value unless the combination errs: claims + equations + 2 (gamma) over |E|.
//!
//! Zero knowledge: for given challenges the map from pads and dummy to all scalars and P is triangular, its diagonal one
//! except for the weight of the dummy in P, which is not zero since z is on no subgroup: every scalar and P are uniform,
//! whatever the vectors are. `docs/notes/zero-knowledge.md` has the composition.

use crate::axis_weight::AxisWeight;
use crate::check::{ArgumentError, CheckId};
use crate::context::{Arithmetic, BaseClaim, Context, Labels, Linear};
use crate::eq::log_of;
use crate::functional::{Functional, Part};
use crate::joint::Joint;
use crate::scalars::Scalars;
use crate::wiring::Wiring;
use std::ops::{Add, Sub};
use std::sync::Arc;
use veritune_field::traits::{BasedVectorSpace, PrimeCharacteristicRing};
use veritune_field::{E, F};
use veritune_relations::layout::WITNESS_PLACE;
use veritune_transcript::Transcript;

/// A scalar as it was sent, with the number of its pad.
#[derive(Debug, Clone, Copy)]
pub struct Masked {
    value: E,
    pad: usize,
}

/// `constant + sum of coefficient * element`; an element may occur more than once.
#[derive(Debug, Clone)]
pub struct Affine {
    constant: E,
    terms: Vec<(usize, E)>,
}

impl From<Masked> for Affine {
    fn from(sent: Masked) -> Self {
        Self { constant: sent.value, terms: vec![(sent.pad, E::NEG_ONE)] }
    }
}

impl Add for Affine {
    type Output = Self;
    fn add(mut self, mut other: Self) -> Self {
        self.constant += other.constant;
        self.terms.append(&mut other.terms);
        self
    }
}

impl Sub for Affine {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.add(other.scaled(E::NEG_ONE))
    }
}

impl Linear for Affine {
    fn known(value: E) -> Self {
        Self { constant: value, terms: Vec::new() }
    }
    fn scaled(mut self, factor: E) -> Self {
        self.constant *= factor;
        self.terms.iter_mut().for_each(|(_, coefficient)| *coefficient *= factor);
        self
    }
}

/// Checks a masked argument.
#[derive(Debug)]
pub struct MaskedCheck<'a> {
    scalars: Scalars<'a>,
    wiring: &'a Wiring,
    num_pads: usize,
    /// Per multiplication so far, the pads of its scalars.
    products: Vec<[usize; 2]>,
    equations: Vec<Affine>,
    claims: Vec<(Functional, Affine)>,
    base_claims: Vec<BaseClaim>,
}

impl<'a> MaskedCheck<'a> {
    /// A check of `proof`, which must hold exactly the scalars of `wiring`.
    ///
    /// *Caller must* have absorbed the protocol, all public inputs and all roots.
    pub fn new(proof: &'a [u8], wiring: &'a Wiring, transcript: &'a mut Transcript) -> Result<Self, ArgumentError> {
        let scalars = Scalars::new(proof, wiring.num_masked_scalars(), transcript)?;
        Ok(Self {
            scalars,
            wiring,
            num_pads: 0,
            products: Vec::with_capacity(wiring.products.len()),
            equations: Vec::with_capacity(wiring.num_equations),
            claims: Vec::with_capacity(wiring.num_claims),
            base_claims: Vec::with_capacity(wiring.num_base_claims),
        })
    }

    /// The one functional of all claims and equations, and the base claims, which are left to the caller. The elements begin
    /// at slot `first_slot` of the witness vector.
    pub fn finish(mut self, first_slot: usize) -> Result<(Joint, Vec<BaseClaim>), ArgumentError> {
        // 2.
        let refused = |index| ArgumentError::Refused { check: CheckId::Products, step: 0, index };
        let z = self.scalars.transcript.challenge_e(Labels::PRODUCT_POINT);
        let left = self.scalars.read(Labels::PRODUCT_LEFT)?;
        self.scalars.finish()?;
        // 3.
        let gamma = self.scalars.transcript.challenge_e(Labels::JOINT_GAMMA);
        let mut powers = gamma.powers();
        let mut joint = Joint::default();
        let mut weights = vec![E::ZERO; self.wiring.num_elements()];
        let mut weigh = |terms: Vec<(usize, E)>, scale: E| {
            for (element, coefficient) in terms {
                if let Some(weight) = weights.get_mut(element) {
                    *weight += scale * coefficient;
                }
            }
        };
        for ((functional, value), power) in self.claims.into_iter().zip(&mut powers) {
            joint.add(functional, value.constant, power);
            weigh(value.terms, -power);
        }
        for (equation, power) in self.equations.into_iter().zip(&mut powers) {
            joint.target -= power * equation.constant;
            weigh(equation.terms, power);
        }
        if !veritune_mutation::off(CheckId::Products.code()) {
            let [left_form, product_form] = product_equations(self.wiring, &self.products, z, left)
                .ok_or_else(|| refused(self.scalars.position()))?;
            for (equation, power) in [left_form, product_form].into_iter().zip(&mut powers) {
                joint.target -= power * equation.constant;
                weigh(equation.terms, power);
            }
        }
        joint.parts.push(elements_part(first_slot, &weights));
        joint.merge();
        Ok((joint, self.base_claims))
    }
}

/// `L(z) - P` and `C(z) - P R(z)`, which are zero; none if z is on a subgroup.
fn product_equations(wiring: &Wiring, products: &[[usize; 2]], z: E, left: E) -> Option<[Affine; 2]> {
    let at = wiring.lagrange(z)?;
    let (mut left_terms, mut product_terms) = (Vec::new(), Vec::new());
    for (((number, &[a, b]), &even), &weight) in products.iter().enumerate().zip(&at.even).zip(&at.products) {
        left_terms.push((a, even));
        product_terms.push((b, -left * even));
        product_terms.push((wiring.first_product().saturating_add(number), weight));
    }
    let dummy = at.even.get(products.len()).copied()?;
    left_terms.push((wiring.dummy(), dummy));
    product_terms.extend((wiring.first_extra()..).zip(at.extra));
    Some([Affine { constant: -left, terms: left_terms }, Affine { constant: E::ZERO, terms: product_terms }])
}

/// The weights of elements as weights of their slots.
fn elements_part(first_slot: usize, weights: &[E]) -> Part {
    let x = E::from_basis_coefficients_fn(|i| if i == 1 { F::ONE } else { F::ZERO });
    let values: Vec<E> = weights.iter().flat_map(|&w| [w, w * x, w * x * x]).collect();
    let axis = AxisWeight::Dense { log: log_of(values.len()), start: 0, values: Arc::new(values) };
    Part { place: WITNESS_PLACE, offset: first_slot, axes: vec![axis], scale: E::ONE }
}

impl Arithmetic for MaskedCheck<'_> {
    type Sent = Masked;
    type Scalar = Affine;

    fn mul(&mut self, a: Masked, b: Masked) -> Affine {
        let product = self.wiring.first_product().saturating_add(self.products.len());
        self.products.push([a.pad, b.pad]);
        Affine { constant: a.value * b.value, terms: vec![(b.pad, -a.value), (a.pad, -b.value), (product, E::ONE)] }
    }
    fn hold(&mut self, label: &'static str, value: Affine) -> Result<Masked, ArgumentError> {
        self.read_held(label, value)
    }
}

impl Context for MaskedCheck<'_> {
    fn read(&mut self, label: &'static str) -> Result<Masked, ArgumentError> {
        let value = self.scalars.read(label)?;
        let pad = self.num_pads;
        self.num_pads = pad.saturating_add(1);
        Ok(Masked { value, pad })
    }
    fn read_public(&mut self, label: &'static str) -> Result<E, ArgumentError> {
        self.scalars.read(label)
    }
    fn challenge(&mut self, label: &'static str) -> E {
        self.scalars.transcript.challenge_e(label)
    }
    fn assert_zero(&mut self, check: CheckId, _: usize, value: Affine) -> Result<(), ArgumentError> {
        if !veritune_mutation::off(check.code()) {
            self.equations.push(value);
        }
        Ok(())
    }
    fn claim(&mut self, functional: Functional, value: Affine) {
        self.claims.push((functional, value));
    }
    fn base_claim(&mut self, claim: BaseClaim) {
        self.base_claims.push(claim);
    }
}
