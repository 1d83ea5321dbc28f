//! Which tensors no range check limits, and which equations rest on a bound that is sharper than their terms'.

use std::collections::{BTreeMap, BTreeSet};
use veritune_attacks::setting::tiny_spec;
use veritune_relations::program::{FIELD_ORDER, Index, Place, Program, Range, TableId, TensorId, Term, View};
use veritune_relations::release;
use veritune_relations::scales::Scales;
use veritune_relations::spec::{Decimal, Optimizer};
use veritune_relations::step::{build, no_leaves};

/// Whether a view reads every active entry of its tensor exactly once.
fn is_whole(program: &Program, view: &View) -> bool {
    let axes = &program.tensor(view.tensor).axes;
    let axis = |i: &Index| if let Index::Axis(a) = i { Some(*a) } else { None };
    let seen: BTreeSet<_> = view.index.iter().filter_map(axis).collect();
    let same = |(index, own): (&Index, _)| axis(index).is_some_and(|a| program.axis(a).len == program.axis(own).len);
    seen.len() == axes.len() && view.index.iter().zip(axes.iter().copied()).all(same)
}

/// Whether every other term is a multiple of one tensor that limbs range: then what the sum is limited to limits the
/// term of `id`, whose coefficient is 1.
fn leaves_limited(program: &Program, terms: &[Term], id: TensorId) -> bool {
    let single = |t: &Term| t.factors.len() == 1 && is_whole(program, &t.factors[0]);
    let ranged = |t: &Term| {
        let of = program.tensor(t.factors[0].tensor);
        of.place == Place::Witness && !of.range_by_other
    };
    let (own, others): (Vec<&Term>, Vec<&Term>) =
        terms.iter().partition(|t| t.factors.first().is_some_and(|v| v.tensor == id));
    matches!(own.as_slice(), [t] if t.coefficient == 1 && single(t)) && others.iter().all(|t| single(t) && ranged(t))
}

/// The tensors of the witness that neither limbs, a table without mask, bits, an equation of degree two, nor a linear
/// one with tensors that are limited, limits.
fn unlimited(program: &Program) -> BTreeSet<String> {
    let mut open = BTreeSet::new();
    for (i, tensor) in program.tensors.iter().enumerate() {
        let id = TensorId(i);
        if tensor.place != Place::Witness || !tensor.range_by_other || program.one_hot(id).is_some() {
            continue;
        }
        let looked_up = program
            .lookups
            .iter()
            .filter(|l| l.mask.is_none())
            .flat_map(|l| &l.columns)
            .any(|column| leaves_limited(program, column, id));
        let split = program
            .equations
            .iter()
            .any(|e| !e.modular && e.axes.len() == tensor.axes.len() && leaves_limited(program, &e.terms, id));
        let boolean = program.equations.iter().any(|e| {
            let of = |t: &Term, n: usize, c: i64| {
                t.coefficient == c
                    && t.factors.len() == n
                    && t.factors.iter().all(|v| v.tensor == id && is_whole(program, v))
            };
            !e.modular
                && matches!(e.terms.as_slice(), [a, b] if of(a, 2, 1) && of(b, 1, -1))
                && e.axes.len() == tensor.axes.len()
        });
        if !looked_up && !boolean && !split {
            open.insert(tensor.name.clone());
        }
    }
    open
}

fn term_bound(program: &Program, open: &BTreeSet<String>, axes: &[veritune_relations::AxisId], term: &Term) -> u128 {
    let mut bound = u128::from(term.coefficient.unsigned_abs());
    let mut summed = BTreeSet::new();
    let mut single = BTreeSet::new();
    for view in &term.factors {
        let tensor = program.tensor(view.tensor);
        let largest = match &tensor.values {
            Some(values) => values.iter().map(|v| u128::from(v.unsigned_abs())).max().unwrap_or(0),
            None if open.contains(&tensor.name) && tensor.range == Range::FIELD => FIELD_ORDER,
            None => tensor.range.max_abs(),
        };
        bound = bound.saturating_mul(largest);
        for (position, index) in view.index.iter().enumerate() {
            if let Index::Axis(a) | Index::Shifted(a, _) = index
                && !axes.contains(a)
            {
                summed.insert(*a);
                if program.one_hot(view.tensor).is_some() && position + 1 == view.index.len() {
                    single.insert(*a);
                }
            }
        }
    }
    for axis in summed.difference(&single) {
        bound = bound.saturating_mul(program.axis(*axis).len as u128);
    }
    bound
}

