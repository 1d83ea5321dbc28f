//! The simulator: a run's proofs without rows, tokens, activations, gradients, states or adapter, for challenges that are known
//! beforehand.
//!
//! It is given what everybody knows: spec, seed, base, released copies, and the losses of a run that discloses them. What it makes has the distribution of honest proofs for
//! the same challenges, but for the digests of what nobody opens (`docs/notes/zero-knowledge.md`): leaves of rows, and leaves of
//! trees outside the opened positions. Challenges are known beforehand under `veritune_mutation::programmed` only, and there the
//! verifier accepts.

use std::mem;
use veritune_argument::{
    Argument, ArgumentError, Arithmetic, BASE_PLACE, BaseClaim, CheckId, Context as Interpreter, Functional,
    NUM_PLACES, STATE_AFTER_PLACE, STATE_BEFORE_PLACE, WITNESS_PLACE,
};
use veritune_commit::rows::{layers, paths};
use veritune_commit::{Profile, Root, TreeShape, tree_point};
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_field::{E, F, e_to_bytes, f_to_bytes};
use veritune_prover::commit::Randomness;
use veritune_prover::commit::simulate::{SimulatedTree, simulate};
use veritune_relations::release;
use veritune_relations::step::Leaf;
use veritune_transcript::Transcript;
use veritune_verifier::known::Known;
use veritune_verifier::loss;
use veritune_verifier::proof::{Placed, Source, absorb_witness, opening_target};
use veritune_verifier::statement::Run;
use veritune_verifier::step::Context;

/// A run that nobody trained.
pub struct SimulatedRun {
    /// Its statement: the dataset's root is the simulator's.
    pub run: Run,
    /// Roots of the states after each step.
    pub roots: Vec<Root>,
    /// Rows' paths and proof of each step.
    pub proofs: Vec<Vec<u8>>,
    /// Proof of the release.
    pub release: Vec<u8>,
}

