//! The slow, obvious reading of a program: every equation, lookup and range at every active index, in `i128`.
//!
//! Shares no code with the executor. Use it on small programs, and to say which check a false witness violates.

use std::collections::{HashMap, HashSet};

use veritune_relations::{AxisId, Expression, FIELD_ORDER, Index, Place, Program, TableId, TensorId, Term, View};

use crate::Tensors;

/// A check that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its stable id, see [`check_id`].
    pub id: String,
    /// Name of the equation or lookup; `range.<tensor>` for the declared range of a tensor.
    pub name: String,
    /// Index over its axes.
    pub index: Vec<usize>,
    /// What is not zero, is not in the table (first column), or is out of range.
    pub value: i128,
}

/// The stable id of the check of this name: `VT-STEP-` and the name, where the number of a batch row is left out.
///
/// A batched sumcheck cannot say which equation a false witness breaks; this slow reading can.
pub fn check_id(name: &str) -> String {
    let mut id = String::from("VT-STEP");
    for part in name.split(['.', '_']) {
        if !part.bytes().all(|b| b.is_ascii_digit()) {
            id.push('-');
            id.push_str(&part.to_ascii_uppercase());
        }
    }
    id
}

/// What a check of a program is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckKind {
    /// An equation is zero at every index.
    Equation,
    /// Every looked-up row is a row of its table.
    Lookup,
    /// Every entry of a tensor is in its range.
    Range,
}

/// The name and kind of every check of a program, in its order.
pub fn checks(program: &Program) -> Vec<(CheckKind, String)> {
    let equations = program.equations.iter().map(|e| (CheckKind::Equation, e.name.clone()));
    let lookups = program.lookups.iter().map(|l| (CheckKind::Lookup, l.name.clone()));
    let ranges = program.tensors.iter().enumerate().filter(|(i, _)| is_ranged(program, TensorId(*i)));
    let ranges = ranges.map(|(_, t)| (CheckKind::Range, format!("range.{}", t.name)));
    equations.chain(lookups).chain(ranges).collect()
}

/// Whether the range of a tensor is a check of its own.
fn is_ranged(program: &Program, id: TensorId) -> bool {
    let tensor = program.tensor(id);
    tensor.place == Place::Witness && !tensor.range_by_other && program.one_hot(id).is_none()
}

/// Everything that `tensors` violate, in the order of the program: equations, lookups, ranges.
///
/// Ranges are those of [`Place::Witness`] tensors that no other table or equation enforces.
///
/// Cost: every product of every term, one at a time; one-hot tensors are read as if they were stored.
///
/// # Panics
/// If a tensor that a check reads has no values.
pub fn check(program: &Program, tensors: &Tensors<i64>) -> Vec<Violation> {
    let reader = Reader { program, tensors };
    let mut violations = Vec::new();
    for equation in &program.equations {
        for index in indices(program, &equation.axes) {
            let value = if equation.modular {
                reader.congruence(&equation.axes, &index, &equation.terms)
            } else {
                reader.expression(&equation.axes, &index, &equation.terms)
            };
            if value != 0 {
                violations.push(violation(&equation.name, index, value));
            }
        }
    }
    for lookup in &program.lookups {
        let rows = match lookup.table {
            TableId::Range(_) => HashSet::new(),
            TableId::Table(t) => table_rows(&program.tables[t].columns),
        };
        for index in indices(program, &lookup.axes) {
            let at = bind(&lookup.axes, &index);
            if lookup.mask.as_ref().is_some_and(|mask| reader.value(mask, &at) == 0) {
                continue;
            }
            let row: Vec<i128> = lookup.columns.iter().map(|c| reader.expression(&lookup.axes, &index, c)).collect();
            let holds = match lookup.table {
                TableId::Range(width) => row.iter().all(|&x| x >= 0 && x < 1i128 << width),
                TableId::Table(_) => rows.contains(&row),
            };
            if !holds {
                violations.push(violation(&lookup.name, index, row[0]));
            }
        }
    }
    for (i, tensor) in program.tensors.iter().enumerate() {
        let id = TensorId(i);
        if !is_ranged(program, id) {
            continue;
        }
        for (index, &value) in indices(program, &tensor.axes).zip(tensors.get(id)) {
            if !tensor.range.contains(value) {
                violations.push(violation(&format!("range.{}", tensor.name), index, value.into()));
            }
        }
    }
    violations
}

