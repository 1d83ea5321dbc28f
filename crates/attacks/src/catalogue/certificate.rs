//! Attacks on a whole certificate by whoever holds the signing key, as data: its chain of proofs, settlement, release and
//! files. What is signed about them: [`super::statement`]; a hidden adapter's: [`super::hidden_adapter`].

use super::World;
use crate::certificate::{Part, Parts, TinyCertificate, release_of, step_name};
use crate::run;
use crate::run::{copies, forge_step, prove_step, settle, state_tree};
use crate::setting::{Numbers, random_dataset};
use World::{AdamW, Disclosing, Monotonous, OtherBase};
use std::fs;
use std::path::Path;
use veritune_commit::Root;
use veritune_envelope::Digest;
use veritune_envelope::directory::{ADAPTER_CONFIG, ADAPTER_MODEL};
use veritune_envelope::statement::ProofKind;
use veritune_relations::Program;
use veritune_run::dataset::Dataset;
use veritune_verifier::rows;
use veritune_verifier::settlement::StepClaims;
use veritune_verifier::step::Context;

/// One attack on a certificate.
pub struct CertificateAttack {
    /// What the signer does.
    pub name: &'static str,
    /// The run.
    pub world: World,
    /// Changes what is signed.
    pub change: fn(&TinyCertificate, &mut Parts),
    /// Changes files after signing.
    pub spoil: fn(&TinyCertificate, &Path),
    /// Exit code and id that the verifier reports.
    pub refused: (u8, &'static str),
    /// The check inside a proof that its message names; empty if none.
    pub inner: &'static str,
    /// Checks without which, and with no fewer, the attack passes; empty where there is nothing to go on with.
    pub without: &'static [&'static str],
}

impl std::fmt::Debug for CertificateAttack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificateAttack").field("name", &self.name).field("refused", &self.refused).finish()
    }
}

pub(super) const fn attack(
    name: &'static str,
    world: World,
    refused: (u8, &'static str),
    without: &'static [&'static str],
    change: fn(&TinyCertificate, &mut Parts),
) -> CertificateAttack {
    CertificateAttack { name, world, change, spoil: |_, _| (), refused, inner: "", without }
}

pub(super) const fn inside(inner: &'static str, attack: CertificateAttack) -> CertificateAttack {
    CertificateAttack { inner, ..attack }
}

const fn files(
    name: &'static str,
    refused: (u8, &'static str),
    without: &'static [&'static str],
    spoil: fn(&TinyCertificate, &Path),
) -> CertificateAttack {
    CertificateAttack { name, world: World::AdamW, change: |_, _| (), spoil, refused, inner: "", without }
}

/// All attacks: on proofs and files, on what is stated of them, and on the form that a hidden adapter asks for.
pub const CERTIFICATE_ATTACKS: &[&[CertificateAttack]] =
    &[ATTACKS, super::statement::ATTACKS, super::hidden_adapter::ATTACKS];

