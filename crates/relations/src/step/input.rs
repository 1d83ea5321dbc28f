//! Tokens and labels are those of the committed rows; the first residual is the embedding of the tokens.
//!
//! Statement: the leaf of batch row j is the Poseidon2 digest of its header (salt and digest of the meta data) and, for
//! every position t, of `(tokens[j, t], targets[j, t], supervised[j, t])`. `supervised` is a bit; `tokens`, and `targets`
//! where `supervised` is 1, are below the vocabulary; the first residual is the embedding's row. Targets are stored
//! already shifted (the label of position t is the token at t+1); positions without label have `supervised` 0 and
//! target 0. Padded positions come last, see no gradient (causal mask, no label) and need no other mask.
//!
//! That the leaves are those of the committed dataset at the step's indices is for the verifier to see in the tree.

use super::{Built, Leaf, StepBuilder};
use crate::builder::{Make, Sum};
use crate::poseidon2::RATE;
use crate::program::{Index, Place, Range, TensorId, Term, View};
use crate::sponge::Sponge;
use veritune_field::F;
use veritune_field::sponge::ROW_TAG;
use veritune_field::traits::PrimeCharacteristicRing;

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
    /// Declares the batch and ties it to the leaves of its rows.
    pub(super) fn input(&mut self, leaves: &[Leaf]) -> Built<Batch> {
        let a = self.axes;
        let outer = [a.row, a.token];
        let vocab_bits = self.b.program.axis(a.vocab).log_len() as u32;
        let mut indices = |name: &str, bits_name: &str| -> Built<(TensorId, TensorId)> {
            let make = Make { name, axes: &outer, range: Range::unsigned(vocab_bits), fraction_bits: 0 };
            let values = self.b.witness_by_other(&make);
            let bits = self.b.index_bits(bits_name, &outer, a.vocab)?;
            let views = [bits, values].map(|tensor| self.b.on(tensor).view);
            let [bit_view, value] = views;
            self.b.bits_of(&format!("{name}.bits"), &outer, bit_view, value)?;
            Ok((values, bits))
        };
        let (tokens, token_bits) = indices("batch.tokens", "batch.token_bits")?;
        let (targets, target_bits) = indices("batch.targets", "batch.target_bits")?;
        let make = Make { name: "batch.supervised", axes: &outer, range: Range::unsigned(1), fraction_bits: 0 };
        let supervised = self.b.tensor(Place::Witness, &make);
        let elements = RATE * (1 + self.spec.training.tokens);
        self.b.sponge(&Sponge {
            name: "batch.leaf",
            row: a.row,
            position: a.token,
            capacity: [F::from_u64(ROW_TAG), F::from_usize(elements), F::ZERO, F::ZERO],
            messages: &[tokens, targets, supervised],
            digests: leaves,
        });
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
