//! Widths and scales of every kind of tensor: the starting table, and what calibration makes of it.
//!
//! A kind has one scale over all layers. Widths are fixed here; calibration moves the fraction bits of a kind
//! to the largest that leaves its head-room over the greatest value seen, and the plan pins the result.

use crate::program::Range;
use crate::spec::SpecError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Width and scale of one kind of tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Width in bits.
    pub bits: u32,
    /// Whether negative values are allowed.
    pub signed: bool,
    /// Binary scale.
    pub fraction_bits: i32,
}

impl Scale {
    /// The range that the width admits.
    pub const fn range(self) -> Range {
        Range { bits: self.bits, signed: self.signed }
    }
}

/// A scale and the closed range that this version allows for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleRange {
    /// The kind, or a tensor of the base.
    pub name: String,
    /// Its binary scale.
    pub fraction_bits: i32,
    /// The least that is allowed.
    pub low: i32,
    /// The greatest that is allowed.
    pub high: i32,
}

/// How calibration sets the fraction bits of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Fixed: derived from other scales or from a table.
    Fixed,
    /// The largest fraction bits, at most the cap, that leave this head-room (a factor) over the greatest value seen.
    HeadRoom {
        /// How many times the greatest value seen must fit.
        factor: u32,
        /// Greatest fraction bits.
        cap: i32,
    },
}

/// How many fraction bits below its start a calibrated kind may lie. Coarser scales could round gradients to zero:
/// a model that needs them is refused, by an overflow that names the kind.
const COARSEST_BELOW_START: i32 = 6;

/// One row of the table of kinds.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Name of the kind.
    pub name: &'static str,
    /// Where it starts.
    pub scale: Scale,
    /// How calibration moves it.
    pub rule: Rule,
}

const fn kind(name: &'static str, bits: u32, signed: bool, fraction_bits: i32, rule: Rule) -> Kind {
    Kind { name, scale: Scale { bits, signed, fraction_bits }, rule }
}

const fn room(factor: u32, cap: i32) -> Rule {
    Rule::HeadRoom { factor, cap }
}

/// Every kind. Widths follow what a 135-million-parameter model needs (docs/benchmarks/fidelity.md).
pub const KINDS: &[Kind] = &[
    // forward
    kind("residual", 27, true, 10, room(2, 12)),
    kind("reciprocal_root", 24, false, 20, room(2, 20)),
    kind("normed", 18, true, 12, Rule::Fixed),
    kind("adapter_input", 20, true, 14, room(16, 14)),
    kind("adapter_input_down", 22, true, 12, room(16, 14)),
    kind("query_raw", 18, true, 11, room(4, 12)),
    kind("query", 18, true, 11, Rule::Fixed),
    kind("key_raw", 18, true, 11, room(4, 12)),
    kind("key", 18, true, 11, Rule::Fixed),
    kind("value", 18, true, 12, room(4, 13)),
    kind("score", 20, true, 11, Rule::Fixed),
    kind("exponential", 25, false, 24, Rule::Fixed),
    kind("inverse_sum", 25, false, 24, Rule::Fixed),
    kind("probability", 17, false, 16, Rule::Fixed),
    kind("attention", 18, true, 12, room(4, 13)),
    kind("gate", 16, true, 10, room(4, 12)),
    kind("up", 18, true, 10, room(4, 13)),
    kind("silu", 17, true, 10, Rule::Fixed),
    kind("silu_derivative", 17, true, 14, Rule::Fixed),
    kind("product", 30, true, 14, room(8, 16)),
    kind("final_normed", 18, true, 12, room(4, 12)),
    kind("logit", 20, true, 11, Rule::Fixed),
    // loss
    kind("vocabulary_sum", 33, false, 16, Rule::Fixed),
    kind("vocabulary_inverse", 29, false, 28, Rule::Fixed),
    kind("expected_embedding", 32, true, 18, Rule::Fixed),
    kind("grad.final_normed", 24, true, 20, Rule::Fixed),
    // backward
    kind("grad.normed", 20, true, 14, room(16, 20)),
    kind("grad.projection", 20, true, 16, room(16, 20)),
    kind("grad.residual", 30, true, 20, room(64, 22)),
    kind("grad.product", 20, true, 14, room(16, 20)),
    kind("grad.gate", 20, true, 14, room(16, 20)),
    kind("grad.up", 20, true, 14, room(16, 20)),
    kind("grad.attention", 20, true, 14, room(16, 20)),
    kind("grad.value", 20, true, 14, room(16, 20)),
    kind("grad.row_sum", 24, true, 16, room(16, 20)),
    kind("grad.probability", 24, true, 14, room(16, 20)),
    kind("grad.score", 20, true, 14, room(16, 20)),
    kind("grad.query", 20, true, 13, room(16, 20)),
    kind("grad.key", 20, true, 13, room(16, 20)),
    kind("grad.adapter", 22, true, 18, room(32, 18)),
    kind("grad.a", 32, true, 20, Rule::Fixed),
    kind("grad.b", 32, true, 20, Rule::Fixed),
    // optimiser
    kind("clip", 26, false, 25, Rule::Fixed),
    kind("clipped", 29, true, 27, Rule::Fixed),
    kind("first_moment", 30, true, 30, Rule::Fixed),
    kind("second_moment", 52, false, 58, Rule::Fixed),
    kind("root_second_moment", 31, false, 34, Rule::Fixed),
    kind("update", 28, true, 30, Rule::Fixed),
    kind("master", 33, true, 30, Rule::Fixed),
    kind("a", 18, true, 16, Rule::Fixed),
    kind("b", 20, true, 18, Rule::Fixed),
];

