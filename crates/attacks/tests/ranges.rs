//! Which tensors no range check limits, and which equations rest on a bound that is sharper than their terms'.

use std::collections::BTreeSet;
use veritune_attacks::setting::tiny_spec;
use veritune_relations::program::{FIELD_ORDER, Index, Place, Program, Range, TensorId, Term, View};
use veritune_relations::release;
use veritune_relations::scales::Scales;
use veritune_relations::spec::Optimizer;
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
