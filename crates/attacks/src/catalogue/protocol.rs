//! Attacks on the protocol of one proof, as data: lookups, the order of messages, encodings.

use crate::harness::{Deviation, prove, transcript, verify};
use crate::{Cheat, Setting};
use std::cell::Cell;
use std::sync::LazyLock;
use veritune_argument::{Labels, NUM_PLACES};
use veritune_executor::Tensors;
use veritune_field::traits::{BasedVectorSpace, Field, PrimeCharacteristicRing};
use veritune_field::{E, F, f_from_i64};
use veritune_relations::Program;
use veritune_relations::layout::{Layout, limb_widths};

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

const fn attack(
    name: &'static str,
    refused: &'static str,
    without: &'static [&'static str],
    run: fn() -> Result<(), String>,
) -> ProtocolAttack {
    ProtocolAttack { name, refused, without, run }
}

const SUM: &str = "opening-sumcheck-claim";
/// The verifier's own table gives another target than the prover's.
const TARGET: &str = "absorb opening target";

/// The attacks.
pub const PROTOCOL_ATTACKS: &[ProtocolAttack] = &[
    attack("multiplicities of the range table are forged", "VT-ARG-001", &["VT-ARG-001"], || {
        forged(|layout| layout.range_multiplicities + 9)
    }),
    attack("multiplicities of another table are forged", "VT-ARG-001", &["VT-ARG-001"], || {
        forged(|layout| layout.table_multiplicities[1] + 3)
    }),
    attack("multiplicities are forged and balanced by the values of the root", "VT-ARG-002", &["VT-ARG-002"], || {
        balanced(false)
    }),
    attack("multiplicities are forged, and all values of the root are zero", "VT-ARG-002", &["VT-ARG-002"], || {
        balanced(true)
    }),
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
            |p| p.tables[table].columns.iter_mut().zip(row).for_each(|(c, v)| c.push(v)),
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
                p.tables[table].columns[1][row] += 1;
            },
            |p, tensors| {
                let silu = p.find("silu").expect("a tensor");
                all.iter().for_each(|&i| tensors.get_mut(silu)[i] += 1);
            },
        )
    }),
    attack(
        "a commitment is made when its challenges are known: multiplicities balance a value out of range",
        "VT-ARG-001",
        &["absorb witness root"],
        adaptive_multiplicities,
    ),
    attack(
        "a round of the equations is chosen when its challenge is known: the count of labels is halved",
        "VT-ARG-003",
        &["absorb equation round"],
        adaptive_round,
    ),
    attack("bytes follow the proof", "opening-trailing-bytes", &["opening-trailing-bytes"], || {
        let mut proved = prove(&HONEST.setting.program, &HONEST.tensors, &Deviation::default());
        proved.bytes.extend([0; 40]);
        verify(&HONEST.setting.program, &proved).map(|_| ())
    }),
];

fn answer(deviation: &Deviation) -> Result<(), String> {
    let proved = prove(&HONEST.setting.program, &HONEST.tensors, deviation);
    verify(&HONEST.setting.program, &proved).map(|_| ())
}

fn forged(slot: fn(&Layout) -> usize) -> Result<(), String> {
    let vectors = move |layout: &Layout, v: &mut [Vec<F>; NUM_PLACES]| v[0][slot(layout)] += F::ONE;
    answer(&Deviation { vectors: Box::new(vectors), ..Deviation::default() })
}

/// A forged multiplicity under values of the root that sum to zero all the same.
fn balanced(zeros: bool) -> Result<(), String> {
    let forge = |layout: &Layout, v: &mut [Vec<F>; NUM_PLACES]| v[0][layout.range_multiplicities + 9] += F::ONE;
    let program = &HONEST.setting.program;
    let first = prove(program, &HONEST.tensors, &Deviation { vectors: Box::new(forge), ..Deviation::default() });
    let [_, p1, q0, q1] = [0, 1, 2, 3].map(|i| first.scalar(i));
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
    // To the prover's own verifier the table is the table: the forged row is found, its values break equations.
    assert_ne!(verify(&program, &proved).err().as_deref(), Some("VT-ARG-001"), "the forged row is found");
    verify(&HONEST.setting.program, &proved).map(|_| ())
}

