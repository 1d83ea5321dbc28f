//! A whole run without a witness: the verifier accepts every proof of it, where challenges are known beforehand.

use super::instance::SEED;
use super::one_token_certificate::{STEPS, Saved, TOKENS, certify, context};
use veritune_attacks::certificate::{adapter_of, sha256};
use veritune_attacks::run::{TinyRun, adamw, base_tree, copies, monotonous, with_loss};
use veritune_attacks::simulate::simulate_run;
use veritune_commit::Root;
use veritune_mutation::{Field, programmed, traced};
use veritune_relations::Spec;
use veritune_relations::spec::Visibility;
use veritune_verifier::known::Known;
use veritune_verifier::step::{Context, VerifiedStep};

/// What is public beside spec, seed, plan and losses that are disclosed: base, copies of the released adapter, digest of its file.
fn public(tiny: &TinyRun) -> (Known, Vec<Vec<i64>>, [u8; 32]) {
    let base = Known::from(base_tree(&tiny.run, &tiny.inputs).vector().to_vec());
    let context = Context::new(&tiny.run).expect("a statement");
    let last = tiny.states.last().expect("a state");
    (base, copies(&context, last), sha256(&adapter_of(&context, last)))
}

fn simulate(spec: Spec) {
    // Of the true run nothing else is used.
    let tiny = TinyRun::of(spec);
    let (base, copies, file) = public(&tiny);
    let context = Context::new(&tiny.run).expect("a statement");
    let steps = tiny.run.spec.training.steps as usize;
    let losses: Vec<Option<u32>> = (1..)
        .zip(&tiny.proofs)
        .map(|(step, proof)| {
            let [before, after] = [step - 1, step].map(|number| tiny.roots[number]);
            context.verify_step(step as u64, before, after, proof).expect("an honest step").loss
        })
        .collect();
    veritune_mutation::programmed(SEED, || {
        let simulated = simulate_run(&tiny.run, &base, &copies, &file, &losses, 1);
        let context = Context::new(&simulated.run).expect("a statement");
        let mut before = context.first_root();
        for (step, (proof, &after)) in (1..).zip(simulated.proofs.iter().zip(&simulated.roots)) {
            let verified = context.verify_step(step, before, after, proof);
            let VerifiedStep { claims, loss } = verified.unwrap_or_else(|e| panic!("step {step}: {e}"));
            assert_eq!(loss, losses[step as usize - 1]);
            let value = |parts: &[_]| base.value(parts, veritune_argument::BASE_PLACE);
            assert!(!claims.is_empty() && claims.iter().all(|claim| value(&claim.parts) == claim.value), "the base's");
            before = after;
        }
        assert_eq!(simulated.roots.len(), steps);
        context.verify_release(before, &copies, &file, &simulated.release).expect("the release");
        // Not of another state, not of other copies, and not where challenges depend on messages.
        let mut others = copies.clone();
        others[0][0] += 1;
        context.verify_release(before, &others, &file, &simulated.release).expect_err("other copies");
        // What the certificate of a hidden adapter has of this needs no adapter.
        let unknowing = simulate_run(&tiny.run, &base, &others, &[0; 32], &losses, 1);
        assert!((unknowing.roots, unknowing.proofs) == (simulated.roots.clone(), simulated.proofs.clone()));
        assert_ne!(simulated.proofs[0], tiny.proofs[0]);
        simulated
    });
    let simulated = veritune_mutation::programmed(SEED, || simulate_run(&tiny.run, &base, &copies, &file, &losses, 1));
    let context = Context::new(&simulated.run).expect("a statement");
    let refused = context.verify_step(1, context.first_root(), simulated.roots[0], &simulated.proofs[0]);
    refused.expect_err("challenges that depend on messages");
    assert!(losses.iter().all(|loss| loss.is_some() == (tiny.run.spec.disclose.loss == Visibility::Public)));
}

#[test]
fn a_run_without_rows_and_states_is_accepted_for_programmed_challenges_only() {
    simulate(adamw(2));
    simulate(monotonous(2));
    simulate(with_loss(monotonous(2)));
}

/// What the verifier reads of the steps' proofs: names in order, with places and sizes.
fn fields<'a>(context: &Context<'_>, roots: &[Root], steps: impl Iterator<Item = (u64, &'a [u8])>) -> Vec<Vec<Field>> {
    let read = |(step, bytes): (u64, &[u8])| {
        let [before, after] = [step - 1, step].map(|number| roots[number as usize]);
        let (verdict, fields) = traced(|| context.verify_step(step, before, after, bytes).map(drop));
        assert_eq!(verdict, Ok(()));
        fields
    };
    steps.map(read).collect()
}

#[test]
fn messages_of_two_runs_of_one_spec_and_of_none_have_one_order_and_size() {
    let (one, other, none) = programmed(SEED, || {
        let [one, other] = TOKENS.map(|token| {
            let certificate = certify(token, Saved::Nothing);
            let context = context(&certificate.run, Some(certificate.shapes));
            fields(&context, &certificate.roots, certificate.steps.iter().map(|(step, bytes)| (*step, &bytes[..])))
        });
        let tiny = TinyRun::of(monotonous(STEPS));
        let (base, copies, digest) = public(&tiny);
        let run = simulate_run(&tiny.run, &base, &copies, &digest, &vec![None; STEPS as usize], 2);
        let context = Context::new(&run.run).expect("a statement");
        let roots = [vec![context.first_root()], run.roots].concat();
        (one, other, fields(&context, &roots, (1..).zip(run.proofs.iter().map(Vec::as_slice))))
    });
    assert_eq!(one, other);
    // The last step was proved twice.
    assert_eq!(one[..STEPS as usize], none);
    assert_eq!(one[STEPS as usize - 1], one[STEPS as usize]);
    assert!(one.iter().all(|fields| fields.len() > 1000));
}
