//! Opening: the prover's side of `veritune_commit::verify_opening`, step by step.

use super::block_vector::BlockVector;
use super::deviation::{Covering, Deviation, Honest};
use super::levels::{Combination, dot, first_positions, prove_combination, reduce};
use super::oracle::Proof;
use super::sumcheck::ProductSumcheck;
use super::tree::CommittedTree;
use crate::lane::{LANES, PackedE, Packing, Products, sum_triple, triple};
use crate::wipe::wipe;
use rayon::prelude::*;
use veritune_commit::{Hidden, Labels, MAX_LOG_COLUMNS, MAX_TREES, Profile, absorb_statement, tree_point};
use veritune_field::traits::{PackedFieldExtension, PackedValue, PrimeCharacteristicRing};
use veritune_field::{E, F, eq_table};
use veritune_transcript::Transcript;

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
    let mut masks = trees.iter_mut().find_map(|tree| tree.masks.take()).expect("checked: one masked tree");
    let trees: Vec<&CommittedTree> = trees.iter().map(|tree| &**tree).collect();
    let statement: Vec<_> = trees.iter().map(|tree| (tree.shape, tree.root())).collect();
    absorb_statement(transcript, profile, &statement, target);
    let mut proof = Proof::default();
    let mut pads = masks.pads.clone();
    deviation.pads(&mut pads);

    // 1. Sumcheck over rows and columns, under pads.
    let Reduced { z, weights, mut values, missing, claim } =
        sumcheck(profile, &trees, weights, target, &pads, transcript, &mut proof);
    debug_assert!(missing == E::ZERO || !deviation.is_honest(), "the target is not the sum of the inner products");
    proof.mark("sumcheck");

    // 2. Values at the final point, under the pads after those of the rounds.
    let num_rows = profile.log_rows() as usize;
    let eq_rows = eq_table(&z[..num_rows]);
    let mut mask_value = dot(&eq_rows, &masks.mask);
    deviation.values(&mut values, &mut mask_value, &weights, missing);
    let value_pads = 2 * z.len();
    let sent: Vec<E> = values.iter().chain([&mask_value]).zip(&pads[value_pads..]).map(|(&v, &pad)| v + pad).collect();
    wipe(&mut pads);
    let (sent_values, sent_mask_value) = sent.split_at(trees.len());
    transcript.absorb_e(Labels::VALUES, sent_values);
    transcript.absorb_e(Labels::VALUES, sent_mask_value);
    proof.elements(&sent);
    proof.mark("values");
    let mut missing = claim;
    for (o, (&weight, &sent)) in weights.iter().zip(sent_values).enumerate() {
        missing.add(-weight, sent, value_pads + o);
    }

    // 3. One vector for all trees, and its value.
    let gamma = transcript.challenge_e(Labels::GAMMA);
    let mut vector = std::mem::take(&mut masks.mask);
    let mut combined_value = mask_value;
    let mut factors = Vec::with_capacity(trees.len() + 1);
    let mut power = E::ONE;
    for (tree, &value) in trees.iter().zip(&values) {
        power *= gamma;
        let own_rows = tree.shape.log_rows as usize;
        let factor = power * z[own_rows..num_rows].iter().map(|&r| E::ONE - r).product::<E>();
        combined_value += factor * value;
        factors.push(factor);
        let point = tree_point(&z, &tree.shape);
        let columns: Vec<E> = eq_table(&point[own_rows..]).into_iter().map(|v| v * power).collect();
        add_combined_columns(&mut vector, &tree.vector, &columns);
    }
    factors.push(E::ONE);
    deviation.combined_value(&mut combined_value, &|| dot(&eq_rows, &vector));
    transcript.absorb_e(Labels::COMBINED_VALUE, &[combined_value]);
    proof.elements(&[combined_value]);
    proof.mark("combined value");
    let mut excess = Hidden::new(-combined_value);
    for ((&factor, &sent), pad) in factors.iter().zip(&sent).zip(value_pads..) {
        excess.add(factor, sent, pad);
    }

    // 4. Both numbers are zero: the pads under their cover.
    let relations = [&missing, &excess];
    let mut sums = relations.map(|relation| relation.inner_product(&masks.cover));
    let (pads, log_domain) = (&masks.pads[..], profile.log_domain());
    let positions = |transcript: &Transcript| first_positions(profile, &vector, transcript);
    let at = Covering { transcript, relations, pads, positions: &|| positions(transcript), log_domain };
    debug_assert!(at.missing() == [E::ZERO; 2] || !deviation.is_honest());
    deviation.cover_sums(&at, &mut sums);
    transcript.absorb_e(Labels::COVER_SUMS, &sums);
    proof.elements(&sums);
    proof.mark("cover sums");
    let challenge = transcript.challenge_e(Labels::COVER);
    let mut covered: Vec<E> = masks.cover.iter().zip(pads).map(|(&q, &pad)| q + challenge * pad).collect();
    let at = Covering { transcript, relations, pads, positions: &|| positions(transcript), log_domain };
    deviation.covered_pads(&at, challenge, &mut covered);
    transcript.absorb_e(Labels::COVERED_PADS, &covered);
    proof.elements(&covered);
    proof.mark("covered pads");

    // 5. and 6. The combination.
    let combination = Combination { weights: eq_rows, vector, value: combined_value };
    prove_combination(profile, combination, transcript, &mut proof, deviation, |positions, proof| {
        for (number, tree) in trees.iter().enumerate() {
            tree.write_rows(&tree.shape.leaves(profile, positions), &mut proof.bytes);
            proof.mark(&format!("tree {number}"));
        }
    });
    Ok((proof.bytes, OpeningReport { components: proof.components }))
}

