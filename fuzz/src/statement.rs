//! in-toto statements of claims and plans, and the plan's file. What is read is, written again, the input.

use veritune_envelope::canonical_json;
use veritune_envelope::statement::{ClaimsV1, PlanV1, Statement};
use veritune_envelope::{Digest, Refusal};

/// Reads the bytes.
pub fn run(bytes: &[u8]) {
    same(bytes, Statement::<ClaimsV1>::from_bytes(bytes).map(|statement| statement.to_bytes()));
    same(bytes, Statement::<PlanV1>::from_bytes(bytes).map(|statement| statement.to_bytes()));
    if let Ok(plan) = canonical_json::decode_canonical::<PlanV1>(bytes, bytes.len()) {
        assert_eq!(plan.digest(), Ok(Digest::sha256(bytes)));
    }
}

fn same(bytes: &[u8], written: Result<Result<Vec<u8>, Refusal>, Refusal>) {
    if let Ok(written) = written {
        assert_eq!(written.as_deref(), Ok(bytes));
    }
}

/// Honest inputs.
pub fn seeds() -> Vec<Vec<u8>> {
    let hex = "ab".repeat(32);
    let base = format!(r#"{{"files":[{{"name":"m","sha256":"{hex}"}}],"root":"{hex}"}}"#);
    let tool = r#"{"name":"n","version":"0"}"#;
    let plan = format!(
        r#"{{"base":{base},"createdBy":{tool},"datasetRoot":"{hex}","numSteps":1,"planNumber":0,"programDigest":"{hex}","recipe":{{}},"schema":"veritune.plan/v1","spec":{{}}}}"#
    );
    let claims = format!(
        r#"{{"base":{base},"claims":[{{"detail":"d","kind":"training","word":"zk-proof"}}],"createdBy":{tool},"datasetRoot":"{hex}","disclosure":{{"adapter":"public","base":"public","byNature":[],"data":"hidden","loss":"hidden","order":"hidden"}},"ledger":{{"maxProofs":1000,"rows":[{{"assumption":"","bits":128,"source":"s"}}],"totalBits":128}},"notClaimed":["n"],"numSteps":1,"planDigest":"{hex}","programDigest":"{hex}","proofs":[{{"kind":"step","name":"proofs/a.bin","sha256":"{hex}","step":0}},{{"kind":"release","name":"proofs/r.bin","sha256":"{hex}"}}],"schema":"veritune.claims/v1","spec":{{}},"stateRoots":["{hex}","{hex}"]}}"#
    );
    let statement = |name: &str, predicate: &str| {
        format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","predicate":{predicate},"predicateType":"https://veritune.dev/{name}/v1","subject":[{{"digest":{{"sha256":"{hex}"}},"name":"f"}}]}}"#
        )
    };
    [statement("claims", &claims), statement("plan", &plan), plan].map(String::into_bytes).to_vec()
}
