//! Attacks on the protocol: lookups, the order of messages, and the bytes of a proof.

use std::sync::LazyLock;
use veritune_argument::{Argument, NUM_PLACES, WITNESS_PLACE};
use veritune_attacks::setting::Numbers;
use veritune_attacks::{Deviation, PROTOCOL_ATTACKS, Proved, Setting, prove, transcript, verify};
use veritune_commit::{Profile, Root};
use veritune_executor::Tensors;
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_field::{E, E_BYTES, F, P};
use veritune_prover::argument::{Pads, dense_weights};
use veritune_prover::commit::Randomness;
use veritune_relations::layout::Layout;
use veritune_relations::{Program, TensorId};

struct Honest {
    setting: Setting,
    tensors: Tensors<i64>,
    proved: Proved,
    num_scalars: usize,
}

static HONEST: LazyLock<Honest> = LazyLock::new(|| {
    let setting = Setting::odd();
    let tensors = setting.execute(&setting.program).expect("the honest step");
    let proved = prove(&setting.program, &tensors, &Deviation::default());
    let num_scalars = Argument::new(&setting.program).expect("an argument").wiring.num_masked_scalars();
    Honest { setting, tensors, proved, num_scalars }
});

fn verdict(deviation: Deviation) -> String {
    let h = &*HONEST;
    let proved = prove(&h.setting.program, &h.tensors, &deviation);
    verify(&h.setting.program, &proved).map_or_else(|code| code, |_| "accepted".into())
}

fn verdict_of_bytes(bytes: Vec<u8>) -> String {
    let h = &*HONEST;
    let proved = Proved { bytes, ..h.proved.clone() };
    verify(&h.setting.program, &proved).map_or_else(|code| code, |_| "accepted".into())
}

#[test]
fn the_honest_proof_is_accepted() {
    assert_eq!(verdict(Deviation::default()), "accepted");
}

/// Whether a slot belongs to an active value or to a multiplicity that has a weight.
fn used_slots(program: &Program, layout: &Layout, place: usize, len: usize) -> Vec<bool> {
    use veritune_relations::layout::{place_index, positions};
    let mut used = vec![false; len];
    for (i, slot) in layout.slots.iter().enumerate() {
        let id = TensorId(i);
        if place_index(program.tensor(id).place) != Some(place) {
            continue;
        }
        for block in slot.iter().flat_map(|s| &s.blocks) {
            positions(program, id).for_each(|p| used[block.offset + p] = true);
        }
    }
    if place == 0 {
        // Rows 0 and 1 of the range table are no rows.
        let range = layout.range_multiplicities;
        used[range + 2..range + (2 << program.range_bits)].fill(true);
        for (table, &offset) in program.tables.iter().zip(&layout.table_multiplicities) {
            used[offset..offset + table.columns[0].len()].fill(true);
        }
    }
    used
}

#[test]
fn garbage_in_unused_slots_has_no_effect() {
    let fill = |layout: &Layout, vectors: &mut [Vec<F>; NUM_PLACES]| {
        let program = &HONEST.setting.program;
        let mut numbers = Numbers(3);
        let mut filled = 0;
        for (place, vector) in vectors.iter_mut().enumerate().take(4) {
            let used = used_slots(program, layout, place, layout.used[place]);
            for (slot, _) in vector.iter_mut().zip(used).filter(|(_, used)| !used) {
                *slot = F::from_u64(numbers.word() % P);
                filled += 1;
            }
        }
        assert!(filled > 1000, "the odd setting has padding");
    };
    assert_eq!(verdict(Deviation { committed: Box::new(fill), ..Deviation::default() }), "accepted");
    assert_eq!(verdict(Deviation { vectors: Box::new(fill), ..Deviation::default() }), "accepted");
}

