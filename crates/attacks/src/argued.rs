//! The argument's verifier as a cheating prover runs it: it notes what it would refuse, and goes on.

use std::collections::BTreeMap;
use veritune_argument::{
    ArgumentError, BaseClaim, CheckId, Context, Functional, Joint, Labels, NativeCheck, Plan, is_one_hot,
};
use veritune_field::{E, E_BYTES};
use veritune_prover::argument::dense_weights;
use veritune_prover::commit::CommittedTree;
use veritune_relations::layout::Layout;
use veritune_relations::{Place, Program};
use veritune_transcript::Transcript;

/// An argument with the vectors that it is about.
pub struct Argued<'a> {
    /// Its program.
    pub(crate) program: &'a Program,
    /// The program's layout.
    pub(crate) layout: &'a Layout,
    /// The program's plan.
    pub(crate) plan: &'a Plan,
    /// Labels of its scalars.
    pub(crate) labels: &'a [&'static str],
    /// The vectors that are opened.
    pub(crate) trees: &'a [CommittedTree],
    /// The transcript before it.
    pub(crate) transcript: &'a Transcript,
}

impl std::fmt::Debug for Argued<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Argued").field("labels", &self.labels.len()).finish_non_exhaustive()
    }
}

/// What a verifier finds that goes on whatever it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Residuals {
    /// What the equations' last claim is off by.
    pub equations: E,
    /// What the one-hots' last claim is off by.
    pub one_hots: E,
    /// The joint target less the true value.
    pub joint: E,
}

impl Argued<'_> {
    /// Positions of the scalars that were sent under a label.
    pub fn sent(&self, label: &str) -> Vec<usize> {
        (0..self.labels.len()).filter(|&i| self.labels[i] == label).collect()
    }

    /// Positions of the evaluations of factors that no settlement checks, and which factors they are.
    pub fn factors(&self) -> Vec<(usize, usize)> {
        let needed = |id: &usize| self.plan.products.iter().any(|term| term.factors.contains(id));
        let is_sent = |id: &usize| {
            let tensor = self.plan.factors[*id].tensor;
            let place = self.program.tensor(tensor).place;
            is_one_hot(self.program, tensor) || !matches!(place, Place::Base | Place::Public)
        };
        let ids = (0..self.plan.factors.len()).filter(needed);
        let sent = ids.filter(is_sent);
        let positions = self.sent(Labels::EQUATION_FACTOR);
        assert_eq!(positions.len(), sent.clone().count());
        sent.zip(positions).map(|(id, position)| (position, id)).collect()
    }

    /// What these scalars leave.
    ///
    /// # Panics
    /// If they are not canonical.
    pub fn residuals(&self, scalars: &[u8]) -> Residuals {
        let mut transcript = self.transcript.clone();
        let inner = NativeCheck::new(scalars, scalars.len() / E_BYTES, &mut transcript).expect("its own length");
        let mut probe = Probe { inner, found: BTreeMap::new() };
        veritune_argument::verify(self.program, self.layout, self.plan, &mut probe).expect("nothing is refused");
        let (joint, _) = probe.inner.finish().expect("all scalars are read");
        let off = |check: CheckId| probe.found.get(&check).copied().unwrap_or_default();
        Residuals {
            equations: off(CheckId::Equations),
            one_hots: off(CheckId::OneHots),
            joint: joint.target - truth(&joint, self.trees),
        }
    }
}

/// The native check that notes what it would refuse, and goes on.
struct Probe<'a> {
    inner: NativeCheck<'a>,
    found: BTreeMap<CheckId, E>,
}

impl Context for Probe<'_> {
    type Scalar = E;

    fn read(&mut self, label: &'static str) -> Result<E, ArgumentError> {
        self.inner.read(label)
    }
    fn read_public(&mut self, label: &'static str) -> Result<E, ArgumentError> {
        self.inner.read_public(label)
    }
    fn challenge(&mut self, label: &'static str) -> E {
        self.inner.challenge(label)
    }
    fn mul(&mut self, a: &E, b: &E) -> E {
        self.inner.mul(a, b)
    }
    fn assert_zero(&mut self, check: CheckId, _: usize, value: &E) -> Result<(), ArgumentError> {
        self.found.insert(check, *value);
        Ok(())
    }
    fn claim(&mut self, functional: Functional, value: E) {
        self.inner.claim(functional, value);
    }
    fn base_claim(&mut self, claim: BaseClaim) {
        self.inner.base_claim(claim);
    }
}

/// What the joint functional gives for the vectors of these trees, in order of their places.
pub(crate) fn truth(joint: &Joint, trees: &[CommittedTree]) -> E {
    let products = trees.iter().enumerate().flat_map(|(place, tree)| {
        let weights = dense_weights(&joint.parts, place, tree.vector().len());
        weights.elements().into_iter().zip(tree.vector()).map(|(w, &x)| w * x).collect::<Vec<E>>()
    });
    products.sum()
}
