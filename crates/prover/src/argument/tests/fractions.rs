//! However leaves are kept, what is sent is what single elements in their natural order give.

use super::super::fractions::{Chunk, Leaves, RUN, Run, VALUE_BITS, prove, prove_scalars};
use super::super::{Channel, NativeChannel};
use super::transcript;
use veritune_argument::{Labels, Units};
use veritune_field::E;
use veritune_field::traits::PrimeCharacteristicRing;

/// Everything that is sent, and the point.
fn sent(prove: impl FnOnce(&mut NativeChannel<'_>) -> Vec<E>) -> (Vec<u8>, Vec<E>) {
    let mut transcript = transcript();
    let mut channel = NativeChannel::new(&mut transcript);
    let _ = channel.challenge(Labels::LOOKUP_ALPHA);
    let point = prove(&mut channel);
    (channel.scalars, point)
}

fn beta() -> E {
    E::from_u64(0x0123_4567_89ab_cdef).exp_u64(5)
}

/// An element that fills all coefficients.
fn element(seed: usize) -> E {
    (beta() + E::from_usize(seed)).exp_u64(9)
}

/// The largest and the least values among others.
fn value(seed: usize) -> u32 {
    let largest = (1 << VALUE_BITS) - 1;
    match seed % 5 {
        0 => largest,
        1 => 0,
        _ => (seed.wrapping_mul(0x9e37_79b9) >> 3) as u32 & largest,
    }
}

/// What lies in run `run` of the stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Ones,
    Zeros,
    General,
}

/// Compares leaves, of which those of a run of the stack are of a kind, with the same as single elements.
fn check(units: Units, kind: impl Fn(usize) -> Kind + Sync, name: &str) {
    let total = 1 << (units.log_len + units.log_count);
    let (mut p, mut q) = (vec![E::ZERO; total], vec![E::ONE; total]);
    let mut kinds = vec![None; total / RUN];
    for run in 0..(units.used << units.log_len) / RUN {
        let address = units.address(run * RUN);
        kinds[address / RUN] = Some((run, kind(run)));
        for i in 0..RUN {
            let seed = run * RUN + i;
            let affine = element(run / 3) - beta() * E::from_u32(value(seed));
            (p[address + i], q[address + i]) = match kind(run) {
                Kind::Ones => (E::ONE, affine),
                Kind::Zeros => (E::ZERO, affine),
                Kind::General => (element(seed + 1), element(seed + 2)),
            };
        }
    }
    let leaves = Leaves::new(&units, beta(), |address, values| match kinds[address / RUN] {
        None => Chunk::Affine { constant: E::ONE, is_one: false },
        Some((_, Kind::General)) => {
            let fractions = [&p, &q].map(|part| Run::from_fn(|i| part[address + i]));
            Chunk::General(Box::new(fractions))
        }
        Some((run, kind)) => {
            (0..RUN).for_each(|i| values[i] = value(run * RUN + i));
            Chunk::Affine { constant: element(run / 3), is_one: kind == Kind::Ones }
        }
    });
    let expected = sent(|channel| prove_scalars(p.clone(), q.clone(), channel));
    assert!(sent(|channel| prove(leaves, channel)) == expected, "{name}");
}

const KINDS: [Kind; 3] = [Kind::Ones, Kind::Zeros, Kind::General];

#[test]
fn any_kind_of_leaves_gives_what_single_elements_give() {
    for log_len in 6..=12 {
        let units = Units { log_len, log_count: 0, used: 1 };
        for all in KINDS {
            check(units, |_| all, &format!("2^{log_len}, all {all:?}"));
        }
        check(units, |run| KINDS[run * run % 7 % 3], &format!("2^{log_len}, mixed"));
        check(units, |run| if run % 5 == 4 { Kind::Zeros } else { Kind::Ones }, &format!("2^{log_len}, padded"));
    }
}

#[test]
fn units_that_are_not_used_are_zero_fractions() {
    for log_len in 6..=8 {
        for used in 1..=16 {
            let units = Units { log_len, log_count: 4, used };
            check(units, |_| Kind::Ones, &format!("{used} units of 2^{log_len}"));
            let last = (used - 1) << (log_len - 6);
            let tables = |run| if run >= last { Kind::General } else { KINDS[usize::from(run % 4 == 3)] };
            check(units, tables, &format!("{used} units of 2^{log_len}, tables last"));
        }
    }
}

#[test]
fn units_of_less_than_a_run_are_kept_together() {
    for used in 9..=16 {
        let units = Units { log_len: 4, log_count: 4, used };
        let stack: Vec<usize> = (0..used << 4).map(|position| units.address(position)).collect();
        let (mut p, mut q) = (vec![E::ZERO; 1 << 8], vec![E::ONE; 1 << 8]);
        for (seed, &address) in stack.iter().enumerate() {
            (p[address], q[address]) = (element(seed), element(seed + 1));
        }
        let leaves = Leaves::new(&units, beta(), |address, _| {
            let fractions = [&p, &q].map(|part| Run::from_fn(|i| part[address + i]));
            Chunk::General(Box::new(fractions))
        });
        let expected = sent(|channel| prove_scalars(p.clone(), q.clone(), channel));
        assert!(sent(|channel| prove(leaves, channel)) == expected, "{used}");
    }
}
