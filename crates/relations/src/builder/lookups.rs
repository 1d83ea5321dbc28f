//! Operations pinned by tables and one-hots: gathers, maximum, functions, normalisation.

use super::{Builder, Built, Make, Sum};
use crate::program::*;

impl Builder {
    /// Declares the bits of an index along `value_axis` for every index of `axes`; each bit is 0 or 1 by equation.
    pub fn index_bits(&mut self, name: &str, axes: &[AxisId], value_axis: AxisId) -> Built<TensorId> {
        let log = self.program.axis(value_axis).log_len().max(1);
        let bit_axis = self.axis(&format!("{name}.bit"), log);
        let mut bit_axes = axes.to_vec();
        bit_axes.push(bit_axis);
        let bits = self.witness_by_other(&Make { name, axes: &bit_axes, range: Range::unsigned(1), fraction_bits: 0 });
        self.boolean(&format!("{name}.boolean"), bits)?;
        Ok(bits)
    }

    /// The virtual one-hot of bits: `flag * [bits encode index]` along `value_axis`.
    pub fn one_hot(
        &mut self,
        name: &str,
        axes: &[AxisId],
        value_axis: AxisId,
        bits: TensorId,
        flag: Option<TensorId>,
    ) -> TensorId {
        let mut all = axes.to_vec();
        all.push(value_axis);
        let tensor = self.witness_by_other(&Make { name, axes: &all, range: Range::unsigned(1), fraction_bits: 0 });
        self.program.one_hots.push(OneHot { tensor, bits, flag });
        tensor
    }

    /// A new tensor that is the greatest value of a view along `over`, among the indices where `mask` is 1.
    ///
    /// Attained: a one-hot on an unmasked index picks it. That no value is greater is for the caller to show
    /// (by a lookup of `maximum - value` in a table that starts at 0).
    pub fn maximum(
        &mut self,
        make: &Make<'_>,
        axes: &[AxisId],
        over: AxisId,
        values: View,
        mask: Option<TensorId>,
    ) -> Built<TensorId> {
        let maximum = self.witness(make);
        let bits = self.index_bits(&format!("{}.argument", make.name), axes, over)?;
        let one_hot = self.one_hot(&format!("{}.one_hot", make.name), axes, over, bits, None);
        let one_hot_view = self.on(one_hot).view;
        let maximum_view = self.on(maximum).view;
        let attained = vec![
            Term { coefficient: 1, factors: vec![one_hot_view.clone(), values.clone()] },
            Term { coefficient: -1, factors: vec![maximum_view.clone()] },
        ];
        self.equation(&format!("{}.attained", make.name), axes, attained)?;
        let allowed = match mask {
            Some(mask) => mask,
            None => {
                let len = self.program.axis(over).len;
                let name = format!("{}.allowed", make.name);
                self.public(
                    &Make { name: &name, axes: &[over], range: Range::unsigned(1), fraction_bits: 0 },
                    vec![1; len],
                )
            }
        };
        let allowed_view = self.on(allowed).view;
        let on_allowed = vec![
            Term { coefficient: 1, factors: vec![one_hot_view, allowed_view.clone()] },
            Term { coefficient: -1, factors: Vec::new() },
        ];
        self.equation(&format!("{}.allowed", make.name), axes, on_allowed)?;
        let bits_view = self.on(bits).view;
        self.step(
            make.name,
            Operation::Maximum {
                axes: axes.to_vec(),
                over,
                values,
                mask: mask.map(|_| allowed_view),
                maximum: maximum_view,
                bits: bits_view,
            },
        );
        Ok(maximum)
    }