const ATTACKS: &[CertificateAttack] = &[
    attack(
        "a step's proof is reused at the next step, with its own states",
        Monotonous,
        (1, "VT-RUN-004"),
        &["VT-RUN-004", "absorb step"],
        |t, parts| chain(t, parts, &[1, 2, 2]),
    ),
    inside(
        "opening-sumcheck-claim",
        attack(
            "a step's proof is reused at the next step, between the states of that step",
            Monotonous,
            (1, "VT-RUN-006"),
            &[
                "absorb step",
                "absorb state before",
                "absorb state after",
                "absorb opening tree",
                "opening-root-mismatch",
            ],
            |t, parts| {
                let file = [&t.tiny.roots[2].0[..], &t.tiny.roots[3].0[..], &t.tiny.proofs[1]].concat();
                let claims = StepClaims { step: 3, proof_digest: *blake3::hash(&file).as_bytes(), ..claims(t, 2) };
                parts.proofs[2].bytes = file;
                set_settlement(t, parts, &[claims_as(t, 1, 1), claims_as(t, 2, 2), claims]);
            },
        ),
    ),
    attack("two steps are swapped", Monotonous, (1, "VT-RUN-004"), &["VT-RUN-004", "absorb step"], |t, parts| {
        chain(t, parts, &[1, 3, 2])
    }),
    attack(
        "a step is doubled, another dropped",
        Monotonous,
        (1, "VT-RUN-004"),
        &["VT-RUN-004", "absorb step"],
        |t, parts| {
            chain(t, parts, &[1, 3, 3]);
        },
    ),
    attack("a step is dropped", Monotonous, (3, "VT-RUN-005"), &["VT-RUN-005", "VT-RUN-004"], |t, parts| {
        parts.proofs.remove(1);
        set_settlement(t, parts, &[claims_as(t, 1, 1), claims_as(t, 3, 3)]);
    }),
    attack("the count of steps is short", Monotonous, (1, "VT-RUN-001"), &["VT-RUN-001", "VT-RUN-005"], |t, parts| {
        short(t, parts);
        parts.num_steps = 2;
        parts.state_roots.pop();
    }),
    attack("the last step is missing", Monotonous, (3, "VT-RUN-005"), &["VT-RUN-005"], short),
    inside(
        "opening-sumcheck-claim",
        attack(
            "A starts poisoned under the right seed",
            Monotonous,
            (1, "VT-RUN-006"),
            &["absorb opening target", "opening-sumcheck-claim"],
            poisoned,
        ),
    ),
    inside(
        "VT-ROWS-003",
        attack(
            "the rows are another dataset's, under its own leaves and paths",
            AdamW,
            (1, "VT-RUN-006"),
            &["VT-ROWS-003"],
            |t, parts| {
                let other = random_dataset(&t.tiny.run.spec, &mut Numbers(13));
                assert_ne!(other.root(), t.tiny.run.dataset);
                prove_anew(t, parts, &other, t.tiny.states[0].clone());
            },
        ),
    ),
    inside(
        "opening-sumcheck-claim",
        attack(
            "every step's public loss is a unit smaller than it was",
            Disclosing,
            (1, "VT-RUN-006"),
            &["VT-ARG-007"],
            |t, parts| {
                let lie = |program: &mut Program| program.outputs.iter_mut().for_each(|loss| loss.value -= 1);
                forge_anew(t, parts, &t.tiny.dataset, t.tiny.states[0].clone(), lie);
            },
        ),
    ),
    inside(
        "opening-sumcheck-claim",
        attack(
            "a step's public loss is written over after it was proved",
            Disclosing,
            (1, "VT-RUN-006"),
            &["VT-ARG-007", "absorb loss"],
            |t, parts| {
                let loss = 64 + rows::num_bytes(&t.tiny.run);
                parts.proofs[1].bytes[loss] ^= 1;
                let proof_digest = *blake3::hash(&parts.proofs[1].bytes).as_bytes();
                set_settlement(t, parts, &[claims(t, 1), StepClaims { proof_digest, ..claims(t, 2) }]);
            },
        ),
    ),
    attack("the state is reset between steps", Monotonous, (1, "VT-RUN-004"), &["VT-RUN-004"], |t, parts| {
        from_state(t, parts, &t.tiny.states[0].clone());
    }),
    attack("a step starts from another state", Monotonous, (1, "VT-RUN-004"), &["VT-RUN-004"], |t, parts| {
        let mut state = t.tiny.states[2].clone();
        state.get_mut("state_before.v_proj.b.master").expect("a master")[1] += 1 << 20;
        from_state(t, parts, &state);
    }),
    attack("the settlement is missing", AdamW, (3, "VT-RUN-007"), &["VT-RUN-007"], |_, parts| {
        parts.proofs.retain(|p| p.kind.0 != ProofKind::Settlement);
    }),
    inside(
        "VT-PROOF-004",
        attack("the settlement opens another base", OtherBase, (1, "VT-RUN-008"), &["VT-PROOF-004"], |_, _| ()),
    ),
    inside(
        "opening-sumcheck-claim",
        attack("the settlement exchanges two steps", Monotonous, (1, "VT-RUN-008"), &["VT-RUN-008"], |t, parts| {
            set_settlement(t, parts, &[claims_as(t, 2, 2), claims_as(t, 1, 1), claims_as(t, 3, 3)]);
        }),
    ),
    inside(
        "opening-sumcheck-claim",
        attack("the settlement leaves a step out", Monotonous, (1, "VT-RUN-008"), &["VT-RUN-008"], |t, parts| {
            set_settlement(t, parts, &[claims_as(t, 1, 1), claims_as(t, 2, 2)]);
        }),
    ),
    inside(
        "opening-sumcheck-claim",
        attack(
            "one bit of the adapter file is changed: another integer",
            AdamW,
            (1, "VT-RUN-010"),
            &["VT-RUN-010"],
            |_, parts| {
                flip_sign(&mut parts.adapter);
            },
        ),
    ),
    attack(
        "one bit of the adapter file is changed: no integer at its scale",
        AdamW,
        (1, "VT-ENV-055"),
        &[],
        |_, parts| {
            let last = parts.adapter.len() - 4;
            parts.adapter[last] ^= 1;
        },
    ),
    attack("one bit of the adapter file's header is changed", AdamW, (1, "VT-ENV-053"), &[], |_, parts| {
        parts.adapter[40] ^= 1;
    }),
    attack("the adapter file announces a header of 2^63 bytes", AdamW, (1, "VT-ENV-053"), &[], |_, parts| {
        parts.adapter[7] ^= 0x80;
    }),
    attack("the adapter file has one byte more", AdamW, (1, "VT-ENV-052"), &[], |_, parts| parts.adapter.push(0)),
    files(
        "one bit of the adapter file is changed after signing",
        (1, "VT-RUN-010"),
        &["VT-RUN-010", "VT-RUN-011"],
        |t, folder| {
            forge_adapter(t, folder);
        },
    ),
    attack("the release is of the state before the last", AdamW, (1, "VT-RUN-010"), &["VT-RUN-010"], |t, parts| {
        let context = Context::new(&t.tiny.run).expect("a context");
        set_release(parts, release_of(&context, &t.tiny.states[1], 1));
    }),
    attack("the release is missing", AdamW, (3, "VT-RUN-009"), &["VT-RUN-009"], |_, parts| {
        parts.proofs.retain(|p| p.kind.0 != ProofKind::Release);
    }),
    attack("the adapter has a file more", AdamW, (1, "VT-ENV-061"), &["VT-ENV-061"], |_, parts| {
        parts.extra.push(("adapter_model.bin".into(), b"x".to_vec()));
    }),
    files("an adapter lies beside the folders of a run", (1, "VT-ENV-061"), &["VT-ENV-061"], |t, folder| {
        TinyCertificate::move_to_run(folder);
        forge_adapter(t, folder);
    }),
    files("a hidden folder of a run holds an adapter", (1, "VT-ENV-061"), &["VT-ENV-061"], |t, folder| {
        TinyCertificate::move_to_run(folder);
        fs::create_dir(folder.join(".adapter")).expect("a folder");
        forge_adapter(t, &folder.join(".adapter"));
    }),
    files("the certificate has a file that is not listed", (1, "VT-ENV-068"), &["VT-ENV-068"], |_, folder| {
        fs::write(folder.join("veritune/notes.txt"), b"x").expect("written");
    }),
    attack(
        "the certificate lists a file that no check reads",
        AdamW,
        (1, "VT-RUN-013"),
        &["VT-RUN-013"],
        |_, parts| {
            parts.extra.push(("veritune/notes.txt".into(), b"x".to_vec()));
        },
    ),
    attack("the configuration has another rank", AdamW, (1, "VT-ENV-057"), &["VT-ENV-057"], |_, parts| {
        let text = String::from_utf8(parts.config.clone()).expect("text").replace("\"r\": 2", "\"r\": 3");
        parts.config = text.into_bytes();
    }),
    files(
        "the configuration has another rank, after signing",
        (1, "VT-ENV-057"),
        &["VT-ENV-057", "VT-RUN-011"],
        |t, folder| {
            let text = String::from_utf8(t.parts.config.clone()).expect("text").replace("\"r\": 2", "\"r\": 3");
            fs::write(folder.join("adapter_config.json"), text).expect("written");
        },
    ),
];

