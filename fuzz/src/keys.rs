//! Keys in PEM, files of trusted keys, signatures. A key that is read is written and read as the same; one signature of
//! the message verifies.

use crate::key::{KEY, private_pem, public_pem};
use std::path::Path;
use std::sync::LazyLock;
use veritune_envelope::signature::{PublicKey, SigningKey};
use veritune_verifier::request::{Request, verify};

const MESSAGE: &[u8] = b"sample";

static SIGNATURE: LazyLock<Vec<u8>> = LazyLock::new(|| KEY.sign(MESSAGE).expect("a signature"));
static PUBLIC: LazyLock<PublicKey> = LazyLock::new(|| KEY.public_key().expect("a key"));

/// Reads the bytes after the first as what the first says.
pub fn run(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let text = String::from_utf8_lossy(bytes);
    match kind % 4 {
        0 => {
            if let Ok(key) = PublicKey::from_pem(&text) {
                let again = key.to_pem().and_then(|pem| PublicKey::from_pem(&pem)).expect("the key's own text");
                assert_eq!((again.id(), &again), (key.id(), &key));
                assert_eq!(key.verify(MESSAGE, &SIGNATURE).is_ok(), key == *PUBLIC);
            }
        }
        1 => {
            if let Ok(key) = SigningKey::from_pem(&text) {
                let public = key.public_key().expect("a public half");
                let signature = key.sign(MESSAGE).expect("a signature");
                assert_eq!(public.verify(MESSAGE, &signature), Ok(()));
            }
        }
        2 => {
            let request = Request { trust: vec![text.into_owned()], ..Request::default() };
            assert_eq!(verify(Path::new("/dev/null/none"), &request).exit, 2);
        }
        _ => assert_eq!(PUBLIC.verify(MESSAGE, bytes).is_ok(), bytes == *SIGNATURE),
    }
}

/// Honest inputs.
pub fn seeds() -> Vec<Vec<u8>> {
    let trust = format!("# one\n{0}# two\n{0}", public_pem());
    vec![
        [&[0], public_pem().as_bytes()].concat(),
        [&[1], private_pem().as_bytes()].concat(),
        [&[2], trust.as_bytes()].concat(),
        [&[3], &SIGNATURE[..]].concat(),
    ]
}
