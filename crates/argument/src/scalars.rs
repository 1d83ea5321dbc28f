//! The scalars of a proof, read one by one and absorbed.

use crate::check::ArgumentError;
use veritune_field::{E, E_BYTES, e_from_bytes, e_reduced};
use veritune_transcript::Transcript;

/// The unread rest of an argument's bytes and the transcript that they are bound to.
#[derive(Debug)]
pub(crate) struct Scalars<'a> {
    all: &'a [[u8; E_BYTES]],
    next: usize,
    pub(crate) transcript: &'a mut Transcript,
}

impl<'a> Scalars<'a> {
    /// The scalars of `proof`, which must hold exactly `num_scalars`.
    pub(crate) fn new(
        proof: &'a [u8],
        num_scalars: usize,
        transcript: &'a mut Transcript,
    ) -> Result<Self, ArgumentError> {
        let expected = num_scalars.saturating_mul(E_BYTES);
        if proof.len() != expected && !veritune_mutation::off("VT-ARG-010") {
            return Err(ArgumentError::Length { expected, got: proof.len() });
        }
        Ok(Self { all: proof.as_chunks().0, next: 0, transcript })
    }

    /// The next scalar.
    pub(crate) fn read(&mut self, label: &'static str) -> Result<E, ArgumentError> {
        let index = self.next;
        let bytes = self.all.get(index).ok_or(ArgumentError::Missing { index })?;
        veritune_mutation::field(|| label.to_owned(), index.saturating_mul(E_BYTES), E_BYTES);
        let value = match e_from_bytes(*bytes) {
            Ok(value) => value,
            Err(_) if veritune_mutation::off("VT-ARG-011") => e_reduced(*bytes),
            Err(_) => return Err(ArgumentError::NotCanonical { index }),
        };
        self.transcript.absorb_e(label, &[value]);
        self.next = index.saturating_add(1);
        Ok(value)
    }

    /// Scalars read so far.
    pub(crate) const fn position(&self) -> usize {
        self.next
    }

    /// Succeeds at the exact end.
    pub(crate) fn finish(&self) -> Result<(), ArgumentError> {
        if self.next == self.all.len() || veritune_mutation::off("VT-ARG-010") {
            return Ok(());
        }
        let bytes = |scalars: usize| scalars.saturating_mul(E_BYTES);
        Err(ArgumentError::Length { expected: bytes(self.next), got: bytes(self.all.len()) })
    }
}
