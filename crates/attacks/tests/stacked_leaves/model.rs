//! All leaves written out one by one from the text of docs/spec/argument.md, and the verifier's two functionals beside
//! them. It shares no code with `argument::blocks` and `argument::leaves`.

use crate::programs::Rng;
use std::collections::VecDeque;
use veritune_argument::{Argument, ArgumentError, Arithmetic, BaseClaim, CheckId, Context, Functional, verify};
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_field::{E, F, eq_table, f_from_i64};
use veritune_relations::layout::{Layout, limb_widths, place_index, positions};
use veritune_relations::{AxisId, Index, Place, Program, TableId, TensorId, Term, View};
use veritune_verifier::known::Known;

/// Numerator and denominator at an index of every axis; none where it is padding.
type Leaf<'a> = &'a mut dyn FnMut(&[(AxisId, Option<usize>)]) -> (E, E);

/// A verifier that only notes what it is told.
struct Ctx {
    rng: Rng,
    challenges: Vec<(&'static str, E)>,
    base: VecDeque<E>,
    claims: Vec<Functional>,
    base_claims: Vec<BaseClaim>,
}

impl Arithmetic for Ctx {
    type Sent = E;
    type Scalar = E;
    fn mul(&mut self, a: E, b: E) -> E {
        a * b
    }
    fn hold(&mut self, _: &'static str, value: E) -> Result<E, ArgumentError> {
        Ok(value)
    }
}

impl Context for Ctx {
    fn read(&mut self, _: &'static str) -> Result<E, ArgumentError> {
        Ok(E::ZERO)
    }
    fn read_public(&mut self, _: &'static str) -> Result<E, ArgumentError> {
        Ok(self.base.pop_front().unwrap_or(E::ZERO))
    }
    fn challenge(&mut self, label: &'static str) -> E {
        let value = self.rng.e();
        self.challenges.push((label, value));
        value
    }
    fn assert_zero(&mut self, _: CheckId, _: usize, _: E) -> Result<(), ArgumentError> {
        Ok(())
    }
    fn claim(&mut self, functional: Functional, _: E) {
        self.claims.push(functional);
    }
    fn base_claim(&mut self, claim: BaseClaim) {
        self.base_claims.push(claim);
    }
}

/// Pieces of an axis, from the text.
fn cut(len: usize) -> Vec<(usize, usize)> {
    let (mut all, mut start) = (Vec::new(), 0);
    loop {
        let rest = len - start;
        let padding = rest.next_power_of_two() - rest;
        if padding == 0 || 8 * padding < len {
            all.push((start, rest));
            return all;
        }
        let mut below = 1;
        while below * 2 < rest {
            below *= 2;
        }
        all.push((start, below));
        start += below;
    }
}

/// (axis, start, active, padded log) per axis of every block of something over these axes.
fn blocks(program: &Program, axes: &[AxisId], is_cut: bool) -> Vec<Vec<(AxisId, usize, usize, usize)>> {
    let log = |len: usize| len.next_power_of_two().trailing_zeros() as usize;
    let whole: Vec<_> = axes.iter().map(|&a| (a, 0, program.axis(a).len, log(program.axis(a).len))).collect();
    if !is_cut || axes.is_empty() {
        return vec![whole];
    }
    let mut worst = 0;
    for i in 1..whole.len() {
        if whole[i].2 << whole[worst].3 < whole[worst].2 << whole[i].3 {
            worst = i;
        }
    }
    let pieces = cut(whole[worst].2).into_iter().map(|(start, len)| {
        let mut block = whole.clone();
        block[worst] = (block[worst].0, start, len, log(len));
        block
    });
    pieces.collect()
}

struct World<'a> {
    program: &'a Program,
    layout: &'a Layout,
    vectors: Vec<Vec<F>>,
    positions: Vec<Vec<usize>>,
}

