//! [`crate::proof`] in a verifier whose comparisons are taken away: changed bytes get past hashes, claims and lengths, to
//! what an attacker reaches who can make them hold. Only that nothing stops is checked.

use crate::bytes::Input;
use crate::proof;
use veritune_argument::CheckId;
use veritune_mutation::without;

/// Comparisons outside the argument's checks after which the work can go on.
const CHECKS: [&str; 14] = [
    "VT-ARG-010",
    "VT-ARG-011",
    "VT-PROOF-003",
    "VT-PROOF-004",
    "VT-ROWS-003",
    "opening-sumcheck-claim",
    "opening-combined-value",
    "opening-covered-row",
    "opening-root-mismatch",
    "opening-final-row",
    "opening-final-claim",
    "opening-trailing-bytes",
    "opening-not-canonical",
    "opening-length",
];

/// Edits a proof and checks it without the checks whose bits the first four bytes leave at zero.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let kept = u32::from_le_bytes(input.array());
    let all = CheckId::ALL.map(CheckId::code).into_iter().chain(CHECKS);
    let off: Vec<&str> = (0..).zip(all).filter(|(bit, _)| kept >> bit & 1 == 0).map(|(_, id)| id).collect();
    without(&off, || proof::judge(input.rest()));
}

/// The inputs of [`crate::proof`] without any check.
pub fn seeds() -> Vec<Vec<u8>> {
    proof::seeds().into_iter().map(|seed| [vec![0; 4], seed].concat()).collect()
}
