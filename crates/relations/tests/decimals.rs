//! One grammar of decimals, here and in the NumPy reference (`tests/test_reference_decimals.py`): a text is a number to both or
//! to neither.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use veritune_relations::spec::Decimal;

#[test]
fn texts_are_the_decimals_that_the_vectors_say() {
    let vectors: BTreeMap<String, Option<(String, u32)>> =
        serde_json::from_str(include_str!("vectors/decimals.json")).unwrap();
    assert!(vectors.values().flatten().count() > 10 && vectors.values().filter(|found| found.is_none()).count() > 20);
    for (text, expected) in vectors {
        let found = Decimal(text.clone()).parts().ok().map(|(numerator, power)| (numerator.to_string(), power));
        assert_eq!(found, expected, "{text:?}");
    }
}
