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
    let total = 1 << units.log_leaves();
    let (mut p, mut q) = (vec![E::ZERO; total], vec![E::ONE; total]);
    for position in 0..units.used * RUN {
        let run = position / RUN;
        let affine = element(run / 3) - beta() * E::from_u32(value(position));
        let address = units.address(position);
        (p[address], q[address]) = match kind(run) {
            Kind::Ones => (E::ONE, affine),
            Kind::Zeros => (E::ZERO, affine),
            Kind::General => (element(position + 1), element(position + 2)),
        };
    }
    let leaves = Leaves::new(&units, beta(), |position, values| {
        let run = position / RUN;
        match kind(run) {
            Kind::General => {
                let fractions = [&p, &q].map(|part| Run::from_fn(|i| part[units.address(position + i)]));
                Chunk::General(Box::new(fractions))
            }
            kind => {
                (0..RUN).for_each(|i| values[i] = value(position + i));
                Chunk::Affine { constant: element(run / 3), is_one: kind == Kind::Ones }
            }
        }
    });
    let expected = sent(|channel| prove_scalars(p.clone(), q.clone(), channel));
    assert!(sent(|channel| prove(leaves, channel)) == expected, "{name}");
}

const KINDS: [Kind; 3] = [Kind::Ones, Kind::Zeros, Kind::General];

#[test]
fn any_kind_of_leaves_gives_what_single_elements_give() {
    for log_count in 0..=6 {
        let units = Units { log_count, used: 1 << log_count };
        for all in KINDS {
            check(units, |_| all, &format!("2^{log_count}, all {all:?}"));
        }
        check(units, |run| KINDS[run * run % 7 % 3], &format!("2^{log_count}, mixed"));
        check(units, |run| if run % 5 == 4 { Kind::Zeros } else { Kind::Ones }, &format!("2^{log_count}, padded"));
    }
}

#[test]
fn units_that_are_not_used_are_zero_fractions() {
    for log_count in [4, 6] {
        for used in (1..=1 << log_count).step_by(1 + log_count / 6) {
            let units = Units { log_count, used };
            check(units, |_| Kind::Ones, &format!("{used} units"));
            let tables = |run| if run + 3 >= used { Kind::General } else { KINDS[usize::from(run % 4 == 3)] };
            check(units, tables, &format!("{used} units, tables last"));
        }
    }
}