fn check(trees: &[&mut CommittedTree], weights: &[BlockVector]) -> Result<(), OpenError> {
    let masked = trees.iter().filter(|tree| tree.shape.masked && tree.masks.is_some()).count();
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
    /// The last claim as the verifier has it.
    claim: Hidden,
}

/// Step 1, with pads for the rounds at the start of `pads`.
fn sumcheck(
    profile: &Profile,
    trees: &[&CommittedTree],
    weights: Vec<BlockVector>,
    target: E,
    pads: &[E],
    transcript: &mut Transcript,
    proof: &mut Proof,
) -> Reduced {
    let mut products: Vec<ProductSumcheck<'_>> =
        trees.iter().zip(weights).map(|(tree, weights)| ProductSumcheck::over_base(weights, &tree.vector)).collect();
    let widest = trees.iter().map(|tree| tree.shape.log_columns).max().unwrap_or(0);
    let (mut claim, mut hidden) = (target, Hidden::new(target));
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
        let [constant, leading] = polynomial;
        let round = z.len();
        let sent = [constant + pads[2 * round], leading + pads[2 * round + 1]];
        transcript.absorb_e(Labels::SUMCHECK, &sent);
        proof.elements(&sent);
        let challenge = transcript.challenge_e(Labels::SUMCHECK);
        claim = reduce(claim, polynomial, challenge);
        hidden.reduce(round, sent, challenge);
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
    Reduced { z, weights, values, missing, claim: hidden }
}

fn sum(a: [E; 2], b: [E; 2]) -> [E; 2] {
    [a[0] + b[0], a[1] + b[1]]
}

/// `combined[row * stride] += sum_c columns[c] * vector[row * columns.len() + c]`, where the stride is what spreads the
/// rows of the vector over those of `combined`.
fn add_combined_columns(combined: &mut [E], vector: &[F], columns: &[E]) {
    const { assert!(1 << MAX_LOG_COLUMNS <= Products::MAX * LANES, "a row is one sum") };
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
                    let mut sum = Products::new();
                    pairs.for_each(|(c, &x)| sum.add_base(triple(c), x));
                    sum_triple(&sum.finish())
                };
            }
        },
    );
}
