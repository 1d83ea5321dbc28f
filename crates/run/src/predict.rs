//! What a run will take: counts of its work, from the program alone, and pieces of it to time.
//!
//! [`Counts`] follow from the spec. [`measure`] runs one kernel of the real prover or executor on made-up data of a
//! fixed size; whoever calls it takes the time. `veritune doctor` multiplies.

use crate::RunError;
use crate::session::Planned;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use veritune_argument::Argument;
use veritune_commit::{Profile, TreeHash, TreeShape};
use veritune_executor::Executor;
use veritune_field::traits::{ExtensionField, Field, PackedFieldExtension, PackedValue, PrimeCharacteristicRing};
use veritune_field::{E, E_BYTES, F, f_from_i64};
use veritune_prover::commit::{Randomness, commit};
use veritune_relations::builder::{Builder, Make, Sum};
use veritune_relations::{AxisId, Index, Operation, Place, Program, Range, Term, View, release};
use veritune_verifier::loss;
use veritune_verifier::proof::scalar_bytes;
use veritune_verifier::statement::StatementError;

/// Bytes of a root, and of a hash on a path.
const ROOT_BYTES: f64 = 32.0;

/// The work of one step, of the run's ends, and the sizes of its proofs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Optimiser steps.
    pub steps: u64,
    /// Multiply-adds of the executor.
    pub multiply_adds: f64,
    /// Slots of the witness in use.
    pub slots: f64,
    /// Elements of the committed witness matrix.
    pub witness: f64,
    /// Elements of a state's matrix.
    pub state: f64,
    /// Elements of the base's matrix.
    pub base: f64,
    /// Leaves of the lookup argument.
    pub leaves: f64,
    /// Bytes of all proofs, expected: the positions of the queries are random.
    pub proof_bytes: f64,
}

impl Counts {
    /// The counts of a planned run.
    pub fn of(planned: &Planned) -> Result<Self, RunError> {
        let program = &planned.program.program;
        let argument = Argument::new(program).map_err(StatementError::from)?;
        let plan = &argument.plan;
        let profile = planned.run().profile()?;
        let shapes = planned.shapes();
        let elements = |shape: &TreeShape| (shape.num_columns() << shape.log_rows) as f64;
        let steps = planned.spec().training.steps;
        let trees = [&shapes.witness, &shapes.state, &shapes.state];
        let loss = loss::num_bytes(planned.run()) as f64;
        let step_bytes = 3.0 * ROOT_BYTES + loss + scalar_bytes(&argument) as f64 + opening_bytes(&profile, &trees);
        // The first step has no tree of the state before.
        let less = opening_bytes(&profile, &trees) - opening_bytes(&profile, &trees[..2]);
        Ok(Self {
            steps,
            multiply_adds: multiply_adds(program),
            slots: planned.witness_slots() as f64,
            witness: elements(&shapes.witness),
            state: elements(&shapes.state),
            base: elements(&shapes.base),
            leaves: plan.num_leaves as f64,
            proof_bytes: step_bytes * steps as f64 - less
                + opening_bytes(&profile, &[&shapes.base])
                + release_bytes(planned, &profile)?,
        })
    }
}

fn release_bytes(planned: &Planned, profile: &Profile) -> Result<f64, RunError> {
    let step = &planned.program;
    let zeros: Vec<Vec<i64>> =
        release::matrices(step).into_iter().map(|(_, id)| vec![0; step.program.shape(id).iter().product()]).collect();
    let program = release::build(planned.spec(), step, &zeros)?.program;
    let argument = Argument::new(&program).map_err(StatementError::from)?;
    let shape = planned.run().witness_shape(profile, &argument)?;
    Ok(ROOT_BYTES + scalar_bytes(&argument) as f64 + opening_bytes(profile, &[&shape, &planned.shapes().state]))
}

