//! Attacks on a run: proofs out of place, states that are not the chain's, settlements of something else.

use std::sync::LazyLock;
use veritune_attacks::run::{TinyRun, base_tree, first_state, prove_step, settle, state_tree, vectors};
use veritune_commit::Root;
use veritune_relations::spec::Decimal;
use veritune_soundness::Derivation;
use veritune_verifier::known::Known;
use veritune_verifier::ledger::run_ledger;
use veritune_verifier::settlement::{self, StepClaims};
use veritune_verifier::statement::{Run, base_root};
use veritune_verifier::step::Context;

static RUN: LazyLock<TinyRun> = LazyLock::new(TinyRun::new);

/// The code of a refusal of a step's proof, or `accepted`.
fn verdict(run: &Run, step: u64, before: Root, after: Root, bytes: &[u8]) -> String {
    let context = Context::new(run).expect("a context");
    context.verify_step(step, before, after, bytes).map_or_else(|e| e.to_string(), |_| "accepted".to_owned())
}

fn assert_refused(what: &str, verdict: &str) {
    println!("{what}: {verdict}");
    assert_ne!(verdict, "accepted", "{what}");
}

#[test]
fn a_proof_belongs_to_one_step_between_two_states() {
    let t = &*RUN;
    let [r0, r1, r2] = [t.roots[0], t.roots[1], t.roots[2]];
    let [first, second] = [&t.proofs[0][..], &t.proofs[1][..]];
    assert_eq!(verdict(&t.run, 1, r0, r1, first), "accepted");
    assert_eq!(verdict(&t.run, 2, r1, r2, second), "accepted");
    let cases: [(&str, u64, Root, Root, &[u8]); 8] = [
        ("reused at the next step", 2, r1, r2, first),
        ("reused at the next step with its own states", 2, r0, r1, first),
        ("swapped, first", 1, r0, r1, second),
        ("swapped, second", 2, r1, r2, first),
        ("a step dropped", 1, r0, r2, second),
        ("a step dropped, renumbered", 2, r0, r2, second),
        ("a step doubled", 3, r2, r2, second),
        ("states exchanged", 2, r2, r1, second),
    ];
    for (what, step, before, after, bytes) in cases {
        assert_refused(what, &verdict(&t.run, step, before, after, bytes));
    }
}