fn claims(t: &TinyCertificate, step: u64) -> StepClaims {
    t.tiny.claims[step as usize - 1].clone()
}

/// The claims of `file`'s step at another place of the run.
fn claims_as(t: &TinyCertificate, file: u64, step: u64) -> StepClaims {
    StepClaims { step, ..claims(t, file) }
}

fn set_settlement(t: &TinyCertificate, parts: &mut Parts, steps: &[StepClaims]) {
    let part = parts.proofs.iter_mut().find(|p| p.kind.0 == ProofKind::Settlement).expect("a settlement");
    part.bytes = settle(&t.tiny.run, &t.tiny.inputs, steps);
}

fn set_release(parts: &mut Parts, (release, adapter): (Vec<u8>, Vec<u8>)) {
    let part = parts.proofs.iter_mut().find(|p| p.kind.0 == ProofKind::Release).expect("a release");
    (part.bytes, parts.adapter) = (release, adapter);
}

/// The files of these steps in this order, settled and released accordingly; state roots as good as they can be.
fn chain(t: &TinyCertificate, parts: &mut Parts, files: &[u64]) {
    let mut settled = Vec::new();
    for (step, &file) in (1..).zip(files) {
        let bytes = t.tiny.step_file(file);
        parts.proofs[step as usize - 1] =
            Part { name: step_name(step), kind: (ProofKind::Step, Some(step - 1)), bytes };
        parts.state_roots[step as usize] = root(t, step, &t.tiny.roots[file as usize]);
        settled.push(claims_as(t, file, step));
    }
    set_settlement(t, parts, &settled);
    let last = *files.last().expect("a step") as usize;
    let context = Context::new(&t.tiny.run).expect("a context");
    set_release(parts, release_of(&context, &t.tiny.states[last], last));
}

