//! Opening: the prover's side of `veritune_commit::verify_opening`, step by step.

use super::block_vector::BlockVector;
use super::encode::transform;
use super::oracle::{Oracle, Proof, draw};
use super::sumcheck::ProductSumcheck;
use super::tree::CommittedTree;
use crate::lane::{LANES, PackedE, Packing, sum_lanes};
use rayon::prelude::*;
use veritune_commit::{Labels, MAX_TREES, Profile, absorb_statement, eq_table, tree_point};
use veritune_field::traits::{BasedVectorSpace, PackedFieldExtension, PackedValue, PrimeCharacteristicRing};
use veritune_field::{E, F};
use veritune_transcript::Transcript;

/// Enough scalar work to hide the cost of scheduling.
const ELEMENTS_PER_TASK: usize = 1 << 12;

/// Why the prover refuses to open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The opening budget of a tree is spent: one more would give its entries away.
    #[error("tree {tree} has been opened {spent} times, its budget")]
    BudgetSpent {
        /// Which tree.
        tree: usize,
        /// Openings made.
        spent: u32,
    },
    /// There is not exactly one masked tree with its mask, or too many trees or none.
    #[error("{trees} trees with {masked} masks; one mask and at most {MAX_TREES} trees are needed")]
    Trees {
        /// Trees given.
        trees: usize,
        /// Masks among them.
        masked: usize,
    },
    /// The weights do not match the trees.
    #[error("weights of tree {tree} do not fit its vector, or there is no such tree")]
    Weights {
        /// Which tree.
        tree: usize,
    },
}

/// Bytes of an opening by component.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpeningReport {
    /// Name and bytes, in the order of the proof.
    pub components: Vec<(String, usize)>,
}

/// Proves `sum_o <weights_o, f_o> = target`; the tree order is part of the statement.
///
/// Every opening counts against the budget of each tree and uses up the mask of the masked one. *Caller
/// must* persist the counts before the bytes leave, and bind the transcript to everything that weights
/// and target depend on.
///
/// Cost: one pass over vectors and weights, then geometrically less; memory is the weights plus 1.5
/// times 24 bytes per element of the vectors.
pub fn open(
    profile: &Profile,
    trees: &mut [&mut CommittedTree],
    weights: Vec<BlockVector>,
    target: E,
    transcript: &mut Transcript,
) -> Result<Vec<u8>, OpenError> {
    open_with_report(profile, trees, weights, target, transcript).map(|(proof, _)| proof)
}

/// [`open()`], with the bytes of every component.
pub fn open_with_report(
    profile: &Profile,
    trees: &mut [&mut CommittedTree],
    weights: Vec<BlockVector>,
    target: E,
    transcript: &mut Transcript,
) -> Result<(Vec<u8>, OpeningReport), OpenError> {
    open_deviating(profile, trees, weights, target, transcript, &Honest)
}

/// What a prover does at the places where one that cheats departs from the protocol. By default it does not.
///
/// It helps no prover whose target is true, and a verifier refuses the others.
pub trait Deviation {
    /// False when the target is false: then the honest prover's own checks are left out.
    fn is_honest(&self) -> bool {
        false
    }
    /// Changes the values and the mask's value before they are sent. The verifier adds up `weights[o] * values[o]` and
    /// finds `missing` too little.
    fn values(&self, _values: &mut [E], _mask_value: &mut E, _weights: &[E], _missing: E) {}
    /// Changes the vector of a level before it is committed, and the last one before it is sent.
    fn vector(&self, _at: &Queried<'_>, _vector: &mut [E]) {}
    /// Changes a round polynomial of a level, whose values at 0 and 1 add up to `missing` too little.
    fn fold(&self, _transcript: &Transcript, _polynomial: &mut [E; 2], _missing: &dyn Fn() -> E) {}
}

/// Where a vector stands that is sent, or committed, before it is queried.
#[derive(Debug)]
pub struct Queried<'a> {
    /// The level, from 1; one more than there are for the last vector.
    pub level: usize,
    /// The transcript before the message.
    pub transcript: &'a Transcript,
    /// Positions that are drawn after it.
    pub queries: u32,
    /// Base-2 logarithm of their range.
    pub log_domain: u32,
    /// Weights of the vector.
    pub weights: &'a [E],
    /// Their inner product with it, as the verifier has it.
    pub claim: E,
}

