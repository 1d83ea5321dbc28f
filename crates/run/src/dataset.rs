//! The rows of a run, their leaves, and the tree above them.

use crate::RunError;
use crate::order::{file_order, secret_order};
use rayon::prelude::*;
use std::sync::OnceLock;
use veritune_commit::rows::{HEADER_PART, Row, dataset_root, layers, leaf_elements, paths};
use veritune_commit::{Digest, Root, TreeHash, TreeHasher};
use veritune_field::F;
use veritune_field::traits::PrimeCharacteristicRing;
use veritune_relations::Spec;
use veritune_relations::spec::Visibility;
use veritune_relations::step::Leaf;
use veritune_verifier::published;
use zeroize::{Zeroize, Zeroizing};

/// Target of a position without label.
pub const NO_LABEL: i64 = -100;

/// Rows as arrays, in the order of the maker's files. Nothing prints them.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    /// `(rows, tokens)`, row-major.
    pub tokens: &'a [i64],
    /// `(rows, tokens)`, already shifted; [`NO_LABEL`] where there is none.
    pub targets: &'a [i64],
    /// SHA-256 of each row's meta data.
    pub meta: &'a [[u8; 32]],
}

/// The rows of a run in the order of their leaves, with what commits to them. Wiped when dropped; printing shows how many there are.
#[derive(Clone)]
pub struct Dataset {
    tokens_per_row: usize,
    tokens: Zeroizing<Vec<i64>>,
    targets: Zeroizing<Vec<i64>>,
    meta: Zeroizing<Vec<[u8; 32]>>,
    secret: Zeroizing<[u8; 32]>,
    /// Index in the files of every row.
    order: Zeroizing<Vec<u32>>,
    layers: OnceLock<Vec<Vec<Digest>>>,
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dataset").field("rows", &self.meta.len()).finish_non_exhaustive()
    }
}

impl Dataset {
    /// The rows of the spec's run; salts, and the order of the leaves if the spec hides it, are derived from `secret`.
    ///
    /// # Errors
    /// If the arrays are not the spec's rows, or an id is outside the vocabulary. The error names the place, not the id.
    pub fn new(spec: &Spec, rows: Rows<'_>, secret: impl Into<Zeroizing<[u8; 32]>>) -> Result<Self, RunError> {
        let (num_rows, tokens_per_row) = (spec.dataset_rows, spec.training.tokens);
        let Rows { tokens, targets, meta } = rows;
        let expected = num_rows * tokens_per_row;
        if tokens.len() != expected || targets.len() != expected || meta.len() != num_rows {
            return Err(RunError::Rows(format!(
                "expected {num_rows} rows of {tokens_per_row} tokens, got {} tokens, {} targets and the meta data of {}",
                tokens.len(),
                targets.len(),
                meta.len()
            )));
        }
        let vocab = spec.model.vocab as i64;
        let refuse = |i: usize, what: &str| {
            let (row, position) = (i / tokens_per_row + 1, i % tokens_per_row + 1);
            Err(RunError::Rows(format!("dataset row {row}, position {position}, counted from 1: {what}")))
        };
        for (i, (token, &target)) in tokens.iter().zip(targets).enumerate() {
            if !(0..vocab).contains(token) {
                return refuse(i, &format!("the token is not in 0..{vocab}"));
            }
            if target != NO_LABEL && !(0..vocab).contains(&target) {
                return refuse(i, &format!("the target is neither in 0..{vocab} nor {NO_LABEL}"));
            }
        }
        let secret = secret.into();
        let order = match spec.disclose.order {
            Visibility::Hidden => secret_order(&secret, num_rows),
            Visibility::Public => file_order(num_rows),
        };
        let ordered = |values: &[i64]| -> Zeroizing<Vec<i64>> {
            let row = |&row: &u32| &values[row as usize * tokens_per_row..][..tokens_per_row];
            // Room for all, so that no copy of a part is left behind.
            let mut ordered = Zeroizing::new(Vec::with_capacity(values.len()));
            order.iter().for_each(|i| ordered.extend_from_slice(row(i)));
            ordered
        };
        Ok(Self {
            tokens_per_row,
            tokens: ordered(tokens),
            targets: ordered(targets),
            meta: order.iter().map(|&row| meta[row as usize]).collect::<Vec<_>>().into(),
            secret,
            order,
            layers: OnceLock::new(),
        })
    }

