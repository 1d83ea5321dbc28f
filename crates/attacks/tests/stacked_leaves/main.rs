//! The leaves of the lookup argument, by the third independent attack: the verifier's functionals against a model of all
//! leaves, and a prover with one entry outside its range.

mod model;
mod programs;

use model::compare;
use programs::{Rng, random_program, satisfied};
use veritune_argument::{Argument, BlockKind, Part};
use veritune_attacks::setting::tiny_spec;
use veritune_field::{E, F};
use veritune_prover::argument::{Pads, dense_weights, multiplicities, place_vectors, prove};
use veritune_prover::commit::Randomness;
use veritune_relations::step::{self, Tables, no_leaves};
use veritune_relations::{Index, Place, Program, View};
use veritune_transcript::Transcript;

#[test]
fn the_functionals_of_random_programs_are_those_of_all_leaves() {
    let mut rng = Rng(3);
    for i in 0..400 {
        let program = random_program(&mut rng);
        compare(&format!("random {i}"), &program, &mut rng);
    }
}

#[test]
fn the_functionals_of_steps_are_those_of_all_leaves() {
    let mut rng = Rng(5);
    for sizes in [
        [8, 2, 2, 1, 4, 16, 30, 2, 8, 1, 4],
        [6, 3, 3, 3, 2, 9, 37, 3, 5, 3, 7],
        [9, 1, 1, 1, 2, 5, 19, 1, 2, 1, 1],
        [18, 5, 3, 1, 6, 36, 72, 5, 6, 3, 9],
    ] {
        let spec = tiny_spec(sizes);
        spec.validate().expect("a spec");
        let tables = Tables::new(&spec).expect("tables");
        let built = step::build_with(&spec, &tables, 1, &no_leaves(&spec)).expect("a program");
        compare(&format!("{sizes:?}"), &built.program, &mut rng);
    }
}

/// The random programs reach what the argument must get right: otherwise the comparison shows nothing.
#[test]
fn random_programs_cut_axes_with_masks_constants_and_fixed_views() {
    let mut rng = Rng(3);
    let mut seen = [0usize; 6];
    for _ in 0..400 {
        let program = random_program(&mut rng);
        let argument = Argument::new(&program).unwrap();
        for block in &argument.plan.blocks {
            let Some(cut) = block.axes.iter().find(|a| a.len < program.axis(a.axis).len) else { continue };
            seen[0] += 1;
            seen[1] += usize::from(!cut.len.is_power_of_two());
            let BlockKind::Lookup(index) = block.kind else { continue };
            let lookup = &program.lookups[index];
            let has = |view: &View| {
                view.index.iter().any(|&i| matches!(i, Index::Axis(a) | Index::Shifted(a, _) if a == cut.axis))
            };
            seen[2] += usize::from(lookup.mask.as_ref().is_some_and(has));
            seen[3] += usize::from(lookup.mask.as_ref().is_some_and(|m| !has(m)));
            let views = || lookup.columns.iter().flatten().filter_map(|t| t.factors.first());
            seen[4] += usize::from(views().any(|v| !has(v)));
            seen[5] += usize::from(
                views().any(|v| v.index.iter().any(|&i| matches!(i, Index::Shifted(a, s) if a == cut.axis && s > 0))),
            );
        }
    }
    let what = "cut, last piece padded, mask has the cut axis, mask lacks it, view lacks it, view shifted";
    assert!(seen.iter().all(|&n| n > 20), "{what}: {seen:?}");
}

