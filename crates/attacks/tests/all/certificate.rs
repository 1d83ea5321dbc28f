//! Attacks on a whole certificate: each is refused with its id, and passes without the checks of its row.

use std::sync::LazyLock;
use veritune_attacks::certificate::TinyCertificate;
use veritune_attacks::{CERTIFICATE_ATTACKS, CertificateAttack, UNMET_DEMANDS, World};
use veritune_relations::spec::{Disclose, Visibility};

static ADAMW: LazyLock<TinyCertificate> = LazyLock::new(|| World::AdamW.prove());
static MONOTONOUS: LazyLock<TinyCertificate> = LazyLock::new(|| World::Monotonous.prove());
static DISCLOSING: LazyLock<TinyCertificate> = LazyLock::new(|| World::Disclosing.prove());
static HIDDEN_ADAPTER: LazyLock<TinyCertificate> = LazyLock::new(|| World::HiddenAdapter.prove());
static OTHER_BASE: LazyLock<TinyCertificate> = LazyLock::new(|| World::OtherBase.prove());
static OTHER_RECIPE: LazyLock<TinyCertificate> = LazyLock::new(|| World::OtherRecipe.prove());
static BOASTING: LazyLock<TinyCertificate> = LazyLock::new(|| World::Boasting.prove());
static TWO_LENGTHS: LazyLock<TinyCertificate> = LazyLock::new(|| World::TwoLengths.prove());
static WITNESSED_BEACON: LazyLock<TinyCertificate> = LazyLock::new(|| World::WitnessedBeacon.prove());
static CHAINED_BEACON: LazyLock<TinyCertificate> = LazyLock::new(|| World::ChainedBeacon.prove());
static FEWER_STEPS: LazyLock<TinyCertificate> = LazyLock::new(|| World::FewerSteps.prove());
static OTHER_PROGRAM: LazyLock<TinyCertificate> = LazyLock::new(|| World::OtherProgram.prove());
static OTHER_FORM: LazyLock<TinyCertificate> = LazyLock::new(|| World::OtherForm.prove());
static OTHER_SAMPLER: LazyLock<TinyCertificate> = LazyLock::new(|| World::OtherSampler.prove());

fn shared(world: World) -> &'static TinyCertificate {
    match world {
        World::AdamW => &ADAMW,
        World::Monotonous => &MONOTONOUS,
        World::Disclosing => &DISCLOSING,
        World::HiddenAdapter => &HIDDEN_ADAPTER,
        World::OtherBase => &OTHER_BASE,
        World::OtherRecipe => &OTHER_RECIPE,
        World::Boasting => &BOASTING,
        World::TwoLengths => &TWO_LENGTHS,
        World::WitnessedBeacon => &WITNESSED_BEACON,
        World::ChainedBeacon => &CHAINED_BEACON,
        World::FewerSteps => &FEWER_STEPS,
        World::OtherProgram => &OTHER_PROGRAM,
        World::OtherForm => &OTHER_FORM,
        World::OtherSampler => &OTHER_SAMPLER,
    }
}

/// Exit code, id and message of the verdict on an attack.
fn verdict(attack: &CertificateAttack, certificate: &TinyCertificate) -> (u8, String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut parts = certificate.parts.clone();
    (attack.change)(certificate, &mut parts);
    certificate.publish(&parts, folder.path()).expect("published");
    (attack.spoil)(certificate, folder.path());
    let report = certificate.verify(folder.path());
    assert!(report.exit == 0 || report.claims.is_empty(), "{}: claims without a verdict", attack.name);
    (report.exit, report.code, report.message)
}

#[test]
fn an_honest_plan_is_signed_by_the_signer() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut parts = ADAMW.parts.clone();
    let file = veritune_envelope::canonical_json::to_bytes(&parts.plan).expect("a plan");
    parts.extra.push(ADAMW.signed_plan(&parts.plan, &file, &ADAMW.key));
    ADAMW.publish(&parts, folder.path()).expect("published");
    let report = ADAMW.verify(folder.path());
    assert!(report.exit == 0 && report.plan_is_signed, "{} {}", report.code, report.message);
}

