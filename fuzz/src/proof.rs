//! The proofs of a run: both steps, the settlement, the release. No bytes but the honest ones are accepted.

use crate::bytes::{Input, edited, replaced};
use crate::certified::{ADAMW, Files, run_of};
use std::sync::LazyLock;
use veritune_commit::Root;
use veritune_envelope::Digest;
use veritune_envelope::adapter_file::decode;
use veritune_verifier::adapter;
use veritune_verifier::settlement::{self, StepClaims};
use veritune_verifier::statement::Run;
use veritune_verifier::step::Context;

/// Everything that the verifier knows when it reads a proof.
struct Proved {
    context: Context<'static>,
    /// The files of both steps, with the states around each.
    steps: [Vec<u8>; 2],
    settled: Vec<StepClaims>,
    settlement: Vec<u8>,
    release: Vec<u8>,
    last: Root,
    copies: Vec<Vec<i64>>,
    file_digest: [u8; 32],
}

static RUN: LazyLock<Run> = LazyLock::new(|| run_of(&ADAMW));

static PROVED: LazyLock<Proved> = LazyLock::new(|| {
    let (context, files): (_, &Files) = (Context::new(&RUN).expect("a context"), &ADAMW);
    let proof = |name: &str| files[&format!("veritune/proofs/{name}.bin")].clone();
    let steps = ["step-000001", "step-000002"].map(proof);
    let adapter = &files["adapter_model.safetensors"];
    let tensors = decode(adapter, &adapter::layouts(&context.first).expect("layouts")).expect("an adapter");
    let (_, after, _) = states(&steps[1]).expect("a step");
    let mut proved = Proved {
        copies: adapter::copies(&context.first, &tensors),
        context,
        steps,
        settled: Vec::new(),
        settlement: proof("settlement"),
        release: proof("release"),
        last: after,
        file_digest: *Digest::sha256(adapter).as_bytes(),
    };
    proved.settled = (1..).zip(&proved.steps).map(|(step, file)| proved.step(step, file).expect("a step")).collect();
    proved
});

/// The states around a step and its proof.
fn states(file: &[u8]) -> Option<(Root, Root, &[u8])> {
    let (before, rest) = file.split_first_chunk()?;
    let (after, proof) = rest.split_first_chunk()?;
    Some((Root(*before), Root(*after), proof))
}

impl Proved {
    fn step(&self, step: u64, file: &[u8]) -> Option<StepClaims> {
        let (before, after, proof) = states(file)?;
        let verified = self.context.verify_step(step, before, after, proof).ok()?;
        // As the prover does.
        let proof_digest = *blake3::hash(file).as_bytes();
        Some(StepClaims { step, proof_digest, claims: verified.claims })
    }

    fn settlement(&self, settled: &[StepClaims], bytes: &[u8]) -> bool {
        settlement::verify(self.context.run, &self.context.profile, self.context.shapes.base, settled, bytes).is_ok()
    }

    fn release(&self, bytes: &[u8]) -> bool {
        self.context.verify_release(self.last, &self.copies, &self.file_digest, bytes).is_ok()
    }
}

/// Verifies the honest proofs, once: with all checks, whatever is taken away later.
#[cfg(feature = "mutation-testing")]
pub(crate) fn prepare() {
    LazyLock::force(&PROVED);
}

/// Edits the honest proof of a kind; returns whether it is accepted, and whether it is the honest one.
pub(crate) fn judge(bytes: &[u8]) -> [bool; 2] {
    let (mut input, proved) = (Input::new(bytes), &*PROVED);
    match input.byte() % 5 {
        kind @ 0..2 => {
            let honest = &proved.steps[usize::from(kind)];
            let file = edited(honest, &mut input);
            let claims = proved.step(u64::from(kind) + 1, &file);
            // What a step claims goes on to the settlement, whatever it is.
            if let Some(claims) = &claims {
                proved.settlement(std::slice::from_ref(claims), &proved.settlement);
            }
            [claims.is_some(), file == *honest]
        }
        2 => {
            let bytes = edited(&proved.settlement, &mut input);
            [proved.settlement(&proved.settled, &bytes), bytes == proved.settlement]
        }
        3 => {
            let bytes = edited(&proved.release, &mut input);
            [proved.release(&bytes), bytes == proved.release]
        }
        _ => {
            let step = u64::from_le_bytes(input.array());
            let file = edited(&proved.steps[1], &mut input);
            [proved.step(step, &file).is_some(), step == 2 && file == proved.steps[1]]
        }
    }
}

/// Edits a proof and checks it.
pub fn run(bytes: &[u8]) {
    let [accepted, is_honest] = judge(bytes);
    assert_eq!(accepted, is_honest, "accepted, and whether it is the honest proof");
}

/// Honest inputs, and one edit of each kind.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = (0..4_u8).map(|kind| vec![kind]).collect();
    seeds.push([&[4][..], &2_u64.to_le_bytes()].concat());
    // The order of the field, where an element may stand: just after both states, in the middle, at the end.
    let order = [&[8, 0][..], &0xffff_ffff_0000_0001_u64.to_le_bytes()].concat();
    for at in [[64, 0, 0], [0, 8, 0], [0, 0, 1], [0xff, 0xff, 0]] {
        seeds.extend((0..4_u8).map(|kind| [&[kind, 0][..], &at, &order].concat()));
    }
    seeds.push([&[2][..], &[5, 9, 0, 0, 1]].concat());
    seeds.push([vec![1], replaced(&PROVED.steps[1][..96])].concat());
    seeds
}
