//! Element types of checkpoints, and their values as `f32`.
//!
//! Statement: `ElementType::decode` gives, bit for bit, the `f32` values that `gguf` (Python) and llama.cpp
//! compute for finite scales. BF16, F16 and F32 are exact. In a block of a quantised type `d` and `m` are F16; the
//! product `d·q` is exact in `f32` (11 + 8 significant bits at most), so only the sum of Q4_1 rounds, once, to
//! nearest even, and fused or separate multiply-add agree.
//!
//! Source: `ggml-quants.c` and `gguf/quants.py`, repeated in `docs/spec/base-model.md`.

use std::fmt;

/// Elements of a block of a quantised type, all in one row.
const BLOCK: usize = 32;

/// How the elements of a tensor are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementType {
    /// 16 bits: the upper half of an F32.
    Bf16,
    /// IEEE binary16.
    F16,
    /// IEEE binary32.
    F32,
    /// Blocks of 32: F16 `d`, 32 nibbles; value `d·(q − 8)`.
    Q4_0,
    /// Blocks of 32: F16 `d`, F16 `m`, 32 nibbles; value `d·q + m`.
    Q4_1,
    /// Blocks of 32: F16 `d`, 32 signed bytes; value `d·q`.
    Q8_0,
}

impl ElementType {
    /// Elements per block; a row holds whole blocks.
    #[must_use]
    pub const fn block_len(self) -> usize {
        match self {
            Self::Bf16 | Self::F16 | Self::F32 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q8_0 => BLOCK,
        }
    }

    /// Bytes per block.
    #[must_use]
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::Bf16 | Self::F16 => 2,
            Self::F32 => 4,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q8_0 => 34,
        }
    }

    /// Bytes of a tensor of this shape, outermost axis first; `None` if a row does not hold whole blocks or the
    /// number overflows.
    #[must_use]
    pub fn num_bytes(self, shape: &[usize]) -> Option<usize> {
        let row = shape.last().copied().unwrap_or(1);
        if row.checked_rem(self.block_len())? != 0 {
            return None;
        }
        let count = shape.iter().try_fold(1usize, |product, axis| product.checked_mul(*axis))?;
        count.checked_div(self.block_len())?.checked_mul(self.block_bytes())
    }

    /// The values of whole blocks, in file order. Bytes after the last whole block are ignored: *caller must* pass
    /// [`ElementType::num_bytes`] bytes.
    #[must_use]
    pub fn decode(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::Bf16 => bytes.as_chunks().0.iter().map(|b| bf16(*b)).collect(),
            Self::F16 => bytes.as_chunks().0.iter().map(|b| f16(*b)).collect(),
            Self::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Self::Q4_0 => decode_blocks(bytes, |[d0, d1, nibbles @ ..]: &[u8; 18], values| {
                let d = f16([*d0, *d1]);
                values.extend(from_nibbles(nibbles).map(|q| d * (q - 8.0)));
            }),
            Self::Q4_1 => decode_blocks(bytes, |[d0, d1, m0, m1, nibbles @ ..]: &[u8; 20], values| {
                let (d, m) = (f16([*d0, *d1]), f16([*m0, *m1]));
                values.extend(from_nibbles(nibbles).map(|q| d * q + m));
            }),
            Self::Q8_0 => decode_blocks(bytes, |[d0, d1, quants @ ..]: &[u8; 34], values| {
                let d = f16([*d0, *d1]);
                values.extend(quants.iter().map(|q| d * f32::from(q.cast_signed())));
            }),
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bf16 => "BF16",
            Self::F16 => "F16",
            Self::F32 => "F32",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q8_0 => "Q8_0",
        })
    }
}

fn decode_blocks<const N: usize>(bytes: &[u8], push_block: impl Fn(&[u8; N], &mut Vec<f32>)) -> Vec<f32> {
    let blocks = bytes.as_chunks().0;
    let mut values = Vec::with_capacity(blocks.len().saturating_mul(BLOCK));
    for block in blocks {
        push_block(block, &mut values);
    }
    values
}

/// Elements 0 to 15 are the low nibbles, 16 to 31 the high ones.
fn from_nibbles(bytes: &[u8; 16]) -> impl Iterator<Item = f32> {
    let low = bytes.iter().map(|byte| f32::from(byte & 0x0f));
    low.chain(bytes.iter().map(|byte| f32::from(byte >> 4)))
}

