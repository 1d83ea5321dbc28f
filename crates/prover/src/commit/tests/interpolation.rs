//! What rows that are opened say of an entry: all of it beyond the budget, nothing within.

use super::super::OpenError;
use super::*;
use std::collections::BTreeMap;
use veritune_commit::leaf_point;
use veritune_field::f_from_bytes;
use veritune_field::traits::Field;

const DATA: [u64; 3] = [123_456_789, 987_654_321, 5];

/// A state of one column that one opening may be made of, with three entries of data.
fn state(profile: &Profile) -> CommittedTree {
    let data = DATA.map(F::from_u64).to_vec();
    commit(profile, blake3(10, 0, false, 1), data, Randomness::from_seed([7; 32])).unwrap()
}

/// Opens the state beside a fresh witness; returns the leaves that the proof shows, with their values.
fn open_once(profile: &Profile, state: &mut CommittedTree, number: u8) -> Result<BTreeMap<u64, F>, OpenError> {
    let witness = Randomness::from_seed([100 + number; 32]);
    let mut witness = commit(profile, blake3(10, 0, true, 1), vec![F::ONE], witness).unwrap();
    let weights = vec![BlockVector::default(); 2];
    let mut prover = Transcript::new(b"test");
    prover.absorb_u64("opening", number.into());
    let positions = Positions::default();
    let deviation: &dyn Deviation = &positions;
    let (proof, report) =
        open_deviating(profile, &mut [&mut witness, state], weights, E::ZERO, &mut prover, deviation)?;
    let mut start = 0;
    for (name, bytes) in &report.components {
        if name == "tree 1" {
            break;
        }
        start += bytes;
    }
    let row_bytes = state.shape().row_bytes();
    let leaves = positions.0.into_inner();
    let rows = leaves.into_iter().zip(proof[start..].chunks(row_bytes));
    Ok(rows.map(|(leaf, row)| (leaf, f_from_bytes(row[..8].try_into().unwrap()).unwrap())).collect())
}

/// Notes the positions of the trees' rows.
#[derive(Default)]
struct Positions(std::cell::RefCell<Vec<u64>>);

impl Deviation for Positions {
    fn vector(&self, at: &Queried<'_>, vector: &mut [E]) {
        if at.level == 1 {
            let profile = Profile::new(10).unwrap();
            self.0.replace(super::super::levels::first_positions(&profile, vector, at.transcript));
        }
    }
}

/// Coefficients of the polynomial of degree below `points.len()` through the points.
fn interpolate(points: &[(F, F)]) -> Vec<F> {
    // Newton: each step adds a multiple of the polynomial that vanishes at the points so far.
    let (mut polynomial, mut vanishing) = (vec![F::ZERO; points.len()], vec![F::ONE]);
    for &(x, y) in points {
        let missing = (y - value(&polynomial, x)) * value(&vanishing, x).inverse();
        polynomial.iter_mut().zip(&vanishing).for_each(|(slot, &v)| *slot += missing * v);
        let shifted = [F::ZERO].into_iter().chain(vanishing.iter().copied());
        vanishing = shifted.zip(vanishing.iter().copied().chain([F::ZERO])).map(|(high, low)| high - x * low).collect();
    }
    polynomial
}

fn value(polynomial: &[F], x: F) -> F {
    polynomial.iter().rev().fold(F::ZERO, |value, &coefficient| value * x + coefficient)
}

#[test]
fn a_tree_that_is_opened_too_often_gives_its_entries_away() {
    let profile = Profile::new(10).unwrap();
    let mut state = state(&profile);
    let mut seen = BTreeMap::new();
    let mut openings = 0;
    while seen.len() < 1024 {
        seen.extend(open_once(&profile, &mut state, openings).unwrap());
        openings += 1;
        let refused = open_once(&profile, &mut state, openings);
        assert_eq!(refused, Err(OpenError::BudgetSpent { tree: 1, spent: 1 }));
        // A prover that lost its count.
        state.forget_spent();
    }
    let points: Vec<(F, F)> = seen.iter().take(1024).map(|(&leaf, &y)| (leaf_point(leaf, 11), y)).collect();
    let found = interpolate(&points);
    assert_eq!(found[..3], DATA.map(F::from_u64), "{openings} openings");
    assert_eq!(found, state.vector());
}

#[test]
fn within_the_budget_every_value_of_an_entry_fits_the_rows() {
    let profile = Profile::new(10).unwrap();
    let mut state = state(&profile);
    let seen = open_once(&profile, &mut state, 0).unwrap();
    assert!(seen.len() <= 345);
    let capacity = capacity(&profile, &state.shape()).unwrap();
    for (entry, other) in [(0, 1_u64), (2, 6), (capacity - 1, 77)] {
        // One more vector with the same rows: another entry, the same other data, other random rows.
        let change = F::from_u64(other) - state.vector()[entry];
        let points = seen.keys().map(|&leaf| leaf_point(leaf, 11));
        let tail = interpolate(
            &points
                .map(|x| (x, -(change * x.exp_u64(entry as u64)) * x.exp_u64(capacity as u64).inverse()))
                .collect::<Vec<_>>(),
        );
        let mut vector = state.vector().to_vec();
        vector[entry] += change;
        vector[capacity..].iter_mut().zip(tail).for_each(|(slot, t)| *slot += t);
        assert_eq!(vector[entry], F::from_u64(other));
        assert!(seen.iter().all(|(&leaf, &y)| value(&vector, leaf_point(leaf, 11)) == y), "entry {entry}");
    }
}
