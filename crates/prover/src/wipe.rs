//! Overwriting secrets before their memory is given back.

use veritune_field::traits::PrimeCharacteristicRing;

/// Sets all elements to zero, although nobody reads them any more.
pub(crate) fn wipe<T: PrimeCharacteristicRing + Copy>(elements: &mut [T]) {
    elements.fill(T::ZERO);
    // The stores must happen.
    std::hint::black_box(&mut *elements);
    #[cfg(test)]
    WIPED.set(WIPED.get() + elements.len());
}

#[cfg(test)]
thread_local! {
    static WIPED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Elements that this thread has wiped.
#[cfg(test)]
pub(crate) fn wiped() -> usize {
    WIPED.get()
}
