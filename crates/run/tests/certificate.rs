//! A whole run of the small model: trained, proved, signed, verified; then everything that must be refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use veritune_argument::Argument;
use veritune_commit::Root;
use veritune_envelope::canonical_json::{self, Value};
use veritune_envelope::dsse::Envelope;
use veritune_envelope::index::Index;
use veritune_envelope::signature::SigningKey;
use veritune_envelope::statement::{BaseCommitment, BaseFile, PlanSchema, PlanV1, Tool};
use veritune_envelope::{Digest, bundle};
use veritune_model::{BaseModel, Checkpoint, DEFAULT_BASE_BITS};
use veritune_relations::digest::spec_digest;
use veritune_relations::scales::Scales;
use veritune_relations::step::{Tables, no_leaves};
use veritune_run::dataset::{Dataset, Rows};
use veritune_run::inputs::Inputs;
use veritune_run::settings::Settings;
use veritune_run::store::Store;
use veritune_run::train::Committer;
use veritune_run::{calibrate, certificate, train};
use veritune_verifier::report::Report;
use veritune_verifier::request::{Request, verify, verify_default};
use veritune_verifier::statement::STATE_BUDGET;
use veritune_verifier::statement::{Run, base_root};

const STEPS: u64 = 2;
const ROWS: usize = 6;
const SETTINGS: &str = r#"{"lora":{"r":2,"lora_alpha":4,"target_modules":["q_proj","v_proj"],"use_rslora":false,"init_lora_weights":true},
"train":{"optimizer":"adamw","learning_rate":"2e-3","lr_scheduler_type":"linear","warmup_steps":0,"weight_decay":"0.01",
"adam_beta1":"0.9","adam_beta2":"0.999","adam_epsilon":"1e-8","max_grad_norm":"1.0","per_device_train_batch_size":1,
"gradient_accumulation_steps":1,"max_steps":2,"seed_rule":"plan-beacon/v1"},
"data":{"max_length":16,"bucket":16},"proof":{"range_bits":16,"steps_per_proof":1,"profile":"v1"},"disclose":{"loss":"public","order":"hidden","data":"public","adapter":"public"}}"#;

/// A published adapter and the key that signed it.
struct Published {
    adapter: PathBuf,
    public: String,
    private: SigningKey,
    losses: Vec<f64>,
}

fn value(json: &str) -> Value {
    let value: Value = serde_json::from_str(json).unwrap();
    value
}

fn seed_json(plan: &PlanV1) -> Vec<u8> {
    let plan_digest = plan.digest().unwrap();
    let sha = |parts: &[&[u8]]| Digest::sha256(&parts.concat());
    let randomness = sha(&[b"veritune demo beacon", plan_digest.as_bytes()]);
    let seed = sha(&[b"veritune seed", plan_digest.as_bytes(), plan.dataset_root.as_bytes(), randomness.as_bytes()]);
    let text = format!(
        r#"{{"schema":"veritune.seed/v1","rule":"plan-beacon/v1","plan_sha256":"{plan_digest}","dataset_root":"{}","beacon":{{"source":"demo","randomness":"{randomness}"}},"seed":"{seed}"}}"#,
        plan.dataset_root
    );
    value(&text).to_canonical()
}

