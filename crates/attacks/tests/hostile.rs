//! Hostile bytes for every parser of the verifier: mutations of real files, in bounded time and memory, no panic.
//!
//! One test, because the peak of the allocator is the process's.

use peak_alloc::PeakAlloc;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::time::Duration;
use veritune_attacks::certificate::{adapter_of, release_of, sha256};
use veritune_attacks::run::{copies, monotonous};
use veritune_attacks::{TinyCertificate, World};
use veritune_envelope::canonical_json::{self, Value};
use veritune_envelope::index::Index;
use veritune_envelope::signature::PublicKey;
use veritune_envelope::statement::{ClaimsV1, PlanV1, Statement};
use veritune_envelope::{adapter_file, bundle};
use veritune_relations::Spec;
use veritune_relations::scales::Scales;
use veritune_relations::spec::Target;
use veritune_verifier::statement::Run;
use veritune_verifier::step::Context;
use veritune_verifier::{adapter, seed, settlement};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// One edit of a file.
#[derive(Debug, Clone)]
enum Edit {
    Flip(usize, u8),
    Overwrite(usize, Vec<u8>),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Repeat(usize, usize),
    Cut(usize),
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..12),
        // Lengths and numbers that ask for much, text that nests.
        Just(u64::MAX.to_le_bytes().to_vec()),
        Just((1_u64 << 62).to_le_bytes().to_vec()),
        Just(b"9007199254740992".to_vec()),
        Just(b"99999999999999999999999999".to_vec()),
        Just(b"-1".to_vec()),
        Just(b"1e999".to_vec()),
        Just(b"\\u0000\\ud800".to_vec()),
        Just(b"[[[[[[[[[[[[[[[[".to_vec()),
        Just(b"{\"\":".repeat(70)),
    ]
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let at = any::<usize>;
    let edit = prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        (at(), bytes()).prop_map(|(at, bytes)| Edit::Overwrite(at, bytes)),
        (at(), bytes()).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        (at(), 1..64_usize).prop_map(|(at, len)| Edit::Remove(at, len)),
        (at(), 1..4096_usize).prop_map(|(at, len)| Edit::Repeat(at, len)),
        at().prop_map(Edit::Cut),
    ];
    proptest::collection::vec(edit, 1..5)
}

fn edited(file: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut out = file.to_vec();
    for edit in edits {
        let len = out.len().max(1);
        match edit {
            Edit::Flip(at, bit) => {
                if let Some(byte) = out.get_mut(at % len) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            Edit::Overwrite(at, bytes) => {
                let at = at % len;
                let end = (at + bytes.len()).min(out.len());
                out.splice(at.min(end)..end, bytes.iter().copied());
            }
            Edit::Insert(at, bytes) => {
                let at = (at % len).min(out.len());
                out.splice(at..at, bytes.iter().copied());
            }
            Edit::Remove(at, count) => {
                let at = (at % len).min(out.len());
                let end = (at + count).min(out.len());
                out.drain(at..end);
            }
            Edit::Repeat(at, count) => {
                let at = (at % len).min(out.len());
                let end = (at + count).min(out.len());
                out.splice(end..end, out[at..end].to_vec());
            }
            Edit::Cut(at) => out.truncate(at % len),
        }
    }
    out
}

/// Processor time of this thread: the machine may do other work.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("nanoseconds"))
}

/// Peak bytes allocated by `work` beyond what was in use, and the processor time of this thread.
fn measured<R>(work: impl FnOnce() -> R) -> (R, usize, Duration) {
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let start = processor_time();
    let result = work();
    let time = processor_time() - start;
    (result, ALLOCATOR.peak_usage().saturating_sub(before), time)
}