    /// Where in the files these rows stand, each counted from 0: for whoever has the files.
    pub fn file_rows(&self, rows: &[usize]) -> Vec<usize> {
        rows.iter().map(|&row| self.order[row] as usize).collect()
    }

    /// Header of the row: salt, then digest of the meta data.
    fn header(&self, row: usize) -> [[F; HEADER_PART]; 2] {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(b"row salt");
        hasher.update(&(row as u64).to_le_bytes());
        let salt = Zeroizing::new(*hasher.finalize().as_bytes());
        hasher.zeroize();
        [&*salt, &self.meta[row]].map(|bytes| {
            let words = bytes.as_chunks::<8>().0;
            std::array::from_fn(|i| F::from_u64(u64::from_le_bytes(words[i])))
        })
    }

    /// Token, target (0 where there is none) and label flag of a position.
    fn position(&self, at: usize) -> [i64; 3] {
        [self.tokens[at], self.targets[at].max(0), i64::from(self.targets[at] != NO_LABEL)]
    }

    /// A row's content.
    pub fn row(&self, row: usize) -> Row {
        let [salt, meta] = self.header(row);
        let range = row * self.tokens_per_row..(row + 1) * self.tokens_per_row;
        Row { salt, meta, positions: range.map(|at| self.position(at).map(F::from_i64)).collect() }
    }

    fn layers(&self) -> &[Vec<Digest>] {
        self.layers.get_or_init(|| {
            let hasher = TreeHasher::new(TreeHash::Poseidon2);
            let rows: Vec<usize> = (0..self.meta.len()).collect();
            // Enough rows in one go to fill the lanes of a register.
            let leaves = rows.par_chunks(64).flat_map_iter(|rows| {
                let rows: Vec<Row> = rows.iter().map(|&row| self.row(row)).collect();
                hasher.rows(&rows)
            });
            layers(leaves.collect()).expect("digests are canonical")
        })
    }

    /// The dataset's root.
    pub fn root(&self) -> Root {
        let tree_root = self.layers().last().map_or([0; 32], |top| top[0]);
        dataset_root(self.tokens_per_row, self.meta.len(), &tree_root)
    }

    /// The leaves of rows.
    pub fn leaves(&self, rows: &[usize]) -> Vec<Leaf> {
        rows.iter().map(|&row| leaf_elements(&self.layers()[0][row]).expect("digests are canonical")).collect()
    }

    /// The bytes that show rows to be the dataset's: of each, its leaf, then its siblings from the leaf up.
    pub fn paths(&self, rows: &[usize]) -> Vec<u8> {
        paths(self.layers(), rows).expect("rows of the dataset")
    }

    /// The bytes of the file that publishes all rows.
    pub fn published(&self) -> Vec<u8> {
        (0..self.meta.len()).flat_map(|row| published::to_bytes(&self.row(row))).collect()
    }

    /// The values of an input of the step's program, over `rows`; none if the program has no such input.
    pub fn input(&self, name: &str, rows: &[usize]) -> Option<Vec<i64>> {
        let positions = || rows.iter().flat_map(|&row| row * self.tokens_per_row..(row + 1) * self.tokens_per_row);
        let column = |i: usize| Some(positions().map(|at| self.position(at)[i]).collect());
        match name {
            "batch.tokens" => column(0),
            "batch.targets" => column(1),
            "batch.supervised" => column(2),
            "batch.leaf.header" => {
                let elements = rows.iter().flat_map(|&row| self.header(row)).flatten();
                Some(elements.map(veritune_field::f_to_i64).collect())
            }
            _ => None,
        }
    }
}
