//! GGUF files made by hand: what is read, and what is refused with which code and name.

mod fixture;

use fixture::{Gguf, config, values};
use veritune_model::{Architecture, Checkpoint, ModelConfig, ModelError, Weight};

fn tiny() -> (ModelConfig, Gguf) {
    let config = config(Architecture::Llama, true);
    let gguf = Gguf::of(&config);
    (config, gguf)
}

fn open(bytes: &[u8]) -> Result<Checkpoint, ModelError> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("tiny.gguf"), bytes).unwrap();
    Checkpoint::open(directory.path())
}

/// The refusal of `bytes`: its code and text.
fn refusal(bytes: &[u8]) -> (&'static str, String) {
    let error = open(bytes).unwrap_err();
    (error.code(), error.to_string())
}

fn assert_refused(bytes: &[u8], code: &str, part: &str) {
    let (got, text) = refusal(bytes);
    assert!(got == code && text.contains(part), "{got}: {text}");
}

#[test]
fn a_file_gives_its_config_and_its_values_unpermuted() {
    for (version, tied) in [(2, true), (3, true), (3, false)] {
        let config = config(Architecture::Llama, tied);
        let mut gguf = Gguf::of(&config);
        gguf.version = version;
        let checkpoint = open(&gguf.bytes()).unwrap();
        assert_eq!(checkpoint.config(), &config);
        for weight in Weight::present(&config) {
            for layer in 0..weight.num_layers(&config) {
                assert_eq!(checkpoint.values(weight, layer).unwrap(), values(&config, weight, layer), "{weight:?}");
            }
        }
    }
}

#[test]
fn quantised_tensors_and_another_alignment() {
    let (config, mut gguf) = tiny();
    gguf.alignment = 64;
    gguf.u32("general.alignment", 64);
    // An array of strings and one of numbers are skipped.
    let two_strings = [&8u32.to_le_bytes()[..], &2u64.to_le_bytes(), &1u64.to_le_bytes(), b"a", &0u64.to_le_bytes()];
    gguf.put("tokenizer.ggml.merges", 9, two_strings.concat());
    gguf.put("general.numbers", 9, [&5u32.to_le_bytes()[..], &1u64.to_le_bytes(), &[0; 4]].concat());
    let gate = gguf.tensors.iter_mut().find(|(name, ..)| name == "blk.1.ffn_gate.weight").unwrap();
    // 64 rows of one block: d = 1, m = 2, every nibble 3.
    gate.2 = 3;
    gate.3 = [&[0x00, 0x3c, 0x00, 0x40][..], &[0x33; 16]].concat().repeat(64);
    let checkpoint = open(&gguf.bytes()).unwrap();
    assert_eq!(checkpoint.values(Weight::Gate, 1).unwrap(), vec![5.0; 64 * 32]);
    assert_eq!(checkpoint.values(Weight::Down, 1).unwrap(), values(&config, Weight::Down, 1));
    let record = checkpoint.inventory().tensors.into_iter().find(|t| t.name == "blk.1.ffn_gate.weight").unwrap();
    assert_eq!((record.dtype.as_str(), record.shape, record.num_bytes), ("Q4_1", vec![64, 32], 64 * 20));
}

#[test]
fn every_truncation_is_refused() {
    let (_, gguf) = tiny();
    let bytes = gguf.bytes();
    let header = bytes.len() - gguf.tensors.iter().map(|tensor| tensor.3.len()).sum::<usize>();
    for len in (0..header).chain([header + 1, bytes.len() / 2, bytes.len() - 1]) {
        let (code, text) = refusal(&bytes[..len]);
        assert_eq!(code, "VT-MODEL-004", "{len}: {text}");
    }
    assert_refused(&[bytes, vec![0; 32]].concat(), "VT-MODEL-004", "end of the file");
}

#[test]
fn changed_bytes_never_panic() {
    let (_, gguf) = tiny();
    let bytes = gguf.bytes();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tiny.gguf");
    // Every byte of the first keys, then a sample that reaches the whole directory.
    for position in (0..400).chain((400..bytes.len().min(4000)).step_by(7)) {
        let mut changed = bytes.clone();
        changed[position] ^= [0x01, 0x80, 0xff][position % 3];
        std::fs::write(&path, &changed).unwrap();
        if let Ok(checkpoint) = Checkpoint::open(directory.path()) {
            let _ = checkpoint.values(Weight::Query, 0);
        }
    }
}

