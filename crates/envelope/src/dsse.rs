//! DSSE envelope: a payload, the encoding that is signed, and exactly one signature.
//!
//! Source: DSSE v1.0, `envelope.md` and `protocol.md`. What is signed is
//! `PAE(type, payload) = "DSSEv1" SP len(type) SP type SP len(payload) SP payload`, so the type is signed too.

use crate::canonical_json;
use crate::codes::{ENVELOPE_BASE64, ENVELOPE_PAYLOAD_TYPE, ENVELOPE_SIGNATURE_COUNT};
use crate::signature::{KeyId, SigningKey, TrustedKeys};
use crate::statement::MAX_STATEMENT_BYTES;
use crate::verdict::Refusal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// The only payload type.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Longest envelope or bundle: a statement in base64 with room for the fields around it.
pub const MAX_ENVELOPE_BYTES: usize = MAX_STATEMENT_BYTES / 3 * 4 + (1 << 16);

/// The bytes that a signature covers.
#[must_use]
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    out.extend(payload);
    out
}

/// A signed payload. Its bytes are handed out by [`Envelope::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    payload: Vec<u8>,
    signature: Vec<u8>,
    key_id: KeyId,
}

/// A payload whose signature a trusted key verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The bytes of the statement.
    pub payload: Vec<u8>,
    /// The key that signed them.
    pub signer: KeyId,
}

impl Envelope {
    /// The payload, signed.
    pub fn sign(payload: Vec<u8>, key: &SigningKey) -> Result<Self, Refusal> {
        let signature = key.sign(&pre_authentication_encoding(PAYLOAD_TYPE, &payload))?;
        Ok(Self { payload, signature, key_id: key.public_key()?.id() })
    }

    /// The payload, if the key that the envelope names is trusted and verifies its signature.
    pub fn verify(self, keys: &TrustedKeys) -> Result<Verified, Refusal> {
        let key = keys.find(&self.key_id)?;
        key.verify(&pre_authentication_encoding(PAYLOAD_TYPE, &self.payload), &self.signature)?;
        Ok(Verified { payload: self.payload, signer: self.key_id })
    }

    /// The key that the envelope says signed it.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The payload, for display only: nobody is known to have signed it.
    #[must_use]
    pub fn unverified_payload(&self) -> &[u8] {
        &self.payload
    }

    /// The envelope as JSON.
    pub fn to_json(&self) -> Result<Vec<u8>, Refusal> {
        canonical_json::to_bytes(&self.to_wire())
    }

    /// The envelope that strict JSON holds. Nothing is verified yet.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Refusal> {
        let wire: Wire = canonical_json::decode(bytes, MAX_ENVELOPE_BYTES).map_err(Refusal::in_container)?;
        Self::from_wire(wire)
    }

    pub(crate) fn to_wire(&self) -> Wire {
        Wire {
            payload: STANDARD.encode(&self.payload),
            payload_type: PAYLOAD_TYPE.to_owned(),
            signatures: vec![WireSignature { keyid: self.key_id, sig: STANDARD.encode(&self.signature) }],
        }
    }

    pub(crate) fn from_wire(wire: Wire) -> Result<Self, Refusal> {
        if wire.payload_type != PAYLOAD_TYPE {
            return Err(Refusal::new(ENVELOPE_PAYLOAD_TYPE, "payloadType", PAYLOAD_TYPE, wire.payload_type));
        }
        let count = wire.signatures.len();
        let [signature] = <[WireSignature; 1]>::try_from(wire.signatures)
            .map_err(|_| Refusal::new(ENVELOPE_SIGNATURE_COUNT, "signatures", 1, count))?;
        Ok(Self {
            payload: decode_base64(&wire.payload, "payload")?,
            signature: decode_base64(&signature.sig, "signatures[0].sig")?,
            key_id: signature.keyid,
        })
    }
}

/// Standard alphabet, padding required, unused bits zero: one text for each string of bytes.
fn decode_base64(text: &str, location: &str) -> Result<Vec<u8>, Refusal> {
    STANDARD.decode(text).map_err(|error| Refusal::new(ENVELOPE_BASE64, location, "standard base64", error))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Wire {
    payload: String,
    payload_type: String,
    signatures: Vec<WireSignature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSignature {
    keyid: KeyId,
    sig: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DSSE v1.0, `protocol.md`, test vector.
    #[test]
    fn pae_of_the_specification() {
        assert_eq!(
            pre_authentication_encoding("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn base64_has_one_text() {
        assert_eq!(decode_base64("YQ==", "x").unwrap(), b"a");
        for other in ["YQ", "YQ=", "YR==", "YQ==\n", " YQ==", "YQ===", "-_==", "YQ==YQ=="] {
            assert_eq!(decode_base64(other, "x").unwrap_err().code(), ENVELOPE_BASE64, "{other}");
        }
    }

    #[test]
    fn round_trip() {
        let key = SigningKey::generate().unwrap();
        let envelope = Envelope::sign(b"{}".to_vec(), &key).unwrap();
        let again = Envelope::from_json(&envelope.to_json().unwrap()).unwrap();
        assert_eq!(again, envelope);
        let keys = TrustedKeys::new(vec![key.public_key().unwrap()]);
        assert_eq!(again.verify(&keys).unwrap().payload, b"{}");
    }
}
