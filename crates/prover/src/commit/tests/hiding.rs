//! The exact distribution of an opening for fixed challenges: the linear map from the trees' randomness to what is sent.
//!
//! The map is measured on the prover itself: with programmed challenges, one run for each element of the randomness. Where
//! it is onto, what is sent is uniform whatever the data are. A prover that saves randomness has a map of less rank.

use super::super::tree::Masks;
use super::*;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use veritune_field::traits::{BasedVectorSpace, Field};
use veritune_field::{F_BYTES, f_from_bytes, f_to_bytes};
use veritune_mutation::{Field as Part, programmed, traced};

const SEED: u64 = 5;
const QUERIES: usize = 345;
/// Coefficients of the mask.
const ROWS: usize = 1 << 10;
/// Columns of the first level are polynomials with so many coefficients: so many of its rows determine the combination.
const LEVEL_ROWS: usize = ROWS / 16;

/// One element of the randomness.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Input {
    Pads(usize),
    Cover(usize),
    Mask(usize),
    /// Of a tree's random rows.
    Tail(usize, usize),
}

/// What a prover does with its randomness before it commits to it: it saves some.
type Sabotage = fn(usize, &mut [F], Option<&mut Masks>);

/// An instance whose openings are taken apart.
struct Opened {
    instance: Instance,
    /// Of the programme of challenges.
    seed: u64,
    parts: Vec<Part>,
}

impl Opened {
    fn new() -> Self {
        Self::under(SEED, &[blake3(10, 0, true, 1), blake3(9, 1, false, 1)])
    }

    /// The instance of these shapes, always with the same randomness.
    fn under(seed: u64, shapes: &[TreeShape]) -> Self {
        let instance = || Instance::new(10, shapes);
        let parts = programmed(seed, || {
            let mut instance = instance();
            let (proof, _) = instance.prove();
            let (verdict, parts) = traced(|| instance.verify(&proof));
            assert_eq!(verdict, Ok(()));
            parts
        });
        Self { instance: instance(), seed, parts }
    }

    fn profile(&self) -> &Profile {
        &self.instance.profile
    }

    fn tail(&self, tree: usize) -> std::ops::Range<usize> {
        let tree = &self.instance.trees[tree];
        capacity(self.profile(), &tree.shape()).unwrap()..tree.vector().len()
    }

    /// The proof with `addend` added to an input.
    fn proof(&self, input: Option<Input>, addend: E, sabotage: Sabotage) -> Vec<u8> {
        let mut trees = self.instance.trees.clone();
        for (number, tree) in trees.iter_mut().enumerate() {
            let tail = self.tail(number);
            tree.recode(self.profile(), |vector, mut masks| {
                match (input, &mut masks) {
                    (Some(Input::Pads(i)), Some(masks)) => masks.pads[i] += addend,
                    (Some(Input::Cover(i)), Some(masks)) => masks.cover[i] += addend,
                    (Some(Input::Mask(i)), Some(masks)) => masks.mask[i] += addend,
                    (Some(Input::Tail(of, i)), _) if of == number => vector[tail.start + i] += F::ONE,
                    _ => {}
                }
                sabotage(number, &mut vector[tail], masks);
            });
        }
        programmed(self.seed, || {
            let mut trees: Vec<&mut CommittedTree> = trees.iter_mut().collect();
            let mut transcript = Transcript::new(b"test");
            let (profile, target) = (self.profile(), self.instance.target);
            open_with_report(profile, &mut trees, self.instance.blocks(), target, &mut transcript).unwrap().0
        })
    }

    /// The words of all parts with these names, at most so many parts of each.
    fn words(&self, proof: &[u8], names: &[(&str, usize)]) -> Vec<F> {
        let mut words = Vec::new();
        for &(name, most) in names {
            let parts: Vec<&Part> = self.parts.iter().filter(|part| part.name == name).collect();
            assert!(!parts.is_empty(), "no part {name}");
            for part in parts.into_iter().take(most) {
                let bytes = proof[part.offset..part.offset + part.len].as_chunks::<F_BYTES>().0;
                words.extend(bytes.iter().map(|&word| f_from_bytes(word).unwrap()));
            }
        }
        words
    }

    /// What an input adds to these parts.
    fn effects(&self, inputs: &[Input], names: &[(&str, usize)], sabotage: Sabotage) -> Vec<Vec<F>> {
        let honest = self.words(&self.proof(None, E::ZERO, sabotage), names);
        let effect = |&input: &Input| {
            let changed = self.words(&self.proof(Some(input), E::ONE, sabotage), names);
            changed.iter().zip(&honest).map(|(&a, &b)| a - b).collect()
        };
        inputs.par_iter().map(effect).collect()
    }
}

const ALL: usize = usize::MAX;
/// Elements of E that are uniform and independent: by pads, mask and cover.
const UNIFORM: &[(&str, usize)] =
    &[("covered pads", ALL), ("tree 0 row pads", ALL), ("sumcheck", ALL), ("values", ALL), ("level 1 row", LEVEL_ROWS)];
