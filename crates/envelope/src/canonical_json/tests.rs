use super::*;
use crate::codes::*;
use proptest::prelude::*;

const LIMIT: usize = 1 << 16;

fn canonical(text: &str) -> String {
    String::from_utf8(parse(text.as_bytes(), LIMIT).unwrap().to_canonical()).unwrap()
}

/// RFC 8785 §3.2.2 with the float member left out.
#[test]
fn rfc_8785_serialisation() {
    let source = r#"{
        "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
        "literals": [null, true, false]
    }"#;
    let expected = "{\"literals\":[null,true,false],\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
    assert_eq!(canonical(source), expected);
}

/// RFC 8785 §3.2.3: keys in the order of their UTF-16 code units, which is not that of their code points.
#[test]
fn rfc_8785_order_of_keys() {
    let source = r#"{
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\ud83d\ude00": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis"
    }"#;
    let text = canonical(source);
    let order = [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ];
    let found: Vec<usize> = order.iter().map(|name| text.find(name).unwrap()).collect();
    assert!(found.is_sorted(), "{text}");
}

/// `structures` of the test data that accompanies RFC 8785, with its float left out.
#[test]
fn rfc_8785_structures() {
    let source = r#"{
        "1": {"f": {"f": "hi","F": 5} ,"\n": 56},
        "10": { }, "": "empty", "a": { },
        "111": [ {"e": "yes","E": "no" } ], "A": { }
    }"#;
    let expected = concat!(
        r#"{"":"empty","1":{"\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{"E":"no","e":"yes"}],"#,
        r#""A":{},"a":{}}"#
    );
    assert_eq!(canonical(source), expected);
}

#[test]
fn one_fault_per_text() {
    let deep = format!("{}1{}", "[".repeat(65), "]".repeat(65));
    let cases: &[(&[u8], _, &str)] = &[
        (b"", JSON_SYNTAX, "byte 0"),
        (b" ", JSON_SYNTAX, "byte 1"),
        (b"{\"a\":1,\"a\":1}", JSON_DUPLICATE_KEY, "byte 7"),
        (b"{\"a\":1,\"\\u0061\":2}", JSON_DUPLICATE_KEY, "byte 7"),
        (b"{\"a\":1} x", JSON_TRAILING, "byte 8"),
        (b"1\0", JSON_TRAILING, "byte 1"),
        (b"[1,]", JSON_SYNTAX, "byte 3"),
        (b"[1 2]", JSON_SYNTAX, "byte 3"),
        (b"{\"a\" 1}", JSON_SYNTAX, "byte 5"),
        (b"{a:1}", JSON_SYNTAX, "byte 1"),
        (b"{\"a\":1,}", JSON_SYNTAX, "byte 7"),
        (b"[", JSON_SYNTAX, "byte 1"),
        (b"\"a", JSON_SYNTAX, "byte 2"),
        (b"\"a\nb\"", JSON_SYNTAX, "byte 2"),
        (b"\"\\x\"", JSON_SYNTAX, "byte 2"),
        (b"\"\\u12g4\"", JSON_SYNTAX, "byte 3"),
        (b"\"\\u+123\"", JSON_SYNTAX, "byte 3"),
        (b"\"\\ud83d\"", JSON_ENCODING, "byte 7"),
        (b"\"\\ude00\"", JSON_ENCODING, "byte 7"),
        (b"\"\\ud83d\\u0041\"", JSON_ENCODING, "byte 13"),
        (b"\"\xff\"", JSON_ENCODING, "byte 1"),
        (b"\xef\xbb\xbf1", JSON_SYNTAX, "byte 0"),
        (b"nul", JSON_SYNTAX, "byte 0"),
        (b"True", JSON_SYNTAX, "byte 0"),
        (b"1.0", JSON_NUMBER, "byte 0"),
        (b"1e3", JSON_NUMBER, "byte 0"),
        (b"-0", JSON_NUMBER, "byte 0"),
        (b"01", JSON_NUMBER, "byte 0"),
        (b"-", JSON_NUMBER, "byte 0"),
        (b"+1", JSON_SYNTAX, "byte 0"),
        (b"9007199254740993", JSON_NUMBER, "byte 0"),
        (b"-9007199254740993", JSON_NUMBER, "byte 0"),
        (b"99999999999999999999999", JSON_NUMBER, "byte 0"),
        (deep.as_bytes(), JSON_DEPTH, "byte 64"),
    ];
    for (text, code, location) in cases {
        let refusal = parse(text, LIMIT).unwrap_err();
        assert_eq!((refusal.code(), refusal.location()), (*code, *location), "{refusal}");
    }
    assert_eq!(parse(b"1234", 3).unwrap_err().code(), JSON_SIZE);
    let items = |count: usize| format!("[{}1]", "1,".repeat(count - 1));
    assert!(parse(items(MAX_VALUES - 1).as_bytes(), 2 * LIMIT).is_ok());
    let refusal = parse(items(MAX_VALUES).as_bytes(), 2 * LIMIT).unwrap_err();
    assert_eq!((refusal.code(), refusal.location()), (JSON_SIZE, "byte 65535"));
    assert!(parse(&deep.as_bytes()[1..130], LIMIT).is_ok());
    for edge in ["9007199254740992", "-9007199254740992", "0"] {
        assert_eq!(canonical(edge), edge);
    }
}