#[test]
fn huge_counts_and_lengths_are_refused_without_reserving_memory() {
    let (_, gguf) = tiny();
    for (at, part) in [(8, "at most 65536"), (16, "at most 65536"), (24, "a string of at most")] {
        for huge in [u64::MAX, 1 << 62, 1 << 33] {
            let mut bytes = gguf.bytes();
            bytes[at..at + 8].copy_from_slice(&huge.to_le_bytes());
            let (code, text) = refusal(&bytes);
            assert!(code == "VT-MODEL-004" && text.contains(part), "{at}: {code} {text}");
        }
    }
    for element in [0u32, 5, 8, 12] {
        let mut gguf = gguf.clone();
        gguf.put("general.many", 9, [&element.to_le_bytes()[..], &u64::MAX.to_le_bytes()].concat());
        assert_refused(&gguf.bytes(), "VT-MODEL-004", "more bytes");
    }
    let mut nested = gguf.clone();
    nested.put("general.nested", 9, [&9u32.to_le_bytes()[..], &1u64.to_le_bytes()].concat());
    assert_refused(&nested.bytes(), "VT-MODEL-004", "an array of numbers, booleans or strings");
    let mut axes = gguf.clone();
    axes.tensors[0].1 = vec![1 << 40, 1 << 40];
    assert_refused(&axes.bytes(), "VT-MODEL-012", "token_embd.weight");
    axes.tensors[0].1 = vec![1 << 60];
    assert_refused(&axes.bytes(), "VT-MODEL-004", "at offset");
    axes.tensors[0].1 = vec![1; 5];
    assert_refused(&axes.bytes(), "VT-MODEL-004", "1 to 4 axes");
    axes.tensors[0].1 = vec![0, 6];
    assert_refused(&axes.bytes(), "VT-MODEL-004", "a positive axis");
}

#[test]
fn tensors_that_overlap_leave_gaps_or_are_not_aligned_are_refused() {
    let (_, gguf) = tiny();
    for bent in [0u64, 32, 767, 769, 800, u64::MAX] {
        let bytes = gguf.bytes_at(|index, offset| if index == 1 { bent } else { offset });
        assert_refused(&bytes, "VT-MODEL-004", "at offset 768");
    }
    for alignment in [0, 1, 4, 33, 1 << 17] {
        let mut gguf = gguf.clone();
        gguf.u32("general.alignment", alignment);
        assert_refused(&gguf.bytes(), "VT-MODEL-004", "general.alignment");
    }
    let mut text = gguf.clone();
    text.text("general.alignment", "32");
    assert_refused(&text.bytes(), "VT-MODEL-004", "general.alignment");
    // Another alignment than the bytes have.
    let mut other = gguf.clone();
    other.u32("general.alignment", 4096);
    assert_refused(&other.bytes(), "VT-MODEL-004", "at offset");
}

#[test]
fn the_format_itself() {
    let (_, gguf) = tiny();
    let mut magic = gguf.bytes();
    magic[0] = b'g';
    assert_refused(&magic, "VT-MODEL-004", "the magic GGUF");
    for version in [0, 1, 4, 3u32.swap_bytes()] {
        let mut gguf = gguf.clone();
        gguf.version = version;
        assert_refused(&gguf.bytes(), "VT-MODEL-004", "version 2 or 3");
    }
    for (kind, bytes, part) in
        [(13, vec![], "a value type"), (7, vec![2], "a boolean"), (8, vec![1, 0, 0, 0, 0, 0, 0, 0, 0xff], "UTF-8")]
    {
        let mut gguf = gguf.clone();
        gguf.put("general.odd", kind, bytes);
        assert_refused(&gguf.bytes(), "VT-MODEL-004", part);
    }
    let mut twice = gguf.clone();
    twice.metadata.push(twice.metadata[0].clone());
    assert_refused(&twice.bytes(), "VT-MODEL-004", "a key that is not there yet");
}

#[test]
fn tensors_are_refused_by_name() {
    let (_, gguf) = tiny();
    let bend = |change: &dyn Fn(&mut Gguf)| {
        let mut gguf = gguf.clone();
        change(&mut gguf);
        gguf.bytes()
    };
    let at = gguf.tensors.iter().position(|(name, ..)| name == "blk.1.attn_k.weight").unwrap();
    assert_refused(&bend(&|g| drop(g.tensors.remove(at))), "VT-MODEL-008", "blk.1.attn_k.weight");
    assert_refused(&bend(&|g| g.tensors[at].0 = "blk.2.attn_k.weight".into()), "VT-MODEL-008", "blk.1.attn_k");
    assert_refused(&bend(&|g| g.tensors.push(g.tensors[at].clone())), "VT-MODEL-009", "blk.1.attn_k.weight");
    let extra = ("rope_freqs.weight".to_owned(), vec![4], 0, vec![0; 16]);
    assert_refused(&bend(&|g| g.tensors.push(extra.clone())), "VT-MODEL-009", "rope_freqs.weight");
    assert_refused(&bend(&|g| g.tensors[at].1 = vec![16, 32]), "VT-MODEL-011", "blk.1.attn_k.weight");
    assert_refused(&bend(&|g| g.tensors[at].2 = 14), "VT-MODEL-012", "GGML type 14");
    let odd = |g: &mut Gguf| (g.tensors[at].1, g.tensors[at].2) = (vec![16, 32], 3);
    assert_refused(&bend(&odd), "VT-MODEL-012", "whole blocks of 32");
    let long = |g: &mut Gguf| g.tensors[at].0 = "x".repeat(65);
    assert_refused(&bend(&long), "VT-MODEL-004", "at most 64 bytes");
}

