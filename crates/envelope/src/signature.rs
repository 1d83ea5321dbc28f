//! ECDSA over P-256 with SHA-256: keys, deterministic signatures, verification against named keys.
//!
//! A signature is ASN.1 DER. The nonce is RFC 6979's, so signing needs no randomness. Of the two values `s` and
//! `n − s` that verify, the signer writes the lower and the verifier refuses the higher, so that nobody without
//! the key can turn a signed file into another signed file.
//!
//! Soundness: existential unforgeability of ECDSA over P-256 (about 128 bits, an assumption).

use crate::codes::{
    KEY_GENERATION, NO_KEY_NAMED, PRIVATE_KEY_FORM, PUBLIC_KEY_FORM, SIGNATURE_ENCODING, SIGNATURE_HIGH_S,
    SIGNATURE_WRONG, UNKNOWN_KEY,
};
use crate::digest::Digest;
use crate::verdict::Refusal;
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{self, Signature};
use p256::elliptic_curve::Generate as _;
use p256::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding,
};
use zeroize::Zeroizing;

/// Longest PEM text that is looked at.
const MAX_PEM_BYTES: usize = 1 << 12;

/// The name of a public key: SHA-256 of its SPKI DER with the uncompressed point.
pub type KeyId = Digest;

/// A private key; its memory is wiped on drop.
pub struct SigningKey(ecdsa::SigningKey);

impl SigningKey {
    /// A new key from the operating system's randomness.
    pub fn generate() -> Result<Self, Refusal> {
        let key = ecdsa::SigningKey::try_generate().map_err(|error| {
            Refusal::new(KEY_GENERATION, "the new key", "randomness of the operating system", error)
        })?;
        Ok(Self(key))
    }

    /// The key in PKCS#8 PEM. *Caller must* write it with mode 0600.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, Refusal> {
        self.0
            .to_pkcs8_pem(LineEnding::LF)
            .map_err(|error| Refusal::new(PRIVATE_KEY_FORM, "the private key", "a key with a PEM form", error))
    }

    /// The key that a PKCS#8 PEM text holds. The refusal never quotes the text.
    pub fn from_pem(pem: &str) -> Result<Self, Refusal> {
        let key = (pem.len() <= MAX_PEM_BYTES).then(|| ecdsa::SigningKey::from_pkcs8_pem(pem).ok()).flatten();
        key.map(Self).ok_or_else(|| {
            Refusal::new(PRIVATE_KEY_FORM, "the private key", "a P-256 key in PKCS#8 PEM", "another text")
        })
    }

    /// The public half.
    pub fn public_key(&self) -> Result<PublicKey, Refusal> {
        PublicKey::new(*self.0.verifying_key())
    }

    /// The signature of `message`: DER, RFC 6979 nonce, lower `s`.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Refusal> {
        let signature: Signature = self
            .0
            .try_sign(message)
            .map_err(|error| Refusal::new(KEY_GENERATION, "the signature", "a signature", error))?;
        Ok(signature.normalize_s().to_der().as_bytes().to_vec())
    }
}

/// A public key and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: ecdsa::VerifyingKey,
    id: KeyId,
}

impl PublicKey {
    fn new(key: ecdsa::VerifyingKey) -> Result<Self, Refusal> {
        let der = key
            .to_public_key_der()
            .map_err(|error| Refusal::new(PUBLIC_KEY_FORM, "the public key", "a key with a DER form", error))?;
        Ok(Self { key, id: Digest::sha256(der.as_bytes()) })
    }

    /// The key that an SPKI PEM text holds.
    pub fn from_pem(pem: &str) -> Result<Self, Refusal> {
        let refuse = |got: &str| Refusal::new(PUBLIC_KEY_FORM, "the public key", "a P-256 key in SPKI PEM", got);
        if pem.len() > MAX_PEM_BYTES {
            return Err(refuse("a longer text"));
        }
        let key = ecdsa::VerifyingKey::from_public_key_pem(pem).map_err(|error| refuse(&error.to_string()))?;
        Self::new(key)
    }

    /// The key in SPKI PEM.
    pub fn to_pem(&self) -> Result<String, Refusal> {
        self.key
            .to_public_key_pem(LineEnding::LF)
            .map_err(|error| Refusal::new(PUBLIC_KEY_FORM, "the public key", "a key with a PEM form", error))
    }

    /// The key's name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Accepts iff `signature` is the one DER form of a lower-`s` signature of `message` under this key.
    ///
    /// 1. It is DER; the reader accepts one DER text for a pair of numbers.
    /// 2. Its `s` is the lower one.
    /// 3. It verifies.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Refusal> {
        let refuse = |code, expected: &str, got: &str| Refusal::new(code, "the signature", expected, got);
        let parsed = Signature::from_der(signature)
            .ok()
            .ok_or_else(|| refuse(SIGNATURE_ENCODING, "a DER encoded P-256 signature", "other bytes"))?;
        if parsed.normalize_s() != parsed {
            return Err(refuse(SIGNATURE_HIGH_S, "the lower s", "the higher s")); // 2
        }
        self.key
            .verify(message, &parsed)
            .or_else(|_| refuse(SIGNATURE_WRONG, "a signature of these bytes", "another signature").raise()) // 3
    }
}

/// The keys that the verifier's user named. Nothing in a certificate adds to them.
#[derive(Debug, Clone, Default)]
pub struct TrustedKeys(Vec<PublicKey>);

