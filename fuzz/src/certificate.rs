//! The whole verifier on one of three certificates (rows and losses public, or neither; adapter public or hidden) in which one file is changed, by somebody without the maker's key or by a
//! dishonest maker, who signs again; or beside which there is one more entry. What is verified says what was proved.

use crate::bytes::{Input, edited, replaced};
use crate::certified::{CLAIMS, Files, INDEX, PLAN, SEED, SHORT, index, run_of, sign, sign_plan, statement};
use crate::certified::{PLAN_SIGNED, payload};
use crate::key::public_pem;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};
use tempfile::TempDir;
use veritune_attacks::certificate::seed_json;
use veritune_commit::Root;
use veritune_envelope::canonical_json::{Value, decode_canonical, parse_canonical};
use veritune_envelope::directory::{ADAPTER_CONFIG, ADAPTER_MODEL, ADAPTER_RELEASE};
use veritune_envelope::statement::{ClaimsV1, PlanV1, ProofKind, Statement, Subject};
use veritune_envelope::{Digest, bundle};
use veritune_verifier::report::Report;
use veritune_verifier::request::{Request, verify};
use veritune_verifier::statement::Run;

/// What an input asks for.
struct Asked {
    /// The certificate that is changed, by its number.
    which: usize,
    /// Signed and indexed again.
    by_maker: bool,
    /// `--no-file`.
    no_file: bool,
    /// `--any-signer`.
    any_signer: bool,
    /// The certificate's own folder instead of the adapter's.
    certificate_alone: bool,
    /// Name, folder and kind of one more entry.
    entry: Option<(String, &'static str, u8)>,
    /// The file that is changed.
    path: String,
}

/// The bits of an input's first byte that choose the certificate.
const FIRST_CHOICE: u8 = 5;
/// The proof of the adapter's file, in the adapter folder.
const RELEASE: &str = "veritune/proofs/release.bin";
/// The file of rows in the adapter folder.
const ROWS: &str = "veritune/rows.bin";
const FOLDERS: [&str; 3] = ["", "veritune", "veritune/proofs"];

impl Asked {
    fn read(input: &mut Input<'_>) -> Self {
        let flags = input.byte();
        let which = usize::from(flags >> FIRST_CHOICE & 3) % SHORT.len();
        let honest = &SHORT[which];
        let path = honest.keys().nth(usize::from(input.byte()) % honest.len()).expect("a file").clone();
        let entry = (flags & 16 != 0).then(|| {
            let (folder, kind) = (FOLDERS[usize::from(input.byte()) % FOLDERS.len()], input.byte() % 3);
            (String::from_utf8_lossy(input.section()).into_owned(), folder, kind)
        });
        let is_name = |name: &str| {
            !name.is_empty() && name.len() < 200 && !name.contains(['/', '\0']) && ![".", ".."].contains(&name)
        };
        let [by_maker, no_file, any_signer, certificate_alone] = [1, 2, 4, 8].map(|flag| flags & flag != 0);
        let entry = entry.filter(|(name, ..)| is_name(name));
        Self { which, by_maker, no_file, any_signer, certificate_alone, entry, path }
    }

    fn honest(&self) -> &'static Files {
        &SHORT[self.which]
    }

    fn request(&self) -> Request {
        let keys = if self.any_signer { Vec::new() } else { vec![public_pem()] };
        Request { keys, any_signer: self.any_signer, no_file: self.no_file, ..Request::default() }
    }
}

/// The runs of the certificates.
static RUNS: [LazyLock<Run>; 3] =
    [LazyLock::new(|| run_of(&SHORT[0])), LazyLock::new(|| run_of(&SHORT[1])), LazyLock::new(|| run_of(&SHORT[2]))];

/// Reads the honest certificates, once: with all checks, whatever is taken away later.
#[cfg(feature = "mutation-testing")]
pub(crate) fn prepare() {
    RUNS.iter().for_each(|run| {
        LazyLock::force(run);
    });
}

/// The files after the change that an input describes.
fn changed(asked: &Asked, input: &mut Input<'_>) -> Files {
    let honest = asked.honest();
    let mut files = honest.clone();
    let path = asked.path.as_str();
    if !asked.by_maker {
        files.insert(path.to_owned(), edited(&honest[path], input));
        return files;
    }
    match path {
        CLAIMS | PLAN_SIGNED => sign(&mut files, path, edited(&payload(honest, path), input)),
        _ => {
            files.insert(path.to_owned(), edited(&honest[path], input));
            follow(&mut files, path, asked);
        }
    }
    if path != INDEX {
        index(&mut files);
    }
    files
}

