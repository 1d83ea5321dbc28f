//! Units of leaves that are not used are passed over, which changes nothing that is sent.

use super::super::fractions::{Leaves, prove};
use super::super::lane::{Lane, Packing, Register};
use super::super::{Channel, NativeChannel};
use super::transcript;
use veritune_argument::{Labels, Units};
use veritune_field::traits::{PackedValue, PrimeCharacteristicRing};
use veritune_field::{E, F};

/// Everything that is sent for leaves of which those outside the units in use are 0 and 1, and the point.
fn sent(units: Units, numerators: &[F], denominators: &[E]) -> (Vec<u8>, Vec<E>) {
    let mut transcript = transcript();
    let mut channel = NativeChannel::new(&mut transcript);
    let _ = channel.challenge(Labels::LOOKUP_ALPHA);
    let numerators = Packing::pack_slice(numerators).to_vec();
    let leaves = Leaves { numerators, denominators: Register::pack(denominators), units };
    let point = prove(leaves, &mut channel);
    (channel.scalars, point)
}

#[test]
fn unused_units_change_nothing_that_is_sent() {
    for used in 1..=16 {
        let units = Units { log_len: 10, log_count: 4, used };
        let mut numerators = vec![F::ZERO; 1 << 14];
        let mut denominators = vec![E::ONE; 1 << 14];
        for position in 0..used << 10 {
            let address = units.address(position);
            numerators[address] = F::from_usize(position * position + 1);
            denominators[address] = E::from_usize(position + 5) * E::from_usize(position * 7 + 3);
        }
        let whole = Units { log_len: 14, log_count: 0, used: 1 };
        let expected = sent(whole, &numerators, &denominators);
        assert_eq!(sent(units, &numerators, &denominators), expected, "{used} units");
    }
}