/// No deviation.
struct Honest;

impl Deviation for Honest {
    fn is_honest(&self) -> bool {
        true
    }
}

/// [`open_with_report`] with a deviation.
pub fn open_deviating(
    profile: &Profile,
    trees: &mut [&mut CommittedTree],
    weights: Vec<BlockVector>,
    target: E,
    transcript: &mut Transcript,
    deviation: &dyn Deviation,
) -> Result<(Vec<u8>, OpeningReport), OpenError> {
    check(trees, &weights)?;
    for tree in trees.iter_mut() {
        tree.spend();
    }
    let mask = trees.iter_mut().find_map(|tree| tree.mask.take()).expect("checked: one mask");
    let trees: Vec<&CommittedTree> = trees.iter().map(|tree| &**tree).collect();
    let statement: Vec<_> = trees.iter().map(|tree| (tree.shape, tree.root())).collect();
    absorb_statement(transcript, profile, &statement, target);
    let mut proof = Proof::default();

    // 1. Sumcheck over rows and columns.
    let Reduced { z, weights, mut values, missing } =
        sumcheck(profile, &trees, weights, target, transcript, &mut proof);
    debug_assert!(missing == E::ZERO || !deviation.is_honest(), "the target is not the sum of the inner products");
    proof.mark("sumcheck");

    // 2. Values at the final point.
    let num_rows = profile.log_rows() as usize;
    let eq_rows = eq_table(&z[..num_rows]);
    let mut mask_value = dot(&eq_rows, &mask);
    deviation.values(&mut values, &mut mask_value, &weights, missing);
    transcript.absorb_e(Labels::VALUES, &values);
    transcript.absorb_e(Labels::VALUES, &[mask_value]);
    proof.elements(&values);
    proof.elements(&[mask_value]);
    proof.mark("values");

    // 3. One vector for all trees.
    let gamma = transcript.challenge_e(Labels::GAMMA);
    let mut vector = mask;
    let mut claim = mask_value;
    let mut power = E::ONE;
    for (tree, &value) in trees.iter().zip(&values) {
        power *= gamma;
        let own_rows = tree.shape.log_rows as usize;
        claim += power * value * z[own_rows..num_rows].iter().map(|&r| E::ONE - r).product::<E>();
        let point = tree_point(&z, &tree.shape);
        let columns: Vec<E> = eq_table(&point[own_rows..]).into_iter().map(|v| v * power).collect();
        add_combined_columns(&mut vector, &tree.vector, &columns);
    }

    // 4. Levels.
    let mut weights = eq_rows;
    let mut previous: Option<Oracle> = None;
    for (index, level) in profile.levels().iter().enumerate() {
        let (queries, log_domain) = match &previous {
            None => (profile.queries(), profile.log_domain()),
            Some(Oracle { level, .. }) => (level.queries, level.log_domain()),
        };
        let at = Queried { level: index + 1, transcript, queries, log_domain, weights: &weights, claim };
        deviation.vector(&at, &mut vector);
        let oracle = Oracle::new(level, &vector);
        transcript.absorb(Labels::ROOT, &oracle.merkle.root());
        proof.bytes.extend_from_slice(&oracle.merkle.root());
        let (log_domain, positions) = match &previous {
            None => {
                let log_domain = profile.log_domain();
                let positions = draw(transcript, profile.queries(), log_domain);
                for (number, tree) in trees.iter().enumerate() {
                    tree.write_rows(&tree.shape.leaves(profile, &positions), &mut proof.bytes);
                    proof.mark(&format!("tree {number}"));
                }
                (log_domain, positions)
            }
            Some(oracle) => (oracle.level.log_domain(), oracle.answer(transcript, &mut proof)),
        };
        let beta = transcript.challenge_e(Labels::BETA);
        claim += add_query_weights(&mut weights, &vector, beta, &positions, log_domain);
        let mut product = ProductSumcheck::over_extension(weights, vector);
        for _ in 0..level.log_columns {
            let mut polynomial = product.polynomial();
            deviation.fold(transcript, &mut polynomial, &|| claim - product.claim());
            let challenge = round(transcript, &mut proof, Labels::FOLD, polynomial, &mut claim);
            product.bind(challenge);
        }
        (weights, vector) = product.into_parts();
        previous = Some(oracle);
        proof.mark(&format!("level {} root and sumcheck", index + 1));
    }

    // 5. The last vector.
    debug_assert!(dot(&weights, &vector) == claim || !deviation.is_honest());
    if let Some(Oracle { level, .. }) = &previous {
        let (number, log_domain) = (profile.levels().len() + 1, level.log_domain());
        let at = Queried { level: number, transcript, queries: level.queries, log_domain, weights: &weights, claim };
        deviation.vector(&at, &mut vector);
    }
    transcript.absorb_e(Labels::FINAL, &vector);
    proof.elements(&vector);
    proof.mark("final vector");
    if let Some(oracle) = previous {
        oracle.answer(transcript, &mut proof);
        proof.mark("last oracle rows");
    }
    Ok((proof.bytes, OpeningReport { components: proof.components }))
}

