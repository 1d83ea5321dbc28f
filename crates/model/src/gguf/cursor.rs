//! A position in untrusted little-endian bytes.

use crate::ModelError;

/// Reads forward; every refusal names the file and the offset.
pub(crate) struct Cursor<'a> {
    file: &'a str,
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Cursor<'a> {
    /// At the start of `bytes`.
    pub(crate) const fn new(file: &'a str, bytes: &'a [u8]) -> Self {
        Self { file, bytes, offset: 0 }
    }

    /// Bytes read so far.
    pub(crate) const fn offset(&self) -> usize {
        self.offset
    }

    /// The refusal of what stands at `offset`.
    pub(crate) fn malformed(&self, offset: usize, expected: &str, got: impl ToString) -> ModelError {
        ModelError::Malformed {
            file: self.file.to_owned(),
            offset: u64::try_from(offset).unwrap_or(u64::MAX),
            expected: expected.to_owned(),
            got: got.to_string(),
        }
    }

    /// The next `len` bytes.
    pub(crate) fn take(&mut self, len: u64) -> Result<&'a [u8], ModelError> {
        let end = usize::try_from(len).ok().and_then(|len| self.offset.checked_add(len));
        match end.and_then(|end| Some((end, self.bytes.get(self.offset..end)?))) {
            Some((end, taken)) => {
                self.offset = end;
                Ok(taken)
            }
            None => {
                let left = self.bytes.len().saturating_sub(self.offset);
                Err(self.malformed(self.offset, &format!("{len} more bytes"), format!("{left} bytes left")))
            }
        }
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], ModelError> {
        let offset = self.offset;
        let taken = self.take(u64::try_from(N).unwrap_or(u64::MAX))?;
        taken.try_into().map_err(|_| self.malformed(offset, "more bytes", "the end"))
    }

    /// The next four bytes as a number.
    pub(crate) fn u32(&mut self) -> Result<u32, ModelError> {
        self.array().map(u32::from_le_bytes)
    }

    /// The next eight bytes as a number.
    pub(crate) fn u64(&mut self) -> Result<u64, ModelError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A string: a length of eight bytes, at most `limit`, and UTF-8.
    pub(crate) fn text(&mut self, limit: u64) -> Result<&'a str, ModelError> {
        let offset = self.offset;
        let len = self.u64()?;
        if len > limit {
            return Err(self.malformed(offset, &format!("a string of at most {limit} bytes"), len));
        }
        let taken = self.take(len)?;
        std::str::from_utf8(taken).map_err(|error| self.malformed(offset, "a UTF-8 string", error))
    }
}
