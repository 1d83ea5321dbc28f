//! Keys, signatures, the released adapter, verification.

use crate::error::Failure;
use crate::work::quietly;
use crate::{from_json, to_json};
use pyo3::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use veritune_envelope::dsse::{Envelope, PAYLOAD_TYPE};
use veritune_envelope::signature::SigningKey;
use veritune_envelope::{Digest, bundle};
use veritune_run::certificate as written;
use veritune_run::codes;
use veritune_run::store::{Store, read};
use veritune_verifier::certificate as verified;

/// Returns a Sigstore bundle over the payload.
#[pyfunction]
pub fn sign(py: Python<'_>, payload_type: &str, payload: &[u8], private_pem: &str) -> PyResult<String> {
    quietly(py, || {
        if payload_type != PAYLOAD_TYPE {
            let message = format!("only {PAYLOAD_TYPE} is signed");
            return Err(Failure::new(codes::CALL, message, "payload type"));
        }
        let key = SigningKey::from_pem(private_pem)?;
        let envelope = Envelope::sign(payload.to_vec(), &key)?;
        String::from_utf8(bundle::to_json(&envelope)?).map_err(|error| Failure::new(codes::CALL, error, "bundle"))
    })
}

/// Returns a fresh key pair.
#[pyfunction]
pub fn generate_key(py: Python<'_>) -> PyResult<(String, String)> {
    quietly(py, || {
        let key = SigningKey::generate()?;
        Ok((key.to_pem()?.to_string(), key.public_key()?.to_pem()?))
    })
}

/// Writes the released adapter's two files.
#[pyfunction]
pub fn export_adapter(
    py: Python<'_>,
    #[allow(unused_variables)] plan_json: &str,
    run_dir: PathBuf,
    adapter_dir: PathBuf,
) -> PyResult<String> {
    quietly(py, || {
        let store = Store::open(&run_dir)?;
        written::export_adapter(&store, &adapter_dir)?;
        let file = read(&adapter_dir.join("adapter_model.safetensors"))?;
        to_json(&json!({"digest": Digest::sha256(&file).to_string()}))
    })
}

/// What a caller may demand; so far only the default: everything, from a named signer.
#[derive(Deserialize)]
struct Policy {
    schema: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Policy {
    fn check(&self) -> Result<(), Failure> {
        let refuse = |field: &str, message: String| Failure::new(codes::POLICY, message, field);
        if self.schema != "veritune.policy/v1" {
            return Err(refuse("policy.schema", "expected veritune.policy/v1".to_owned()));
        }
        // A demand that is not checked must not pass in silence, nor a waiver that the verifier does not know.
        match self.rest.keys().next() {
            None => Ok(()),
            Some(field) => Err(refuse(
                &format!("policy.{field}"),
                format!("{field} is not supported: every check is made, and the signer is named with --key"),
            )),
        }
    }
}

/// Returns the verdict.
#[pyfunction]
pub fn verify(py: Python<'_>, path: PathBuf, key_pem: Vec<String>, policy_json: &str) -> PyResult<String> {
    quietly(py, || {
        from_json::<Policy>("policy", policy_json)?.check()?;
        to_json(&verified::verify(&path, &key_pem))
    })
}
