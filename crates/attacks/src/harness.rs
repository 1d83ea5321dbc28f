//! Proof and verification of a tiny program with real commitments.

use crate::argued::{Argued, truth};
use std::collections::{BTreeMap, BTreeSet};
use veritune_argument::{Argument, BASE_PLACE, BaseClaim, Joint, NUM_PLACES, WITNESS_PLACE};
use veritune_commit::{Profile, Root, TreeHash, TreeShape};
use veritune_executor::{Tensors, check};
use veritune_field::{E, F, P};
use veritune_prover::argument::{
    Channel, MaskedChannel, Pads, dense_weights, multiplicities, place_vectors, prove_into,
};
use veritune_prover::commit::{BlockVector, CommittedTree, Deviation as Opener, Randomness, commit, open_deviating};
use veritune_relations::Program;
use veritune_relations::layout::Layout;
use veritune_transcript::Transcript;
use veritune_verifier::known::Known;
use veritune_verifier::proof::{self, Placed, Source, absorb_witness, opening_target};
use veritune_verifier::statement::shape_for;

/// Rows of every tree of the harness.
const LOG_ROWS: u32 = 12;

/// Places with a tree of their own: state before, state after.
const TREES: [(usize, &str); 2] = [(1, "state before"), (2, "state after")];

/// Why a proof is refused.
pub type Refusal = String;

/// Code of a step whose claims on the base are not the base's.
pub const SETTLEMENT: &str = "settlement";

