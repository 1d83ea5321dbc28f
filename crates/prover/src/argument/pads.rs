//! The elements that mask an argument: drawn, multiplied and laid out as `veritune_argument`'s wiring says.

use crate::commit::Randomness;
use crate::commit::transform;
use crate::wipe::wipe;
use veritune_argument::{ELEMENT_SLOTS, Wiring};
use veritune_field::traits::{BasedVectorSpace, Field, PrimeCharacteristicRing};
use veritune_field::{E, F};

/// Pads, products, dummy and extra values of one proof. Used once: a proof that is tried again draws others.
pub struct Pads {
    elements: Vec<E>,
    /// L on the subgroup of order N: its value at the challenge is sent.
    left: Vec<E>,
}

impl Pads {
    /// Pads from `randomness`, which nothing else draws pads from.
    pub fn draw(wiring: &Wiring, randomness: &Randomness) -> Self {
        let drawn = randomness.pads(wiring.num_pads + 1);
        let dummy = drawn[wiring.num_pads];
        Self::new(wiring, drawn, dummy)
    }

    /// The elements that follow from these pads, the first ones of `pads`, and this dummy. Of either nothing is left
    /// elsewhere, but in what the library's transform may copy.
    pub fn new(wiring: &Wiring, mut pads: Vec<E>, dummy: E) -> Self {
        let side = |side: usize| {
            let mut values = E::zero_vec(wiring.num_nodes());
            values.iter_mut().zip(&wiring.products).for_each(|(value, pair)| *value = pads[pair[side]]);
            values
        };
        let [mut left, mut right] = [side(0), side(1)];
        left[wiring.products.len()] = dummy;
        // Never moved to a larger place.
        let mut elements = Vec::with_capacity(wiring.num_elements());
        elements.extend_from_slice(&pads[..wiring.num_pads]);
        wipe(&mut pads);
        elements.extend(left.iter().zip(&right).take(wiring.products.len()).map(|(&a, &b)| a * b));
        elements.push(dummy);
        let [mut on_left, mut on_right] = [&left, &right].map(|values| on_odd_powers(values));
        elements.extend(on_left.iter().zip(&on_right).map(|(&a, &b)| a * b));
        [&mut right, &mut on_left, &mut on_right].into_iter().for_each(|values| wipe(values));
        Self { elements, left }
    }

    /// The pad of a scalar, by its number.
    pub fn pad(&self, number: usize) -> E {
        self.elements[number]
    }

    /// The value at `z` of the polynomial of the left factors.
    pub(super) fn left_at(&self, wiring: &Wiring, z: E) -> E {
        let at = wiring.lagrange(z).expect("a challenge is on no subgroup, except with probability 2^-180");
        at.even.iter().zip(&self.left).map(|(&weight, &value)| weight * value).sum()
    }

    /// The elements as slots of the witness vector.
    pub fn slots(&self) -> impl Iterator<Item = F> + '_ {
        self.elements.iter().flat_map(|element| {
            let coefficients: &[F] = element.as_basis_coefficients_slice();
            debug_assert_eq!(coefficients.len(), ELEMENT_SLOTS);
            coefficients.iter().copied()
        })
    }
}

impl Drop for Pads {
    fn drop(&mut self) {
        wipe(&mut self.elements);
        wipe(&mut self.left);
    }
}

/// The values at `omega^1, omega^3, …` of the polynomial of degree below N that has these at `omega^0, omega^2, …`.
fn on_odd_powers(values: &[E]) -> Vec<E> {
    use veritune_field::traits::TwoAdicField;
    let num_nodes = values.len();
    // The values of the transform in reverse, over N, are the coefficients.
    let mut coefficients = transform(E::flatten_to_base(values.to_vec()), ELEMENT_SLOTS);
    let (rows, _) = coefficients.as_chunks_mut::<ELEMENT_SLOTS>();
    rows[1..].reverse();
    let omega = F::two_adic_generator(num_nodes.ilog2() as usize + 1);
    let shifts = omega.shifted_powers(F::from_usize(num_nodes).inverse());
    for (row, shift) in rows.iter_mut().zip(shifts) {
        row.iter_mut().for_each(|slot| *slot *= shift);
    }
    E::reconstitute_from_base(transform(coefficients, ELEMENT_SLOTS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wipe::wiped;

    #[test]
    fn all_copies_of_pads_are_wiped() {
        let products = (0..5).map(|i| [i, i + 1]).collect();
        let wiring = Wiring { num_pads: 6, products, ..Wiring::default() };
        let before = wiped();
        let pads = Pads::draw(&wiring, &Randomness::from_seed([7; 32]));
        // What was drawn, the dummy included; right factors; both polynomials' other values.
        let nodes = wiring.num_nodes();
        assert_eq!(wiped() - before, 7 + 3 * nodes);
        assert_eq!(pads.elements.capacity(), pads.elements.len());
        drop(pads);
        assert_eq!(wiped() - before, 7 + 3 * nodes + wiring.num_elements() + nodes);
    }

    #[test]
    fn the_extra_values_make_the_product_of_the_polynomials() {
        for num_products in [0, 1, 3, 4, 30] {
            let products = (0..num_products).map(|i| [i, (i * i + 1) % (num_products + 1)]).collect();
            let wiring = Wiring { num_pads: num_products + 1, products, ..Wiring::default() };
            let pads = Pads::draw(&wiring, &Randomness::from_seed([7; 32]));
            assert_eq!(pads.slots().count(), wiring.num_slots());
            let z = E::from_basis_coefficients_fn(|i| F::from_usize(1_000_003 * (i + 5)));
            let at = wiring.lagrange(z).unwrap();
            let dot = |weights: &[E], values: &[E]| weights.iter().zip(values).map(|(&w, &v)| w * v).sum::<E>();
            let right: Vec<E> = wiring.products.iter().map(|pair| pads.pad(pair[1])).collect();
            let products = &pads.elements[wiring.first_product()..wiring.dummy()];
            let extra = &pads.elements[wiring.first_extra()..];
            let product = dot(&at.products, products) + dot(&at.extra, extra);
            assert_eq!(product, pads.left_at(&wiring, z) * dot(&at.even, &right), "{num_products}");
        }
    }
}
