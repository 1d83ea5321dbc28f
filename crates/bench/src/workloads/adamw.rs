//! P4. Statement: the step's own AdamW update on one matrix of adapter entries, from state before to state after.
//!
//! The gradient and the clip factor are hidden inputs; master and moments lie in the two state trees. The rounded copy
//! that a forward pass reads is part of it, the norm that gives the clip factor is not.

use super::{Input, Workload, training};
use crate::BenchError;
use std::collections::BTreeMap;
use veritune_relations::scales::Scales;
use veritune_relations::spec::{Decimal, Disclose, Lora, Model, Spec, Target};
use veritune_relations::step::build_update;

/// As in the small model's step.
const RANGE_BITS: u32 = 18;

/// A spec of which the update reads scales and training settings only; the model is the least one.
fn spec() -> Spec {
    let model = Model {
        hidden: 2,
        layers: 1,
        heads: 1,
        kv_heads: 1,
        head_dim: 2,
        ffn: 2,
        vocab: 2,
        tied: true,
        qkv_bias: false,
        rms_norm_eps: Decimal("1e-5".to_owned()),
        rope_theta: Decimal("10000".to_owned()),
        base_fraction_bits: BTreeMap::new(),
        base_bits: 16,
        gain_bits: 14,
    };
    Spec {
        version: 1,
        model,
        lora: Lora { r: 1, scaling_65536: 1 << 16, targets: vec![Target::Query] },
        training: training(2, 10),
        dataset_rows: 1,
        scales: Scales::starting(RANGE_BITS),
        range_bits: RANGE_BITS,
        log_rows: 12,
        disclose: Disclose::default(),
    }
}

/// Columns of the matrix, as many as a wide layer has.
const COLUMNS: usize = 1024;

pub(super) fn build(name: &str, elements: usize) -> Result<Workload, BenchError> {
    if !elements.is_multiple_of(COLUMNS) {
        return Err(BenchError::Workload(format!("{elements} elements: not a multiple of {COLUMNS}")));
    }
    // Any step but the first, whose bias correction is the extreme one.
    let update = build_update(&spec(), 5, [elements / COLUMNS, COLUMNS])?;
    let [master, first, second] = update.matrix.before;
    Ok(Workload {
        name: name.to_owned(),
        statement: format!("AdamW update of {elements} elements"),
        precision: "32-bit master and gradient, 29-bit clipped gradient, 30-bit first and 52-bit second moment"
            .to_owned(),
        inputs: vec![
            Input::signed(master, 27),
            Input::signed(first, 20),
            Input { tensor: second, low: 1 << 40, high: (1 << 48) - 1 },
            Input::signed(update.gradient, 18),
            Input { tensor: update.clip, low: 1 << 23, high: 1 << 25 },
        ],
        program: update.program,
        elements: Some(elements),
    })
}
