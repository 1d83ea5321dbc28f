//! GGUF, versions 2 and 3, little-endian: one file that holds configuration and tensors.
//!
//! Reading order: [`header`] (metadata and tensor directory), [`config`] (the `llama.*` keys). Beyond the format's
//! own rules the tensors must lie one after the other in the order of the directory, as every known writer puts
//! them and llama.cpp demands: no byte of the data is shared, and none but padding is unused.
//!
//! Source: `docs/gguf.md` of the ggml project; `gguf.cpp` of llama.cpp for the limits.

mod config;
mod cursor;
mod header;

pub(crate) use config::read as read_config;
pub(crate) use header::Header;

/// In a GGUF file of the Llama family, rows `2i` and `2i + 1` of a head of query and key are a rotated pair; in a
/// Hugging Face checkpoint, rows `i` and `i + head_dim/2` are. Gives the rows in the latter order.
///
/// `values` are the whole heads `[heads·head_dim, row_len]`, row-major.
pub(crate) fn unpermute_rows(values: &[f32], head_dim: usize, row_len: usize) -> Vec<f32> {
    let mut rows = Vec::with_capacity(values.len());
    for head in values.chunks(head_dim.saturating_mul(row_len).max(1)) {
        for half in 0..2 {
            let row_pairs = head.chunks(row_len.saturating_mul(2).max(1));
            let picked = row_pairs.filter_map(|pair| pair.chunks(row_len.max(1)).nth(half));
            picked.for_each(|row| rows.extend_from_slice(row));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::unpermute_rows;

    #[test]
    fn unpermutation_undoes_the_writer() {
        // The writer: reshape(heads, 2, head_dim/2, row_len), swap axes 1 and 2.
        let (heads, head_dim, row_len) = (3, 8, 5);
        let original: Vec<f32> = (0..heads * head_dim * row_len).map(|i| i as f32).collect();
        let mut written = vec![0.0; original.len()];
        for head in 0..heads {
            for half in 0..2 {
                for pair in 0..head_dim / 2 {
                    let from = (head * head_dim + half * head_dim / 2 + pair) * row_len;
                    let to = (head * head_dim + pair * 2 + half) * row_len;
                    written[to..to + row_len].copy_from_slice(&original[from..from + row_len]);
                }
            }
        }
        assert_ne!(written, original);
        assert_eq!(unpermute_rows(&written, head_dim, row_len), original);
    }
}
