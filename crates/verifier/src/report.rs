//! The verdict on a path, as both programs print it with `--json`.

use crate::loss::StepLoss;
use crate::policy::Policy;
use serde::Serialize;
use veritune_envelope::statement::{Claim, Disclosure, Ledger, PlanV1, Subject};
use veritune_envelope::{Refusal, Verdict};
use veritune_relations::scales::ScaleRange;
use veritune_relations::spec::FieldRange;

/// The value of `schema`.
pub const SCHEMA: &str = "veritune.verdict/v1";

/// A verdict with what was verified; empty fields of a refusal were not.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The schema: [`SCHEMA`].
    pub schema: &'static str,
    /// 0 verified, 1 refuted, 2 unusable, 3 inconclusive, 4 our own bug.
    pub exit: u8,
    /// The same in a word.
    pub verdict: String,
    /// Stable code of the check that decided; empty when verified.
    pub code: String,
    /// Where.
    pub location: String,
    /// What was expected and found.
    pub message: String,
    /// Key id of the signer.
    pub signer: String,
    /// Whether the user named the signer; if not, anyone may have signed.
    pub signer_is_named: bool,
    /// Number of steps.
    pub steps: u64,
    /// Base root, hex.
    pub base_root: String,
    /// Dataset root, hex.
    pub dataset_root: String,
    /// Digest of the plan, hex.
    pub plan_digest: String,
    /// Whether the plan has a signature of its own.
    pub plan_is_signed: bool,
    /// The beacon that the seed follows from.
    pub beacon: String,
    /// Root of the state after the last step, hex: what the claims are about when the file is hidden.
    pub last_state_root: String,
    /// The adapter's files that were read and checked.
    pub files: Vec<Subject>,
    /// Verified claims; empty unless verified.
    pub claims: Vec<Claim>,
    /// What the certificate shows and keeps back; none unless verified.
    pub disclosure: Option<Disclosure>,
    /// The proved mean loss of every step, if the run discloses it.
    pub losses: Vec<StepLoss>,
    /// What is not claimed.
    pub not_claimed: Vec<String>,
    /// The recomputed ledger.
    pub ledger: Option<Ledger>,
    /// Every whole number of the spec that is no scale, within the range that this version publishes.
    pub spec_ranges: Vec<FieldRange>,
    /// Every scale, within what this version allows.
    pub scales: Vec<ScaleRange>,
    /// The plan, to which the proofs are bound.
    pub plan: Option<PlanV1>,
    /// What was demanded; none if the request itself was unusable.
    pub policy: Option<Policy>,
}

impl Report {
    fn new(verdict: Verdict) -> Self {
        Self {
            schema: SCHEMA,
            exit: verdict.exit_code(),
            verdict: verdict.to_string(),
            code: String::new(),
            location: String::new(),
            message: String::new(),
            signer: String::new(),
            signer_is_named: false,
            steps: 0,
            base_root: String::new(),
            dataset_root: String::new(),
            plan_digest: String::new(),
            plan_is_signed: false,
            beacon: String::new(),
            last_state_root: String::new(),
            files: Vec::new(),
            claims: Vec::new(),
            disclosure: None,
            losses: Vec::new(),
            not_claimed: Vec::new(),
            ledger: None,
            spec_ranges: Vec::new(),
            scales: Vec::new(),
            plan: None,
            policy: None,
        }
    }

    /// A verdict that something was verified; what, is for the caller to fill in.
    pub(crate) fn verified() -> Self {
        Self::new(Verdict::Verified)
    }

    /// The verdict of a refusal: nothing was verified.
    pub(crate) fn refused(refusal: &Refusal) -> Self {
        Self {
            code: refusal.code().id().to_owned(),
            location: refusal.location().to_owned(),
            message: format!("expected {}, got {}", refusal.expected(), refusal.got()),
            ..Self::new(refusal.verdict())
        }
    }
}