/// Scales of all kinds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scales(pub BTreeMap<String, Scale>);

/// The row of a kind for a range table of `range_bits`.
///
/// A gradient of 20 bits takes two limbs of a narrower table anyway: there it gets more bits and as much more
/// head-room for the same number of limbs.
fn kind_for(kind: &Kind, range_bits: u32) -> Kind {
    let mut kind = *kind;
    if range_bits >= WIDE_RANGE_BITS {
        return wide_kind(kind);
    }
    if let Rule::HeadRoom { factor, cap } = kind.rule
        && is_narrow_gradient(&kind)
        && range_bits >= 12
    {
        kind.scale.bits += MORE_GRADIENT_BITS;
        kind.scale.fraction_bits += MORE_GRADIENT_BITS as i32;
        kind.rule = Rule::HeadRoom { factor: factor << MORE_GRADIENT_BITS, cap };
    }
    kind
}

/// Bits that a gradient of 20 bits gets where it takes two limbs anyway.
const MORE_GRADIENT_BITS: u32 = 4;

fn is_narrow_gradient(kind: &Kind) -> bool {
    kind.name.starts_with("grad.") && kind.scale.bits == 20
}

/// From this width of the range table on, kinds have the widths that models with uneven layers need.
const WIDE_RANGE_BITS: u32 = 20;

/// Fraction bits of SiLU beyond its gate's, for a wide range table: small gates give far smaller values.
const SILU_FINER: i32 = 2;

/// The row of a kind for a wide range table: one scale over layers whose ranges differ by seven bits needs as many
/// more bits for the same precision in the quietest layer. What each kind's rounding adds to the error of a
/// gradient of a 135-million-parameter model: docs/benchmarks/fidelity.md.
fn wide_kind(mut kind: Kind) -> Kind {
    // (more bits, all of them fraction bits)
    let more = match kind.name {
        // A few entries of one position are ten thousand times as large as the rest, and its reciprocal root as small.
        "residual" => 4,
        "reciprocal_root" => 3,
        // Below 20 bits there is one limb anyway.
        "query_raw" | "query" | "key_raw" | "key" | "value" | "attention" | "up" | "final_normed" | "normed" => 2,
        // Its table has a row for every value.
        "gate" => 3,
        // Ranged by the table, so its width costs nothing.
        "silu" => 4,
        _ if is_narrow_gradient(&kind) => MORE_GRADIENT_BITS,
        _ => 0,
    };
    kind.scale.bits += more;
    kind.scale.fraction_bits += more as i32;
    if let Rule::HeadRoom { factor, cap } = kind.rule {
        kind.rule = Rule::HeadRoom { factor, cap: cap + more as i32 };
    }
    match kind.name {
        // Precision is taken from the head-room: a wider gate makes a longer table, the others a second limb.
        "gate" => kind.rule = Rule::HeadRoom { factor: 2, cap: 15 },
        "up" | "value" | "attention" => kind.rule = Rule::HeadRoom { factor: 3, cap: 15 },
        "query_raw" | "key_raw" => kind.rule = Rule::HeadRoom { factor: 3, cap: 14 },
        "silu" => kind.scale.fraction_bits = SILU_FINER + 13,
        "grad.adapter" => {
            // The sum that it joins with the gradients of gate and up is aligned to its scale: finer ones could wrap.
            kind.scale.fraction_bits = 15;
            kind.rule = Rule::HeadRoom { factor: 32, cap: 15 };
        }
        _ => (),
    }
    kind
}

/// Fraction bits of a derived kind, from those of the kind that it takes them from.
fn derived_fraction_bits(name: &str, from: i32, range_bits: u32) -> i32 {
    if name == "silu" && range_bits >= WIDE_RANGE_BITS { from + SILU_FINER } else { from }
}