/// Lengths at the ends of their published ranges: every spec that builds a program gives blocks that follow each other, each
/// at a multiple of its length, and few of them.
#[test]
fn plans_of_hostile_specs_are_aligned_and_short() {
    let base = [8, 2, 2, 1, 4, 16, 30, 2, 8, 1, 4];
    let most = [16_384, 256, 256, 256, 512, 65_536, 262_144, 256, 2048, 1024, 1 << 21];
    let mut tried = Vec::new();
    for field in 0..11 {
        for value in [most[field], most[field] - 1, most[field] / 2 + 1] {
            // Tables of tokens squared take memory before the plan: they are not what is tried here.
            let value = if field == 8 { value.min(1025) } else { value };
            let mut sizes = base;
            sizes[field] = value;
            sizes[10] = sizes[10].max(sizes[9]);
            if field == 3 {
                sizes[2] = value;
            }
            tried.push(sizes);
        }
    }
    tried.push([16_384, 256, 256, 256, 512, 65_536, 262_144, 256, 1024, 1024, 1 << 21]);
    tried.push([16_383, 255, 255, 255, 510, 65_535, 262_143, 255, 1023, 1023, 1 << 21]);
    let mut built = 0;
    for sizes in tried {
        let spec = tiny_spec(sizes);
        if spec.validate().is_err() {
            continue;
        }
        let tables = Tables::new(&spec).expect("tables");
        let Ok(step) = step::build_with(&spec, &tables, 1, &no_leaves(&spec)) else { continue };
        let Ok(argument) = Argument::new(&step.program) else { continue };
        built += 1;
        let mut next = 0usize;
        for block in &argument.plan.blocks {
            let len = 1usize << block.log_len();
            assert_eq!((block.offset, block.offset % len), (next, 0), "{sizes:?}");
            next += len;
        }
        assert!(next <= 1 << argument.plan.units.log_leaves());
        assert!(argument.plan.blocks.len() < 20_000, "{sizes:?}: {}", argument.plan.blocks.len());
    }
    assert!(built > 10);
}

/// Whether a prover with these tensors, counts of its choice and everything else honest is accepted.
fn accepted(program: &Program, tensors: &[Vec<i64>], counted: &[Vec<i64>]) -> bool {
    let argument = Argument::new(program).unwrap();
    let counts = multiplicities(program, counted);
    let mut vectors = place_vectors(program, &argument.layout, tensors, &counts);
    let pads = Pads::draw(&argument.wiring, &Randomness::from_seed([1; 32]));
    vectors[0].extend(pads.slots());
    let mut transcript = Transcript::new(b"stacked leaves");
    let Ok(proof) = prove(&argument, &vectors[0], tensors, &pads, &mut transcript) else { return false };
    let dot = |parts: &[Part]| -> E {
        let of = |(place, vector): (usize, &Vec<F>)| -> E {
            let weights = dense_weights(parts, place, vector.len()).elements();
            weights.iter().zip(vector).map(|(&w, &v)| w * v).sum()
        };
        vectors.iter().enumerate().map(of).sum()
    };
    dot(&proof.parts) == proof.target && proof.base_claims.iter().all(|claim| dot(&claim.parts) == claim.value)
}

#[test]
fn the_prover_agrees_on_random_programs_and_no_single_entry_may_be_wrong() {
    let mut rng = Rng(11);
    let (mut wrong, mut tried) = (0, 0);
    for i in 0..60 {
        let mut program = random_program(&mut rng);
        let tensors = satisfied(&mut rng, &mut program);
        assert!(accepted(&program, &tensors, &tensors), "random {i}");
        // One entry of a range-checked tensor is too great by the least that is: refused, wherever it lies.
        for (t, tensor) in program.tensors.iter().enumerate() {
            if tensor.place != Place::Witness || tensor.range_by_other {
                continue;
            }
            let used = program
                .lookups
                .iter()
                .flat_map(|l| l.columns.iter().flatten())
                .any(|term| term.factors.iter().any(|view| view.tensor.0 == t));
            if used {
                continue;
            }
            let len = tensors[t].len();
            for position in [0, len / 2, len - 1, rng.below(len)] {
                let mut changed = tensors.clone();
                changed[t][position] = tensor.range.max() + 1;
                tried += 1;
                wrong += usize::from(accepted(&program, &changed, &changed));
            }
        }
    }
    assert!(tried > 30 && wrong == 0, "{tried} wrong entries, {wrong} accepted");
}
