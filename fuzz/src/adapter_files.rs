//! The adapter's two files. A file that is read is the one encoding of the integers that were read; one text is the
//! configuration.

use crate::bytes::Input;
use std::sync::LazyLock;
use veritune_envelope::adapter_file::{
    AdapterConfig, Factor, Module, Tensor, TensorLayout, decode, encode, num_bytes, tensor_name,
};

static LAYOUTS: LazyLock<Vec<TensorLayout>> = LazyLock::new(|| {
    let layout = |factor, shape: [u64; 2], fraction_bits| TensorLayout {
        name: tensor_name(0, Module::Q, factor),
        shape: shape.to_vec(),
        fraction_bits,
    };
    vec![layout(Factor::A, [1, 3], 16), layout(Factor::B, [2, 1], 18)]
});

static CONFIG: LazyLock<AdapterConfig> = LazyLock::new(|| AdapterConfig {
    base_model_name_or_path: "veritune-base-00".to_owned(),
    r: 1,
    lora_alpha: 2,
    use_rslora: false,
    target_modules: [Module::Q].into(),
});

static CONFIG_FILE: LazyLock<Vec<u8>> = LazyLock::new(|| CONFIG.to_bytes().expect("a configuration"));

/// Reads the bytes after the first as what the first says.
pub fn run(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 3 {
        0 => {
            let read = decode(bytes, &LAYOUTS);
            if let Ok(tensors) = &read {
                assert_eq!(encode(tensors).as_deref(), Ok(bytes));
            }
            assert_eq!(read.is_ok_and(|tensors| tensors == honest()), encode(&honest()).as_deref() == Ok(bytes));
        }
        1 => assert_eq!(CONFIG.check(bytes).is_ok(), bytes == *CONFIG_FILE),
        _ => described(&mut Input::new(bytes)),
    }
}

/// Layouts of the input's own, and a file for them.
fn described(input: &mut Input<'_>) {
    let layouts: Vec<TensorLayout> = (0..input.byte() % 4)
        .map(|_| TensorLayout {
            name: String::from_utf8_lossy(input.section()).into_owned(),
            shape: (0..input.byte() % 4).map(|_| u64::from_le_bytes(input.array())).collect(),
            fraction_bits: u32::from(input.byte()),
        })
        .collect();
    let file = input.rest();
    let len = num_bytes(&layouts);
    if let Ok(tensors) = decode(file, &layouts) {
        assert_eq!(len, Ok(file.len() as u64));
        assert_eq!(encode(&tensors).as_deref(), Ok(file));
    }
}

fn honest() -> Vec<Tensor> {
    let values = [vec![1, -2, 0], vec![(1 << 24) - 1, -5]];
    LAYOUTS.iter().zip(values).map(|(layout, values)| Tensor { layout: layout.clone(), values }).collect()
}

/// Honest inputs.
pub fn seeds() -> Vec<Vec<u8>> {
    let file = encode(&honest()).expect("a file");
    let mut described = vec![2, 2];
    for layout in &*LAYOUTS {
        let len = u16::try_from(layout.name.len()).expect("a short name");
        described.extend_from_slice(&len.to_le_bytes());
        described.extend_from_slice(layout.name.as_bytes());
        described.push(2);
        described.extend(layout.shape.iter().flat_map(|extent| extent.to_le_bytes()));
        described.push(u8::try_from(layout.fraction_bits).expect("a small scale"));
    }
    described.extend_from_slice(&file);
    vec![[&[0], &file[..]].concat(), [&[1], &CONFIG_FILE[..]].concat(), described]
}