fn publish(folder: &Path) -> Published {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/small");
    let base = BaseModel::build(&Checkpoint::open(&model).unwrap(), DEFAULT_BASE_BITS).unwrap();
    let settings = Settings::parse(SETTINGS).unwrap();
    let tokens: Vec<i64> = (0..ROWS as i64 * 16).map(|i| (i * i * 31 + i * 7) % 2048).collect();
    let targets: Vec<i64> = tokens
        .iter()
        .enumerate()
        .map(|(i, _)| if i % 16 < 4 { -100 } else { tokens[(i + 1) % tokens.len()] })
        .collect();
    let rough = settings.spec(&base, Scales::starting(16), ROWS).unwrap();
    let rows = Rows { tokens: &tokens, targets: &targets, meta: &[[1; 32]; ROWS] };
    let inputs = Inputs::new(&base, Dataset::new(&rough, rows, [3; 32]).unwrap());
    let maxima = calibrate::maxima(&rough, &inputs, &[9; 32], 12, 2, |_| true).unwrap();
    let spec = settings.spec(&base, Scales::calibrated(&maxima, 16), ROWS).unwrap();

    let store = Store::open(&folder.join("run")).unwrap();
    let zero = Root([0; 32]);
    let draft = Run { spec: spec.clone(), plan_digest: [0; 32], seed: [0; 32], dataset: zero, base: zero };
    let profile = draft.profile().unwrap();
    let first = draft.program(&Tables::new(&spec).unwrap(), 1, &no_leaves(&spec)).unwrap();
    let argument = Argument::new(&first.program).unwrap();
    let layout = &argument.layout;
    let shapes = draft.shapes(&profile, &argument).unwrap();
    let committer = Committer { run: &draft, profile: &profile, shapes, secret: [0; 32].into() };
    let dataset = inputs.dataset.root();
    let base_root = base_root(&spec, &committer.base(&first, layout, &inputs.base).unwrap().root());

    let recipe = format!(r#"{{"beacon":{{"source":"demo"}},{}"#, &SETTINGS[1..]);
    let plan = PlanV1 {
        schema: PlanSchema::V1,
        plan_number: 0,
        recipe: value(&recipe),
        spec: canonical_json::to_value(&spec).unwrap(),
        program_digest: Digest::from_bytes(spec_digest(&spec, &Tables::new(&spec).unwrap()).unwrap()),
        base: BaseCommitment {
            files: vec![BaseFile { name: "model.safetensors".into(), sha256: Digest::sha256(b"x") }],
            root: Digest::from_bytes(base_root.0),
        },
        dataset_root: Digest::from_bytes(dataset.0),
        sampler_key_commitment: None,
        num_steps: STEPS,
        created_by: Tool { name: "test".into(), version: "0".into() },
    };
    let plan_bytes = canonical_json::to_bytes(&plan).unwrap();
    let seed = seed_json(&plan);
    let run = certificate::run_of(&plan, &plan_bytes, &seed).unwrap();
    let mut losses = Vec::new();
    train::train(&run, &inputs, &store, 2, |_, loss| {
        losses.push(loss);
        true
    })
    .unwrap();
    certificate::prove_run(&run, &plan, &seed, &inputs, &store, 2, |_, _| true).unwrap();

    let adapter = folder.join("adapter");
    let inner = adapter.join("veritune");
    fs::create_dir_all(inner.join("proofs")).unwrap();
    certificate::export_adapter(&store, &run.spec.disclose, &adapter).unwrap();
    for entry in fs::read_dir(store.path("certificate/proofs")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), inner.join("proofs").join(entry.file_name())).unwrap();
    }
    for name in ["plan.json", "seed.json", "rows.bin"] {
        fs::copy(store.path(&format!("certificate/{name}")), inner.join(name)).unwrap();
    }
    let private = SigningKey::generate().unwrap();
    fs::write(inner.join("signer.pub.pem"), private.public_key().unwrap().to_pem().unwrap()).unwrap();
    sign(&inner, &fs::read(store.path("claims.statement.json")).unwrap(), &private);
    for name in ["claims.sigstore.json", "signer.pub.pem"] {
        fs::copy(inner.join(name), store.path("certificate").join(name)).unwrap();
    }
    reindex(&store.path("certificate"));
    Published { public: private.public_key().unwrap().to_pem().unwrap(), adapter, private, losses }
}

/// Signs a claims statement into a certificate and makes its index.
fn sign(certificate: &Path, statement: &[u8], key: &SigningKey) {
    let envelope = Envelope::sign(statement.to_vec(), key).unwrap();
    fs::write(certificate.join("claims.sigstore.json"), bundle::to_json(&envelope).unwrap()).unwrap();
    reindex(certificate);
}

fn reindex(certificate: &Path) {
    let _ = fs::remove_file(certificate.join("index.json"));
    let index = Index::build(certificate, 1 << 30).unwrap();
    fs::write(certificate.join("index.json"), index.to_bytes().unwrap()).unwrap();
}

