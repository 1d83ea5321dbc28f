//! The masters after the last step, which no step reads: what a certificate says of them when no file is checked.

use veritune_attacks::certificate::TinyCertificate;
use veritune_attacks::run::{adamw, prove_false_step, settle};
use veritune_envelope::Digest;
use veritune_envelope::statement::ProofKind;
use veritune_verifier::request::{Request, verify};
use veritune_verifier::settlement::StepClaims;
use veritune_verifier::step::Context;

/// `2^-16` modulo p, as the signed integer of least absolute value.
const SIXTEENTH_INVERSE: i64 = (1 << 16) - (1 << 48);
/// The matrix that is changed.
const MASTER: &str = "state_after.q_proj.a.master";

/// A master's remainder is `2^16 (w - u) - decay + 2^15 - 2^16 w'`. With `w' + 2^-16` modulo p in place of `w'` it is one
/// less: still a row. The step's proof does not range `w'`, and without the file nothing else reads it.
#[test]
fn a_last_state_that_no_training_gives_is_not_certified() {
    let certificate = TinyCertificate::new(adamw(1));
    let tiny = &certificate.tiny;
    let context = Context::new(&tiny.run).expect("a context");
    let mut honest = 0;
    let lie = |program: &veritune_relations::Program, tensors: &mut veritune_executor::Tensors<i64>| {
        let limb = program.range_bits;
        let get =
            |name: &str, t: &veritune_executor::Tensors<i64>| t.get(program.find(name).expect("a tensor")).to_vec();
        let (before, update) = (get("state_before.q_proj.a.master", tensors), get("q_proj.a.update", tensors));
        let (copy, after) = (get("q_proj.a.copy", tensors), get(MASTER, tensors));
        let lookup = program.lookups.iter().find(|l| l.name == "q_proj.a.master.remainder").expect("a look-up");
        let decay = lookup.columns[0]
            .iter()
            .find(|t| t.factors.first().is_some_and(|v| program.tensor(v.tensor).name == "q_proj.a.copy"))
            .expect("a decay")
            .coefficient;
        // An entry whose remainder has a lowest limb that is not zero: one less of it is the same upper limb.
        let (at, low) = (0..after.len())
            .map(|i| (i, ((before[i] - update[i] - after[i]) << 16) + decay * copy[i] + (1 << 15)))
            .inspect(|(_, r)| assert!((0..1 << 16).contains(r)))
            .map(|(i, r)| (i, r & ((1 << limb) - 1)))
            .find(|&(_, low)| low > 0)
            .expect("an entry");
        honest = after[at];
        tensors.get_mut(program.find(MASTER).expect("a tensor"))[at] += SIXTEENTH_INVERSE;
        vec![(1 << limb) + low as usize - 1]
    };
    let proof = prove_false_step(&context, &tiny.inputs, &tiny.dataset, 1, &tiny.states[0], [0, 1], lie);
    assert_ne!(proof.after_root, tiny.roots[1]);

    let claims = context.verify_step(1, tiny.roots[0], proof.after_root, &proof.bytes);
    let Ok(claims) = claims else { return };
    let file = [&tiny.roots[0].0[..], &proof.after_root.0[..], &proof.bytes].concat();
    let claims = [StepClaims { step: 1, proof_digest: *blake3::hash(&file).as_bytes(), claims }];
    let mut parts = certificate.parts.clone();
    for part in &mut parts.proofs {
        match part.kind.0 {
            ProofKind::Step => part.bytes.clone_from(&file),
            ProofKind::Settlement => part.bytes = settle(&tiny.run, &tiny.inputs, &claims),
            ProofKind::Release => (),
        }
    }
    parts.state_roots[1] = Digest::from_bytes(tiny.run.state_root(1, &proof.after_root));
    let folder = tempfile::tempdir().expect("a folder");
    certificate.publish(&parts, folder.path()).expect("published");

    let with_file = certificate.verify(folder.path());
    assert_eq!((with_file.exit, with_file.code.as_str()), (1, "VT-RUN-010"), "{}", with_file.message);
    let request = Request { keys: vec![certificate.public_key()], no_file: true, ..Request::default() };
    let report = verify(folder.path(), &request);
    let said: Vec<&str> = report.claims.iter().map(|c| c.detail.as_str()).collect();
    assert!(
        report.exit != 0 || report.claims.iter().all(|c| c.kind != "training"),
        "the last state has {} where training gives {honest}, and without the file the verdict is {}: {said:#?}",
        honest + SIXTEENTH_INVERSE,
        report.exit
    );
}
