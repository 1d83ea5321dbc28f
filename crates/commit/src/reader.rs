//! A cursor over the bytes of a proof: every read is bounded, located and canonical.

use crate::error::{Location, OpeningError};
use veritune_field::{E, E_BYTES, F, F_BYTES, e_from_bytes, f_from_bytes};

/// The unread rest of a proof.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    total: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(proof: &'a [u8]) -> Self {
        Self { rest: proof, total: proof.len() }
    }

    pub(crate) fn offset(&self) -> usize {
        self.total.saturating_sub(self.rest.len())
    }

    /// The next `count` bytes, borrowed: nothing is allocated for a length that is not there.
    pub(crate) fn bytes(&mut self, count: usize, at: Location) -> Result<&'a [u8], OpeningError> {
        let (head, tail) = self.rest.split_at_checked(count).ok_or_else(|| OpeningError::UnexpectedEnd {
            at,
            offset: self.offset(),
            needed: count,
            left: self.rest.len(),
        })?;
        self.rest = tail;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self, at: Location) -> Result<[u8; N], OpeningError> {
        let bytes = self.bytes(N, at)?;
        let mut array = [0; N];
        array.copy_from_slice(bytes);
        Ok(array)
    }

    pub(crate) fn e(&mut self, at: Location) -> Result<E, OpeningError> {
        let bytes = self.array(at)?;
        e_from_bytes(bytes).map_err(|_| OpeningError::NotCanonical { at, offset: self.offset() })
    }

    pub(crate) fn es(&mut self, count: usize, at: Location) -> Result<Vec<E>, OpeningError> {
        let bytes = self.bytes(count.saturating_mul(E_BYTES), at)?;
        let offset = self.offset();
        bytes
            .as_chunks::<E_BYTES>()
            .0
            .iter()
            .map(|&chunk| e_from_bytes(chunk).map_err(|_| OpeningError::NotCanonical { at, offset }))
            .collect()
    }

    /// Succeeds at the exact end.
    pub(crate) fn finish(self) -> Result<(), OpeningError> {
        if self.rest.is_empty() { Ok(()) } else { Err(OpeningError::TrailingBytes { extra: self.rest.len() }) }
    }
}

/// The base-field elements in `bytes`, whose length is a multiple of eight.
pub(crate) fn elements(bytes: &[u8], at: Location, offset: usize) -> Result<Vec<F>, OpeningError> {
    bytes
        .as_chunks::<F_BYTES>()
        .0
        .iter()
        .map(|&chunk| f_from_bytes(chunk).map_err(|_| OpeningError::NotCanonical { at, offset }))
        .collect()
}
