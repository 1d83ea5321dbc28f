//! The certificate of a tiny run, whose parts a dishonest signer changes before signing.

use crate::run::{self, TinyRun, Values, base_tree};
use crate::setting::{Numbers, random_dataset};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::Path;
use veritune_commit::Root;
use veritune_envelope::adapter_file;
use veritune_envelope::canonical_json::{self, Value};
use veritune_envelope::directory::{ADAPTER_CONFIG, ADAPTER_MODEL, ADAPTER_RELEASE, CERTIFICATE};
use veritune_envelope::dsse::Envelope;
use veritune_envelope::index::{INDEX_NAME, Index};
use veritune_envelope::signature::SigningKey;
use veritune_envelope::statement::{
    BaseCommitment, BaseFile, Claim, ClaimsSchema, ClaimsV1, Ledger, PlanSchema, PlanV1, ProofFile, ProofKind,
    Statement, Subject, Tool,
};
use veritune_envelope::{Digest, bundle};
use veritune_relations::Spec;
use veritune_relations::digest::spec_digest;
use veritune_relations::spec::{Optimizer, Schedule, Visibility};
use veritune_relations::step::Tables;
use veritune_verifier::certificate::{NOT_CLAIMED_DEMO_BEACON, claims, not_claimed};
use veritune_verifier::disclosure::disclosure;
use veritune_verifier::published::ROWS_FILE;
use veritune_verifier::report::Report;
use veritune_verifier::request::verify_default;
use veritune_verifier::seed::DEMO;
use veritune_verifier::statement::{Run, base_root};
use veritune_verifier::step::Context;
use veritune_verifier::{adapter, ledger};

/// A proof with its entry in the claims.
#[derive(Debug, Clone)]
pub struct Part {
    /// Name below `proofs/`.
    pub name: String,
    /// Kind and step, counted from 0.
    pub kind: (ProofKind, Option<u64>),
    /// The file.
    pub bytes: Vec<u8>,
}

/// Everything that is signed and published.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The plan.
    pub plan: PlanV1,
    /// `seed.json`.
    pub seed: Vec<u8>,
    /// The proofs.
    pub proofs: Vec<Part>,
    /// State root before the first step and after each.
    pub state_roots: Vec<Digest>,
    /// `adapter_model.safetensors`.
    pub adapter: Vec<u8>,
    /// `adapter_config.json`.
    pub config: Vec<u8>,
    /// `adapter_release.bin`, if it is there.
    pub adapter_release: Option<Vec<u8>>,
    /// Subject of the claims; the one that the spec asks for unless changed.
    pub subject: Option<Vec<Subject>>,
    /// The claims.
    pub claims: Vec<Claim>,
    /// `rows.bin`, if it is there.
    pub rows: Option<Vec<u8>>,
    /// What is not claimed.
    pub not_claimed: Vec<String>,
    /// The ledger.
    pub ledger: Ledger,
    /// Digest of the plan that the claims name; that of the plan unless changed.
    pub plan_digest: Option<Digest>,
    /// Steps that the claims name.
    pub num_steps: u64,
    /// Changes the claims before they are signed.
    pub amend: fn(&mut ClaimsV1),
    /// Other files, by path in the adapter directory.
    pub extra: Vec<(String, Vec<u8>)>,
}

impl Parts {
    /// The adapter's two files.
    pub fn adapter_subject(&self) -> Vec<Subject> {
        vec![Subject::of(ADAPTER_MODEL, &self.adapter), Subject::of(ADAPTER_CONFIG, &self.config)]
    }
}

/// A proved tiny run with an honest certificate and the key that signs it.
pub struct TinyCertificate {
    /// The run.
    pub tiny: TinyRun,
    /// Its honest certificate.
    pub parts: Parts,
    /// The signer's.
    pub key: SigningKey,
    /// Of another signer, whom the verifier names too.
    pub other_key: SigningKey,
}

fn value(json: &str) -> Value {
    serde_json::from_str(json).expect("JSON")
}

fn tool() -> Tool {
    Tool { name: "attacks".into(), version: "0".into() }
}

