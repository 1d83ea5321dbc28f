//! A manifest: for each field, the code that each change leads to; and its run over a document.

use super::{CHANGES, Change, field, places, tamper};
use serde_json::Value as Json;
use veritune_envelope::codes::{JSON_DUPLICATE_KEY, JSON_NOT_CANONICAL, JSON_SHAPE, JSON_TRAILING};
use veritune_envelope::{Code, Refusal};

/// What each change of a field leads to. `None`: another well-formed document, which the next check compares.
pub struct Row {
    pub field: &'static str,
    pub mutate: Option<Code>,
    pub drop: Option<Code>,
    pub duplicate: Option<Code>,
    pub retype: Option<Code>,
    pub extend: Option<Code>,
    pub swap: Swapped,
}

/// What exchanging a member or an element with the next one leads to.
#[derive(Clone, Copy)]
pub enum Swapped {
    Refused(Code),
    /// Another well-formed document.
    Other,
    /// The same document: the order is not part of it.
    Same,
}

pub const SHAPE: Option<Code> = Some(JSON_SHAPE);
pub const TWICE: Option<Code> = Some(JSON_DUPLICATE_KEY);

/// A member that must be there.
pub const fn member(field: &'static str, mutate: Option<Code>) -> Row {
    Row {
        field,
        mutate,
        drop: SHAPE,
        duplicate: TWICE,
        retype: SHAPE,
        extend: SHAPE,
        swap: Swapped::Refused(JSON_NOT_CANONICAL),
    }
}

/// An element of an array.
pub const fn element(field: &'static str, mutate: Option<Code>, drop: Option<Code>, duplicate: Option<Code>) -> Row {
    Row { field, mutate, drop, duplicate, retype: SHAPE, extend: SHAPE, swap: Swapped::Other }
}

/// Runs all changes; returns the number of refused ones.
pub fn run(document: &[u8], rows: &[Row], read: impl Fn(&[u8]) -> Result<Vec<u8>, Refusal>) -> usize {
    assert_eq!(read(document).unwrap(), document, "the untouched document is read and written again");
    let json: Json = serde_json::from_slice(document).unwrap();
    let mut refused = 0;
    let mut fields = Vec::new();
    for path in places(&json) {
        let name = field(&path);
        let row = rows.iter().find(|row| row.field == name);
        let row = row.unwrap_or_else(|| panic!("no row for `{name}`"));
        fields.push(name.clone());
        for change in CHANGES {
            let Some(text) = tamper(&json, &path, change) else {
                continue;
            };
            let expected = match change {
                Change::Mutate => row.mutate,
                Change::Retype => row.retype,
                Change::Drop => row.drop,
                Change::Duplicate => row.duplicate,
                Change::Extend => row.extend,
                Change::Swap => match row.swap {
                    Swapped::Refused(code) => Some(code),
                    Swapped::Other => None,
                    Swapped::Same => {
                        assert_eq!(read(text.as_bytes()).unwrap(), document, "{change:?} of {name}");
                        continue;
                    }
                },
            };
            match (read(text.as_bytes()), expected) {
                (Err(refusal), Some(code)) => {
                    assert_eq!(refusal.code(), code, "{change:?} of {name}: {refusal}");
                    refused += 1;
                }
                (Ok(bytes), None) => {
                    assert_eq!(bytes, text.as_bytes(), "{change:?} of {name}");
                    assert_ne!(bytes, document, "{change:?} of {name}");
                }
                (result, _) => panic!("{change:?} of {name}: {result:?}, expected {expected:?}"),
            }
        }
    }
    for row in rows {
        assert!(fields.iter().any(|name| name == row.field), "a row for no field: {}", row.field);
    }
    for (suffix, code) in [("x", JSON_TRAILING), ("{}", JSON_TRAILING), ("\0", JSON_TRAILING)] {
        let long = [document, suffix.as_bytes()].concat();
        assert_eq!(read(&long).unwrap_err().code(), code);
    }
    for end in 0..document.len() {
        assert!(read(&document[..end]).is_err());
    }
    refused
}
