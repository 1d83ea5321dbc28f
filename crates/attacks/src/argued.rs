//! The argument's verifier as a cheating prover runs it: with the pads that it knows, on the true scalars, and it goes on
//! whatever it finds.

use std::collections::BTreeMap;
use veritune_argument::{
    Argument, ArgumentError, Arithmetic, BaseClaim, CheckId, Context, Functional, Joint, Labels, is_one_hot,
};
use veritune_field::{E, E_BYTES, e_from_bytes};
use veritune_prover::argument::{Pads, dense_weights};
use veritune_prover::commit::CommittedTree;
use veritune_relations::Place;
use veritune_transcript::Transcript;

/// An argument with the vectors that it is about.
pub struct Argued<'a> {
    /// The argument.
    pub(crate) argument: &'a Argument<'a>,
    /// Labels of its scalars.
    pub(crate) labels: &'a [&'static str],
    /// The vectors that are opened.
    pub(crate) trees: &'a [CommittedTree],
    /// What masks its scalars.
    pub(crate) pads: &'a Pads,
    /// The transcript before it.
    pub(crate) transcript: &'a Transcript,
}

impl std::fmt::Debug for Argued<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Argued").field("labels", &self.labels.len()).finish_non_exhaustive()
    }
}

/// What the scalars are off by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Residuals {
    /// What the equations' last claim is off by.
    pub equations: E,
    /// What the one-hots' last claim is off by.
    pub one_hots: E,
    /// The target of the opening less the true value.
    pub joint: E,
}

impl Argued<'_> {
    /// Positions of the scalars that were sent under a label.
    pub fn sent(&self, label: &str) -> Vec<usize> {
        (0..self.labels.len()).filter(|&i| self.labels[i] == label).collect()
    }

    /// Positions of the evaluations of factors that no settlement checks, and which factors they are.
    pub fn factors(&self) -> Vec<(usize, usize)> {
        let needed = |id: &usize| self.argument.plan.products.iter().any(|term| term.factors.contains(id));
        let is_sent = |id: &usize| {
            let tensor = self.argument.plan.factors[*id].tensor;
            let place = self.argument.program.tensor(tensor).place;
            is_one_hot(self.argument.program, tensor) || !matches!(place, Place::Base | Place::Public)
        };
        let ids = (0..self.argument.plan.factors.len()).filter(needed);
        let sent = ids.filter(is_sent);
        let positions = self.sent(Labels::EQUATION_FACTOR);
        assert_eq!(positions.len(), sent.clone().count());
        sent.zip(positions).map(|(id, position)| (position, id)).collect()
    }

    /// Position of the first evaluation of a one-hot.
    ///
    /// # Panics
    /// If there is none.
    pub fn one_hot_factor(&self) -> usize {
        let is_one = |id: usize| is_one_hot(self.argument.program, self.argument.plan.factors[id].tensor);
        self.factors().into_iter().find(|&(_, id)| is_one(id)).expect("a one-hot").0
    }

    /// What these scalars leave.
    ///
    /// # Panics
    /// If they are not canonical.
    pub fn residuals(&self, scalars: &[u8]) -> Residuals {
        let (all, transcript) = (scalars.as_chunks().0, self.transcript.clone());
        let mut probe = Probe { all, next: 0, pads: self.pads, num_pads: 0, transcript, found: BTreeMap::new() };
        let Argument { program, layout, plan, .. } = self.argument;
        veritune_argument::verify(program, layout, plan, &mut probe).expect("nothing is refused");
        let (joint, _) =
            self.argument.verify_masked(scalars, &mut self.transcript.clone()).expect("nothing is refused");
        let off = |check: CheckId| probe.found.get(&check).copied().unwrap_or_default();
        Residuals {
            equations: off(CheckId::Equations),
            one_hots: off(CheckId::OneHots),
            joint: joint.target - truth(&joint, self.trees),
        }
    }
}

/// Takes the pads off and notes what the verifier would refuse.
struct Probe<'a> {
    all: &'a [[u8; E_BYTES]],
    next: usize,
    pads: &'a Pads,
    num_pads: usize,
    transcript: Transcript,
    found: BTreeMap<CheckId, E>,
}

impl Arithmetic for Probe<'_> {
    type Sent = E;
    type Scalar = E;

    fn mul(&mut self, a: E, b: E) -> E {
        a * b
    }
    fn hold(&mut self, label: &'static str, value: E) -> Result<E, ArgumentError> {
        self.read_held(label, value)
    }
}

impl Context for Probe<'_> {
    fn read(&mut self, label: &'static str) -> Result<E, ArgumentError> {
        let pad = self.pads.pad(self.num_pads);
        self.num_pads += 1;
        Ok(self.read_public(label)? - pad)
    }
    fn read_public(&mut self, label: &'static str) -> Result<E, ArgumentError> {
        let value = e_from_bytes(self.all[self.next]).expect("canonical");
        self.next += 1;
        self.transcript.absorb_e(label, &[value]);
        Ok(value)
    }
    fn challenge(&mut self, label: &'static str) -> E {
        self.transcript.challenge_e(label)
    }
    fn assert_zero(&mut self, check: CheckId, _: usize, value: E) -> Result<(), ArgumentError> {
        self.found.insert(check, value);
        Ok(())
    }
    fn claim(&mut self, _: Functional, _: E) {}
    fn base_claim(&mut self, _: BaseClaim) {}
}

/// What the joint functional gives for the vectors of these trees, in order of their places.
pub(crate) fn truth(joint: &Joint, trees: &[CommittedTree]) -> E {
    let products = trees.iter().enumerate().flat_map(|(place, tree)| {
        let weights = dense_weights(&joint.parts, place, tree.vector().len());
        weights.elements().into_iter().zip(tree.vector()).map(|(w, &x)| w * x).collect::<Vec<E>>()
    });
    products.sum()
}
