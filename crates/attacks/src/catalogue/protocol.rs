//! Attacks on the protocol of one proof, as data: lookups, the order of messages, encodings.

use crate::Setting;
use crate::harness::{Deviation, prove, verify, violated};
use std::sync::{Arc, LazyLock};
use veritune_argument::NUM_PLACES;
use veritune_executor::Tensors;
use veritune_field::traits::{Field, PrimeCharacteristicRing};
use veritune_field::{E, F};
use veritune_relations::Program;
use veritune_relations::layout::Layout;

/// A tiny step, executed honestly.
#[derive(Debug)]
pub struct Honest {
    /// The step.
    pub setting: Setting,
    /// Its tensors.
    pub tensors: Tensors<i64>,
}

/// The step of the protocol attacks.
pub static HONEST: LazyLock<Honest> = LazyLock::new(|| {
    let setting = Setting::odd();
    let tensors = setting.execute(&setting.program).expect("the honest step");
    Honest { setting, tensors }
});

/// One attack on the protocol.
#[derive(Clone, Copy)]
pub struct ProtocolAttack {
    /// What the prover does.
    pub name: &'static str,
    /// Id that the verifier reports.
    pub refused: &'static str,
    /// Checks without which, and with no fewer, the attack passes.
    pub without: &'static [&'static str],
    /// The verifier's answer.
    pub run: fn() -> Result<(), String>,
}

impl std::fmt::Debug for ProtocolAttack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProtocolAttack").field("name", &self.name).field("refused", &self.refused).finish()
    }
}

pub(super) const fn attack(
    name: &'static str,
    refused: &'static str,
    without: &'static [&'static str],
    run: fn() -> Result<(), String>,
) -> ProtocolAttack {
    ProtocolAttack { name, refused, without, run }
}

pub(super) const SUM: &str = super::OPENING_SUM;
/// The verifier's own table gives another target than the prover's.
const TARGET: &str = "absorb opening target";

/// All attacks.
pub const PROTOCOL_ATTACKS: &[&[ProtocolAttack]] = &[
    ATTACKS,
    super::adaptive::ATTACKS,
    super::balanced::ATTACKS,
    super::masked::ATTACKS,
    super::opening::ATTACKS,
    super::replay::ATTACKS,
];

const ATTACKS: &[ProtocolAttack] = &[
    attack("multiplicities of the range table are forged", SUM, &["VT-ARG-001"], || {
        forged(|layout| layout.range_multiplicities + 9)
    }),
    attack("multiplicities of another table are forged", SUM, &["VT-ARG-001"], || {
        forged(|layout| layout.table_multiplicities[1] + 3)
    }),
    attack("multiplicities are forged and balanced by the values of the root", SUM, &["VT-ARG-002"], || {
        balanced(false)
    }),
    attack("multiplicities are forged, and all values of the root are zero", SUM, &["VT-ARG-002"], || balanced(true)),
    attack("the numerators are not the committed multiplicities", SUM, &[SUM], || {
        let vectors = |layout: &Layout, v: &mut [Vec<F>; NUM_PLACES]| {
            let offset = layout.table_multiplicities[0];
            v[0][offset..offset + 64].fill(F::ZERO);
        };
        answer(&Deviation { committed: Box::new(vectors), ..Deviation::default() })
    }),
    attack("the public table has one more row, in its padding", SUM, &[SUM, TARGET], || {
        let table = normalise_table(&HONEST.setting.program);
        assert!(!HONEST.setting.program.tables[table].columns[0].len().is_power_of_two());
        let row = [12345, 678, 910];
        with_table(
            |p| Arc::make_mut(&mut p.tables[table].columns).iter_mut().zip(row).for_each(|(c, v)| c.push(v)),
            |p, tensors| {
                for (part, value) in ["power", "square", "ceiling"].into_iter().zip(row) {
                    let id = p.find(&format!("final.norm.normalise.{part}")).expect("a tensor");
                    tensors.get_mut(id)[0] = value;
                }
            },
        )
    }),
    attack("a row of a public table is another", SUM, &[SUM, TARGET], || {
        let gate = HONEST.setting.program.find("gate").expect("a tensor");
        let first = HONEST.tensors.get(gate)[0];
        let all: Vec<usize> =
            HONEST.tensors.get(gate).iter().enumerate().filter(|(_, g)| **g == first).map(|(i, _)| i).collect();
        with_table(
            |p| {
                let table = p.tables.iter().position(|t| t.name == "silu").expect("the table");
                let row = p.tables[table].columns[0].iter().position(|&x| x == first).expect("a row");
                Arc::make_mut(&mut p.tables[table].columns)[1][row] += 1;
            },
            |p, tensors| {
                let silu = p.find("silu").expect("a tensor");
                all.iter().for_each(|&i| tensors.get_mut(silu)[i] += 1);
            },
        )
    }),
    attack("bytes follow the proof", "opening-trailing-bytes", &["opening-trailing-bytes"], || {
        let mut proved = prove(&HONEST.setting.program, &HONEST.tensors, &Deviation::default());
        proved.bytes.extend([0; 40]);
        verify(&HONEST.setting.program, &proved).map(|_| ())
    }),
];

pub(super) fn answer(deviation: &Deviation) -> Result<(), String> {
    let proved = prove(&HONEST.setting.program, &HONEST.tensors, deviation);
    verify(&HONEST.setting.program, &proved).map(|_| ())
}

fn forged(slot: fn(&Layout) -> usize) -> Result<(), String> {
    let vectors = move |layout: &Layout, v: &mut [Vec<F>; NUM_PLACES]| v[0][slot(layout)] += F::ONE;
    answer(&Deviation { vectors: Box::new(vectors), ..Deviation::default() })
}

/// A forged multiplicity.
pub(super) fn forge(layout: &Layout, vectors: &mut [Vec<F>; NUM_PLACES]) {
    vectors[0][layout.range_multiplicities + 9] += F::ONE;
}

/// The values `p0, p1, q0, q1` of the root under a forged multiplicity.
pub(super) fn forged_root() -> [E; 4] {
    let deviation = Deviation { vectors: Box::new(forge), ..Deviation::default() };
    let first = prove(&HONEST.setting.program, &HONEST.tensors, &deviation);
    [0, 1, 2, 3].map(|i| first.sent[i].1)
}

/// A forged multiplicity under values of the root that sum to zero all the same.
fn balanced(zeros: bool) -> Result<(), String> {
    let [_, p1, q0, q1] = forged_root();
    let p0 = -(p1 * q0 * q1.inverse());
    let scalar = move |index: usize, value: E, _: &dyn Fn() -> E| match index {
        0..4 if zeros => E::ZERO,
        0 => p0,
        _ => value,
    };
    answer(&Deviation { vectors: Box::new(forge), scalar: Box::new(scalar), ..Deviation::default() })
}

fn normalise_table(program: &Program) -> usize {
    program.tables.iter().position(|t| t.name.starts_with("normalise")).expect("the table")
}

/// A prover whose table differs from the public one in a row, looked up by a forged value.
fn with_table(change: impl Fn(&mut Program), forge: impl Fn(&Program, &mut Tensors<i64>)) -> Result<(), String> {
    let mut program = HONEST.setting.program.clone();
    change(&mut program);
    let mut tensors = HONEST.tensors.clone();
    forge(&program, &mut tensors);
    let proved = prove(&program, &tensors, &Deviation::default());
    // To the prover's own verifier the table is the table: the forged row is found.
    assert!(!violated(&program, &tensors).iter().any(|check| program.lookups.iter().any(|l| l.name == *check)));
    verify(&HONEST.setting.program, &proved).map(|_| ())
}
