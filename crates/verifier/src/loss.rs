//! The mean loss of a step, where the run discloses it.
//!
//! Statement: the integer in the step's file is the program's output `loss`, in units of 2^-20 nats.
//! Bytes: four, little-endian, behind the rows; none where the loss is hidden. Every four bytes are one number, and no number
//! outside the 28 bits that the tensor's range check admits meets the claim on it.
//! Soundness: that of the argument; the value is absorbed before every challenge.

use crate::statement::Run;
use serde::Serialize;
use veritune_relations::spec::Visibility;
use veritune_relations::step::LOSS_BITS;

/// Bytes of a loss.
const LOSS_BYTES: usize = size_of::<u32>();

/// A step's mean loss in nats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepLoss {
    /// The step, the first is 1.
    pub step: u64,
    /// The exact loss times 2^`fractionBits`.
    pub units: u32,
    /// Bits of the fraction.
    pub fraction_bits: u32,
    /// The same number as an exact decimal.
    pub nats: String,
}

impl StepLoss {
    /// The loss of `units` at a step.
    pub fn new(step: u64, units: u32) -> Self {
        Self { step, units, fraction_bits: LOSS_BITS, nats: decimal(units) }
    }
}

/// Bytes that the file of a step of this run has for its loss.
pub fn num_bytes(run: &Run) -> usize {
    match run.spec.disclose.loss {
        Visibility::Public => LOSS_BYTES,
        Visibility::Hidden => 0,
    }
}

/// The bytes of a loss, if the run discloses it.
pub fn to_bytes(loss: Option<u32>) -> Vec<u8> {
    loss.map(u32::to_le_bytes).as_slice().concat()
}

/// The loss at the start of `bytes`, if the run discloses it, and the bytes after it; none if they end within it.
pub fn read<'a>(run: &Run, bytes: &'a [u8]) -> Option<(Option<u32>, &'a [u8])> {
    if run.spec.disclose.loss == Visibility::Hidden {
        return Some((None, bytes));
    }
    let (loss, rest) = bytes.split_first_chunk::<LOSS_BYTES>()?;
    veritune_mutation::field(|| "loss".to_owned(), 0, LOSS_BYTES);
    Some((Some(u32::from_le_bytes(*loss)), rest))
}

/// `units / 2^LOSS_BITS` in decimal digits, exact.
fn decimal(units: u32) -> String {
    let unit = 1_u64 << LOSS_BITS;
    let (whole, mut rest) = (u64::from(units).div_euclid(unit), u64::from(units).rem_euclid(unit));
    let mut text = whole.to_string();
    if rest != 0 {
        text.push('.');
    }
    while rest != 0 {
        let scaled = rest.saturating_mul(10);
        text.push_str(&scaled.div_euclid(unit).to_string());
        rest = scaled.rem_euclid(unit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_is_exact() {
        for (units, text) in [
            (0, "0"),
            (1, "0.00000095367431640625"),
            (1 << 19, "0.5"),
            (3 << 20, "3"),
            ((1 << 28) - 1, "255.99999904632568359375"),
        ] {
            assert_eq!(StepLoss::new(1, units).nats, text);
        }
    }
}