fn violation(name: &str, index: Vec<usize>, value: i128) -> Violation {
    Violation { id: check_id(name), name: name.to_owned(), index, value }
}

fn table_rows(columns: &[Vec<i64>]) -> HashSet<Vec<i128>> {
    (0..columns[0].len()).map(|row| columns.iter().map(|c| i128::from(c[row])).collect()).collect()
}

/// Every index tuple over `axes`, row-major.
fn indices(program: &Program, axes: &[AxisId]) -> impl Iterator<Item = Vec<usize>> + use<> {
    let lens: Vec<usize> = axes.iter().map(|&a| program.axis(a).len).collect();
    (0..lens.iter().product()).map(move |mut position| {
        let mut index = vec![0; lens.len()];
        for (i, len) in index.iter_mut().zip(&lens).rev() {
            *i = position % len;
            position /= len;
        }
        index
    })
}

fn bind(axes: &[AxisId], index: &[usize]) -> HashMap<AxisId, usize> {
    axes.iter().copied().zip(index.iter().copied()).collect()
}

struct Reader<'a> {
    program: &'a Program,
    tensors: &'a Tensors<i64>,
}

impl Reader<'_> {
    fn expression(&self, axes: &[AxisId], index: &[usize], terms: &Expression) -> i128 {
        terms.iter().map(|term| self.term(axes, index, term)).sum()
    }

    /// The expression modulo the field order, as a residue.
    fn congruence(&self, axes: &[AxisId], index: &[usize], terms: &Expression) -> i128 {
        let order = FIELD_ORDER as i128;
        let multiply =
            |a: i128, b: i128| (a.rem_euclid(order) as u128 * b.rem_euclid(order) as u128 % FIELD_ORDER) as i128;
        let mut total = 0;
        for term in terms {
            for at in self.assignments(axes, index, term) {
                let product = term.factors.iter().map(|view| self.value(view, &at)).fold(1, multiply);
                total = (total + multiply(term.coefficient.into(), product)).rem_euclid(order);
            }
        }
        total
    }

    fn term(&self, axes: &[AxisId], index: &[usize], term: &Term) -> i128 {
        let product = |at: HashMap<AxisId, usize>| term.factors.iter().map(|v| self.value(v, &at)).product::<i128>();
        i128::from(term.coefficient) * self.assignments(axes, index, term).map(product).sum::<i128>()
    }

    /// Every assignment of the term's axes: the equation's at `index`, the others at every index.
    fn assignments(
        &self,
        axes: &[AxisId],
        index: &[usize],
        term: &Term,
    ) -> impl Iterator<Item = HashMap<AxisId, usize>> {
        let mut summed: Vec<AxisId> = Vec::new();
        for entry in term.factors.iter().flat_map(|view| &view.index) {
            if let Index::Axis(a) | Index::Shifted(a, _) = *entry
                && !axes.contains(&a)
                && !summed.contains(&a)
            {
                summed.push(a);
            }
        }
        let fixed = bind(axes, index);
        indices(self.program, &summed).map(move |inner| {
            let mut at = fixed.clone();
            at.extend(summed.iter().copied().zip(inner));
            at
        })
    }

    fn value(&self, view: &View, at: &HashMap<AxisId, usize>) -> i128 {
        let index: Vec<usize> = view
            .index
            .iter()
            .map(|entry| match *entry {
                Index::Axis(a) => at[&a],
                Index::Shifted(a, shift) => at[&a] + shift,
                Index::Fixed(i) => i,
            })
            .collect();
        let Some(one_hot) = self.program.one_hot(view.tensor) else {
            return self.stored(view.tensor, &index);
        };
        let (&value, outer) = index.split_last().expect("a one-hot has a value axis");
        let flag = one_hot.flag.map_or(1, |flag| self.stored(flag, outer));
        let num_bits = self.tensors.shape(one_hot.bits).last().copied().unwrap_or(0);
        // The product form that the relation multiplies out: it is the indicator when the bits are bits.
        let bit = |j: usize| self.stored(one_hot.bits, &[outer, &[j]].concat());
        (0..num_bits).fold(flag, |p, j| p * if value >> j & 1 == 1 { bit(j) } else { 1 - bit(j) })
    }

    fn stored(&self, id: TensorId, index: &[usize]) -> i128 {
        let position = index.iter().zip(self.tensors.shape(id)).fold(0, |p, (&i, &len)| p * len + i);
        i128::from(self.tensors.get(id)[position])
    }
}