/// Open tensors, and equations whose terms could reach the field order. Every tensor of the witness is read.
fn audit(title: &str, program: &Program) -> [Vec<String>; 2] {
    let open = unlimited(program);
    let mut sharper = BTreeSet::new();
    let mut read = BTreeSet::new();
    for equation in &program.equations {
        for view in equation.terms.iter().flat_map(|t| &t.factors) {
            read.insert(view.tensor);
            if !equation.modular {
                assert!(program.tensor(view.tensor).range != Range::FIELD, "{title}: {}", equation.name);
            }
        }
        let sum = equation
            .terms
            .iter()
            .fold(0u128, |sum, t| sum.saturating_add(term_bound(program, &open, &equation.axes, t)));
        if !equation.modular && sum >= FIELD_ORDER {
            sharper.insert(equation.name.clone());
        }
    }
    for view in program.lookups.iter().flat_map(|l| &l.columns).flatten().flat_map(|t| &t.factors) {
        read.insert(view.tensor);
    }
    for one_hot in &program.one_hots {
        read.extend([one_hot.bits]);
        read.extend(one_hot.flag);
    }
    for id in (0..program.tensors.len()).map(TensorId).filter(|id| !read.contains(id)) {
        let tensor = program.tensor(id);
        assert!(tensor.place != Place::Witness, "{title}: nothing reads {}", tensor.name);
    }
    [open, sharper].map(|names| names.into_iter().collect())
}

#[test]
fn what_no_range_check_limits() {
    for range_bits in [12, 16, 20] {
        for optimizer in [Optimizer::AdamW, Optimizer::Sgd] {
            let mut spec = tiny_spec([12, 3, 3, 1, 4, 20, 30, 3, 6, 2, 5]);
            spec.range_bits = range_bits;
            spec.scales = Scales::starting(range_bits);
            spec.training.optimizer = optimizer;
            spec.model.qkv_bias = true;
            spec.model.tied = false;
            for name in ["head", "query_bias", "key_bias", "value_bias"] {
                spec.model.base_fraction_bits.insert(format!("base.{name}"), 12);
            }
            let step = build(&spec, 2, &no_leaves(&spec)).expect("a step");
            let expected = [
                // The sponge's are field elements; tokens and targets are sums of bits; masked exponentials meet a 0.
                vec![
                    "batch.leaf.cube",
                    "batch.leaf.header",
                    "batch.leaf.point",
                    "batch.leaf.seventh",
                    "batch.leaf.state",
                    "batch.targets",
                    "batch.tokens",
                    "exponential",
                ],
                // The table's ceiling and the sign's magnitude bound these.
                vec!["attention.norm.root.exact", "clip.active", "final.norm.root.exact", "mlp.norm.root.exact"],
            ];
            assert_eq!(audit(&format!("{range_bits} {optimizer:?}"), &step.program), expected);
            let copies: Vec<Vec<i64>> = release::matrices(&step)
                .into_iter()
                .map(|(_, id)| vec![0; step.program.shape(id).iter().product()])
                .collect();
            let release = release::build(&spec, &step, &copies).expect("a release");
            assert_eq!(audit("release", &release.program), [const { Vec::<String>::new() }; 2]);
        }
    }
}

/// Least and greatest value that checks leave a tensor.
type Interval = (i128, i128);

