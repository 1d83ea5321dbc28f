//! The run's seed: SHA-256("veritune seed" ‖ plan digest ‖ dataset root ‖ beacon randomness).
//!
//! The demo beacon's randomness is SHA-256("veritune demo beacon" ‖ plan digest): no protection, and labelled so. A
//! recorded drand round's randomness is SHA-256 of its signature; the signature itself is not checked yet, and the
//! certificate says so.

use crate::certificate::{NOT_CLAIMED_DEMO_BEACON, NOT_CLAIMED_RECORDED_BEACON};
use crate::codes::SEED_REFUSED;
use sha2::{Digest as _, Sha256};
use veritune_envelope::Refusal;
use veritune_envelope::canonical_json::{self, Value};
use veritune_envelope::statement::PlanV1;

const MAX_SEED_BYTES: usize = 1 << 16;

/// Members of `seed.json`; nobody signs the file, so it says nothing else.
const MEMBERS: &[&str] = &["schema", "rule", "plan_sha256", "dataset_root", "beacon", "seed"];
/// Members of its beacon.
const BEACON_MEMBERS: &[&str] = &["source", "notice", "chain_hash", "round", "randomness", "signature"];

/// The first member of an object that is not known.
fn unknown<'a>(value: &'a Value, known: &[&str]) -> Option<&'a str> {
    let Value::Object(members) = value else { return None };
    members.keys().map(String::as_str).find(|name| !known.contains(name))
}

/// The seed in `seed.json`'s bytes and what it does not show, after following it from the plan.
pub fn check(bytes: &[u8], plan: &PlanV1, plan_digest: &[u8; 32]) -> Result<([u8; 32], &'static str), Refusal> {
    let refuse = |field: &str, expected: &str| {
        Refusal::new(SEED_REFUSED, format_args!("seed.json {field}"), expected, "another")
    };
    let value = canonical_json::parse_canonical(bytes, MAX_SEED_BYTES)?;
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let expect = |name: &str, expected: &str| {
        if text(&value, name).as_deref() == Some(expected) { Ok(()) } else { refuse(name, expected).raise() }
    };
    let beacon_unknown = value.get("beacon").and_then(|beacon| unknown(beacon, BEACON_MEMBERS));
    if let Some(name) = unknown(&value, MEMBERS).or(beacon_unknown) {
        refuse(name, "no such member").raise()?;
    }
    expect("schema", "veritune.seed/v1")?;
    expect("rule", "plan-beacon/v1")?;
    expect("plan_sha256", &hex(plan_digest))?;
    expect("dataset_root", &hex(plan.dataset_root.as_bytes()))?;
    let beacon = value.get("beacon").ok_or_else(|| refuse("beacon", "an object"))?;
    let planned = plan.recipe.get("beacon").and_then(|b| text(b, "source"));
    let source = text(beacon, "source");
    if source.is_none() || source != planned {
        return Err(refuse("beacon.source", "the beacon that the plan names"));
    }
    let (randomness, notice): ([u8; 32], _) = match source.as_deref() {
        Some("demo") => {
            let digest = Sha256::new().chain_update(b"veritune demo beacon").chain_update(plan_digest).finalize();
            (digest.into(), NOT_CLAIMED_DEMO_BEACON)
        }
        Some("drand-quicknet") => {
            let signature = text(beacon, "signature").and_then(|s| unhex(&s));
            let signature =
                signature.filter(|s| s.len() == 48).ok_or_else(|| refuse("beacon.signature", "48 bytes of hex"))?;
            (Sha256::digest(signature).into(), NOT_CLAIMED_RECORDED_BEACON)
        }
        _ => return Err(refuse("beacon.source", "demo or drand-quicknet")),
    };
    if text(beacon, "randomness") != Some(hex(&randomness)) {
        refuse("beacon.randomness", "what the beacon gives").raise()?;
    }
    let seed: [u8; 32] = Sha256::new()
        .chain_update(b"veritune seed")
        .chain_update(plan_digest)
        .chain_update(plan.dataset_root.as_bytes())
        .chain_update(randomness)
        .finalize()
        .into();
    expect("seed", &hex(&seed))?;
    Ok((seed, notice))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().as_chunks::<2>();
    if !digits.1.is_empty() {
        return None;
    }
    digits.0.iter().map(|pair| std::str::from_utf8(pair).ok().and_then(|s| u8::from_str_radix(s, 16).ok())).collect()
}
