//! Every message of every proof reaches the next challenge, by its absorption and by nothing else.
//!
//! A message is changed where the verifier gets it: in the proof's bytes or among the public inputs. All checks are switched
//! off, so that the verifier goes on. The next challenge is then drawn from another state; without the absorption of the
//! label, in prover and verifier, it is drawn from the same one.

use std::collections::BTreeSet;
use veritune_attacks::absorption::{ABSORPTIONS, Absorption, Proof, comparisons};
use veritune_attacks::certificate::{adapter_of, release_of, sha256};
use veritune_attacks::run::{TinyRun, copies, monotonous, with_loss};
use veritune_commit::{Profile, Root, TreeShape};
use veritune_field::E;
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_mutation::Event;
use veritune_verifier::settlement::{self, StepClaims};
use veritune_verifier::statement::Run;
use veritune_verifier::step::Context;

/// What a verifier gets.
#[derive(Clone)]
struct Given {
    run: Run,
    step: u64,
    states: [Root; 2],
    copies: Vec<Vec<i64>>,
    file: [u8; 32],
    steps: Vec<StepClaims>,
    log_rows: u32,
    bytes: Vec<u8>,
}

fn given(proof: Proof) -> Given {
    let t = TinyRun::of(with_loss(monotonous(2)));
    let context = Context::new(&t.run).expect("a context");
    let (release, _) = release_of(&context, &t.states[2], 2);
    let bytes = match proof {
        Proof::Step => t.proofs[1].clone(),
        Proof::Release => release,
        Proof::Settlement => t.settlement.clone(),
    };
    Given {
        step: 2,
        states: [t.roots[1], t.roots[2]],
        copies: copies(&context, &t.states[2]),
        file: sha256(&adapter_of(&context, &t.states[2])),
        steps: t.claims.clone(),
        log_rows: t.run.spec.log_rows,
        run: t.run.clone(),
        bytes,
    }
}

/// What the verifier's transcript does.
fn events(proof: Proof, given: &Given) -> Vec<Event> {
    let context = Context::new(&given.run).expect("a context");
    let [before, after] = given.states;
    let verify = || match proof {
        Proof::Step => drop(context.verify_step(given.step, before, after, &given.bytes)),
        Proof::Release => drop(context.verify_release(after, &given.copies, &given.file, &given.bytes)),
        Proof::Settlement => {
            let profile = Profile::new(given.log_rows).expect("a profile");
            let base = TreeShape { log_rows: given.log_rows, ..context.shapes.base };
            drop(settlement::verify(&given.run, &profile, base, &given.steps, &given.bytes));
        }
    };
    veritune_mutation::transcribed(verify).1
}

type Change = Box<dyn Fn(&mut Given)>;

/// The changes of a public input, or none if the proof's bytes hold the message.
fn change_of(label: &str) -> Option<Change> {
    let change: fn(&mut Given) = match label {
        "spec digest" => |g| g.run.spec.training.learning_rate.0 = "1.0e-3".into(),
        "plan digest" => |g| g.run.plan_digest[0] ^= 1,
        "seed" => |g| g.run.seed[31] ^= 1,
        "dataset root" => |g| g.run.dataset.0[0] ^= 1,
        "base root" => |g| g.run.base.0[0] ^= 1,
        "step" => |g| g.step += 1,
        "state before" => |g| g.states[0].0[0] ^= 1,
        "state after" | "last state" => |g| g.states[1].0[0] ^= 1,
        "adapter file" => |g| g.file[0] ^= 1,
        "settled step" => |g| g.steps[1].step += 1,
        "settled proof" => |g| g.steps[1].proof_digest[0] ^= 1,
        "settled value" | "opening target" => |g| g.steps[1].claims[0].value += E::ONE,
        "opening profile" => |g| g.log_rows += 1,
        "opening tree" => |g| g.bytes[0] ^= 1,
        _ => return None,
    };
    Some(Box::new(change))
}

