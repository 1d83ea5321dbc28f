//! A second outside attack: what a certificate says, or what lies beside it, that no check reads.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use veritune_attacks::certificate::seed_json;
use veritune_attacks::{TinyCertificate, run};
use veritune_envelope::canonical_json::Value;
use veritune_envelope::directory::{ADAPTER_CONFIG, ADAPTER_MODEL, CERTIFICATE};
use veritune_envelope::statement::PlanV1;
use veritune_verifier::seed;

static HONEST: LazyLock<TinyCertificate> = LazyLock::new(|| TinyCertificate::new(run::monotonous(1)));

fn section<'a>(plan: &'a mut PlanV1, name: &str) -> &'a mut std::collections::BTreeMap<String, Value> {
    let Value::Object(sections) = &mut plan.recipe else { panic!("a recipe has sections") };
    let Some(Value::Object(section)) = sections.get_mut(name) else { panic!("no section {name}") };
    section
}

/// Exit and code of the verdict on what lies in a folder.
fn verdict(folder: &Path) -> (u8, String) {
    let report = HONEST.verify(folder);
    (report.exit, report.code)
}

/// The exit without the check of one code: the same bytes pass, so no other check stops them.
fn without(code: &str, folder: &Path) -> u8 {
    veritune_mutation::without(&[code], || HONEST.verify(folder).exit)
}

/// The catalogue has certificates with another chain and with a member that is unknown; here is every case.
#[test]
fn a_beacon_of_the_recipe_says_no_more_than_its_source_needs() {
    let judge = |name: &str, value: Value| {
        let mut plan = HONEST.parts.plan.clone();
        section(&mut plan, "beacon").insert(name.to_owned(), value);
        let digest = plan.digest().expect("a plan");
        seed::check(&seed_json(&plan), &plan, digest.as_bytes()).map(|_| ()).map_err(|refusal| refusal.code().id())
    };
    let text = |text: &str| Value::String(text.to_owned());
    assert_eq!(judge("chain_hash", text("")), Ok(()));
    for (name, value) in [
        ("chain_hash", text("52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971")),
        ("chain_hash", Value::Integer(1)),
        ("plan_time", Value::Integer(1_700_000_000)),
        ("witnessed_by", text("a notary")),
    ] {
        assert_eq!(judge(name, value.clone()), Err("VT-RUN-003"), "{name}");
        let alone = veritune_mutation::without(&["VT-RUN-003"], || judge(name, value));
        assert_eq!(alone, Ok(()), "{name}");
    }
}

/// Nobody signs `seed.json`: who has no key must not make it say something else.
#[test]
fn the_unsigned_seed_says_nothing_of_its_own() {
    let seed = String::from_utf8(HONEST.parts.seed.clone()).expect("text");
    for (from, to) in [
        (r#""beacon":{"#, r#""beacon":{"notice":"certified by the ministry","#),
        (r#""randomness":"#, r#""notice":{"a":[1,2]},"randomness":"#),
        (r#""source":"demo""#, r#""round":1000,"signature":"b44679","source":"demo""#),
        (r#""beacon":{"#, r#""beacon":{"chain_hash":"52db","#),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        HONEST.publish(&HONEST.parts, folder.path()).expect("published");
        assert_eq!(HONEST.verify(folder.path()).exit, 0);
        let changed = seed.replace(from, to);
        assert_ne!(changed, seed);
        let value: Value = serde_json::from_str(&changed).expect("JSON");
        fs::write(folder.path().join(CERTIFICATE).join("seed.json"), value.to_canonical()).expect("written");
        HONEST.index(folder.path()).expect("an index");
        assert_eq!(verdict(folder.path()), (1, "VT-RUN-003".to_owned()), "{changed}");
        assert_eq!(without("VT-RUN-003", folder.path()), 0, "{changed}");
    }
}

fn adapter_into(folder: &Path) {
    fs::create_dir_all(folder).expect("a folder");
    fs::write(folder.join(ADAPTER_MODEL), b"another adapter").expect("written");
    fs::write(folder.join(ADAPTER_CONFIG), b"{}").expect("written");
}

/// A run folder's own entries must not hold what its verifier refuses beside them.
#[test]
fn no_folder_of_a_run_hides_an_adapter() {
    for hidden in ["release/veritune", "steps", "secret", "steps/checkpoint-1", "secret/a"] {
        let folder = tempfile::tempdir().expect("a folder");
        HONEST.publish(&HONEST.parts, folder.path()).expect("published");
        TinyCertificate::move_to_run(folder.path());
        assert_eq!(HONEST.verify(folder.path()).exit, 0);
        adapter_into(&folder.path().join(hidden));
        assert_eq!(verdict(folder.path()), (1, "VT-ENV-061".to_owned()), "{hidden}");
        assert_eq!(without("VT-ENV-061", folder.path()), 0, "{hidden}");
    }
}

/// What a link leads to is not in the folder.
#[test]
fn a_run_has_no_links() {
    let folder = tempfile::tempdir().expect("a folder");
    HONEST.publish(&HONEST.parts, folder.path()).expect("published");
    TinyCertificate::move_to_run(folder.path());
    fs::remove_file(folder.path().join(".lock")).expect("removed");
    std::os::unix::fs::symlink("/etc/hostname", folder.path().join(".lock")).expect("a link");
    assert_eq!(verdict(folder.path()), (1, "VT-ENV-061".to_owned()));
    assert_eq!(without("VT-ENV-061", folder.path()), 0);
}

/// The shipped key adds no trust, and no text either.
#[test]
fn the_shipped_key_is_a_key_and_nothing_else() {
    let pem = HONEST.public_key();
    let published = |text: &str| {
        let mut parts = HONEST.parts.clone();
        parts.extra.push((format!("{CERTIFICATE}/signer.pub.pem"), text.as_bytes().to_vec()));
        let folder = tempfile::tempdir().expect("a folder");
        HONEST.publish(&parts, folder.path()).expect("published");
        folder
    };
    // Readers of PEM pass over the first two.
    for text in [format!("audited by the ministry\n{pem}"), pem.replace('\n', "\r\n")] {
        let folder = published(&text);
        assert_eq!(verdict(folder.path()), (1, "VT-RUN-011".to_owned()), "{text}");
        assert_eq!(without("VT-RUN-011", folder.path()), 0, "{text}");
    }
    for text in [format!("{pem}audited by the ministry\n"), format!("{pem}{pem}")] {
        assert_eq!(verdict(published(&text).path()), (2, "VT-ENV-045".to_owned()), "{text}");
    }
}
