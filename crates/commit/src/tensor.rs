//! The public weights of the recursion: tensors that fold one variable at a time.
//!
//! Variables are bound from the most significant bit of the index down.

use veritune_field::lanes::{LANES, PackedE, Packing};
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_field::traits::{PackedFieldExtension, PackedValue};
use veritune_field::{E, F, dot, eq_table};

/// `coefficient * eq(point, b)`.
pub(crate) struct EqWeight {
    pub(crate) coefficient: E,
    /// Coordinates not yet bound, most significant first.
    pub(crate) point: Vec<E>,
}

/// `coefficient * x^b`: folding keeps the shape, since the weight of a bit is `x^(2^bit)`.
pub(crate) struct PowerWeight {
    pub(crate) coefficient: E,
    pub(crate) x: F,
}

/// The sum of all weights on the current vector of `2^log_length` elements.
pub(crate) struct Weights {
    pub(crate) eq: EqWeight,
    pub(crate) powers: Vec<PowerWeight>,
    pub(crate) log_length: usize,
}

impl Weights {
    /// Binds the most significant variables to `challenges`, in order.
    pub(crate) fn fold(&mut self, challenges: &[E]) {
        for (&coordinate, &challenge) in self.eq.point.iter().zip(challenges) {
            let both = coordinate * challenge;
            self.eq.coefficient *= E::ONE - coordinate - challenge + both + both;
        }
        self.eq.point = self.eq.point.iter().skip(challenges.len()).copied().collect();
        for weight in &mut self.powers {
            for (bit, &challenge) in (0..self.log_length).rev().zip(challenges) {
                let power = weight.x.exp_power_of_2(bit);
                weight.coefficient *= E::ONE + challenge * (power - F::ONE);
            }
        }
        self.log_length = self.log_length.saturating_sub(challenges.len());
    }

    /// `<W, vector>`.
    pub(crate) fn inner_product(&self, vector: &[E]) -> E {
        let eq = dot(&eq_table(&self.eq.point), vector);
        let points: Vec<F> = self.powers.iter().map(|weight| weight.x).collect();
        let values = evaluate_at(vector, &points);
        let powers: E = self.powers.iter().zip(values).map(|(w, value)| w.coefficient * value).sum();
        self.eq.coefficient * eq + powers
    }
}

/// The values at `points` of the polynomial with the given coefficients.
///
/// Several points are evaluated at once, one per lane.
pub(crate) fn evaluate_at(coefficients: &[E], points: &[F]) -> Vec<E> {
    let mut values = Vec::with_capacity(points.len());
    for chunk in points.chunks(LANES) {
        let x = Packing::from_fn(|lane| chunk.get(lane).copied().unwrap_or(F::ZERO));
        let mut value = PackedE::ZERO;
        for &coefficient in coefficients.iter().rev() {
            value = value * x + coefficient;
        }
        let lane_value = |lane| -> E { PackedFieldExtension::<F, E>::extract(&value, lane) };
        values.extend((0..chunk.len()).map(lane_value));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_a_weight_equals_folding_its_table() {
        let e = |n: u64| E::from(F::from_u64(n)) * E::from_u64(0x1234_5678_9abc) + E::from_u64(n * n);
        let point = [e(3), e(5), e(7)];
        let x = F::from_u64(11);
        let vector: Vec<E> = (0..8).map(|i| e(100 + i)).collect();
        let mut weights = Weights {
            eq: EqWeight { coefficient: e(2), point: point.to_vec() },
            powers: vec![PowerWeight { coefficient: e(9), x }],
            log_length: 3,
        };
        let mut dense: Vec<E> = eq_table(&point).iter().map(|&v| v * e(2)).collect();
        for (b, slot) in dense.iter_mut().enumerate() {
            *slot += e(9) * x.exp_u64(b as u64);
        }
        let expected: E = dense.iter().zip(&vector).map(|(&a, &b)| a * b).sum();
        assert_eq!(weights.inner_product(&vector), expected);
        let challenge = e(42);
        weights.fold(&[challenge]);
        let folded: Vec<E> = (0..4).map(|i| dense[i] + challenge * (dense[i + 4] - dense[i])).collect();
        let short = &vector[..4];
        let expected: E = folded.iter().zip(short).map(|(&a, &b)| a * b).sum();
        assert_eq!(weights.inner_product(short), expected);
    }
}
