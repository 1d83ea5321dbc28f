//! The optimiser, elementwise over every adapter matrix, and the state after the step.
//!
//! AdamW with decoupled weight decay: g = round(gradient * clip factor),
//! `m' = round((b1 m + (1-b1) g))`, `v' = round(b2 v + (1-b2) g^2)`, exact divisions by the decimal denominators;
//! `s = floor(sqrt(v'))` at 34 bits, `update = floor(m' C / (s + eps))` with the public C of the step;
//! `w' = round(w - update - lr decay w~)`, where w~ is the rounded copy that forward and backward read. SGD: the same
//! with `update = round(lr g)`, moments unchanged.
//!
//! Moments are ranged where they lie, in the state after. Of a master, `w - update - w'` is: the decay, far narrower. So
//! `w'` is the one integer that the equation admits; that it keeps its own width is shown by whoever reads it, the next
//! step or the release, whose copy and its remainder admit no other.

use super::adapter::Matrix;
use super::{Built, Kinded, StepBuilder};
use crate::builder::{Builder, Operand, Sum};
use crate::constants::{self, DECAY_FACTOR_BITS, StepConstants, UPDATE_FACTOR_BITS};
use crate::program::{Place, Program, Range, TensorId, Term};
use crate::spec::{Decimal, Optimizer, Spec, SpecError};
use std::collections::BTreeMap;

/// Fraction bits under the root.
const SQUARE_BITS: i32 = 68;

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
    let root_bits = SQUARE_BITS / 2;
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
        let copy = self.on(matrix.copy);
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
        let decay = Sum::product(-constants.decay_factor, &[&copy]).scaled_by_power(-(DECAY_FACTOR_BITS as i32));
        let sum = Sum::product(1, &[&self.on(master)]).plus(Sum::product(-1, &[&self.on(update)])).plus(decay);
        let after = self.on(matrix.after[0]);
        let left = Sum::product(1, &[&self.on(master)])
            .plus(Sum::product(-1, &[&self.on(update)]))
            .plus(Sum::product(-1, &[&after]));
        self.b.rescale_into(&format!("{name}.master"), axes, sum, after.view, after.fraction_bits)?;
        let decay_bits = constants::decay_bits(&self.spec.training)?;
        self.b.ranged(&format!("{name}.decay"), axes, left.terms, Range::signed(decay_bits))?;
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

        let scale = self.spec.scale("second_moment")?;
        let guard_bits = u32::try_from(SQUARE_BITS - scale.fraction_bits)
            .map_err(|_| SpecError::new("second_moment", "is finer than what its root is taken of"))?;
        let square_bits = scale.bits + guard_bits;
        let square = vec![Term { coefficient: 1 << guard_bits, factors: vec![second.view] }];
        let root_name = format!("{name}.root");
        let mut make = self.make(&root_name, axes, "root_second_moment")?;
        make.range.bits = square_bits.div_ceil(2);
        make.fraction_bits = root_bits;
        let root_range_bits = make.range.bits;
        let root = self.b.square_root(&make, axes, square, 1u128 << square_bits)?;

        // update = m' 2^-30 * C 2^-34 / ((s + eps) 2^-34), in units of 2^-30.
        let update_name = format!("{name}.update");
        let make = self.make(&update_name, axes, "update")?;
        let first_bits = self.spec.scale("first_moment")?.fraction_bits;
        if first_bits + UPDATE_FACTOR_BITS as i32 - root_bits != make.fraction_bits {
            return Err(SpecError::new("update", "scale does not follow from the moments' scales").into());
        }
        let numerator = vec![Term { coefficient: constants.update_factor, factors: vec![first.view] }];
        let denominator = vec![
            Term { coefficient: 1, factors: vec![self.on(root).view] },
            Term { coefficient: constants.epsilon, factors: Vec::new() },
        ];
        Ok(self.b.divide(&make, axes, numerator, denominator, root_range_bits + 1)?)
    }

    /// `round((keep * moment + fresh) / denominator)`, in the state after.
    fn moment(
        &mut self,
        name: &str,
        matrix: &Matrix,
        part: usize,
        keep: i64,
        fresh: Sum,
        denominator: i64,
    ) -> Built<Operand> {
        let kind = super::adapter::STATE[part].1;
        let before = self.on(matrix.before[part]);
        let after = self.on(matrix.after[part]);
        let kept = Sum::product(keep, &[&before]);
        let sum = kept.plus(fresh);
        if sum.fraction_bits != before.fraction_bits {
            return Err(SpecError::new(kind, "is coarser than the gradient that it takes in").into());
        }
        self.b.divide_by_constant(name, &matrix.axes, sum.terms, denominator, after.view.clone())?;
        let value = vec![Term { coefficient: 1, factors: vec![after.view.clone()] }];
        let range = self.b.program.tensor(matrix.after[part]).range;
        self.b.ranged(name, &matrix.axes, value, range)?;
        Ok(after)
    }
}
