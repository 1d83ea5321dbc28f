//! No value of the witness is free: changing any one entry of any tensor is seen, except where it cannot matter.

use std::collections::BTreeMap;
use veritune_attacks::{Setting, violated};
use veritune_executor::Tensors;
use veritune_relations::{Index, Place, Program, TableId, TensorId, View};

/// Tensors whose changed entries nothing sees, with how many were tried and how many were not seen.
fn unseen(program: &Program, honest: &Tensors<i64>) -> BTreeMap<String, (usize, usize)> {
    let mut unseen = BTreeMap::new();
    for (i, tensor) in program.tensors.iter().enumerate() {
        let id = TensorId(i);
        if tensor.place == Place::Public || program.one_hot(id).is_some() {
            continue;
        }
        let part = only(program, id);
        let count = honest.get(id).len();
        let tried: Vec<usize> = (0..count).step_by(count.div_ceil(3).max(1)).chain([count - 1]).collect();
        let mut missed = 0;
        for &position in &tried {
            for delta in [1, -1] {
                let mut tensors = honest.clone();
                tensors.get_mut(id)[position] += delta;
                missed += usize::from(violated(&part, &tensors).is_empty());
            }
        }
        if missed > 0 {
            unseen.insert(tensor.name.clone(), (2 * tried.len(), missed));
        }
    }
    unseen
}

/// The program with only those checks that read the tensor, or bits or flags of a one-hot.
fn only(program: &Program, id: TensorId) -> Program {
    let mut part = program.clone();
    let reads = |view: &View| {
        let of = program.one_hot(view.tensor).map(|o| (o.bits, o.flag));
        view.tensor == id || of.is_some_and(|(bits, flag)| bits == id || flag == Some(id))
    };
    part.equations.retain(|e| e.terms.iter().flat_map(|t| &t.factors).any(reads));
    part.lookups.retain(|l| l.columns.iter().flatten().flat_map(|t| &t.factors).any(reads));
    part
}

#[test]
fn every_value_of_the_witness_is_pinned() {
    let setting = Setting::odd();
    let honest = setting.execute(&setting.program).expect("the honest step");
    let free = unseen(&setting.program, &honest);
    // Masked positions of the exponential do not matter; targets without label do not, but are pinned all the same.
    let allowed = ["exponential"];
    // Base weights are pinned by the settlement; each is read by some equation. So is the state before by its root: two
    // moments that round to the same one after are two states, not two witnesses of a step.
    let pinned_elsewhere = |n: &String| allowed.contains(&n.as_str()) || n.starts_with("state_before.");
    let free: Vec<_> = free.keys().filter(|n| !pinned_elsewhere(n)).collect();
    assert!(free.is_empty(), "{free:?}");
}

#[test]
fn every_read_of_a_masked_lookup_is_masked() {
    let program = Setting::odd().program;
    for lookup in program.lookups.iter().filter(|l| l.mask.is_some()) {
        let mask = lookup.mask.as_ref().expect("filtered");
        assert!(matches!(lookup.table, TableId::Table(_)));
        // Columns after the first are the outputs: unbounded where the mask is zero.
        for view in lookup.columns.iter().skip(1).flatten().flat_map(|t| &t.factors) {
            for equation in &program.equations {
                for term in equation.terms.iter().filter(|t| t.factors.iter().any(|v| v.tensor == view.tensor)) {
                    let masked = term.factors.iter().any(|v| v.tensor == mask.tensor && same_axes(v, view, mask, term));
                    assert!(masked, "{} reads {} unmasked", equation.name, program.tensor(view.tensor).name);
                }
            }
        }
    }
}

/// Whether the mask in the term is indexed as the lookup's mask is, relative to the looked-up tensor.
fn same_axes(in_term: &View, column: &View, mask: &View, term: &veritune_relations::Term) -> bool {
    let read = term.factors.iter().find(|v| v.tensor == column.tensor).expect("read");
    let follow = |index: &Index| column.index.iter().position(|i| i == index).map(|at| read.index[at]);
    mask.index.iter().zip(&in_term.index).all(|(own, used)| follow(own) == Some(*used))
}
