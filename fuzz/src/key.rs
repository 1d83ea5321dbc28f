//! A key whose private half everybody knows, so that signatures in committed inputs stay valid.

use std::sync::LazyLock;
use veritune_envelope::signature::SigningKey;

/// RFC 6979 A.2.5.
const PRIVATE: &str = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
/// PKCS#8 of a P-256 key without its public half (RFC 5958, RFC 5915); the number follows.
const BEFORE: &str = "3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420";

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The bytes of a hexadecimal text.
pub(crate) fn unhex(hex: &str) -> Vec<u8> {
    hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(&String::from_utf8_lossy(pair), 16).expect("hex")).collect()
}

/// Base64 of bytes.
pub(crate) fn base64(bytes: &[u8]) -> String {
    let group = |chunk: &[u8]| {
        let mut word = [0; 4];
        word[1..=chunk.len()].copy_from_slice(chunk);
        let word = u32::from_be_bytes(word);
        let digit = |i: usize| char::from(ALPHABET[(word >> (18 - 6 * i)) as usize & 63]);
        (0..4).map(|i| if i <= chunk.len() { digit(i) } else { '=' }).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

/// The key's PEM text.
pub fn private_pem() -> String {
    let text = base64(&unhex(&format!("{BEFORE}{PRIVATE}")));
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"), kind = "PRIVATE KEY")
}

/// The key.
pub static KEY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::from_pem(&private_pem()).expect("a published example"));

/// The PEM text of its public half.
pub fn public_pem() -> String {
    KEY.public_key().and_then(|key| key.to_pem()).expect("a key")
}