/// All other elements of E.
const DETERMINED: &[(&str, usize)] = &[
    ("combined value", ALL),
    ("cover sums", ALL),
    ("tree 0 row mask", ALL),
    ("tree 0 row cover", ALL),
    ("level 1 row", ALL),
    ("level 1 sumcheck", ALL),
    ("final vector", ALL),
];
/// Elements of F that are uniform and independent: by the random rows.
const ROW_COLUMNS: &[(&str, usize)] = &[("tree 0 row columns", ALL), ("tree 1 row columns", ALL)];
/// Functions of what is above, or of salts and digests.
const HASHED: &[&str] = &[
    "root of level 1",
    "tree 0 row salt",
    "tree 0 siblings",
    "tree 1 row salt",
    "tree 1 siblings",
    "level 1 siblings",
];

fn masks(profile: &Profile) -> Vec<Input> {
    let short = |input: fn(usize) -> Input| (0..profile.pads_length()).map(input);
    short(Input::Cover).chain(short(Input::Pads)).chain((0..ROWS).map(Input::Mask)).collect()
}

fn tails(opened: &Opened) -> Vec<Input> {
    (0..2).flat_map(|tree| (0..opened.tail(tree).len()).map(move |i| Input::Tail(tree, i))).collect()
}

fn elements(words: &[F]) -> Vec<E> {
    words.as_chunks::<3>().0.iter().map(|c| E::from_basis_coefficients_fn(|i| c[i])).collect()
}

fn rank<K: Field>(rows: &[Vec<K>]) -> usize {
    let mut pivots: BTreeMap<usize, Vec<(usize, K)>> = BTreeMap::new();
    for row in rows {
        let mut row = row.clone();
        for column in 0..row.len() {
            if row[column].is_zero() {
                continue;
            }
            let factor = row[column];
            let Some(pivot) = pivots.get(&column) else {
                let inverse = factor.inverse();
                let entries = row.iter().enumerate().filter(|(_, value)| !value.is_zero());
                pivots.insert(column, entries.map(|(i, &value)| (i, value * inverse)).collect());
                break;
            };
            pivot.iter().for_each(|&(i, value)| row[i] -= factor * value);
        }
    }
    pivots.len()
}

fn keep(_: usize, _: &mut [F], _: Option<&mut Masks>) {}

/// Which inputs a sabotage has to do with: the effects of the others stay.
type Affected = fn(&Input) -> bool;

const SABOTAGES: &[(&str, Sabotage, Affected)] = &[
    ("one pad is zero", |_, _, masks| masks.into_iter().for_each(|m| m.pads[3] = E::ZERO), |i| *i == Input::Pads(3)),
    (
        "one pad is used twice",
        |_, _, masks| masks.into_iter().for_each(|m| m.pads[3] = m.pads[2]),
        |i| matches!(i, Input::Pads(2 | 3)),
    ),
    (
        "the value of the mask goes under the pad of a tree's",
        |_, _, masks| masks.into_iter().for_each(|m| m.pads[24] = m.pads[23]),
        |i| matches!(i, Input::Pads(23 | 24)),
    ),
    (
        "the cover is zero",
        |_, _, masks| masks.into_iter().for_each(|m| m.cover.fill(E::ZERO)),
        |i| matches!(i, Input::Cover(_)),
    ),
    (
        "the cover is the pads",
        |_, _, masks| masks.into_iter().for_each(|m| m.cover.clone_from(&m.pads)),
        |i| matches!(i, Input::Cover(_) | Input::Pads(_)),
    ),
    (
        "nothing hides the pads behind their opened values",
        |_, _, masks| {
            masks.into_iter().for_each(|m| {
                let first = m.pads.len() - QUERIES;
                m.pads[first..].fill(E::ZERO);
            });
        },
        |i| matches!(i, Input::Pads(_)),
    ),
    (
        "the mask is zero",
        |_, _, masks| masks.into_iter().for_each(|m| m.mask.fill(E::ZERO)),
        |i| matches!(i, Input::Mask(_)),
    ),
    (
        "one coefficient of the mask is zero",
        |_, _, masks| masks.into_iter().for_each(|m| m.mask[700] = E::ZERO),
        |i| *i == Input::Mask(700),
    ),
];

