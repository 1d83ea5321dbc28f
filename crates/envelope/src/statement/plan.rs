//! The plan: everything that is fixed before training.

use super::{BaseCommitment, Predicate, Tool};
use crate::canonical_json::{self, Value};
use crate::digest::Digest;
use crate::verdict::Refusal;
use serde::{Deserialize, Serialize};

/// The only schema of [`PlanV1`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlanSchema {
    /// Version 1.
    #[serde(rename = "veritune.plan/v1")]
    V1,
}

/// The predicate of `plan.sigstore.json`; its canonical JSON is the file `plan.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PlanV1 {
    /// The schema.
    pub schema: PlanSchema,
    /// How many plans were made under the signing key before this one.
    pub plan_number: u64,
    /// The user's recipe in canonical form.
    pub recipe: Value,
    /// The public spec that prover and verifier build the statement from.
    pub spec: Value,
    /// The digest of the program that the spec builds.
    pub program_digest: Digest,
    /// The base model.
    pub base: BaseCommitment,
    /// The root over the dataset.
    pub dataset_root: Digest,
    /// The commitment to the private sampler's key; absent for the public sampler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampler_key_commitment: Option<Digest>,
    /// The number of optimiser steps.
    pub num_steps: u64,
    /// The program that made the plan.
    pub created_by: Tool,
}

impl PlanV1 {
    /// The digest that everything made after the plan names it by: SHA-256 of `plan.json`.
    pub fn digest(&self) -> Result<Digest, Refusal> {
        Ok(Digest::sha256(&canonical_json::to_bytes(self)?))
    }
}

impl Predicate for PlanV1 {
    const TYPE: &'static str = "https://veritune.dev/plan/v1";
    const SCHEMA: &'static str = "veritune.plan/v1";

    fn check(&self) -> Result<(), Refusal> {
        self.base.check()
    }
}
