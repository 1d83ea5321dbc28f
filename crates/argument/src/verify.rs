//! The verifier of a program, over any context.

use crate::check::ArgumentError;
use crate::context::Context;
use crate::counter::PadCounter;
use crate::native::{Joint, NativeCheck};
use crate::plan::Plan;
use crate::{BaseClaim, equations, lookups};
use veritune_relations::Program;
use veritune_relations::layout::Layout;
use veritune_transcript::Transcript;

/// Reduces the program to claims in `ctx`: lookups, then equations and one-hots.
///
/// *Caller must* have bound the context's transcript to the protocol, the spec, all public inputs and all roots.
pub fn verify<C: Context>(program: &Program, layout: &Layout, plan: &Plan, ctx: &mut C) -> Result<(), ArgumentError> {
    lookups::verify(program, layout, plan, ctx)?;
    equations::verify(program, layout, plan, ctx)
}

/// What the argument of the program reads and multiplies.
pub fn count(program: &Program, layout: &Layout, plan: &Plan) -> Result<PadCounter, ArgumentError> {
    let mut counter = PadCounter::default();
    verify(program, layout, plan, &mut counter)?;
    Ok(counter)
}

/// The number of scalars in an argument of the program.
pub fn num_scalars(program: &Program, layout: &Layout) -> Result<usize, ArgumentError> {
    Ok(count(program, layout, &Plan::new(program, layout)?)?.num_scalars())
}

/// Checks `proof` natively: the committed vectors satisfy the program if they satisfy the joint claim and the
/// base claims.
///
/// *Caller must* check the joint claim by an opening of the roots absorbed before, and settle the base claims.
pub fn verify_native(
    program: &Program,
    layout: &Layout,
    plan: &Plan,
    proof: &[u8],
    transcript: &mut Transcript,
) -> Result<(Joint, Vec<BaseClaim>), ArgumentError> {
    let num_scalars = count(program, layout, plan)?.num_scalars();
    let mut ctx = NativeCheck::new(proof, num_scalars, transcript)?;
    verify(program, layout, plan, &mut ctx)?;
    ctx.finish()
}
