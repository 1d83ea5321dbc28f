//! What a certificate shows and keeps back, as its spec says: signed with the claims, and compared with this.

use veritune_envelope::Digest;
use veritune_envelope::statement::{Disclosure, Visibility};
use veritune_relations::spec::{Disclose, Visibility as Choice};

/// What everybody learns of every run, whatever its maker chooses.
pub const BY_NATURE: &[&str] = &[
    "the numbers of steps and rows, the bucket of lengths, and the recipe",
    "all shapes, widths and scales of the spec; scales that a calibration gave are functions of the greatest values that it saw on the rows",
];
/// What the public sampler shows where neither the rows nor their order are disclosed.
const LEAVES_OF_HIDDEN_ROWS: &str = "which leaf of the dataset each step trains on, and so that two steps train on the same row, though not which row it is";
/// The same where either is.
const LEAVES: &str = "which leaf of the dataset each step trains on, and so that two steps train on the same row";
/// What everybody learns besides of a run whose losses are public.
pub const BY_LOSS: &str =
    "whether a guess of the rows of step 1 is right, by its loss, then of those of step 2, and so on";
/// What everybody learns besides of a run whose adapter is public.
pub const BY_RELEASE: &str = "the released adapter, and what it reveals of its data";

const fn visibility(choice: Choice) -> Visibility {
    match choice {
        Choice::Hidden => Visibility::Hidden,
        Choice::Public => Visibility::Public,
    }
}

/// The list of a run whose file of rows, if there is one, has this digest.
pub fn disclosure(disclose: &Disclose, rows: Option<Digest>) -> Disclosure {
    let hidden = disclose.order == Choice::Hidden && disclose.data == Choice::Hidden;
    let leaves = if hidden { LEAVES_OF_HIDDEN_ROWS } else { LEAVES };
    let by_loss = (disclose.loss == Choice::Public).then_some(BY_LOSS);
    let by_release = (disclose.adapter == Choice::Public).then_some(BY_RELEASE);
    Disclosure {
        base: Visibility::Public,
        loss: visibility(disclose.loss),
        order: visibility(disclose.order),
        data: visibility(disclose.data),
        adapter: visibility(disclose.adapter),
        rows_sha256: rows,
        by_nature: BY_NATURE
            .iter()
            .copied()
            .chain([leaves])
            .chain(by_loss)
            .chain(by_release)
            .map(str::to_owned)
            .collect(),
    }
}

/// What a policy may want disclosed, and whether it is.
pub fn demandable(disclosure: &Disclosure) -> [(&'static str, bool); 4] {
    let Disclosure { loss, order, data, adapter, .. } = disclosure;
    [("loss", loss), ("order", order), ("data", data), ("adapter", adapter)]
        .map(|(name, visibility)| (name, *visibility == Visibility::Public))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Choice::{Hidden, Public};

    #[test]
    fn a_row_is_not_known_where_neither_order_nor_rows_are_disclosed() {
        for (order, data) in [(Hidden, Hidden), (Hidden, Public), (Public, Hidden), (Public, Public)] {
            let list = disclosure(&Disclose { order, data, ..Disclose::default() }, None).by_nature;
            let has = |text: &str| list.iter().any(|item| item == text);
            let hidden = (order, data) == (Hidden, Hidden);
            assert_eq!((has(LEAVES_OF_HIDDEN_ROWS), has(LEAVES)), (hidden, !hidden));
        }
    }

    #[test]
    fn what_losses_tell_is_listed_where_they_are_public() {
        for loss in [Hidden, Public] {
            let list = disclosure(&Disclose { loss, ..Disclose::default() }, None).by_nature;
            assert_eq!(list.iter().any(|item| item == BY_LOSS), loss == Public);
        }
    }
}
