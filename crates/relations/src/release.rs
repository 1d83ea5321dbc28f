//! The release: the adapter file holds exactly the rounded copies of the last state's masters.
//!
//! Statement: for every adapter matrix, `master + 2^(s-1) = 2^s copy + low` with `0 <= low < 2^s`, where master is
//! in the committed last state and copy is public: the integers that the file encodes.

use crate::builder::{Builder, Make};
use crate::program::{Place, Program, Range, TensorId, Term};
use crate::spec::Spec;
use crate::step::{StepError, StepProgram};

/// The program of a release.
#[derive(Debug)]
pub struct Release {
    /// The program; its state before is the run's last state.
    pub program: Program,
}

/// Names of the adapter matrices (`q_proj.a` …) with the tensors of their copies in a step program.
pub fn matrices(step: &StepProgram) -> Vec<(String, TensorId)> {
    let pairs = step.adapters.values().flat_map(|adapter| [&adapter.a, &adapter.b]);
    pairs.map(|matrix| (matrix.name.clone(), matrix.copy)).collect()
}

/// The rounded copy of a master, as a step's forward pass reads it.
pub fn round_master(master: i64, shift: u32) -> i64 {
    (master + (1 << (shift - 1))) >> shift
}

/// The rounded copies of all matrices, in the order of [`matrices`], from the masters by the name of their tensor before a step.
pub fn copies<'a>(
    spec: &Spec,
    step: &StepProgram,
    masters: impl Fn(&str) -> &'a [i64],
) -> Result<Vec<Vec<i64>>, StepError> {
    let rounded = |(name, _): (String, TensorId)| {
        let shift = copy_shift(spec, &name)?;
        Ok(masters(&format!("state_before.{name}.master")).iter().map(|&m| round_master(m, shift)).collect())
    };
    matrices(step).into_iter().map(rounded).collect()
}

/// Bits between the master and the copy of a matrix of this name.
pub fn copy_shift(spec: &Spec, name: &str) -> Result<u32, StepError> {
    let kind = if name.ends_with(".a") { "a" } else { "b" };
    let shift = spec.scale("master")?.fraction_bits - spec.scale(kind)?.fraction_bits;
    u32::try_from(shift)
        .ok()
        .filter(|s| (1..32).contains(s))
        .ok_or_else(|| crate::spec::SpecError::new(kind, "is not coarser than the master").into())
}

/// The release of these copies: one vector per matrix, in the order of [`matrices`]; `step` is any step's program.
///
/// # Errors
/// If the spec is invalid, a vector has another length than its matrix, or there is one too many.
pub fn build(spec: &Spec, step: &StepProgram, copies: &[Vec<i64>]) -> Result<Release, StepError> {
    let mut b = Builder::new(spec.range_bits);
    // The same axes in the same order, so that the state has the same layout.
    b.program.axes.clone_from(&step.program.axes);
    let mut values = copies.iter();
    for matrix in step.adapters.values().flat_map(|adapter| [&adapter.a, &adapter.b]) {
        let mut stored = Vec::new();
        for id in matrix.before {
            let t = step.program.tensor(id);
            let make = Make { name: &t.name, axes: &t.axes, range: t.range, fraction_bits: t.fraction_bits };
            stored.push(b.tensor(Place::StateBefore, &make));
        }
        let expected: usize = step.program.shape(matrix.copy).iter().product();
        let copy = values.next().filter(|v| v.len() == expected).ok_or_else(|| {
            crate::spec::SpecError::new(&matrix.name, format!("the released matrix must have {expected} entries"))
        })?;
        let kind = step.program.tensor(matrix.copy);
        let name = format!("{}.released", matrix.name);
        let make = Make { name: &name, axes: &matrix.axes, range: kind.range, fraction_bits: kind.fraction_bits };
        if copy.iter().any(|&x| !kind.range.contains(x)) {
            return Err(crate::spec::SpecError::new(&matrix.name, "a released entry is out of range").into());
        }
        let released = b.public(&make, copy.clone());
        let shift = copy_shift(spec, &matrix.name)?;
        let half = 1i64 << (shift - 1);
        let remainder = vec![
            Term { coefficient: 1, factors: vec![b.on(stored[0]).view] },
            Term { coefficient: half, factors: Vec::new() },
            Term { coefficient: -(1 << shift), factors: vec![b.on(released).view] },
        ];
        let name = format!("{}.low", matrix.name);
        let make = Make { name: &name, axes: &matrix.axes, range: Range::unsigned(shift), fraction_bits: 0 };
        b.copy(&make, &matrix.axes, crate::builder::Sum { terms: remainder, fraction_bits: 0 })?;
    }
    if values.next().is_some() {
        return Err(crate::spec::SpecError::new("release", "there are more vectors than matrices").into());
    }
    Ok(Release { program: b.program })
}
