//! Shapes and ledger are made from the first step's program: no other proof of the run needs more room or has larger error terms.

use std::collections::BTreeMap;
use std::sync::Arc;
use veritune_argument::{Argument, AxisWeight, Evaluator, Part, STATE_BEFORE_PLACE, soundness_terms};
use veritune_attacks::run::{adamw, monotonous};
use veritune_attacks::setting::tiny_spec;
use veritune_commit::{Root, capacity};
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_field::{E, eq_table};
use veritune_relations::layout::Layout;
use veritune_relations::spec::{Decimal, Optimizer, Schedule, Target};
use veritune_relations::step::no_leaves;
use veritune_relations::{Place, Spec, release};
use veritune_run::train::{first_state, named_vector};
use veritune_verifier::known::Known;
use veritune_verifier::statement::Run;
use veritune_verifier::step::Context;

fn specs() -> Vec<Spec> {
    let mut specs = vec![monotonous(4), adamw(4)];
    for optimizer in [Optimizer::AdamW, Optimizer::Sgd] {
        for schedule in [Schedule::Constant, Schedule::Linear, Schedule::Cosine] {
            for (warmup, rate, decay) in
                [(0, "1e-3", "0.1"), (2, "1e-3", "0"), (3, "1e-9", "0.1"), (0, "0", "0"), (1, "1", "1")]
            {
                let mut spec = tiny_spec([8, 2, 2, 1, 4, 16, 30, 2, 8, 1, 4]);
                spec.lora.targets = vec![Target::Query, Target::Value];
                let training = &mut spec.training;
                (training.optimizer, training.schedule, training.warmup_steps, training.steps) =
                    (optimizer, schedule, warmup, 5);
                (training.learning_rate, training.weight_decay) = (Decimal(rate.into()), Decimal(decay.into()));
                specs.push(spec);
            }
        }
    }
    // An adapter that is large beside the model.
    for r in [1, 2, 8, 8] {
        let mut spec = tiny_spec([2, 3, 1, 1, 2, 2, 2, r, 2, 1, 2]);
        spec.training.steps = 3;
        specs.push(spec);
    }
    specs
}

#[test]
fn no_later_step_and_no_release_needs_more_than_the_first_step() {
    let mut built = 0;
    for spec in specs() {
        let none = Root([0; 32]);
        let run = Run { spec, plan_digest: [1; 32], seed: [5; 32], dataset: none, base: none };
        let Ok(context) = Context::new(&run) else { continue };
        built += 1;
        let first = Argument::new(&context.first.program).expect("an argument");
        let terms: BTreeMap<String, u64> = soundness_terms(&first).into_iter().collect();
        let fits = |argument: &Argument<'_>| {
            assert!(argument.witness_slots() <= capacity(&context.profile, &context.shapes.witness).expect("a shape"));
        };
        for step in 1..=run.spec.training.steps {
            let program = context.program(step, &no_leaves(&run.spec)).expect("a program").program;
            let argument = Argument::new(&program).expect("an argument");
            fits(&argument);
            assert_eq!(argument.wiring, first.wiring, "step {step} of {:?}", run.spec);
            assert_eq!(argument.layout.used, first.layout.used);
            assert_eq!(soundness_terms(&argument).into_iter().collect::<BTreeMap<_, _>>(), terms);
        }
        let copies: Vec<Vec<i64>> = release::matrices(&context.first)
            .iter()
            .map(|(_, id)| vec![0; context.first.program.shape(*id).iter().product()])
            .collect();
        let program = release::build(&run.spec, &context.first, &copies).expect("a release").program;
        let argument = Argument::new(&program).expect("an argument");
        assert_eq!(argument.wiring.num_base_claims, 0, "nobody settles claims of the release");
        for (name, numerator) in soundness_terms(&argument) {
            assert!(Some(&numerator) <= terms.get(&name).or(Some(&0)), "{name}: {numerator}, {:?}", terms.get(&name));
        }
    }
    println!("{built} runs");
    assert!(built >= 30);
}

/// What the verifier keeps of the first state is the whole of it: one sum over all slots, each with a weight of its own.
#[test]
fn the_known_first_state_is_the_state_that_training_begins_with() {
    let mut odd = tiny_spec([9, 3, 3, 1, 6, 17, 30, 3, 8, 1, 4]);
    odd.lora.targets = Target::ALL.to_vec();
    let mut built = 0;
    for spec in specs().into_iter().chain([odd]) {
        let none = Root([0; 32]);
        let run = Run { spec, plan_digest: [1; 32], seed: [5; 32], dataset: none, base: none };
        let Ok(context) = Context::new(&run) else { continue };
        built += 1;
        let program = &context.first.program;
        let state = first_state(&context.first, &run.seed);
        let whole = named_vector(program, &Layout::new(program), Place::StateBefore, &state);
        let values: Vec<E> = (0..whole.len() as u64).map(|i| E::from_u64(i + 7).exp_u64(5)).collect();
        let log = whole.len().next_power_of_two().trailing_zeros() as usize;
        let axis = AxisWeight::Dense { log, start: 0, values: Arc::new(values) };
        let all = [Part { place: STATE_BEFORE_PLACE, offset: 0, axes: vec![axis], scale: E::ONE }];
        let expected = Known::from(whole).value(&all, STATE_BEFORE_PLACE);
        assert_ne!(expected, E::ZERO);
        assert_eq!(context.first_state.value(&all, STATE_BEFORE_PLACE), expected, "{:?}", run.spec);
    }
    assert!(built >= 31, "{built}");
}

/// The elements that mask an argument lie at any slot: their weights reach no other, up to the last slot of the vector.
#[test]
fn a_run_of_slots_is_weighed_where_it_lies() {
    let point: Vec<E> = (0..6).map(|i| E::from_u64(1_000_003 * (i + 7)) * E::from_u64(0x1234_5678_9abc)).collect();
    let table = eq_table(&point);
    let mut evaluator = Evaluator::new(&point);
    for len in [1_usize, 2, 3, 8, 9, 31, 32, 33, 63, 64] {
        let values: Vec<E> = (0..len as u64).map(|i| E::from_u64(i * i + 5)).collect();
        let log = len.next_power_of_two().trailing_zeros() as usize;
        for offset in 0..=table.len() - len {
            let axis = AxisWeight::Dense { log, start: 0, values: Arc::new(values.clone()) };
            let part = Part { place: 0, offset, axes: vec![axis], scale: E::TWO };
            let expected: E = values.iter().zip(&table[offset..]).map(|(&v, &e)| v * e.double()).sum();
            assert_eq!(evaluator.part(&part), expected, "{len} at {offset}");
        }
    }
}