fn published() -> &'static Published {
    static ONCE: OnceLock<Published> = OnceLock::new();
    ONCE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("certificate");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        publish(&folder)
    })
}

/// A copy of the published adapter to spoil.
fn copy(name: &str) -> PathBuf {
    let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join("spoilt").join(name);
    let _ = fs::remove_dir_all(&to);
    fs::create_dir_all(to.join("veritune/proofs")).unwrap();
    for folder in ["", "veritune", "veritune/proofs"] {
        for entry in fs::read_dir(published().adapter.join(folder)).unwrap() {
            let entry = entry.unwrap();
            if entry.path().is_file() {
                fs::copy(entry.path(), to.join(folder).join(entry.file_name())).unwrap();
            }
        }
    }
    to
}

fn judge(adapter: &Path) -> Report {
    verify_default(adapter, std::slice::from_ref(&published().public))
}

fn refused(adapter: &Path, exit: u8, code: &str) {
    let report = judge(adapter);
    assert_eq!((report.exit, report.code.as_str()), (exit, code), "{}", report.message);
    assert!(report.claims.is_empty());
}

/// Changes the claims and signs them again: what a dishonest signer can do.
fn resigned(name: &str, change: impl Fn(&str) -> String) -> PathBuf {
    let adapter = copy(name);
    let inner = adapter.join("veritune");
    let old = bundle::from_json(&fs::read(inner.join("claims.sigstore.json")).unwrap()).unwrap();
    let statement = change(std::str::from_utf8(old.unverified_payload()).unwrap());
    sign(&inner, value(&statement).to_canonical().as_slice(), &published().private);
    adapter
}

#[test]
fn an_honest_run_verifies_and_says_what_it_does_not_claim() {
    let report = judge(&published().adapter);
    assert_eq!(report.exit, 0, "{} {}", report.code, report.message);
    assert_eq!(report.steps, STEPS);
    assert!(report.claims.iter().all(|c| c.word.as_str() == "zk-proof"));
    assert!(report.not_claimed.iter().any(|n| n.contains("licence labels")));
    // The recipe discloses the loss: the proved integers are those that training told.
    assert!(!report.not_claimed.iter().any(|n| n.contains("loss")));
    let proved: Vec<(u64, u32)> = report.losses.iter().map(|loss| (loss.step, loss.units)).collect();
    let told: Vec<u32> = published().losses.iter().map(|loss| (loss * f64::from(1 << 20)) as u32).collect();
    assert_eq!(proved, (1..).zip(told).collect::<Vec<_>>());
    assert!(report.losses.iter().all(|loss| loss.nats.parse::<f64>().is_ok_and(|nats| 1.0 < nats && nats < 20.0)));
    let ledger = report.ledger.unwrap();
    assert!(ledger.total_bits >= 128 && ledger.max_proofs >= STEPS + 2);
}

#[test]
fn without_or_with_another_key_nothing_is_verified() {
    assert_eq!(verify_default(&published().adapter, &[]).exit, 3);
    let other = SigningKey::generate().unwrap().public_key().unwrap().to_pem().unwrap();
    assert_eq!(verify_default(&published().adapter, &[other]).exit, 3);
    assert_eq!(verify_default(&published().adapter.join("nowhere"), std::slice::from_ref(&published().public)).exit, 2);
}

/// What the options say, on a path; exit, code.
fn ask(path: &Path, request: Request) -> (u8, String, Report) {
    let report = verify(path, &request);
    (report.exit, report.code.clone(), report)
}

fn named() -> Request {
    Request { keys: vec![published().public.clone()], ..Request::default() }
}

fn policy(rest: &str) -> Request {
    Request { policy: Some(format!("schema: veritune.policy/v1\n{rest}")), ..named() }
}