impl World<'_> {
    fn flat(&self, tensor: TensorId, index: &[usize]) -> usize {
        let shape = self.program.shape(tensor);
        index.iter().zip(&shape).fold(0, |flat, (&i, &len)| {
            assert!(i < len);
            flat * len + i
        })
    }
    fn slot(&self, tensor: TensorId, limb: usize, index: &[usize]) -> F {
        let place = place_index(self.program.tensor(tensor).place).unwrap();
        let block = &self.layout.slots[tensor.0].as_ref().unwrap().blocks[limb];
        self.vectors[place][block.offset + self.positions[tensor.0][self.flat(tensor, index)]]
    }
    fn value(&self, tensor: TensorId, index: &[usize]) -> F {
        let slot = self.layout.slots[tensor.0].as_ref().unwrap();
        let base = F::from_u64(1 << self.program.range_bits);
        let limbs = (0..slot.blocks.len()).map(|limb| self.slot(tensor, limb, index) * base.exp_u64(limb as u64));
        limbs.sum::<F>() + f_from_i64(slot.minimum)
    }
    /// The index of a view, none where an axis of it is not active.
    fn index(view: &View, at: &[(AxisId, Option<usize>)]) -> Option<Vec<usize>> {
        let find = |axis: AxisId| at.iter().find(|(a, _)| *a == axis).expect("an axis of the lookup").1;
        view.index
            .iter()
            .map(|&index| match index {
                Index::Fixed(i) => Some(i),
                Index::Axis(a) => find(a),
                Index::Shifted(a, shift) => find(a).map(|i| i + shift),
            })
            .collect()
    }

    /// All leaves of the stack, block after block.
    fn leaves(&self, alpha: E, beta: E) -> Vec<(E, E)> {
        let program = self.program;
        let mut all: Vec<Vec<(E, E)>> = Vec::new();
        // Calls with the index along every axis, none where it is padded.
        let each = |block: &[(AxisId, usize, usize, usize)], leaf: Leaf<'_>| {
            let log: usize = block.iter().map(|b| b.3).sum();
            (0..1usize << log)
                .map(|mut position| {
                    let mut at: Vec<_> = block
                        .iter()
                        .rev()
                        .map(|&(axis, start, len, log)| {
                            let i = position & ((1 << log) - 1);
                            position >>= log;
                            (axis, (i < len).then_some(start + i))
                        })
                        .collect();
                    at.reverse();
                    leaf(&at)
                })
                .collect::<Vec<_>>()
        };
        for (i, tensor) in program.tensors.iter().enumerate() {
            let id = TensorId(i);
            if tensor.place != Place::Witness || tensor.range_by_other || program.one_hot(id).is_some() {
                continue;
            }
            for (limb, width) in limb_widths(tensor.range.bits, program.range_bits).into_iter().enumerate() {
                let mut seen = 0;
                for block in blocks(program, &tensor.axes, true) {
                    all.push(each(&block, &mut |at| {
                        let index: Option<Vec<usize>> = at.iter().map(|(_, i)| *i).collect();
                        let tagged = alpha - E::from_u32(width);
                        match index {
                            None => (E::ZERO, tagged),
                            Some(index) => {
                                seen += 1;
                                (E::ONE, tagged - beta * self.slot(id, limb, &index))
                            }
                        }
                    }));
                }
                assert_eq!(seen, program.shape(id).iter().product::<usize>());
            }
        }
        for lookup in &program.lookups {
            let of_base = |t: &Term| t.factors.iter().any(|v| program.tensor(v.tensor).place == Place::Base);
            let is_cut = !lookup.columns.iter().flatten().any(of_base);
            let tag = match lookup.table {
                TableId::Range(width) => u64::from(width),
                TableId::Table(t) => program.tables[t].tag,
            };
            for block in blocks(program, &lookup.axes, is_cut) {
                all.push(each(&block, &mut |at| {
                    let mut q = alpha - E::from_u64(tag);
                    for (j, column) in lookup.columns.iter().enumerate() {
                        for term in column {
                            let value = match term.factors.first() {
                                None => F::ONE,
                                Some(view) => Self::index(view, at).map_or(F::ZERO, |i| self.value(view.tensor, &i)),
                            };
                            q -= beta.exp_u64(j as u64 + 1) * f_from_i64(term.coefficient) * value;
                        }
                    }
                    let active = at.iter().all(|(_, i)| i.is_some());
                    let unmasked = lookup.mask.as_ref().is_none_or(|view| {
                        Self::index(view, at).is_some_and(|index| {
                            program.tensor(view.tensor).values.as_ref().unwrap()[self.flat(view.tensor, &index)] == 1
                        })
                    });
                    (if active && unmasked { E::ONE } else { E::ZERO }, q)
                }));
            }
        }
        let count = |offset: usize| -> E { -E::from(self.vectors[0][offset]) };
        all.push(
            (0..2usize << program.range_bits)
                .map(|row| {
                    if row < 2 {
                        return (E::ZERO, alpha);
                    }
                    let (tag, value) = (row.ilog2(), row - (1 << row.ilog2()));
                    (
                        count(self.layout.range_multiplicities + row),
                        alpha - E::from_u32(tag) - beta * F::from_usize(value),
                    )
                })
                .collect(),
        );
        for (t, table) in program.tables.iter().enumerate() {
            let rows = table.columns[0].len();
            all.push(
                (0..rows.next_power_of_two())
                    .map(|row| {
                        let mut q = alpha - E::from_u64(table.tag);
                        if row >= rows {
                            return (E::ZERO, q);
                        }
                        for (j, column) in table.columns.iter().enumerate() {
                            q -= beta.exp_u64(j as u64 + 1) * f_from_i64(column[row]);
                        }
                        (count(self.layout.table_multiplicities[t] + row), q)
                    })
                    .collect(),
            );
        }
        all.sort_by_key(|block| std::cmp::Reverse(block.len()));
        all.concat()
    }
}

