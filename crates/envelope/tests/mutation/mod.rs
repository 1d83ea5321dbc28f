//! Every single change of a JSON document, derived from the document: each member and each element × change.

pub mod manifest;

use serde_json::Value;
use std::fmt::Write as _;

/// A place in a document.
pub type Path = Vec<Step>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Key(String),
    Element(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Another value of the same type; containers become empty.
    Mutate,
    /// A value of another type.
    Retype,
    /// The member or element removed.
    Drop,
    /// The member or element twice.
    Duplicate,
    /// A container with one more member or element.
    Extend,
    /// The member or element exchanged with the next one.
    Swap,
}

pub const CHANGES: [Change; 6] =
    [Change::Mutate, Change::Retype, Change::Drop, Change::Duplicate, Change::Extend, Change::Swap];

/// All places below the root, in the order of the text.
pub fn places(document: &Value) -> Vec<Path> {
    let mut out = Vec::new();
    visit(document, &mut Vec::new(), &mut out);
    out
}

fn visit(value: &Value, path: &mut Path, out: &mut Vec<Path>) {
    let children: Vec<(Step, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(key, child)| (Step::Key(key.clone()), child)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, child)| (Step::Element(at), child)).collect(),
        _ => Vec::new(),
    };
    for (step, child) in children {
        path.push(step);
        out.push(path.clone());
        visit(child, path, out);
        path.pop();
    }
}

/// The path with `[]` for every element: the name of a field.
pub fn field(path: &Path) -> String {
    let mut out = String::new();
    for step in path {
        match step {
            Step::Key(key) if out.is_empty() => out.push_str(key),
            Step::Key(key) => write!(out, ".{key}").unwrap(),
            Step::Element(_) => out.push_str("[]"),
        }
    }
    out
}

/// The compact text of `document` with `change` at `path`; `None` if the change does not apply there.
pub fn tamper(document: &Value, path: &Path, change: Change) -> Option<String> {
    let target = path.iter().fold(document, |value, step| match step {
        Step::Key(key) => &value[key],
        Step::Element(at) => &value[at],
    });
    if change == Change::Extend && !(target.is_array() || target.is_object()) {
        return None;
    }
    if change == Change::Mutate && (target == &Value::Array(vec![]) || target.is_null()) {
        return None;
    }
    let mut out = String::new();
    write(document, Some((path, change)), &mut out);
    // The last of its container has no next one; two equal elements are the same in either order.
    let mut unchanged = String::new();
    write(document, None, &mut unchanged);
    (change != Change::Swap || out != unchanged).then_some(out)
}

/// `at` is the change when it lies at `value` or below it; `path` is relative to `value`.
fn write(value: &Value, at: Option<(&[Step], Change)>, out: &mut String) {
    if let Some(([], change)) = at {
        return write_changed(value, change, out);
    }
    let below = |step: Step| match at {
        Some((path, change)) if path[0] == step => Some((&path[1..], change)),
        _ => None,
    };
    // The child's texts: none if it is dropped, two if it is doubled.
    let texts = |child: &Value, step: Step| -> Vec<String> {
        let at = below(step);
        let mut text = String::new();
        match at {
            Some(([], Change::Drop)) => return vec![],
            Some(([], Change::Duplicate | Change::Swap)) => write(child, None, &mut text),
            _ => write(child, at, &mut text),
        }
        let copies = if matches!(at, Some(([], Change::Duplicate))) { 2 } else { 1 };
        vec![text; copies]
    };
    let swapped = match at {
        Some(([step], Change::Swap)) => Some(step),
        _ => None,
    };
    match value {
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            if let Some(at) = members.iter().position(|(key, _)| swapped == Some(&Step::Key((*key).clone())))
                && at + 1 < members.len()
            {
                members.swap(at, at + 1);
            }
            let parts: Vec<String> = members
                .iter()
                .flat_map(|(key, child)| {
                    let texts = texts(child, Step::Key((*key).clone()));
                    texts.into_iter().map(move |text| format!("\"{key}\":{text}"))
                })
                .collect();
            write!(out, "{{{}}}", parts.join(",")).unwrap();
        }
        Value::Array(items) => {
            let mut items: Vec<(usize, &Value)> = items.iter().enumerate().collect();
            if let Some(Step::Element(at)) = swapped
                && at + 1 < items.len()
            {
                items.swap(*at, at + 1);
            }
            let parts: Vec<String> =
                items.iter().flat_map(|(position, child)| texts(child, Step::Element(*position))).collect();
            write!(out, "[{}]", parts.join(",")).unwrap();
        }
        leaf => out.push_str(&leaf.to_string()),
    }
}

fn write_changed(value: &Value, change: Change, out: &mut String) {
    let changed = match (change, value) {
        (Change::Mutate, Value::String(text)) => {
            let first = if text.starts_with('0') { "1" } else { "0" };
            Value::from(format!("{first}{}", text.get(1..).unwrap_or("")))
        }
        (Change::Mutate, Value::Number(number)) => Value::from(number.as_i64().unwrap() + 1),
        (Change::Mutate, Value::Bool(flag)) => Value::from(!flag),
        (Change::Mutate, Value::Array(_)) => Value::Array(vec![]),
        (Change::Mutate, Value::Object(_)) => Value::Object(Default::default()),
        (Change::Retype, Value::String(_)) => Value::from(1),
        (Change::Retype, _) => Value::from("1"),
        (Change::Extend, Value::Array(items)) => {
            let mut items = items.clone();
            items.push(Value::Null);
            Value::Array(items)
        }
        (Change::Extend, Value::Object(members)) => {
            let mut members = members.clone();
            members.insert("zzUnknown".to_owned(), Value::from(1));
            Value::Object(members)
        }
        (change, value) => unreachable!("{change:?} of {value}"),
    };
    out.push_str(&changed.to_string());
}
