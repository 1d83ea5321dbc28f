//! Unsigned containers: Sigstore bundle, DSSE envelope, index. What is read is written and read as the same; only the
//! one payload that was signed verifies.

use crate::key::KEY;
use std::sync::LazyLock;
use veritune_envelope::bundle;
use veritune_envelope::dsse::Envelope;
use veritune_envelope::index::{Index, is_safe_path};
use veritune_envelope::signature::TrustedKeys;

/// What was signed.
const PAYLOAD: &[u8] = b"{}";

static SIGNED: LazyLock<Envelope> = LazyLock::new(|| Envelope::sign(PAYLOAD.to_vec(), &KEY).expect("a signature"));
static KEYS: LazyLock<TrustedKeys> = LazyLock::new(|| TrustedKeys::new(vec![KEY.public_key().expect("a key")]));

/// Reads the bytes after the first as what the first says.
pub fn run(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 3 {
        0 => {
            if let Ok(envelope) = bundle::from_json(bytes) {
                assert_eq!(
                    bundle::to_json(&envelope).and_then(|json| bundle::from_json(&json)).as_ref(),
                    Ok(&envelope)
                );
                only_the_signed(envelope);
            }
        }
        1 => {
            if let Ok(envelope) = Envelope::from_json(bytes) {
                assert_eq!(envelope.to_json().and_then(|json| Envelope::from_json(&json)).as_ref(), Ok(&envelope));
                only_the_signed(envelope);
            }
        }
        _ => {
            if let Ok(index) = Index::from_bytes(bytes) {
                assert_eq!(index.to_bytes().as_deref(), Ok(bytes));
                assert!(index.entries().iter().all(|entry| is_safe_path(&entry.path)));
                assert!(index.entries().is_sorted_by(|a, b| a.path < b.path));
                assert_eq!(Index::new(index.entries().to_vec()).as_ref(), Ok(&index));
            }
        }
    }
}

fn only_the_signed(envelope: Envelope) {
    let is_signed = envelope == *SIGNED;
    assert_eq!(envelope.verify(&KEYS).is_ok_and(|verified| verified.payload == PAYLOAD), is_signed);
}

/// Honest inputs.
pub fn seeds() -> Vec<Vec<u8>> {
    let index = format!(
        r#"{{"files":[{{"path":"plan.json","sha256":"{0}","size":2}},{{"path":"proofs/a.bin","sha256":"{0}","size":0}}],"schema":"veritune.index/v1"}}"#,
        "ab".repeat(32)
    );
    let bundle = bundle::to_json(&SIGNED).expect("a bundle");
    let envelope = SIGNED.to_json().expect("an envelope");
    vec![[&[0][..], &bundle].concat(), [&[1][..], &envelope].concat(), [&[2][..], index.as_bytes()].concat()]
}