/// Kinds that take another's fraction bits: rotation and SiLU keep their input's scale.
const DERIVED: [(&str, &str); 3] = [("query", "query_raw"), ("key", "key_raw"), ("silu", "gate")];

impl Scales {
    /// Refuses scales that are not the table's for this range table: a free choice would let a prover round gradients
    /// to zero, or read one table at another scale. Within what is allowed the choice is the maker's.
    pub fn check(&self, range_bits: u32) -> Result<(), SpecError> {
        let refuse = |name: &str, reason: String| Err(SpecError::new(&format!("scales.{name}"), reason));
        if self.0.len() != KINDS.len() {
            return Err(SpecError::new("scales", format!("{} kinds instead of {}", self.0.len(), KINDS.len())));
        }
        for kind in KINDS.iter().map(|kind| kind_for(kind, range_bits)) {
            let Some(scale) = self.0.get(kind.name) else { return refuse(kind.name, "is missing".into()) };
            if (scale.bits, scale.signed) != (kind.scale.bits, kind.scale.signed) {
                return refuse(kind.name, format!("is {}, not {}", scale.range(), kind.scale.range()));
            }
            let allowed = self.allowed(&kind, range_bits);
            if !allowed.contains(&scale.fraction_bits) {
                return refuse(
                    kind.name,
                    format!("has {} fraction bits, allowed are {allowed:?}", scale.fraction_bits),
                );
            }
        }
        Ok(())
    }

    /// Fraction bits that a kind of the table may have beside these scales.
    fn allowed(&self, kind: &Kind, range_bits: u32) -> RangeInclusive<i32> {
        let derived = DERIVED.iter().find(|(name, _)| *name == kind.name).and_then(|(_, from)| self.0.get(*from));
        let start = kind.scale.fraction_bits;
        match (derived, kind.rule) {
            (Some(from), _) => {
                let bits = derived_fraction_bits(kind.name, from.fraction_bits, range_bits);
                bits..=bits
            }
            (None, Rule::Fixed) => start..=start,
            (None, Rule::HeadRoom { cap, .. }) => start - COARSEST_BELOW_START..=cap.max(start),
        }
    }

    /// Every kind with the fraction bits that it may have.
    pub fn ranges(&self, range_bits: u32) -> Vec<ScaleRange> {
        let of = |kind: Kind| {
            let (low, high) = self.allowed(&kind, range_bits).into_inner();
            let fraction_bits = self.0.get(kind.name)?.fraction_bits;
            Some(ScaleRange { name: kind.name.to_owned(), fraction_bits, low, high })
        };
        KINDS.iter().filter_map(|kind| of(kind_for(kind, range_bits))).collect()
    }

    /// The scales before calibration.
    pub fn starting(range_bits: u32) -> Self {
        let rows = KINDS.iter().map(|kind| kind_for(kind, range_bits));
        Self(rows.map(|kind| (kind.name.to_owned(), kind.scale)).collect())
    }

    /// The scales that calibration gives for the greatest real absolute value seen of each kind.
    pub fn calibrated(maxima: &BTreeMap<String, f64>, range_bits: u32) -> Self {
        let mut scales = Self::starting(range_bits);
        for kind in KINDS.iter().map(|kind| kind_for(kind, range_bits)) {
            let Rule::HeadRoom { factor, cap } = kind.rule else { continue };
            let Some(&seen) = maxima.get(kind.name) else { continue };
            let largest = kind.scale.range().max() as f64;
            let wanted = seen.max(f64::MIN_POSITIVE) * f64::from(factor);
            let fraction_bits = (largest / wanted)
                .log2()
                .floor()
                .clamp(f64::from(kind.scale.fraction_bits - COARSEST_BELOW_START), f64::from(cap))
                as i32;
            if let Some(scale) = scales.0.get_mut(kind.name) {
                scale.fraction_bits = fraction_bits;
            }
        }
        scales.derive(range_bits);
        scales
    }

    /// Gives every derived kind the scale that follows from the kind that it is derived from.
    fn derive(&mut self, range_bits: u32) {
        for (derived, from) in DERIVED {
            let from = self.0.get(from).map(|s| s.fraction_bits);
            if let (Some(scale), Some(from)) = (self.0.get_mut(derived), from) {
                scale.fraction_bits = derived_fraction_bits(derived, from, range_bits);
            }
        }
    }

    /// The scales with one fraction bit less for a kind that calibration sets; none if it may have no fewer.
    pub fn coarser(&self, kind: &Kind, range_bits: u32) -> Option<Self> {
        if matches!(kind.rule, Rule::Fixed) {
            return None;
        }
        let mut scales = self.clone();
        scales.0.get_mut(kind.name)?.fraction_bits -= 1;
        scales.derive(range_bits);
        scales.check(range_bits).is_ok().then_some(scales)
    }
}