#[test]
fn honest_certificates_verify() {
    for certificate in [&*ADAMW, &*MONOTONOUS, &*HIDDEN_ADAPTER] {
        let folder = tempfile::tempdir().expect("a folder");
        certificate.publish(&certificate.parts, folder.path()).expect("published");
        let report = certificate.verify(folder.path());
        assert_eq!(report.exit, 0, "{} {} {}", report.code, report.location, report.message);
        TinyCertificate::move_to_run(folder.path());
        let report = certificate.verify(folder.path());
        assert_eq!(report.exit, 0, "{} {} {}", report.code, report.location, report.message);
    }
}

/// Training is deterministic and its seed public: with losses or rows a guess of the adapter could be tested all the same.
#[test]
fn no_spec_hides_an_adapter_that_its_losses_or_rows_tell() {
    let mut spec = HIDDEN_ADAPTER.tiny.run.spec.clone();
    let hidden = spec.disclose;
    spec.disclose.order = Visibility::Public;
    assert!(spec.validate().is_ok());
    for telling in [Disclose { loss: Visibility::Public, ..hidden }, Disclose { data: Visibility::Public, ..hidden }] {
        spec.disclose = Disclose { adapter: Visibility::Public, ..telling };
        assert!(spec.validate().is_ok());
        spec.disclose = telling;
        let folder = tempfile::tempdir().expect("a folder");
        HIDDEN_ADAPTER.publish(&HIDDEN_ADAPTER.replanned(&spec), folder.path()).expect("published");
        let report = HIDDEN_ADAPTER.verify(folder.path());
        assert_eq!((report.exit, report.code.as_str()), (1, "VT-RUN-002"), "{}", report.message);
        assert!(report.message.contains("disclose.adapter"), "{}", report.message);
    }
}

#[test]
fn every_unmet_demand_is_refused_with_its_id() {
    let folder = tempfile::tempdir().expect("a folder");
    ADAMW.publish(&ADAMW.parts, folder.path()).expect("published");
    for demand in UNMET_DEMANDS {
        let report = demand.verdict(&ADAMW, folder.path());
        assert_eq!((report.exit, report.code.as_str()), demand.refused, "{}: {}", demand.name, report.message);
        #[cfg(feature = "mutation-testing")]
        {
            let code = demand.refused.1;
            let report = veritune_mutation::without(&[code], || demand.verdict(&ADAMW, folder.path()));
            assert_eq!(report.exit, 0, "{} without {code}: {} {}", demand.name, report.code, report.message);
        }
    }
}

#[test]
fn every_attack_is_refused_with_its_id() {
    let mut wrong = Vec::new();
    for attack in CERTIFICATE_ATTACKS.iter().copied().flatten() {
        let (exit, code, message) = verdict(attack, shared(attack.world));
        if (exit, code.as_str()) != attack.refused || !message.contains(attack.inner) {
            wrong.push(format!("{}: {exit} {code} {message}", attack.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The verdict without these checks. What a prover would absorb otherwise is proved anew.
#[cfg(feature = "mutation-testing")]
fn verdict_without(attack: &CertificateAttack, ids: &[&str]) -> (u8, String, String) {
    veritune_mutation::without(ids, || {
        if ids.iter().any(|id| id.starts_with("absorb ")) {
            verdict(attack, &attack.world.prove())
        } else {
            verdict(attack, shared(attack.world))
        }
    })
}

#[cfg(feature = "mutation-testing")]
#[test]
fn every_attack_passes_without_its_checks_and_with_no_fewer() {
    let mut wrong = Vec::new();
    for attack in CERTIFICATE_ATTACKS.iter().copied().flatten().filter(|a| !a.without.is_empty()) {
        let (exit, code, message) = verdict_without(attack, attack.without);
        if exit != 0 {
            wrong.push(format!("{}: {exit} {code} {message}", attack.name));
        }
        for needed in attack.without {
            let fewer: Vec<&str> = attack.without.iter().copied().filter(|id| id != needed).collect();
            if !fewer.is_empty() && verdict_without(attack, &fewer).0 == 0 {
                wrong.push(format!("{}: passes without {fewer:?} already", attack.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
