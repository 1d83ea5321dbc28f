//! What masks could hide: false products of pads, pads and products that are committed late, checks that are left out.

use super::adaptive::{halved_labels, verdict};
use super::balanced::{settle, take};
use super::protocol::{HONEST, ProtocolAttack, SUM, answer, attack};
use crate::Cheat;
use crate::argued::Argued;
use crate::harness::{Deviation, prove};
use std::cell::Cell;
use std::rc::Rc;
use veritune_argument::{Argument, ELEMENT_SLOTS, Labels, NUM_PLACES, WITNESS_PLACE};
use veritune_executor::Tensors;
use veritune_field::traits::{Field, PrimeCharacteristicRing};
use veritune_field::{E, F, f_from_i64};
use veritune_prover::argument::Pads;
use veritune_prover::commit::Randomness;
use veritune_relations::layout::Layout;

/// The attacks.
pub(super) const ATTACKS: &[ProtocolAttack] = &[
    attack(
        "a product of pads is off by what an equation is off by: the clip quotient is one more",
        SUM,
        &["VT-ARG-006"],
        false_product,
    ),
    attack(
        "a product of bits takes the error of the equations' sum: the count of labels is halved",
        SUM,
        &["VT-ARG-005"],
        false_held_product,
    ),
    attack("a pad is committed when all challenges are known: the count of labels is halved", SUM, ROOT, || {
        late(|argument| argument.first_element_slot())
    }),
    attack(
        "an extra value is committed when all challenges are known: the count of labels is halved",
        SUM,
        ROOT,
        || late(|argument| argument.first_element_slot() + ELEMENT_SLOTS * argument.wiring.first_extra()),
    ),
    attack(
        "the value of L is chosen when the challenge of all claims is known: the count of labels is halved",
        SUM,
        &["absorb product left value"],
        left_value,
    ),
    attack("the committed pads are those of another proof", SUM, &[SUM], || {
        answer(&Deviation { committed: Box::new(other_pads), ..Deviation::default() })
    }),
    attack("the committed dummy is another", SUM, &["VT-ARG-006"], || {
        let element = argument().wiring.dummy();
        let slot = argument().first_element_slot() + ELEMENT_SLOTS * element;
        let committed = move |_: &Layout, vectors: &mut [Vec<F>; NUM_PLACES]| vectors[WITNESS_PLACE][slot] += F::ONE;
        answer(&Deviation { committed: Box::new(committed), ..Deviation::default() })
    }),
];

const ROOT: &[&str] = &["absorb witness root"];

fn argument() -> Argument<'static> {
    Argument::new(&HONEST.setting.program).expect("an argument")
}

/// The tensors of a step whose clip quotient is one more with the remainder as it was, the equation that is off, and by what.
fn quotient_one_more() -> Result<(Tensors<i64>, usize, F), String> {
    let mut cheat = Cheat::new(&HONEST.setting, &HONEST.tensors);
    cheat.nudge("clip.quotient", "clip.quotient", &[], 1);
    let tensors = cheat.run().map_err(|e| e.to_string())?;
    let program = &HONEST.setting.program;
    let violations = veritune_executor::check(program, &tensors);
    let [violation] = &violations[..] else { return Err(format!("{violations:?}")) };
    let equation = program.equations.iter().position(|e| e.name == violation.name).ok_or("no equation is off")?;
    let off = i64::try_from(violation.value).map_err(|e| e.to_string())?;
    Ok((tensors, equation, f_from_i64(off)))
}

/// The equation `limit active - quotient norm - quotient labels = remainder` is off by a constant, which the committed product
/// of the pads of quotient and norm takes in. Sum and rounds are those of the product that the verifier then computes.
fn false_product() -> Result<(), String> {
    let (tensors, equation, off) = quotient_one_more()?;
    let (program, argument) = (&HONEST.setting.program, argument());
    let value = |name: &str| E::from(f_from_i64(tensors.get(program.find(name).expect("a tensor"))[0]));
    let (quotient, norm) = (value("clip.quotient"), value("norm"));
    let is_hidden = |label: &str| label != Labels::EQUATION_BASE && label != Labels::LOOKUP_BASE;
    let sent = prove(program, &tensors, &Deviation::default()).sent;
    let hidden: Vec<(&str, E)> = sent.into_iter().filter(|(label, _)| is_hidden(label)).collect();
    let is = |pad: usize, value: E| hidden[pad] == (Labels::EQUATION_FACTOR, value);
    let pairs = [[quotient, norm], [norm, quotient]];
    let product = argument.wiring.products.iter().position(|&[a, b]| pairs.iter().any(|p| is(a, p[0]) && is(b, p[1])));
    let product = product.ok_or("the product of quotient and norm")?;
    let coefficient = |factors: &[usize]| {
        let names: Vec<&str> =
            factors.iter().map(|&f| program.tensor(argument.plan.factors[f].tensor).name.as_str()).collect();
        names.contains(&"clip.quotient") && names.contains(&"norm")
    };
    let term = argument.plan.products.iter().find(|t| t.equation == equation && coefficient(&t.factors));
    let term = term.ok_or("the term of quotient and norm")?;
    let error = -off * f_from_i64(term.coefficient).inverse();
    let slot = argument.first_element_slot() + ELEMENT_SLOTS * (argument.wiring.first_product() + product);
    // The elements are changed before the argument, which reads none of them.
    let committed = move |_: &Layout, vectors: &mut [Vec<F>; NUM_PLACES]| vectors[WITNESS_PLACE][slot] += error;
    let degree = argument.plan.degree;
    let (sent, claim) = (Cell::new(0), Cell::new(E::ZERO));
    let labelled = move |label: &str, value: E, drawn: &dyn Fn(&str) -> E, _: &dyn Fn() -> E| match label {
        Labels::EQUATION_SUM => {
            claim.set(-(drawn(Labels::EQUATION_DELTA).exp_u64(equation as u64 + 1) * off));
            value + claim.get()
        }
        Labels::EQUATION_ROUND => {
            let number = sent.replace(sent.get() + 1);
            if number > 0 && number % degree == 0 {
                claim.set(claim.get() * (E::ONE - drawn(Labels::EQUATION_ROUND)));
            }
            if number % degree == 0 { value + claim.get() } else { value }
        }
        _ => value,
    };
    let deviation =
        Deviation { committed: Box::new(committed), labelled: Some(Box::new(labelled)), ..Deviation::default() };
    verdict(&tensors, &deviation)
}

