//! What a verdict says of scales is what the program has, and nothing else.

use serde_json::Value;
use std::collections::BTreeSet;
use veritune_attacks::setting::tiny_spec;
use veritune_relations::Spec;
use veritune_relations::spec::Decimal;
use veritune_relations::step::{build, no_leaves};

#[test]
fn the_scales_of_a_verdict_are_those_of_the_program() {
    for beta in ["0.999", "0.9999"] {
        let mut spec = tiny_spec([12, 3, 3, 1, 4, 20, 30, 3, 6, 2, 5]);
        spec.training.adam_beta2 = Decimal(beta.to_owned());
        let step = build(&spec, 1, &no_leaves(&spec)).expect("a step");
        let ranges = spec.scale_ranges();
        let mut compared = 0;
        for tensor in &step.program.tensors {
            let kind = step.kinds.get(&tensor.name).copied();
            let name = kind.unwrap_or(tensor.name.as_str());
            let Some(range) = ranges.iter().find(|range| range.name == name) else { continue };
            assert_eq!(range.fraction_bits, tensor.fraction_bits, "{name} with beta {beta}");
            assert!((range.low..=range.high).contains(&range.fraction_bits), "{name}");
            compared += 1;
        }
        assert!(compared > 40, "{compared}");
        let second = ranges.iter().find(|range| range.name == "second_moment").expect("a second moment");
        assert_eq!(second.fraction_bits, if beta.len() > 5 { 54 } else { 58 });
    }
}

/// Paths of the numbers of a record but of its scales.
fn numbers(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Number(_) => drop(found.insert(path.to_owned())),
        Value::Object(members) => {
            for (name, value) in members.iter().filter(|(name, _)| !name.contains("scales")) {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                numbers(value, &path, found);
            }
        }
        _ => (),
    }
}

/// Every whole number of a spec that is no scale has a range, and beyond it is refused by the name of its field.
#[test]
fn numbers_outside_their_ranges_are_refused() {
    let honest = tiny_spec([12, 3, 3, 1, 4, 20, 30, 3, 6, 2, 5]);
    assert_eq!(honest.validate(), Ok(()));
    let document = serde_json::to_value(&honest).expect("JSON");
    let mut found = BTreeSet::new();
    numbers(&document, "", &mut found);
    found.retain(|path| !path.starts_with("model.base_fraction_bits"));
    assert_eq!(found, honest.ranges().iter().map(|range| range.field.to_owned()).collect());
    for range in honest.ranges() {
        let mut changed = document.clone();
        let path = format!("/{}", range.field.replace('.', "/"));
        *changed.pointer_mut(&path).expect("a field") = (range.high + 1).into();
        let spec: Spec = serde_json::from_value(changed).expect("a spec");
        assert_eq!(spec.validate().expect_err(range.field).field, range.field);
    }
}

#[test]
fn a_scale_of_no_tensor_is_refused() {
    let honest = tiny_spec([12, 3, 3, 1, 4, 20, 30, 3, 6, 2, 5]);
    assert!(build(&honest, 1, &no_leaves(&honest)).is_ok());
    for name in ["base.head", "base.key_bias", "grad.gate", "second_moment", "base.more"] {
        let mut spec = honest.clone();
        spec.model.base_fraction_bits.insert(name.to_owned(), 20);
        let refused = build(&spec, 1, &no_leaves(&spec)).map(drop).expect_err(name).to_string();
        assert!(refused.contains(name) && refused.contains("is no tensor of this base"), "{refused}");
    }
}
