//! A proof that is kept while what it is about changes.

use super::protocol::{ProtocolAttack, SUM, attack};
use crate::certificate::{adapter_of, release_of, sha256};
use crate::run::{self, TinyRun, copies};
use crate::tamper::of_step;
use veritune_commit::Root;
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_field::{E, f_to_bytes};
use veritune_verifier::settlement::{self, StepClaims, combine};
use veritune_verifier::statement::Run;
use veritune_verifier::step::Context;

/// The attacks. The run is that of equal programs, so that as little as possible but the transcript tells inputs apart.
pub(super) const ATTACKS: &[ProtocolAttack] = &[
    attack("a step's proof is kept under another plan", SUM, &["absorb plan digest"], || {
        step(|run| run.plan_digest[0] ^= 1)
    }),
    attack("a step's proof is kept under another spec of equal meaning", SUM, &["absorb spec digest"], || {
        step(|run| run.spec.training.learning_rate.0 = "1.0e-3".into())
    }),
    attack("a step's proof is kept under another seed", SUM, &["absorb seed"], || step(|run| run.seed[31] ^= 1)),
    attack("a step's proof is kept under another base", SUM, &["absorb base root"], || step(|run| run.base.0[0] ^= 1)),
    attack(
        "a step's proof is kept under another dataset",
        "VT-ROWS-003",
        &["VT-ROWS-003", "absorb dataset root"],
        || step(|run| run.dataset.0[0] ^= 1),
    ),
    attack(
        "a step's proof is kept with another leaf of its row",
        "VT-ROWS-003",
        &["VT-ROWS-003", "absorb leaf", "absorb opening target", SUM],
        other_leaf,
    ),
    attack("a release is kept for another file", SUM, &["absorb adapter file"], || {
        release(|_, digest| digest[31] ^= 1)
    }),
    attack(
        "a release is kept for another last state",
        SUM,
        &["absorb last state", "absorb opening tree", "opening-root-mismatch"],
        || release(|last, _| last.0[0] ^= 1),
    ),
    attack("a settlement is kept for other steps", SUM, &["absorb settled step"], || {
        settled(|_, steps| steps[0].step += 1)
    }),
    attack("a settlement is kept for other proofs", SUM, &["absorb settled proof"], || {
        settled(|_, steps| steps[0].proof_digest[0] ^= 1)
    }),
    attack(
        "values of the base are chosen when the challenge that settles them is known",
        SUM,
        &["absorb settled value"],
        || settled(cancelling_values),
    ),
];

/// A run of equal programs, proved with whatever is switched off now.
fn tiny() -> TinyRun {
    TinyRun::of(run::monotonous(2))
}

fn step(change: fn(&mut Run)) -> Result<(), String> {
    let t = tiny();
    let mut run = t.run.clone();
    change(&mut run);
    step_verdict(&t, &run, &t.proofs[1])
}

fn step_verdict(t: &TinyRun, run: &Run, bytes: &[u8]) -> Result<(), String> {
    let context = Context::new(run).map_err(|e| e.to_string())?;
    context.verify_step(2, t.roots[1], t.roots[2], bytes).map(|_| ()).map_err(|e| of_step(&e).0.to_owned())
}

fn other_leaf() -> Result<(), String> {
    let t = tiny();
    let mut bytes = t.proofs[1].clone();
    bytes[..8].copy_from_slice(&f_to_bytes(PrimeCharacteristicRing::TWO));
    step_verdict(&t, &t.run, &bytes)
}

fn release(change: fn(&mut Root, &mut [u8; 32])) -> Result<(), String> {
    let t = tiny();
    let context = Context::new(&t.run).map_err(|e| e.to_string())?;
    let state = &t.states[2];
    let (mut last, mut digest) = (t.roots[2], sha256(&adapter_of(&context, state)));
    let (bytes, _) = release_of(&context, state, 2);
    change(&mut last, &mut digest);
    context.verify_release(last, &copies(&context, state), &digest, &bytes).map_err(|e| of_step(&e).0.to_owned())
}

fn settled(change: fn(&Run, &mut [StepClaims])) -> Result<(), String> {
    let t = tiny();
    let context = Context::new(&t.run).map_err(|e| e.to_string())?;
    let mut steps = t.claims.clone();
    change(&t.run, &mut steps);
    let verdict = settlement::verify(&t.run, &context.profile, context.shapes.base, &steps, &t.settlement);
    verdict.map_err(|e| e.code().to_owned())
}

/// Two values of the base are changed so that their combination is not, at the challenge that would follow if values were
/// not absorbed.
fn cancelling_values(run: &Run, steps: &mut [StepClaims]) {
    let honest = combine(run, steps).0.target;
    steps[0].claims[1].value += E::ONE;
    // The second value is weighed by the challenge, the first by one.
    let challenge = combine(run, steps).0.target - honest;
    steps[0].claims[0].value -= challenge;
}
