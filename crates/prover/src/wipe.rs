//! Overwriting secrets before their memory is given back.

use veritune_field::traits::PrimeCharacteristicRing;

/// Sets all elements to zero, although nobody reads them any more.
pub(crate) fn wipe<T: PrimeCharacteristicRing + Copy>(elements: &mut [T]) {
    elements.fill(T::ZERO);
    // The stores must happen.
    std::hint::black_box(elements);
}