type Change = (&'static str, fn(&mut Run));

#[test]
fn every_public_input_is_bound() {
    let t = &*RUN;
    let changes: [Change; 11] = [
        ("plan digest", |r| r.plan_digest[0] ^= 1),
        ("seed", |r| r.seed[31] ^= 1),
        ("dataset root", |r| r.dataset.0[0] ^= 1),
        ("base root", |r| r.base.0[0] ^= 1),
        ("learning rate", |r| r.spec.training.learning_rate = Decimal("1.0e-3".into())),
        ("weight decay", |r| r.spec.training.weight_decay = Decimal("0".into())),
        ("steps", |r| r.spec.training.steps = 3),
        ("scaling", |r| r.spec.lora.scaling_65536 = 1 << 16),
        ("targets", |r| r.spec.lora.targets.truncate(6)),
        ("profile", |r| r.spec.log_rows += 1),
        ("range table", |r| r.spec.range_bits += 1),
    ];
    for (what, change) in changes {
        let mut run = t.run.clone();
        change(&mut run);
        assert_refused(what, &verdict(&run, 2, t.roots[1], t.roots[2], &t.proofs[1]));
    }
    for (what, before, after) in [("state before", 1, 0), ("state after", 0, 1)] {
        let mut roots = [t.roots[1], t.roots[2]];
        roots[after.min(before)].0[9] ^= 1;
        assert_refused(what, &verdict(&t.run, 2, roots[0], roots[1], &t.proofs[1]));
    }
}

#[test]
fn nobody_starts_from_a_poisoned_adapter() {
    let t = &*RUN;
    let context = Context::new(&t.run).expect("a context");
    let mut poisoned = first_state(&context);
    let master = poisoned.get_mut("state_before.v_proj.a.master").expect("a master");
    master[0] += 1 << 20;
    let proof = prove_step(&context, &t.inputs, &t.dataset, 1, &poisoned, [0, 1]);
    assert_refused("poisoned A", &verdict(&t.run, 1, t.roots[0], proof.after_root, &proof.bytes));
    // With the poisoned state as the public one, nothing else is wrong.
    let mut blind = Context::new(&t.run).expect("a context");
    let layout = veritune_relations::layout::Layout::new(&blind.first.program);
    let [_, state, ..] = vectors(&blind.first.program, &layout, &poisoned);
    blind.first_state = Known::from(state);
    assert!(blind.verify_step(1, t.roots[0], proof.after_root, &proof.bytes).is_ok());
}

#[test]
fn a_state_reset_between_steps_is_another_root() {
    let t = &*RUN;
    let context = Context::new(&t.run).expect("a context");
    let reset = &t.states[0];
    let proof = prove_step(&context, &t.inputs, &t.dataset, 2, reset, [50, 51]);
    let reset_root = state_tree(&context, reset, 50).root();
    assert_ne!(reset_root, t.roots[1]);
    assert_refused("reset under the chain's root", &verdict(&t.run, 2, t.roots[1], proof.after_root, &proof.bytes));
    // The step itself is true: only the chain sees it, because the root is another one.
    assert_eq!(verdict(&t.run, 2, reset_root, proof.after_root, &proof.bytes), "accepted");
    assert_ne!(t.run.state_root(1, &reset_root), t.run.state_root(1, &t.roots[1]));
    assert_ne!(t.run.state_root(1, &t.roots[1]), t.run.state_root(2, &t.roots[1]));
}

fn settled(run: &Run, steps: &[StepClaims], bytes: &[u8]) -> String {
    let context = Context::new(run).expect("a context");
    settlement::verify(run, &context.profile, context.shapes.base, steps, bytes)
        .map_or_else(|e| e.code().to_owned(), |()| "accepted".to_owned())
}

#[test]
fn a_settlement_is_of_this_base_and_of_exactly_these_proofs() {
    let t = &*RUN;
    assert_eq!(settled(&t.run, &t.claims, &t.settlement), "accepted");
    let [a, b] = [t.claims[0].clone(), t.claims[1].clone()];
    let mut other_digest = t.claims.clone();
    other_digest[0].proof_digest[0] ^= 1;
    let mut other_value = t.claims.clone();
    let addend = other_value[1].claims[1].value;
    other_value[1].claims[0].value += addend;
    let mut fewer_claims = t.claims.clone();
    fewer_claims[1].claims.pop();
    let mut renumbered = t.claims.clone();
    renumbered[1].step = 3;
    let cases: [(&str, Vec<StepClaims>); 8] = [
        ("two steps exchanged", vec![b.clone(), a.clone()]),
        ("a step missing", vec![a.clone()]),
        ("a step doubled", vec![a.clone(), b.clone(), b.clone()]),
        ("no step", vec![]),
        ("another proof", other_digest),
        ("another value", other_value),
        ("a claim missing", fewer_claims),
        ("another step number", renumbered),
    ];
    for (what, claims) in cases {
        assert_refused(what, &settled(&t.run, &claims, &t.settlement));
    }
    let mut bytes = t.settlement.clone();
    bytes.push(0);
    assert_refused("one byte more", &settled(&t.run, &t.claims, &bytes));
    assert_refused("one byte less", &settled(&t.run, &t.claims, &t.settlement[..t.settlement.len() - 1]));
}

#[test]
fn the_ledger_counts_every_claim_that_is_settled() {
    let t = &*RUN;
    let ledger = run_ledger(&Context::new(&t.run).expect("a context")).expect("a ledger");
    let entry = ledger.entries().iter().find(|e| e.source == "settlement challenge").expect("an entry");
    let settled: usize = t.claims.iter().map(|c| c.claims.len()).sum();
    assert_eq!(entry.derivation, Derivation::OverChallengeField { numerator: settled as u64 });
}

#[test]
fn a_step_with_another_base_verifies_and_does_not_settle() {
    let t = &*RUN;
    let context = Context::new(&t.run).expect("a context");
    let mut inputs = t.inputs.clone();
    inputs.get_mut("base.down").expect("the base")[5] += 1;
    let proof = prove_step(&context, &inputs, &t.dataset, 1, &t.states[0], [0, 1]);
    let claims =
        context.verify_step(1, t.roots[0], proof.after_root, &proof.bytes).expect("only the base is false").claims;
    let claims = vec![StepClaims { step: 1, proof_digest: [0; 32], claims }];
    let honest_tree = settle(&t.run, &t.inputs, &claims);
    assert_refused("settled with the honest base", &settled(&t.run, &claims, &honest_tree));
    let own_tree = settle(&t.run, &inputs, &claims);
    assert_refused("settled with the changed base", &settled(&t.run, &claims, &own_tree));
    // With the changed base as the committed one, it settles: nothing else sees the lie.
    let mut blind = t.run.clone();
    blind.base = base_root(&t.run.spec, &base_tree(&t.run, &inputs).root());
    let own_tree = settle(&blind, &inputs, &claims);
    assert_eq!(settled(&blind, &claims, &own_tree), "accepted");
}
