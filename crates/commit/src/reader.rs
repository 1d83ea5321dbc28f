//! A cursor over the bytes of a proof: every read is bounded, located and canonical.

use crate::error::{Location, OpeningError};
use veritune_field::{E, E_BYTES, F, F_BYTES, e_from_bytes, e_reduced, f_from_bytes};

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
        self.read(|| at.field(), N, N);
        let mut array = [0; N];
        array.copy_from_slice(bytes);
        Ok(array)
    }

    pub(crate) fn e(&mut self, at: Location) -> Result<E, OpeningError> {
        let bytes = self.array(at)?;
        extension(bytes, at, self.offset())
    }

    pub(crate) fn es(&mut self, count: usize, at: Location) -> Result<Vec<E>, OpeningError> {
        let bytes = self.bytes(count.saturating_mul(E_BYTES), at)?;
        for element in 0..count {
            self.read(|| at.field(), E_BYTES, count.saturating_sub(element).saturating_mul(E_BYTES));
        }
        extensions(bytes, at, self.offset())
    }

    /// Records a field of `len` bytes that begins `back` bytes before the cursor.
    pub(crate) fn read(&self, name: impl FnOnce() -> String, len: usize, back: usize) {
        veritune_mutation::field(name, self.offset().saturating_sub(back), len);
    }

    /// Succeeds at the exact end.
    pub(crate) fn finish(self) -> Result<(), OpeningError> {
        if self.rest.is_empty() || veritune_mutation::off("opening-trailing-bytes") {
            Ok(())
        } else {
            Err(OpeningError::TrailingBytes { extra: self.rest.len() })
        }
    }
}

fn extension(bytes: [u8; E_BYTES], at: Location, offset: usize) -> Result<E, OpeningError> {
    match e_from_bytes(bytes) {
        Ok(element) => Ok(element),
        Err(_) if veritune_mutation::off("opening-not-canonical") => Ok(e_reduced(bytes)),
        Err(_) => Err(OpeningError::NotCanonical { at, offset }),
    }
}

/// The elements of the challenge field in `bytes`, whose length is a multiple of 24.
pub(crate) fn extensions(bytes: &[u8], at: Location, offset: usize) -> Result<Vec<E>, OpeningError> {
    bytes.as_chunks::<E_BYTES>().0.iter().map(|&chunk| extension(chunk, at, offset)).collect()
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