/// Both functionals of a program at a random point and for random vectors are the sums over all leaves.
pub(crate) fn compare(name: &str, program: &Program, rng: &mut Rng) {
    let argument = Argument::new(program).unwrap_or_else(|e| panic!("{name}: {e}"));
    let layout = &argument.layout;
    let vectors = layout.used.iter().map(|&len| (0..len).map(|_| rng.f()).collect()).collect();
    let positions: Vec<Vec<usize>> =
        (0..program.tensors.len()).map(|i| positions(program, TensorId(i)).collect()).collect();
    let world = World { program, layout, vectors, positions };
    let known: Vec<Known> = world.vectors.iter().map(|vector| Known::from(vector.clone())).collect();
    let run = |base: VecDeque<E>| {
        let mut ctx = Ctx { rng: Rng(77), challenges: vec![], base, claims: vec![], base_claims: vec![] };
        verify(program, layout, &argument.plan, &mut ctx).unwrap();
        ctx
    };
    let first = run(VecDeque::new());
    let base = first.base_claims.iter().map(|claim| known[3].value(&claim.parts, 3)).collect();
    let ctx = run(base);
    let (alpha, beta) = (ctx.challenges[0].1, ctx.challenges[1].1);
    let leaves = world.leaves(alpha, beta);
    let log = (leaves.len().next_power_of_two().trailing_zeros() as usize).max(6);
    assert_eq!(log, argument.plan.units.log_leaves(), "{name}");
    assert_eq!(leaves.len(), argument.plan.num_leaves, "{name}");
    // alpha, beta, a merge, then lambda, as many rounds as the layer, a merge.
    let end = 3 + (1..log).map(|layer| layer + 2).sum::<usize>();
    let mut point = vec![ctx.challenges[end - 1].1];
    point.extend(ctx.challenges[end - 1 - (log - 1)..end - 1].iter().map(|c| c.1));
    assert_eq!(point.len(), log);
    let eq = eq_table(&point);
    let (mut p, mut q) = (E::ZERO, E::ZERO);
    for position in 0..1usize << log {
        let (unit, inside) = (position / 64, position % 64);
        let mut reversed = 0;
        for bit in 0..log - 6 {
            reversed |= (unit >> bit & 1) << (log - 7 - bit);
        }
        let weight = eq[reversed * 64 + inside];
        let (numerator, denominator) = leaves.get(position).copied().unwrap_or((E::ZERO, E::ONE));
        p += weight * numerator;
        q += weight * denominator;
    }
    for (claim, expected, what) in [(0, p, "numerator"), (1, q, "denominator")] {
        let functional = &ctx.claims[claim];
        let places = (0..4).map(|place| known[place].value(&functional.parts, place));
        assert_eq!(functional.constant + places.sum::<E>(), expected, "{name}: {what}");
    }
}
