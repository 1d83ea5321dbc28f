//! Public outputs: scalars of the witness whose values the statement names.
//!
//! Statement: for every output of the program, its tensor has the value that the program names. No message and no challenge:
//! each is one claim on the committed vectors, made after all others and combined with them. The tensor is range-checked,
//! so the claim determines its integer and not only its residue modulo p.
//!
//! *Caller must* have absorbed the values before every challenge.

use crate::check::CheckId;
use crate::context::{Context, Linear};
use crate::functional::Functional;
use crate::weights::tensor_functional;
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_field::{E, f_from_i64};
use veritune_relations::Program;
use veritune_relations::layout::Layout;

/// Claims that the outputs are those that the program names.
pub fn verify<C: Context>(program: &Program, layout: &Layout, ctx: &mut C) {
    if veritune_mutation::off(CheckId::Outputs.code()) {
        return;
    }
    for output in &program.outputs {
        let functional = if C::NEEDS_VALUES {
            tensor_functional(program, layout, output.tensor, &[], E::ONE)
        } else {
            Functional::default()
        };
        ctx.claim(functional, C::Scalar::known(E::from(f_from_i64(output.value))));
    }
}
