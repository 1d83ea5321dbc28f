//! The tamper manifest: every field of statement, bundle and index × every change, with the expected code.
//!
//! A field without a row fails the test, so a new field needs a row.

mod mutation;

use mutation::{CHANGES, Change, field, places, tamper};
use serde_json::Value as Json;
use std::fs;
use veritune_envelope::canonical_json::{self, Value};
use veritune_envelope::codes::*;
use veritune_envelope::directory::list_certificate;
use veritune_envelope::dsse::Envelope;
use veritune_envelope::index::{INDEX_NAME, Index};
use veritune_envelope::signature::{SigningKey, TrustedKeys};
use veritune_envelope::statement::*;
use veritune_envelope::{Code, Digest, Refusal, Verdict, bundle};

/// What each change of a field leads to. `None`: another well-formed document, which the next check compares.
struct Row {
    field: &'static str,
    mutate: Option<Code>,
    drop: Option<Code>,
    duplicate: Option<Code>,
    retype: Option<Code>,
    extend: Option<Code>,
}

const SHAPE: Option<Code> = Some(JSON_SHAPE);
const TWICE: Option<Code> = Some(JSON_DUPLICATE_KEY);

/// A member that must be there.
const fn member(field: &'static str, mutate: Option<Code>) -> Row {
    Row {
        field,
        mutate,
        drop: SHAPE,
        duplicate: TWICE,
        retype: SHAPE,
        extend: SHAPE,
    }
}

/// An element of an array.
const fn element(
    field: &'static str,
    mutate: Option<Code>,
    drop: Option<Code>,
    duplicate: Option<Code>,
) -> Row {
    Row {
        field,
        mutate,
        drop,
        duplicate,
        retype: SHAPE,
        extend: SHAPE,
    }
}

/// Runs all changes; returns the number of refused ones.
fn run(document: &[u8], rows: &[Row], read: impl Fn(&[u8]) -> Result<Vec<u8>, Refusal>) -> usize {
    assert_eq!(
        read(document).unwrap(),
        document,
        "the untouched document is read and written again"
    );
    let json: Json = serde_json::from_slice(document).unwrap();
    let mut refused = 0;
    let mut fields = Vec::new();
    for path in places(&json) {
        let name = field(&path);
        let row = rows.iter().find(|row| row.field == name);
        let row = row.unwrap_or_else(|| panic!("no row for `{name}`"));
        fields.push(name.clone());
        for change in CHANGES {
            let Some(text) = tamper(&json, &path, change) else {
                continue;
            };
            let expected = match change {
                Change::Mutate => row.mutate,
                Change::Retype => row.retype,
                Change::Drop => row.drop,
                Change::Duplicate => row.duplicate,
                Change::Extend => row.extend,
            };
            match (read(text.as_bytes()), expected) {
                (Err(refusal), Some(code)) => {
                    assert_eq!(refusal.code(), code, "{change:?} of {name}: {refusal}");
                    refused += 1;
                }
                (Ok(bytes), None) => {
                    assert_eq!(bytes, text.as_bytes(), "{change:?} of {name}");
                    assert_ne!(bytes, document, "{change:?} of {name}");
                }
                (result, _) => panic!("{change:?} of {name}: {result:?}, expected {expected:?}"),
            }
        }
    }
    for row in rows {
        assert!(
            fields.iter().any(|name| name == row.field),
            "a row for no field: {}",
            row.field
        );
    }
    for (suffix, code) in [
        ("x", JSON_TRAILING),
        ("{}", JSON_TRAILING),
        ("\0", JSON_TRAILING),
    ] {
        let long = [document, suffix.as_bytes()].concat();
        assert_eq!(read(&long).unwrap_err().code(), code);
    }
    for end in 0..document.len() {
        assert!(read(&document[..end]).is_err());
    }
    refused
}

fn digest(text: &str) -> Digest {
    Digest::sha256(text.as_bytes())
}