/// Flips the lowest bit of a message of this label where it stands in the bytes: the first that stands there once, and the
/// last.
fn changes(label: &str, honest: &Given, events: &[Event]) -> Vec<Change> {
    if let Some(change) = change_of(label) {
        return vec![change];
    }
    let place = |event: &Event| match event {
        Event::Message(l, message) if l == label => {
            let mut places = honest.bytes.windows(message.len()).enumerate().filter(|(_, w)| w == message);
            let (at, _) = places.next()?;
            places.next().is_none().then_some(at)
        }
        _ => None,
    };
    let places: Vec<usize> = events.iter().filter_map(place).collect();
    let ends: BTreeSet<usize> = places.first().into_iter().chain(places.last()).copied().collect();
    ends.into_iter().map(|at| -> Change { Box::new(move |g| g.bytes[at] ^= 1) }).collect()
}

/// For every change: the next challenge's label, and whether it is drawn from another state.
fn next_challenges(row: &Absorption, off: &[&str]) -> Vec<(String, bool)> {
    let absorb = off.iter().map(|label| format!("absorb {label}"));
    let ids: Vec<String> = comparisons().map(str::to_owned).chain(absorb).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    veritune_mutation::without(&ids, || {
        let honest = given(row.proof);
        let true_events = events(row.proof, &honest);
        let outcome = |change: Change| {
            let mut changed = honest.clone();
            change(&mut changed);
            let events = events(row.proof, &changed);
            let is_changed = |(e, t): &(&Event, &Event)| e != t && matches!(e, Event::Message(l, _) if l == row.label);
            let at = events.iter().zip(&true_events).position(|pair| is_changed(&pair)).expect("another message");
            let drawn = |events: &[Event]| -> Vec<Event> {
                events.iter().filter(|e| matches!(e, Event::Drawn(..))).cloned().collect()
            };
            assert_eq!(drawn(&events[..at]), drawn(&true_events[..at]), "{}: earlier challenges", row.label);
            let next = |events: &[Event]| drawn(&events[at..]).first().cloned().expect("a challenge");
            let (next, true_next) = (next(&events), next(&true_events));
            let Event::Drawn(label, _) = &next else { unreachable!() };
            (label.clone(), next != true_next)
        };
        changes(row.label, &honest, &true_events).into_iter().map(outcome).collect()
    })
}

#[test]
fn every_message_reaches_the_next_challenge_by_its_absorption_alone() {
    let mut wrong = Vec::new();
    for row in ABSORPTIONS {
        // What else the change of this input reaches, which would hide that the message is absorbed or that it is not.
        let others: &[&str] = match row.label {
            "opening target" => &["settled value"],
            "opening profile" => &["opening tree"],
            _ => &[],
        };
        let absorbed = next_challenges(row, others);
        let unabsorbed = next_challenges(row, &[others, &[row.label]].concat());
        let is = |outcomes: &[(String, bool)], differs: bool| {
            !outcomes.is_empty() && outcomes.iter().all(|(_, d)| *d == differs)
        };
        if !absorbed.iter().all(|(next, _)| next == row.next) || !is(&absorbed, true) || !is(&unabsorbed, false) {
            wrong.push(format!("{}: {absorbed:?}, without {unabsorbed:?}", row.label));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_label_of_every_proof_is_listed() {
    let mut labels = BTreeSet::new();
    for proof in [Proof::Step, Proof::Release, Proof::Settlement] {
        for event in events(proof, &given(proof)) {
            if let Event::Message(label, _) = event {
                labels.insert(label);
            }
        }
    }
    let listed: BTreeSet<String> = ABSORPTIONS.iter().map(|row| row.label.to_owned()).collect();
    assert_eq!((labels, listed.len()), (listed, ABSORPTIONS.len()));
}

/// Rows and siblings are not absorbed: the roots and the positions fix them.
#[test]
fn what_a_root_binds_is_no_message() {
    let honest = given(Proof::Step);
    let (_, fields) = veritune_mutation::traced(|| events(Proof::Step, &honest));
    assert!(fields.iter().any(|f| f.name == "tree 1 row columns"));
    // The last bytes are siblings of the last oracle.
    let mut changed = honest.clone();
    *changed.bytes.last_mut().expect("bytes") ^= 1;
    let all: Vec<&str> = comparisons().collect();
    veritune_mutation::without(&all, || {
        assert!(events(Proof::Step, &changed) == events(Proof::Step, &honest), "a sibling moves a challenge");
    });
}
