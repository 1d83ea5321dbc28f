//! The door of the verifier: a path, the signers and the policy that its user names, and the verdict.

use crate::certificate::check;
use crate::codes::{ADAPTER_MISSING, CERTIFICATE_MISSING, FILE_PATH, POLICY_FORM};
use crate::policy::Policy;
use crate::report::Report;
use serde::Deserialize;
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use veritune_envelope::Refusal;
use veritune_envelope::codes::DIRECTORY_EXTRA;
use veritune_envelope::directory::{ADAPTER_MODEL, CERTIFICATE};
use veritune_envelope::index::INDEX_NAME;
use veritune_envelope::signature::{PublicKey, TrustedKeys};

const PEM_BEGIN: &str = "-----BEGIN ";
const PEM_END: &str = "-----END PUBLIC KEY-----";
/// Longest trust file.
pub const MAX_TRUST_BYTES: usize = 1 << 20;

/// What a user asks for; texts, not paths.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// Public keys (PEM) of accepted signers: `--key`.
    pub keys: Vec<String>,
    /// Texts with any number of public keys (PEM), and comments between them: `--trust`.
    pub trust: Vec<String>,
    /// Accept a signer whom nobody named: `--any-signer`.
    pub any_signer: bool,
    /// Leave the adapter's files out: `--no-file`.
    pub no_file: bool,
    /// The policy (YAML): `--policy`. None: the default.
    pub policy: Option<String>,
}

/// Whose signature is accepted.
pub(crate) enum Signers {
    Named(TrustedKeys),
    Any,
}

impl Signers {
    /// The accepted keys; `shipped` is the one that lies in the certificate.
    pub(crate) fn keys(&self, shipped: Option<&PublicKey>) -> Cow<'_, TrustedKeys> {
        match self {
            Self::Named(keys) => Cow::Borrowed(keys),
            Self::Any => Cow::Owned(TrustedKeys::new(shipped.cloned().into_iter().collect())),
        }
    }
}

/// Where the certificate lies, and the adapter's files if they are to be checked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Subjects {
    pub certificate: PathBuf,
    pub adapter: Option<PathBuf>,
}

impl Subjects {
    /// What lies at `path`: an adapter directory, a run directory, or a certificate alone.
    fn at(path: &Path, hidden_file: bool) -> Result<Self, Refusal> {
        if !path.is_dir() {
            return Err(Refusal::new(FILE_PATH, "path", "an adapter, run or certificate directory", "none"));
        }
        let run = path.join("certificate");
        let (certificate, adapter) = if path.join(CERTIFICATE).is_dir() {
            (path.join(CERTIFICATE), Some(path.to_owned()))
        } else if run.is_dir() {
            refuse_strangers(path)?;
            (run, Some(path.join("release")))
        } else {
            (path.to_owned(), None)
        };
        if !certificate.join(INDEX_NAME).exists() {
            return Err(Refusal::new(CERTIFICATE_MISSING, "path", "a certificate with its index.json", "none"));
        }
        if hidden_file {
            return Ok(Self { certificate, adapter: None });
        }
        match adapter.filter(|folder| folder.join(ADAPTER_MODEL).exists()) {
            Some(adapter) => Ok(Self { certificate, adapter: Some(adapter) }),
            None => {
                let expected = "the adapter's files, or --no-file for claims about the commitment";
                Err(Refusal::new(ADAPTER_MISSING, "path", expected, "a certificate alone"))
            }
        }
    }
}

/// Files of a run directory; `.lock` is what the processes that write it lock. Another entry, hidden or not, could be an
/// adapter that a loader reads and nobody checks.
const RUN_FILES: &[&str] = &[".lock", "claims.statement.json", "openings.json", "plan.json", "seed.json"];
/// Its folders, of which certificate and release are checked as such.
const RUN_FOLDERS: &[&str] = &["certificate", "release", STEPS, SECRET];
const STEPS: &str = "steps";
const SECRET: &str = "secret";

