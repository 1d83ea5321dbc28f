//! All claims of an argument as one linear functional of the committed vectors.

use crate::evaluator::Evaluator;
use crate::functional::{Functional, Part};
use veritune_field::E;
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_relations::layout::NUM_PLACES;

/// All claims of an argument as one: `sum of parts over all places = target`.
#[derive(Debug, Clone, Default)]
pub struct Joint {
    /// The parts of the functional; after [`merge`](Self::merge), no two that differ in their scales only.
    pub parts: Vec<Part>,
    /// Its value.
    pub target: E,
}

impl Joint {
    /// Adds `power` times the claim that the functional has the value.
    pub(crate) fn add(&mut self, functional: Functional, value: E, power: E) {
        self.target += power * (value - functional.constant);
        self.parts.extend(functional.parts.into_iter().map(|p| Part { scale: p.scale * power, ..p }));
    }

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
