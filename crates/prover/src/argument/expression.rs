//! The dense values that an expression's views read.

use veritune_relations::{Program, View};

/// The dense values of a tensor: its own if public, else the witness's.
pub(super) fn values<'a>(program: &'a Program, tensors: &'a [&'a [i64]], view: &View) -> &'a [i64] {
    match &program.tensor(view.tensor).values {
        Some(values) => values,
        None => tensors[view.tensor.0],
    }
}