fn claims() -> Statement<ClaimsV1> {
    let spec = br#"{"num_layers":30,"log_rows":"12"}"#;
    let proof = |name: &str, kind, step| ProofFile {
        name: format!("proofs/{name}.bin"),
        sha256: digest(name),
        kind,
        step,
    };
    let claim = |kind: &str, word| Claim {
        kind: kind.to_owned(),
        word,
        detail: "A sentence.".to_owned(),
    };
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
            claims: vec![
                claim("training", Word::ZkProof),
                claim("licences", Word::SelfDeclared),
            ],
            not_claimed: vec!["That the data is good.".to_owned()],
            ledger: Ledger {
                rows: vec![LedgerRow {
                    source: "sumcheck".to_owned(),
                    bits: 153,
                    assumption: "none".to_owned(),
                }],
                total_bits: 143,
                max_proofs: 1000,
            },
            created_by: tool(),
        },
    }
}

fn base() -> BaseCommitment {
    BaseCommitment {
        files: vec![BaseFile {
            name: "model.safetensors".to_owned(),
            sha256: digest("base"),
        }],
        root: digest("base root"),
    }
}

fn tool() -> Tool {
    Tool {
        name: "veritune".to_owned(),
        version: "0.1.0".to_owned(),
    }
}

fn reread<P: Predicate + Clone>(bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    Statement::<P>::from_bytes(bytes)?.to_bytes()
}

/// The fields that every statement of ours has.
fn statement_rows() -> Vec<Row> {
    vec![
        member("_type", Some(STATEMENT_TYPE)),
        member("predicateType", Some(PREDICATE_TYPE)),
        member("subject", Some(STATEMENT_SUBJECT)),
        element(
            "subject[]",
            SHAPE,
            Some(STATEMENT_SUBJECT),
            Some(STATEMENT_SUBJECT),
        ),
        member("subject[].name", None),
        member("subject[].digest", SHAPE),
        member("subject[].digest.sha256", None),
        member("predicate", SHAPE),
        member("predicate.schema", Some(PREDICATE_SCHEMA)),
        member("predicate.programDigest", None),
        Row {
            retype: None,
            extend: None,
            ..member("predicate.spec", None)
        },
        Row {
            drop: None,
            retype: None,
            ..member("predicate.spec.num_layers", None)
        },
        Row {
            drop: None,
            retype: None,
            ..member("predicate.spec.log_rows", None)
        },
        member("predicate.base", SHAPE),
        member("predicate.base.root", None),
        member("predicate.base.files", Some(BASE_FILES)),
        element(
            "predicate.base.files[]",
            SHAPE,
            Some(BASE_FILES),
            Some(BASE_FILES),
        ),
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
        element(
            "predicate.stateRoots[]",
            None,
            Some(CLAIMS_STATE_ROOTS),
            Some(CLAIMS_STATE_ROOTS),
        ),
        member("predicate.proofs", None),
        element("predicate.proofs[]", SHAPE, None, Some(CLAIMS_PROOF_FILE)),
        member("predicate.proofs[].name", Some(CLAIMS_PROOF_FILE)),
        member("predicate.proofs[].sha256", None),
        member("predicate.proofs[].kind", SHAPE),
        Row {
            drop: Some(CLAIMS_PROOF_FILE),
            ..member("predicate.proofs[].step", Some(CLAIMS_PROOF_FILE))
        },
        member("predicate.claims", Some(CLAIMS_CLAIM)),
        element("predicate.claims[]", SHAPE, None, Some(CLAIMS_CLAIM)),
        member("predicate.claims[].kind", None),
        member("predicate.claims[].word", SHAPE),
        member("predicate.claims[].detail", None),
        member("predicate.notClaimed", Some(CLAIMS_NOT_CLAIMED)),
        element(
            "predicate.notClaimed[]",
            None,
            Some(CLAIMS_NOT_CLAIMED),
            Some(CLAIMS_NOT_CLAIMED),
        ),
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
    let recipe = canonical_json::parse(br#"{"r":8}"#, 100).unwrap();
    let plan = PlanV1 {
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
    };
    let file = canonical_json::to_bytes(&plan).unwrap();
    assert_eq!(plan.digest().unwrap(), Digest::sha256(&file));
    let statement = Statement {
        subject: vec![Subject::of("plan.json", &file)],
        predicate: plan,
    };
    let mut rows = statement_rows();
    rows.extend([
        member("predicate.planNumber", None),
        Row {
            retype: None,
            extend: None,
            ..member("predicate.recipe", None)
        },
        Row {
            drop: None,
            retype: None,
            ..member("predicate.recipe.r", None)
        },
        Row {
            drop: None,
            ..member("predicate.samplerKeyCommitment", None)
        },
        member("predicate.numSteps", None),
    ]);
    let bytes = statement.to_bytes().unwrap();
    run(&bytes, &rows, reread::<PlanV1>);
    let other = Statement::<ClaimsV1>::from_bytes(&bytes).unwrap_err();
    assert_eq!(
        (other.code(), other.verdict()),
        (PREDICATE_TYPE, Verdict::Refuted)
    );
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
    ];
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
    let renamed = String::from_utf8(bytes)
        .unwrap()
        .replace(&id, &digest("x").to_string());
    let refusal = read(renamed.as_bytes()).unwrap_err();
    assert_eq!(
        (refusal.code(), refusal.verdict()),
        (UNKNOWN_KEY, Verdict::Inconclusive)
    );
}

#[test]
fn certificate_index() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("proofs")).unwrap();
    for name in [
        "claims.sigstore.json",
        "plan.sigstore.json",
        "proofs/step-0.bin",
    ] {
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
        element("files[]", SHAPE, Some(INDEX_UNLISTED), Some(INDEX_PATH)),
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
                Refusal::new(
                    INDEX_PATH,
                    "files[0].path",
                    &json["files"][0]["path"],
                    "renamed",
                )
            } else {
                refusal
            }
        })
    };
    run(&bytes, &first, reordered);
}

