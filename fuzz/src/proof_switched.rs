//! [`crate::proof`] in a verifier whose comparisons are taken away: changed bytes get past hashes, claims and lengths, to
//! what an attacker reaches who can make them hold. Only that nothing stops is checked.

use crate::bytes::Input;
use crate::proof;
use veritune_attacks::absorption::comparisons;
use veritune_mutation::without;

/// Checks of the form, which have no work after them in an honest verifier.
const FORMS: [&str; 5] =
    ["VT-ARG-010", "VT-ARG-011", "opening-trailing-bytes", "opening-not-canonical", "opening-length"];

/// Edits a proof and checks it without the checks whose bits the first four bytes leave at zero.
pub fn run(bytes: &[u8]) {
    proof::prepare();
    let mut input = Input::new(bytes);
    let kept = u32::from_le_bytes(input.array());
    let all = comparisons().chain(FORMS);
    let off: Vec<&str> = (0..).zip(all).filter(|(bit, _)| kept >> bit & 1 == 0).map(|(_, id)| id).collect();
    without(&off, || proof::judge(input.rest()));
}

/// The inputs of [`crate::proof`] without any check.
pub fn seeds() -> Vec<Vec<u8>> {
    proof::seeds().into_iter().map(|seed| [vec![0; 4], seed].concat()).collect()
}