fn bf16(bytes: [u8; 2]) -> f32 {
    f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)
}

/// Exact: every binary16 number is a binary32 number.
fn f16(bytes: [u8; 2]) -> f32 {
    const SUBNORMAL_UNIT: f32 = 1.0 / 16_777_216.0; // 2^-24
    let bits = u32::from(u16::from_le_bytes(bytes));
    let sign = (bits & 0x8000) << 16;
    let magnitude = bits & 0x7fff;
    let fraction = (magnitude & 0x3ff) << 13;
    let positive = match magnitude >> 10 {
        0 => f32::from(u16::from_le_bytes(bytes) & 0x3ff) * SUBNORMAL_UNIT,
        31 => f32::from_bits(0x7f80_0000 | fraction),
        exponent => f32::from_bits((exponent.wrapping_add(127 - 15) << 23) | fraction),
    };
    f32::from_bits(positive.to_bits() | sign)
}

#[cfg(test)]
mod tests {
    use super::{ElementType, bf16, f16};

    #[test]
    fn every_f16_is_sign_significand_exponent() {
        for bits in 0..=u16::MAX {
            let value = f16(bits.to_le_bytes());
            let (sign, exponent, fraction) = (bits >> 15, i32::from((bits >> 10) & 31), f64::from(bits & 1023));
            let magnitude = match exponent {
                0 => fraction * 2f64.powi(-24),
                31 if fraction == 0.0 => f64::INFINITY,
                31 => f64::NAN,
                _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
            };
            if magnitude.is_nan() {
                assert!(value.is_nan());
            } else {
                assert_eq!(f64::from(value), if sign == 1 { -magnitude } else { magnitude });
                assert_eq!(value.is_sign_negative(), sign == 1);
            }
        }
    }

    #[test]
    fn bf16_is_the_upper_half() {
        assert_eq!(bf16([0x80, 0x3f]), 1.0);
        assert_eq!(bf16([0xc0, 0xbf]), -1.5);
        assert!(bf16([0xc0, 0x7f]).is_nan());
    }

    #[test]
    fn blocks() {
        // d = 0.5, m = -1; byte i of the nibbles holds i and 15 - i.
        let nibbles: Vec<u8> = (0..16u8).map(|i| i | ((15 - i) << 4)).collect();
        let q: Vec<f32> = (0..16u8).chain((0..16).rev()).map(f32::from).collect();
        let q4_0 = [&[0x00, 0x38][..], &nibbles].concat();
        let q4_1 = [&[0x00, 0x38, 0x00, 0xbc][..], &nibbles].concat();
        assert_eq!(ElementType::Q4_0.decode(&q4_0), q.iter().map(|q| 0.5 * (q - 8.0)).collect::<Vec<_>>());
        assert_eq!(ElementType::Q4_1.decode(&q4_1), q.iter().map(|q| 0.5 * q - 1.0).collect::<Vec<_>>());
        let quants: Vec<u8> = (0..32u8).map(|i| i.wrapping_mul(37)).collect();
        let q8_0 = [&[0x00, 0x38][..], &quants].concat();
        let expected: Vec<f32> = quants.iter().map(|q| 0.5 * f32::from(*q as i8)).collect();
        assert_eq!(ElementType::Q8_0.decode(&q8_0), expected);
    }

    #[test]
    fn q4_1_rounds_its_sum_once() {
        // d = 2^-24, m = 1: 1 + 2^-24 ties to even, 1 + 3·2^-24 too.
        let mut block = vec![0x01, 0x00, 0x00, 0x3c];
        block.extend([0x31; 16]);
        let values = ElementType::Q4_1.decode(&block);
        assert_eq!((values[0], values[16]), (1.0, 1.0 + 2f32.powi(-22)));
    }

    #[test]
    fn sizes() {
        assert_eq!(ElementType::Q4_1.num_bytes(&[3, 64]), Some(120));
        assert_eq!(ElementType::Q4_1.num_bytes(&[3, 63]), None);
        assert_eq!(ElementType::F32.num_bytes(&[usize::MAX, 2]), None);
        assert_eq!(ElementType::F32.num_bytes(&[1 << 62]), None);
    }
}
