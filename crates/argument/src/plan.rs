//! What a program asks of the argument: blocks of lookup leaves, and equations sorted into terms.
//!
//! A function of the program alone; prover, verifier, pad counter and ledger read the same plan.

use crate::blocks::{LeafBlock, Units, leaf_blocks};
use crate::check::PlanError;
use crate::eq::pow2;
use crate::terms::{Factor, LinearTerm, ProductTerm, sort_terms};
use veritune_relations::layout::{Layout, place_index};
use veritune_relations::{AxisId, Index, Place, Program, Range, TableId, TensorId, View};

/// The plan of a program.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Blocks by falling size, then limbs by tensor, lookups, the range table, tables; blocks of one kind by rising index.
    pub blocks: Vec<LeafBlock>,
    /// Leaves in use.
    pub num_leaves: usize,
    /// Where the leaves in use lie.
    pub units: Units,
    /// Distinct factors of product terms and of linear terms.
    pub factors: Vec<Factor>,
    /// Terms with a sum.
    pub products: Vec<ProductTerm>,
    /// Terms without a sum and with at most one hidden factor.
    pub linear: Vec<LinearTerm>,
    /// Rounds of the equation sumcheck.
    pub num_rounds: usize,
    /// Degree of its round polynomials.
    pub degree: usize,
}

/// The error of a place in the program.
pub(crate) fn refuse<T>(place: &str, reason: &'static str) -> Result<T, PlanError> {
    Err(PlanError { place: place.to_owned(), reason })
}

/// Whether the tensor is virtual.
pub fn is_one_hot(program: &Program, tensor: TensorId) -> bool {
    program.one_hot(tensor).is_some()
}

impl Plan {
    /// Per factor, whether a product has it.
    pub fn needed(&self) -> Vec<bool> {
        let mut needed = vec![false; self.factors.len()];
        for &factor in self.products.iter().flat_map(|t| &t.factors) {
            if let Some(flag) = needed.get_mut(factor) {
                *flag = true;
            }
        }
        needed
    }

    /// The plan of `program`, or why it cannot be argued about.
    pub fn new(program: &Program, layout: &Layout) -> Result<Self, PlanError> {
        check_tensors(program, layout)?;
        check_one_hots(program)?;
        let mut blocks = leaf_blocks(program)?;
        // Stable: equal sizes keep their order of declaration.
        blocks.sort_by_key(|block| std::cmp::Reverse(block.log_len()));
        let mut num_leaves = 0_usize;
        for block in &mut blocks {
            block.offset = num_leaves;
            num_leaves = num_leaves.saturating_add(pow2(block.log_len()));
        }
        let sorted = sort_terms(program)?;
        Ok(Self {
            blocks,
            num_leaves,
            units: Units::new(num_leaves),
            factors: sorted.factors,
            num_rounds: sorted.products.iter().map(|t| t.num_variables).max().unwrap_or(0),
            degree: sorted.products.iter().map(|t| t.factors.len()).max().unwrap_or(0).saturating_add(1),
            products: sorted.products,
            linear: sorted.linear,
        })
    }
}

fn check_tensors(program: &Program, layout: &Layout) -> Result<(), PlanError> {
    if !(1..=22).contains(&program.range_bits) {
        return refuse("range table", "its width is not within 1 to 22 bits");
    }
    if program.axes.iter().any(|a| a.len == 0) {
        return refuse("axes", "an empty axis");
    }
    for (i, tensor) in program.tensors.iter().enumerate() {
        if tensor.axes.iter().any(|a| program.axes.get(a.0).is_none()) {
            return refuse(&tensor.name, "an unknown axis");
        }
        let any_element = tensor.range == Range::FIELD && (tensor.range_by_other || tensor.place == Place::Public);
        if !(1..=63).contains(&tensor.range.bits) && !any_element {
            return refuse(&tensor.name, "a width that is not within 1 to 63 bits");
        }
        let stored = place_index(tensor.place).is_some() && !is_one_hot(program, TensorId(i));
        if stored && layout.slots.get(i).is_none_or(Option::is_none) {
            return refuse(&tensor.name, "no place in the layout");
        }
        if tensor.place == Place::Public {
            let len: usize = tensor.axes.iter().map(|&a| program.axis(a).len).product();
            if tensor.values.as_ref().map(Vec::len) != Some(len) {
                return refuse(&tensor.name, "a public tensor without all its values");
            }
        }
    }
    let tags: Vec<u64> = program.tables.iter().map(|t| t.tag).collect();
    for (i, tag) in tags.iter().enumerate() {
        if *tag <= u64::from(program.range_bits) || tags.iter().skip(i.saturating_add(1)).any(|t| t == tag) {
            return refuse("tables", "a tag that is not unique");
        }
    }
    Ok(())
}

