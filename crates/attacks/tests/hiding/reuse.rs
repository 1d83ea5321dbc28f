//! Randomness that is used twice gives values away.

use super::instance::{HONEST, Instance, SECRETS, Secret};
use veritune_field::{E_BYTES, e_from_bytes};

/// A second proof with the pads of the first, for the same challenges: the difference of what is sent is that of the values.
#[test]
fn two_proofs_with_the_same_pads_give_the_difference_of_their_values_away() {
    let instance = Instance::new();
    let argument = instance.argument();
    let scalars = |secret: &Secret, number: u64| -> Vec<_> {
        let pads = instance.pads(&argument, number, HONEST);
        let bytes = instance.scalars(&argument, secret, &pads);
        bytes.as_chunks::<E_BYTES>().0.iter().map(|&bytes| e_from_bytes(bytes).expect("canonical")).collect()
    };
    let values = |secret: &Secret| -> Vec<_> {
        let pads = instance.pads(&argument, 1, HONEST);
        let masked = scalars(secret, 1).into_iter().take(argument.wiring.num_pads);
        masked.enumerate().map(|(i, sent)| sent - pads.pad(i)).collect()
    };
    let [one, other] = [&SECRETS[0], &SECRETS[1]];
    let differences = |a: Vec<_>, b: Vec<_>| {
        a.into_iter().zip(b).take(argument.wiring.num_pads).map(|(x, y)| x - y).collect::<Vec<_>>()
    };
    let leaked = differences(scalars(one, 5), scalars(other, 5));
    assert_eq!(leaked, differences(values(one), values(other)), "the same pads");
    let hidden = differences(scalars(one, 5), scalars(other, 6));
    assert!(hidden.iter().zip(&leaked).all(|(h, l)| h != l), "other pads");
}