/// For every slot of every vector: no weight in the joint functional unless it is in use. A random functional weighs
/// a slot with zero by chance with probability 2^-190.
#[test]
fn unused_slots_carry_no_weight() {
    let program = &HONEST.setting.program;
    let argument = Argument::new(program).expect("an argument");
    let layout = &argument.layout;
    let mut transcript = transcript(&HONEST.proved.roots);
    let root = Root(HONEST.proved.bytes[..32].try_into().expect("32 bytes"));
    veritune_verifier::proof::absorb_witness(&mut transcript, &root);
    let scalars = &HONEST.proved.bytes[32..32 + HONEST.num_scalars * E_BYTES];
    let (joint, base) = argument.verify_masked(scalars, &mut transcript).expect("honest");
    let parts: Vec<_> = joint.parts.iter().chain(base.iter().flat_map(|claim| &claim.parts)).cloned().collect();
    // Every element that masks the argument is in use.
    let len = |place| if place == WITNESS_PLACE { argument.witness_slots() } else { layout.used[place] };
    let weights: [Vec<E>; NUM_PLACES] =
        std::array::from_fn(|place| dense_weights(&parts, place, len(place)).elements());
    let mut unused = 0;
    for (place, weights) in weights.iter().enumerate() {
        let mut used = used_slots(program, layout, place, layout.used[place]);
        used.resize(len(place), true);
        for (slot, (weight, used)) in weights.iter().zip(used).enumerate() {
            unused += usize::from(!used);
            assert!(used || *weight == E::ZERO, "place {place}: unused slot {slot} has a weight");
            assert!(!used || *weight != E::ZERO, "place {place}: slot {slot} in use has none");
        }
    }
    assert!(unused > 1000, "{unused}");
}

#[test]
fn every_used_slot_is_bound() {
    // One slot changed in what is committed only: the argument is about another vector.
    let mut numbers = Numbers(5);
    let layout = Layout::new(&HONEST.setting.program);
    for place in 0..3 {
        let used = used_slots(&HONEST.setting.program, &layout, place, layout.used[place]);
        let used: Vec<usize> = used.iter().enumerate().filter(|(_, u)| **u).map(|(i, _)| i).collect();
        for _ in 0..6 {
            let slot = used[(numbers.word() % used.len() as u64) as usize];
            let committed = move |_: &Layout, v: &mut [Vec<F>; NUM_PLACES]| v[place][slot] += F::ONE;
            let verdict = verdict(Deviation { committed: Box::new(committed), ..Deviation::default() });
            assert!(verdict == "opening-sumcheck-claim", "place {place} slot {slot}: {verdict}");
        }
    }
}

#[test]
fn every_attack_is_refused_with_its_id() {
    for attack in PROTOCOL_ATTACKS.iter().copied().flatten() {
        assert_eq!((attack.run)(), Err(attack.refused.to_owned()), "{}", attack.name);
    }
}

#[cfg(feature = "mutation-testing")]
#[test]
fn every_attack_passes_without_its_checks_and_with_no_fewer() {
    for attack in PROTOCOL_ATTACKS.iter().copied().flatten() {
        assert_eq!(veritune_mutation::without(attack.without, attack.run), Ok(()), "{}", attack.name);
        for needed in attack.without {
            let fewer: Vec<&str> = attack.without.iter().copied().filter(|id| id != needed).collect();
            assert!(veritune_mutation::without(&fewer, attack.run).is_err(), "{} without {fewer:?}", attack.name);
        }
    }
}

#[test]
fn trees_of_another_security_profile_are_refused() {
    let standard = veritune_attacks::profile();
    let (rows, rate) = (standard.log_rows(), standard.log_inverse_rate());
    let (bits, proofs) = (standard.term_bits(), standard.max_proofs());
    let under = |rate, bits, proofs| {
        let other = Profile::with_parameters(rows, rate, bits, proofs).expect("a profile");
        assert_ne!(other.id(), standard.id());
        move || verdict(Deviation { profile: other.clone(), ..Deviation::default() })
    };
    // Another rate, terms of another size: trees and rows are others, too. Another number of proofs: only the name is.
    assert_eq!(under(rate + 1, bits, proofs)(), "opening-sumcheck-claim");
    assert_eq!(under(rate, bits + 1, proofs)(), "opening-sumcheck-claim");
    let fewer_proofs = under(rate, bits, proofs / 2);
    assert_eq!(fewer_proofs(), "opening-sumcheck-claim");
    #[cfg(feature = "mutation-testing")]
    assert_eq!(veritune_mutation::without(&["absorb opening profile"], fewer_proofs), "accepted");
}

