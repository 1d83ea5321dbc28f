//! The run's seed: SHA-256("veritune seed" ‖ plan digest ‖ dataset root ‖ beacon randomness).
//!
//! The demo beacon's randomness is SHA-256("veritune demo beacon" ‖ plan digest): no protection, and labelled so. The
//! recorded beacon is a round of drand quicknet, whose number follows from the plan's time and whose signature is
//! checked ([`crate::beacon`]). The plan's time is its maker's own word so far, and the certificate says so.

use crate::beacon::{CHAIN_HASH, is_signature_of, round_of};
use crate::certificate::{NOT_CLAIMED_DEMO_BEACON, NOT_CLAIMED_RECORDED_BEACON};
use crate::codes::SEED_REFUSED;
use sha2::{Digest as _, Sha256};
use veritune_envelope::Refusal;
use veritune_envelope::canonical_json::{self, Value};
use veritune_envelope::statement::PlanV1;

const MAX_SEED_BYTES: usize = 1 << 16;
/// Randomness that follows from the plan.
pub const DEMO: &str = "demo";
/// A recorded round of drand quicknet.
pub const QUICKNET: &str = "drand-quicknet";

/// Members of `seed.json`; nobody signs the file, so it says nothing else.
const MEMBERS: &[&str] = &["schema", "rule", "plan_sha256", "dataset_root", "beacon", "seed"];
/// Members of its beacon, by source.
const DEMO_MEMBERS: &[&str] = &["source", "notice", "randomness"];
const QUICKNET_MEMBERS: &[&str] = &["source", "chain_hash", "round", "randomness", "signature"];
/// Members of the recipe's beacon, by source.
const PLANNED_DEMO_MEMBERS: &[&str] = &["source", "chain_hash"];
const PLANNED_QUICKNET_MEMBERS: &[&str] = &["source", "chain_hash", "plan_time"];
/// The one text of the demo beacon's notice.
const DEMO_NOTICE: &str = "demo beacon: derived from the plan itself, no protection against restarts";

/// The first member of an object that is not known.
fn unknown<'a>(value: &'a Value, known: &[&str]) -> Option<&'a str> {
    let Value::Object(members) = value else { return None };
    members.keys().map(String::as_str).find(|name| !known.contains(name))
}

/// A seed that follows from its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed {
    /// The seed.
    pub bytes: [u8; 32],
    /// [`DEMO`] or [`QUICKNET`].
    pub source: &'static str,
    /// What this beacon does not show.
    pub notice: &'static str,
}

