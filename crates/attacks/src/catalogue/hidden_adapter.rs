//! Attacks on the two forms of a certificate, by whoever holds the signing key: what that of a hidden adapter must not hold, what
//! lies beside the adapter instead, and either form under the plan of the other.

use super::World::{AdamW, HiddenAdapter};
use super::certificate::{CertificateAttack, attack, flip_sign, inside};
use crate::certificate::{Parts, release_of, release_part, sha256};
use crate::run::prove_release;
use veritune_envelope::statement::{Claim, ProofFile, ProofKind, Subject, Visibility};
use veritune_envelope::{Digest, canonical_json};
use veritune_relations::spec::{Disclose, Visibility as Choice};
use veritune_verifier::certificate;
use veritune_verifier::step::Context;

const OPENING: &str = "opening-sumcheck-claim";

/// The attacks.
pub(super) const ATTACKS: &[CertificateAttack] = &[
    attack(
        "the certificate of a hidden adapter has the proof of its release",
        HiddenAdapter,
        (1, "VT-RUN-013"),
        &["VT-RUN-013"],
        |_, parts| {
            let release = proof(parts).clone();
            parts.proofs.push(release_part(release));
        },
    ),
    attack(
        "the claims of a hidden adapter name a proof of its release that is not there",
        HiddenAdapter,
        (1, "VT-RUN-013"),
        &["VT-RUN-013"],
        |_, parts| {
            parts.amend = |claims| {
                let (name, sha256) = ("proofs/release.bin".into(), Digest::sha256(b"another"));
                claims.proofs.push(ProofFile { name, sha256, kind: ProofKind::Release, step: None });
            };
        },
    ),
    attack(
        "the proof of a hidden adapter's release lies in the certificate, and the claims do not name it",
        HiddenAdapter,
        (1, "VT-RUN-013"),
        &["VT-RUN-013"],
        |_, parts| {
            let release = proof(parts).clone();
            parts.extra.push(("veritune/proofs/release.bin".into(), release));
        },
    ),
    attack(
        "the claims of a hidden adapter are about its file",
        HiddenAdapter,
        (1, "VT-RUN-011"),
        &["VT-RUN-011"],
        |_, parts| parts.claims = claims_of(parts, Choice::Public),
    ),
    attack(
        "the claims of a hidden adapter do not say that they speak of no file",
        HiddenAdapter,
        (1, "VT-RUN-011"),
        &["VT-RUN-011"],
        |_, parts| parts.not_claimed = not_claimed_of(Choice::Public),
    ),
    attack(
        "the subject of a hidden adapter's claims is its files",
        HiddenAdapter,
        (1, "VT-RUN-011"),
        &["VT-RUN-011"],
        |_, parts| parts.subject = Some(parts.adapter_subject()),
    ),
    attack(
        "the subject of a hidden adapter's claims is another plan",
        HiddenAdapter,
        (1, "VT-RUN-011"),
        &["VT-RUN-011"],
        |_, parts| parts.subject = Some(vec![Subject::of("plan.json", b"another")]),
    ),
    attack(
        "the claims of a hidden adapter say that it is public",
        HiddenAdapter,
        (1, "VT-RUN-011"),
        &["VT-RUN-011"],
        |_, parts| parts.amend = |claims| claims.disclosure.adapter = Visibility::Public,
    ),
    attack(
        "the claims of a public adapter say that it is hidden",
        AdamW,
        (1, "VT-RUN-011"),
        &["VT-RUN-011"],
        |_, parts| {
            parts.amend = |claims| claims.disclosure.adapter = Visibility::Hidden;
        },
    ),
    attack(
        "a hidden adapter has the certificate of a public one",
        HiddenAdapter,
        (1, "VT-RUN-013"),
        &["VT-RUN-013", "VT-RUN-011"],
        |_, parts| {
            let release = proof(parts).clone();
            parts.proofs.push(release_part(release));
            parts.subject = Some(parts.adapter_subject());
            parts.claims = claims_of(parts, Choice::Public);
            parts.not_claimed = not_claimed_of(Choice::Public);
        },
    ),
    attack(
        "a public adapter has the certificate of a hidden one",
        AdamW,
        (3, "VT-RUN-009"),
        &["VT-RUN-009", "VT-RUN-011"],
        |_, parts| {
            parts.proofs.retain(|proof| proof.kind.0 != ProofKind::Release);
            let plan = canonical_json::to_bytes(&parts.plan).expect("a plan");
            parts.subject = Some(vec![Subject::of("plan.json", &plan)]);
            parts.claims = claims_of(parts, Choice::Hidden);
            parts.not_claimed = not_claimed_of(Choice::Hidden);
        },
    ),
    attack(
        "the proof of the release lies beside a public adapter",
        AdamW,
        (1, "VT-ENV-061"),
        &["VT-ENV-061"],
        |_, parts| {
            let release = parts.proofs.iter().find(|proof| proof.kind.0 == ProofKind::Release).expect("a release");
            parts.adapter_release = Some(release.bytes.clone());
        },
    ),
    attack(
        "the proof of the release is missing beside a hidden adapter",
        HiddenAdapter,
        (3, "VT-RUN-009"),
        &["VT-RUN-009"],
        |_, parts| parts.adapter_release = None,
    ),
    inside(
        OPENING,
        attack(
            "the proof of the release beside a hidden adapter is of another plan",
            HiddenAdapter,
            (1, "VT-RUN-010"),
            &["VT-RUN-010"],
            |t, parts| {
                let mut run = t.tiny.run.clone();
                run.plan_digest = sha256(b"another plan");
                let context = Context::new(&run).expect("a context");
                let last = t.tiny.states.len() - 1;
                let digest = sha256(&parts.adapter);
                parts.adapter_release = Some(prove_release(&context, &t.tiny.states[last], last, &digest));
            },
        ),
    ),
    inside(
        OPENING,
        attack(
            "the proof of the release beside a hidden adapter is of another file",
            HiddenAdapter,
            (1, "VT-RUN-010"),
            &["VT-RUN-010"],
            |t, parts| {
                let context = Context::new(&t.tiny.run).expect("a context");
                let last = t.tiny.states.len() - 1;
                let digest = sha256(b"another adapter");
                parts.adapter_release = Some(prove_release(&context, &t.tiny.states[last], last, &digest));
            },
        ),
    ),
    attack(
        "a hidden adapter and the proof of its release are of the state before the last",
        HiddenAdapter,
        (1, "VT-RUN-010"),
        &["VT-RUN-010"],
        |t, parts| {
            let context = Context::new(&t.tiny.run).expect("a context");
            let (release, adapter) = release_of(&context, &t.tiny.states[1], 1);
            (parts.adapter_release, parts.adapter) = (Some(release), adapter);
        },
    ),
    inside(
        OPENING,
        attack(
            "one bit of a hidden adapter's file is changed",
            HiddenAdapter,
            (1, "VT-RUN-010"),
            &["VT-RUN-010"],
            |_, parts| flip_sign(&mut parts.adapter),
        ),
    ),
    attack(
        "one bit of the proof beside a hidden adapter is changed",
        HiddenAdapter,
        (1, "VT-RUN-010"),
        &["VT-RUN-010"],
        |_, parts| {
            let bytes = proof(parts);
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        },
    ),
    attack(
        "bytes follow the proof beside a hidden adapter",
        HiddenAdapter,
        (1, "VT-RUN-010"),
        &["VT-RUN-010"],
        |_, parts| proof(parts).push(0),
    ),
];

fn proof(parts: &mut Parts) -> &mut Vec<u8> {
    parts.adapter_release.as_mut().expect("a proof of the release")
}

fn disclose(adapter: Choice) -> Disclose {
    Disclose { adapter, ..Disclose::default() }
}

/// The claims of a run with an adapter that is this.
fn claims_of(parts: &Parts, adapter: Choice) -> Vec<Claim> {
    certificate::claims(parts.num_steps, &disclose(adapter))
}

fn not_claimed_of(adapter: Choice) -> Vec<String> {
    certificate::not_claimed(&disclose(adapter), certificate::NOT_CLAIMED_DEMO_BEACON)
}
