//! Every check is needed: a proof that a check refuses passes up to the joint claim once that check is off.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use veritune_argument::{Argument, ArgumentError, CheckId};
use veritune_field::{E_BYTES, P};
use veritune_prover::argument::{NativeChannel, multiplicities, place_vectors, prove_into};
use veritune_relations::builder::{Builder, Make, Sum};
use veritune_relations::layout::Layout;
use veritune_relations::{Place, Program, Range};
use veritune_transcript::Transcript;

/// A gather by one-hot: lookups, equations and bits in one program.
fn case() -> (Program, Vec<Vec<i64>>) {
    let mut b = Builder::new(4);
    let (token, value) = (b.axis("token", 3), b.axis("value", 8));
    fn make<'a>(name: &'a str, axes: &'a [veritune_relations::AxisId], bits: u32) -> Make<'a> {
        Make { name, axes, range: Range::unsigned(bits), fraction_bits: 0 }
    }
    let table = b.tensor(Place::StateBefore, &make("table", &[value], 6));
    let bits = b.index_bits("bits", &[token], value).unwrap();
    let one_hot = b.one_hot("one_hot", &[token], value, bits, None);
    let (one_hot, table) = (b.on(one_hot), b.on(table));
    b.copy(&make("gathered", &[token], 6), &[token], Sum::product(1, &[&one_hot, &table])).unwrap();
    let program = b.program;
    let of = |name: &str| match name {
        "table" => vec![5, 17, 33, 60, 1, 2, 3, 4],
        "bits" => vec![1, 0, 0, 0, 1, 0, 1, 1, 0],
        "gathered" => vec![17, 33, 60],
        _ => Vec::new(),
    };
    let tensors = program.tensors.iter().map(|t| of(&t.name)).collect();
    (program, tensors)
}

/// Those of an argument without pads.
const NATIVE: [CheckId; 5] =
    [CheckId::LookupSum, CheckId::LookupLayer, CheckId::Equations, CheckId::OneHots, CheckId::Held];

fn check(program: &Program, proof: &[u8], off: &[CheckId]) -> Result<(), ArgumentError> {
    let off: Vec<&str> = off.iter().map(|check| check.code()).collect();
    veritune_mutation::without(&off, || check_now(program, proof))
}

/// The verdict under the switches of the caller.
fn check_now(program: &Program, proof: &[u8]) -> Result<(), ArgumentError> {
    Argument::new(program)?.verify_native(proof, &mut Transcript::new(b"checks")).map(|_| ())
}

fn prove(program: &Program, tensors: &[Vec<i64>]) -> Vec<u8> {
    let layout = Layout::new(program);
    let vectors = place_vectors(program, &layout, tensors, &multiplicities(program, tensors));
    let mut transcript = Transcript::new(b"checks");
    let mut channel = NativeChannel::new(&mut transcript);
    prove_into(&Argument::new(program).unwrap(), &vectors[0], tensors, &mut channel);
    channel.scalars
}

#[test]
fn a_scalar_plus_the_order_passes_without_its_check() {
    let (program, mut tensors) = case();
    // A table of zeros: the sum of all products is zero, and p is the same element.
    for name in ["table", "gathered"] {
        tensors[program.find(name).unwrap().0].fill(0);
    }
    let honest = prove(&program, &tensors);
    assert_eq!(check(&program, &honest, &[]), Ok(()));
    let zeros: Vec<usize> = (0..honest.len() / 8).filter(|&w| honest[8 * w..8 * w + 8] == [0; 8]).collect();
    assert!(zeros.len() >= 3, "{}", zeros.len());
    for word in zeros {
        let mut changed = honest.clone();
        changed[8 * word..8 * word + 8].copy_from_slice(&P.to_le_bytes());
        let index = word / 3;
        assert_eq!(check(&program, &changed, &[]), Err(ArgumentError::NotCanonical { index }));
        let without = veritune_mutation::without(&["VT-ARG-011"], || check_now(&program, &changed));
        assert_eq!(without, Ok(()), "word {word}");
    }
}

#[test]
fn a_scalar_more_passes_without_the_check_of_the_length() {
    let (program, tensors) = case();
    let mut longer = prove(&program, &tensors);
    longer.extend([0; E_BYTES]);
    assert!(matches!(check(&program, &longer, &[]), Err(ArgumentError::Length { .. })));
    assert_eq!(veritune_mutation::without(&["VT-ARG-010"], || check_now(&program, &longer)), Ok(()));
}

#[test]
fn a_proof_that_a_check_refuses_passes_without_that_check_alone() {
    let (program, tensors) = case();
    let proof = prove(&program, &tensors);
    assert_eq!(check(&program, &proof, &[]), Ok(()));
    let mut refused_by = std::collections::BTreeSet::new();
    for index in 0..proof.len() / E_BYTES {
        let mut changed = proof.clone();
        let word: &mut [u8; 8] = (&mut changed[E_BYTES * index..E_BYTES * index + 8]).try_into().unwrap();
        *word = ((u64::from_le_bytes(*word) + 1) % P).to_le_bytes();
        // A changed scalar moves all later challenges, so every later check refuses too: with all of them but one
        // off, that one alone refuses.
        assert_eq!(check(&program, &changed, &CheckId::ALL), Ok(()));
        for check_id in NATIVE {
            let others: Vec<CheckId> = CheckId::ALL.into_iter().filter(|&c| c != check_id).collect();
            if let Err(ArgumentError::Refused { check, .. }) = check(&program, &changed, &others) {
                assert_eq!(check, check_id);
                refused_by.insert(check_id);
            }
        }
    }
    assert_eq!(refused_by.len(), NATIVE.len());
}