fn check(trees: &[&mut CommittedTree], weights: &[BlockVector]) -> Result<(), OpenError> {
    let masked = trees.iter().filter(|tree| tree.shape.masked && tree.mask.is_some()).count();
    for (tree, committed) in trees.iter().enumerate() {
        if committed.spent() >= committed.shape.budget {
            return Err(OpenError::BudgetSpent { tree, spent: committed.spent() });
        }
        if weights.get(tree).is_none_or(|w| w.len() > committed.vector.len()) {
            return Err(OpenError::Weights { tree });
        }
    }
    if weights.len() != trees.len() {
        return Err(OpenError::Weights { tree: trees.len() });
    }
    if masked != 1 || trees.len() > MAX_TREES {
        return Err(OpenError::Trees { trees: trees.len(), masked });
    }
    Ok(())
}

/// What step 1 leaves.
struct Reduced {
    /// The final point.
    z: Vec<E>,
    /// What the verifier multiplies the values with.
    weights: Vec<E>,
    /// The values of the vectors at the point.
    values: Vec<E>,
    /// The last claim less the sum of their products: zero for a true target.
    missing: E,
}

/// Step 1.
fn sumcheck(
    profile: &Profile,
    trees: &[&CommittedTree],
    weights: Vec<BlockVector>,
    target: E,
    transcript: &mut Transcript,
    proof: &mut Proof,
) -> Reduced {
    let mut products: Vec<ProductSumcheck<'_>> =
        trees.iter().zip(weights).map(|(tree, weights)| ProductSumcheck::over_base(weights, &tree.vector)).collect();
    let widest = trees.iter().map(|tree| tree.shape.log_columns).max().unwrap_or(0);
    let mut claim = target;
    let mut z = Vec::new();
    // In a round that is not its own, a tree contributes claim * scale * (1 - X).
    let mut scales = vec![E::ONE; products.len()];
    for variable in 0..profile.log_rows() + widest {
        let waits = |tree: &CommittedTree| tree.shape.waits(profile, widest).contains(&variable);
        let polynomial = products
            .iter()
            .zip(trees)
            .zip(&scales)
            .map(|((product, tree), &scale)| {
                let [constant, leading] = if waits(tree) { [product.claim(), E::ZERO] } else { product.polynomial() };
                [scale * constant, scale * leading]
            })
            .fold([E::ZERO; 2], sum);
        let challenge = round(transcript, proof, Labels::SUMCHECK, polynomial, &mut claim);
        z.push(challenge);
        for ((product, tree), scale) in products.iter_mut().zip(trees).zip(&mut scales) {
            if waits(tree) {
                *scale *= E::ONE - challenge;
            } else {
                product.bind(challenge);
            }
        }
    }
    let finals = products.into_iter().zip(scales).map(|(product, scale)| {
        let (weights, vector) = product.into_parts();
        (scale * weights[0], vector[0])
    });
    let (weights, values): (Vec<E>, Vec<E>) = finals.unzip();
    let missing = claim - weights.iter().zip(&values).map(|(&w, &f)| w * f).sum::<E>();
    Reduced { z, weights, values, missing }
}