/// Where the values of a place come from.
pub enum Simulated<'a> {
    /// A committed vector that nobody has.
    Tree(&'a mut SimulatedTree),
    /// A vector that the verifier has itself.
    Known(&'a Known),
}

/// Hands out seeds that are used once.
pub struct Seeds(u64);

impl Seeds {
    /// Seeds that no other number gives.
    pub fn new(number: u64) -> Self {
        Self(number << 20)
    }

    fn next(&mut self) -> Randomness {
        self.0 += 1;
        Randomness::from_seed(blake3::derive_key("veritune simulator v1", &self.0.to_le_bytes()))
    }

    /// Uniform elements of E.
    fn elements(&mut self, count: usize) -> Vec<E> {
        self.next().pads(count)
    }
}

/// Simulates a run with this spec, seed, plan and base, whose adapter has these copies and whose steps these public losses;
/// `seed` is the simulator's own.
///
/// # Panics
/// If the statement cannot be formed, or challenges are not programmed.
pub fn simulate_run(
    public: &Run,
    base: &Known,
    copies: &[Vec<i64>],
    file_digest: &[u8; 32],
    losses: &[Option<u32>],
    seed: u64,
) -> SimulatedRun {
    let mut seeds = Seeds::new(seed);
    // Leaves of rows hide them behind salts: any elements look like them.
    let rows = public.spec.dataset_rows;
    let words: Vec<F> = seeds.elements(rows * 2).into_iter().flat_map(base_words).collect();
    let leaves: Vec<Leaf> = words.chunks_exact(6).take(rows).map(|w| [w[0], w[1], w[2], w[3]]).collect();
    let digests = leaves.iter().map(|leaf| leaf.map(f_to_bytes).as_flattened().try_into().expect("32 bytes")).collect();
    let layers = layers(digests).expect("canonical");
    let top = layers.last().expect("a root")[0];
    let run =
        Run { dataset: veritune_commit::rows::dataset_root(public.spec.training.tokens, rows, &top), ..public.clone() };
    let context = Context::new(&run).expect("a statement");
    let mut states: Vec<SimulatedTree> = Vec::new();
    let mut proofs = Vec::new();
    for (step, &loss) in (1..=run.spec.training.steps).zip(losses) {
        let indices = context.rows(step);
        let own: Vec<Leaf> = indices.iter().map(|&row| leaves[row]).collect();
        let mut program = context.program(step, &own).expect("a program").program;
        program.publish(loss.map(i64::from));
        let argument = Argument::new(&program).expect("an argument");
        let mut after = SimulatedTree::new(&context.profile, context.shapes.state, &seeds.next());
        let before_root = states.last().map_or_else(|| context.first_root(), SimulatedTree::root);
        let mut transcript = run.step_transcript(step, &own, loss, &before_root, &after.root());
        let before = match states.last_mut() {
            Some(tree) => Simulated::Tree(tree),
            None => Simulated::Known(&context.first_state),
        };
        let placed = vec![(STATE_BEFORE_PLACE, before), (STATE_AFTER_PLACE, Simulated::Tree(&mut after))];
        let mut bytes = paths(&layers, &indices).expect("rows of the dataset");
        bytes.extend(loss::to_bytes(loss));
        bytes.extend(simulate_proof(
            &context.profile,
            &argument,
            context.shapes.witness,
            placed,
            base,
            &mut transcript,
            &mut seeds,
        ));
        proofs.push(bytes);
        states.push(after);
    }
    let program = release::build(&run.spec, &context.first, copies).expect("a release").program;
    let argument = Argument::new(&program).expect("an argument");
    let shape = run.witness_shape(&context.profile, &argument).expect("a shape");
    let last = states.last_mut().expect("a step");
    let mut transcript = run.release_transcript(&last.root(), file_digest);
    let placed = vec![(STATE_BEFORE_PLACE, Simulated::Tree(last))];
    let release = simulate_proof(&context.profile, &argument, shape, placed, base, &mut transcript, &mut seeds);
    let roots = states.iter().map(SimulatedTree::root).collect();
    drop(context);
    SimulatedRun { run, roots, proofs, release }
}

fn base_words(element: E) -> [F; 3] {
    use veritune_field::traits::BasedVectorSpace;
    element.as_basis_coefficients_slice().try_into().expect("three coefficients")
}

/// A proof: root, scalars, opening. `base` has the values of the public base.
///
/// # Panics
/// If challenges are not programmed.
pub fn simulate_proof(
    profile: &Profile,
    argument: &Argument<'_>,
    witness: TreeShape,
    placed: Vec<(usize, Simulated<'_>)>,
    base: &Known,
    transcript: &mut Transcript,
    seeds: &mut Seeds,
) -> Vec<u8> {
    // Challenges do not depend on the root, which the opening decides.
    absorb_witness(transcript, &Root([0; 32]));
    // Values of the public base follow from the challenges alone: claims first, then values.
    let mut blind = Blind::new(transcript.clone(), argument, Vec::new(), seeds);
    blind.run(argument);
    let values = blind.claims.iter().map(|claim| base.value(&claim.parts, BASE_PLACE)).collect();
    let mut blind = Blind::new(transcript.clone(), argument, values, seeds);
    blind.run(argument);
    let mut scalars = mem::take(&mut blind.scalars);
    scalars.extend_from_slice(&e_to_bytes(blind.uniform.pop().expect("one for the value of L")));
    let (joint, _) = argument.verify_masked(&scalars, transcript).expect("scalars in number and form");

    let mut tree = SimulatedTree::new(profile, witness, &seeds.next());
    let mut places = vec![WITNESS_PLACE];
    let mut shapes = vec![witness];
    let mut trees: Vec<&mut SimulatedTree> = vec![&mut tree];
    let mut known: Vec<Placed<'_>> = Vec::new();
    for (place, source) in placed {
        match source {
            Simulated::Tree(tree) => {
                places.push(place);
                shapes.push(tree.shape());
                trees.push(tree);
            }
            Simulated::Known(vector) => known.push((place, Source::Known(vector))),
        }
    }
    let target = opening_target(&joint, &known);
    let (roots, opening) = simulate(profile, &mut trees, target, transcript, seeds.next(), |z| {
        let points: Vec<Vec<E>> = shapes.iter().map(|shape| tree_point(z, shape)).collect();
        let mut by_place: [&[E]; NUM_PLACES] = [&[]; NUM_PLACES];
        places.iter().zip(&points).for_each(|(&place, point)| by_place[place] = point);
        let values = joint.weights_at(&by_place);
        places.iter().map(|&place| values[place]).collect()
    });
    [&roots[0].0[..], &scalars, &opening].concat()
}

/// The verifier on uniform scalars and the base's true values; it notes the claims on the base.
struct Blind {
    transcript: Transcript,
    uniform: Vec<E>,
    values: std::vec::IntoIter<E>,
    claims: Vec<BaseClaim>,
    scalars: Vec<u8>,
}

impl Blind {
    fn new(transcript: Transcript, argument: &Argument<'_>, values: Vec<E>, seeds: &mut Seeds) -> Self {
        let uniform = seeds.elements(argument.wiring.num_pads + 1);
        Self { transcript, uniform, values: values.into_iter(), claims: Vec::new(), scalars: Vec::new() }
    }

    fn run(&mut self, argument: &Argument<'_>) {
        let Argument { program, layout, plan, .. } = argument;
        veritune_argument::verify(program, layout, plan, self).expect("nothing is refused");
    }
}

impl Arithmetic for Blind {
    type Sent = E;
    type Scalar = E;

    fn mul(&mut self, _: E, _: E) -> E {
        E::ZERO
    }
    fn hold(&mut self, label: &'static str, value: E) -> Result<E, ArgumentError> {
        self.read_held(label, value)
    }
}

impl Interpreter for Blind {
    fn read(&mut self, _: &'static str) -> Result<E, ArgumentError> {
        let scalar = self.uniform.pop().expect("as many as there are pads");
        self.scalars.extend_from_slice(&e_to_bytes(scalar));
        Ok(scalar)
    }
    fn read_public(&mut self, _: &'static str) -> Result<E, ArgumentError> {
        let value = self.values.next().unwrap_or_default();
        self.scalars.extend_from_slice(&e_to_bytes(value));
        Ok(value)
    }
    fn challenge(&mut self, label: &'static str) -> E {
        self.transcript.challenge_e(label)
    }
    fn assert_zero(&mut self, _: CheckId, _: usize, _: E) -> Result<(), ArgumentError> {
        Ok(())
    }
    fn claim(&mut self, _: Functional, _: E) {}
    fn base_claim(&mut self, claim: BaseClaim) {
        self.claims.push(claim);
    }
}
