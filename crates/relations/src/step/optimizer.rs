//! The optimiser, elementwise over every adapter matrix, and the state after the step.
//!
//! AdamW with decoupled weight decay: g = round(gradient * clip factor),
//! `m' = round((b1 m + (1-b1) g))`, `v' = round(b2 v + (1-b2) g^2)`, exact divisions by the decimal denominators;
//! `s = floor(sqrt(v' 2^14))`, `update = floor(m' C / (s + eps))` with the public C of the step;
//! `w' = w - update - round(w lr decay)`. SGD: `w' = w - round(lr g) - round(w lr decay)`, moments unchanged.

use super::adapter::Matrix;
use super::{Built, Kinded, StepBuilder};
use crate::builder::{Builder, Sum};
use crate::constants::{self, DECAY_FACTOR_BITS, StepConstants, UPDATE_FACTOR_BITS};
use crate::program::{Place, Program, TensorId, Term};
use crate::spec::{Decimal, Optimizer, Spec, SpecError};
use std::collections::BTreeMap;

/// Extra bits of the second moment under the root.
const ROOT_GUARD_BITS: i32 = 14;

/// `(numerator of beta, numerator of 1 - beta, denominator)`.
fn beta_parts(beta: &Decimal) -> Built<(i64, i64, i64)> {
    let (numerator, power) = beta.parts()?;
    let wrong = || SpecError::new("adam_beta", format!("{} is not a decimal in 0..1 of at most 4 places", beta.0));
    if power > 4 {
        return Err(wrong().into());
    }
    let denominator = 10i64.pow(power);
    let numerator = i64::try_from(numerator).ok().filter(|n| (0..denominator).contains(n)).ok_or_else(wrong)?;
    Ok((numerator, denominator - numerator, denominator))
}

impl StepBuilder<'_> {
    /// Updates every matrix.
    pub(super) fn optimize(&mut self, clip: TensorId) -> Built<()> {
        let (root_bits, constants) = constants_of(self.spec, self.step)?;
        let adapters: Vec<_> = self.adapters.values().cloned().collect();
        for matrix in adapters.iter().flat_map(|a| [&a.a, &a.b]) {
            self.kinded().optimize_matrix(matrix, clip, &constants, root_bits)?;
        }
        Ok(())
    }
}

/// Fraction bits of the second moment's root, and the public constants of the step.
fn constants_of(spec: &Spec, step: u64) -> Built<(i32, StepConstants)> {
    let under_root = spec.scale("second_moment")?.fraction_bits + ROOT_GUARD_BITS;
    if under_root % 2 != 0 {
        return Err(SpecError::new("second_moment", "has an odd number of fraction bits").into());
    }
    let root_bits = under_root / 2;
    Ok((root_bits, constants::step_constants(&spec.training, step, root_bits as u32)?))
}

/// The optimiser on one matrix: what a step does with a gradient, without the passes that make it.
#[derive(Debug)]
pub struct Update {
    /// The program. Its inputs are the state before, the gradient and the clip factor.
    pub program: Program,
    /// The matrix.
    pub matrix: Matrix,
    /// Its gradient of the loss sum, ranged.
    pub gradient: TensorId,
    /// The factor that the gradient is multiplied by, ranged.
    pub clip: TensorId,
}

/// The update of a matrix of `shape` at optimiser step `step` (the first is 1), and its rounded copy.
pub fn build_update(spec: &Spec, step: u64, shape: [usize; 2]) -> Built<Update> {
    spec.validate()?;
    let mut b = Builder::new(spec.range_bits);
    let axes = [b.axis("row", shape[0]), b.axis("column", shape[1])];
    let mut kinds = BTreeMap::new();
    let mut k = Kinded { b: &mut b, spec, kinds: &mut kinds };
    let mut matrix = k.declare_matrix("update".to_owned(), axes.to_vec(), "a")?;
    let make = k.make("gradient", &axes, "grad.a")?;
    let gradient = k.b.tensor(Place::Witness, &make);
    let make = k.make("clip.factor", &[], "clip")?;
    let clip = k.b.tensor(Place::Witness, &make);
    matrix.gradient = Some(gradient);
    let (root_bits, constants) = constants_of(spec, step)?;
    k.optimize_matrix(&matrix, clip, &constants, root_bits)?;
    Ok(Update { program: b.program, matrix, gradient, clip })
}