fn sum(a: [E; 2], b: [E; 2]) -> [E; 2] {
    [a[0] + b[0], a[1] + b[1]]
}

/// Sends a round polynomial, draws its challenge and reduces the claim.
fn round(transcript: &mut Transcript, proof: &mut Proof, label: &str, polynomial: [E; 2], claim: &mut E) -> E {
    let [constant, leading] = polynomial;
    transcript.absorb_e(label, &polynomial);
    proof.elements(&polynomial);
    let challenge = transcript.challenge_e(label);
    let middle = *claim - constant.double() - leading;
    *claim = constant + challenge * (middle + challenge * leading);
    challenge
}

/// `combined[row * stride] += sum_c columns[c] * vector[row * columns.len() + c]`, where the stride is what spreads the
/// rows of the vector over those of `combined`.
fn add_combined_columns(combined: &mut [E], vector: &[F], columns: &[E]) {
    let width = columns.len();
    let stride = combined.len() / (vector.len() / width);
    const ROWS_PER_TASK: usize = 256;
    let packed: Vec<PackedE> =
        if width >= LANES { columns.chunks(LANES).map(PackedE::from_ext_slice).collect() } else { Vec::new() };
    combined.par_chunks_mut(ROWS_PER_TASK * stride).zip(vector.par_chunks(ROWS_PER_TASK * width)).for_each(
        |(combined, vector)| {
            for (slot, row) in combined.iter_mut().step_by(stride).zip(vector.chunks_exact(width)) {
                *slot += if packed.is_empty() {
                    columns.iter().zip(row).map(|(&c, &x)| c * x).sum::<E>()
                } else {
                    let pairs = packed.iter().zip(Packing::pack_slice(row));
                    sum_lanes(pairs.fold(PackedE::ZERO, |sum, (&c, &x)| sum + c * x))
                };
            }
        },
    );
}

/// Adds the weights of the query claims to `weights`; returns the sum of their values.
///
/// The weight `sum_j beta^(j+1) x_j^b`, with `x_j` in a subgroup, is the transform of the vector that
/// holds `beta^(j+1)` at the exponent of `x_j`: no power is computed.
fn add_query_weights(weights: &mut [E], vector: &[E], beta: E, positions: &[u64], log_domain: u32) -> E {
    let mut sparse = vec![E::ZERO; 1 << log_domain];
    for (&position, power) in positions.iter().zip(beta.shifted_powers(beta)) {
        sparse[position as usize] = power;
    }
    let spread = E::reconstitute_from_base(transform(E::flatten_to_base(sparse), 3));
    weights
        .par_iter_mut()
        .zip(vector)
        .zip(&spread)
        .with_min_len(ELEMENTS_PER_TASK)
        .map(|((slot, &value), &weight)| {
            *slot += weight;
            weight * value
        })
        .reduce(|| E::ZERO, |a, b| a + b)
}

fn dot(a: &[E], b: &[E]) -> E {
    a.par_iter().zip(b).with_min_len(ELEMENTS_PER_TASK).map(|(&a, &b)| a * b).reduce(|| E::ZERO, |a, b| a + b)
}
