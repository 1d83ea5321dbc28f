//! What is checked against a plan: `seed.json` under either beacon, the recipe, the scaling of the adapter. Whatever text
//! is accepted, the seed is the one that follows from the plan.

use crate::bytes::Input;
use crate::key::unhex;
use std::sync::LazyLock;
use veritune_attacks::certificate::{plan, seed_json};
use veritune_attacks::run::monotonous;
use veritune_commit::Root;
use veritune_envelope::canonical_json::{Value, parse_canonical};
use veritune_envelope::statement::PlanV1;
use veritune_envelope::{Digest, Refusal};
use veritune_relations::Spec;
use veritune_verifier::adapter::{config, scaling_65536};
use veritune_verifier::beacon::{CHAIN_HASH, GENESIS_SECONDS, round_of};
use veritune_verifier::recipe::disagreement;
use veritune_verifier::seed::{self, Seed};

/// A plan with the only seed that follows from it.
struct Planned {
    plan: PlanV1,
    digest: Digest,
    file: Vec<u8>,
    seed: Seed,
}

impl Planned {
    fn new(plan: PlanV1, file: Vec<u8>) -> Self {
        let digest = plan.digest().expect("a plan");
        let seed = seed::check(&file, &plan, digest.as_bytes()).expect("the honest seed");
        Self { plan, digest, file, seed }
    }

    fn check(&self, bytes: &[u8]) -> Result<Seed, Refusal> {
        seed::check(bytes, &self.plan, self.digest.as_bytes())
    }
}

static SPEC: LazyLock<Spec> = LazyLock::new(|| monotonous(3));

static DEMO: LazyLock<Planned> = LazyLock::new(|| {
    let plan = plan(&SPEC, &Root([3; 32]), &Root([4; 32]));
    let file = seed_json(&plan);
    Planned::new(plan, file)
});

/// The signature of the chain's round 1000, as the chain published it.
const SIGNATURE: &str =
    "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39";
/// Of the plan whose round that is.
const TIME: u64 = GENESIS_SECONDS + 999 * 3 - 30;

static RECORDED: LazyLock<Planned> = LazyLock::new(|| {
    let mut plan = DEMO.plan.clone();
    if let Value::Object(sections) = &mut plan.recipe {
        let text = format!(r#"{{"chain_hash":"{CHAIN_HASH}","plan_time":{TIME},"source":"drand-quicknet"}}"#);
        sections.insert("beacon".to_owned(), serde_json::from_str(&text).expect("JSON"));
    }
    let digest = plan.digest().expect("a plan");
    let randomness = Digest::sha256(&unhex(SIGNATURE));
    let parts = [b"veritune seed", digest.as_bytes().as_slice(), plan.dataset_root.as_bytes(), randomness.as_bytes()];
    let seed = Digest::sha256(&parts.concat());
    let text = format!(
        r#"{{"beacon":{{"chain_hash":"{CHAIN_HASH}","randomness":"{randomness}","round":1000,"signature":"{SIGNATURE}","source":"drand-quicknet"}},"dataset_root":"{}","plan_sha256":"{digest}","rule":"plan-beacon/v1","schema":"veritune.seed/v1","seed":"{seed}"}}"#,
        plan.dataset_root
    );
    Planned::new(plan, text.into_bytes())
});

/// Reads the bytes after the first as what the first says.
pub fn run(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 4 {
        0 => {
            if let Ok(seed) = DEMO.check(bytes) {
                assert_eq!(seed, DEMO.seed);
            }
        }
        1 => {
            if let Ok(seed) = RECORDED.check(bytes) {
                assert_eq!((seed, bytes), (RECORDED.seed, &RECORDED.file[..]));
            }
        }
        2 => {
            let Ok(recipe) = parse_canonical(bytes, bytes.len()) else { return };
            let agrees = disagreement(&recipe, &SPEC).is_none();
            if let Some(config) = config(&recipe, &SPEC, &DEMO.digest.to_string()) {
                let file = config.to_bytes().expect("options of a valid spec");
                assert!(!agrees || serde_json::from_slice::<serde_json::Value>(&file).is_ok());
            }
        }
        _ => {
            let mut input = Input::new(bytes);
            let [r, alpha, time] = [(); 3].map(|()| u64::from_le_bytes(input.array()));
            if let Some(scaling) = scaling_65536(r, alpha, false) {
                let (twice, exact) = (2 * i128::from(scaling) * i128::from(r), i128::from(alpha) << 17);
                assert!((twice - exact).abs() <= i128::from(r), "{alpha}/{r}: {scaling}");
            }
            let _ = scaling_65536(r, alpha, true);
            if let Some(round) = round_of(time) {
                let published = GENESIS_SECONDS as u128 + 3 * (u128::from(round) - 1);
                assert!(published >= u128::from(time) + 30);
            }
        }
    }
}

/// Honest inputs.
pub fn seeds() -> Vec<Vec<u8>> {
    let recipe = DEMO.plan.recipe.to_canonical();
    let numbers = [16_u64, 32, TIME].map(u64::to_le_bytes).concat();
    let kinds: [(u8, &[u8]); 4] = [(0, &DEMO.file), (1, &RECORDED.file), (2, &recipe), (3, &numbers)];
    kinds.map(|(kind, bytes)| [&[kind], bytes].concat()).to_vec()
}
