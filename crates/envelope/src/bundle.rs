//! Sigstore bundle v0.3 in JSON: the file form of an envelope (`*.sigstore.json`), signed with a key.
//!
//! Only what a key-signed bundle needs: media type, the key's hint, the DSSE envelope. Certificates, log entries and
//! time stamps are refused as unknown fields, not ignored.
//!
//! Source: `sigstore_bundle.proto` v0.3, JSON mapping of protobuf.

use crate::canonical_json;
use crate::codes::{BUNDLE_MEDIA_TYPE, ENVELOPE_KEY_ID};
use crate::dsse::{self, Envelope, MAX_ENVELOPE_BYTES};
use crate::signature::KeyId;
use crate::verdict::Refusal;
use serde::{Deserialize, Serialize};

/// The only media type.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// The bundle that holds `envelope`, in canonical JSON.
pub fn to_json(envelope: &Envelope) -> Result<Vec<u8>, Refusal> {
    canonical_json::to_bytes(&Wire {
        media_type: MEDIA_TYPE.to_owned(),
        verification_material: VerificationMaterial { public_key: PublicKeyIdentifier { hint: envelope.key_id() } },
        dsse_envelope: envelope.to_wire(),
    })
}

/// The envelope that a bundle in strict JSON holds. Nothing is verified yet.
///
/// 1. The text is strict JSON with exactly the fields of a key-signed bundle.
/// 2. The media type is that of version 0.3.
/// 3. The envelope holds one signature over an in-toto payload.
/// 4. The signature's key id is the bundle's hint.
pub fn from_json(bytes: &[u8]) -> Result<Envelope, Refusal> {
    let wire: Wire = canonical_json::decode(bytes, MAX_ENVELOPE_BYTES).map_err(Refusal::in_container)?; // 1
    if wire.media_type != MEDIA_TYPE {
        return Err(Refusal::new(BUNDLE_MEDIA_TYPE, "mediaType", MEDIA_TYPE, wire.media_type)); // 2
    }
    let envelope = Envelope::from_wire(wire.dsse_envelope).map_err(|error| error.within("dsseEnvelope"))?; // 3
    let hint = wire.verification_material.public_key.hint;
    if envelope.key_id() != hint {
        return Err(Refusal::new(ENVELOPE_KEY_ID, "dsseEnvelope.signatures[0].keyid", hint, envelope.key_id())); // 4
    }
    Ok(envelope)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Wire {
    media_type: String,
    verification_material: VerificationMaterial,
    dsse_envelope: dsse::Wire,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct VerificationMaterial {
    public_key: PublicKeyIdentifier,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublicKeyIdentifier {
    hint: KeyId,
}