fn root(t: &TinyCertificate, step: u64, oracle: &Root) -> Digest {
    Digest::from_bytes(t.tiny.run.state_root(step, oracle))
}

/// Only the first two of three steps.
pub(super) fn short(t: &TinyCertificate, parts: &mut Parts) {
    parts.proofs.remove(2);
    set_settlement(t, parts, &[claims_as(t, 1, 1), claims_as(t, 2, 2)]);
    let context = Context::new(&t.tiny.run).expect("a context");
    set_release(parts, release_of(&context, &t.tiny.states[2], 2));
}

/// The last step is proved from a state that the step before did not leave.
fn from_state(t: &TinyCertificate, parts: &mut Parts, state: &run::Values) {
    let context = Context::new(&t.tiny.run).expect("a context");
    let proof = prove_step(&context, &t.tiny.inputs, &t.tiny.dataset, 3, state, [50, 3]);
    let before = state_tree(&context, state, 50).root();
    let bytes = [&before.0[..], &proof.after_root.0[..], &proof.bytes].concat();
    let checked = context.verify_step(3, before, proof.after_root, &proof.bytes).expect("a true step");
    let last = StepClaims { step: 3, proof_digest: *blake3::hash(&bytes).as_bytes(), claims: checked.claims };
    parts.proofs[2].bytes = bytes;
    parts.state_roots[3] = root(t, 3, &proof.after_root);
    set_settlement(t, parts, &[claims_as(t, 1, 1), claims_as(t, 2, 2), last]);
    set_release(parts, release_of(&context, &proof.after, 3));
}

/// All steps are proved from a poisoned first state.
fn poisoned(t: &TinyCertificate, parts: &mut Parts) {
    let mut state = t.tiny.states[0].clone();
    state.get_mut("state_before.v_proj.a.master").expect("a master")[0] += 1 << 20;
    prove_anew(t, parts, &t.tiny.dataset, state);
}

/// All steps are proved with the rows of a dataset from a first state, settled and released accordingly.
fn prove_anew(t: &TinyCertificate, parts: &mut Parts, dataset: &Dataset, state: run::Values) {
    let context = Context::new(&t.tiny.run).expect("a context");
    let state = forge_anew(t, parts, dataset, state, |_| ());
    assert_ne!(copies(&context, &state), copies(&context, t.tiny.states.last().expect("a state")));
}

/// The same by a prover that changes the program's outputs; returns the last state.
fn forge_anew(
    t: &TinyCertificate,
    parts: &mut Parts,
    dataset: &Dataset,
    mut state: run::Values,
    lie: fn(&mut Program),
) -> run::Values {
    let context = Context::new(&t.tiny.run).expect("a context");
    let mut before = context.first_root();
    let mut settled = Vec::new();
    for step in 1..=t.tiny.run.spec.training.steps {
        let number = step as usize;
        let numbers = [number - 1, number];
        let (proof, _) = forge_step(&context, &t.tiny.inputs, dataset, step, &state, numbers, |program, _| {
            lie(program);
            Vec::new()
        });
        let bytes = [&before.0[..], &proof.after_root.0[..], &proof.bytes].concat();
        // The honest verifier refuses the first step and with it its claims, which nothing later needs then.
        let claims = context.verify_step(step, before, proof.after_root, &proof.bytes).unwrap_or_default().claims;
        settled.push(StepClaims { step, proof_digest: *blake3::hash(&bytes).as_bytes(), claims });
        parts.proofs[number - 1].bytes = bytes;
        parts.state_roots[number] = root(t, step, &proof.after_root);
        (state, before) = (proof.after, proof.after_root);
    }
    set_settlement(t, parts, &settled);
    let last = t.tiny.states.len() - 1;
    set_release(parts, release_of(&context, &state, last));
    state
}

/// Writes the adapter with another sign of one entry.
fn forge_adapter(t: &TinyCertificate, folder: &Path) {
    let mut adapter = t.parts.adapter.clone();
    flip_sign(&mut adapter);
    fs::write(folder.join(ADAPTER_MODEL), adapter).expect("written");
    fs::write(folder.join(ADAPTER_CONFIG), &t.parts.config).expect("written");
}

/// The sign of the last entry that is not zero: still a canonical file of integers in range.
pub(super) fn flip_sign(adapter: &mut [u8]) {
    let header = u64::from_le_bytes(adapter[..8].try_into().expect("eight bytes")) as usize;
    let words = (8 + header..adapter.len()).step_by(4).rev();
    let last = words.into_iter().find(|&i| adapter[i..i + 4] != [0; 4]).expect("an entry");
    adapter[last + 3] ^= 0x80;
}