fn recipe(spec: &Spec) -> Value {
    let t = &spec.training;
    let targets: Vec<String> = spec.lora.targets.iter().map(|t| format!("\"{}\"", t.module())).collect();
    let optimizer = if t.optimizer == Optimizer::Sgd { "sgd" } else { "adamw" };
    assert_eq!((t.schedule, spec.lora.scaling_65536 * spec.lora.r as i64 % (1 << 16)), (Schedule::Constant, 0));
    let alpha = (spec.lora.scaling_65536 * spec.lora.r as i64) >> 16;
    value(&format!(
        r#"{{"beacon":{{"source":"demo"}},
        "lora":{{"r":{},"lora_alpha":{alpha},"target_modules":[{}],"use_rslora":false}},
        "train":{{"optimizer":"{optimizer}","learning_rate":"{}","lr_scheduler_type":"constant","warmup_steps":{},
        "weight_decay":"{}","adam_beta1":"{}","adam_beta2":"{}","adam_epsilon":"{}","max_grad_norm":"{}",
        "per_device_train_batch_size":{},"gradient_accumulation_steps":1,"max_steps":{}}},
        "data":{{"bucket":{}}},"proof":{{"range_bits":{}}},"disclose":{}}}"#,
        spec.lora.r,
        targets.join(","),
        t.learning_rate.0,
        t.warmup_steps,
        t.weight_decay.0,
        t.adam_beta1.0,
        t.adam_beta2.0,
        t.adam_epsilon.0,
        t.max_grad_norm.0,
        t.rows,
        t.steps,
        t.tokens,
        spec.range_bits,
        serde_json::to_string(&spec.disclose).expect("JSON"),
    ))
}

/// The plan of a spec with these roots.
///
/// # Panics
/// If the spec is invalid.
pub fn plan(spec: &Spec, dataset: &Root, base: &Root) -> PlanV1 {
    let program = spec_digest(spec, &Tables::new(spec).expect("tables")).expect("a digest");
    plan_of(spec, Digest::from_bytes(program), dataset, base)
}

fn plan_of(spec: &Spec, program_digest: Digest, dataset: &Root, base: &Root) -> PlanV1 {
    PlanV1 {
        schema: PlanSchema::V1,
        plan_number: 0,
        recipe: recipe(spec),
        spec: canonical_json::to_value(spec).expect("a spec"),
        program_digest,
        base: BaseCommitment {
            files: vec![BaseFile { name: "model.safetensors".into(), sha256: Digest::sha256(b"x") }],
            root: Digest::from_bytes(base.0),
        },
        dataset_root: Digest::from_bytes(dataset.0),
        sampler_key_commitment: None,
        num_steps: spec.training.steps,
        created_by: tool(),
    }
}

/// The demo beacon's randomness and the seed that follows from a plan.
fn randomness_and_seed(plan: &PlanV1) -> [Digest; 2] {
    let plan_digest = plan.digest().expect("a plan");
    let sha = |parts: &[&[u8]]| Digest::sha256(&parts.concat());
    let randomness = sha(&[b"veritune demo beacon", plan_digest.as_bytes()]);
    let seed =
        [b"veritune seed", plan_digest.as_bytes().as_slice(), plan.dataset_root.as_bytes(), randomness.as_bytes()];
    [randomness, sha(&seed)]
}

/// The `seed.json` that follows from a plan.
///
/// # Panics
/// Never.
pub fn seed_json(plan: &PlanV1) -> Vec<u8> {
    let plan_digest = plan.digest().expect("a plan");
    let [randomness, seed] = randomness_and_seed(plan);
    value(&format!(
        r#"{{"schema":"veritune.seed/v1","rule":"plan-beacon/v1","plan_sha256":"{plan_digest}","dataset_root":"{}","beacon":{{"source":"demo","randomness":"{randomness}"}},"seed":"{seed}"}}"#,
        plan.dataset_root
    ))
    .to_canonical()
}

/// The file of a state's rounded masters.
///
/// # Panics
/// If the state is not one of the run.
pub fn adapter_of(context: &Context<'_>, state: &Values) -> Vec<u8> {
    let tensors = adapter::tensors(&context.first, &run::copies(context, state)).expect("tensors");
    adapter_file::encode(&tensors).expect("a file")
}

/// SHA-256 of a file.
pub fn sha256(file: &[u8]) -> [u8; 32] {
    Sha256::digest(file).into()
}

/// The release's proof for a state and its own file.
///
/// # Panics
/// If the state is not one of the run.
pub fn release_of(context: &Context<'_>, state: &Values, number: usize) -> (Vec<u8>, Vec<u8>) {
    let file = adapter_of(context, state);
    (run::prove_release(context, state, number, &sha256(&file)), file)
}

/// The release's proof as a part of a certificate.
pub fn release_part(bytes: Vec<u8>) -> Part {
    Part { name: "release.bin".into(), kind: (ProofKind::Release, None), bytes }
}