#[test]
fn only_one_text_is_canonical() {
    assert!(parse_canonical(br#"{"a":[1,"x"],"b":null}"#, LIMIT).is_ok());
    for other in [
        r#"{"a":[1,"x"],"b":null} "#,
        r#"{"a":[1, "x"],"b":null}"#,
        r#"{"b":null,"a":[1,"x"]}"#,
        r#"{"a":[1,"\u0078"],"b":null}"#,
        r#"{"a":[1,"x\/"],"b":null}"#,
    ] {
        let refusal = parse_canonical(other.as_bytes(), LIMIT).unwrap_err();
        assert_eq!(refusal.code(), JSON_NOT_CANONICAL, "{other}");
    }
}

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<u64>,
    rest: Value,
}

#[test]
fn decoding_loses_nothing() {
    let row: Row = decode(br#"{"name":"x", "rest":{"b":[1],"a":null}}"#, LIMIT).unwrap();
    assert_eq!(to_bytes(&row).unwrap(), br#"{"name":"x","rest":{"a":null,"b":[1]}}"#);
    let cases = [
        (r#"["x",1,2]"#, ""),
        (r#"{"name":"x","step":null,"rest":1}"#, ".step"),
        (r#"{"name":"x","rest":1,"more":1}"#, "line 1 column 27"),
        (r#"{"name":"x"}"#, "line 1 column 12"),
        (r#"{"name":"x","step":-1,"rest":1}"#, "line 1 column 21"),
    ];
    for (text, location) in cases {
        let refusal = decode::<Row>(text.as_bytes(), LIMIT).unwrap_err();
        assert_eq!((refusal.code(), refusal.location()), (JSON_SHAPE, location), "{text}");
    }
    assert_eq!(to_bytes(&0.5).unwrap_err().code(), JSON_NUMBER);
    assert_eq!(to_bytes(&u64::MAX).unwrap_err().code(), JSON_NUMBER);
}

#[test]
fn differences_are_named() {
    let left = parse(br#"{"a":[1,{"b":2}],"c":1}"#, LIMIT).unwrap();
    for (other, path) in [
        (r#"{"a":[1,{"b":2}],"c":1}"#, None),
        (r#"{"a":[1,{"b":3}],"c":1}"#, Some(".a[1].b")),
        (r#"{"a":[1],"c":1}"#, Some(".a[1]")),
        (r#"{"a":[1,{"b":2}]}"#, Some(".c")),
        (r#"{"a":[1,{"b":2}],"c":1,"d":1}"#, Some(".d")),
    ] {
        let right = parse(other.as_bytes(), LIMIT).unwrap();
        assert_eq!(left.first_difference(&right).as_deref(), path);
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-MAX_INTEGER..=MAX_INTEGER).prop_map(Value::Integer),
        any::<String>().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(Value::Object),
        ]
    })
}

proptest! {
    /// Another implementation of RFC 8785 writes the same bytes, and they read back to the same value.
    #[test]
    fn agrees_with_another_implementation(value in any_value()) {
        let bytes = value.to_canonical();
        prop_assert_eq!(&serde_json_canonicalizer::to_vec(&value).unwrap(), &bytes);
        prop_assert_eq!(parse_canonical(&bytes, bytes.len()).unwrap(), value);
    }

    /// Any bytes are read or refused; what is read as canonical is read by serde_json too.
    #[test]
    fn arbitrary_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if parse_canonical(&bytes, LIMIT).is_ok() {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
        }
    }

    /// A changed byte of a canonical text is refused or gives another value.
    #[test]
    fn changed_bytes(value in any_value(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = value.to_canonical();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        if let Ok(other) = parse_canonical(&bytes, LIMIT) {
            prop_assert_ne!(other, value);
        }
    }
}
