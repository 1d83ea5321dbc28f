//! A whole run without a witness: the verifier accepts every proof of it, where challenges are known beforehand.

use super::instance::SEED;
use veritune_attacks::certificate::{adapter_of, sha256};
use veritune_attacks::run::{TinyRun, adamw, base_tree, copies, monotonous, with_loss};
use veritune_attacks::simulate::simulate_run;
use veritune_relations::Spec;
use veritune_relations::spec::Visibility;
use veritune_verifier::known::Known;
use veritune_verifier::step::{Context, VerifiedStep};

fn simulate(spec: Spec) {
    // Public: spec, seed, plan, base, the released adapter, and the losses if they are disclosed. Of the true run nothing else is used.
    let tiny = TinyRun::of(spec);
    let base = Known::from(base_tree(&tiny.run, &tiny.inputs).vector().to_vec());
    let context = Context::new(&tiny.run).expect("a statement");
    let last = tiny.states.last().expect("a state");
    let (copies, file) = (copies(&context, last), sha256(&adapter_of(&context, last)));
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
