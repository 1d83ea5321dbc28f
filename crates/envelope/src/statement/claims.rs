//! The claims: what a certificate says, each claim with one assurance word, and what it does not say.

use super::{BaseCommitment, Disclosure, Predicate, Tool, check_names};
use crate::canonical_json::Value;
use crate::codes::{CLAIMS_CLAIM, CLAIMS_LEDGER, CLAIMS_NOT_CLAIMED, CLAIMS_PROOF_FILE, CLAIMS_STATE_ROOTS};
use crate::digest::Digest;
use crate::index::is_safe_name;
use crate::verdict::Refusal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// The only schema of [`ClaimsV1`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClaimsSchema {
    /// Version 1.
    #[serde(rename = "veritune.claims/v1")]
    V1,
}

/// How a claim is shown. A closed list; no word implies another and a verifier never replaces one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// A zero-knowledge proof of all of it.
    ZkProof,
    /// Zero-knowledge proofs of a sample that was chosen after the commitment.
    SampledZkProof,
    /// Replayed with identical bits.
    BitwiseReplay,
    /// Replayed within a stated tolerance.
    ToleranceReplay,
    /// A statistical test with a stated null hypothesis.
    StatisticalTest,
    /// A trusted execution environment's evidence.
    TeeAttested,
    /// The signer says so.
    SelfDeclared,
}

impl Word {
    /// All words.
    pub const ALL: [Word; 7] = [
        Word::ZkProof,
        Word::SampledZkProof,
        Word::BitwiseReplay,
        Word::ToleranceReplay,
        Word::StatisticalTest,
        Word::TeeAttested,
        Word::SelfDeclared,
    ];

    /// The word as it stands in a certificate.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ZkProof => "zk-proof",
            Self::SampledZkProof => "sampled-zk-proof",
            Self::BitwiseReplay => "bitwise-replay",
            Self::ToleranceReplay => "tolerance-replay",
            Self::StatisticalTest => "statistical-test",
            Self::TeeAttested => "tee-attested",
            Self::SelfDeclared => "self-declared",
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a proof file proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProofKind {
    /// One optimiser step; the only kind with a `step`.
    Step,
    /// The openings of the public base.
    Settlement,
    /// The released adapter is the rescale of the last state.
    Release,
}

/// A file of proof bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofFile {
    /// The path relative to the certificate: `proofs/` and a safe name.
    pub name: String,
    /// The digest of the file's bytes.
    pub sha256: Digest,
    /// What it proves.
    pub kind: ProofKind,
    /// The step, counted from 0, of a proof of kind `step`; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
}

/// One claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// What is claimed; no kind twice.
    pub kind: String,
    /// How it is shown.
    pub word: Word,
    /// One sentence for a person.
    pub detail: String,
}

/// The error-bit ledger. *Caller must* recompute it: these are the prover's figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Ledger {
    /// The terms.
    pub rows: Vec<LedgerRow>,
    /// Bits after the union bound over the rows and over `max_proofs`, rounded down.
    pub total_bits: u32,
    /// The number of proofs that the bound is for.
    pub max_proofs: u64,
}

/// One term of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerRow {
    /// Where the error comes from.
    pub source: String,
    /// Minus log2 of the error for one proof, rounded down.
    pub bits: u32,
    /// What the term rests on.
    pub assumption: String,
}

/// The predicate of `claims.sigstore.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ClaimsV1 {
    /// The schema.
    pub schema: ClaimsSchema,
    /// [`PlanV1::digest`](super::PlanV1::digest) of the plan.
    pub plan_digest: Digest,
    /// The digest of the program that the spec builds.
    pub program_digest: Digest,
    /// The spec; *caller must* compare it with the plan's.
    pub spec: Value,
    /// The base model.
    pub base: BaseCommitment,
    /// The root over the dataset.
    pub dataset_root: Digest,
    /// The number of optimiser steps.
    pub num_steps: u64,
    /// The state root before the first step and after each.
    pub state_roots: Vec<Digest>,
    /// The proofs.
    pub proofs: Vec<ProofFile>,
    /// What is claimed.
    pub claims: Vec<Claim>,
    /// What is shown and what is kept back.
    pub disclosure: Disclosure,
    /// What is not, for a person; never empty.
    pub not_claimed: Vec<String>,
    /// The error-bit ledger.
    pub ledger: Ledger,
    /// The program that made the certificate.
    pub created_by: Tool,
}

impl ClaimsV1 {
    /// The proof of `step`, if there is one.
    #[must_use]
    pub fn step_proof(&self, step: u64) -> Option<&ProofFile> {
        self.proofs.iter().find(|proof| proof.step == Some(step))
    }

    fn check_proof_files(&self) -> Result<(), Refusal> {
        let mut names = BTreeSet::new();
        let mut steps = BTreeSet::new();
        for (position, proof) in self.proofs.iter().enumerate() {
            let refuse = |field: &str, expected: &str, got: &str| {
                let location = format!("predicate.proofs[{position}].{field}");
                Err(Refusal::new(CLAIMS_PROOF_FILE, location, expected, got))
            };
            if !proof.name.strip_prefix("proofs/").is_some_and(is_safe_name) {
                return refuse("name", "`proofs/` and a safe name", &proof.name);
            }
            if !names.insert(&proof.name) {
                return refuse("name", "each file once", &proof.name);
            }
            match (proof.kind, proof.step) {
                (ProofKind::Step, Some(step)) if step >= self.num_steps => {
                    return refuse("step", "a step of the run", &step.to_string());
                }
                (ProofKind::Step, Some(step)) if !steps.insert(step) => {
                    return refuse("step", "each step once", &step.to_string());
                }
                (ProofKind::Step, Some(_)) | (ProofKind::Settlement | ProofKind::Release, None) => {}
                (ProofKind::Step, None) => return refuse("step", "a step", "none"),
                (_, Some(step)) => return refuse("step", "none", &step.to_string()),
            }
        }
        Ok(())
    }
}

impl Predicate for ClaimsV1 {
    const TYPE: &'static str = "https://veritune.dev/claims/v1";
    const SCHEMA: &'static str = "veritune.claims/v1";

    /// 1. There are `num_steps + 1` state roots.
    /// 2. The base commitment lists files.
    /// 3. Proof files have safe, distinct names, and a step of the run iff they are of kind `step`, no step twice.
    /// 4. There are claims, no kind twice.
    /// 5. `notClaimed` says something.
    /// 6. The ledger has rows and a number of proofs.
    fn check(&self) -> Result<(), Refusal> {
        let num_roots = u64::try_from(self.state_roots.len()).unwrap_or(u64::MAX);
        if num_roots.checked_sub(1) != Some(self.num_steps) {
            return Err(Refusal::new(
                CLAIMS_STATE_ROOTS,
                "predicate.stateRoots",
                format_args!("one more than {} steps", self.num_steps),
                num_roots,
            ));
        }
        self.base.check()?;
        self.check_proof_files()?;
        let kinds = self.claims.iter().map(|claim| claim.kind.as_str());
        check_names(kinds, CLAIMS_CLAIM, "predicate.claims")?;
        let not_claimed = self.not_claimed.iter().map(String::as_str);
        check_names(not_claimed, CLAIMS_NOT_CLAIMED, "predicate.notClaimed")?;
        if self.ledger.rows.is_empty() || self.ledger.max_proofs == 0 {
            return Err(Refusal::new(
                CLAIMS_LEDGER,
                "predicate.ledger",
                "rows, and a bound on the number of proofs",
                format_args!("{} rows, {} proofs", self.ledger.rows.len(), self.ledger.max_proofs),
            ));
        }
        Ok(())
    }
}
