//! The record of openings: how often each tree of a run was opened, by its root.
//!
//! A tree's random rows hide its entries as long as it is opened no more often than its budget. [`crate::store::Store`]
//! keeps the record on disk, and writes it before the proof that makes the openings.

use crate::RunError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use veritune_commit::Root;
use veritune_prover::commit::CommittedTree;

/// The only schema of [`Openings`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
enum Schema {
    #[default]
    #[serde(rename = "veritune.openings/v1")]
    V1,
}

/// Openings of the trees of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Openings {
    schema: Schema,
    /// By root, hex: a state that is trained anew under another secret has another tree and a count of its own.
    trees: BTreeMap<String, Count>,
}

/// What is known of one tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Count {
    name: String,
    opened: u32,
}

/// One opening of one tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Name of the tree for people: `state 12`.
    pub name: String,
    /// Its root.
    pub root: Root,
    /// How often it may be opened.
    pub budget: u32,
}

impl Opening {
    /// One more opening of the tree.
    pub fn of(name: String, tree: &CommittedTree) -> Self {
        Self { name, root: tree.root(), budget: tree.shape().budget }
    }

    fn key(&self) -> String {
        self.root.to_string()
    }
}

impl Openings {
    /// Reads the record.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// The record's bytes.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// How often each tree was opened.
    pub fn counts(&self) -> impl Iterator<Item = u32> + '_ {
        self.trees.values().map(|count| count.opened)
    }

    /// How often the tree was opened, if it may be opened once more.
    ///
    /// # Errors
    /// [`RunError::BudgetSpent`].
    pub fn spent(&self, opening: &Opening) -> Result<u32, RunError> {
        let root = opening.key();
        let spent = self.trees.get(&root).map_or(0, |count| count.opened);
        if spent >= opening.budget {
            return Err(RunError::BudgetSpent { tree: opening.name.clone(), root, spent });
        }
        Ok(spent)
    }

    /// Counts the openings, all of them or none.
    ///
    /// # Errors
    /// [`RunError::BudgetSpent`] if one is past its budget.
    pub fn add(&mut self, openings: &[Opening]) -> Result<(), RunError> {
        let mut counted = self.clone();
        for opening in openings {
            let opened = counted.spent(opening)? + 1;
            counted.trees.insert(opening.key(), Count { name: opening.name.clone(), opened });
        }
        *self = counted;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(byte: u8, budget: u32) -> Opening {
        Opening { name: format!("state {byte}"), root: Root([byte; 32]), budget }
    }

    #[test]
    fn nothing_is_counted_past_a_budget() {
        let mut record = Openings::default();
        record.add(&[opening(1, 2), opening(2, 9)]).unwrap();
        record.add(&[opening(1, 2)]).unwrap();
        let before = record.clone();
        for refused in [vec![opening(1, 2)], vec![opening(2, 9), opening(1, 2)]] {
            match record.add(&refused).unwrap_err() {
                RunError::BudgetSpent { tree, root, spent } => {
                    assert_eq!((tree.as_str(), root, spent), ("state 1", "01".repeat(32), 2));
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(record, before);
        }
        // The same tree twice in one proof counts twice.
        assert!(record.add(&[opening(3, 1), opening(3, 1)]).is_err());
        assert_eq!(record.counts().collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn the_record_is_read_as_it_was_written_and_nothing_else_is() {
        let mut record = Openings::default();
        record.add(&[opening(7, 4)]).unwrap();
        let bytes = record.to_json().unwrap();
        assert_eq!(Openings::parse(&bytes).unwrap(), record);
        let text = String::from_utf8(bytes).unwrap();
        for other in [
            text.replace("v1", "v2"),
            text.replace("\"opened\":1", "\"opened\":-1"),
            text.replace("\"name\"", "\"more\":0,\"name\""),
            text.replace("\"trees\"", "\"tree\""),
            "{}".to_owned(),
            "{\"state 1\":1}".to_owned(),
        ] {
            assert!(Openings::parse(other.as_bytes()).is_err(), "{other}");
        }
    }
}
