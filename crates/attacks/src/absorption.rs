//! Every label under which a transcript is given a message, and the first challenge that depends on it, as data.
//!
//! `tests/absorption.rs` takes labels and challenges from real proofs and compares.

use veritune_argument::CheckId;

/// Comparisons outside the argument after which a verifier can go on.
const COMPARISONS: [&str; 9] = [
    "VT-PROOF-003",
    "VT-PROOF-004",
    "VT-ROWS-003",
    "opening-sumcheck-claim",
    "opening-combined-value",
    "opening-covered-row",
    "opening-root-mismatch",
    "opening-final-row",
    "opening-final-claim",
];

/// Every check of a proof after which a verifier can go on.
pub fn comparisons() -> impl Iterator<Item = &'static str> {
    CheckId::ALL.map(CheckId::code).into_iter().chain(COMPARISONS)
}

/// One label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Absorption {
    /// The label.
    pub label: &'static str,
    /// What is verified.
    pub proof: Proof,
    /// The challenge that comes next.
    pub next: &'static str,
    /// Why no false statement passes without this absorption alone; empty where an attack shows one that does.
    pub bound: &'static str,
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
    Absorption { label, proof, next, bound: "" }
}

const fn bound(absorption: Absorption, bound: &'static str) -> Absorption {
    Absorption { bound, ..absorption }
}

use Proof::{Release, Settlement, Step};

/// All labels, in the order of their messages. Those of [`Proof::Step`] and of the opening are the release's too, those of
/// the opening the settlement's.
pub const ABSORPTIONS: &[Absorption] = &[
    row("spec digest", Step, "lookup alpha"),
    row("plan digest", Step, "lookup alpha"),
    row("seed", Step, "lookup alpha"),
    bound(
        row("dataset root", Step, "lookup alpha"),
        "`VT-ROWS-003` compares it with where the path of every row leads; the plan, whose digest is absorbed, names it",
    ),
    row("base root", Step, "lookup alpha"),
    bound(
        row("step", Step, "lookup alpha"),
        "the program follows from the number, and `VT-RUN-004` compares the states around it with roots that cover the number",
    ),
    bound(
        row("leaf", Step, "lookup alpha"),
        "`VT-ROWS-003`: its path leads to the dataset's root, so that another leaf is a collision",
    ),
    bound(
        row("loss", Step, "lookup alpha"),
        "`VT-ARG-007`: the tensor is committed to before every challenge, and the claim on it is one of those that `joint gamma` combines, so that a value that is named later is the tensor's but for one `joint gamma` in |E| / 2^32",
    ),
    row("state before", Step, "lookup alpha"),
    row("state after", Step, "lookup alpha"),
    bound(
        row("last state", Release, "lookup alpha"),
        "`VT-RUN-004`: it is the state after the last step, whose proof absorbs it before its challenges",
    ),
    row("adapter file", Release, "lookup alpha"),
    row("settled step", Settlement, "settlement challenge"),
    row("settled proof", Settlement, "settlement challenge"),
    row("settled value", Settlement, "settlement challenge"),
    row("witness root", Step, "lookup alpha"),
    row("lookup values", Step, "lookup values"),
    row("lookup round", Step, "lookup round"),
    bound(
        row("equation base value", Step, "one-hot eta"),
        "the settlement opens the base at a point that is drawn before the value is sent, so that only the true value is settled (`VT-RUN-008`)",
    ),
    row("equation sum", Step, "equation round"),
    row("equation round", Step, "equation round"),
    row("equation factor", Step, "one-hot eta"),
    row("equation product", Step, "one-hot eta"),
    row("one-hot round", Step, "one-hot round"),
    row("one-hot value", Step, "product point"),
    row("one-hot product", Step, "product point"),
    row("product left value", Step, "joint gamma"),
    bound(
        row("opening profile", Settlement, "opening sumcheck"),
        "it is a function of the spec, whose digest is absorbed; the verifier takes nothing of it from the proof",
    ),
    bound(
        row("opening tree", Settlement, "opening sumcheck"),
        "the roots are absorbed before the argument's challenges (witness, states) or named by the base root (`VT-PROOF-004`), and the shapes follow from the spec",
    ),
    bound(
        row("opening target", Settlement, "opening sumcheck"),
        "the verifier computes it from scalars, challenges and public values that are absorbed or drawn before",
    ),
    row("opening sumcheck", Step, "opening sumcheck"),
    row("opening values", Step, "opening gamma"),
    bound(
        row("opening combined value", Step, "opening cover"),
        "two checks determine it from what is absorbed or committed to: the last claim admits the value of the combination alone, and `opening-combined-value` the sum of the values, less a part that is divided by the challenge it would follow; no false sum of values meets both but for one such challenge",
    ),
    row("opening cover sums", Step, "opening cover"),
    row("opening covered pads", Step, "opening positions"),
    row("opening level root", Step, "opening positions"),
    row("opening fold", Step, "opening fold"),
    row("opening final vector", Step, "opening positions"),
];
