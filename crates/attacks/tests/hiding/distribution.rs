//! Proofs of two witnesses, and proofs without one, have one distribution: every word of every scalar, row, salt and digest.
//!
//! `LEAK_PROOFS` is the number of proofs of each kind; `make test-leaks` takes 10,000.

use super::instance::{HONEST, Instance, Proved, SECRETS, SEED, Sabotage, Secret, randomness, transcript};
use super::statistic::{Histograms, threshold};
use rayon::prelude::*;
use veritune_argument::STATE_BEFORE_PLACE;
use veritune_attacks::simulate::{Seeds, Simulated, simulate_proof};
use veritune_field::traits::{BasedVectorSpace, PrimeCharacteristicRing};
use veritune_field::{E, E_BYTES, F, f_to_bytes};
use veritune_mutation::Field;
use veritune_prover::commit::simulate::SimulatedTree;
use veritune_verifier::known::Known;

/// Fixed before any proof was made.
const FAMILY_WISE_LEVEL: f64 = 1e-3;
/// Two witnesses, and either with the simulator.
const COMPARISONS: usize = 3;

fn num_proofs() -> u64 {
    std::env::var("LEAK_PROOFS").map_or(300, |n| n.parse().expect("a number of proofs"))
}

/// A proof by the simulator.
fn simulated(instance: &Instance, number: u64) -> Proved {
    veritune_mutation::programmed(SEED, || {
        let argument = instance.argument();
        let [witness, state] = instance.shapes(&argument);
        let mut seeds = Seeds::new(number);
        let mut tree = SimulatedTree::new(&instance.profile, state, &randomness("simulated state", number));
        let root = tree.root();
        let mut transcript = transcript(&root);
        let placed = vec![(STATE_BEFORE_PLACE, Simulated::Tree(&mut tree))];
        let profile = &instance.profile;
        let bytes = simulate_proof(profile, &argument, witness, placed, &Known::default(), &mut transcript, &mut seeds);
        Proved { root, bytes }
    })
}

fn sample(count: u64, len: usize, make: impl Fn(u64) -> Vec<u8> + Sync) -> Histograms {
    let add = |mut histograms: Histograms, number: u64| {
        histograms.add(&make(number));
        histograms
    };
    let empty = || Histograms::new(len);
    (0..count).into_par_iter().fold(empty, add).reduce(empty, Histograms::merge)
}

/// The proof with the root of its state.
fn bytes(proved: Proved) -> Vec<u8> {
    [&proved.root.0[..], &proved.bytes].concat()
}

/// What is sent, in fields: names in order, with their sizes.
fn fields(instance: &Instance, proved: &Proved) -> Vec<Field> {
    let (verdict, fields) = instance.verify(proved);
    assert_eq!(verdict, Ok(()));
    fields
}

#[test]
fn proofs_of_two_witnesses_and_of_none_have_one_distribution() {
    let instance = Instance::new();
    let count = num_proofs();
    // Every sample has randomness of its own.
    let witness = |secret: &'static Secret, first: u64| {
        let instance = &instance;
        move |number: u64| bytes(instance.prove(secret, first + number, HONEST))
    };
    let len = witness(&SECRETS[0], 0)(0).len();
    let [one, other] =
        [sample(count, len, witness(&SECRETS[0], 1 << 32)), sample(count, len, witness(&SECRETS[1], 2 << 32))];
    let none = sample(count, len, |number| bytes(simulated(&instance, (3 << 24) + number)));
    let level = threshold(FAMILY_WISE_LEVEL, COMPARISONS, one.num_bins());
    for (name, deviation) in [
        ("two witnesses", one.largest_deviation(&other)),
        ("a witness and none", one.largest_deviation(&none)),
        ("the other witness and none", other.largest_deviation(&none)),
    ] {
        println!("{name}: {count} proofs each, {} words, {deviation:?}, level {level:.2}", len / 8);
        assert!(deviation.sigmas < level, "{name}: {deviation:?}, level {level}");
    }
}

#[test]
fn messages_of_two_witnesses_and_of_none_have_one_order_and_size() {
    let instance = Instance::new();
    let [one, other] = [0, 1].map(|i| fields(&instance, &instance.prove(&SECRETS[i], 7 + i as u64, HONEST)));
    assert_eq!(one, other);
    assert_eq!(one, fields(&instance, &simulated(&instance, 9)));
    let scalars = one.iter().take_while(|field| field.name != "sumcheck").filter(|f| f.len == E_BYTES).count();
    assert_eq!(scalars, instance.argument().wiring.num_masked_scalars());
}

/// Position of a scalar among the fields of a proof, the root of the witness left out: the number of its pad.
fn scalar(fields: &[Field], name: &str, from_last: usize) -> usize {
    let at: Vec<usize> = fields.iter().enumerate().filter(|(_, field)| field.name == name).map(|(i, _)| i).collect();
    at[at.len() - from_last] - 1
}

/// An element whose coefficients are multiples of 16: behind it the lowest bits of a small value are to be seen.
fn multiple_of_16(pad: E) -> E {
    let coefficients: &[F] = pad.as_basis_coefficients_slice();
    E::from_basis_coefficients_fn(|i| F::from_u64(u64::from_le_bytes(f_to_bytes(coefficients[i])) & !15))
}

/// Proofs of a prover that saves a mask, compared with the simulator's.
fn deviation_from_none(instance: &Instance, sabotage: Sabotage<'_>, change: impl Fn(&mut Vec<u8>) + Sync) -> f64 {
    let count = 128;
    let make = |number: u64| {
        let mut bytes = bytes(instance.prove(&SECRETS[0], (4 << 32) + number, sabotage));
        change(&mut bytes);
        bytes
    };
    let len = make(0).len();
    let none = sample(count, len, |number| bytes(simulated(instance, (5 << 24) + number)));
    let saved = sample(count, len, make);
    saved.largest_deviation(&none).sigmas / threshold(FAMILY_WISE_LEVEL, COMPARISONS, none.num_bins())
}

#[test]
fn a_mask_that_is_saved_is_seen() {
    let instance = Instance::new();
    let unchanged = |_: &mut Vec<u8>| ();
    assert!(deviation_from_none(&instance, HONEST, unchanged) < 1.0);
    let fields = fields(&instance, &instance.prove(&SECRETS[0], 0, HONEST));
    // The evaluation of the flags tells how many places are used; the numerators of the leaves are multiplicities.
    let [length, multiplicity] = [scalar(&fields, "one-hot value", 4), scalar(&fields, "lookup values", 4)];
    let sabotages: [(&str, Sabotage<'_>); 4] = [
        ("a pad is dropped", &|pads, _| pads[0] = E::ZERO),
        ("a pad hides all but the lowest bits", &|pads, _| pads[0] = multiple_of_16(pads[0])),
        ("a length is sent in clear", &|pads, _| pads[length] = E::ZERO),
        ("a multiplicity is sent in clear", &|pads, _| pads[multiplicity] = E::ZERO),
    ];
    for (name, sabotage) in sabotages {
        let seen = deviation_from_none(&instance, sabotage, unchanged);
        assert!(seen > 1.0, "{name}: {seen}");
    }
    let salt = fields.iter().find(|field| field.name == "tree 0 row salt").expect("a salt");
    let opening = 32 + 32 + instance.argument().wiring.num_masked_scalars() * E_BYTES;
    let fixed = |bytes: &mut Vec<u8>| bytes[opening + salt.offset..][..salt.len].fill(7);
    assert!(deviation_from_none(&instance, HONEST, fixed) > 1.0, "a salt is fixed");
}