fn check_one_hots(program: &Program) -> Result<(), PlanError> {
    for one_hot in &program.one_hots {
        let known = |t: TensorId| program.tensors.get(t.0).filter(|_| true);
        let (Some(tensor), Some(bits)) = (known(one_hot.tensor), known(one_hot.bits)) else {
            return refuse("one-hot", "an unknown tensor");
        };
        let (Some((value, outer)), Some((bit, bit_outer))) = (tensor.axes.split_last(), bits.axes.split_last()) else {
            return refuse(&tensor.name, "a one-hot without a value axis");
        };
        if outer != bit_outer || program.axis(*bit).len != program.axis(*value).log_len().max(1) {
            return refuse(&tensor.name, "bits of another shape");
        }
        if let Some(flag) = one_hot.flag
            && known(flag).is_none_or(|f| f.axes != outer)
        {
            return refuse(&tensor.name, "a flag of another shape");
        }
        let hidden =
            |t: TensorId| program.tensors.get(t.0).is_some_and(|x| x.place != Place::Base) && !is_one_hot(program, t);
        if !hidden(one_hot.bits) || one_hot.flag.is_some_and(|f| !hidden(f)) {
            return refuse(&tensor.name, "bits or flag that are virtual or of the base model");
        }
    }
    Ok(())
}

/// Checks the indices of a view; `allowed` are the axes it may use, none for any.
pub(crate) fn check_view(
    program: &Program,
    place: &str,
    view: &View,
    allowed: Option<&[AxisId]>,
) -> Result<(), PlanError> {
    let Some(tensor) = program.tensors.get(view.tensor.0) else {
        return refuse(place, "an unknown tensor");
    };
    if tensor.axes.len() != view.index.len() {
        return refuse(place, "a view with another number of axes than its tensor");
    }
    let mut seen: Vec<AxisId> = Vec::new();
    for (&index, &own) in view.index.iter().zip(&tensor.axes) {
        let own_len = program.axis(own).len;
        let (axis, shift) = match index {
            Index::Fixed(at) if at < own_len => continue,
            Index::Fixed(_) => return refuse(place, "a fixed index beyond its axis"),
            Index::Axis(axis) => (axis, 0),
            Index::Shifted(axis, shift) => (axis, shift),
        };
        let Some(len) = program.axes.get(axis.0).map(|a| a.len) else {
            return refuse(place, "an unknown axis");
        };
        if len.saturating_add(shift) > own_len {
            return refuse(place, "an index that runs beyond its axis");
        }
        if seen.contains(&axis) {
            return refuse(place, "a diagonal");
        }
        if allowed.is_some_and(|allowed| !allowed.contains(&axis)) {
            return refuse(place, "a contracted axis in a lookup");
        }
        seen.push(axis);
    }
    Ok(())
}

pub(crate) fn check_lookup(program: &Program, index: usize) -> Result<(), PlanError> {
    let Some(lookup) = program.lookups.get(index) else {
        return Ok(());
    };
    if lookup.axes.iter().any(|a| program.axes.get(a.0).is_none()) {
        return refuse(&lookup.name, "an unknown axis");
    }
    let columns = match lookup.table {
        TableId::Range(width) if (1..=program.range_bits).contains(&width) => Some(1),
        TableId::Range(_) => None,
        TableId::Table(table) => program.tables.get(table).map(|t| t.columns.len()),
    };
    if columns != Some(lookup.columns.len()) {
        return refuse(&lookup.name, "columns that no table has");
    }
    for term in lookup.columns.iter().flatten() {
        let [view] = term.factors.as_slice() else {
            if term.factors.is_empty() {
                continue;
            }
            return refuse(&lookup.name, "a product in a looked-up column");
        };
        check_view(program, &lookup.name, view, Some(&lookup.axes))?;
        let tensor = program.tensor(view.tensor);
        if tensor.place == Place::Public || is_one_hot(program, view.tensor) {
            return refuse(&lookup.name, "a public or virtual tensor in a looked-up column");
        }
    }
    if let Some(mask) = &lookup.mask {
        check_view(program, &lookup.name, mask, Some(&lookup.axes))?;
        let tensor = program.tensor(mask.tensor);
        let boolean = tensor.values.as_ref().is_some_and(|v| v.iter().all(|&x| x == 0 || x == 1));
        if tensor.place != Place::Public || !boolean {
            return refuse(&lookup.name, "a mask that is not a public 0/1 tensor");
        }
    }
    Ok(())
}
