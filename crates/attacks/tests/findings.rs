//! Statements that look sound and are not unless somebody says so.

use veritune_attacks::{Setting, prove_and_verify, violated};
use veritune_relations::scales::{KINDS, Rule};

/// Ids that need all bits of the vocabulary's axis but are no tokens: the one-hot of such an id is zero.
#[test]
fn ids_outside_the_vocabulary_are_refused() {
    for name in ["batch.tokens", "batch.targets"] {
        let mut setting = Setting::odd();
        assert!(!setting.spec.model.vocab.is_power_of_two());
        let tokens = setting.spec.training.tokens;
        let labelled = (0..tokens).find(|&t| setting.inputs["batch.supervised"][t] == 1).expect("a label");
        let id = setting.spec.model.vocab as i64 + 1;
        setting.inputs.get_mut(name).expect("an input")[labelled] = id;
        // Whether no check or the executor refuses it, it must not be proved.
        if let Ok(tensors) = setting.execute(&setting.program) {
            let seen = violated(&setting.program, &tensors);
            let verdict = prove_and_verify(&setting.program, &setting.program, &tensors, None);
            assert!(verdict.is_err(), "{name} = {id} of a vocabulary of {} is accepted, seen by {seen:?}", id - 1);
        }
    }
}

/// A softmax at another temperature: the exponential's table is made for the scale of the scores and read by logits.
#[test]
fn logits_at_another_scale_than_scores_are_refused() {
    let mut spec = Setting::even().spec;
    spec.scales.0.get_mut("logit").expect("a kind").fraction_bits -= 3;
    assert!(Setting::new(spec, 2).is_err(), "a softmax at an eighth of the temperature is a valid spec");
}

/// A plan whose scales round every gradient to zero, or read a value at another scale than it was made for.
#[test]
fn scales_of_fixed_kinds_are_fixed() {
    for kind in KINDS.iter().filter(|k| matches!(k.rule, Rule::Fixed)) {
        for (bits, fraction_bits) in [(0, 1), (0, -1), (1, 0), (-1, 0)] {
            let mut spec = Setting::even().spec;
            let scale = spec.scales.0.get_mut(kind.name).expect("a kind");
            scale.fraction_bits += fraction_bits;
            scale.bits = scale.bits.strict_add_signed(bits);
            assert!(spec.validate().is_err(), "{}: {bits} bits, {fraction_bits} fraction bits more", kind.name);
        }
    }
}

/// A scale of a kind with head-room that is so coarse that the gradient is rounded to zero.
#[test]
fn coarse_gradient_scales_are_refused() {
    let mut spec = Setting::even().spec;
    spec.scales.0.get_mut("grad.adapter").expect("a kind").fraction_bits = -3;
    let Ok(setting) = Setting::new(spec, 2) else { return };
    let tensors = setting.execute(&setting.program).expect("executes");
    let gradient = setting.program.find("grad.q_proj.a").expect("a tensor");
    let zero = tensors.get(gradient).iter().all(|&g| g == 0);
    let verdict = prove_and_verify(&setting.program, &setting.program, &tensors, None);
    assert!(!zero || verdict.is_err(), "no gradient of A is left, and the step is accepted");
}
