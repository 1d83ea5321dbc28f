//! Every public input of every statement is bound: changed with the proof kept, the proof is refused.
//!
//! The inputs are enumerated from the types: the fields of [`Run`] by a pattern without `..`, those of the spec from its
//! own serialisation, so that a new field is changed here too or fails to compile.

use serde_json::Value;
use std::sync::LazyLock;
use veritune_attacks::certificate::{adapter_of, release_of, sha256};
use veritune_attacks::run::{TinyRun, copies, monotonous};
use veritune_attacks::{TinyCertificate, World};
use veritune_commit::Root;
use veritune_commit::rows::dataset_root;
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_relations::Spec;
use veritune_verifier::rows::{self, RowsRefused};
use veritune_verifier::settlement::{self, StepClaims};
use veritune_verifier::statement::Run;
use veritune_verifier::step::Context;

static WORLD: LazyLock<TinyCertificate> = LazyLock::new(|| World::AdamW.prove());

/// Every value of a JSON document that is no container, changed: path and changed document.
fn changed_leaves(document: &Value) -> Vec<(String, Value)> {
    fn visit(value: &Value, path: &str, out: &mut Vec<(String, String)>) {
        match value {
            Value::Object(members) => {
                for (key, child) in members {
                    visit(child, &format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), out);
                }
            }
            Value::Array(items) => {
                out.push((path.to_owned(), String::new()));
                for (i, child) in items.iter().enumerate() {
                    visit(child, &format!("{path}/{i}"), out);
                }
            }
            leaf => out.push((path.to_owned(), leaf.to_string())),
        }
    }
    let mut paths = Vec::new();
    visit(document, "", &mut paths);
    let change = |(path, _): (String, String)| {
        let mut changed = document.clone();
        let target = changed.pointer_mut(&path).expect("a path of the document");
        *target = match target.clone() {
            Value::Bool(flag) => Value::from(!flag),
            Value::Number(number) => Value::from(number.as_i64().expect("an integer") + 1),
            Value::String(text) => match text.as_str() {
                "constant" => Value::from("linear"),
                "adamw" => Value::from("sgd"),
                "hidden" => Value::from("public"),
                "q_proj" => Value::from("k_proj"),
                // Another text of the same number still is another spec.
                number if number.parse::<f64>().is_ok() => Value::from(format!("0{number}")),
                other => Value::from(format!("{other}x")),
            },
            Value::Array(mut items) => {
                items.pop();
                Value::Array(items)
            }
            other => unreachable!("{other}"),
        };
        (path, changed)
    };
    paths.into_iter().map(change).collect()
}

/// The run with every one of its inputs changed, one at a time.
fn changed_runs(run: &Run) -> Vec<(String, Result<Run, String>)> {
    // No `..`: a new field does not compile until it is changed here.
    let Run { spec, plan_digest: _, seed: _, dataset: _, base: _ } = run;
    let mut runs: Vec<(String, Result<Run, String>)> = Vec::new();
    let mut push = |name: &str, change: fn(&mut Run)| {
        let mut changed = run.clone();
        change(&mut changed);
        runs.push((name.to_owned(), Ok(changed)));
    };
    push("plan_digest", |r| r.plan_digest[7] ^= 1);
    push("seed", |r| r.seed[31] ^= 1);
    push("dataset", |r| r.dataset.0[0] ^= 1);
    push("base", |r| r.base.0[0] ^= 1);
    let document = serde_json::to_value(spec).expect("a spec");
    for (path, changed) in changed_leaves(&document) {
        let parsed = serde_json::from_value::<Spec>(changed).map_err(|e| e.to_string());
        let parsed = parsed.map(|spec| Run { spec, ..run.clone() });
        runs.push((format!("spec{path}"), parsed));
    }
    runs
}

/// What three proofs say of a statement: none of them may be accepted.
struct Verdicts {
    step: Result<(), String>,
    settlement: Result<(), String>,
    release: Result<(), String>,
}

fn verdicts(run: &Run, copies: &[Vec<i64>], digest: &[u8; 32], release: &[u8]) -> Result<Verdicts, String> {
    let t = &WORLD.tiny;
    let context = Context::new(run).map_err(|e| e.to_string())?;
    let text = |e: &dyn std::fmt::Display| e.to_string();
    Ok(Verdicts {
        step: context.verify_step(2, t.roots[1], t.roots[2], &t.proofs[1]).map(|_| ()).map_err(|e| text(&e)),
        settlement: settlement::verify(run, &context.profile, context.shapes.base, &t.claims, &t.settlement)
            .map_err(|e| text(&e)),
        release: context.verify_release(t.roots[2], copies, digest, release).map_err(|e| text(&e)),
    })
}

fn released() -> (Vec<Vec<i64>>, [u8; 32], Vec<u8>) {
    let t = &WORLD.tiny;
    let context = Context::new(&t.run).expect("a context");
    let file = adapter_of(&context, &t.states[2]);
    let digest = sha256(&file);
    (copies(&context, &t.states[2]), digest, release_of(&context, &t.states[2], 2).0)
}