/// Root, scalars and opening, of which some are another proof's; both are proofs of one statement, and differ in what hides.
#[test]
fn parts_of_two_proofs_of_one_statement_are_refused_together() {
    let program = &HONEST.setting.program;
    let deviation = Deviation {
        pads: Some(|argument| Pads::draw(&argument.wiring, &Randomness::from_seed([78; 32]))),
        ..Deviation::default()
    };
    let other = prove(program, &HONEST.tensors, &deviation);
    assert!(verify(program, &other).is_ok() && other.roots == HONEST.proved.roots);
    let scalars = 32..32 + HONEST.num_scalars * E_BYTES;
    let parts = |proved: &Proved| {
        [0..32, scalars.clone(), scalars.end..proved.bytes.len()].map(|part| proved.bytes[part].to_vec())
    };
    let (own, others) = (parts(&HONEST.proved), parts(&other));
    assert!(own.iter().zip(&others).all(|(own, other)| own != other));
    for mixed in 1..7 {
        let part = |i: usize| if mixed >> i & 1 == 1 { &others[i] } else { &own[i] };
        let bytes = (0..3).flat_map(part).copied().collect();
        let refused = verify(program, &Proved { bytes, ..other.clone() }).expect_err("refused");
        assert_eq!(refused, "opening-sumcheck-claim", "{mixed:03b}");
    }
}

#[test]
fn challenges_come_after_the_witness_root() {
    for root in [Root([0; 32]), Root(HONEST.proved.roots[0].0)] {
        let verdict = verdict(Deviation { absorbed: Some(root), ..Deviation::default() });
        assert_ne!(verdict, "accepted");
        println!("another root absorbed: {verdict}");
    }
}

#[test]
fn every_sampled_scalar_is_bound_though_the_prover_goes_on_honestly() {
    let mut numbers = Numbers(17);
    for _ in 0..24 {
        let lie = (numbers.word() % HONEST.num_scalars as u64) as usize;
        let scalar = move |index: usize, value: E, _: &dyn Fn() -> E| if index == lie { value + E::ONE } else { value };
        let verdict = verdict(Deviation { scalar: Box::new(scalar), ..Deviation::default() });
        // A value of the base is sent in clear and settled later.
        let is_base = verdict == "accepted";
        assert!(is_base || verdict == "opening-sumcheck-claim", "scalar {lie}: {verdict}");
        if is_base {
            let h = &*HONEST;
            let deviation = Deviation { scalar: Box::new(scalar), ..Deviation::default() };
            let proved = prove(&h.setting.program, &h.tensors, &deviation);
            let claims = verify(&h.setting.program, &proved).expect("accepted");
            assert!(!veritune_attacks::base_claims_hold(&h.setting.program, &h.tensors, &claims), "scalar {lie}");
        }
    }
}

#[test]
fn mutated_bytes_are_refused() {
    let bytes = &HONEST.proved.bytes;
    let opening = 32 + HONEST.num_scalars * E_BYTES;
    // The opening starts with two scalars per variable, of which there are at least the twelve of the rows.
    let head = opening + 12 * 2 * E_BYTES;
    let regions = [
        ("root", 0, 32, 8),
        ("scalars", 32, opening, 40),
        ("sumcheck of the opening", opening, head, 24),
        ("rest of the opening", head, bytes.len(), 100),
        ("end of the opening", bytes.len() - 4096, bytes.len(), 16),
    ];
    let mut numbers = Numbers(23);
    for (region, from, to, samples) in regions {
        let mut codes = std::collections::BTreeMap::new();
        for _ in 0..samples {
            let position = from + (numbers.word() % (to - from) as u64) as usize;
            let mut mutated = bytes.clone();
            mutated[position] ^= 1 << (numbers.word() % 8);
            let verdict = verdict_of_bytes(mutated);
            assert_ne!(verdict, "accepted", "{region} byte {position}");
            *codes.entry(verdict).or_insert(0) += 1;
        }
        println!("{region}: {codes:?}");
    }
}

