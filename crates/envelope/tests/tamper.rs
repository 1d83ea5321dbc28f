//! The tamper manifest: every field of statement, bundle and index × every change, with the expected code.
//!
//! A field without a row fails the test, so a new field needs a row.

mod certificate;
mod mutation;

use certificate::{claims, digest, plan};
use mutation::manifest::{Row, SHAPE, Swapped, element, member, run};
use serde_json::Value as Json;
use std::fs;
use veritune_envelope::codes::*;
use veritune_envelope::directory::list_certificate;
use veritune_envelope::dsse::Envelope;
use veritune_envelope::index::{INDEX_NAME, Index};
use veritune_envelope::signature::{SigningKey, TrustedKeys};
use veritune_envelope::statement::*;
use veritune_envelope::{Digest, Refusal, Verdict, bundle, canonical_json};

fn reread<P: Predicate + Clone>(bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    Statement::<P>::from_bytes(bytes)?.to_bytes()
}

/// The fields that every statement of ours has.
fn statement_rows() -> Vec<Row> {
    vec![
        member("_type", Some(STATEMENT_TYPE)),
        member("predicateType", Some(PREDICATE_TYPE)),
        member("subject", Some(STATEMENT_SUBJECT)),
        element("subject[]", SHAPE, Some(STATEMENT_SUBJECT), Some(STATEMENT_SUBJECT)),
        member("subject[].name", None),
        member("subject[].digest", SHAPE),
        member("subject[].digest.sha256", None),
        member("predicate", SHAPE),
        member("predicate.schema", Some(PREDICATE_SCHEMA)),
        member("predicate.programDigest", None),
        Row { retype: None, extend: None, ..member("predicate.spec", None) },
        Row { drop: None, retype: None, ..member("predicate.spec.num_layers", None) },
        Row { drop: None, retype: None, ..member("predicate.spec.log_rows", None) },
        member("predicate.base", SHAPE),
        member("predicate.base.root", None),
        member("predicate.base.files", Some(BASE_FILES)),
        element("predicate.base.files[]", SHAPE, Some(BASE_FILES), Some(BASE_FILES)),
        member("predicate.base.files[].name", None),
        member("predicate.base.files[].sha256", None),
        member("predicate.datasetRoot", None),
        member("predicate.createdBy", SHAPE),
        member("predicate.createdBy.name", None),
        member("predicate.createdBy.version", None),
    ]
}

#[test]
fn claims_statement() {
    let mut rows = statement_rows();
    rows.extend([
        member("predicate.planDigest", None),
        member("predicate.numSteps", Some(CLAIMS_STATE_ROOTS)),
        member("predicate.stateRoots", Some(CLAIMS_STATE_ROOTS)),
        element("predicate.stateRoots[]", None, Some(CLAIMS_STATE_ROOTS), Some(CLAIMS_STATE_ROOTS)),
        member("predicate.proofs", None),
        element("predicate.proofs[]", SHAPE, None, Some(CLAIMS_PROOF_FILE)),
        member("predicate.proofs[].name", Some(CLAIMS_PROOF_FILE)),
        member("predicate.proofs[].sha256", None),
        member("predicate.proofs[].kind", SHAPE),
        Row { drop: Some(CLAIMS_PROOF_FILE), ..member("predicate.proofs[].step", Some(CLAIMS_PROOF_FILE)) },
        member("predicate.claims", Some(CLAIMS_CLAIM)),
        element("predicate.claims[]", SHAPE, None, Some(CLAIMS_CLAIM)),
        member("predicate.claims[].kind", None),
        member("predicate.claims[].word", SHAPE),
        member("predicate.claims[].detail", None),
        member("predicate.disclosure", SHAPE),
        member("predicate.disclosure.base", SHAPE),
        member("predicate.disclosure.loss", SHAPE),
        member("predicate.disclosure.order", SHAPE),
        member("predicate.disclosure.data", SHAPE),
        member("predicate.disclosure.adapter", SHAPE),
        Row { drop: None, ..member("predicate.disclosure.rowsSha256", None) },
        member("predicate.disclosure.byNature", None),
        element("predicate.disclosure.byNature[]", None, None, None),
        member("predicate.notClaimed", Some(CLAIMS_NOT_CLAIMED)),
        element("predicate.notClaimed[]", None, Some(CLAIMS_NOT_CLAIMED), Some(CLAIMS_NOT_CLAIMED)),
        member("predicate.ledger", SHAPE),
        member("predicate.ledger.rows", Some(CLAIMS_LEDGER)),
        element("predicate.ledger.rows[]", SHAPE, Some(CLAIMS_LEDGER), None),
        member("predicate.ledger.rows[].source", None),
        member("predicate.ledger.rows[].bits", None),
        member("predicate.ledger.rows[].assumption", None),
        member("predicate.ledger.totalBits", None),
        member("predicate.ledger.maxProofs", None),
    ]);
    let refused = run(&claims().to_bytes().unwrap(), &rows, reread::<ClaimsV1>);
    assert!(refused > 180, "{refused}");
}