#[test]
fn a_value_that_is_not_finite_is_refused_with_its_index() {
    let (_, mut gguf) = tiny();
    let at = gguf.tensors.iter().position(|(name, ..)| name == "blk.0.attn_q.weight").unwrap();
    gguf.tensors[at].3[4 * 70..4 * 71].copy_from_slice(&f32::NAN.to_le_bytes());
    let error = open(&gguf.bytes()).unwrap().values(Weight::Query, 0).unwrap_err();
    let expected = ModelError::NotFinite { name: "blk.0.attn_q.weight".into(), index: 70, value: "NaN".into() };
    assert_eq!(error, expected);
}

#[test]
fn every_value_that_is_not_finite_is_refused_in_every_element_type() {
    let (_, gguf) = tiny();
    let at = gguf.tensors.iter().position(|(name, ..)| name == "blk.0.attn_v.weight").unwrap();
    let elements = gguf.tensors[at].3.len() / 4;
    let f16 = [(0x7e00u16, "NaN"), (0x7c00, "inf"), (0xfc00, "-inf")].map(|(b, w)| (b.to_le_bytes().to_vec(), w));
    let f32s = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].map(|x| x.to_le_bytes().to_vec());
    let f32s = f32s.into_iter().zip(["NaN", "inf", "-inf"]);
    // GGML's number of the type, bytes of a block, elements of a block, where the bent scale lies in it.
    let cases = f32s.map(|bent| (0, 4, 1, 0, bent)).chain(
        [(1, 2, 1, 0), (2, 18, 32, 0), (3, 20, 32, 0), (3, 20, 32, 2), (8, 34, 32, 0)]
            .into_iter()
            .flat_map(|(kind, bytes, len, place)| f16.clone().map(|bent| (kind, bytes, len, place, bent))),
    );
    for (kind, block_bytes, block_len, place, (bent, word)) in cases {
        let mut gguf = gguf.clone();
        // Quants of 1 (15 in nibbles), so that a bent scale is not multiplied by zero; the other scale is 0.
        let mut block = vec![0xff; block_bytes];
        if block_len > 1 {
            block[..if kind == 3 { 4 } else { 2 }].fill(0);
            if kind == 8 {
                block[2..].fill(1);
            }
        } else {
            block.fill(0);
        }
        let mut bytes = block.repeat(elements / block_len);
        bytes[block_bytes + place..][..bent.len()].copy_from_slice(&bent);
        (gguf.tensors[at].2, gguf.tensors[at].3) = (kind, bytes);
        let error = open(&gguf.bytes()).unwrap().values(Weight::Value, 0).unwrap_err();
        let name = "blk.0.attn_v.weight".to_owned();
        assert_eq!(error, ModelError::NotFinite { name, index: block_len, value: word.into() }, "type {kind}");
    }
}

#[test]
fn keys_are_refused_by_name() {
    let (_, gguf) = tiny();
    for key in ["llama.block_count", "llama.rope.freq_base", "llama.embedding_length", "general.architecture"] {
        let mut gguf = gguf.clone();
        gguf.remove(key);
        assert_refused(&gguf.bytes(), "VT-MODEL-007", key);
    }
    for (key, value) in [
        ("general.architecture", "qwen3"),
        ("general.type", "adapter"),
        ("llama.rope.scaling.type", "yarn"),
        ("llama.embedding_length", "32"),
        ("llama.rope.freq_base", "10000"),
    ] {
        let mut gguf = gguf.clone();
        gguf.text(key, value);
        assert_refused(&gguf.bytes(), "VT-MODEL-005", key);
    }
    for (key, value) in [
        ("llama.expert_count", 8),
        ("llama.attention.sliding_window", 128),
        ("llama.rope.dimension_count", 4),
        ("llama.attention.value_length", 4),
        ("llama.attention.head_count", 0),
        ("llama.attention.head_count_kv", 3),
        ("llama.block_count", 1 << 20),
        ("split.count", 2),
    ] {
        let mut gguf = gguf.clone();
        gguf.u32(key, value);
        if key == "llama.attention.head_count" {
            gguf.u32("llama.attention.key_length", 8);
        }
        assert_refused(&gguf.bytes(), "VT-MODEL-005", key);
    }
    let mut unknown = gguf.clone();
    unknown.f32("llama.logit_scale", 2.0);
    assert_refused(&unknown.bytes(), "VT-MODEL-006", "llama.logit_scale");
    let mut tokens = gguf.clone();
    tokens.put("tokenizer.ggml.tokens", 9, [&0u32.to_le_bytes()[..], &5u64.to_le_bytes(), &[0; 5]].concat());
    assert_refused(&tokens.bytes(), "VT-MODEL-005", "llama.vocab_size");
    for bad in [f32::NAN, 0.0, -1.0, f32::INFINITY] {
        let mut gguf = gguf.clone();
        gguf.f32("llama.rope.freq_base", bad);
        assert_refused(&gguf.bytes(), "VT-MODEL-005", "llama.rope.freq_base");
    }
}