/// Makes everything else of a certificate agree with the changed file, as far as its maker can.
fn follow(files: &mut Files, path: &str, asked: &Asked) {
    let mut statement = statement(asked.honest());
    let names_adapter = statement.subject.iter().any(|subject| subject.name == ADAPTER_MODEL);
    let claims = &mut statement.predicate;
    let bytes = files[path].clone();
    let digest = Digest::sha256(&bytes);
    match path {
        PLAN => {
            claims.plan_digest = digest;
            if !names_adapter {
                statement.subject = vec![Subject::of("plan.json", &bytes)];
            }
            if let Ok(plan) = decode_canonical::<PlanV1>(&bytes, bytes.len()) {
                (claims.spec, claims.base, claims.num_steps) = (plan.spec.clone(), plan.base.clone(), plan.num_steps);
                (claims.program_digest, claims.dataset_root) = (plan.program_digest, plan.dataset_root);
                files.insert(SEED.to_owned(), seed_json(&plan));
                sign_plan(files, plan);
            }
        }
        ROWS => claims.disclosure.rows_sha256 = Some(digest),
        ADAPTER_MODEL | ADAPTER_CONFIG if names_adapter => {
            let files = [ADAPTER_MODEL, ADAPTER_CONFIG].map(|name| Subject::of(name, &files[name]));
            statement.subject = files.to_vec();
        }
        _ => {
            let proof = claims.proofs.iter_mut().find(|proof| path.strip_prefix("veritune/") == Some(&proof.name));
            if let Some(proof) = proof {
                proof.sha256 = digest;
                let step = proof.step.filter(|_| proof.kind == ProofKind::Step);
                let after = bytes.get(32..64).and_then(|root| <[u8; 32]>::try_from(root).ok());
                if let (Some(step), Some(after)) = (step, after) {
                    let root = Digest::from_bytes(RUNS[asked.which].state_root(step + 1, &Root(after)));
                    claims.state_roots[step as usize + 1] = root;
                }
            }
        }
    }
    if let Ok(payload) = statement.to_bytes() {
        sign(files, CLAIMS, payload);
    }
}

/// A folder and what lies in it.
struct Published {
    folder: TempDir,
    files: Files,
}

static PUBLISHED: LazyLock<Mutex<Published>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(folder.path().join(FOLDERS[2])).expect("a folder");
    Mutex::new(Published { folder, files: Files::new() })
});

impl Published {
    /// Writes what differs, and removes what another certificate had.
    fn write(&mut self, files: Files) {
        for path in self.files.keys().filter(|path| !files.contains_key(*path)) {
            fs::remove_file(self.folder.path().join(path)).expect("removed");
        }
        for (path, bytes) in &files {
            if self.files.get(path) != Some(bytes) {
                fs::write(self.folder.path().join(path), bytes).expect("written");
            }
        }
        self.files = files;
    }
}

/// One more entry, until it is dropped.
struct Entry(PathBuf);

impl Entry {
    fn make(folder: &Path, (name, below, kind): &(String, &str, u8)) -> Option<Self> {
        let path = folder.join(below).join(name);
        if path.symlink_metadata().is_ok() {
            return None;
        }
        match kind {
            0 => fs::write(&path, b"x"),
            1 => fs::create_dir(&path),
            _ => std::os::unix::fs::symlink("index.json", &path),
        }
        .expect("an entry");
        Some(Self(path))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0).or_else(|_| fs::remove_dir(&self.0));
    }
}

/// Publishes what an input describes and has it checked; returns what the check says, whether there is one more entry, and
/// the files.
fn judge<R>(bytes: &[u8], check: impl FnOnce(&Path, &Request) -> R) -> (Asked, bool, Files, R) {
    let mut input = Input::new(bytes);
    let asked = Asked::read(&mut input);
    let files = changed(&asked, &mut input);
    let mut published = PUBLISHED.lock().unwrap_or_else(PoisonError::into_inner);
    published.write(files.clone());
    let folder = published.folder.path();
    let entry = asked.entry.as_ref().and_then(|entry| Entry::make(folder, entry));
    let path = if asked.certificate_alone { folder.join(FOLDERS[1]) } else { folder.to_owned() };
    let said = check(&path, &asked.request());
    let more = entry.is_some();
    (asked, more, files, said)
}

