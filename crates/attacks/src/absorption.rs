//! Every label under which a transcript is given a message, and the first challenge that depends on it, as data.
//!
//! `tests/absorption.rs` takes labels and challenges from real proofs and compares.

/// One label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Absorption {
    /// The label.
    pub label: &'static str,
    /// What is verified.
    pub proof: Proof,
    /// The challenge that comes next.
    pub next: &'static str,
}

/// A statement with its proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// A step.
    Step,
    /// The release.
    Release,
    /// The settlement.
    Settlement,
}

const fn row(label: &'static str, proof: Proof, next: &'static str) -> Absorption {
    Absorption { label, proof, next }
}

use Proof::{Release, Settlement, Step};

/// All labels, in the order of their messages. Those of [`Proof::Step`] and of the opening are the release's too, those of
/// the opening the settlement's.
pub const ABSORPTIONS: &[Absorption] = &[
    row("spec digest", Step, "lookup alpha"),
    row("plan digest", Step, "lookup alpha"),
    row("seed", Step, "lookup alpha"),
    row("dataset root", Step, "lookup alpha"),
    row("base root", Step, "lookup alpha"),
    row("step", Step, "lookup alpha"),
    row("leaf", Step, "lookup alpha"),
    row("state before", Step, "lookup alpha"),
    row("state after", Step, "lookup alpha"),
    row("last state", Release, "lookup alpha"),
    row("adapter file", Release, "lookup alpha"),
    row("settled step", Settlement, "settlement challenge"),
    row("settled proof", Settlement, "settlement challenge"),
    row("settled value", Settlement, "settlement challenge"),
    row("witness root", Step, "lookup alpha"),
    row("lookup values", Step, "lookup values"),
    row("lookup round", Step, "lookup round"),
    row("equation base value", Step, "one-hot eta"),
    row("equation sum", Step, "equation round"),
    row("equation round", Step, "equation round"),
    row("equation factor", Step, "one-hot eta"),
    row("one-hot round", Step, "one-hot round"),
    row("one-hot value", Step, "joint gamma"),
    row("opening profile", Settlement, "opening sumcheck"),
    row("opening tree", Settlement, "opening sumcheck"),
    row("opening target", Settlement, "opening sumcheck"),
    row("opening sumcheck", Step, "opening sumcheck"),
    row("opening values", Step, "opening gamma"),
    row("opening level root", Step, "opening positions"),
    row("opening fold", Step, "opening fold"),
    row("opening final vector", Step, "opening positions"),
];