/// Name of a step's proof; steps count from 1.
pub fn step_name(step: u64) -> String {
    format!("step-{step:06}.bin")
}

impl TinyCertificate {
    /// Proves a run of this spec honestly and makes its certificate.
    ///
    /// # Panics
    /// If an honest proof is refused.
    pub fn new(spec: Spec) -> Self {
        let inputs = run::random_inputs(&spec);
        Self::with_plan(spec, inputs.clone(), &inputs, |_| ())
    }

    /// The same with a plan that commits to the base of `planned` and is changed before anything is proved.
    ///
    /// # Panics
    /// If an honest proof is refused.
    pub fn with_plan(spec: Spec, inputs: Values, planned: &Values, change: fn(&mut PlanV1)) -> Self {
        let none = Root([0; 32]);
        let mut run = Run { spec, plan_digest: [0; 32], seed: [0; 32], dataset: none, base: none };
        let dataset = random_dataset(&run.spec, &mut Numbers(12));
        run.dataset = dataset.root();
        run.base = base_root(&run.spec, &base_tree(&run, planned).root());
        let mut plan = plan(&run.spec, &run.dataset, &run.base);
        change(&mut plan);
        run.plan_digest = *plan.digest().expect("a plan").as_bytes();
        // Not by the verifier's own check, which refuses some of the plans that are attacked.
        let [_, seed] = randomness_and_seed(&plan);
        run.seed = *seed.as_bytes();
        let tiny = TinyRun::prove(run, inputs, dataset);
        let parts = {
            let context = Context::new(&tiny.run).expect("a context");
            let steps = tiny.run.spec.training.steps;
            let last = tiny.states.len() - 1;
            let (release, adapter) = release_of(&context, &tiny.states[last], last);
            let mut proofs: Vec<Part> = (1..=steps)
                .map(|step| Part {
                    name: step_name(step),
                    kind: (ProofKind::Step, Some(step - 1)),
                    bytes: tiny.step_file(step),
                })
                .collect();
            let settlement = tiny.settlement.clone();
            proofs.push(Part { name: "settlement.bin".into(), kind: (ProofKind::Settlement, None), bytes: settlement });
            let adapter_release = match tiny.run.spec.disclose.adapter {
                Visibility::Public => {
                    proofs.push(release_part(release));
                    None
                }
                Visibility::Hidden => Some(release),
            };
            let root = |(step, oracle): (u64, &Root)| Digest::from_bytes(tiny.run.state_root(step, oracle));
            let base_hex = tiny.run.base.to_string();
            let config = adapter::config(&plan.recipe, &tiny.run.spec, &base_hex).expect("a configuration");
            let recomputed = ledger::run_ledger(&context).expect("a ledger");
            Parts {
                seed: seed_json(&plan),
                proofs,
                state_roots: (0..).zip(&tiny.roots).map(root).collect(),
                adapter,
                config: config.to_bytes().expect("a configuration"),
                adapter_release,
                subject: None,
                claims: claims(steps, &tiny.run.spec.disclose),
                rows: (tiny.run.spec.disclose.data == Visibility::Public).then(|| tiny.dataset.published()),
                not_claimed: not_claimed(&tiny.run.spec.disclose, NOT_CLAIMED_DEMO_BEACON),
                ledger: ledger::to_certificate(&recomputed, DEMO),
                plan_digest: None,
                num_steps: steps,
                amend: |_| (),
                extra: Vec::new(),
                plan,
            }
        };
        let [key, other_key] = [(); 2].map(|()| SigningKey::generate().expect("randomness"));
        Self { tiny, parts, key, other_key }
    }

    /// The honest parts under the plan of another spec, whose program may be one that cannot be built.
    ///
    /// # Panics
    /// If the spec is invalid.
    pub fn replanned(&self, spec: &Spec) -> Parts {
        let plan = plan_of(spec, Digest::sha256(b"none"), &self.tiny.run.dataset, &self.tiny.run.base);
        Parts { seed: seed_json(&plan), plan, ..self.parts.clone() }
    }

    /// `plan.sigstore.json`: this plan, signed as what a file with these bytes holds.
    ///
    /// # Panics
    /// If the envelope refuses to state the plan.
    pub fn signed_plan(&self, plan: &PlanV1, file: &[u8], key: &SigningKey) -> (String, Vec<u8>) {
        let statement = Statement { subject: vec![Subject::of("plan.json", file)], predicate: plan.clone() };
        let envelope = Envelope::sign(statement.to_bytes().expect("a statement"), key).expect("a signature");
        (format!("{CERTIFICATE}/plan.sigstore.json"), bundle::to_json(&envelope).expect("a bundle"))
    }