#[test]
fn an_opening_is_uniform_and_a_prover_that_saves_randomness_is_found() {
    let opened = Opened::new();
    let listed = |name: &str| UNIFORM.iter().chain(DETERMINED).chain(ROW_COLUMNS).any(|(n, _)| *n == name);
    for part in &opened.parts {
        assert!(listed(&part.name) || HASHED.contains(&part.name.as_str()), "{} is in no list", part.name);
    }

    // Pads, cover and mask: everything over E is uniform or determined.
    let inputs = masks(opened.profile());
    let names = [UNIFORM, DETERMINED, ROW_COLUMNS].concat();
    let words = |names: &[(&str, usize)]| opened.words(&opened.proof(None, E::ZERO, keep), names).len();
    let (uniform, determined) = (words(UNIFORM), words(DETERMINED));
    let effects = opened.effects(&inputs, &names, keep);
    for effect in &effects {
        assert!(effect[uniform + determined..].iter().all(|x| x.is_zero()), "columns know nothing of masks");
    }
    let effect = |words: usize| effects.iter().map(|effect| elements(&effect[..words])).collect::<Vec<_>>();
    let honest = effect(uniform);
    let expected = uniform / 3;
    assert_eq!(rank(&honest), expected, "of {} elements", inputs.len());
    assert_eq!(rank(&effect(uniform + determined)), expected, "the others are functions of these");
    is_linear(&opened, &inputs, &honest);

    for (what, sabotage, affected) in SABOTAGES {
        let mut effects = honest.clone();
        let (places, changed): (Vec<usize>, Vec<Input>) =
            inputs.iter().enumerate().filter(|(_, input)| affected(input)).map(|(i, &input)| (i, input)).unzip();
        for (place, effect) in places.into_iter().zip(opened.effects(&changed, UNIFORM, *sabotage)) {
            effects[place] = elements(&effect);
        }
        let found = rank(&effects);
        println!("{what}: rank {found} of {expected}");
        assert!(found < expected, "{what}");
    }
}

/// Over E: what `x` times an input adds is `x` times what the input adds.
fn is_linear(opened: &Opened, inputs: &[Input], effects: &[Vec<E>]) {
    let x = Transcript::new(b"any").challenge_e("x");
    let honest = elements(&opened.words(&opened.proof(None, E::ZERO, keep), UNIFORM));
    for (&input, effect) in inputs.iter().zip(effects).step_by(97) {
        let changed = elements(&opened.words(&opened.proof(Some(input), x, keep), UNIFORM));
        assert!(changed.iter().zip(&honest).zip(effect).all(|((&a, &b), &e)| a - b == x * e), "{input:?}");
    }
}

#[test]
fn opened_rows_are_uniform_and_a_prover_with_fewer_random_rows_is_found() {
    let opened = Opened::new();
    let inputs = tails(&opened);
    let honest = opened.effects(&inputs, ROW_COLUMNS, keep);
    let expected = honest[0].len();
    // Some positions are drawn twice, and a smaller tree has fewer leaves than positions.
    assert!(expected <= 3 * QUERIES);
    assert_eq!(rank(&honest), expected, "of {} elements", inputs.len());
    let fewer: Sabotage = |tree, tail, _| {
        if tree == 1 {
            tail[2 * 200..].fill(F::ZERO);
        }
    };
    let rows = opened.effects(&inputs, ROW_COLUMNS, fewer);
    assert!(rank(&rows) < expected);
}

/// A word of a row that two openings show is one function of the random rows.
fn distinct_columns(effects: &[Vec<F>]) -> usize {
    let column = |i: usize| effects.iter().map(|effect| f_to_bytes(effect[i])).collect::<Vec<_>>();
    (0..effects[0].len()).map(column).collect::<BTreeSet<_>>().len()
}

#[test]
fn rows_of_two_openings_are_uniform_together_and_a_prover_with_random_rows_for_one_is_found() {
    for twice in [blake3(10, 0, false, 2), poseidon2(10, 0, false, 2)] {
        let opened = [5, 6].map(|seed| Opened::under(seed, &[blake3(10, 0, true, 1), twice]));
        let inputs: Vec<Input> = (0..opened[0].tail(1).len()).map(|i| Input::Tail(1, i)).collect();
        // What is drawn is drawn for both.
        let drawn = &opened[0].instance.trees[1].vector()[opened[0].tail(1)];
        let distinct: BTreeSet<_> = drawn.iter().map(|&x| f_to_bytes(x)).collect();
        assert_eq!((inputs.len(), distinct.len()), (2 * QUERIES, 2 * QUERIES));
        let columns = &[("tree 1 row columns", ALL)];
        let together = |sabotage: Sabotage| -> Vec<Vec<F>> {
            let [first, second] = opened.each_ref().map(|opened| opened.effects(&inputs, columns, sabotage));
            first.into_iter().zip(second).map(|(a, b)| [a, b].concat()).collect()
        };
        let honest = together(keep);
        let expected = distinct_columns(&honest);
        assert!(expected > QUERIES, "{expected}: one opening's rows would do");
        assert_eq!(rank(&honest), expected, "of {} elements", inputs.len());
        let once: Sabotage = |tree, tail, _| {
            if tree == 1 {
                tail[QUERIES..].fill(F::ZERO);
            }
        };
        assert_eq!(rank(&together(once)), QUERIES);
    }
}