/// The sum of the equations is bent, the evaluation of a one-hot takes the error from it, and a product of bits takes it from
/// there.
fn false_held_product() -> Result<(), String> {
    let (tensors, equation, off) = halved_labels()?;
    let bend = move |drawn: &dyn Fn(&str) -> E| drawn(Labels::EQUATION_DELTA).exp_u64(equation as u64 + 1) * off;
    // Two refused proofs tell by how much the one-hot's evaluation and then the product must change.
    let mut changes: Vec<(usize, E)> = Vec::new();
    for label in [Labels::EQUATION_FACTOR, Labels::ONE_HOT_PRODUCT] {
        let measured: Rc<Cell<Option<(usize, E)>>> = Rc::default();
        let found = Rc::clone(&measured);
        let measure = move |argued: &Argued<'_>, scalars: &mut [u8]| {
            let residual = |scalars: &[u8]| match label {
                Labels::EQUATION_FACTOR => argued.residuals(scalars).equations,
                _ => argued.residuals(scalars).one_hots,
            };
            let position = match label {
                Labels::EQUATION_FACTOR => argued.one_hot_factor(),
                _ => *argued.sent(label).last().expect("a product of bits"),
            };
            let error = residual(scalars);
            let mut changed = scalars.to_vec();
            super::adaptive::add(&mut changed, position, E::ONE);
            found.set(Some((position, -error * (residual(&changed) - error).inverse())));
        };
        let known = changes.clone();
        let deviation = Deviation {
            labelled: Some(Box::new(bent(bend, known))),
            argument: Some(Box::new(measure)),
            ..Deviation::default()
        };
        prove(&HONEST.setting.program, &tensors, &deviation);
        changes.push(measured.get().ok_or("measured")?);
    }
    verdict(&tensors, &Deviation { labelled: Some(Box::new(bent(bend, changes))), ..Deviation::default() })
}

/// The sum of the equations less an error, and changes of scalars by their position.
#[expect(clippy::type_complexity, reason = "what a deviation takes")]
fn bent(
    error: impl Fn(&dyn Fn(&str) -> E) -> E,
    changes: Vec<(usize, E)>,
) -> impl Fn(&str, E, &dyn Fn(&str) -> E, &dyn Fn() -> E) -> E {
    let sent = Cell::new(0);
    move |label: &str, value: E, drawn: &dyn Fn(&str) -> E, _: &dyn Fn() -> E| {
        let position = sent.replace(sent.get() + 1);
        let change = changes.iter().find(|(at, _)| *at == position).map_or(E::ZERO, |(_, change)| *change);
        let error = if label == Labels::EQUATION_SUM { error(drawn) } else { E::ZERO };
        value + change - error
    }
}

/// Three slots from here on take the excess away when all challenges are known.
fn late(first_slot: fn(&Argument<'_>) -> usize) -> Result<(), String> {
    let (tensors, _, _) = halved_labels()?;
    let first = first_slot(&argument());
    let edit = move |weights: &[E], excess: E, vector: &mut [F]| {
        take(weights, excess, vector, std::array::from_fn(|i| first + i));
    };
    verdict(&tensors, &Deviation { late: Some((WITNESS_PLACE, Box::new(edit))), ..Deviation::default() })
}

/// The last scalar takes the excess away.
fn left_value() -> Result<(), String> {
    let (tensors, _, _) = halved_labels()?;
    let edit = |argued: &Argued<'_>, scalars: &mut [u8]| {
        let last = argued.argument.wiring.num_scalars();
        settle(argued, scalars, last);
    };
    verdict(&tensors, &Deviation { argument: Some(Box::new(edit)), ..Deviation::default() })
}

/// Pads of another proof in the place of this proof's.
fn other_pads(layout: &Layout, vectors: &mut [Vec<F>; NUM_PLACES]) {
    let pads = Pads::draw(&argument().wiring, &Randomness::from_seed([77; 32]));
    let elements = &mut vectors[WITNESS_PLACE][layout.used[WITNESS_PLACE]..];
    elements.iter_mut().zip(pads.slots()).for_each(|(slot, pad)| *slot = pad);
}
