//! Goldilocks, its cubic extension, and their canonical bytes.
//!
//! Statement: `F` is the prime field of order p = 2^64 - 2^32 + 1. `E` is `F[x]/(x^3 - x - 1)`.
//! An element of `F` is eight bytes little-endian and less than p; an element of `E` is its three
//! coefficients in order, 24 bytes. Nothing else decodes.

use p3_field::extension::CubicTrinomialExtensionField;
use p3_field::{BasedVectorSpace, PrimeCharacteristicRing, PrimeField64};

pub use p3_field as traits;

pub mod lanes;
pub mod sponge;

pub use lanes::{dot, eq_table};

/// The base field: Goldilocks, p = 2^64 - 2^32 + 1.
pub type F = p3_goldilocks::Goldilocks;
/// The challenge field: `F[x]/(x^3 - x - 1)`, 192 bits.
pub type E = CubicTrinomialExtensionField<F>;

/// The order of [`F`].
pub const P: u64 = 0xffff_ffff_0000_0001;
/// Bytes of an encoded element of [`F`].
pub const F_BYTES: usize = 8;
/// Bytes of an encoded element of [`E`].
pub const E_BYTES: usize = 24;

/// Bytes that are no canonical field element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not below the field order 2^64 - 2^32 + 1")]
pub struct NotCanonical(pub u64);

/// The canonical bytes of `x`.
pub fn f_to_bytes(x: F) -> [u8; F_BYTES] {
    x.as_canonical_u64().to_le_bytes()
}

/// The element whose canonical bytes are `bytes`.
pub fn f_from_bytes(bytes: [u8; F_BYTES]) -> Result<F, NotCanonical> {
    let value = u64::from_le_bytes(bytes);
    if value < P { Ok(F::from_u64(value)) } else { Err(NotCanonical(value)) }
}

/// The canonical bytes of `x`: coefficients of 1, x, x^2 in this order.
pub fn e_to_bytes(x: E) -> [u8; E_BYTES] {
    let mut bytes = [0; E_BYTES];
    let coefficients: &[F] = x.as_basis_coefficients_slice();
    for (chunk, &c) in bytes.chunks_exact_mut(F_BYTES).zip(coefficients) {
        chunk.copy_from_slice(&f_to_bytes(c));
    }
    bytes
}

/// The element whose canonical bytes are `bytes`.
pub fn e_from_bytes(bytes: [u8; E_BYTES]) -> Result<E, NotCanonical> {
    let mut coefficients = [F::ZERO; 3];
    for (c, chunk) in coefficients.iter_mut().zip(bytes.as_chunks::<F_BYTES>().0) {
        *c = f_from_bytes(*chunk)?;
    }
    Ok(E::from_basis_coefficients_fn(|i| coefficients.get(i).copied().unwrap_or(F::ZERO)))
}

/// The element that `bytes` stand for when coefficients at or above the order are reduced: what a decoder without its
/// check would read.
pub fn e_reduced(bytes: [u8; E_BYTES]) -> E {
    let words = bytes.as_chunks::<F_BYTES>().0;
    E::from_basis_coefficients_fn(|i| words.get(i).map_or(F::ZERO, |w| F::from_u64(u64::from_le_bytes(*w) % P)))
}

/// The field element that encodes the signed integer `x`: `x mod p`.
pub fn f_from_i64(x: i64) -> F {
    F::from_i64(x)
}

/// The signed integer of least absolute value that encodes to `x`.
pub fn f_to_i64(x: F) -> i64 {
    let value = x.as_canonical_u64();
    if value <= P / 2 { value.cast_signed() } else { value.wrapping_sub(P).cast_signed() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_at_or_above_the_order_are_refused() {
        assert_eq!(f_from_bytes(P.to_le_bytes()), Err(NotCanonical(P)));
        assert_eq!(f_from_bytes(u64::MAX.to_le_bytes()), Err(NotCanonical(u64::MAX)));
        assert_eq!(f_from_bytes((P - 1).to_le_bytes()), Ok(F::NEG_ONE));
    }

    #[test]
    fn every_element_has_a_signed_integer() {
        for value in [0, 1, P / 2, P / 2 + 1, P - 1] {
            let x = F::from_u64(value);
            assert_eq!(f_from_i64(f_to_i64(x)), x);
        }
        assert_eq!(f_to_i64(F::NEG_ONE), -1);
    }

    #[test]
    fn the_extension_is_the_cubic_trinomial_with_its_coefficients_in_order() {
        let x = E::from_basis_coefficients_fn(|i| if i == 1 { F::ONE } else { F::ZERO });
        assert_eq!(x * x * x, x + E::ONE);
        let mut bytes = [0; E_BYTES];
        bytes[F_BYTES] = 1;
        assert_eq!(e_to_bytes(x), bytes);
        assert_eq!(e_from_bytes(bytes), Ok(x));
        bytes[..F_BYTES].copy_from_slice(&P.to_le_bytes());
        assert!(e_from_bytes(bytes).is_err());
    }
}