#[test]
fn plan_statement() {
    let plan = plan();
    let file = canonical_json::to_bytes(&plan).unwrap();
    assert_eq!(plan.digest().unwrap(), Digest::sha256(&file));
    let statement = Statement { subject: vec![Subject::of("plan.json", &file)], predicate: plan };
    let mut rows = statement_rows();
    rows.extend([
        member("predicate.planNumber", None),
        Row { retype: None, extend: None, ..member("predicate.recipe", None) },
        Row { drop: None, retype: None, ..member("predicate.recipe.r", None) },
        Row { drop: None, ..member("predicate.samplerKeyCommitment", None) },
        member("predicate.numSteps", None),
    ]);
    let bytes = statement.to_bytes().unwrap();
    run(&bytes, &rows, reread::<PlanV1>);
    let other = Statement::<ClaimsV1>::from_bytes(&bytes).unwrap_err();
    assert_eq!((other.code(), other.verdict()), (PREDICATE_TYPE, Verdict::Refuted));
}

#[test]
fn signed_bundle() {
    let key = SigningKey::generate().unwrap();
    let keys = TrustedKeys::new(vec![key.public_key().unwrap()]);
    let envelope = Envelope::sign(claims().to_bytes().unwrap(), &key).unwrap();
    let bytes = bundle::to_json(&envelope).unwrap();
    let read = |bytes: &[u8]| {
        let envelope = bundle::from_json(bytes)?;
        let verified = envelope.clone().verify(&keys)?;
        Statement::<ClaimsV1>::from_bytes(&verified.payload)?;
        bundle::to_json(&envelope)
    };
    let count = Some(ENVELOPE_SIGNATURE_COUNT);
    let rows = [
        member("mediaType", Some(BUNDLE_MEDIA_TYPE)),
        member("verificationMaterial", SHAPE),
        member("verificationMaterial.publicKey", SHAPE),
        member("verificationMaterial.publicKey.hint", Some(ENVELOPE_KEY_ID)),
        member("dsseEnvelope", SHAPE),
        member("dsseEnvelope.payload", Some(SIGNATURE_WRONG)),
        member("dsseEnvelope.payloadType", Some(ENVELOPE_PAYLOAD_TYPE)),
        member("dsseEnvelope.signatures", count),
        element("dsseEnvelope.signatures[]", SHAPE, count, count),
        member("dsseEnvelope.signatures[].keyid", Some(ENVELOPE_KEY_ID)),
        member("dsseEnvelope.signatures[].sig", Some(SIGNATURE_ENCODING)),
    ]
    .map(|row| Row { swap: Swapped::Same, ..row });
    run(&bytes, &rows, read);

    // No bit of the text is free.
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(read(&changed).is_err(), "byte {at}");
    }
    // Another form of the same container is the same envelope: white space is not signed.
    let json: Json = serde_json::from_slice(&bytes).unwrap();
    let spaced = serde_json::to_string_pretty(&json).unwrap();
    assert_eq!(read(spaced.as_bytes()).unwrap(), bytes);
    // A broken container is unusable, not refuted; a foreign key is inconclusive.
    assert_eq!(read(&bytes[1..]).unwrap_err().verdict(), Verdict::Unusable);
    let id = key.public_key().unwrap().id().to_string();
    let renamed = String::from_utf8(bytes).unwrap().replace(&id, &digest("x").to_string());
    let refusal = read(renamed.as_bytes()).unwrap_err();
    assert_eq!((refusal.code(), refusal.verdict()), (UNKNOWN_KEY, Verdict::Inconclusive));
}

#[test]
fn certificate_index() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("proofs")).unwrap();
    for name in ["claims.sigstore.json", "plan.sigstore.json", "proofs/step-0.bin"] {
        fs::write(root.path().join(name), name).unwrap();
    }
    let bytes = Index::build(root.path(), 1000).unwrap().to_bytes().unwrap();
    fs::write(root.path().join(INDEX_NAME), &bytes).unwrap();
    let read = |bytes: &[u8]| {
        let index = Index::from_bytes(bytes)?;
        index.check_listing(&list_certificate(root.path())?)?;
        for entry in index.entries() {
            index.read(root.path(), &entry.path, 1000)?;
        }
        index.to_bytes()
    };
    let rows = [
        member("schema", Some(INDEX_SCHEMA)),
        member("files", Some(INDEX_UNLISTED)),
        Row { swap: Swapped::Refused(INDEX_PATH), ..element("files[]", SHAPE, Some(INDEX_UNLISTED), Some(INDEX_PATH)) },
        member("files[].sha256", Some(INDEX_DIGEST)),
        member("files[].size", Some(INDEX_SIZE)),
    ];
    let mut first = rows.into_iter().collect::<Vec<_>>();
    first.push(member("files[].path", Some(INDEX_PATH)));
    // The first path may be renamed without disturbing the order: then it is unlisted.
    let json: Json = serde_json::from_slice(&bytes).unwrap();
    let reordered = |bytes: &[u8]| {
        read(bytes).map_err(|refusal| {
            let renamed = serde_json::from_slice::<Json>(bytes)
                .is_ok_and(|other| other["files"][0]["path"] == "0laims.sigstore.json");
            if renamed && refusal.code() == INDEX_UNLISTED {
                Refusal::new(INDEX_PATH, "files[0].path", &json["files"][0]["path"], "renamed")
            } else {
                refusal
            }
        })
    };
    run(&bytes, &first, reordered);
}
