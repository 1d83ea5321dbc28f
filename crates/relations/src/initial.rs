//! The initial state: `B = 0`, moments 0, and A expanded from the run seed by a public generator.
//!
//! Entry i of the A matrix of a target is uniform on `-b..=b` with `b = floor(2^f / sqrt(in))` (PEFT's
//! `kaiming_uniform(a = sqrt 5)`), f the fraction bits of the master: word i (u64 LE) of BLAKE3's extended output
//! keyed by the seed over the matrix name gives `floor(word (2b+1) / 2^64) - b`.

use crate::program::TensorId;
use crate::step::StepProgram;

/// Values of every state tensor before the first step, as (tensor of the state before, values).
pub fn initial_state(step: &StepProgram, seed: &[u8; 32]) -> Vec<(TensorId, Vec<i64>)> {
    let program = &step.program;
    let mut state = Vec::new();
    for adapter in step.adapters.values() {
        let shape = program.shape(adapter.a.before[0]);
        let inputs: usize = shape.iter().skip(2).product();
        let fraction_bits = program.tensor(adapter.a.before[0]).fraction_bits as u32;
        let bound = ((1u128 << (2 * fraction_bits)) / inputs as u128).isqrt() as i64;
        let mut reader = blake3::Hasher::new_keyed(seed).update(adapter.a.name.as_bytes()).finalize_xof();
        let master = (0..shape.iter().product::<usize>())
            .map(|_| {
                let mut word = [0; 8];
                reader.fill(&mut word);
                let span = 2 * bound as u128 + 1;
                ((u128::from(u64::from_le_bytes(word)) * span) >> 64) as i64 - bound
            })
            .collect();
        state.push((adapter.a.before[0], master));
        for &tensor in adapter.a.before.iter().skip(1).chain(&adapter.b.before) {
            state.push((tensor, vec![0; program.shape(tensor).iter().product()]));
        }
    }
    state
}
