//! A small plan and the claims of a small certificate.

#![allow(dead_code, reason = "each test file uses its part")]

use veritune_envelope::statement::*;
use veritune_envelope::{Digest, canonical_json};

pub fn digest(text: &str) -> Digest {
    Digest::sha256(text.as_bytes())
}

/// Claims with every field, two steps.
pub fn claims() -> Statement<ClaimsV1> {
    let spec = br#"{"num_layers":30,"log_rows":"12"}"#;
    let proof =
        |name: &str, kind, step| ProofFile { name: format!("proofs/{name}.bin"), sha256: digest(name), kind, step };
    let claim = |kind: &str, word| Claim { kind: kind.to_owned(), word, detail: "A sentence.".to_owned() };
    Statement {
        subject: vec![Subject::of("adapter_model.safetensors", b"weights")],
        predicate: ClaimsV1 {
            schema: ClaimsSchema::V1,
            plan_digest: digest("plan"),
            program_digest: digest("program"),
            spec: canonical_json::parse(spec, 100).unwrap(),
            base: base(),
            dataset_root: digest("dataset"),
            num_steps: 2,
            state_roots: vec![digest("0"), digest("1"), digest("2")],
            proofs: vec![
                proof("step-0", ProofKind::Step, Some(0)),
                proof("step-1", ProofKind::Step, Some(1)),
                proof("settlement", ProofKind::Settlement, None),
                proof("release", ProofKind::Release, None),
            ],
            claims: vec![claim("training", Word::ZkProof), claim("licences", Word::SelfDeclared)],
            disclosure: Disclosure {
                base: Visibility::Public,
                loss: Visibility::Hidden,
                order: Visibility::Hidden,
                data: Visibility::Public,
                adapter: Visibility::Public,
                rows_sha256: Some(digest("rows")),
                by_nature: vec!["The number of steps.".to_owned()],
            },
            not_claimed: vec!["That the data is good.".to_owned()],
            ledger: Ledger {
                rows: vec![LedgerRow { source: "sumcheck".to_owned(), bits: 153, assumption: "none".to_owned() }],
                total_bits: 143,
                max_proofs: 1000,
            },
            created_by: tool(),
        },
    }
}

pub fn base() -> BaseCommitment {
    BaseCommitment {
        files: vec![BaseFile { name: "model.safetensors".to_owned(), sha256: digest("base") }],
        root: digest("base root"),
    }
}

pub fn tool() -> Tool {
    Tool { name: "veritune".to_owned(), version: "0.1.0".to_owned() }
}

/// A plan with every field.
pub fn plan() -> PlanV1 {
    let recipe = canonical_json::parse(br#"{"r":8}"#, 100).unwrap();
    PlanV1 {
        schema: PlanSchema::V1,
        plan_number: 0,
        recipe,
        spec: claims().predicate.spec,
        program_digest: digest("program"),
        base: base(),
        dataset_root: digest("dataset"),
        sampler_key_commitment: Some(digest("sampler")),
        num_steps: 2,
        created_by: tool(),
    }
}