/// The three forms, by every way of naming a signer: the table "Verdicts" of docs/spec/certificate.md, rows 0 and 3.
#[test]
fn every_form_and_every_way_to_name_a_signer() {
    let adapter = &published().adapter;
    let run = adapter.parent().unwrap().join("run");
    let other = SigningKey::generate().unwrap().public_key().unwrap().to_pem().unwrap();
    let trust = |text: String| Request { trust: vec![text], ..Request::default() };
    let any = || Request { any_signer: true, ..Request::default() };
    for path in [adapter, &run] {
        assert_eq!(ask(path, named()).0, 0);
        let listed = format!("Our lab\n{other}\nThe other lab\n{}", published().public);
        let (exit, _, report) = ask(path, trust(listed));
        assert_eq!((exit, report.signer_is_named, report.files.len()), (0, true, 2));
        let (exit, _, report) = ask(path, any());
        assert_eq!((exit, report.signer_is_named, report.signer.len()), (0, false, 64));
        assert_eq!(ask(path, trust(other.clone())).1, "VT-ENV-041");
        assert_eq!(ask(path, trust("nobody".into())).1, "VT-ENV-040");
        assert_eq!(ask(path, Request::default()).1, "VT-ENV-040");
        assert_eq!(ask(path, Request { any_signer: true, ..named() }).1, "VT-POLICY-001");
        assert_eq!(ask(path, trust("-----BEGIN PUBLIC KEY-----".into())).0, 2);
    }
    let anonymous = copy("anonymous");
    fs::remove_file(anonymous.join("veritune/signer.pub.pem")).unwrap();
    reindex(&anonymous.join("veritune"));
    assert_eq!(ask(&anonymous, named()).0, 0);
    assert_eq!(ask(&anonymous, any()).1, "VT-ENV-040");
    // A key of the attacker's in the certificate adds no trust and does not replace the signer's.
    let swapped = copy("swapped-key");
    fs::write(swapped.join("veritune/signer.pub.pem"), &other).unwrap();
    reindex(&swapped.join("veritune"));
    assert_eq!(ask(&swapped, any()).1, "VT-ENV-041");
    assert_eq!(ask(&swapped, trust(other)).1, "VT-ENV-041");
    assert_eq!(ask(&swapped, named()).1, "VT-RUN-011");
}

#[test]
fn claims_about_a_hidden_adapter_are_claims_about_a_commitment() {
    let adapter = &published().adapter;
    let hidden = || Request { no_file: true, ..named() };
    let run = adapter.parent().unwrap().join("run");
    for path in [adapter.join("veritune"), run.join("certificate"), adapter.clone(), run] {
        let (exit, _, report) = ask(&path, hidden());
        assert_eq!(exit, 0, "{}", report.message);
        assert!(report.claims.iter().all(|c| c.kind != "adapter-file") && report.claims.len() == 3);
        assert!(report.not_claimed[0].contains("no") && report.not_claimed[0].contains("adapter file"));
        assert!(report.files.is_empty() && report.last_state_root.len() == 64);
    }
    assert_eq!(ask(&adapter.join("veritune"), named()).1, "VT-POLICY-006");
    assert_eq!(ask(&adapter.join("veritune"), policy("adapter_file: hidden")).0, 0);
    // A changed file refutes as long as it is read, and is nobody's concern when it is not.
    let spoilt = copy("hidden");
    fs::write(spoilt.join("adapter_config.json"), "{}").unwrap();
    assert_eq!((ask(&spoilt, named()).0, ask(&spoilt, hidden()).0), (1, 0));
}

#[test]
fn a_policy_decides_what_is_enough() {
    let adapter = &published().adapter;
    let report = judge(adapter);
    assert_eq!(ask(adapter, policy("")).0, 0);
    assert_eq!(ask(adapter, policy("claims: {training: [bitwise-replay]}")).1, "VT-POLICY-002");
    assert_eq!(ask(adapter, policy("signed_plan: true")).1, "VT-POLICY-004");
    assert_eq!(ask(adapter, policy("beacon: [drand-quicknet]")).1, "VT-POLICY-004");
    assert_eq!(ask(adapter, policy(&format!("base_root: '{}'", report.base_root))).0, 0);
    assert_eq!(ask(adapter, policy(&format!("base_root: '{}'", report.dataset_root))).1, "VT-POLICY-003");
    assert_eq!(ask(adapter, policy("no_such: 1")).1, "VT-POLICY-001");
    // Whatever is demanded, a certificate that is refuted is refuted.
    let spoilt = copy("policy");
    fs::write(spoilt.join("adapter_config.json"), "{}").unwrap();
    assert_eq!(ask(&spoilt, policy("claims: {training: [zk-proof]}")).0, 1);
}

