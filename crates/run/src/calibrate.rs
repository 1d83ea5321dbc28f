//! Calibration: runs the step's program without rounding on real rows and reads the greatest value of each kind.

use crate::RunError;
use crate::inputs::{Inputs, Named, name_before, tensors_of};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use veritune_executor::Executor;
use veritune_relations::initial::initial_state;
use veritune_relations::sampler::Sampler;
use veritune_relations::scales::{KINDS, Scales};
use veritune_relations::step::StepError;
use veritune_relations::{Place, ProgramError, Spec, step};

/// Greatest real absolute value of each kind over `steps` steps that start from the seed's initial adapter.
///
/// `spec` has the default scales. The rows are the first of the sampler's order under the seed.
pub fn maxima(
    spec: &Spec,
    inputs: &Inputs,
    seed: &[u8; 32],
    steps: u64,
    threads: usize,
    mut progress: impl FnMut(u64) -> bool,
) -> Result<BTreeMap<String, f64>, RunError> {
    let mut maxima: BTreeMap<String, f64> = BTreeMap::new();
    let mut state: Named<f64> = BTreeMap::new();
    // The base's are the same buffers at every step: converted once, by address.
    let converted: RefCell<BTreeMap<usize, Arc<Vec<f64>>>> = RefCell::default();
    let convert = |values: &Arc<Vec<i64>>| {
        let floats = || Arc::new(values.iter().map(|&x| x as f64).collect());
        Arc::clone(converted.borrow_mut().entry(Arc::as_ptr(values) as usize).or_insert_with(floats))
    };
    let tables = step::Tables::new(spec)?;
    let mut sampler = Sampler::new(seed, spec.dataset_rows, spec.training.rows);
    for number in 1..=steps {
        let rows = sampler.rows(number);
        let built = step::build_with(spec, &tables, number, &step::no_leaves(spec))?;
        let program = &built.program;
        if number == 1 {
            for (id, values) in initial_state(&built, seed) {
                let floats = values.iter().map(|&x| x as f64).collect();
                state.insert(program.tensor(id).name.clone(), Arc::new(floats));
            }
        }
        let failed = |source| RunError::Execute {
            step: number,
            rows: inputs.dataset.file_rows(&rows),
            source: Box::new(source),
        };
        let mut executor = Executor::<f64>::new(program).map_err(failed)?;
        inputs.set_with(&mut executor, program, &state, &rows, convert).map_err(failed)?;
        executor.run(threads).map_err(failed)?;
        for (name, kind) in &built.kinds {
            let Some(id) = program.find(name) else { continue };
            let scale = (-f64::from(program.tensor(id).fraction_bits)).exp2();
            let largest = executor.tensors().get(id).iter().fold(0.0f64, |m, x| m.max(x.abs())) * scale;
            let entry = maxima.entry((*kind).to_owned()).or_insert(0.0);
            *entry = entry.max(largest);
        }
        for id in tensors_of(program, Place::StateAfter) {
            let name = name_before(&program.tensor(id).name);
            state.insert(name, executor.tensors().shared(id));
        }
        if !progress(number) {
            return Err(RunError::Stopped);
        }
    }
    Ok(maxima)
}

/// The spec with scales as fine as its program allows.
///
/// Calibration sets every kind for itself; an equation that aligns several may then leave the field. As long as one
/// does, the kind whose coarser scale lowers that equation's bound most gives up a fraction bit.
pub fn fitted(mut spec: Spec) -> Result<Spec, RunError> {
    let wrapped = |spec: &Spec| -> Result<Option<(String, u128)>, RunError> {
        let tables = step::Tables::new(spec)?;
        match step::build_with(spec, &tables, 1, &step::no_leaves(spec)) {
            Ok(_) => Ok(None),
            Err(StepError::Program(ProgramError::Wraps { operation, bound })) => Ok(Some((operation, bound))),
            Err(error) => Err(error.into()),
        }
    };
    while let Some((operation, bound)) = wrapped(&spec)? {
        let mut best: Option<(u128, Scales)> = None;
        for kind in KINDS {
            let Some(scales) = spec.scales.coarser(kind, spec.range_bits) else { continue };
            let trial = Spec { scales, ..spec.clone() };
            let Ok(left) = wrapped(&trial) else { continue };
            // Another equation that wraps comes later: this one is settled.
            let left = left.map_or(0, |(name, left)| if name == operation { left } else { 0 });
            if left < best.as_ref().map_or(bound, |(least, _)| *least) {
                best = Some((left, trial.scales));
            }
        }
        let Some((_, scales)) = best else {
            return Err(StepError::Program(ProgramError::Wraps { operation, bound }).into());
        };
        spec.scales = scales;
    }
    Ok(spec)
}
