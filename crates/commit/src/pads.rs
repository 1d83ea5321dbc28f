//! Numbers behind one-time pads, as the verifier has them.
//!
//! The first sumcheck and the values at its end are sent as `S = s + Q[i]`, where Q is the polynomial of pads that the
//! masked tree carries and i counts the scalars: `Q[2 j]` and `Q[2 j + 1]` for round j, then one for the value of each
//! tree, then one for the mask's. No pad is used twice. What the verifier computes from such scalars is linear in them.

use veritune_field::E;
use veritune_field::traits::PrimeCharacteristicRing;

/// The number `known - <coefficients, Q>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden {
    known: E,
    coefficients: Vec<E>,
}

impl Hidden {
    /// A number that is known.
    pub fn new(known: E) -> Self {
        Self { known, coefficients: Vec::new() }
    }

    /// Adds `factor` times what `sent` hides behind the pad of this index.
    pub fn add(&mut self, factor: E, sent: E, pad: usize) {
        self.known += factor * sent;
        if self.coefficients.len() <= pad {
            self.coefficients.resize(pad.saturating_add(1), E::ZERO);
        }
        if let Some(coefficient) = self.coefficients.get_mut(pad) {
            *coefficient += factor;
        }
    }

    /// Reduces the claim `h(0) + h(1)` to `h(challenge)`; `sent` hides `h(0)` and the leading coefficient of round
    /// polynomial number `round`.
    pub fn reduce(&mut self, round: usize, sent: [E; 2], challenge: E) {
        // h(x) = x (h(0) + h(1)) + (1 - 2 x) h(0) + (x^2 - x) leading.
        let [constant, leading] = sent;
        self.known *= challenge;
        self.coefficients.iter_mut().for_each(|coefficient| *coefficient *= challenge);
        let pad = round.saturating_mul(2);
        self.add(E::ONE - challenge.double(), constant, pad);
        self.add(challenge.square() - challenge, leading, pad.saturating_add(1));
    }

    /// The part that does not depend on the pads: what the other part must be if the number is zero.
    pub fn known(&self) -> E {
        self.known
    }

    /// The other part for a polynomial in the place of Q: `<coefficients, polynomial>`.
    pub fn inner_product(&self, polynomial: &[E]) -> E {
        self.coefficients.iter().zip(polynomial).map(|(&c, &q)| c * q).sum()
    }

    /// What the pads are multiplied with; zero beyond.
    pub fn coefficients(&self) -> &[E] {
        &self.coefficients
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn e(n: u64) -> E {
        E::from_u64(n) * E::from_u64(0x1234_5678_9abc) + E::from_u64(n * n + 7)
    }

    #[test]
    fn a_hidden_claim_is_reduced_as_the_claim_is() {
        let pads: Vec<E> = (0..8).map(|i| e(100 + i)).collect();
        let mut claim = e(1);
        let mut hidden = Hidden::new(claim);
        for round in 0..3 {
            let [constant, leading, x] = [e(3 * round + 2), e(3 * round + 3), e(3 * round + 4)];
            claim = constant + x * (claim - constant.double() - leading + x * leading);
            let at = 2 * round as usize;
            hidden.reduce(round as usize, [constant + pads[at], leading + pads[at + 1]], x);
            assert_eq!(hidden.known() - hidden.inner_product(&pads), claim);
        }
        hidden.add(e(50), e(51) + pads[6], 6);
        assert_eq!(hidden.known() - hidden.inner_product(&pads), claim + e(50) * e(51));
        assert_eq!(hidden.coefficients().len(), 7);
    }
}
