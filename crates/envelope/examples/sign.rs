//! Makes keys, signs a payload into a bundle and verifies one: for cross-checks with other programs.
//!
//! ```text
//! sign keygen PRIVATE.pem PUBLIC.pem
//! sign sign PRIVATE.pem PAYLOAD BUNDLE
//! sign verify PUBLIC.pem BUNDLE           writes the payload to standard output
//! sign canonical FILE                     writes the canonical JSON to standard output
//! sign adapter DIRECTORY                  writes a small adapter's two files
//! ```
//!
//! The exit code is the verdict's.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::ExitCode;
use std::{env, fs, io};
use veritune_envelope::adapter_file::{self, AdapterConfig, Factor, Module, Tensor, TensorLayout, tensor_name};
use veritune_envelope::dsse::Envelope;
use veritune_envelope::signature::{PublicKey, SigningKey, TrustedKeys};
use veritune_envelope::{Refusal, bundle, canonical_json};

enum Failure {
    Refused(Refusal),
    Io(io::Error),
    Usage,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Refused(refusal)) => {
            eprintln!("{refusal}");
            ExitCode::from(refusal.verdict().exit_code())
        }
        Err(Failure::Io(error)) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
        Err(Failure::Usage) => {
            eprintln!("usage: see the top of this file");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[&str]) -> Result<(), Failure> {
    match arguments {
        ["keygen", private, public] => {
            let key = SigningKey::generate()?;
            fs::write(private, key.to_pem()?.as_bytes())?;
            fs::write(public, key.public_key()?.to_pem()?)?;
        }
        ["sign", private, payload, output] => {
            let key = SigningKey::from_pem(&fs::read_to_string(private)?)?;
            let envelope = Envelope::sign(fs::read(payload)?, &key)?;
            fs::write(output, bundle::to_json(&envelope)?)?;
        }
        ["verify", public, input] => {
            let key = PublicKey::from_pem(&fs::read_to_string(public)?)?;
            let envelope = bundle::from_json(&fs::read(input)?)?;
            let verified = envelope.verify(&TrustedKeys::new(vec![key]))?;
            io::stdout().write_all(&verified.payload)?;
        }
        ["canonical", input] => {
            let value = canonical_json::parse(&fs::read(input)?, 1 << 20)?;
            io::stdout().write_all(&value.to_canonical())?;
        }
        ["adapter", directory] => {
            let tensors = [example_tensor(Factor::A, [2, 3], 16), example_tensor(Factor::B, [3, 2], 18)];
            let config = AdapterConfig {
                base_model_name_or_path: "example/base".to_owned(),
                r: 2,
                lora_alpha: 4,
                use_rslora: false,
                target_modules: BTreeSet::from([Module::Q]),
            };
            let files = [
                ("adapter_model.safetensors", adapter_file::encode(&tensors)?),
                ("adapter_config.json", config.to_bytes()?),
            ];
            for (name, bytes) in files {
                fs::write(format!("{directory}/{name}"), bytes)?;
            }
        }
        _ => return Err(Failure::Usage),
    }
    Ok(())
}

/// The integers −2, −1, 0, 1, 2, 3 at the scale 2^−`fraction_bits`.
fn example_tensor(factor: Factor, shape: [u64; 2], fraction_bits: u32) -> Tensor {
    let name = tensor_name(0, Module::Q, factor);
    let layout = TensorLayout { name, shape: shape.to_vec(), fraction_bits };
    Tensor { layout, values: (-2..4).collect() }
}