/// Multiply-adds of all sums of products; an operation without products counts once per value.
fn multiply_adds(program: &Program) -> f64 {
    let term = |axes: &[AxisId], term: &Term| {
        let mut all: BTreeSet<AxisId> = axes.iter().copied().collect();
        let of_view = |view: &View| -> Vec<AxisId> {
            let axis = |index: &Index| match index {
                Index::Axis(a) | Index::Shifted(a, _) => Some(*a),
                Index::Fixed(_) => None,
            };
            view.index.iter().filter_map(axis).collect()
        };
        all.extend(term.factors.iter().flat_map(of_view));
        all.iter().map(|&a| program.axis(a).len as f64).product::<f64>()
    };
    let sum = |axes: &[AxisId], terms: &[Term]| terms.iter().map(|t| term(axes, t)).sum::<f64>();
    let operation = |operation: &Operation| match operation {
        Operation::Rescale { axes, accumulator, .. } => sum(axes, accumulator),
        Operation::Divide { axes, numerator, denominator, .. } => sum(axes, numerator) + sum(axes, denominator),
        Operation::SquareRoot { axes, square, .. } => sum(axes, square),
        Operation::Look { axes, input, .. } => sum(axes, input),
        Operation::Normalise { axes, value, .. }
        | Operation::Octave { axes, value, .. }
        | Operation::Sign { axes, value, .. }
        | Operation::Split { axes, value, .. } => sum(axes, value),
        Operation::Maximum { .. } | Operation::Bits { .. } | Operation::Sponge { .. } => 0.0,
    };
    program.steps.iter().map(|step| operation(&step.operation)).sum()
}

/// Expected bytes of an opening of these trees, message by message as `veritune_commit::verify` lists them.
fn opening_bytes(profile: &Profile, trees: &[&TreeShape]) -> f64 {
    let element = E_BYTES as f64;
    let widest = trees.iter().map(|t| t.log_columns).max().unwrap_or(0);
    // Two elements a round; the values, the mask's and the combination's; two sums; the covered pads.
    let rounds = 2 * (profile.log_rows() + widest);
    let mut bytes = (f64::from(rounds) + (trees.len() + 1 + 1 + 2 + profile.pads_length()) as f64) * element;
    for tree in trees {
        let (rows, siblings) = multiproof(profile.queries(), tree.log_domain(profile));
        bytes += rows * tree.row_bytes() as f64 + siblings * ROOT_BYTES;
    }
    for level in profile.levels() {
        let (rows, siblings) = multiproof(level.queries, level.log_domain());
        let fold = f64::from(level.log_columns) * 2.0 * element;
        bytes += ROOT_BYTES + fold + rows * f64::from(1 << level.log_columns) * element + siblings * ROOT_BYTES;
    }
    bytes + f64::from(1 << profile.log_final()) * element
}

/// Expected distinct leaves of `queries` uniform draws, and the siblings that their paths need.
fn multiproof(queries: u32, height: u32) -> (f64, f64) {
    let missed =
        |nodes: f64, share: f64| (1.0 - share / nodes).max(0.0).powi(i32::try_from(queries).unwrap_or(i32::MAX));
    let leaves = f64::from(height).exp2();
    let siblings = (0..height).map(|depth| {
        let nodes = f64::from(height - depth).exp2();
        nodes * (missed(nodes, 1.0) - missed(nodes, 2.0))
    });
    (leaves * (1.0 - missed(leaves, 1.0)), siblings.sum())
}

/// A piece of the real work, on made-up data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kernel {
    /// A witness tree: encoding and BLAKE3. Unit: element.
    WitnessTree,
    /// A state tree: encoding and Poseidon2. Unit: element.
    StateTree,
    /// Multiply-adds in the challenge field. Unit: one.
    Fold,
    /// A matrix product of the executor with its rescale. Unit: multiply-add.
    MultiplyAdd,
    /// Copies of an array that no cache holds. Unit: eight bytes.
    Copy,
}

impl Kernel {
    /// All kernels.
    pub const ALL: [Self; 5] = [Self::WitnessTree, Self::StateTree, Self::Fold, Self::MultiplyAdd, Self::Copy];
}

/// Runs a kernel; returns the units done. The caller takes the time.
pub fn measure(kernel: Kernel, threads: usize) -> Result<f64, RunError> {
    match kernel {
        Kernel::WitnessTree => tree(16, 4, TreeHash::Blake3),
        Kernel::StateTree => tree(13, 5, TreeHash::Poseidon2),
        Kernel::Fold => Ok(fold()),
        Kernel::MultiplyAdd => matrix_product(threads),
        Kernel::Copy => Ok(copy()),
    }
}

fn tree(log_rows: u32, log_columns: u32, hash: TreeHash) -> Result<f64, RunError> {
    let profile = Profile::new(log_rows).map_err(|e| RunError::Commit(e.to_string()))?;
    let shape = TreeShape { log_rows, log_columns, hash, masked: hash == TreeHash::Blake3, budget: 1 };
    let data = (0..1 << (log_rows + log_columns - 1)).map(f_from_i64).collect();
    let made =
        commit(&profile, shape, data, Randomness::from_seed([1; 32])).map_err(|e| RunError::Commit(e.to_string()))?;
    std::hint::black_box(made.root());
    Ok(f64::from(1 << (log_rows + log_columns)))
}

