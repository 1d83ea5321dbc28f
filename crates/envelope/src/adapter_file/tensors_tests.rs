use super::super::names::{Factor, Module, tensor_name};
use super::*;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};
use std::collections::HashMap;

fn example() -> Vec<Tensor> {
    let tensor = |layer, factor, shape: [u64; 2], fraction_bits, values: &[i64]| Tensor {
        layout: TensorLayout { name: tensor_name(layer, Module::Q, factor), shape: shape.to_vec(), fraction_bits },
        values: values.to_vec(),
    };
    vec![
        tensor(2, Factor::B, [3, 2], 18, &[1, 0, -3, 8_388_607, -8_388_608, 16_777_215]),
        tensor(2, Factor::A, [2, 2], 16, &[0, -1, 65_536, 7]),
        tensor(10, Factor::A, [2, 2], 16, &[5, 6, 7, 8]),
    ]
}

fn layouts() -> Vec<TensorLayout> {
    example().into_iter().map(|tensor| tensor.layout).collect()
}

/// The library that PEFT writes with gives the same bytes, and reads ours.
#[test]
fn bytes_of_the_safetensors_library() {
    let data: Vec<(String, Vec<usize>, Vec<u8>)> = example()
        .into_iter()
        .map(|tensor| {
            let scale = 2f32.powi(-(tensor.layout.fraction_bits as i32));
            let floats = tensor.values.iter().map(|value| *value as f32 * scale);
            let bytes = floats.flat_map(f32::to_le_bytes).collect();
            let shape = tensor.layout.shape.iter().map(|extent| *extent as usize).collect();
            (tensor.layout.name, shape, bytes)
        })
        .collect();
    let views =
        data.iter().map(|(name, shape, bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let theirs = serialize(views, Some(metadata)).unwrap();
    let ours = encode(&example()).unwrap();
    assert_eq!(ours, theirs);
    assert_eq!(SafeTensors::deserialize(&ours).unwrap().len(), 3);
}

#[test]
fn round_trip_in_any_order() {
    let bytes = encode(&example()).unwrap();
    assert_eq!(decode(&bytes, &layouts()).unwrap(), example());
    let mut reversed = example();
    reversed.reverse();
    assert_eq!(encode(&reversed).unwrap(), bytes);
}

/// Every byte of the file changed: the header's are named, others are no integer or other integers.
#[test]
fn every_changed_byte_is_seen() {
    let bytes = encode(&example()).unwrap();
    let data_start = bytes.len() - 14 * ELEMENT_BYTES;
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x40;
        match decode(&changed, &layouts()) {
            Err(refusal) if at < data_start => {
                assert_eq!(refusal.code(), ADAPTER_HEADER);
                assert_eq!(refusal.location(), format!("header byte {at}"));
            }
            Err(refusal) => assert_eq!(refusal.code(), ADAPTER_FLOAT),
            Ok(tensors) => {
                assert!(at >= data_start && tensors != example(), "byte {at}");
                assert_eq!(encode(&tensors).unwrap(), changed);
            }
        }
    }
}

#[test]
fn lengths() {
    let bytes = encode(&example()).unwrap();
    assert_eq!(num_bytes(&layouts()).unwrap(), bytes.len() as u64);
    for end in 0..bytes.len() {
        let refusal = decode(&bytes[..end], &layouts()).unwrap_err();
        assert!([ADAPTER_HEADER, ADAPTER_LENGTH].contains(&refusal.code()));
    }
    let mut long = bytes.clone();
    long.push(0);
    assert_eq!(decode(&long, &layouts()).unwrap_err().code(), ADAPTER_LENGTH);
}

/// One special float at a time, in place of the zero at `lora_B[0, 1]` of the last tensor.
#[test]
fn special_floats() {
    let bytes = encode(&example()).unwrap();
    let at = bytes.len() - 5 * ELEMENT_BYTES;
    assert_eq!(&bytes[at..at + 4], &[0; 4]);
    let name = tensor_name(2, Module::Q, Factor::B);
    for special in [-0.0f32, f32::NAN, f32::INFINITY, f32::from_bits(1), 2f32.powi(-19), 64.0] {
        let mut changed = bytes.clone();
        changed[at..at + 4].copy_from_slice(&special.to_le_bytes());
        let refusal = decode(&changed, &layouts()).unwrap_err();
        assert_eq!((refusal.code(), refusal.location()), (ADAPTER_FLOAT, format!("{name}[0, 1]").as_str()));
    }
}

/// The same tensors as other tools write them: without metadata, with more of it, in another order, as float16.
#[test]
fn other_headers_of_the_same_tensors() {
    let bytes = encode(&example()).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let text = std::str::from_utf8(&bytes[8..8 + length]).unwrap().trim_end();
    let spaced = text.replace(":[", ": [");
    let others = [
        text.replace(r#""__metadata__":{"format":"pt"},"#, ""),
        text.replace(r#"{"format":"pt"}"#, r#"{"format":"pt","note":"x"}"#),
        text.replace("F32", "I32"),
        text.replace("[3,2]", "[2,3]"),
        spaced,
    ];
    for other in others {
        assert_ne!(other, text);
        let padded = format!("{other:width$}", width = other.len().next_multiple_of(8));
        let mut file = (padded.len() as u64).to_le_bytes().to_vec();
        file.extend(padded.bytes());
        file.extend(&bytes[8 + length..]);
        assert_eq!(decode(&file, &layouts()).unwrap_err().code(), ADAPTER_HEADER);
    }
}

#[test]
fn tensor_sets() {
    let bytes = encode(&example()).unwrap();
    assert_eq!(decode(&bytes, &layouts()[..2]).unwrap_err().code(), ADAPTER_HEADER);
    let mut more = layouts();
    more.push(more[0].clone());
    assert_eq!(decode(&bytes, &more).unwrap_err().code(), ADAPTER_LAYOUT);
    more[3].name.push('x');
    assert_eq!(decode(&bytes, &more).unwrap_err().code(), ADAPTER_HEADER);

    let mut short = example();
    short[0].values.pop();
    assert_eq!(encode(&short).unwrap_err().code(), ADAPTER_LAYOUT);
    let mut large = example();
    large[0].values[3] = 1 << 24;
    let refusal = encode(&large).unwrap_err();
    assert_eq!(refusal.code(), ADAPTER_VALUE);
    assert!(refusal.location().ends_with("lora_B.weight[1, 1]"), "{refusal}");
    for (name, shape) in [
        ("", vec![1]),
        ("a\"b", vec![1]),
        ("__metadata__", vec![1]),
        ("a", vec![]),
        ("a", vec![0]),
        ("a", vec![u64::MAX, 2]),
        ("a", vec![u64::MAX / 2]),
    ] {
        let layout = TensorLayout { name: name.to_owned(), shape, fraction_bits: 16 };
        assert_eq!(decode(&bytes, &[layout]).unwrap_err().code(), ADAPTER_LAYOUT);
    }
    assert_eq!(encode(&[]).unwrap_err().code(), ADAPTER_LAYOUT);
}
