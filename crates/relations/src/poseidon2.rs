//! The Poseidon2 permutation of the long-lived trees, seen as affine maps between its S-boxes.
//!
//! Between two S-boxes the permutation is affine, so its inputs, the S-boxes' results and public matrices say all of
//! it: what S-box `s` reads is `constant[s] + input row s * inputs + sboxes row s * results before`, and an output lane
//! is a combination of the last round's results.
//!
//! Source: Poseidon2 (ePrint 2023/323) with the constants of Plonky3 for Goldilocks: width 12, S-box `x^7`, four full
//! rounds, 22 partial ones, four full ones.

use p3_goldilocks::{
    GOLDILOCKS_POSEIDON2_RC_12_EXTERNAL_FINAL as FINAL, GOLDILOCKS_POSEIDON2_RC_12_EXTERNAL_INITIAL as INITIAL,
    GOLDILOCKS_POSEIDON2_RC_12_INTERNAL as INTERNAL, GenericPoseidon2LinearLayersGoldilocks as Linear,
};
use p3_poseidon2::GenericPoseidon2LinearLayers;
use veritune_field::F;
pub use veritune_field::sponge::{CAPACITY, DIGEST, RATE, WIDTH};
use veritune_field::traits::PrimeCharacteristicRing;

/// S-boxes of a permutation.
pub const NUM_SBOXES: usize = (INITIAL.len() + FINAL.len()) * WIDTH + INTERNAL.len();

/// Round constants in order; a full round has one for every lane, a partial one for lane 0.
fn rounds() -> impl Iterator<Item = &'static [F]> {
    let full = |constants: &'static [[F; WIDTH]]| constants.iter().map(<[F; WIDTH]>::as_slice);
    full(&INITIAL).chain(INTERNAL.chunks(1)).chain(full(&FINAL))
}

/// The linear layer after a round of `num_sboxes`.
fn linear_layer(state: &mut [F; WIDTH], num_sboxes: usize) {
    if num_sboxes == WIDTH { Linear::external_linear_layer(state) } else { Linear::internal_linear_layer(state) }
}

/// What the S-boxes read, its third and its seventh power, in order.
pub type Trace = Vec<[F; 3]>;

/// Permutes the state and returns the S-boxes' trace.
pub fn permute(state: &mut [F; WIDTH]) -> Trace {
    let mut trace = Vec::with_capacity(NUM_SBOXES);
    Linear::external_linear_layer(state);
    for constants in rounds() {
        for (lane, &constant) in state.iter_mut().zip(constants) {
            let point = *lane + constant;
            let cube = point.cube();
            *lane = cube * cube * point;
            trace.push([point, cube, *lane]);
        }
        linear_layer(state, constants.len());
    }
    trace
}

/// The permutation's affine maps, row-major.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maps {
    /// `(sbox)`: what an S-box reads of nothing.
    pub constant: Vec<F>,
    /// `(sbox, lane)`: what it reads of the inputs.
    pub input: Vec<F>,
    /// `(sbox, sbox)`: what it reads of the results of earlier S-boxes.
    pub sboxes: Vec<F>,
    /// `(lane, sbox)`: the outputs.
    pub output: Vec<F>,
}

/// Coordinates of an affine form: 1, the inputs, the S-boxes' results.
const COORDINATES: usize = 1 + WIDTH + NUM_SBOXES;

/// Runs the permutation on affine forms, where every S-box's result is a new coordinate.
pub fn maps() -> Maps {
    // One state of coefficients per coordinate: linear layers act on each alone.
    let mut forms = vec![[F::ZERO; WIDTH]; COORDINATES];
    for lane in 0..WIDTH {
        forms[1 + lane][lane] = F::ONE;
    }
    forms.iter_mut().for_each(Linear::external_linear_layer);
    let mut maps = Maps { constant: Vec::new(), input: Vec::new(), sboxes: Vec::new(), output: Vec::new() };
    for constants in rounds() {
        for (lane, &constant) in constants.iter().enumerate() {
            let result = 1 + WIDTH + maps.constant.len();
            maps.constant.push(forms[0][lane] + constant);
            maps.input.extend(forms[1..=WIDTH].iter().map(|state| state[lane]));
            maps.sboxes.extend(forms[1 + WIDTH..].iter().map(|state| state[lane]));
            forms.iter_mut().for_each(|state| state[lane] = F::ZERO);
            forms[result][lane] = F::ONE;
        }
        forms.iter_mut().for_each(|state| linear_layer(state, constants.len()));
    }
    for lane in 0..WIDTH {
        maps.output.extend(forms[1 + WIDTH..].iter().map(|state| state[lane]));
    }
    maps
}

#[cfg(test)]
mod tests {
    use super::*;
    use p3_goldilocks::default_goldilocks_poseidon2_12;
    use std::array::from_fn;

    fn permuted(mut state: [F; WIDTH]) -> [F; WIDTH] {
        permute(&mut state);
        state
    }

    #[test]
    fn it_is_the_published_permutation() {
        use p3_symmetric::Permutation;
        for seed in 0..20u64 {
            let state: [F; WIDTH] = from_fn(|i| F::from_u64(seed * 0x9e37_79b9_7f4a_7c15 + i as u64 * seed.pow(3)));
            assert_eq!(permuted(state), default_goldilocks_poseidon2_12().permute(state));
        }
    }

    #[test]
    fn the_maps_give_the_trace_and_the_output() {
        let input: [F; WIDTH] = from_fn(|i| F::from_u64(u64::MAX / (i as u64 + 3)));
        let mut state = input;
        let trace = permute(&mut state);
        let results: Vec<F> = trace.iter().map(|t| t[2]).collect();
        let maps = maps();
        assert_eq!((trace.len(), maps.constant.len()), (NUM_SBOXES, NUM_SBOXES));
        let dot = |a: &[F], b: &[F]| a.iter().zip(b).map(|(&x, &y)| x * y).sum::<F>();
        for (s, read) in trace.iter().enumerate() {
            let row = &maps.sboxes[s * NUM_SBOXES..(s + 1) * NUM_SBOXES];
            assert!(row[s..].iter().all(|&x| x == F::ZERO), "an S-box reads earlier ones only");
            let point = maps.constant[s] + dot(&maps.input[s * WIDTH..(s + 1) * WIDTH], &input) + dot(row, &results);
            assert_eq!(point, read[0]);
            assert_eq!(read[1], point.cube());
        }
        for (lane, rows) in maps.output.chunks(NUM_SBOXES).enumerate() {
            assert!(rows[..NUM_SBOXES - WIDTH].iter().all(|&x| x == F::ZERO), "an output reads the last round only");
            assert_eq!(dot(rows, &results), state[lane]);
        }
    }
}