#[test]
fn truncated_and_extended_proofs_are_refused() {
    let bytes = &HONEST.proved.bytes;
    let opening = 32 + HONEST.num_scalars * E_BYTES;
    for len in [0, 1, 31, 32, 33, 32 + E_BYTES, opening - 1] {
        assert_eq!(verdict_of_bytes(bytes[..len].to_vec()), "VT-PROOF-001", "{len}");
    }
    for len in [opening, opening + 1, opening + 1000, bytes.len() - 32, bytes.len() - 1] {
        assert_eq!(verdict_of_bytes(bytes[..len].to_vec()), "opening-unexpected-end", "{len}");
    }
    for extra in [1, 8, 24, 32, 1 << 20] {
        let mut extended = bytes.clone();
        extended.resize(bytes.len() + extra, 0);
        assert_eq!(verdict_of_bytes(extended), "opening-trailing-bytes");
    }
    // A scalar dropped, doubled, or two exchanged.
    let scalars = |i: usize| 32 + i * E_BYTES..32 + (i + 1) * E_BYTES;
    let mut dropped = bytes.clone();
    dropped.drain(scalars(5));
    let mut doubled = bytes.clone();
    doubled.splice(scalars(5).start..scalars(5).start, bytes[scalars(5)].to_vec());
    let mut exchanged = bytes.clone();
    exchanged[scalars(4)].copy_from_slice(&bytes[scalars(5)]);
    exchanged[scalars(5)].copy_from_slice(&bytes[scalars(4)]);
    for mutated in [dropped, doubled, exchanged] {
        assert_ne!(verdict_of_bytes(mutated), "accepted");
    }
}

#[test]
fn elements_at_or_above_the_order_are_refused() {
    let bytes = &HONEST.proved.bytes;
    let opening = 32 + HONEST.num_scalars * E_BYTES;
    let put = |at: usize, value: u64| {
        let mut mutated = bytes.clone();
        mutated[at..at + 8].copy_from_slice(&value.to_le_bytes());
        verdict_of_bytes(mutated)
    };
    for value in [P, u64::MAX] {
        for coefficient in 0..3 {
            assert_eq!(put(32 + 7 * E_BYTES + 8 * coefficient, value), "VT-ARG-011");
            assert_eq!(put(opening + 8 * coefficient, value), "opening-not-canonical");
        }
    }
    // The same element with p added, where it fits 64 bits, is another encoding and refused.
    let small = (0..HONEST.num_scalars * 3).find_map(|word| {
        let at = 32 + 8 * word;
        let value = u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        value.checked_add(P).map(|sum| (at, sum))
    });
    if let Some((at, sum)) = small {
        assert_eq!(put(at, sum), "VT-ARG-011");
    }
}

#[test]
fn a_proof_is_of_its_own_program() {
    let h = &*HONEST;
    let check = |program: Result<Program, veritune_relations::step::StepError>| {
        verify(&program.expect("a program"), &h.proved).map_or_else(|code| code, |_| "accepted".into())
    };
    let cases = [
        ("the next step", check(h.setting.rebuilt(|_, step, _| *step += 1))),
        ("other rows", check(h.setting.rebuilt(|_, _, rows| rows[0] = 0))),
        ("rows exchanged", check(h.setting.rebuilt(|_, _, rows| rows.swap(0, 1)))),
        ("another decay", check(h.setting.rebuilt(|s, _, _| s.training.weight_decay.0 = "0.2".into()))),
        ("another limit", check(h.setting.rebuilt(|s, _, _| s.training.max_grad_norm.0 = "0.5".into()))),
        ("another rotation", check(h.setting.rebuilt(|s, _, _| s.model.rope_theta.0 = "20000".into()))),
        ("another scaling", check(h.setting.rebuilt(|s, _, _| s.lora.scaling_65536 = 1 << 16))),
        ("another vocabulary", check(h.setting.rebuilt(|s, _, _| s.model.vocab -= 1))),
    ];
    for (what, verdict) in cases {
        println!("{what}: {verdict}");
        assert_ne!(verdict, "accepted", "{what}");
    }
}
