//! Provers that cheat in the witness, in the multiplicities, in the limbs and in the proof.

use super::programs::{arithmetic, embedding, layers, short};
use super::solve::Solver;
use super::*;
use veritune_argument::CheckId;
use veritune_field::{P, traits::PrimeCharacteristicRing};
use veritune_relations::TensorId;

/// Positions spread over a tensor.
fn spread(len: usize, most: usize) -> impl Iterator<Item = usize> {
    (0..len).step_by(len.div_ceil(most).max(1))
}

#[test]
fn a_wrong_entry_of_any_tensor_is_refused() {
    for Case { name, program, tensors } in short() {
        let mut tried = 0;
        for (i, tensor) in program.tensors.iter().enumerate() {
            if tensor.values.is_some() || program.one_hot(TensorId(i)).is_some() {
                continue;
            }
            for position in spread(tensors[i].len(), 6) {
                // The shifted view of the columns does not read the first row.
                if name == "columns" && tensor.name == "x" && position < 2 {
                    continue;
                }
                let mut wrong = tensors.clone();
                wrong[i][position] += 1;
                let legal = Solver { program: &program, tensors: wrong.clone() }.broken().is_empty();
                let looked_up = tensor.range_by_other || name == "columns";
                if legal && tensor.range.contains(wrong[i][position]) && !looked_up {
                    continue;
                }
                tried += 1;
                assert_ne!(run(&program, &wrong), Ok(()), "{name}: {} at {position}", tensor.name);
            }
        }
        assert!(tried >= 10, "{name}: {tried}");
    }
}

#[test]
fn a_remainder_outside_its_range_is_refused_by_the_lookups() {
    for (case, quotient, divisor) in [(layers(), "down", 128), (arithmetic(), "y", 64)] {
        let Case { program, mut tensors, .. } = case;
        let (q, r) = (program.find(quotient).unwrap(), program.find(&format!("{quotient}.remainder")).unwrap());
        for (change, wrong) in [(-1, divisor), (1, -divisor)] {
            tensors[q.0][1] += change;
            tensors[r.0][1] += wrong;
            let refusal = run(&program, &tensors);
            let lookup = ArgumentError::Refused { check: CheckId::LookupSum, step: 0, index: 4 };
            assert_eq!(refusal, Err(Refusal::Argument(lookup)), "{quotient}");
            tensors[q.0][1] -= change;
            tensors[r.0][1] -= wrong;
        }
    }
}

#[test]
fn forged_multiplicities_are_refused() {
    for Case { name, program, tensors } in short() {
        let layout = Layout::new(&program);
        let honest = multiplicities(&program, &tensors);
        let mut forged = Vec::new();
        for row in spread(honest.range.len() - 2, 9).map(|r| r + 2) {
            forged.push(honest.clone());
            forged.last_mut().unwrap().range[row] += 1;
        }
        for table in 0..honest.tables.len() {
            for row in spread(honest.tables[table].len(), 5) {
                forged.push(honest.clone());
                forged.last_mut().unwrap().tables[table][row] += 1;
            }
        }
        for counts in forged {
            let vectors = place_vectors(&program, &layout, &tensors, &counts);
            let scalars = scalars(&program, &vectors[0], &tensors);
            assert_ne!(verify(&program, &vectors, &scalars), Ok(()), "{name}");
        }
    }
}

/// Slots that hold an active entry of a tensor or a row of a table.
fn used_slots(program: &Program, layout: &Layout) -> [Vec<bool>; NUM_PLACES] {
    use veritune_relations::layout::{place_index, strides};
    let mut used: [Vec<bool>; NUM_PLACES] = std::array::from_fn(|place| vec![false; layout.used[place]]);
    for (i, slot) in layout.slots.iter().enumerate() {
        let Some(slot) = slot else { continue };
        let place = place_index(program.tensors[i].place).unwrap();
        let (shape, strides) = (program.shape(TensorId(i)), strides(program, TensorId(i)));
        for block in &slot.blocks {
            for flat in 0..shape.iter().product() {
                let (mut rest, mut at) = (flat, block.offset);
                for (len, stride) in shape.iter().zip(&strides).rev() {
                    at += (rest % len) * stride;
                    rest /= len;
                }
                used[place][at] = program.tensors[i].name != "x" || program.find("square").is_none() || flat >= 2;
            }
        }
    }
    used[0][layout.range_multiplicities + 2..][..(2 << program.range_bits) - 2].fill(true);
    for (table, &offset) in program.tables.iter().zip(&layout.table_multiplicities) {
        used[0][offset..offset + table.columns[0].len()].fill(true);
    }
    used
}

#[test]
fn every_slot_in_use_has_a_weight_and_no_other_slot_has_one() {
    for Case { name, program, tensors } in all() {
        let argument = Argument::new(&program).unwrap();
        let layout = &argument.layout;
        let MaskedProof { vectors, proof } = prove_masked(&argument, &tensors, 1);
        let parts = proof.parts.iter().chain(proof.base_claims.iter().flat_map(|c| &c.parts));
        let parts: Vec<Part> = parts.cloned().collect();
        for (place, mut used) in used_slots(&program, layout).into_iter().enumerate() {
            // Every element of the wiring is used too.
            used.resize(vectors[place].len(), true);
            let weights = weights(&parts, place, used.len());
            for (slot, &used) in used.iter().enumerate() {
                assert_eq!(weights[slot] != E::ZERO, used, "{name}: place {place} slot {slot}");
            }
        }
    }
}

#[test]
fn every_changed_scalar_is_refused() {
    for Case { name, program, tensors } in short() {
        let layout = Layout::new(&program);
        let vectors = place_vectors(&program, &layout, &tensors, &multiplicities(&program, &tensors));
        let scalars = scalars(&program, &vectors[0], &tensors);
        assert_eq!(verify(&program, &vectors, &scalars), Ok(()));
        for index in 0..scalars.len() / 8 {
            let mut changed = scalars.clone();
            let word: &mut [u8; 8] = (&mut changed[8 * index..8 * index + 8]).try_into().unwrap();
            *word = ((u64::from_le_bytes(*word) + 1) % P).to_le_bytes();
            assert_ne!(verify(&program, &vectors, &changed), Ok(()), "{name} word {index}");
        }
        for index in 0..scalars.len() / 8 {
            let mut changed = scalars.clone();
            changed[8 * index..8 * index + 8].copy_from_slice(&P.to_le_bytes());
            let refusal = verify(&program, &vectors, &changed).unwrap_err();
            assert!(matches!(refusal, Refusal::Argument(_)), "{name}: {refusal:?}");
        }
        let length = |got| {
            let expected = scalars.len();
            Err(Refusal::Argument(ArgumentError::Length { expected, got }))
        };
        for cut in [0, 1, 23, 24, scalars.len() - 24, scalars.len() - 1] {
            assert_eq!(verify(&program, &vectors, &scalars[..cut]), length(cut));
        }
        let longer = [scalars.as_slice(), &[0; 24]].concat();
        assert_eq!(verify(&program, &vectors, &longer), length(longer.len()));
    }
}

#[test]
fn bits_that_are_no_bits_and_a_false_flag_are_refused() {
    let Case { program, tensors, .. } = embedding(6, 11);
    for name in ["bits", "used"] {
        let tensor = program.find(name).unwrap();
        for value in [2, -1, 1 - tensors[tensor.0][0]] {
            let mut wrong = tensors.clone();
            wrong[tensor.0][0] = value;
            assert_ne!(run(&program, &wrong), Ok(()), "{name} {value}");
        }
    }
}