/// A proof and the roots that it is about.
#[derive(Debug, Clone)]
pub struct Proved {
    /// Roots of state before and state after.
    pub roots: [Root; 2],
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The argument's scalars before their pads, with their labels.
    pub sent: Vec<(&'static str, E)>,
}

/// The profile of the harness.
///
/// # Panics
/// Never: the profile is a constant.
pub fn profile() -> Profile {
    Profile::new(LOG_ROWS).expect("a served profile")
}

fn shape(profile: &Profile, name: &'static str, slots: usize) -> TreeShape {
    let (hash, masked) = if name == "witness" { (TreeHash::Blake3, true) } else { (TreeHash::Poseidon2, false) };
    shape_for(profile, name, slots, hash, masked, 1).expect("a tiny vector fits")
}

fn shapes(profile: &Profile, argument: &Argument<'_>) -> [TreeShape; 3] {
    std::array::from_fn(|place| match place {
        WITNESS_PLACE => shape(profile, "witness", argument.witness_slots()),
        _ => shape(profile, TREES[place - 1].1, argument.layout.used[place]),
    })
}

/// The transcript of a statement of the harness.
pub fn transcript(roots: &[Root; 2]) -> Transcript {
    let mut transcript = Transcript::new(b"veritune attacks");
    for ((_, name), root) in TREES.iter().zip(roots) {
        transcript.absorb(name, &root.0);
    }
    transcript
}

type Change = Box<dyn Fn(&Layout, &mut [Vec<F>; NUM_PLACES])>;

/// Where a prover departs from the protocol.
pub struct Deviation {
    /// Changes the vectors before anything happens.
    pub vectors: Change,
    /// Changes what is committed, the elements that mask the argument at the end of the witness included; the argument
    /// goes on with the vectors as they were.
    pub committed: Change,
    /// What masks the argument, if it is not what an honest proof of the harness draws.
    pub pads: Option<fn(&Argument<'_>) -> Pads>,
    /// What is absorbed in place of the witness root before the challenges.
    pub absorbed: Option<Root>,
    /// Changes a scalar of the argument before it is masked and sent, by its number; the last argument draws the
    /// challenge that would come if the scalar were not absorbed.
    pub scalar: Numbered,
    /// The same by its label; after the value comes the last challenge of a label.
    pub labelled: Option<Labelled>,
    /// Changes the argument's bytes when all its challenges are known.
    pub argument: Option<ArgumentEdit>,
    /// Changes the vector of a place and commits to it when all challenges of the argument are known.
    pub late: Option<(usize, LateEdit)>,
    /// Changes the weights that are opened, one vector for each tree.
    pub weights: WeightsEdit,
    /// The profile that the prover commits and opens under.
    pub profile: Profile,
    /// Departs from the opening's protocol while it goes on.
    pub opener: Box<dyn Opener>,
    /// Changes the opening's bytes after all else.
    pub opening: Option<OpeningEdit>,
    /// Leaves the tree of the state after out of the opening.
    pub without_after: bool,
}

type Numbered = Box<dyn Fn(usize, E, &dyn Fn() -> E) -> E>;
type WeightsEdit = Box<dyn Fn(&mut [BlockVector])>;
/// Gets the label, the value, the last challenge of a label, and the challenge that would come next.
pub type Labelled = Box<dyn Fn(&str, E, &dyn Fn(&str) -> E, &dyn Fn() -> E) -> E>;
type ArgumentEdit = Box<dyn Fn(&Argued<'_>, &mut [u8])>;
/// Gets the joint functional's weights of the vector, and the claimed value less the true one.
type LateEdit = Box<dyn Fn(&[E], E, &mut [F])>;
type OpeningEdit = Box<dyn Fn(&Opened<'_>, &mut [u8])>;

/// What an opening is of.
#[derive(Debug)]
pub struct Opened<'a> {
    /// Its profile.
    pub profile: &'a Profile,
    /// Its trees.
    pub trees: &'a [(TreeShape, Root)],
    /// The functional and its claimed value.
    pub joint: &'a Joint,
    /// The claimed value less the true one.
    pub excess: E,
    /// The transcript before it.
    pub transcript: &'a Transcript,
}

impl Default for Deviation {
    fn default() -> Self {
        Self {
            vectors: Box::new(|_, _| ()),
            committed: Box::new(|_, _| ()),
            pads: None,
            absorbed: None,
            scalar: Box::new(|_, scalar, _| scalar),
            labelled: None,
            argument: None,
            late: None,
            weights: Box::new(|_| ()),
            profile: profile(),
            opener: Box::new(Faithful),
            opening: None,
            without_after: false,
        }
    }
}

/// Opens by the protocol, whatever the target is.
struct Faithful;

impl Opener for Faithful {}

/// Sends scalars as a deviation wants them.
struct LyingChannel<'a> {
    inner: MaskedChannel<'a>,
    sent: Vec<(&'static str, E)>,
    drawn: BTreeMap<&'static str, E>,
    deviation: &'a Deviation,
}

impl LyingChannel<'_> {
    /// What is sent instead.
    fn lie(&mut self, label: &'static str, scalar: E) -> E {
        let next = self.inner.transcript.clone();
        let peek = || next.clone().challenge_e(label);
        let mut scalar = (self.deviation.scalar)(self.sent.len(), scalar, &peek);
        if let Some(labelled) = &self.deviation.labelled {
            let drawn = |label: &str| self.drawn.get(label).copied().unwrap_or_default();
            scalar = labelled(label, scalar, &drawn, &peek);
        }
        self.sent.push((label, scalar));
        scalar
    }
}

impl Channel for LyingChannel<'_> {
    fn send(&mut self, label: &'static str, scalar: E) {
        let scalar = self.lie(label, scalar);
        self.inner.send(label, scalar);
    }
    fn send_public(&mut self, label: &'static str, scalar: E) {
        let scalar = self.lie(label, scalar);
        self.inner.send_public(label, scalar);
    }
    fn challenge(&mut self, label: &'static str) -> E {
        let challenge = self.inner.challenge(label);
        self.drawn.insert(label, challenge);
        challenge
    }
}

/// Proves `program` for `tensors`, true or not.
///
/// # Panics
/// If the program cannot be argued about.
pub fn prove(program: &Program, tensors: &Tensors<i64>, deviation: &Deviation) -> Proved {
    let (profile, argument) = (deviation.profile.clone(), Argument::new(program).expect("an argument"));
    let (layout, wiring) = (&argument.layout, &argument.wiring);
    let tensors = tensors.all();
    let counts = multiplicities(program, &tensors);
    let mut vectors = place_vectors(program, layout, &tensors, &counts);
    (deviation.vectors)(layout, &mut vectors);
    let drawn = || Pads::draw(wiring, &Randomness::from_seed([8; 32]));
    let pads = deviation.pads.map_or_else(drawn, |pads| pads(&argument));
    vectors[WITNESS_PLACE].extend(pads.slots());
    let witness = vectors[WITNESS_PLACE].clone();
    (deviation.committed)(layout, &mut vectors);
    let shapes = shapes(&profile, &argument);
    let mut trees: Vec<CommittedTree> = (0..3)
        .map(|place| {
            let randomness = Randomness::from_seed([place as u8 + 1; 32]);
            commit(&profile, shapes[place], std::mem::take(&mut vectors[place]), randomness).expect("it fits")
        })
        .collect();
    let roots = |trees: &[CommittedTree]| -> [Root; 2] { std::array::from_fn(|i| trees[i + 1].root()) };
    let mut transcript = transcript(&roots(&trees));
    absorb_witness(&mut transcript, &deviation.absorbed.unwrap_or_else(|| trees[0].root()));
    let mut replay = transcript.clone();
    let (mut scalars, sent) = {
        let inner = MaskedChannel::new(&mut transcript, wiring, &pads);
        let mut channel = LyingChannel { inner, sent: Vec::new(), drawn: BTreeMap::new(), deviation };
        prove_into(&argument, &witness, &tensors, &mut channel);
        (channel.inner.finish(), channel.sent)
    };
    if let Some(edit) = &deviation.argument {
        let labels: Vec<&'static str> = sent.iter().map(|(label, _)| *label).collect();
        let (argument, trees, pads, labels) = (&argument, &trees[..], &pads, &labels[..]);
        edit(&Argued { argument, labels, trees, pads, transcript: &replay }, &mut scalars);
    }
    let mut bytes = trees[0].root().0.to_vec();
    bytes.extend_from_slice(&scalars);
    let (joint, _) = argument.verify_masked(&scalars, &mut replay).expect("its own scalars");
    if let Some((place, edit)) = &deviation.late {
        let place = *place;
        let used = if place == WITNESS_PLACE { argument.witness_slots() } else { layout.used[place] };
        let mut vector = trees[place].vector()[..used].to_vec();
        let weights = dense_weights(&joint.parts, place, vector.len()).elements();
        edit(&weights, joint.target - truth(&joint, &trees), &mut vector);
        let randomness = Randomness::from_seed([place as u8 + 9; 32]);
        trees[place] = commit(&profile, shapes[place], vector, randomness).expect("it fits");
        if place == WITNESS_PLACE {
            bytes[..32].copy_from_slice(&trees[place].root().0);
        }
    }
    let weights = |(place, tree): (usize, &CommittedTree)| dense_weights(&joint.parts, place, tree.vector().len());
    let mut opened: Vec<_> = trees.iter().enumerate().map(weights).collect();
    (deviation.weights)(&mut opened);
    let truth = truth(&joint, &trees);
    let before = replay.clone();
    // Those of trees that were committed to late, too.
    let states = roots(&trees);
    if deviation.without_after {
        trees.truncate(2);
        opened.truncate(2);
    }
    let statement: Vec<_> = shapes.into_iter().zip(trees.iter().map(CommittedTree::root)).collect();
    let mut all: Vec<&mut CommittedTree> = trees.iter_mut().collect();
    let target = opening_target(&joint, &[]);
    let opening = open_deviating(&profile, &mut all, opened, target, &mut replay, &*deviation.opener);
    let (mut opening, _) = opening.expect("three trees");
    if let Some(edit) = &deviation.opening {
        let (profile, trees, joint) = (&profile, &statement[..], &joint);
        let excess = target - truth;
        edit(&Opened { profile, trees, joint, excess, transcript: &before }, &mut opening);
    }
    bytes.extend_from_slice(&opening);
    Proved { roots: states, bytes, sent }
}

/// Verifies with the honest verifier's code.
///
/// # Errors
/// The code of the refusal.
pub fn verify(program: &Program, proved: &Proved) -> Result<Vec<BaseClaim>, Refusal> {
    verify_trees(program, proved, TREES.len())
}

/// The same for a statement that has only the first `count` trees of the states.
///
/// # Errors
/// The code of the refusal.
pub fn verify_trees(program: &Program, proved: &Proved, count: usize) -> Result<Vec<BaseClaim>, Refusal> {
    let (profile, argument) = (profile(), Argument::new(program).map_err(|error| error.code().to_owned())?);
    let shapes = shapes(&profile, &argument);
    let placed: Vec<Placed<'_>> =
        (0..count).map(|i| (TREES[i].0, Source::Tree(shapes[i + 1], proved.roots[i]))).collect();
    let mut transcript = transcript(&proved.roots);
    proof::verify(&argument, &profile, shapes[0], &placed, &proved.bytes, &mut transcript)
        .map_err(|error| error.code().to_owned())
}

/// Whether the claims are those of the base with these values: what a settlement shows.
pub fn base_claims_hold(program: &Program, base: &Tensors<i64>, claims: &[BaseClaim]) -> bool {
    let layout = Layout::new(program);
    let tensors = base.all();
    let counts = multiplicities(program, &tensors);
    let [.., base] = place_vectors(program, &layout, &tensors, &counts);
    let base = Known::from(base);
    claims.iter().all(|c| base.value(&c.parts, BASE_PLACE) == c.value)
}

/// Proves with one program, verifies with another, and settles against the honest base.
///
/// # Errors
/// The code of the refusal; [`SETTLEMENT`] if the step verifies and its claims on the base are false.
pub fn prove_and_verify(
    prover: &Program,
    verifier: &Program,
    tensors: &Tensors<i64>,
    base: Option<&Tensors<i64>>,
) -> Result<(), Refusal> {
    let proved = prove(prover, tensors, &Deviation::default());
    let claims = verify(verifier, &proved)?;
    match base {
        Some(base) if !base_claims_hold(verifier, base, &claims) => Err(SETTLEMENT.to_owned()),
        _ => Ok(()),
    }
}

/// Names of the checks that the tensors violate in the field: an equation that is off by a multiple of the order
/// holds there.
pub fn violated(program: &Program, tensors: &Tensors<i64>) -> BTreeSet<String> {
    let is_equation = |name: &str| program.equations.iter().any(|e| e.name == name);
    let in_field = |v: &veritune_executor::Violation| !is_equation(&v.name) || v.value.rem_euclid(i128::from(P)) != 0;
    check(program, tensors).into_iter().filter(in_field).map(|v| v.name).collect()
}

/// Whether a name matches a pattern with at most one `*`.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        Some((head, tail)) => name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail),
        None => pattern == name,
    }
}

/// The program without these checks; `range.x` takes the limbs of tensor `x` away.
pub fn without(program: &Program, checks: &[&str]) -> Program {
    let mut program = program.clone();
    let dropped = |name: &str| checks.iter().any(|c| matches(c, name));
    program.equations.retain(|e| !dropped(&e.name));
    program.lookups.retain(|l| !dropped(&l.name));
    for tensor in &mut program.tensors {
        if dropped(&format!("range.{}", tensor.name)) {
            tensor.range_by_other = true;
        }
    }
    program
}
