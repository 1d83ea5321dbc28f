//! Sorts the terms of all equations by what becomes of each axis at a random point.
//!
//! An axis that occurs in one factor only is bound at once, to `eq(rho, ·)` if the equation has it and to ones
//! if it is summed; an axis of two or more factors is a variable of the sumcheck; an axis of the equation that
//! no factor has multiplies the term by the sum of `eq(rho, i)` over active `i`.

use crate::check::PlanError;
use crate::eq::pow2;
use crate::plan::{check_view, is_one_hot, refuse};
use std::collections::BTreeMap;
use veritune_relations::{AxisId, Index, Place, Program, TensorId, Term, View};

/// What an axis of a tensor is weighed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Binding {
    /// 1 at one index.
    Fixed(usize),
    /// `eq(rho of the axis, i)` at `i + shift`, for active `i`.
    Eq(AxisId, usize),
    /// 1 at `i + shift`, for active `i`.
    Ones(AxisId, usize),
    /// `eq(variables, i)` at `i + shift`, for active `i`.
    Variables {
        /// The axis.
        axis: AxisId,
        /// What is added to its index.
        shift: usize,
        /// The first of its variables, as a round of the sumcheck.
        first_round: usize,
    },
}

/// A tensor with every axis bound: one evaluation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Factor {
    /// The tensor.
    pub tensor: TensorId,
    /// One entry per axis of the tensor.
    pub bindings: Vec<Binding>,
}

/// An axis that is summed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SumAxis {
    /// The axis.
    pub axis: AxisId,
    /// Whether the equation has it: then it is weighed with `eq(rho, ·)`.
    pub output: bool,
}

/// `coefficient * delta^(equation+1) * sum over variables of eq * product of factors`.
#[derive(Debug, Clone)]
pub struct ProductTerm {
    /// Position of the equation.
    pub equation: usize,
    /// Integer coefficient.
    pub coefficient: i64,
    /// Positions in [`crate::plan::Plan::factors`].
    pub factors: Vec<usize>,
    /// Axes summed over, outermost first.
    pub sum_axes: Vec<SumAxis>,
    /// Axes of the equation that no factor has.
    pub unused: Vec<AxisId>,
    /// Variables of the sum axes.
    pub num_variables: usize,
}

/// `coefficient * delta^(equation+1) * product of public factors * hidden factor`.
#[derive(Debug, Clone)]
pub struct LinearTerm {
    /// Position of the equation.
    pub equation: usize,
    /// Integer coefficient.
    pub coefficient: i64,
    /// The factor that is not public.
    pub hidden: Option<usize>,
    /// Public factors.
    pub public: Vec<usize>,
    /// Axes of the equation that no factor has.
    pub unused: Vec<AxisId>,
}

/// The terms of a program.
pub(crate) struct Sorted {
    pub factors: Vec<Factor>,
    pub products: Vec<ProductTerm>,
    pub linear: Vec<LinearTerm>,
}

fn axis_of(index: Index) -> Option<AxisId> {
    match index {
        Index::Axis(axis) | Index::Shifted(axis, _) => Some(axis),
        Index::Fixed(_) => None,
    }
}

fn has(view: &View, axis: AxisId) -> bool {
    view.index.iter().any(|&i| axis_of(i) == Some(axis))
}

/// Sorts all terms of `program`.
pub(crate) fn sort_terms(program: &Program) -> Result<Sorted, PlanError> {
    let mut pending = Vec::new();
    for (equation, e) in program.equations.iter().enumerate() {
        if e.axes.iter().any(|a| program.axes.get(a.0).is_none()) {
            return refuse(&e.name, "an unknown axis");
        }
        for term in &e.terms {
            if term.factors.len() > 3 {
                return refuse(&e.name, "a term of more than three factors");
            }
            for view in &term.factors {
                check_view(program, &e.name, view, None)?;
            }
            check_one_hot_pair(program, &e.name, term)?;
            let sum_axes = sum_axes(&e.axes, term);
            let num_variables = sum_axes.iter().map(|s| program.axis(s.axis).log_len()).sum::<usize>();
            pending.push((equation, term, sum_axes, num_variables));
        }
    }
    let num_rounds = pending.iter().map(|(_, _, _, n)| *n).max().unwrap_or(0);
    let mut sorted = Sorted { factors: Vec::new(), products: Vec::new(), linear: Vec::new() };
    let mut ids = BTreeMap::new();
    for (equation, term, sum_axes, num_variables) in pending {
        let Some(e) = program.equations.get(equation) else {
            continue;
        };
        let unused: Vec<AxisId> = e.axes.iter().copied().filter(|&a| !term.factors.iter().any(|v| has(v, a))).collect();
        let mut ids_of_term = Vec::new();
        for view in &term.factors {
            let factor = bind(program, &e.axes, &sum_axes, num_rounds.saturating_sub(num_variables), view);
            check_one_hot_factor(program, &e.name, &factor)?;
            let next = sorted.factors.len();
            let id = *ids.entry(factor.clone()).or_insert(next);
            if id == next {
                sorted.factors.push(factor);
            }
            ids_of_term.push((id, program.tensor(view.tensor).place == Place::Public));
        }
        let coefficient = term.coefficient;
        let hidden: Vec<usize> = ids_of_term.iter().filter(|(_, p)| !p).map(|(id, _)| *id).collect();
        let one_hot = |id: &usize| sorted.factors.get(*id).is_some_and(|f| is_one_hot(program, f.tensor));
        if sum_axes.is_empty() && hidden.len() <= 1 && !hidden.iter().any(one_hot) {
            let public = ids_of_term.iter().filter(|(_, p)| *p).map(|(id, _)| *id).collect();
            let hidden = hidden.first().copied();
            sorted.linear.push(LinearTerm { equation, coefficient, hidden, public, unused });
        } else {
            let factors = ids_of_term.iter().map(|(id, _)| *id).collect();
            sorted.products.push(ProductTerm { equation, coefficient, factors, sum_axes, unused, num_variables });
        }
    }
    Ok(sorted)
}