#[test]
fn every_field_of_the_run_is_bound_in_every_proof() {
    let (copies, digest, release) = released();
    let honest = verdicts(&WORLD.tiny.run, &copies, &digest, &release).expect("a context");
    assert_eq!([honest.step, honest.settlement, honest.release], [Ok(()), Ok(()), Ok(())]);
    let (mut refused, mut invalid) = (0, 0);
    for (name, run) in changed_runs(&WORLD.tiny.run) {
        // A spec outside its ranges has no statement at all.
        let Ok(run) = run else {
            invalid += 1;
            continue;
        };
        let Ok(verdicts) = verdicts(&run, &copies, &digest, &release) else {
            invalid += 1;
            continue;
        };
        for (proof, verdict) in
            [("step", verdicts.step), ("settlement", verdicts.settlement), ("release", verdicts.release)]
        {
            let refusal = verdict.expect_err(&format!("{proof} accepts another {name}"));
            // Copies of another rank or number of layers have no release at all.
            let known = ["VT-ARG-", "VT-PROOF-004", "VT-ROWS-", "opening-", "spec field "]
                .iter()
                .any(|start| refusal.starts_with(start));
            assert!(known, "{proof}, {name}: {refusal}");
            refused += 1;
        }
    }
    println!("{refused} proofs refused, {invalid} specs without a statement");
    assert!(refused >= 90 && invalid >= 90, "{refused} {invalid}");
}

#[test]
fn a_step_is_bound_to_its_number_and_states() {
    let t = &WORLD.tiny;
    let context = Context::new(&t.run).expect("a context");
    let verdict = |step: u64, before: Root, after: Root| {
        context.verify_step(step, before, after, &t.proofs[1]).map(|_| ()).map_err(|e| e.to_string())
    };
    assert_eq!(verdict(2, t.roots[1], t.roots[2]), Ok(()));
    let flipped = |root: Root, byte: usize| {
        let mut root = root;
        root.0[byte] ^= 1;
        root
    };
    for step in [0, 3, u64::MAX] {
        assert!(verdict(step, t.roots[1], t.roots[2]).expect_err("accepted").starts_with("VT-PROOF-003"));
    }
    assert!(verdict(1, t.roots[1], t.roots[2]).expect_err("accepted").starts_with("VT-PROOF-003"));
    for byte in [0, 9, 31] {
        assert!(
            verdict(2, flipped(t.roots[1], byte), t.roots[2])
                .expect_err("accepted")
                .starts_with("opening-sumcheck-claim")
        );
        assert!(
            verdict(2, t.roots[1], flipped(t.roots[2], byte))
                .expect_err("accepted")
                .starts_with("opening-sumcheck-claim")
        );
    }
}

#[test]
fn a_release_is_bound_to_state_copies_and_file() {
    let t = &WORLD.tiny;
    let context = Context::new(&t.run).expect("a context");
    let (copies, digest, release) = released();
    let verdict = |last: Root, copies: &[Vec<i64>], digest: &[u8; 32]| {
        context.verify_release(last, copies, digest, &release).map_err(|e| e.to_string())
    };
    assert_eq!(verdict(t.roots[2], &copies, &digest), Ok(()));
    assert!(verdict(t.roots[1], &copies, &digest).expect_err("accepted").starts_with("opening-sumcheck-claim"));
    let mut other_file = digest;
    other_file[31] ^= 1;
    assert!(verdict(t.roots[2], &copies, &other_file).expect_err("accepted").starts_with("opening-sumcheck-claim"));
    for matrix in 0..copies.len() {
        let mut other = copies.clone();
        let entry = other[matrix].last_mut().expect("an entry");
        *entry += if *entry > 0 { -1 } else { 1 };
        let refusal = verdict(t.roots[2], &other, &digest).expect_err("accepted");
        assert!(refusal.starts_with("opening-sumcheck-claim"), "matrix {matrix}: {refusal}");
    }
}

#[test]
fn a_settlement_is_bound_to_every_field_of_its_steps() {
    let t = &WORLD.tiny;
    let context = Context::new(&t.run).expect("a context");
    // No `..`: a new field does not compile until it is changed here.
    let StepClaims { step: _, proof_digest: _, claims } = &t.claims[0];
    let verdict = |change: &dyn Fn(&mut StepClaims)| {
        let mut steps = t.claims.clone();
        change(&mut steps[0]);
        settlement::verify(&t.run, &context.profile, context.shapes.base, &steps, &t.settlement).map_err(|e| e.code())
    };
    assert_eq!(verdict(&|_| ()), Ok(()));
    let refused = Err("opening-sumcheck-claim");
    assert_eq!(verdict(&|s| s.step += 1), refused);
    assert_eq!(verdict(&|s| s.proof_digest[31] ^= 1), refused);
    for claim in 0..claims.len() {
        assert_eq!(
            verdict(&|s| s.claims[claim].value = s.claims[claim].value.double()),
            refused,
            "value of claim {claim}"
        );
        assert_eq!(verdict(&|s| drop(s.claims.remove(claim))), refused, "claim {claim}");
    }
}

/// The one row of a dataset is its tree: no hash refuses its words.
#[test]
fn a_leaf_that_is_no_field_elements_is_refused() {
    let leaf = [0xff; 32];
    let mut run = TinyRun::of(monotonous(1)).run;
    run.dataset = dataset_root(run.spec.training.tokens, 1, &leaf);
    assert_eq!(rows::verify(&run, &[0], &leaf), Err(RowsRefused::NotCanonical { row: 0 }));
}