const FOLD_ELEMENTS: usize = 1 << 18;
const FOLD_ROUNDS: usize = 64;

fn fold() -> f64 {
    type Packed = <E as ExtensionField<F>>::ExtensionPacking;
    let elements: Vec<E> = (0..FOLD_ELEMENTS as i64).map(|i| E::from(f_from_i64(i + 1))).collect();
    let lanes = <<F as Field>::Packing as PackedValue>::WIDTH;
    let mut entries: Vec<Packed> = elements.chunks(lanes).map(Packed::from_ext_slice).collect();
    let challenge = elements[3] + E::ONE;
    entries.par_chunks_mut(1 << 8).for_each(|chunk| {
        // Several rounds over a chunk that stays in the cache: memory has a kernel of its own.
        for _ in 0..FOLD_ROUNDS {
            for entry in chunk.iter_mut() {
                *entry = *entry * challenge + *entry;
            }
        }
    });
    std::hint::black_box(&entries);
    (FOLD_ELEMENTS * FOLD_ROUNDS) as f64
}

const COPY_WORDS: usize = 1 << 23;

fn copy() -> f64 {
    let from = vec![1u64; COPY_WORDS];
    let mut to = vec![0u64; COPY_WORDS];
    for _ in 0..2 {
        to.par_chunks_mut(1 << 16).zip(from.par_chunks(1 << 16)).for_each(|(to, from)| to.copy_from_slice(from));
        std::hint::black_box(&to);
    }
    (2 * COPY_WORDS) as f64
}

fn matrix_product(threads: usize) -> Result<f64, RunError> {
    let (tokens, width) = (64, 512);
    let mut b = Builder::new(16);
    let token = b.axis("token", tokens);
    let (hidden, inner) = (b.axis("hidden", width), b.axis("inner", width));
    let range = Range::signed(16);
    let x = b.tensor(Place::Base, &Make { name: "x", axes: &[token, inner], range, fraction_bits: 8 });
    let w = b.tensor(Place::Base, &Make { name: "w", axes: &[hidden, inner], range, fraction_bits: 8 });
    let (x_on, w_on) = (b.on(x), b.on(w));
    let failed = |e: &dyn std::fmt::Display| RunError::Commit(e.to_string());
    let out = Make { name: "y", axes: &[token, hidden], range: Range::signed(24), fraction_bits: 8 };
    b.rescale(&out, &[token, hidden], Sum::product(1, &[&x_on, &w_on])).map_err(|e| failed(&e))?;
    let program = b.program;
    let mut executor = Executor::<i64>::new(&program).map_err(|e| failed(&e))?;
    for id in executor.inputs() {
        let len = program.shape(id).iter().product::<usize>() as i64;
        let values: Vec<i64> = (0..len).map(|i| i * 7919 % 601 - 300).collect();
        executor.set_input(id, values).map_err(|e| failed(&e))?;
    }
    executor.run(threads).map_err(|e| failed(&e))?;
    Ok((tokens * width * width) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use veritune_prover::commit::{BlockVector, open};
    use veritune_transcript::Transcript;

    #[test]
    fn an_opening_has_about_the_bytes_that_are_expected() {
        for log_rows in [10, 13, 16] {
            let profile = Profile::new(log_rows).unwrap();
            let shape = |log_rows, log_columns, masked| {
                let hash = if masked { TreeHash::Blake3 } else { TreeHash::Poseidon2 };
                TreeShape { log_rows, log_columns, hash, masked, budget: 1 }
            };
            let shapes = [shape(log_rows, 3, true), shape(10, 1, false)];
            let mut trees = shapes.map(|shape| {
                let randomness = Randomness::from_seed([shape.log_columns as u8; 32]);
                commit(&profile, shape, vec![F::ONE], randomness).unwrap()
            });
            let [witness, state] = &mut trees;
            let weights = vec![BlockVector::default(); 2];
            let mut transcript = Transcript::new(b"test");
            let proof = open(&profile, &mut [witness, state], weights, E::ZERO, &mut transcript).unwrap();
            let expected = opening_bytes(&profile, &[&shapes[0], &shapes[1]]);
            // What varies is which positions are drawn: less than a hundredth of the bytes.
            assert!((proof.len() as f64 / expected - 1.0).abs() < 0.01, "{} {expected}", proof.len());
        }
    }
}