    /// New tensors that are the other columns of the table row whose first column is `input`.
    #[allow(clippy::too_many_arguments)]
    pub fn look(
        &mut self,
        name: &str,
        axes: &[AxisId],
        table: usize,
        input: Sum,
        mask: Option<View>,
        outputs: &[(Make<'_>, Function)],
    ) -> Vec<TensorId> {
        let mut columns = vec![input.terms.clone()];
        let mut tensors = Vec::new();
        for (make, _) in outputs {
            let id = self.witness_by_other(make);
            columns.push(vec![Term { coefficient: 1, factors: vec![self.on(id).view] }]);
            tensors.push(id);
        }
        self.lookup(name, TableId::Table(table), axes, columns, mask.clone());
        let out = tensors.iter().map(|&t| self.on(t).view).collect();
        self.step(
            name,
            Operation::Look {
                axes: axes.to_vec(),
                table,
                input: input.terms,
                mask,
                out,
                functions: outputs.iter().map(|(_, f)| *f).collect(),
                input_fraction_bits: input.fraction_bits,
                output_fraction_bits: outputs.first().map_or(0, |(m, _)| m.fraction_bits),
            },
        );
        tensors
    }

    /// `square`-scaled value for a square root with full relative precision.
    ///
    /// Finds `power = 2^e` with the greatest `e` such that `value * 4^e < 2^62`, proves `value * 4^e < 2^62` by
    /// the table's ceiling, and returns `(power, square)`. `value` is at least `least` by its construction, so
    /// that `value * 4^e >= 2^60` always: the table ends at the `e` where `least * 4^e` reaches it.
    pub fn normalise(
        &mut self,
        name: &str,
        axes: &[AxisId],
        value: Expression,
        least: u64,
    ) -> Built<(TensorId, TensorId)> {
        let log_least = least.max(1).ilog2();
        let greatest = 60u32.saturating_sub(log_least).div_ceil(2);
        let table_name = format!("normalise.{greatest}");
        let table = match self.program.tables.iter().position(|t| t.name == table_name) {
            Some(table) => table,
            None => {
                let rows = 0..=greatest;
                let columns = vec![
                    rows.clone().map(|e| 1i64 << e).collect(),
                    rows.clone().map(|e| 1i64 << (2 * e)).collect(),
                    rows.map(|e| ((1i64 << 62) - 1) >> (2 * e)).collect(),
                ];
                self.table(&table_name, columns)
            }
        };
        let names = ["power", "square", "ceiling"].map(|part| format!("{name}.{part}"));
        let bits = [greatest + 1, 2 * greatest + 1, 62];
        let parts: Vec<TensorId> = (0..3)
            .map(|i| {
                self.witness_by_other(&Make {
                    name: &names[i],
                    axes,
                    range: Range::unsigned(bits[i]),
                    fraction_bits: 0,
                })
            })
            .collect();
        let views: Vec<View> = parts.iter().map(|&t| self.on(t).view).collect();
        let columns = views.iter().map(|v| vec![Term { coefficient: 1, factors: vec![v.clone()] }]).collect();
        self.lookup(&format!("{name}.row"), TableId::Table(table), axes, columns, None);
        let slack_name = format!("{name}.slack");
        let slack = self.witness(&Make { name: &slack_name, axes, range: Range::unsigned(62), fraction_bits: 0 });
        let slack_view = self.on(slack).view;
        let mut terms = value.clone();
        terms.push(Term { coefficient: 1, factors: vec![slack_view.clone()] });
        terms.push(Term { coefficient: -1, factors: vec![views[2].clone()] });
        self.equation(&format!("{name}.ceiling"), axes, terms)?;
        self.step(
            name,
            Operation::Normalise {
                axes: axes.to_vec(),
                value,
                table,
                power: views[0].clone(),
                square: views[1].clone(),
                ceiling: views[2].clone(),
                slack: slack_view,
            },
        );
        Ok((parts[0], parts[1]))
    }

    /// New tensors that are a row of a table: the one with the greatest first column `c` such that `value * c <= limit`.
    ///
    /// The lookup says only that they are a row; which one is for the caller to show.
    pub fn octave(
        &mut self,
        name: &str,
        axes: &[AxisId],
        value: Expression,
        table: usize,
        limit: i64,
        outputs: &[Make<'_>],
    ) -> Vec<TensorId> {
        let tensors: Vec<TensorId> = outputs.iter().map(|make| self.witness_by_other(make)).collect();
        let out: Vec<View> = tensors.iter().map(|&t| self.on(t).view).collect();
        let columns = out.iter().map(|v| vec![Term { coefficient: 1, factors: vec![v.clone()] }]).collect();
        self.lookup(name, TableId::Table(table), axes, columns, None);
        self.step(name, Operation::Octave { axes: axes.to_vec(), value, table, limit, out });
        tensors
    }
}