fn refuse(field: &str, expected: impl std::fmt::Display) -> Refusal {
    Refusal::new(SEED_REFUSED, format_args!("seed.json {field}"), expected, "another")
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

fn integer(value: &Value, name: &str) -> Option<u64> {
    match value.get(name) {
        Some(Value::Integer(number)) => u64::try_from(*number).ok(),
        _ => None,
    }
}

/// The seed in `seed.json`'s bytes, after following it from the plan.
pub fn check(bytes: &[u8], plan: &PlanV1, plan_digest: &[u8; 32]) -> Result<Seed, Refusal> {
    let value = canonical_json::parse_canonical(bytes, MAX_SEED_BYTES)?;
    let expect = |name: &str, expected: &str| {
        if text(&value, name) == Some(expected) { Ok(()) } else { refuse(name, expected).raise() }
    };
    if let Some(name) = unknown(&value, MEMBERS) {
        refuse(name, "no such member").raise()?;
    }
    expect("schema", "veritune.seed/v1")?;
    expect("rule", "plan-beacon/v1")?;
    expect("plan_sha256", &hex(plan_digest))?;
    expect("dataset_root", &hex(plan.dataset_root.as_bytes()))?;
    let beacon = value.get("beacon").ok_or_else(|| refuse("beacon", "an object"))?;
    let planned = plan.recipe.get("beacon").ok_or_else(|| refuse("plan.recipe.beacon", "an object"))?;
    let source = text(beacon, "source");
    if source.is_none() || source != text(planned, "source") {
        return Err(refuse("beacon.source", "the beacon that the plan names"));
    }
    let (members, planned_members, chain) = if source == Some(DEMO) {
        (DEMO_MEMBERS, PLANNED_DEMO_MEMBERS, "")
    } else {
        (QUICKNET_MEMBERS, PLANNED_QUICKNET_MEMBERS, CHAIN_HASH)
    };
    if let Some(name) = unknown(beacon, members) {
        refuse(&format!("beacon.{name}"), "no such member").raise()?;
    }
    if let Some(name) = unknown(planned, planned_members) {
        refuse(&format!("plan.recipe.beacon.{name}"), "no such member").raise()?;
    }
    for (name, given, expected) in [
        ("beacon.notice", beacon.get("notice"), DEMO_NOTICE),
        ("plan.recipe.beacon.chain_hash", planned.get("chain_hash"), chain),
    ] {
        if given.is_some_and(|given| given.as_str() != Some(expected)) {
            refuse(name, format_args!("`{expected}` or no such member")).raise()?;
        }
    }
    let (randomness, source, notice): ([u8; 32], _, _) = match source {
        Some(DEMO) => {
            let digest = Sha256::new().chain_update(b"veritune demo beacon").chain_update(plan_digest).finalize();
            (digest.into(), DEMO, NOT_CLAIMED_DEMO_BEACON)
        }
        Some(QUICKNET) => (quicknet(beacon, planned)?, QUICKNET, NOT_CLAIMED_RECORDED_BEACON),
        _ => return Err(refuse("beacon.source", "demo or drand-quicknet")),
    };
    if text(beacon, "randomness") != Some(&hex(&randomness)) {
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
    Ok(Seed { bytes: seed, source, notice })
}

/// The randomness of the round that the plan's time fixes.
///
/// 1. The chain is quicknet's. 2. The round is the plan's. 3. The signature is the chain's of that round.
fn quicknet(beacon: &Value, planned: &Value) -> Result<[u8; 32], Refusal> {
    if text(beacon, "chain_hash") != Some(CHAIN_HASH) {
        refuse("beacon.chain_hash", CHAIN_HASH).raise()?; // 1
    }
    let round = integer(planned, "plan_time").and_then(round_of);
    let round = round.ok_or_else(|| refuse("plan.recipe.beacon.plan_time", "a time since the chain began"))?;
    if integer(beacon, "round") != Some(round) {
        refuse("beacon.round", format_args!("{round}, by the plan's time")).raise()?; // 2
    }
    let signature = text(beacon, "signature").and_then(unhex);
    let signature = signature.ok_or_else(|| refuse("beacon.signature", "48 bytes of lower-case hex"))?;
    if !is_signature_of(round, &signature) {
        refuse("beacon.signature", format_args!("quicknet's signature of round {round}")).raise()?; // 3
    }
    Ok(Sha256::digest(signature).into())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 48]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| std::str::from_utf8(pair).ok().and_then(|s| u8::from_str_radix(s, 16).ok());
    let bytes: Vec<u8> = pairs.iter().map(byte).collect::<Option<_>>()?;
    // Upper case and a sign are other spellings of the same bytes.
    let bytes = <[u8; 48]>::try_from(bytes).ok()?;
    (rest.is_empty() && hex(&bytes) == text).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use veritune_envelope::Digest;
    use veritune_envelope::statement::{BaseCommitment, BaseFile, PlanSchema, Tool};

    const SIGNATURE: &str =
        "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39";
    /// A time whose round is 1000.
    const TIME: u64 =
        crate::beacon::GENESIS_SECONDS + 999 * crate::beacon::PERIOD_SECONDS - crate::beacon::DELAY_SECONDS;

    fn value(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    fn plan(beacon: &str) -> PlanV1 {
        PlanV1 {
            schema: PlanSchema::V1,
            plan_number: 0,
            recipe: value(&format!(r#"{{"beacon":{beacon}}}"#)),
            spec: value("{}"),
            program_digest: Digest::sha256(b""),
            base: BaseCommitment {
                files: vec![BaseFile { name: "x".into(), sha256: Digest::sha256(b"") }],
                root: Digest::sha256(b""),
            },
            dataset_root: Digest::sha256(b"data"),
            sampler_key_commitment: None,
            num_steps: 1,
            created_by: Tool { name: "test".into(), version: "0".into() },
        }
    }

    fn seed_json(plan: &PlanV1, beacon: &str, randomness: &[u8; 32]) -> Vec<u8> {
        let digest = plan.digest().unwrap();
        let parts = [b"veritune seed".as_slice(), digest.as_bytes(), plan.dataset_root.as_bytes(), randomness];
        let seed = Digest::sha256(&parts.concat());
        let text = format!(
            r#"{{"schema":"veritune.seed/v1","rule":"plan-beacon/v1","plan_sha256":"{digest}","dataset_root":"{}","beacon":{{{beacon},"randomness":"{}"}},"seed":"{seed}"}}"#,
            plan.dataset_root,
            hex(randomness)
        );
        value(&text).to_canonical()
    }

    fn recorded(round: u64, signature: &str) -> String {
        format!(r#""source":"drand-quicknet","chain_hash":"{CHAIN_HASH}","round":{round},"signature":"{signature}""#)
    }

    fn judge(time: u64, beacon: &str, signature: &str) -> Result<Seed, Refusal> {
        let plan = plan(&format!(r#"{{"source":"drand-quicknet","plan_time":{time}}}"#));
        let bytes: Vec<u8> = (0..signature.len() / 2)
            .filter_map(|i| u8::from_str_radix(&signature[2 * i..2 * i + 2], 16).ok())
            .collect();
        let randomness: [u8; 32] = Sha256::digest(bytes).into();
        check(&seed_json(&plan, beacon, &randomness), &plan, plan.digest().unwrap().as_bytes())
    }

    #[test]
    fn the_recorded_round_of_the_plans_time_is_accepted() {
        let seed = judge(TIME, &recorded(1000, SIGNATURE), SIGNATURE).unwrap();
        assert_eq!((seed.source, seed.notice), (QUICKNET, NOT_CLAIMED_RECORDED_BEACON));
    }

    #[test]
    fn a_round_of_the_makers_choice_and_a_forged_one_are_refused() {
        let refused = |result: Result<Seed, Refusal>, field: &str| {
            let refusal = result.unwrap_err();
            assert_eq!((refusal.code(), refusal.location()), (SEED_REFUSED, format!("seed.json {field}").as_str()));
        };
        let honest = recorded(1000, SIGNATURE);
        refused(judge(TIME + 1, &honest, SIGNATURE), "beacon.round");
        refused(judge(TIME - 3, &honest, SIGNATURE), "beacon.round");
        refused(judge(0, &honest, SIGNATURE), "plan.recipe.beacon.plan_time");
        // Round 123's real signature under the number that the plan asks for.
        let other = "b75c69d0b72a5d906e854e808ba7e2accb1542ac355ae486d591aa9d43765482e26cd02df835d3546d23c4b13e0dfc92";
        refused(judge(TIME, &recorded(1000, other), other), "beacon.signature");
        let upper = SIGNATURE.to_uppercase();
        refused(judge(TIME, &recorded(1000, &upper), SIGNATURE), "beacon.signature");
        refused(judge(TIME, &recorded(1000, &SIGNATURE[2..]), &SIGNATURE[2..]), "beacon.signature");
        refused(judge(TIME, &honest.replace("52db", "52dc"), SIGNATURE), "beacon.chain_hash");
        refused(judge(TIME, &honest, &SIGNATURE[2..]), "beacon.randomness");
    }

    #[test]
    fn every_member_is_the_one_that_follows_from_the_plan() {
        let plan = plan(r#"{"source":"demo"}"#);
        let digest = plan.digest().unwrap();
        let randomness = Digest::sha256(&[b"veritune demo beacon".as_slice(), digest.as_bytes()].concat());
        let honest = String::from_utf8(seed_json(&plan, r#""source":"demo""#, randomness.as_bytes())).unwrap();
        let judge = |from: &str, to: &str| {
            let changed = value(&honest.replacen(from, to, 1)).to_canonical();
            check(&changed, &plan, digest.as_bytes()).map_err(|refusal| (refusal.code(), refusal.location().to_owned()))
        };
        assert!(judge("", "").is_ok());
        let own = [digest.to_string(), plan.dataset_root.to_string()];
        let seed = text(&value(&honest), "seed").unwrap().to_owned();
        for (member, from, to) in [
            ("schema", "veritune.seed/v1", "veritune.seed/v2"),
            ("rule", "plan-beacon/v1", "own-choice/v1"),
            ("plan_sha256", own[0].as_str(), own[1].as_str()),
            ("dataset_root", own[1].as_str(), own[0].as_str()),
            ("seed", seed.as_str(), own[0].as_str()),
            ("note", r#""rule""#, r#""note":"certified","rule""#),
        ] {
            assert_eq!(judge(from, to), Err((SEED_REFUSED, format!("seed.json {member}"))), "{member}");
        }
    }

    #[test]
    fn the_demo_beacon_follows_from_the_plan_and_is_labelled() {
        let plan = plan(r#"{"source":"demo"}"#);
        let digest = plan.digest().unwrap();
        let randomness = Digest::sha256(&[b"veritune demo beacon".as_slice(), digest.as_bytes()].concat());
        let bytes = seed_json(&plan, r#""source":"demo""#, randomness.as_bytes());
        assert_eq!(check(&bytes, &plan, digest.as_bytes()).unwrap().notice, NOT_CLAIMED_DEMO_BEACON);
        let chosen = seed_json(&plan, r#""source":"demo""#, &[7; 32]);
        assert_eq!(check(&chosen, &plan, digest.as_bytes()).unwrap_err().code(), SEED_REFUSED);
        let honest = seed_json(&plan, &recorded(1000, SIGNATURE), &[7; 32]);
        assert_eq!(check(&honest, &plan, digest.as_bytes()).unwrap_err().location(), "seed.json beacon.source");
    }
}