impl Kinded<'_> {
    fn optimize_matrix(
        &mut self,
        matrix: &Matrix,
        clip: TensorId,
        constants: &StepConstants,
        root_bits: i32,
    ) -> Built<()> {
        let Some(gradient) = matrix.gradient else { return Ok(()) };
        let (name, axes) = (&matrix.name, &matrix.axes);
        let [master, first, second] = matrix.before;
        let sum = Sum::product(1, &[&self.on(gradient), &self.on(clip)]);
        let clipped = self.rescale(&format!("{name}.clipped"), axes, "clipped", sum)?;
        let update = match self.spec.training.optimizer {
            Optimizer::AdamW => self.adam(matrix, clipped, constants, root_bits)?,
            Optimizer::Sgd => {
                for (part, before, after) in [("first", first, matrix.after[1]), ("second", second, matrix.after[2])] {
                    self.b.store(&format!("{name}.{part}.kept"), after, before)?;
                }
                let rate = Sum::product(constants.update_factor, &[&self.on(clipped)])
                    .scaled_by_power(-(UPDATE_FACTOR_BITS as i32));
                self.rescale(&format!("{name}.update"), axes, "update", rate)?
            }
        };
        let decay =
            Sum::product(constants.decay_factor, &[&self.on(master)]).scaled_by_power(-(DECAY_FACTOR_BITS as i32));
        let decay = self.rescale(&format!("{name}.decay"), axes, "decay", decay)?;
        let sum = Sum::product(1, &[&self.on(master)])
            .plus(Sum::product(-1, &[&self.on(update)]))
            .plus(Sum::product(-1, &[&self.on(decay)]));
        let new = self.rescale(&format!("{name}.master"), axes, "master", sum)?;
        self.b.store(&format!("{name}.master.stored"), matrix.after[0], new)?;
        Ok(())
    }

    fn adam(
        &mut self,
        matrix: &Matrix,
        clipped: TensorId,
        constants: &StepConstants,
        root_bits: i32,
    ) -> Built<TensorId> {
        let (name, axes) = (&matrix.name, &matrix.axes);
        let training = self.spec.training.clone();
        let g = self.on(clipped);
        let (keep, take, denominator) = beta_parts(&training.adam_beta1)?;
        let fresh = Sum::product(take, &[&g]);
        let first = self.moment(&format!("{name}.first"), matrix, 1, keep, fresh, denominator)?;
        let (keep, take, denominator) = beta_parts(&training.adam_beta2)?;
        let fresh = Sum::product(take, &[&g, &g]);
        let second = self.moment(&format!("{name}.second"), matrix, 2, keep, fresh, denominator)?;

        let second_bits = self.spec.scale("second_moment")?.bits;
        let square = vec![Term { coefficient: 1 << ROOT_GUARD_BITS, factors: vec![self.on(second).view] }];
        let root_name = format!("{name}.root");
        let mut make = self.make(&root_name, axes, "root_second_moment")?;
        make.range.bits = (second_bits + ROOT_GUARD_BITS as u32).div_ceil(2);
        make.fraction_bits = root_bits;
        let square_bound = 1u128 << (second_bits + ROOT_GUARD_BITS as u32);
        let root_range_bits = make.range.bits;
        let root = self.b.square_root(&make, axes, square, square_bound)?;

        // update = m' 2^-30 * C 2^-34 / ((s + eps) 2^-34), in units of 2^-30.
        let update_name = format!("{name}.update");
        let make = self.make(&update_name, axes, "update")?;
        let first_bits = self.spec.scale("first_moment")?.fraction_bits;
        if first_bits + UPDATE_FACTOR_BITS as i32 - root_bits != make.fraction_bits {
            return Err(SpecError::new("update", "scale does not follow from the moments' scales").into());
        }
        let numerator = vec![Term { coefficient: constants.update_factor, factors: vec![self.on(first).view] }];
        let denominator = vec![
            Term { coefficient: 1, factors: vec![self.on(root).view] },
            Term { coefficient: constants.epsilon, factors: Vec::new() },
        ];
        Ok(self.b.divide(&make, axes, numerator, denominator, root_range_bits + 1)?)
    }

    /// `round((keep * moment + fresh) / denominator)`, stored in the state after.
    fn moment(
        &mut self,
        name: &str,
        matrix: &Matrix,
        part: usize,
        keep: i64,
        fresh: Sum,
        denominator: i64,
    ) -> Built<TensorId> {
        let kind = super::adapter::STATE[part].1;
        let before = self.on(matrix.before[part]);
        let make = self.make(name, &matrix.axes, kind)?;
        let new = self.b.tensor(Place::Witness, &make);
        let kept = Sum::product(keep, &[&before]);
        let sum = kept.plus(fresh);
        if sum.fraction_bits != before.fraction_bits {
            return Err(SpecError::new(kind, "is coarser than the gradient that it takes in").into());
        }
        let view = self.on(new).view;
        self.b.divide_by_constant(name, &matrix.axes, sum.terms, denominator, view)?;
        self.b.store(&format!("{name}.stored"), matrix.after[part], new)?;
        Ok(new)
    }
}
