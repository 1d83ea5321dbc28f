//! Tokens and labels are the committed dataset's rows at the step's indices; the first residual is their embedding.
//!
//! Statement: for batch row j and position t, `sum 2^i token_bit_i = data.tokens[index_j, t]`, the same for
//! `data.targets` where `data.supervised` is 1, and both are below the vocabulary; the first residual is the embedding's row. Targets are stored
//! already shifted (the label of position t is the token at t+1); positions without label have `supervised` 0
//! and target 0. Padded positions come last, see no gradient (causal mask, no label) and need no other mask.

use super::{Built, RowIndices, StepBuilder};
use crate::builder::{Make, Sum};
use crate::program::{Index, Place, Range, TensorId, Term, View};

/// The step's rows.
pub(super) struct Batch {
    /// One-hot of the token, `(row, token, vocab)`.
    pub token: TensorId,
    /// One-hot of the target where there is a label, else zero, `(row, token, vocab)`.
    pub target: TensorId,
    /// 1 where there is a label, `(row, token)`.
    pub supervised: TensorId,
}

impl StepBuilder<'_> {
    /// Declares the dataset and ties the batch to it.
    pub(super) fn input(&mut self, rows: RowIndices<'_>) -> Built<Batch> {
        let a = self.axes;
        let vocab_bits = self.b.program.axis(a.vocab).log_len() as u32;
        let data_axes = [a.dataset_row, a.token];
        let mut data = |name: &str, bits: u32| {
            let make = Make { name, axes: &data_axes, range: Range::unsigned(bits), fraction_bits: 0 };
            self.b.tensor(Place::Dataset, &make)
        };
        let tokens = data("data.tokens", vocab_bits);
        let targets = data("data.targets", vocab_bits);
        let labelled = data("data.supervised", 1);

        let outer = [a.row, a.token];
        let token_bits = self.b.index_bits("batch.token_bits", &outer, a.vocab)?;
        let target_bits = self.b.index_bits("batch.target_bits", &outer, a.vocab)?;
        let make = Make { name: "batch.supervised", axes: &outer, range: Range::unsigned(1), fraction_bits: 0 };
        let supervised = self.b.tensor(Place::Witness, &make);
        for (j, &row) in rows.iter().enumerate() {
            let stored = |tensor| View { tensor, index: vec![Index::Fixed(row), Index::Axis(a.token)] };
            let batch_row = (a.row, Index::Fixed(j));
            let name = format!("batch.row_{j}");
            let bits = self.b.with(token_bits, &[batch_row]).view;
            self.b.bits_of(&format!("{name}.tokens"), &[a.token], bits, stored(tokens))?;
            let bits = self.b.with(target_bits, &[batch_row]).view;
            self.b.bits_of(&format!("{name}.targets"), &[a.token], bits, stored(targets))?;
            let out = self.b.with(supervised, &[batch_row]).view;
            let value = vec![Term { coefficient: 1, factors: vec![stored(labelled)] }];
            self.b.divide_by_constant(&format!("{name}.supervised"), &[a.token], value, 1, out)?;
        }
        let token = self.b.one_hot("batch.token", &outer, a.vocab, token_bits, None);
        let target = self.b.one_hot("batch.target", &outer, a.vocab, target_bits, Some(supervised));
        // Bits may encode an index beyond the vocabulary, where the one-hot is zero: no token, or a label of no entry.
        let ones = self.on(self.vocabulary_ones).view;
        let (token_view, target_view) = (self.on(token).view, self.on(target).view);
        let minus = |factors: Vec<View>| Term { coefficient: -1, factors };
        let sum = |one_hot: View| Term { coefficient: 1, factors: vec![one_hot, ones.clone()] };
        self.b.equation("batch.token.allowed", &outer, vec![sum(token_view), minus(Vec::new())])?;
        let flag = self.on(supervised).view;
        self.b.equation("batch.target.allowed", &outer, vec![sum(target_view), minus(vec![flag])])?;
        Ok(Batch { token, target, supervised })
    }

    /// Writes the first residual.
    pub(super) fn embed(&mut self, residual: TensorId, batch: &Batch) -> Built<()> {
        let a = self.axes;
        let sum = Sum::product(1, &[&self.on(batch.token), &self.on(self.base.embedding)]);
        let out = self.b.with(residual, &[(a.boundary, Index::Fixed(0))]);
        self.b.rescale_into("embedding", &[a.row, a.token, a.hidden], sum, out.view, out.fraction_bits)?;
        Ok(())
    }
}
