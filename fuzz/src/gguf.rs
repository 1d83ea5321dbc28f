//! A checkpoint in one GGUF file.

use crate::checkpoint::written::Gguf;
use crate::checkpoint::{open, smallest};
use crate::scratch::Scratch;
use std::sync::LazyLock;
use veritune_model::Architecture;

static FOLDER: LazyLock<Scratch> = LazyLock::new(Scratch::new);

/// Writes and opens the file.
pub fn run(bytes: &[u8]) {
    FOLDER.write("model.gguf", bytes);
    open(FOLDER.path());
}

/// Honest inputs.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut gguf = Gguf { alignment: 8, ..Gguf::of(&smallest(Architecture::Llama)) };
    let plain = gguf.bytes();
    gguf.put("general.alignment", 4, 8_u32.to_le_bytes().to_vec());
    let two_tokens = [8_u32.to_le_bytes().to_vec(), 2_u64.to_le_bytes().to_vec(), vec![0; 16]].concat();
    gguf.put("tokenizer.ggml.tokens", 9, two_tokens);
    vec![plain, gguf.bytes()]
}
