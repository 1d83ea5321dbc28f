//! The released file as the proof sees it: PEFT's tensors, layer by layer, against the program's stacked matrices.

use crate::codes::SPEC_REFUSED;
use veritune_envelope::Refusal;
use veritune_envelope::adapter_file::{self, AdapterConfig, Factor, Module, Tensor, TensorLayout, tensor_name};
use veritune_envelope::canonical_json::Value;
use veritune_relations::spec::{Spec, Target};
use veritune_relations::step::StepProgram;

/// PEFT's module of a target.
fn module(target: Target) -> Module {
    match target {
        Target::Query => Module::Q,
        Target::Key => Module::K,
        Target::Value => Module::V,
        Target::Output => Module::O,
        Target::Gate => Module::Gate,
        Target::Up => Module::Up,
        Target::Down => Module::Down,
    }
}

/// The length of the adapter's file, from the spec alone: it is known before the program is built, whose first state
/// takes memory in proportion to it.
///
/// *Caller must* have validated the spec.
pub fn num_bytes(spec: &Spec) -> Result<u64, Refusal> {
    let (model, rank) = (&spec.model, spec.lora.r);
    let (hidden, ffn) = (model.hidden, model.ffn);
    let queries = model.heads.saturating_mul(model.head_dim);
    let keys = model.kv_heads.saturating_mul(model.head_dim);
    let mut layouts = Vec::new();
    for &target in &spec.lora.targets {
        let (input, output) = match target {
            Target::Query => (hidden, queries),
            Target::Key | Target::Value => (hidden, keys),
            Target::Output => (queries, hidden),
            Target::Gate | Target::Up => (hidden, ffn),
            Target::Down => (ffn, hidden),
        };
        for (factor, shape) in [(Factor::A, [rank, input]), (Factor::B, [output, rank])] {
            let shape: Vec<u64> = shape.into_iter().map(wide).collect();
            layouts.extend((0..model.layers).map(|layer| TensorLayout {
                name: tensor_name(layer, module(target), factor),
                shape: shape.clone(),
                // Its scale does not change a file's length.
                fraction_bits: 0,
            }));
        }
    }
    adapter_file::num_bytes(&layouts)
}

/// A number of a machine's own width as 64 bits.
fn wide(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// The file's tensors: for each matrix in order of [`matrices`](veritune_relations::release::matrices), one per layer.
pub fn layouts(step: &StepProgram) -> Result<Vec<TensorLayout>, Refusal> {
    let mut layouts = Vec::new();
    for (target, adapter) in &step.adapters {
        for (matrix, factor) in [(&adapter.a, Factor::A), (&adapter.b, Factor::B)] {
            let shape = step.program.shape(matrix.copy);
            let (layers, inner) = (shape.first().copied().unwrap_or(0), shape.get(1..).unwrap_or(&[]));
            let product = |axes: &[usize]| wide(axes.iter().product());
            let (rows, columns) = match factor {
                Factor::A => (inner.first().copied().map_or(0, wide), product(inner.get(1..).unwrap_or(&[]))),
                Factor::B => {
                    let (last, rest) = inner.split_last().map_or((0, inner), |(l, r)| (*l, r));
                    (product(rest), wide(last))
                }
            };
            let fraction_bits = step.program.tensor(matrix.copy).fraction_bits;
            let fraction_bits = u32::try_from(fraction_bits).map_err(|_| {
                Refusal::new(
                    SPEC_REFUSED,
                    format_args!("scale of {}", matrix.name),
                    "fraction bits from 0",
                    fraction_bits,
                )
            })?;
            for layer in 0..layers {
                layouts.push(TensorLayout {
                    name: tensor_name(layer, module(*target), factor),
                    shape: vec![rows, columns],
                    fraction_bits,
                });
            }
        }
    }
    Ok(layouts)
}

/// The file's tensors from stacked copies.
pub fn tensors(step: &StepProgram, copies: &[Vec<i64>]) -> Result<Vec<Tensor>, Refusal> {
    let mut layouts = layouts(step)?.into_iter();
    let mut tensors = Vec::new();
    for copy in copies {
        let layers = step.program.layer.map_or(1, |l| step.program.axis(l).len).max(1);
        for values in copy.chunks(copy.len().div_ceil(layers).max(1)) {
            if let Some(layout) = layouts.next() {
                tensors.push(Tensor { layout, values: values.to_vec() });
            }
        }
    }
    Ok(tensors)
}

/// Stacked copies from the file's tensors, which are in the order of [`layouts`].
pub fn copies(step: &StepProgram, tensors: &[Tensor]) -> Vec<Vec<i64>> {
    let layers = step.program.layer.map_or(1, |l| step.program.axis(l).len).max(1);
    let stack = |layers: &[Tensor]| layers.iter().flat_map(|t| t.values.iter().copied()).collect();
    tensors.chunks(layers).map(stack).collect()
}

/// The canonical configuration that the plan's recipe gives; none if the recipe does not say it or disagrees with
/// the spec.
pub fn config(recipe: &Value, spec: &Spec, base_root_hex: &str) -> Option<AdapterConfig> {
    let lora = recipe.get("lora")?;
    let integer = |name: &str| match lora.get(name)? {
        Value::Integer(value) => u32::try_from(*value).ok(),
        _ => None,
    };
    let (r, lora_alpha) = (integer("r")?, integer("lora_alpha")?);
    let Value::Bool(use_rslora) = *lora.get("use_rslora")? else { return None };
    let agrees = usize::try_from(r) == Ok(spec.lora.r)
        && scaling_65536(u64::from(r), u64::from(lora_alpha), use_rslora) == Some(spec.lora.scaling_65536);
    agrees.then(|| AdapterConfig {
        base_model_name_or_path: format!("veritune-base-{base_root_hex}"),
        r,
        lora_alpha,
        use_rslora,
        target_modules: spec.lora.targets.iter().map(|&t| module(t)).collect(),
    })
}

/// `lora_alpha / r`, or `/ sqrt(r)`, times 2^16, rounded half up.
pub fn scaling_65536(r: u64, lora_alpha: u64, use_rslora: bool) -> Option<i64> {
    let (r, alpha) = (u128::from(r), u128::from(lora_alpha));
    let doubled = alpha.checked_mul(1 << 17)?;
    let scaling = if use_rslora {
        doubled.checked_mul(doubled)?.checked_div(r)?.isqrt().checked_add(1)?.checked_div(2)?
    } else {
        doubled.checked_add(r)?.checked_div(r.checked_mul(2)?)?
    };
    i64::try_from(scaling).ok()
}
