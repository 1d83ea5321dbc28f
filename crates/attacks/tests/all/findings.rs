//! Statements that look sound and are not unless somebody says so.

use veritune_attacks::{Setting, prove_and_verify, violated};
use veritune_relations::builder::{Builder, Make, Sum};
use veritune_relations::constants::step_constants;
use veritune_relations::scales::{KINDS, Rule};
use veritune_relations::spec::Decimal;
use veritune_relations::step;
use veritune_relations::{Place, Range};

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

/// A learning rate of so many digits that its conversion leaves 127 bits: `0.000737…` is 2^66 + 1 units of 10^-23. With
/// wrapping arithmetic it became -0.000737…: the plan shows descent, the proof is of ascent.
#[test]
fn a_decimal_of_many_digits_is_the_number_that_is_proved() {
    let constants = |rate: &str, decay: &str| {
        let mut training = Setting::even().spec.training;
        (training.learning_rate, training.weight_decay) = (Decimal(rate.into()), Decimal(decay.into()));
        step_constants(&training, 2, 34)
    };
    let short = constants("0.00073786976294838", "0.00073786976294838").expect("constants");
    assert!(short.update_factor > 0 && short.decay_factor > 0);
    for digits in ["0.00073786976294838206465", "0.000737869762948382064650", "7.3786976294838206465e-4"] {
        for (rate, decay) in [(digits, "0.00073786976294838"), ("0.00073786976294838", digits)] {
            assert_eq!(constants(rate, decay).as_ref(), Ok(&short), "{rate} {decay}");
        }
    }
    // Twice as many units leave 127 bits already before rounding: refused, not wrapped.
    for digits in ["0.00147573952589676412931", "0.001475739525896764129288888888"] {
        assert!(constants(digits, "0").is_err(), "{digits}");
        assert!(constants("1e-3", digits).is_err(), "{digits}");
    }
    // An epsilon of a norm of 16,384 entries: the product with the width leaves 127 bits.
    assert!(Decimal("0.9999999999999999999999999999".into()).times_to_fixed(1 << 14, 24).is_err());
    assert_eq!(Decimal("1e-5".into()).times_to_fixed(1 << 14, 24), Ok(2_748_779));
}

/// The range of the decay, which makes a master the one integer that training gives (`last_master.rs`), is at most 33 bits.
#[test]
fn a_decay_of_more_than_the_whole_weight_is_refused() {
    let build = |rate: &str, decay: &str| {
        let mut spec = Setting::even().spec.clone();
        (spec.training.learning_rate, spec.training.weight_decay) = (Decimal(rate.into()), Decimal(decay.into()));
        veritune_relations::step::build(&spec, 2, &veritune_relations::step::no_leaves(&spec))
    };
    assert!(build("1", "1").is_ok());
    for (rate, decay) in [("1", "1.00000001"), ("3", "3"), ("0.5", "2.1")] {
        let refused = build(rate, decay).expect_err("refused").to_string();
        assert!(refused.contains("training.weight_decay"), "{rate} {decay}: {refused}");
    }
}

/// A bias correction that leaves 127 bits: the update's factor wrapped to anything.
#[test]
fn an_update_factor_that_does_not_fit_is_refused() {
    let mut training = Setting::even().spec.training;
    let decimals = ["3.9", "0.9999", "0.9"].map(|d| Decimal(d.into()));
    [training.learning_rate, training.adam_beta1, training.adam_beta2] = decimals;
    assert!(step_constants(&training, 1, 34).is_err());
}

#[test]
fn negative_decimals_are_refused() {
    type Field = fn(&mut veritune_relations::Spec) -> &mut Decimal;
    let fields: [Field; 8] = [
        |s| &mut s.training.learning_rate,
        |s| &mut s.training.weight_decay,
        |s| &mut s.training.adam_beta1,
        |s| &mut s.training.adam_beta2,
        |s| &mut s.training.adam_epsilon,
        |s| &mut s.training.max_grad_norm,
        |s| &mut s.model.rms_norm_eps,
        |s| &mut s.model.rope_theta,
    ];
    for field in fields {
        for value in ["-1e-3", "-0.1", "-0.00000000000000000001"] {
            let mut spec = Setting::even().spec;
            *field(&mut spec) = Decimal(value.into());
            assert!(spec.validate().is_err(), "{value}");
        }
    }
}

/// A coefficient that its scale moves out of its bits, which a shift would silently wrap.
#[test]
fn a_sum_that_is_aligned_too_far_is_refused() {
    for (value, fraction_bits) in [(1 << 40, 40), (3, 61), (1, 63), (1, 64), (1, 1000), (-3, 61), (1, -1)] {
        let mut builder = Builder::new(12);
        let make = Make { name: "x", axes: &[], range: Range::signed(20), fraction_bits: 0 };
        let x = builder.tensor(Place::Witness, &make);
        let sum = Sum::product(value, &[&builder.on(x)]).at_scale(fraction_bits);
        assert!(builder.equation("too far", &[], sum.terms).is_err(), "{value} << {fraction_bits}");
    }
}

/// The same where the sum is linear: then no equation reads the coefficient, a look-up does.
#[test]
fn a_looked_up_sum_that_is_aligned_too_far_is_refused() {
    let mut builder = Builder::new(12);
    let make = |name| Make { name, axes: &[], range: Range::unsigned(1), fraction_bits: 1 };
    let x = builder.tensor(Place::Witness, &make("x"));
    let sum = Sum::product(1, &[&builder.on(x)]).at_scale(63);
    let made = builder.rescale(&Make { fraction_bits: 2, ..make("y") }, &[], sum);
    let read = builder.program.lookups.iter().flat_map(|l| &l.columns).flatten().map(|t| t.coefficient);
    assert!(made.is_err(), "2^62 x is looked up with the coefficients {:?}", read.collect::<Vec<_>>());
}

/// Base scales at the ends of their range build a program without such a coefficient, or none.
#[test]
fn base_scales_at_their_ends_give_the_same_program_or_none() {
    let spec = Setting::even().spec;
    for name in spec.model.base_fraction_bits.keys() {
        for bits in [-1, 0, 30, 31, 63, 64, i32::MAX, i32::MIN] {
            let mut changed = spec.clone();
            changed.model.base_fraction_bits.insert(name.clone(), bits);
            let built = step::build(&changed, 2, &[Default::default(); 2]);
            assert!((0..=30).contains(&bits) || built.is_err(), "{name} {bits}");
            let coefficients = built.iter().flat_map(|b| &b.program.equations).flat_map(|e| &e.terms);
            assert!(coefficients.into_iter().all(|t| t.coefficient.unsigned_abs() < 1 << 62), "{name} {bits}");
        }
    }
}

/// A scale that no float file has is refused where the file's layout is made, not read as zero.
#[test]
fn an_adapter_scale_below_zero_has_no_file() {
    let setting = Setting::even();
    let mut step = step::build(&setting.spec, setting.step, &[Default::default(); 2]).expect("a program");
    assert!(veritune_verifier::adapter::layouts(&step).is_ok());
    let copy = step.adapters.values().next().expect("an adapter").a.copy;
    step.program.tensors[copy.0].fraction_bits = -1;
    let refusal = veritune_verifier::adapter::layouts(&step).expect_err("a negative scale");
    assert_eq!(refusal.code().id(), "VT-RUN-002");
}