/// `coefficient * interval`.
fn times(coefficient: i64, (low, high): Interval) -> Interval {
    let ends = [low, high].map(|x| x * i128::from(coefficient));
    (ends[0].min(ends[1]), ends[0].max(ends[1]))
}

/// Where a sum that is within `sum` leaves the term of `id`, whose coefficient is 1 or -1 and which is read whole; none if
/// it is not such a term, or another one reads what is not limited yet.
fn solved(
    program: &Program,
    known: &BTreeMap<TensorId, Interval>,
    terms: &[Term],
    sum: Interval,
    id: TensorId,
) -> Option<Interval> {
    let (own, others): (Vec<&Term>, Vec<&Term>) = terms.iter().partition(|t| t.factors.iter().any(|v| v.tensor == id));
    let [own] = own.as_slice() else { return None };
    if own.factors.len() != 1 || own.coefficient.abs() != 1 || !is_whole(program, &own.factors[0]) {
        return None;
    }
    let (mut low, mut high) = sum;
    for term in others {
        let of = match term.factors.as_slice() {
            [] => (1, 1),
            [view] => *known.get(&view.tensor)?,
            _ => return None,
        };
        let (l, h) = times(term.coefficient, of);
        (low, high) = (low - h, high - l);
    }
    // A field element that is an integer of this interval is no other one.
    (high - low < FIELD_ORDER as i128).then(|| times(own.coefficient, (low, high)))
}

/// What no check limits to its declared range, given only what was limited before: no two tensors limit each other.
fn not_grounded(program: &Program) -> BTreeSet<String> {
    let declared = |id: TensorId| {
        let range = program.tensor(id).range;
        (i128::from(range.min()), i128::from(range.max()))
    };
    let mut known = BTreeMap::new();
    let mut open = BTreeSet::new();
    for (i, tensor) in program.tensors.iter().enumerate() {
        let id = TensorId(i);
        let limbs = tensor.place == Place::Witness && !tensor.range_by_other;
        // Moments of the state before were limited where they were the state after, at first by being public.
        let before = tensor.place == Place::StateBefore && !tensor.name.ends_with(".master");
        match tensor.place {
            Place::Public | Place::Base => continue,
            _ if program.one_hot(id).is_some() => continue,
            _ if limbs || before => drop(known.insert(id, declared(id))),
            _ => drop(open.insert(id)),
        }
    }
    loop {
        let limited = |&id: &TensorId| {
            let axes = program.tensor(id).axes.len();
            let row = |table: TableId, column: usize| -> Interval {
                match table {
                    TableId::Range(width) => (0, (1 << width) - 1),
                    TableId::Table(t) => {
                        let column = &program.tables[t].columns[column];
                        let ends = [column.iter().min(), column.iter().max()].map(|x| *x.expect("rows"));
                        (i128::from(ends[0]), i128::from(ends[1]))
                    }
                }
            };
            let looked_up = program
                .lookups
                .iter()
                .filter(|l| l.mask.is_none() && l.axes.len() == axes)
                .flat_map(|l| l.columns.iter().enumerate().map(|(i, column)| (column, row(l.table, i))));
            let equal =
                program.equations.iter().filter(|e| !e.modular && e.axes.len() == axes).map(|e| (&e.terms, (0, 0)));
            let boolean = program.equations.iter().any(|e| {
                let of = |t: &Term, n: usize| t.factors.len() == n && t.factors.iter().all(|v| v.tensor == id);
                matches!(e.terms.as_slice(), [a, b] if a.coefficient == 1 && b.coefficient == -1 && of(a, 2) && of(b, 1))
            });
            let (min, max) = declared(id);
            let inside = |(low, high): Interval| low >= min && high <= max;
            boolean && (min, max) == (0, 1)
                || looked_up
                    .chain(equal)
                    .any(|(terms, sum)| solved(program, &known, terms, sum, id).is_some_and(inside))
        };
        let found: Vec<TensorId> = open.iter().copied().filter(limited).collect();
        if found.is_empty() {
            break;
        }
        for id in found {
            open.remove(&id);
            known.insert(id, declared(id));
        }
    }
    open.into_iter().map(|id| program.tensor(id).name.clone()).collect()
}