#[test]
fn what_is_no_certificate() {
    let folder = published().adapter.parent().unwrap();
    assert_eq!(ask(&folder.join("nowhere"), named()).1, "VT-RUN-014");
    assert_eq!(ask(&published().adapter.join("adapter_config.json"), named()).1, "VT-RUN-014");
    assert_eq!(ask(folder, named()).1, "VT-POLICY-005");
    let bare = copy("bare");
    fs::remove_file(bare.join("veritune/index.json")).unwrap();
    refused(&bare, 3, "VT-POLICY-005");
    fs::write(bare.join("veritune/index.json"), "{}").unwrap();
    refused(&bare, 2, "VT-ENV-009");
    let unreadable = copy("unreadable");
    fs::write(unreadable.join("veritune/claims.sigstore.json"), "no bundle").unwrap();
    reindex(&unreadable.join("veritune"));
    assert_eq!(judge(&unreadable).exit, 2);
    let fields = resigned("field", |s| s.replacen(r#""numSteps":"#, r#""extra":1,"numSteps":"#, 1));
    refused(&fields, 1, "VT-ENV-009");
}

#[test]
fn one_flipped_bit_in_any_file_is_refused() {
    let adapter = published().adapter.clone();
    for folder in ["", "veritune", "veritune/proofs"] {
        for entry in fs::read_dir(adapter.join(folder)).unwrap() {
            let entry = entry.unwrap();
            if !entry.path().is_file() {
                continue;
            }
            let spoilt = copy("flipped");
            let path = spoilt.join(folder).join(entry.file_name());
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&path, bytes).unwrap();
            let report = judge(&spoilt);
            assert!([1, 2].contains(&report.exit), "{}: {} {}", path.display(), report.exit, report.message);
        }
    }
}

#[test]
fn flipped_bits_in_a_proof_are_refused_by_the_proof_itself() {
    let file = "veritune/proofs/step-000002.bin";
    let length = fs::metadata(published().adapter.join(file)).unwrap().len() as usize;
    for position in [0, 33, 70, 100, 4_000, length / 3, length / 2, length - 1] {
        let spoilt = resigned("proof", |s| s.to_owned());
        let mut bytes = fs::read(spoilt.join(file)).unwrap();
        let old = Digest::sha256(&bytes).to_string();
        bytes[position] ^= 4;
        fs::write(spoilt.join(file), &bytes).unwrap();
        let new = Digest::sha256(&bytes).to_string();
        let inner = spoilt.join("veritune");
        let bundle = bundle::from_json(&fs::read(inner.join("claims.sigstore.json")).unwrap()).unwrap();
        let statement = std::str::from_utf8(bundle.unverified_payload()).unwrap().replace(&old, &new);
        sign(&inner, statement.as_bytes(), &published().private);
        refused(&spoilt, 1, if position < 64 { "VT-RUN-004" } else { "VT-RUN-006" });
    }
}

#[test]
fn a_missing_or_doubled_proof_is_no_certificate() {
    let steps = resigned("missing-step", |s| {
        let start = s.find(r#"{"kind":"step","name":"proofs/step-000002.bin""#).unwrap();
        let end = start + s[start..].find('}').unwrap() + 1;
        let comma = usize::from(s[end..].starts_with(','));
        let before = if comma == 0 { s[..start].trim_end_matches(',') } else { &s[..start] };
        format!("{before}{}", &s[end + comma..])
    });
    refused(&steps, 3, "VT-RUN-005");
    let settlement = resigned("missing-settlement", |s| {
        let start = s.find(r#"{"kind":"settlement""#).unwrap();
        let end = start + s[start..].find('}').unwrap() + 1;
        format!("{}{}", &s[..start], s[end..].trim_start_matches(','))
    });
    refused(&settlement, 3, "VT-RUN-007");
}

#[test]
fn swapped_steps_are_refused() {
    let spoilt = copy("swapped");
    let proofs = spoilt.join("veritune/proofs");
    fs::rename(proofs.join("step-000001.bin"), proofs.join("x.bin")).unwrap();
    fs::rename(proofs.join("step-000002.bin"), proofs.join("step-000001.bin")).unwrap();
    fs::rename(proofs.join("x.bin"), proofs.join("step-000002.bin")).unwrap();
    let inner = spoilt.join("veritune");
    let bundle = bundle::from_json(&fs::read(inner.join("claims.sigstore.json")).unwrap()).unwrap();
    let payload = std::str::from_utf8(bundle.unverified_payload()).unwrap().to_owned();
    let digest = |name: &str| {
        Digest::sha256(&fs::read(published().adapter.join("veritune/proofs").join(name)).unwrap()).to_string()
    };
    let (one, two) = (digest("step-000001.bin"), digest("step-000002.bin"));
    let swapped = payload.replace(&one, "#").replace(&two, &one).replace('#', &two);
    sign(&inner, swapped.as_bytes(), &published().private);
    refused(&spoilt, 1, "VT-RUN-004");
}

#[test]
fn claims_beyond_the_proofs_are_refused_even_when_signed() {
    refused(&resigned("word", |s| s.replacen("zk-proof", "tee-attested", 1)), 1, "VT-RUN-011");
    refused(&resigned("bits", |s| s.replacen(r#""totalBits":"#, r#""totalBits":1"#, 1)), 1, "VT-RUN-012");
    refused(&resigned("not-claimed", |s| s.replacen("licence labels", "nothing", 1)), 1, "VT-RUN-011");
}

#[test]
fn files_that_no_check_reads_are_refused() {
    let spoilt = copy("extra");
    fs::write(spoilt.join("adapter_model.bin"), b"x").unwrap();
    assert_eq!(judge(&spoilt).exit, 1);
    let spoilt = copy("extra-inside");
    fs::write(spoilt.join("veritune/notes.txt"), b"x").unwrap();
    assert_eq!(judge(&spoilt).exit, 1);
    reindex(&spoilt.join("veritune"));
    refused(&spoilt, 1, "VT-RUN-013");
}

#[test]
fn another_adapter_or_configuration_is_refused() {
    let spoilt = copy("file");
    let path = spoilt.join("adapter_model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    // The sign of the last entry that is not zero: still a canonical file of integers in range.
    let last = (8 + header..bytes.len()).step_by(4).rev().find(|&i| bytes[i..i + 4] != [0; 4]).unwrap();
    bytes[last + 3] ^= 0x80;
    fs::write(&path, bytes).unwrap();
    refused(&spoilt, 1, "VT-RUN-010");
    let spoilt = copy("config");
    let path = spoilt.join("adapter_config.json");
    let text = fs::read_to_string(&path).unwrap().replace("\"r\": 2", "\"r\": 3");
    fs::write(&path, text).unwrap();
    assert_eq!(judge(&spoilt).exit, 1);
}

#[test]
fn an_interrupted_run_continues_with_the_same_states() {
    let folder = published().adapter.parent().unwrap().join("run");
    let store = Store::open(&folder).unwrap();
    assert_eq!(store.last_step().unwrap(), Some(STEPS));
    assert!(store.openings().unwrap().counts().all(|n| n <= STATE_BUDGET));
}

#[test]
fn a_seed_that_does_not_follow_from_the_plan_is_unusable() {
    let inner = published().adapter.join("veritune");
    let (plan_bytes, seed) = (fs::read(inner.join("plan.json")).unwrap(), fs::read(inner.join("seed.json")).unwrap());
    let plan: PlanV1 = canonical_json::decode_canonical(&plan_bytes, 1 << 26).unwrap();
    let digit = |c: u8| if c == b'0' { b'1' } else { b'0' };
    let mut other = seed.clone();
    let at = seed.windows(8).position(|w| w == br#""seed":""#).unwrap() + 8;
    other[at] = digit(other[at]);
    for bytes in [&other[..], b"{", b""] {
        let error = certificate::run_of(&plan, &plan_bytes, bytes).unwrap_err();
        assert_eq!(error.code().1.exit_code(), 2, "{error:?}");
    }
    assert!(certificate::run_of(&plan, &plan_bytes, &seed).is_ok());
}