/// The axes of two or more factors, in the order of the factor that has most of them, then of the others.
fn sum_axes(output: &[AxisId], term: &Term) -> Vec<SumAxis> {
    let count = |axis: AxisId| term.factors.iter().filter(|v| has(v, axis)).count();
    let of_view = |view: &View| -> Vec<AxisId> {
        view.index.iter().filter_map(|&i| axis_of(i)).filter(|&a| count(a) >= 2).collect()
    };
    let mut lists: Vec<Vec<AxisId>> = term.factors.iter().map(of_view).collect();
    lists.sort_by_key(|list| std::cmp::Reverse(list.len()));
    let mut axes: Vec<SumAxis> = Vec::new();
    for axis in lists.into_iter().flatten() {
        if !axes.iter().any(|s| s.axis == axis) {
            axes.push(SumAxis { axis, output: output.contains(&axis) });
        }
    }
    axes
}

fn bind(program: &Program, output: &[AxisId], sum_axes: &[SumAxis], first: usize, view: &View) -> Factor {
    let bind_one = |&index: &Index| {
        let (axis, shift) = match index {
            Index::Fixed(at) => return Binding::Fixed(at),
            Index::Axis(axis) => (axis, 0),
            Index::Shifted(axis, shift) => (axis, shift),
        };
        let before = sum_axes.iter().take_while(|s| s.axis != axis);
        if sum_axes.iter().any(|s| s.axis == axis) {
            let first_round = before.map(|s| program.axis(s.axis).log_len()).sum::<usize>().saturating_add(first);
            Binding::Variables { axis, shift, first_round }
        } else if output.contains(&axis) {
            Binding::Eq(axis, shift)
        } else {
            Binding::Ones(axis, shift)
        }
    };
    Factor { tensor: view.tensor, bindings: view.index.iter().map(bind_one).collect() }
}

/// The value axis of a one-hot must be bound to a full multilinear point.
fn check_one_hot_factor(program: &Program, place: &str, factor: &Factor) -> Result<(), PlanError> {
    if !is_one_hot(program, factor.tensor) {
        return Ok(());
    }
    let own = program.tensor(factor.tensor).axes.last().map(|&a| program.axis(a));
    let Some((binding, own)) = factor.bindings.last().zip(own) else {
        return Ok(());
    };
    let full = match *binding {
        Binding::Fixed(_) => true,
        Binding::Ones(..) => false,
        Binding::Eq(axis, shift) => shift == 0 && program.axis(axis).len == own.len && own.len == pow2(own.log_len()),
        Binding::Variables { axis, shift, .. } => shift == 0 && program.axis(axis).len == own.len,
    };
    if full { Ok(()) } else { refuse(place, "a one-hot whose value axis is not bound to a point") }
}

/// A one-hot is not zero at inactive values, so another factor has to be.
fn check_one_hot_pair(program: &Program, place: &str, term: &Term) -> Result<(), PlanError> {
    for view in term.factors.iter().filter(|v| is_one_hot(program, v.tensor)) {
        let Some(axis) = view.index.last().and_then(|&i| axis_of(i)) else {
            continue;
        };
        let axis_is_full = program.axis(axis).len == pow2(program.axis(axis).log_len());
        let stored = |v: &&View| !is_one_hot(program, v.tensor) && has(v, axis);
        if !axis_is_full && !term.factors.iter().any(|v| stored(&v)) {
            return refuse(place, "a one-hot whose inactive values nothing else excludes");
        }
    }
    Ok(())
}
