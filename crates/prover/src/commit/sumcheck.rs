//! Round polynomials of `sum_b w(b) f(b)`, most significant variable first.
//!
//! A round polynomial is sent as `h(0)` and its leading coefficient. Binding a variable and summing the
//! next round polynomial is one pass over memory; sums of a task are reduced once, at its end. Sums of field
//! elements do not depend on the order, so the result is the same for every number of threads.

use super::block_vector::{BLOCK, BlockVector, from_blocks, load, store, to_blocks};
use crate::lane::{Factor, LANES, PackedE, Packing, Products, broadcast, from_triple, scaled, sum_triple, triple};
use crate::zeros::zeros;
use rayon::prelude::*;
use veritune_field::traits::{PackedValue, PrimeCharacteristicRing};
use veritune_field::{E, F};

/// `h(0)` and the leading coefficient.
pub(super) type RoundPolynomial = [E; 2];

const BLOCKS_PER_TASK: usize = 256;
/// Below this length the scalar code takes over.
const MIN_BLOCK_LENGTH: usize = 8 * LANES;

/// The state of one sumcheck of a product.
pub(super) struct ProductSumcheck<'a> {
    state: State<'a>,
    polynomial: RoundPolynomial,
}

enum State<'a> {
    /// Nothing bound yet: weights in blocks, the vector over the base field.
    Base { weights: Vec<F>, vector: &'a [F] },
    /// One variable bound, in the weights only: the bound vector would be the largest allocation of the
    /// opening, and it is cheaper to bind it again together with the next variable.
    BaseOnce { weights: Vec<F>, vector: &'a [F], challenge: E },
    /// Both in blocks.
    Blocks { weights: Vec<F>, vector: Vec<F> },
    /// Both short.
    Scalar { weights: Vec<E>, vector: Vec<E> },
}

impl<'a> ProductSumcheck<'a> {
    /// Over a base-field vector; `weights` may be shorter and then counts as zero beyond.
    pub(super) fn over_base(weights: BlockVector, vector: &'a [F]) -> Self {
        if vector.len() < MIN_BLOCK_LENGTH {
            let mut weights = weights.elements();
            weights.resize(vector.len(), E::ZERO);
            return Self::scalar(weights, vector.iter().map(|&x| E::from(x)).collect());
        }
        let weights = weights.into_words(vector.len());
        let polynomial = round_base(&weights, vector);
        Self { state: State::Base { weights, vector }, polynomial }
    }

    /// Over a vector of the challenge field.
    pub(super) fn over_extension(weights: Vec<E>, vector: Vec<E>) -> Self {
        if vector.len() < MIN_BLOCK_LENGTH {
            return Self::scalar(weights, vector);
        }
        let (weights, vector) = (to_blocks(weights), to_blocks(vector));
        let polynomial = round_blocks(&weights, &vector);
        Self { state: State::Blocks { weights, vector }, polynomial }
    }

    fn scalar(weights: Vec<E>, vector: Vec<E>) -> Self {
        let polynomial = round_scalar(&weights, &vector);
        Self { state: State::Scalar { weights, vector }, polynomial }
    }

    /// The polynomial of the next round.
    pub(super) fn polynomial(&self) -> RoundPolynomial {
        self.polynomial
    }

    /// Binds the most significant variable.
    pub(super) fn bind(&mut self, challenge: E) {
        match &mut self.state {
            State::Base { weights, vector } => {
                self.polynomial = bind_base(weights, vector, challenge);
                self.state = State::BaseOnce { weights: std::mem::take(weights), vector, challenge };
            }
            State::BaseOnce { weights, vector, challenge: first } => {
                let (bound, polynomial) = bind_base_again(weights, vector, *first, challenge);
                self.polynomial = polynomial;
                self.state = State::Blocks { weights: std::mem::take(weights), vector: bound };
            }
            State::Blocks { weights, vector } => {
                self.polynomial = bind_blocks(weights, vector, challenge);
            }
            State::Scalar { weights, vector } => {
                fold_scalar(weights, challenge);
                fold_scalar(vector, challenge);
                self.polynomial = round_scalar(weights, vector);
            }
        }
        if let State::Blocks { weights, vector } = &self.state
            && vector.len() < MIN_BLOCK_LENGTH * 3
        {
            *self = Self::scalar(from_blocks(weights), from_blocks(vector));
        }
    }

    /// What is left of weights and vector.
    pub(super) fn into_parts(self) -> (Vec<E>, Vec<E>) {
        match self.state {
            State::Base { weights, vector } => (from_blocks(&weights), vector.iter().map(|&x| E::from(x)).collect()),
            State::BaseOnce { weights, vector, challenge } => (from_blocks(&weights), bind_plain(vector, challenge)),
            State::Blocks { weights, vector } => (from_blocks(&weights), from_blocks(&vector)),
            State::Scalar { weights, vector } => (weights, vector),
        }
    }

    /// The inner product of what is left.
    pub(super) fn claim(&self) -> E {
        let inner = |w: &[E], f: &[E]| w.iter().zip(f).map(|(&a, &b)| a * b).sum();
        match &self.state {
            State::Base { weights, vector } => from_blocks(weights).iter().zip(*vector).map(|(&a, &b)| a * b).sum(),
            State::BaseOnce { weights, vector, challenge } => {
                inner(&from_blocks(weights), &bind_plain(vector, *challenge))
            }
            State::Blocks { weights, vector } => inner(&from_blocks(weights), &from_blocks(vector)),
            State::Scalar { weights, vector } => inner(weights, vector),
        }
    }
}

/// Sums of `w0 f0` and `(w1 - w0)(f1 - f0)`, lane by lane, over a task.
struct Sums {
    constant: Products,
    leading: Products,
}

const _: () = assert!(BLOCKS_PER_TASK <= Products::MAX);

impl Sums {
    #[inline(always)]
    fn new() -> Self {
        Self { constant: Products::new(), leading: Products::new() }
    }

    #[inline(always)]
    fn add(&mut self, w0: PackedE, w1: PackedE, f0: PackedE, f1: PackedE) {
        self.constant.add(triple(&w0), triple(&f0));
        self.leading.add(triple(&(w1 - w0)), triple(&(f1 - f0)));
    }

    fn finish(self) -> RoundPolynomial {
        [sum_triple(&self.constant.finish()), sum_triple(&self.leading.finish())]
    }
}

fn plus(a: RoundPolynomial, b: RoundPolynomial) -> RoundPolynomial {
    [a[0] + b[0], a[1] + b[1]]
}

const ZERO: RoundPolynomial = [E::ZERO; 2];

fn round_base(weights: &[F], vector: &[F]) -> RoundPolynomial {
    let (w0, w1) = weights.split_at(weights.len() / 2);
    let (f0, f1) = vector.split_at(vector.len() / 2);
    let (wide, narrow) = (BLOCK * BLOCKS_PER_TASK, LANES * BLOCKS_PER_TASK);
    w0.par_chunks(wide)
        .zip(w1.par_chunks(wide))
        .zip(f0.par_chunks(narrow).zip(f1.par_chunks(narrow)))
        .map(|((w0, w1), (f0, f1))| {
            let mut sums = Sums::new();
            let weights = w0.as_chunks::<BLOCK>().0.iter().zip(w1.as_chunks::<BLOCK>().0);
            let vectors = Packing::pack_slice(f0).iter().zip(Packing::pack_slice(f1));
            for ((w0, w1), (&f0, &f1)) in weights.zip(vectors) {
                let (w0, w1) = (load(w0), load(w1));
                sums.constant.add_base(triple(&w0), f0);
                sums.leading.add_base(triple(&(w1 - w0)), f1 - f0);
            }
            sums.finish()
        })
        .reduce(|| ZERO, plus)
}

fn round_blocks(weights: &[F], vector: &[F]) -> RoundPolynomial {
    let (w0, w1) = weights.split_at(weights.len() / 2);
    let (f0, f1) = vector.split_at(vector.len() / 2);
    let size = BLOCK * BLOCKS_PER_TASK;
    w0.par_chunks(size)
        .zip(w1.par_chunks(size))
        .zip(f0.par_chunks(size).zip(f1.par_chunks(size)))
        .map(|((w0, w1), (f0, f1))| {
            let mut sums = Sums::new();
            let weights = w0.as_chunks::<BLOCK>().0.iter().zip(w1.as_chunks::<BLOCK>().0);
            let vectors = f0.as_chunks::<BLOCK>().0.iter().zip(f1.as_chunks::<BLOCK>().0);
            for ((w0, w1), (f0, f1)) in weights.zip(vectors) {
                sums.add(load(w0), load(w1), load(f0), load(f1));
            }
            sums.finish()
        })
        .reduce(|| ZERO, plus)
}

fn round_scalar(weights: &[E], vector: &[E]) -> RoundPolynomial {
    // After the last variable there is no further round.
    if vector.len() < 2 {
        return ZERO;
    }
    let (w0, w1) = weights.split_at(weights.len() / 2);
    let (f0, f1) = vector.split_at(vector.len() / 2);
    let pairs = w0.iter().zip(w1).zip(f0.iter().zip(f1));
    pairs.fold(ZERO, |sums, ((&w0, &w1), (&f0, &f1))| plus(sums, [w0 * f0, (w1 - w0) * (f1 - f0)]))
}

fn fold_scalar(values: &mut Vec<E>, challenge: E) {
    let half = values.len() / 2;
    let (low, high) = values.split_at_mut(half);
    for (low, high) in low.iter_mut().zip(high) {
        *low += challenge * (*high - *low);
    }
    values.truncate(half);
}

fn bind_plain(vector: &[F], challenge: E) -> Vec<E> {
    let (low, high) = vector.split_at(vector.len() / 2);
    low.iter().zip(high).map(|(&low, &high)| challenge * (high - low) + low).collect()
}

/// Binds the weights and sums the next round polynomial, binding the vector on the fly. The four quarters
/// meet in one pass: the first two are the halves of the next round.
fn bind_base(weights: &mut Vec<F>, vector: &[F], challenge: E) -> RoundPolynomial {
    let (factor, challenge) = (Factor::new(challenge), broadcast(challenge));
    let half = weights.len() / 2;
    let (low, high) = weights.split_at_mut(half);
    let (w00, w01) = low.split_at_mut(half / 2);
    let (w10, w11) = high.split_at(half / 2);
    let vector = Packing::pack_slice(vector);
    let quarter = vector.len() / 4;
    let size = BLOCK * BLOCKS_PER_TASK;
    let polynomial = w00
        .par_chunks_mut(size)
        .zip(w01.par_chunks_mut(size))
        .zip(w10.par_chunks(size).zip(w11.par_chunks(size)))
        .enumerate()
        .map(|(task, ((w00, w01), (w10, w11)))| {
            let mut sums = Sums::new();
            let low = w00.as_chunks_mut::<BLOCK>().0.iter_mut().zip(w01.as_chunks_mut::<BLOCK>().0);
            let high = w10.as_chunks::<BLOCK>().0.iter().zip(w11.as_chunks::<BLOCK>().0);
            for (b, (low, high)) in (task * BLOCKS_PER_TASK..).zip(low.zip(high)) {
                let w0 = bind_in_place(low.0, high.0, &factor);
                let w1 = bind_in_place(low.1, high.1, &factor);
                let bound = |b: usize| challenge * (vector[b + 2 * quarter] - vector[b]) + vector[b];
                sums.add(w0, w1, bound(b), bound(b + quarter));
            }
            sums.finish()
        })
        .reduce(|| ZERO, plus);
    weights.truncate(half);
    polynomial
}

/// Binds the second variable of the weights and the first two of the vector; returns the bound vector and
/// the next round polynomial.
fn bind_base_again(weights: &mut Vec<F>, vector: &[F], first: E, second: E) -> (Vec<F>, RoundPolynomial) {
    // Weights of the differences: f + first * d10 + second * d01 + first * second * d11.
    let (both, factor) = (broadcast(first * second), Factor::new(second));
    let (first, second) = (broadcast(first), broadcast(second));
    let half = weights.len() / 2;
    let mut bound = zeros(half);
    let (b0, b1) = bound.split_at_mut(half / 2);
    let (low, high) = weights.split_at_mut(half);
    let (w00, w01) = low.split_at_mut(half / 2);
    let (w10, w11) = high.split_at(half / 2);
    let vector = Packing::pack_slice(vector);
    let quarter = vector.len() / 4;
    let bind = |b: usize| {
        let [f00, f01] = [vector[b], vector[b + quarter]];
        let [f10, f11] = [vector[b + 2 * quarter], vector[b + 3 * quarter]];
        let (d10, d01) = (f10 - f00, f01 - f00);
        let mut sum = Products::new();
        sum.add_base(triple(&first), d10);
        sum.add_base(triple(&second), d01);
        sum.add_base(triple(&both), f11 - f01 - d10);
        from_triple(sum.finish()) + f00
    };
    let size = BLOCK * BLOCKS_PER_TASK;
    let polynomial = w00
        .par_chunks_mut(size)
        .zip(w01.par_chunks_mut(size))
        .zip(w10.par_chunks(size).zip(w11.par_chunks(size)))
        .zip(b0.par_chunks_mut(size).zip(b1.par_chunks_mut(size)))
        .enumerate()
        .map(|(task, (((w00, w01), (w10, w11)), (b0, b1)))| {
            let mut sums = Sums::new();
            let low = w00.as_chunks_mut::<BLOCK>().0.iter_mut().zip(w01.as_chunks_mut::<BLOCK>().0);
            let high = w10.as_chunks::<BLOCK>().0.iter().zip(w11.as_chunks::<BLOCK>().0);
            let out = b0.as_chunks_mut::<BLOCK>().0.iter_mut().zip(b1.as_chunks_mut::<BLOCK>().0);
            for (b, ((low, high), out)) in (task * BLOCKS_PER_TASK..).zip(low.zip(high).zip(out)) {
                let w0 = bind_in_place(low.0, high.0, &factor);
                let w1 = bind_in_place(low.1, high.1, &factor);
                let (f0, f1) = (bind(b), bind(b + quarter / 2));
                store(out.0, f0);
                store(out.1, f1);
                sums.add(w0, w1, f0, f1);
            }
            sums.finish()
        })
        .reduce(|| ZERO, plus);
    weights.truncate(half);
    (bound, polynomial)
}

fn bind_blocks(weights: &mut Vec<F>, vector: &mut Vec<F>, challenge: E) -> RoundPolynomial {
    let challenge = Factor::new(challenge);
    let half = weights.len() / 2;
    let size = BLOCK * BLOCKS_PER_TASK;
    let (low, high) = weights.split_at_mut(half);
    let (w00, w01) = low.split_at_mut(half / 2);
    let (w10, w11) = high.split_at(half / 2);
    let (low, high) = vector.split_at_mut(half);
    let (f00, f01) = low.split_at_mut(half / 2);
    let (f10, f11) = high.split_at(half / 2);
    let polynomial = w00
        .par_chunks_mut(size)
        .zip(w01.par_chunks_mut(size))
        .zip(w10.par_chunks(size).zip(w11.par_chunks(size)))
        .zip(f00.par_chunks_mut(size).zip(f01.par_chunks_mut(size)))
        .zip(f10.par_chunks(size).zip(f11.par_chunks(size)))
        .map(|((((w00, w01), (w10, w11)), (f00, f01)), (f10, f11))| {
            let mut sums = Sums::new();
            let w_low = w00.as_chunks_mut::<BLOCK>().0.iter_mut().zip(w01.as_chunks_mut::<BLOCK>().0);
            let w_high = w10.as_chunks::<BLOCK>().0.iter().zip(w11.as_chunks::<BLOCK>().0);
            let f_low = f00.as_chunks_mut::<BLOCK>().0.iter_mut().zip(f01.as_chunks_mut::<BLOCK>().0);
            let f_high = f10.as_chunks::<BLOCK>().0.iter().zip(f11.as_chunks::<BLOCK>().0);
            for (((w_low, w_high), f_low), f_high) in w_low.zip(w_high).zip(f_low).zip(f_high) {
                let w0 = bind_in_place(w_low.0, w_high.0, &challenge);
                let w1 = bind_in_place(w_low.1, w_high.1, &challenge);
                let f0 = bind_in_place(f_low.0, f_high.0, &challenge);
                let f1 = bind_in_place(f_low.1, f_high.1, &challenge);
                sums.add(w0, w1, f0, f1);
            }
            sums.finish()
        })
        .reduce(|| ZERO, plus);
    weights.truncate(half);
    vector.truncate(half);
    polynomial
}

#[inline(always)]
fn bind_in_place(low: &mut [F; BLOCK], high: &[F; BLOCK], challenge: &Factor) -> PackedE {
    let start = load(low);
    let bound = scaled(challenge, &(load(high) - start)) + start;
    store(low, bound);
    bound
}