/// Publishes what an input describes and has it checked.
pub fn published<R>(bytes: &[u8], check: impl FnOnce(&Path, &Request) -> R) -> R {
    let (.., said) = judge(bytes, check);
    said
}

/// The input by which a maker replaces the file with this position among all.
pub fn replacing(position: u8, file: &[u8]) -> Vec<u8> {
    [&[1, position], &replaced(file)[..]].concat()
}

/// The honest files of the first certificate, in the order of their paths in the adapter folder.
pub fn honest() -> Vec<(&'static str, &'static [u8])> {
    SHORT[0].iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect()
}

/// Changes a certificate and has it verified.
pub fn run(bytes: &[u8]) {
    let (asked, more, files, report): (_, _, _, Report) = judge(bytes, verify);
    assert_ne!(report.exit, 4, "{report:?}");
    assert_eq!(report.exit == 0, report.code.is_empty());
    assert!(serde_json::to_string(&report).is_ok());
    let is_honest = !more && files == *asked.honest() && (!asked.certificate_alone || asked.no_file);
    if report.exit != 0 {
        assert!(report.claims.is_empty() && !is_honest, "{report:?}");
        return;
    }
    if more {
        let (name, folder, kind) = asked.entry.as_ref().expect("an entry");
        let is_free =
            folder.is_empty() && (asked.no_file || *kind == 0 && ["README.md", "model.sig"].contains(&name.as_str()));
        assert!(is_free, "{:?} beside a verified certificate", asked.entry);
    }
    for (path, honest) in asked.honest() {
        let got = &files[path];
        assert!(got == honest || is_free(&asked, path, got), "{path} differs in a verified certificate");
    }
}

/// Whether a verified certificate may hold another file than the honest one: where nobody reads it, or where it says the
/// same.
fn is_free(asked: &Asked, path: &str, got: &[u8]) -> bool {
    // What binds the adapter's files is read together with them.
    let is_adapter = [ADAPTER_MODEL, ADAPTER_CONFIG, ADAPTER_RELEASE, RELEASE].contains(&path);
    let original = asked.honest();
    match path {
        _ if asked.no_file && is_adapter => true,
        // White space of a container, and who made the claims.
        CLAIMS | PLAN_SIGNED if !asked.by_maker => bundle::from_json(got) == bundle::from_json(&original[path]),
        CLAIMS => {
            let envelope = bundle::from_json(got).expect("a verified bundle");
            let mut got: Statement<ClaimsV1> = Statement::from_bytes(envelope.unverified_payload()).expect("claims");
            let mut honest = statement(original);
            got.predicate.created_by = honest.predicate.created_by.clone();
            if asked.no_file {
                for claims in [&mut got.predicate, &mut honest.predicate] {
                    claims.proofs.retain(|proof| proof.kind != ProofKind::Release);
                }
            }
            got.predicate == honest.predicate && (asked.no_file || got.subject == honest.subject)
        }
        SEED => without_notice(got) == without_notice(&original[SEED]),
        // It lists what is there.
        INDEX => asked.by_maker,
        _ => false,
    }
}

/// A seed's file without the one text that it may have more.
fn without_notice(bytes: &[u8]) -> Value {
    let mut seed = parse_canonical(bytes, bytes.len()).expect("a verified seed");
    if let Value::Object(members) = &mut seed
        && let Some(Value::Object(beacon)) = members.get_mut("beacon")
    {
        beacon.remove("notice");
    }
    seed
}

/// Every file of every certificate as it is, by either hand; and more entries.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (choice, files) in (0..).zip(&SHORT) {
        for file in 0..u8::try_from(files.len()).expect("few files") {
            seeds.extend([0, 1].map(|hand: u8| vec![hand | choice << FIRST_CHOICE, file]));
        }
    }
    seeds.extend([vec![3, 0], vec![11, 0], vec![5, 0], vec![0, 0, 5, 9, 0, 0, 1], vec![1, 3, 4, 100, 0, 0]]);
    for (name, folder, kind) in [
        ("README.md", 0, 0),
        ("adapter_model.bin", 0, 0),
        ("adapter_release.bin", 0, 0),
        ("a.bin", 2, 0),
        ("x", 1, 1),
        ("y", 1, 2),
    ] {
        seeds.push([&[16, 0, folder, kind, name.len() as u8, 0][..], name.as_bytes()].concat());
    }
    seeds
}
