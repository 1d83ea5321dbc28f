//! Canonical JSON. What is read as canonical is, written again, the input; what is read as strict is what another reader
//! of JSON reads, and its canonical text is read as the same value.

use veritune_envelope::canonical_json::{Value, parse, parse_canonical};

/// Reads the bytes.
pub fn run(bytes: &[u8]) {
    let limit = bytes.len();
    let canonical = parse_canonical(bytes, limit);
    let Ok(value) = parse(bytes, limit) else {
        assert!(canonical.is_err(), "canonical and not strict");
        return;
    };
    let text = value.to_canonical();
    assert_eq!(canonical.is_ok(), text == bytes, "canonical iff the text is the value's own");
    assert_eq!(parse_canonical(&text, text.len()).as_ref(), Ok(&value));
    assert_eq!(serde_json::from_slice::<Value>(bytes).ok().as_ref(), Some(&value));
    assert_eq!(value.first_difference(&value), None);
}

/// Honest inputs.
pub fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"a":[1,-2,"x\n\u0001é"],"b":null,"c":{"":true}}"#,
        r#" { "\u0061" : [ "\ud83d\ude00" , 9007199254740992 ] } "#,
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}
