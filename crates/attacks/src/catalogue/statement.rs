//! Attacks on what a certificate states, by whoever holds the signing key: seed, recipe, plan, claims, what is disclosed, the
//! ledger, and digests of states and proofs.

use super::World;
use super::certificate::{CertificateAttack, attack, short};
use crate::certificate::{Parts, TinyCertificate, plan, seed_json};
use World::{
    AdamW, Boasting, ChainedBeacon, Disclosing, FewerSteps, Monotonous, OtherForm, OtherProgram, OtherRecipe,
    OtherSampler, TwoLengths, WitnessedBeacon,
};
use veritune_envelope::Digest;
use veritune_envelope::canonical_json;
use veritune_envelope::canonical_json::Value;
use veritune_envelope::statement::{ClaimsV1, PlanV1, ProofKind, Visibility, Word};
use veritune_field::P;
use veritune_verifier::certificate;
use veritune_verifier::ledger::{run_ledger, to_certificate};
use veritune_verifier::published;
use veritune_verifier::seed::DEMO;
use veritune_verifier::step::Context;

/// The attacks.
pub(super) const ATTACKS: &[CertificateAttack] = &[
    attack("the seed is chosen", AdamW, (1, "VT-RUN-003"), &["VT-RUN-003"], |t, parts| {
        let seed = String::from_utf8(parts.seed.clone()).expect("text");
        let own: String = t.tiny.run.seed.iter().map(|b| format!("{b:02x}")).collect();
        parts.seed = seed.replace(&own, &"0".repeat(64)).into_bytes();
    }),
    attack("seed.json says what no check reads", AdamW, (1, "VT-RUN-003"), &["VT-RUN-003"], |_, parts| {
        let seed = String::from_utf8(parts.seed.clone()).expect("text");
        parts.seed = seed.replace("\"randomness\"", "\"certified_by\":\"nobody\",\"randomness\"").into_bytes();
    }),
    attack(
        "the recipe names another learning rate than the spec",
        OtherRecipe,
        (1, "VT-RUN-001"),
        &["VT-RUN-001"],
        |_, _| (),
    ),
    attack("the recipe says what no check reads", Boasting, (1, "VT-RUN-001"), &["VT-RUN-001"], |_, _| ()),
    attack(
        "the recipe names a number of epochs beside its number of steps",
        TwoLengths,
        (1, "VT-RUN-001"),
        &["VT-RUN-001"],
        |_, _| (),
    ),
    attack(
        "the recipe's beacon says what no check reads",
        WitnessedBeacon,
        (1, "VT-RUN-003"),
        &["VT-RUN-003"],
        |_, _| (),
    ),
    attack(
        "the recipe's demo beacon names the chain of another",
        ChainedBeacon,
        (1, "VT-RUN-003"),
        &["VT-RUN-003"],
        |_, _| (),
    ),
    attack("the claims are about another plan", AdamW, (1, "VT-RUN-001"), &["VT-RUN-001"], |_, parts| {
        parts.plan_digest = Some(Digest::sha256(b"another"));
    }),
    attack("the claims name another program than the plan", AdamW, (1, "VT-RUN-001"), &["VT-RUN-001"], |_, parts| {
        parts.amend = |claims| claims.program_digest = Digest::sha256(b"another");
    }),
    attack("the claims name another dataset than the plan", AdamW, (1, "VT-RUN-001"), &["VT-RUN-001"], |_, parts| {
        parts.amend = |claims| claims.dataset_root = Digest::sha256(b"another");
    }),
    attack("the claims name another base than the plan", AdamW, (1, "VT-RUN-001"), &["VT-RUN-001"], |_, parts| {
        parts.amend = |claims| claims.base.root = Digest::sha256(b"another");
    }),
    attack("the claims name another spec than the plan", AdamW, (1, "VT-RUN-001"), &["VT-RUN-001"], |_, parts| {
        parts.amend = |claims| claims.spec = Value::Integer(1);
    }),
    attack("the signed plan is another", AdamW, (1, "VT-RUN-001"), &["VT-RUN-001"], |t, parts| {
        let other = PlanV1 { plan_number: 1, ..parts.plan.clone() };
        parts.extra.push(t.signed_plan(&other, &plan_file(&parts.plan), &t.key));
    }),
    attack("the plan is signed as another file", AdamW, (1, "VT-RUN-001"), &["VT-RUN-001"], |t, parts| {
        parts.extra.push(t.signed_plan(&parts.plan, b"another", &t.key));
    }),
    attack(
        "the plan is signed by another signer, whom the verifier names too",
        AdamW,
        (1, "VT-RUN-001"),
        &["VT-RUN-001"],
        |t, parts| parts.extra.push(t.signed_plan(&parts.plan, &plan_file(&parts.plan), &t.other_key)),
    ),
    attack("the spec is written in another form", OtherForm, (1, "VT-RUN-002"), &["VT-RUN-002"], |_, _| ()),
    attack("the program is another version's", OtherProgram, (1, "VT-RUN-002"), &["VT-RUN-002"], |_, _| ()),
    attack("the rows are drawn by a private sampler", OtherSampler, (1, "VT-RUN-002"), &["VT-RUN-002"], |_, _| ()),
    attack("the claims say that hidden rows are published", AdamW, (1, "VT-RUN-011"), &["VT-RUN-011"], |_, parts| {
        parts.amend = |claims| claims.disclosure.data = Visibility::Public;
    }),
    attack("the claims name other published rows", Disclosing, (1, "VT-RUN-011"), &["VT-RUN-011"], |_, parts| {
        parts.amend = |claims| claims.disclosure.rows_sha256 = Some(Digest::sha256(b"others"));
    }),
    attack("a token of the published rows is another", Disclosing, (1, "VT-RUN-017"), &["VT-RUN-017"], |t, parts| {
        row_mut(t, parts, 1)[64] ^= 1;
    }),
    attack("a published row has another salt", Disclosing, (1, "VT-RUN-017"), &["VT-RUN-017"], |t, parts| {
        row_mut(t, parts, 2)[0] ^= 1;
    }),
    attack("two published rows are exchanged", Disclosing, (1, "VT-RUN-017"), &["VT-RUN-017"], |t, parts| {
        let rows = [0, 1].map(|row| row_mut(t, parts, row).to_vec());
        row_mut(t, parts, 0).copy_from_slice(&rows[1]);
        row_mut(t, parts, 1).copy_from_slice(&rows[0]);
    }),
    attack("a row is left out of the published ones", Disclosing, (1, "VT-RUN-017"), &["VT-RUN-017"], |t, parts| {
        let row_bytes = row_mut(t, parts, 0).len();
        parts.rows.as_mut().expect("rows").drain(..row_bytes);
    }),
    attack("bytes follow the published rows", Disclosing, (1, "VT-RUN-017"), &["VT-RUN-017"], |_, parts| {
        parts.rows.as_mut().expect("rows").extend([0; 5]);
    }),
    attack(
        "a published row has a number plus the field's order",
        Disclosing,
        (1, "VT-RUN-017"),
        &["VT-RUN-017"],
        |t, parts| {
            // Digests of meta data are zeros in one of the rows.
            let rows = t.tiny.run.spec.dataset_rows;
            let zeros = (0..rows).find(|&row| row_mut(t, parts, row)[32..40] == [0; 8]).expect("such a row");
            row_mut(t, parts, zeros)[32..40].copy_from_slice(&P.to_le_bytes());
        },
    ),
    attack("the published rows are missing", Disclosing, (1, "VT-RUN-017"), &["VT-RUN-017"], |_, parts| {
        parts.rows = None;
    }),
    attack("rows are published that the plan hides", AdamW, (1, "VT-RUN-017"), &["VT-RUN-017"], |t, parts| {
        parts.rows = Some(t.tiny.dataset.published());
        parts.amend = |claims| claims.disclosure.rows_sha256 = None;
    }),
    attack("a claim has another word", AdamW, (1, "VT-RUN-011"), &["VT-RUN-011"], |_, parts| {
        parts.claims[0].word = Word::TeeAttested;
    }),
    attack("the ledger has more bits", AdamW, (1, "VT-RUN-012"), &["VT-RUN-012"], |_, parts| {
        parts.ledger.total_bits += 1;
    }),
    attack(
        "a run has more proofs than the ledger is for",
        Monotonous,
        (1, "VT-RUN-012"),
        &["VT-RUN-012", "VT-RUN-005", "VT-RUN-007", "VT-RUN-009"],
        endless,
    ),
    attack("a state root is another", AdamW, (1, "VT-RUN-004"), &["VT-RUN-004"], |_, parts| {
        parts.state_roots[1] = Digest::sha256(b"another");
    }),
    attack("the first state root is another", AdamW, (1, "VT-RUN-004"), &["VT-RUN-004"], |_, parts| {
        parts.state_roots[0] = Digest::sha256(b"another");
    }),
    attack("the last state root is another", AdamW, (1, "VT-RUN-004"), &["VT-RUN-004"], |_, parts| {
        *parts.state_roots.last_mut().expect("a state root") = Digest::sha256(b"another");
    }),
    attack(
        "a step's proof has another digest than the claims say",
        AdamW,
        (1, "VT-RUN-006"),
        &["VT-RUN-006"],
        |_, parts| {
            parts.amend = |claims| claims.proofs[0].sha256 = Digest::sha256(b"another");
        },
    ),
    attack(
        "the settlement has another digest than the claims say",
        AdamW,
        (1, "VT-RUN-008"),
        &["VT-RUN-008"],
        |_, parts| {
            parts.amend = |claims| other_digest(claims, ProofKind::Settlement);
        },
    ),
    attack(
        "the release has another digest than the claims say",
        AdamW,
        (1, "VT-RUN-010"),
        &["VT-RUN-010"],
        |_, parts| {
            parts.amend = |claims| other_digest(claims, ProofKind::Release);
        },
    ),
    attack("the plan has fewer steps than the spec", FewerSteps, (1, "VT-RUN-002"), &["VT-RUN-002"], |t, parts| {
        short(t, parts);
        parts.num_steps = 2;
        parts.claims = certificate::claims(2, &t.tiny.run.spec.disclose);
        parts.state_roots.pop();
    }),
];

