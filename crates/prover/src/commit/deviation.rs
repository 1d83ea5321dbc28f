//! Where a prover that cheats departs from the protocol of an opening: for tests of what refuses it.

use veritune_commit::Hidden;
use veritune_field::E;
use veritune_transcript::Transcript;

/// What a prover does at the places where one that cheats departs from the protocol. By default it does not.
///
/// It helps no prover whose target is true, and a verifier refuses the others.
pub trait Deviation {
    /// False when the target is false: then the honest prover's own checks are left out.
    fn is_honest(&self) -> bool {
        false
    }
    /// Changes the pads under which scalars are sent; the committed ones stay.
    fn pads(&self, _pads: &mut [E]) {}
    /// Changes the values and the mask's value before they go under their pads. The verifier adds up
    /// `weights[o] * values[o]` and finds `missing` too little.
    fn values(&self, _values: &mut [E], _mask_value: &mut E, _weights: &[E], _missing: E) {}
    /// Changes the value of the combination, which is what the values give; the vector's is `of_vector`.
    fn combined_value(&self, _value: &mut E, _of_vector: &dyn Fn() -> E) {}
    /// Changes what the relations of the pads give for the cover.
    fn cover_sums(&self, _at: &Covering<'_>, _sums: &mut [E; 2]) {}
    /// Changes the pads under their cover, when the challenge that multiplies the pads is known.
    fn covered_pads(&self, _at: &Covering<'_>, _challenge: E, _covered: &mut [E]) {}
    /// Changes the vector of a level before it is committed, and the last one before it is sent.
    fn vector(&self, _at: &Queried<'_>, _vector: &mut [E]) {}
    /// Changes a round polynomial of a level, whose values at 0 and 1 add up to `missing` too little.
    fn fold(&self, _transcript: &Transcript, _polynomial: &mut [E; 2], _missing: &dyn Fn() -> E) {}
}

/// Where the relations of the pads are shown under the cover.
pub struct Covering<'a> {
    /// The transcript before the message.
    pub transcript: &'a Transcript,
    /// What must be zero, as the verifier has it: the first sumcheck's last claim less its values, and the values
    /// less the combination's.
    pub relations: [&'a Hidden; 2],
    /// The committed pads.
    pub pads: &'a [E],
    /// The positions of the trees' rows that are drawn if nothing more of this kind is absorbed.
    pub positions: &'a dyn Fn() -> Vec<u64>,
    /// Base-2 logarithm of their range.
    pub log_domain: u32,
}

impl Covering<'_> {
    /// What the relations are: zero for an honest prover.
    pub fn missing(&self) -> [E; 2] {
        self.relations.map(|relation| relation.known() - relation.inner_product(self.pads))
    }
}

/// Where a vector stands that is sent, or committed, before it is queried.
#[derive(Debug)]
pub struct Queried<'a> {
    /// The level, from 1; one more than there are for the last vector.
    pub level: usize,
    /// The transcript before the message.
    pub transcript: &'a Transcript,
    /// Positions that are drawn after it.
    pub queries: u32,
    /// Base-2 logarithm of their range.
    pub log_domain: u32,
    /// Weights of the vector.
    pub weights: &'a [E],
    /// Their inner product with it, as the verifier has it.
    pub claim: E,
}

/// No deviation.
pub(super) struct Honest;

impl Deviation for Honest {
    fn is_honest(&self) -> bool {
        true
    }
}
