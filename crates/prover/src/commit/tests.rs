//! Completeness, determinism and malicious provers of the opening.

use super::*;
use veritune_commit::{Profile, Root, TreeHash, TreeShape, capacity, eq_table, tree_point, verify_opening};
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_field::{E, F};
use veritune_transcript::Transcript;

fn shape(log_columns: u32, hash: TreeHash, masked: bool, budget: u32) -> TreeShape {
    TreeShape { log_columns, hash, masked, budget }
}

#[test]
fn smoke() {
    let profile = Profile::new(12).unwrap();
    let s = shape(3, TreeHash::Blake3, true, 1);
    let data: Vec<F> = (0..capacity(&profile, &s).unwrap()).map(|i| F::from_usize(i * i)).collect();
    let weights: Vec<E> = (0..1000).map(|i| E::from_u64(i * 77 + 5)).collect();
    let target: E = weights.iter().zip(&data).map(|(&w, &f)| w * f).sum();
    let mut tree = commit(&profile, s, data, Randomness::from_seed([1; 32])).unwrap();
    let proof = open(&profile, &mut [&mut tree], vec![weights.clone()], target, &mut Transcript::new(b"t")).unwrap();
    let at = |z: &[E]| {
        let table = eq_table(&tree_point(&profile, z, 3));
        vec![weights.iter().zip(table).map(|(&w, e)| w * e).sum()]
    };
    verify_opening(&profile, &[(s, tree.root())], target, &proof, &mut Transcript::new(b"t"), at).unwrap();
}
