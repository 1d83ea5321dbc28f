//! The verifier of a program, over any context.

use crate::check::ArgumentError;
use crate::context::Context;
use crate::counter::PadCounter;
use crate::joint::Joint;
use crate::masked::MaskedCheck;
use crate::native::NativeCheck;
use crate::plan::Plan;
use crate::wiring::Wiring;
use crate::{BaseClaim, equations, lookups, outputs};
use veritune_relations::Place;
use veritune_relations::Program;
use veritune_relations::layout::{Layout, place_index};
use veritune_transcript::Transcript;

/// Reduces the program to claims in `ctx`: lookups, then equations and one-hots, then outputs.
///
/// *Caller must* have bound the context's transcript to the protocol, the spec, all public inputs and all roots.
pub fn verify<C: Context>(program: &Program, layout: &Layout, plan: &Plan, ctx: &mut C) -> Result<(), ArgumentError> {
    lookups::verify(program, layout, plan, ctx)?;
    equations::verify(program, layout, plan, ctx)?;
    outputs::verify(program, layout, ctx);
    Ok(())
}

/// A program with all that its argument follows from; prover and verifier make the same.
#[derive(Debug)]
pub struct Argument<'a> {
    /// The program.
    pub program: &'a Program,
    /// Where its tensors lie.
    pub layout: Layout,
    /// Its lookups and terms.
    pub plan: Plan,
    /// What masks it.
    pub wiring: Wiring,
}

impl<'a> Argument<'a> {
    /// The argument of `program`, or why it cannot be argued about.
    pub fn new(program: &'a Program) -> Result<Self, ArgumentError> {
        let layout = Layout::new(program);
        let plan = Plan::new(program, &layout)?;
        let mut counter = PadCounter::default();
        verify(program, &layout, &plan, &mut counter)?;
        Ok(Self { program, layout, plan, wiring: counter.wiring })
    }

    /// The slot behind those of the layout, where the elements of the wiring begin.
    pub fn first_element_slot(&self) -> usize {
        place_index(Place::Witness).and_then(|place| self.layout.used.get(place).copied()).unwrap_or(0)
    }

    /// Slots of the witness vector: those of the layout, then the elements of the wiring.
    pub fn witness_slots(&self) -> usize {
        self.first_element_slot().saturating_add(self.wiring.num_slots())
    }

    /// Checks a masked proof: the committed vectors satisfy the program if they satisfy the joint claim and the base claims.
    ///
    /// *Caller must* have absorbed the protocol, all public inputs and all roots, check the joint claim by an opening of
    /// these roots, and settle the base claims.
    pub fn verify_masked(
        &self,
        proof: &[u8],
        transcript: &mut Transcript,
    ) -> Result<(Joint, Vec<BaseClaim>), ArgumentError> {
        let mut ctx = MaskedCheck::new(proof, &self.wiring, transcript)?;
        verify(self.program, &self.layout, &self.plan, &mut ctx)?;
        ctx.finish(self.first_element_slot())
    }

    /// The same for a proof that hides nothing, for which no elements are committed.
    pub fn verify_native(
        &self,
        proof: &[u8],
        transcript: &mut Transcript,
    ) -> Result<(Joint, Vec<BaseClaim>), ArgumentError> {
        let mut ctx = NativeCheck::new(proof, self.wiring.num_scalars(), transcript)?;
        verify(self.program, &self.layout, &self.plan, &mut ctx)?;
        ctx.finish()
    }
}