/// Values that no single change reaches.
#[test]
fn values_of_the_claims() {
    let refuse = |change: fn(&mut ClaimsV1)| {
        let mut statement = claims();
        change(&mut statement.predicate);
        statement.to_bytes().unwrap_err().code()
    };
    assert_eq!(refuse(|p| p.num_steps = u64::MAX), CLAIMS_STATE_ROOTS);
    assert_eq!(refuse(|p| p.state_roots.clear()), CLAIMS_STATE_ROOTS);
    assert_eq!(refuse(|p| p.proofs[2].step = Some(1)), CLAIMS_PROOF_FILE);
    for name in [
        "proofs/../x",
        "/etc/x",
        "proofs/",
        "proofs/a/b",
        "proofs/.x",
        "x.bin",
    ] {
        let mut statement = claims();
        statement.predicate.proofs[0].name = name.to_owned();
        let refusal = statement.to_bytes().unwrap_err();
        assert_eq!(
            (refusal.code(), refusal.location()),
            (CLAIMS_PROOF_FILE, "predicate.proofs[0].name")
        );
    }
    assert_eq!(
        refuse(|p| p.claims[1].kind = "training".to_owned()),
        CLAIMS_CLAIM
    );
    assert_eq!(refuse(|p| p.not_claimed[0].clear()), CLAIMS_NOT_CLAIMED);
    assert_eq!(refuse(|p| p.ledger.max_proofs = 0), CLAIMS_LEDGER);
    assert_eq!(refuse(|p| p.ledger.max_proofs = 1 << 60), JSON_NUMBER);
    assert_eq!(
        claims().predicate.step_proof(1).unwrap().name,
        "proofs/step-1.bin"
    );
    assert_eq!(claims().predicate.step_proof(2), None);
    for word in Word::ALL {
        assert_eq!(
            canonical_json::to_value(&word).unwrap(),
            Value::String(word.to_string())
        );
    }
}