/// Of tensors of witness and states: all but the sponge's field elements, masked exponentials and the masters after.
#[test]
fn every_declared_range_is_grounded() {
    for range_bits in [8, 9, 11, 12, 13, 16, 19, 20] {
        for (optimizer, beta2, hidden) in
            [(Optimizer::AdamW, "0.999", 12), (Optimizer::AdamW, "0.9999", 9), (Optimizer::Sgd, "0.999", 16)]
        {
            let mut spec = tiny_spec([hidden, 3, 3, 1, 4, 20, 30, 3, 6, 2, 5]);
            spec.range_bits = range_bits;
            spec.scales = Scales::starting(range_bits);
            spec.training.optimizer = optimizer;
            spec.training.adam_beta2 = Decimal(beta2.to_owned());
            spec.model.qkv_bias = true;
            spec.model.tied = false;
            for name in ["head", "query_bias", "key_bias", "value_bias"] {
                spec.model.base_fraction_bits.insert(format!("base.{name}"), 12);
            }
            let program = build(&spec, 2, &no_leaves(&spec)).expect("a step").program;
            let open = not_grounded(&program);
            let masters: BTreeSet<String> = program
                .tensors
                .iter()
                .filter(|t| t.place == Place::StateAfter && t.name.ends_with(".master"))
                .map(|t| t.name.clone())
                .collect();
            assert_eq!(masters.len(), 14);
            for lookup in &program.lookups {
                let greatest = match lookup.table {
                    TableId::Range(width) => (1u128 << width) - 1,
                    TableId::Table(t) => {
                        let entries = program.tables[t].columns.iter().flatten();
                        entries.map(|x| u128::from(x.unsigned_abs())).max().expect("rows")
                    }
                };
                for column in &lookup.columns {
                    let bounds = column.iter().map(|t| term_bound(&program, &BTreeSet::new(), &lookup.axes, t));
                    assert!(bounds.sum::<u128>() + greatest < FIELD_ORDER, "{}", lookup.name);
                    assert!(column.iter().all(|t| t.coefficient.unsigned_abs() < 1 << 62), "{}", lookup.name);
                }
            }
            // Without its one check a tensor is limited by nothing: the search finds no range where there is none.
            for (check, tensor) in [
                ("norm.k_proj.b", "grad.k_proj.b"),
                ("q_proj.a.copy.remainder", "state_before.q_proj.a.master"),
                ("up_proj.b.first", "state_after.up_proj.b.first"),
                ("up_proj.b.second", "state_after.up_proj.b.second"),
                ("o_proj.a.second.remainder", "o_proj.a.second.remainder"),
            ] {
                let mut less = program.clone();
                less.lookups.retain(|l| l.name != check);
                less.equations.retain(|e| e.name != check);
                if (less.lookups.len(), less.equations.len()) == (program.lookups.len(), program.equations.len()) {
                    assert_eq!(optimizer, Optimizer::Sgd, "no check {check}");
                    continue;
                }
                assert!(not_grounded(&less).contains(tensor), "{range_bits} {optimizer:?}: {tensor} without {check}");
            }
            let others: Vec<_> = open.difference(&masters).map(String::as_str).collect();
            let sponge = ["cube", "header", "point", "seventh", "state"].map(|part| format!("batch.leaf.{part}"));
            let expected: Vec<_> = sponge.iter().map(String::as_str).chain(["exponential"]).collect();
            assert_eq!(others, expected, "{range_bits} {optimizer:?} {beta2} {hidden}");
            // If these were ranged in the step that makes them, the last of them would be too: see `last_master.rs`.
            assert!(masters.is_subset(&open), "{range_bits} {optimizer:?}: masters are ranged now, say so");
        }
    }
}
