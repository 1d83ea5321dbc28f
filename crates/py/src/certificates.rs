//! Keys, signatures, the released adapter, verification.

use crate::error::Failure;
use crate::runs::plan_of;
use crate::work::{quietly, stoppable};
use crate::{from_json, to_json};
use pyo3::prelude::*;
use serde_json::json;
use std::path::PathBuf;
use veritune_envelope::dsse::{Envelope, PAYLOAD_TYPE};
use veritune_envelope::signature::{PublicKey, SigningKey};
use veritune_envelope::{Digest, bundle};
use veritune_run::certificate as written;
use veritune_run::codes;
use veritune_run::store::{Store, read};
use veritune_verifier::request::{self, Request};

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

/// Returns the public half of a private key.
#[pyfunction]
pub fn public_key(py: Python<'_>, private_pem: &str) -> PyResult<String> {
    quietly(py, || Ok(SigningKey::from_pem(private_pem)?.public_key()?.to_pem()?))
}

/// Returns the name of a public key, by which certificates call their signer.
#[pyfunction]
pub fn key_id(py: Python<'_>, public_pem: &str) -> PyResult<String> {
    quietly(py, || Ok(PublicKey::from_pem(public_pem)?.id().to_string()))
}

/// Writes the released adapter's two files, and of a hidden adapter the proof of the release.
#[pyfunction]
pub fn export_adapter(py: Python<'_>, plan_json: &str, run_dir: PathBuf, adapter_dir: PathBuf) -> PyResult<String> {
    quietly(py, || {
        let spec = written::spec_of(&plan_of(plan_json)?)?;
        let store = Store::open(&run_dir)?;
        written::export_adapter(&store, &spec.disclose, &adapter_dir)?;
        let file = read(&adapter_dir.join("adapter_model.safetensors"))?;
        to_json(&json!({"digest": Digest::sha256(&file).to_string()}))
    })
}

/// Returns the verdict.
#[pyfunction]
pub fn verify(py: Python<'_>, path: PathBuf, request_json: &str) -> PyResult<String> {
    let work = || to_json(&request::verify(&path, &from_json::<Request>("request", request_json)?));
    stoppable(py, work, |stopped| to_json(&stopped.report()))
}
