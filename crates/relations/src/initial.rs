//! The initial state: `B = 0`, moments 0, and A expanded from the run seed by a public generator.
//!
//! Entry i of the A matrix of a target is uniform on `-b..=b` with `b = floor(2^f / sqrt(in))` (PEFT's
//! `kaiming_uniform(a = sqrt 5)`), f the fraction bits of the master: word i (u64 LE) of BLAKE3's extended output
//! keyed by the seed over the matrix name gives `floor(word (2b+1) / 2^64) - b`.

use crate::program::{Program, TensorId};
use crate::step::{Matrix, StepProgram};

/// Words that are read at a time.
const READ_WORDS: usize = 1 << 9;

/// The entries of the matrix A of a target before the first step, row-major.
pub fn first_a<'a>(program: &'a Program, a: &Matrix, seed: &[u8; 32]) -> impl Iterator<Item = i64> + use<'a> {
    let [master, ..] = a.before;
    let shape = program.shape(master);
    let inputs: usize = shape.iter().skip(2).product();
    let fraction_bits = program.tensor(master).fraction_bits as u32;
    let bound = ((1u128 << (2 * fraction_bits)) / inputs as u128).isqrt() as i64;
    let mut reader = blake3::Hasher::new_keyed(seed).update(a.name.as_bytes()).finalize_xof();
    let mut words = [0; 8 * READ_WORDS];
    (0..shape.iter().product::<usize>()).map(move |i| {
        if i % READ_WORDS == 0 {
            reader.fill(&mut words);
        }
        let word = u64::from_le_bytes(words.as_chunks::<8>().0[i % READ_WORDS]);
        let span = 2 * bound as u128 + 1;
        ((u128::from(word) * span) >> 64) as i64 - bound
    })
}

/// Values of every state tensor before the first step, as (tensor of the state before, values).
pub fn initial_state(step: &StepProgram, seed: &[u8; 32]) -> Vec<(TensorId, Vec<i64>)> {
    let program = &step.program;
    let mut state = Vec::new();
    for adapter in step.adapters.values() {
        let [master, moments @ ..] = adapter.a.before;
        state.push((master, first_a(program, &adapter.a, seed).collect()));
        for tensor in moments.into_iter().chain(adapter.b.before) {
            state.push((tensor, vec![0; program.shape(tensor).iter().product()]));
        }
    }
    state
}
