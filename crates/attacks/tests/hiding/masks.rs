//! The exact distribution of the argument for fixed challenges: the linear map from pads and dummy to what is sent has full rank,
//! and has not when any of them is saved.

use super::instance::{HONEST, Instance, SECRETS, Sabotage};
use veritune_argument::Argument;
use veritune_field::traits::{Field, PrimeCharacteristicRing};
use veritune_field::{E, E_BYTES, e_from_bytes};
use veritune_prover::argument::Pads;

/// What every scalar changes by when one more is drawn, for every element that is drawn: pads, then the dummy. Scalars of the
/// public base are none here.
fn map(instance: &Instance, argument: &Argument<'_>, sabotage: Sabotage<'_>) -> Vec<Vec<E>> {
    let drawn = Pads::draw(&argument.wiring, &super::instance::randomness("map", 0));
    let drawn: Vec<E> = (0..argument.wiring.num_pads).map(|i| drawn.pad(i)).chain([E::TWO]).collect();
    let sent = |drawn: &[E]| -> Vec<E> {
        let (mut pads, mut dummy) = (drawn[..drawn.len() - 1].to_vec(), drawn[drawn.len() - 1]);
        sabotage(&mut pads, &mut dummy);
        let pads = Pads::new(&argument.wiring, pads, dummy);
        let bytes = instance.scalars(argument, &SECRETS[0], &pads);
        bytes.as_chunks::<E_BYTES>().0.iter().map(|&bytes| e_from_bytes(bytes).expect("canonical")).collect()
    };
    let before = sent(&drawn);
    (0..drawn.len())
        .map(|element| {
            let mut changed = drawn.clone();
            changed[element] += E::ONE;
            sent(&changed).into_iter().zip(&before).map(|(after, &before)| after - before).collect()
        })
        .collect()
}

/// Rank by elimination.
fn rank(mut rows: Vec<Vec<E>>) -> usize {
    let columns = rows.first().map_or(0, Vec::len);
    let mut rank = 0;
    for column in 0..columns {
        let Some(pivot) = (rank..rows.len()).find(|&row| rows[row][column] != E::ZERO) else { continue };
        rows.swap(rank, pivot);
        let inverse = rows[rank][column].inverse();
        let (done, rest) = rows.split_at_mut(rank + 1);
        for row in rest {
            let factor = row[column] * inverse;
            if factor != E::ZERO {
                row.iter_mut().zip(&done[rank]).for_each(|(entry, &pivot)| *entry -= factor * pivot);
            }
        }
        rank += 1;
    }
    rank
}

#[test]
fn every_scalar_is_uniform_by_what_is_drawn_for_it() {
    let instance = Instance::new();
    let argument = instance.argument();
    let map = map(&instance, &argument, HONEST);
    assert_eq!(argument.wiring.num_public, 0, "nothing is sent in clear");
    assert_eq!(map[0].len(), argument.wiring.num_masked_scalars());
    assert_eq!(rank(map.clone()), map[0].len());
    // A pad reaches its own scalar, and the value of L; the dummy reaches that alone.
    let last = map[0].len() - 1;
    for (element, row) in map.iter().enumerate() {
        for (scalar, &change) in row[..last].iter().enumerate() {
            assert_eq!(change, if scalar == element { E::ONE } else { E::ZERO }, "{element} {scalar}");
        }
    }
    assert_ne!(map[last][last], E::ZERO);
}

#[test]
fn a_pad_that_is_dropped_or_used_twice_and_a_dummy_that_is_fixed_are_seen() {
    let instance = Instance::new();
    let argument = instance.argument();
    let full = argument.wiring.num_masked_scalars();
    let sabotages: [(&str, Sabotage<'_>); 4] = [
        ("the first pad is dropped", &|pads, _| pads[0] = E::ZERO),
        ("the last pad is dropped", &|pads, _| *pads.last_mut().expect("pads") = E::ZERO),
        ("a pad is used twice", &|pads, _| pads[17] = pads[16]),
        ("the dummy is fixed", &|_, dummy| *dummy = E::ONE),
    ];
    for (name, sabotage) in sabotages {
        assert_eq!(rank(map(&instance, &argument, sabotage)), full - 1, "{name}");
    }
}