/// A remainder below zero, and three multiplicities that make the sum of fractions zero at the challenges that the
/// transcript would give without the witness root.
fn adaptive_multiplicities() -> Result<(), String> {
    let mut cheat = Cheat::new(&HONEST.setting, &HONEST.tensors);
    let at = [0, 0, 1, 0, 2];
    let divisor = cheat.divisor("value");
    cheat.bump("value", &at, 1);
    cheat.at_last_add("value.remainder", &at, -divisor);
    let tensors = cheat.run().map_err(|e| e.to_string())?;
    let program = &HONEST.setting.program;
    let roots = prove(program, &tensors, &Deviation::default()).roots;
    let mut known = transcript(&roots);
    let (alpha, beta) = (known.challenge_e(Labels::LOOKUP_ALPHA), known.challenge_e(Labels::LOOKUP_BETA));
    // The one limb that is in no row: the top one, which keeps the sign.
    let id = program.find("value.remainder").expect("a tensor");
    let offset = program.shape(id).iter().zip(at).fold(0, |p, (len, i)| p * len + i);
    let widths = limb_widths(program.tensor(id).range.bits, program.range_bits);
    let width = *widths.last().expect("a limb");
    let value = tensors.get(id)[offset] >> (program.range_bits as usize * (widths.len() - 1));
    assert!(value < 0);
    let fraction = |x: F, w: u32| (alpha - E::from_u32(w) - beta * x).inverse();
    let missing = fraction(f_from_i64(value), width);
    // Rows 0, 1 and 2 of width 12: m_0 f_0 + m_1 f_1 + m_2 f_2 = missing, over the base field.
    let rows = [0, 1, 2].map(|x| fraction(F::from_u32(x), 12));
    let multiplicities = solve(rows, missing);
    let forge = move |layout: &Layout, v: &mut [Vec<F>; NUM_PLACES]| {
        for (x, &m) in multiplicities.iter().enumerate() {
            v[0][layout.range_multiplicities + (1 << 12) + x] += m;
        }
    };
    let proved = prove(program, &tensors, &Deviation { vectors: Box::new(forge), ..Deviation::default() });
    verify(program, &proved).map(|_| ())
}

/// `m` with `m_0 columns_0 + m_1 columns_1 + m_2 columns_2 = target`, by Cramer's rule.
fn solve(columns: [E; 3], target: E) -> [F; 3] {
    let parts = |e: E| -> [F; 3] { e.as_basis_coefficients_slice().try_into().expect("three coefficients") };
    let determinant = |c: [[F; 3]; 3]| {
        c[0][0] * (c[1][1] * c[2][2] - c[2][1] * c[1][2]) - c[1][0] * (c[0][1] * c[2][2] - c[2][1] * c[0][2])
            + c[2][0] * (c[0][1] * c[1][2] - c[1][1] * c[0][2])
    };
    let all = columns.map(parts);
    let inverse = determinant(all).inverse();
    std::array::from_fn(|i| {
        let mut replaced = all;
        replaced[i] = parts(target);
        determinant(replaced) * inverse
    })
}

/// The count of labels is halved; the sum of the equations is sent as if it were zero, and the first round is bent so
/// that it agrees with the true one at the challenge that would follow if rounds were not absorbed.
fn adaptive_round() -> Result<(), String> {
    let mut cheat = Cheat::new(&HONEST.setting, &HONEST.tensors);
    let count = cheat.honest_at("labels", &[]);
    cheat.bump("labels", &[], count / 2 - count);
    let tensors = cheat.run().map_err(|e| e.to_string())?;
    let program = &HONEST.setting.program;
    let equation = program.equations.iter().position(|e| e.name == "labels").expect("an equation");
    assert!(program.equations[equation].axes.is_empty());
    // What the equation is off by: the true count less the false one.
    let violation = veritune_executor::check(program, &tensors);
    let [violation] = &violation[..] else { return Err(format!("{violation:?}")) };
    let off = f_from_i64(i64::try_from(violation.value).map_err(|e| e.to_string())?);
    let sum: Cell<Option<E>> = Cell::new(None);
    let first_round = Cell::new(true);
    let labelled = move |label: &str, value: E, delta: Option<E>, peek: &dyn Fn() -> E| match label {
        Labels::EQUATION_SUM => {
            let error = delta.unwrap_or(E::ZERO).exp_u64(equation as u64 + 1) * off;
            sum.set(Some(error));
            value - error
        }
        Labels::EQUATION_ROUND if first_round.replace(false) => {
            // d(X) = c (X - x) with d(0) + d(1) = -error and d(x) = 0; only d(0) is sent.
            let x = peek();
            let c = -(sum.get().unwrap_or(E::ZERO) * (E::ONE - x.double()).inverse());
            value - c * x
        }
        _ => value,
    };
    let proved = prove(program, &tensors, &Deviation { labelled: Some(Box::new(labelled)), ..Deviation::default() });
    verify(program, &proved).map(|_| ())
}