/// The bytes of a published row.
fn row_mut<'a>(t: &TinyCertificate, parts: &'a mut Parts, row: usize) -> &'a mut [u8] {
    let row_bytes = published::row_bytes(&t.tiny.run.spec);
    &mut parts.rows.as_mut().expect("rows")[row * row_bytes..][..row_bytes]
}

fn other_digest(claims: &mut ClaimsV1, kind: ProofKind) {
    let file = claims.proofs.iter_mut().find(|p| p.kind == kind).expect("a proof");
    file.sha256 = Digest::sha256(b"another");
}

fn plan_file(plan: &PlanV1) -> Vec<u8> {
    canonical_json::to_bytes(plan).expect("a plan")
}

/// A plan of one step more than the ledger's proofs leave room for, with everything that follows from it but proofs.
fn endless(t: &TinyCertificate, parts: &mut Parts) {
    let mut run = t.tiny.run.clone();
    run.spec.training.steps = parts.ledger.max_proofs - 1;
    parts.plan = plan(&run.spec, &run.dataset, &run.base);
    parts.seed = seed_json(&parts.plan);
    parts.num_steps = run.spec.training.steps;
    parts.claims = certificate::claims(parts.num_steps, &run.spec.disclose);
    parts.state_roots.resize(parts.num_steps as usize + 1, Digest::sha256(b"none"));
    parts.proofs.clear();
    let context = Context::new(&run).expect("a context");
    parts.ledger = to_certificate(&run_ledger(&context).expect("a ledger"), DEMO);
}
