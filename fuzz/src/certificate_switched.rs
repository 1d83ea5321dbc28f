//! [`crate::certificate`] in a verifier whose comparisons are taken away, so that it reads on where it would have
//! refused. Only that nothing stops is checked.

use crate::bytes::Input;
use crate::certificate::{prepare, published};
use veritune_envelope::codes::CODES as ENVELOPE;
use veritune_mutation::without;
use veritune_verifier::codes::CODES as VERIFIER;
use veritune_verifier::request::verify;

/// Changes a certificate and has it verified without the checks that the first eight bytes leave out.
pub fn run(bytes: &[u8]) {
    prepare();
    let mut input = Input::new(bytes);
    let kept = u64::from_le_bytes(input.array());
    let codes = VERIFIER.iter().chain(ENVELOPE).map(|code| code.id());
    let off: Vec<&str> = (0..).zip(codes).filter(|(bit, _)| kept >> (bit % 64) & 1 == 0).map(|(_, id)| id).collect();
    without(&off, || published(input.rest(), verify));
}

/// The inputs of [`crate::certificate`] without any check.
pub fn seeds() -> Vec<Vec<u8>> {
    crate::certificate::seeds().into_iter().map(|seed| [vec![0; 8], seed].concat()).collect()
}