/// Reads `cases` mutations of `file`: none accepted but the file itself, none dearer than the file and its own length.
fn hammer(what: &str, file: &[u8], cases: u32, read: impl Fn(&[u8]) -> bool) {
    assert!(read(file), "{what}: the untouched file");
    let (_, honest, honest_time) = measured(|| read(file));
    let mut runner = TestRunner::new_with_rng(
        Config { cases, failure_persistence: None, max_shrink_iters: 0, ..Config::default() },
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    let (mut most, mut accepted) = (0, 0);
    let accepted_counter = std::cell::Cell::new(0);
    let most_counter = std::cell::Cell::new(0);
    let outcome = runner.run(&edits(), |edits| {
        let bytes = edited(file, &edits);
        let (ok, peak, time) = measured(|| read(&bytes));
        if ok && bytes != file {
            accepted_counter.set(accepted_counter.get() + 1);
        }
        most_counter.set(most_counter.get().max(peak));
        prop_assert!(!ok || bytes == file || what.ends_with('*'), "{} accepted", what);
        prop_assert!(peak <= 2 * honest + 64 * bytes.len() + (1 << 20), "{}: {} bytes", what, peak);
        prop_assert!(time <= 20 * honest_time + Duration::from_secs(1), "{}: {:?}", what, time);
        Ok(())
    });
    most = most.max(most_counter.get());
    accepted += accepted_counter.get();
    println!(
        "{what}: {cases} cases, at most {most} bytes (honest {honest} in {honest_time:?}), {accepted} other files read"
    );
    outcome.unwrap_or_else(|e| panic!("{what}: {e}"));
}

#[test]
fn no_parser_panics_or_asks_for_more_than_its_input_is_worth() {
    let world: TinyCertificate = World::AdamW.prove();
    let t = &world.tiny;
    let context = Context::new(&t.run).expect("a context");

    hammer("step proof", &t.proofs[1], 400, |b| context.verify_step(2, t.roots[1], t.roots[2], b).is_ok());
    hammer("settlement", &t.settlement, 400, |b| {
        settlement::verify(&t.run, &context.profile, context.shapes.base, &t.claims, b).is_ok()
    });
    let (release, file) = release_of(&context, &t.states[2], 2);
    let copies = copies(&context, &t.states[2]);
    assert_eq!(file, adapter_of(&context, &t.states[2]));
    let digest = sha256(&file);
    hammer("release proof", &release, 400, |b| context.verify_release(t.roots[2], &copies, &digest, b).is_ok());

    let folder = tempfile::tempdir().expect("a folder");
    world.publish(&world.parts, folder.path()).expect("published");
    let inner = |name: &str| std::fs::read(folder.path().join("veritune").join(name)).expect("a file");
    let envelope = inner("claims.sigstore.json");
    let payload = bundle::from_json(&envelope).expect("an envelope").unverified_payload().to_vec();
    let plan = inner("plan.json");
    // White space and base64 of a container are not signed: another text of the same envelope is no forgery (`*`).
    hammer("envelope*", &envelope, 2000, |b| bundle::from_json(b).is_ok());
    // Texts in a statement are free: the signature binds them.
    hammer("claims statement*", &payload, 2000, |b| Statement::<ClaimsV1>::from_bytes(b).is_ok());
    hammer("index*", &inner("index.json"), 2000, |b| Index::from_bytes(b).is_ok());
    hammer("canonical JSON*", &payload, 2000, |b| canonical_json::parse_canonical(b, 1 << 26).is_ok());
    hammer("plan*", &plan, 2000, |b| canonical_json::decode_canonical::<PlanV1>(b, 1 << 26).is_ok());
    hammer("seed*", &inner("seed.json"), 1000, |b| {
        seed::check(b, &world.parts.plan, world.parts.plan.digest().expect("a plan").as_bytes()).is_ok()
    });
    hammer("public key", world.public_key().as_bytes(), 1000, |b| {
        std::str::from_utf8(b)
            .is_ok_and(|pem| PublicKey::from_pem(pem).is_ok_and(|k| k.to_pem().is_ok_and(|p| p == world.public_key())))
    });
    let layouts = adapter::layouts(&context.first).expect("layouts");
    hammer("adapter file*", &file, 2000, |b| adapter_file::decode(b, &layouts).is_ok());
    let base_hex = t.run.base.to_string();
    let config = adapter::config(&world.parts.plan.recipe, &t.run.spec, &base_hex).expect("a configuration");
    hammer("adapter configuration", &world.parts.config, 1000, |b| config.check(b).is_ok());

    let spec = serde_json::to_vec(&t.run.spec).expect("a spec");
    hammer("spec*", &spec, 1000, |b| {
        let Ok(spec) = serde_json::from_slice::<Spec>(b) else { return false };
        Context::new(&Run { spec, ..t.run.clone() }).is_ok()
    });
    greedy_specs(&t.run, &spec);
}

/// Numbers at the ends of what JSON and the published ranges allow.
const GREEDY: [i64; 15] =
    [-1, 0, 1, 255, 256, 2048, 16_384, 65_536, 1 << 18, 1 << 20, 1 << 21, 1 << 24, 1 << 31, 1 << 53, i64::MAX];

/// Every number of the spec at such an end, then several of them at a time, then the largest adapters: within the limits
/// of the issue on time and memory, an epoch's permutation included.
fn greedy_specs(run: &Run, spec: &[u8]) {
    let document: serde_json::Value = serde_json::from_slice(spec).expect("JSON");
    fn numbers(value: &serde_json::Value, path: String, out: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(members) => {
                members.iter().for_each(|(k, v)| numbers(v, format!("{path}/{k}"), out));
            }
            serde_json::Value::Number(_) => out.push(path),
            _ => {}
        }
    }
    let mut paths = Vec::new();
    numbers(&document, String::new(), &mut paths);
    let mut changes: Vec<Vec<(String, i64)>> =
        paths.iter().flat_map(|path| GREEDY.map(|number| vec![(path.clone(), number)])).collect();
    // Powers of two within the ranges, since heads are to divide each other.
    let ranges = run.spec.ranges();
    let fields: Vec<(String, u32)> =
        ranges.iter().map(|r| (format!("/{}", r.field.replace('.', "/")), r.high.ilog2())).collect();
    let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut random = |below: u32| rng.random_range(0..below);
    for _ in 0..300 {
        let field = |_| {
            let (path, log) = &fields[random(fields.len() as u32) as usize];
            (path.clone(), 1 << random(1 + log))
        };
        changes.push((0..3).map(field).collect());
    }
    let mut specs: Vec<(String, Spec)> = Vec::new();
    for change in changes {
        let mut changed = document.clone();
        for (path, number) in &change {
            *changed.pointer_mut(path).expect("a path") = (*number).into();
        }
        specs.extend(serde_json::from_value(changed).ok().map(|spec| (format!("{change:?}"), spec)));
    }
    // Adapters on the output of attention, whose five axes are padded: two without padding, at the limit, in long rows and in
    // short ones, and larger ones.
    for (range_bits, adapter) in [
        (18, [32, 32, 8, 8, 128]),
        (12, [256, 256, 8, 8, 2]),
        (12, [17, 5, 17, 9, 258]),
        (18, [33, 17, 17, 13, 66]),
        (18, [64, 128, 16, 8, 64]),
    ] {
        let [layers, rank, groups, members, entries] = adapter;
        let mut spec = monotonous(1);
        (spec.range_bits, spec.scales, spec.log_rows) = (range_bits, Scales::starting(range_bits), 20);
        (spec.lora.targets, spec.lora.r) = (vec![Target::Output], rank);
        (spec.model.layers, spec.model.hidden, spec.model.head_dim) = (layers, 2, entries);
        (spec.model.kv_heads, spec.model.heads) = (groups, groups * members);
        (spec.training.rows, spec.training.tokens, spec.dataset_rows) = (1, 2, 1 << 21);
        specs.push((format!("{adapter:?}"), spec));
    }
    let none = String::new();
    let (mut most, mut longest, mut built) = ((0, &none), (Duration::ZERO, &none), 0);
    for (change, spec) in &specs {
        let run = Run { spec: spec.clone(), ..run.clone() };
        let (made, peak, time) = measured(|| Context::new(&run).is_ok_and(|context| !context.rows(1).is_empty()));
        assert!(peak <= 256 << 20, "{change}: {peak} bytes");
        assert!(time <= Duration::from_secs(1), "{change}: {time:?}");
        (most, longest) = (most.max((peak, change)), longest.max((time, change)));
        built += u32::from(made);
    }
    println!("{} greedy specs, {built} built: {most:?} bytes, {longest:?}", specs.len());
    assert!(built > 100 && most.0 >= 64 << 20, "{built} built, {most:?}: too modest to tell");
}

/// The recipe's parser is the canonical JSON's: its values are compared, never followed.
#[test]
fn numbers_of_a_recipe_beyond_64_bits_are_refused() {
    assert!(serde_json::from_str::<Value>("18446744073709551616").is_err());
    assert!(canonical_json::parse_canonical(b"9007199254740993", 64).is_err());
}
