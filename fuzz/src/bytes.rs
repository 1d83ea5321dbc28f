//! What targets read from their input: choices, numbers, edits of a file.

/// An input, read from the front. At its end there are zeros.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.take(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let [byte] = self.array();
        byte
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let [a, b, c] = self.array();
        usize::try_from(u32::from_le_bytes([a, b, c, 0])).unwrap_or(0) % bound.max(1)
    }

    /// The next `len` bytes, or fewer at the end.
    pub(crate) fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Bytes after their length (two bytes).
    pub(crate) fn section(&mut self) -> &'a [u8] {
        let len = usize::from(u16::from_le_bytes(self.array()));
        self.take(len)
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        self.take(usize::MAX)
    }
}

/// Bytes that an edit may repeat.
const MAX_REPEATED: usize = 1 << 12;

/// A file after the edits that `input` describes, each of them a kind, a place (three bytes) and what the kind needs.
pub(crate) fn edited(file: &[u8], input: &mut Input<'_>) -> Vec<u8> {
    let mut out = file.to_vec();
    while !input.0.is_empty() {
        let kind = input.byte();
        let at = input.below(out.len() + 1);
        let until = |len: usize, out: &[u8]| at + len.min(out.len() - at);
        match kind % 7 {
            0 => {
                let bytes = input.section();
                out.splice(at..until(bytes.len(), &out), bytes.iter().copied());
            }
            1 => {
                let bytes = input.section();
                out.splice(at..at, bytes.iter().copied());
            }
            2 => {
                let len = input.below(usize::MAX);
                out.drain(at..until(len, &out));
            }
            3 => {
                let end = until(input.below(MAX_REPEATED), &out);
                out.splice(end..end, out[at..end].to_vec());
            }
            4 => out.truncate(at),
            5 => {
                // One bit: the smallest change.
                let bit = input.byte() % 8;
                if let Some(byte) = out.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
            _ => {
                out.truncate(at);
                out.extend_from_slice(input.rest());
            }
        }
    }
    out
}

/// How an input says that everything from the start is its own.
pub fn replaced(bytes: &[u8]) -> Vec<u8> {
    [&[6, 0, 0, 0], bytes].concat()
}
