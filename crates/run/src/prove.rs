//! Proves the steps of a run.