/// Refuses a run directory with entries that are not a run's, in itself or in a folder that no other check lists.
fn refuse_strangers(run: &Path) -> Result<(), Refusal> {
    refuse_others(
        run,
        |name, is_folder| if is_folder { RUN_FOLDERS.contains(&name) } else { RUN_FILES.contains(&name) },
    )?;
    let of_step = |name: &str| {
        let number = name.strip_suffix(".state").or_else(|| name.strip_suffix(".root"));
        number.is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
    };
    refuse_others(&run.join(STEPS), |name, is_folder| !is_folder && of_step(name))?;
    refuse_others(&run.join(SECRET), |name, is_folder| !is_folder && ["local.json", "run.key"].contains(&name))?;
    // Beside a run's own certificate, one in its release is another's.
    refuse_others(&run.join("release"), |name, _| name != CERTIFICATE)
}

/// Refuses a directory that is there with an entry that is no file or folder, or is not allowed by name and kind.
fn refuse_others(directory: &Path, allowed: impl Fn(&str, bool) -> bool) -> Result<(), Refusal> {
    let unreadable = |e: std::io::Error| Refusal::new(FILE_PATH, "path", "a run directory that can be read", e);
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(unreadable)?,
    };
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        // Of a symbolic link, this is the link itself.
        let kind = entry.file_type().map_err(unreadable)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !(kind.is_dir() || kind.is_file()) || !allowed(&name, kind.is_dir()) {
            let expected = "an adapter directory, or a run directory with a run's entries only";
            Refusal::new(DIRECTORY_EXTRA, "path", expected, name).raise()?;
        }
    }
    Ok(())
}

/// The keys of a trust file.
fn trusted(text: &str) -> Result<Vec<PublicKey>, Refusal> {
    if text.len() > MAX_TRUST_BYTES {
        return Err(Refusal::new(POLICY_FORM, "trust", format_args!("at most {MAX_TRUST_BYTES} bytes"), "more"));
    }
    let mut keys = Vec::new();
    let mut rest = text;
    while let Some((_, block)) = rest.split_once(PEM_BEGIN) {
        let (body, after) = block.split_once(PEM_END).unwrap_or((block, ""));
        keys.push(PublicKey::from_pem(&format!("{PEM_BEGIN}{body}{PEM_END}\n"))?);
        rest = after;
    }
    Ok(keys)
}

impl Request {
    fn read(&self) -> Result<(Signers, Policy), Refusal> {
        let mut policy = self.policy.as_deref().map_or_else(|| Ok(Policy::default()), Policy::from_yaml)?;
        if self.no_file {
            policy.hide_file();
        }
        policy.any_signer |= self.any_signer;
        let named = !self.keys.is_empty() || !self.trust.is_empty();
        if policy.any_signer && named {
            return Err(Refusal::new(POLICY_FORM, "signer", "named keys or any signer", "both"));
        }
        if policy.any_signer {
            return Ok((Signers::Any, policy));
        }
        let mut keys: Vec<PublicKey> =
            self.keys.iter().map(|pem| PublicKey::from_pem(pem)).collect::<Result<_, _>>()?;
        for text in &self.trust {
            keys.extend(trusted(text)?);
        }
        Ok((Signers::Named(TrustedKeys::new(keys)), policy))
    }
}

/// The verdict on what lies at `path`. Never panics on its files.
#[must_use]
pub fn verify(path: &Path, request: &Request) -> Report {
    // Nothing else shows what a program does about a bug that nobody knows.
    assert!(!veritune_mutation::off("stop"), "a test stops the verifier");
    let (signers, policy) = match request.read() {
        Ok(read) => read,
        Err(refusal) => return Report::refused(&refusal),
    };
    let checked = Subjects::at(path, policy.hidden_file).and_then(|subjects| check(&subjects, &signers, &policy));
    let report = checked.unwrap_or_else(|refusal| Report::refused(&refusal));
    let signer_is_named = matches!(signers, Signers::Named(_)) && !report.signer.is_empty();
    Report { signer_is_named, policy: Some(policy), ..report }
}

/// The verdict under the default policy, for signers whose keys are named (PEM).
#[must_use]
pub fn verify_default(path: &Path, keys: &[String]) -> Report {
    verify(path, &Request { keys: keys.to_vec(), ..Request::default() })
}
