//! Ranges of expressions: what a look-up can read need not be committed to.
//!
//! Soundness: a looked-up expression is a field element that equals a row of the table, an integer. The bound of the
//! expression and the table's rows together stay below the field order, so it equals that row over the integers too.

use super::{Builder, Built, Make, Sum};
use crate::program::*;

/// Greatest limit that gets a table: the denominator of a decimal of four places.
const GREATEST_TABLE: i64 = 10_000;

impl Builder {
    /// Whether a look-up can read the expression: a sum of entries of committed tensors, each by itself. Entries of the
    /// base are left out: every look-up that reads them would be a claim to settle.
    pub(super) fn is_linear(&self, axes: &[AxisId], expression: &Expression) -> bool {
        expression.iter().all(|term| match term.factors.as_slice() {
            [] => true,
            [view] => {
                let own = |index: &Index| match index {
                    Index::Axis(axis) | Index::Shifted(axis, _) => axes.contains(axis),
                    Index::Fixed(_) => true,
                };
                let committed = !matches!(self.program.tensor(view.tensor).place, Place::Public | Place::Base);
                committed && self.program.one_hot(view.tensor).is_none() && view.index.iter().all(own)
            }
            _ => false,
        })
    }

    /// Shows that an expression is in a range. Of a linear one, all but its lowest limb is a new witness tensor,
    /// `<name>.upper`, and what that leaves of the expression is looked up; any other gets a tensor of its own.
    pub fn ranged(&mut self, name: &str, axes: &[AxisId], mut value: Expression, range: Range) -> Built<()> {
        if !self.is_linear(axes, &value) {
            let make = Make { name, axes, range, fraction_bits: 0 };
            return self.copy(&make, axes, Sum { terms: value, fraction_bits: 0 }).map(drop);
        }
        if range.min() != 0 {
            value.push(Term { coefficient: -range.min(), factors: Vec::new() });
        }
        let bound = self.bound(axes, &value).saturating_add(1 << range.bits);
        self.cannot_wrap(name, &value, bound)?;
        let limb = self.program.range_bits;
        let Some(upper_bits) = range.bits.checked_sub(limb).filter(|&bits| bits > 0) else {
            self.lookup(name, TableId::Range(range.bits), axes, vec![value], None);
            return Ok(());
        };
        let upper_name = format!("{name}.upper");
        let make = Make { name: &upper_name, axes, range: Range::unsigned(upper_bits), fraction_bits: 0 };
        let upper = self.witness(&make);
        let upper = self.on(upper).view;
        let base = 1i64 << limb;
        let split =
            Operation::Split { axes: axes.to_vec(), value: value.clone(), base, high: upper.clone(), low: None };
        self.step(name, split);
        value.push(Term { coefficient: -base, factors: vec![upper] });
        self.lookup(name, TableId::Range(limb), axes, vec![value], None);
        Ok(())
    }

    /// Shows that a linear expression is one of `0 .. limit`: by the range table, by a table of so many rows, or, where
    /// that would be long, by two ranges, its own and that of `limit - 1 - value`.
    pub(super) fn below(&mut self, name: &str, axes: &[AxisId], value: Expression, limit: i64) -> Built<()> {
        let bits = 64 - (limit as u64 - 1).leading_zeros();
        let power_of_two = limit.count_ones() == 1;
        if power_of_two || limit > GREATEST_TABLE {
            self.ranged(name, axes, value.clone(), Range::unsigned(bits))?;
            if !power_of_two {
                let mut slack = vec![Term { coefficient: limit - 1, factors: Vec::new() }];
                slack.extend(value.into_iter().map(|term| Term { coefficient: -term.coefficient, ..term }));
                self.ranged(&format!("{name}_slack"), axes, slack, Range::unsigned(bits))?;
            }
            return Ok(());
        }
        let bound = self.bound(axes, &value).saturating_add(limit.unsigned_abs().into());
        self.cannot_wrap(name, &value, bound)?;
        let table_name = format!("below.{limit}");
        let known = self.program.tables.iter().position(|t| t.name == table_name);
        let table = known.unwrap_or_else(|| self.table(&table_name, vec![(0..limit).collect()]));
        self.lookup(name, TableId::Table(table), axes, vec![value], None);
        Ok(())
    }
}