    /// Signs and writes the parts to an empty folder.
    ///
    /// # Errors
    /// The folder cannot be written, or the envelope refuses to state the parts.
    pub fn publish(&self, parts: &Parts, folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
        let inner = folder.join(CERTIFICATE);
        fs::create_dir_all(inner.join("proofs"))?;
        let plan_bytes = canonical_json::to_bytes(&parts.plan)?;
        fs::write(folder.join(ADAPTER_MODEL), &parts.adapter)?;
        fs::write(folder.join(ADAPTER_CONFIG), &parts.config)?;
        if let Some(proof) = &parts.adapter_release {
            fs::write(folder.join(ADAPTER_RELEASE), proof)?;
        }
        fs::write(inner.join("plan.json"), &plan_bytes)?;
        fs::write(inner.join("seed.json"), &parts.seed)?;
        let mut proofs = Vec::new();
        for part in &parts.proofs {
            let name = format!("proofs/{}", part.name);
            fs::write(inner.join(&name), &part.bytes)?;
            let (kind, step) = part.kind;
            proofs.push(ProofFile { name, sha256: Digest::sha256(&part.bytes), kind, step });
        }
        let rows = parts.rows.as_deref().map(Digest::sha256);
        if let Some(rows) = &parts.rows {
            fs::write(inner.join(ROWS_FILE), rows)?;
        }
        let mut predicate = ClaimsV1 {
            schema: ClaimsSchema::V1,
            plan_digest: parts.plan_digest.unwrap_or_else(|| Digest::sha256(&plan_bytes)),
            program_digest: parts.plan.program_digest,
            spec: parts.plan.spec.clone(),
            base: parts.plan.base.clone(),
            dataset_root: parts.plan.dataset_root,
            num_steps: parts.num_steps,
            state_roots: parts.state_roots.clone(),
            proofs,
            claims: parts.claims.clone(),
            disclosure: disclosure(&self.tiny.run.spec.disclose, rows),
            not_claimed: parts.not_claimed.clone(),
            ledger: parts.ledger.clone(),
            created_by: tool(),
        };
        (parts.amend)(&mut predicate);
        let subject = parts.subject.clone().unwrap_or_else(|| match self.tiny.run.spec.disclose.adapter {
            Visibility::Public => parts.adapter_subject(),
            Visibility::Hidden => vec![Subject::of("plan.json", &plan_bytes)],
        });
        let statement = Statement { subject, predicate }.to_bytes()?;
        let envelope = Envelope::sign(statement, &self.key)?;
        fs::write(inner.join("claims.sigstore.json"), bundle::to_json(&envelope)?)?;
        for (path, bytes) in &parts.extra {
            fs::write(folder.join(path), bytes)?;
        }
        self.index(folder)
    }

    /// Makes a published adapter folder a run's, as `veritune prove` leaves it.
    ///
    /// # Panics
    /// If the folder cannot be written.
    pub fn move_to_run(folder: &Path) {
        fs::create_dir(folder.join("release")).expect("a folder");
        for name in [ADAPTER_MODEL, ADAPTER_CONFIG, ADAPTER_RELEASE] {
            if folder.join(name).exists() {
                fs::rename(folder.join(name), folder.join("release").join(name)).expect("moved");
            }
        }
        fs::rename(folder.join(CERTIFICATE), folder.join("certificate")).expect("moved");
        fs::write(folder.join(".lock"), []).expect("written");
    }

    /// Makes the index of a published certificate again.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn index(&self, folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
        let inner = folder.join(CERTIFICATE);
        let _ = fs::remove_file(inner.join(INDEX_NAME));
        let index = Index::build(&inner, 1 << 30)?;
        fs::write(inner.join(INDEX_NAME), index.to_bytes()?)?;
        Ok(())
    }

    /// The signer's public key, PEM.
    ///
    /// # Panics
    /// Never.
    pub fn public_key(&self) -> String {
        self.key.public_key().and_then(|k| k.to_pem()).expect("a key")
    }

    /// The verifier's report on a published certificate.
    pub fn verify(&self, folder: &Path) -> Report {
        let other = self.other_key.public_key().and_then(|k| k.to_pem()).expect("a key");
        verify_default(folder, &[self.public_key(), other])
    }
}
