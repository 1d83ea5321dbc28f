//! Malicious provers. Each cheats at one place of the witness or the protocol and then behaves honestly: everything
//! that depends on the lie is recomputed, so that only the attacked check can see it.
//!
//! - [`Setting`]: a tiny step with every feature, its program and inputs.
//! - [`Cheat`]: the program that a cheating executor runs instead.
//! - [`prove_and_verify`]: real commitments, argument and opening.
//! - [`STEP_ATTACKS`]: the attacks on a step as data; `docs/spec/attacks.md` is generated from it.
//! - `simulate`: proofs without a witness, in test builds; `tests/hiding` compares them with true ones.

pub mod absorption;
mod argued;
pub mod catalogue;
pub mod certificate;
mod cheat;
mod harness;
pub mod issue;
pub mod run;
pub mod setting;
#[cfg(feature = "mutation-testing")]
pub mod simulate;
pub mod table;
pub mod tamper;

pub use argued::{Argued, Residuals};
pub use catalogue::{
    Attack, CERTIFICATE_ATTACKS, Caught, CertificateAttack, HONEST, Honest, PROTOCOL_ATTACKS, ProtocolAttack,
    STEP_ATTACKS, UNMET_DEMANDS, UnmetDemand, World,
};
pub use certificate::TinyCertificate;
pub use cheat::Cheat;
pub use harness::{
    Deviation, Proved, Refusal, SETTLEMENT, base_claims_hold, profile, prove, prove_and_verify, transcript, verify,
    verify_trees, violated, without,
};
pub use setting::Setting;