impl TrustedKeys {
    /// These keys and no other.
    #[must_use]
    pub fn new(keys: Vec<PublicKey>) -> Self {
        Self(keys)
    }

    /// The trusted key that is called `id`.
    ///
    /// Whether no key was named or another one was asked for, the answer is inconclusive, not refuted: the signer
    /// may be honest and is not known here.
    pub fn find(&self, id: &KeyId) -> Result<&PublicKey, Refusal> {
        if self.0.is_empty() {
            return Err(Refusal::new(NO_KEY_NAMED, "the trusted keys", "at least one key", "none"));
        }
        self.0.iter().find(|key| key.id() == *id).ok_or_else(|| {
            let named: Vec<String> = self.0.iter().map(|key| key.id().to_string()).collect();
            Refusal::new(UNKNOWN_KEY, "the key id", named.join(" or "), id)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;
    use p256::FieldBytes;

    fn hex(text: &str) -> [u8; 32] {
        *Digest::from_hex(text).unwrap().as_bytes()
    }

    fn der(r: [u8; 32], s: [u8; 32]) -> Vec<u8> {
        let signature = Signature::from_scalars(FieldBytes::from(r), FieldBytes::from(s)).unwrap();
        signature.to_der().as_bytes().to_vec()
    }

    /// RFC 6979 A.2.5, P-256 with SHA-256. The signature of "sample" has the higher s, that of "test" the lower.
    #[test]
    fn rfc_6979_vectors() {
        let secret = hex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
        let key = SigningKey(ecdsa::SigningKey::from_bytes(&FieldBytes::from(secret)).unwrap());
        let public = key.public_key().unwrap();

        let r = hex("f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367");
        let s = hex("019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083");
        assert_eq!(key.sign(b"test").unwrap(), der(r, s));
        public.verify(b"test", &der(r, s)).unwrap();

        let r = hex("efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716");
        let s = hex("f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8");
        let high = der(r, s);
        let low = Signature::from_der(&high).unwrap().normalize_s().to_der().as_bytes().to_vec();
        assert_eq!(key.sign(b"sample").unwrap(), low);
        public.verify(b"sample", &low).unwrap();
        assert_eq!(public.verify(b"sample", &high).unwrap_err().code(), SIGNATURE_HIGH_S);
    }

    #[test]
    fn every_changed_signature_is_refused() {
        let key = SigningKey::generate().unwrap();
        let public = key.public_key().unwrap();
        let signature = key.sign(b"message").unwrap();
        public.verify(b"message", &signature).unwrap();
        assert_eq!(public.verify(b"massage", &signature).unwrap_err().code(), SIGNATURE_WRONG);
        for position in 0..signature.len() {
            for bit in 0..8 {
                let mut changed = signature.clone();
                changed[position] ^= 1 << bit;
                assert!(public.verify(b"message", &changed).is_err());
            }
        }
        // The same numbers in BER: a long form length, a zero too many, an indefinite length.
        let body = &signature[2..];
        let length = signature[1];
        let long_form = [&[0x30, 0x81, length], body].concat();
        let indefinite = [&[0x30, 0x80], body, &[0, 0]].concat();
        let zero = [&[0x30, length + 1, 2, body[1] + 1, 0], &body[2..]].concat();
        for other in [long_form, indefinite, zero] {
            let refusal = public.verify(b"message", &other).unwrap_err();
            assert_eq!(refusal.code(), SIGNATURE_ENCODING);
        }
        let mut long = signature.clone();
        long.push(0);
        for other in [&long[..], &signature[1..], b"", &[0x30, 0x06, 2, 1, 0, 2, 1, 0]] {
            let refusal = public.verify(b"message", other).unwrap_err();
            assert_eq!(refusal.code(), SIGNATURE_ENCODING);
        }
    }

    #[test]
    fn keys_round_trip_and_foreign_texts_are_refused() {
        let key = SigningKey::generate().unwrap();
        let pem = key.to_pem().unwrap();
        let again = SigningKey::from_pem(&pem).unwrap();
        let public = key.public_key().unwrap();
        assert_eq!(again.public_key().unwrap(), public);
        let public_pem = public.to_pem().unwrap();
        assert_eq!(PublicKey::from_pem(&public_pem).unwrap(), public);

        assert!(PublicKey::from_pem(&pem).is_err());
        assert!(PublicKey::from_pem(&public_pem.repeat(100)).is_err());
        assert!(PublicKey::from_pem(&public_pem[1..]).is_err());
        let refusal = SigningKey::from_pem(&public_pem).err().unwrap();
        assert_eq!(refusal.code(), PRIVATE_KEY_FORM);
        assert!(!refusal.to_string().contains("BEGIN"));
    }

    #[test]
    fn unnamed_and_unknown_keys_are_inconclusive() {
        let keys: Vec<PublicKey> = (0..3).map(|_| SigningKey::generate().unwrap().public_key().unwrap()).collect();
        let none = TrustedKeys::default().find(&keys[0].id()).unwrap_err();
        assert_eq!((none.code(), none.verdict()), (NO_KEY_NAMED, Verdict::Inconclusive));
        let two = TrustedKeys::new(keys[..2].to_vec());
        assert_eq!(two.find(&keys[1].id()).unwrap(), &keys[1]);
        let other = two.find(&keys[2].id()).unwrap_err();
        assert_eq!((other.code(), other.verdict()), (UNKNOWN_KEY, Verdict::Inconclusive));
    }
}
