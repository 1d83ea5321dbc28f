"""Kinds of tensors: where they start, and what calibration makes of them (docs/spec/step.md, section 2).

The step itself reads ``step_scales``; the table of kinds is for whoever makes a Spec.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from veritune.reference.fixed import decimal, decimal_places


class Kind(NamedTuple):
    """Width, sign, fraction bits; head-room factor and cap of calibration, factor 0 where fixed."""

    bits: int
    signed: bool
    fraction_bits: int
    factor: int = 0
    cap: int = 0


KINDS: dict[str, Kind] = {
    "residual": Kind(27, True, 10, 2, 12),
    "reciprocal_root": Kind(24, False, 20, 2, 20),
    "normed": Kind(18, True, 12),
    "adapter_input": Kind(20, True, 14, 16, 14),
    "adapter_input_down": Kind(22, True, 12, 16, 14),
    "query_raw": Kind(18, True, 11, 4, 12),
    "query": Kind(18, True, 11),
    "key_raw": Kind(18, True, 11, 4, 12),
    "key": Kind(18, True, 11),
    "value": Kind(18, True, 12, 4, 13),
    "score": Kind(20, True, 11),
    "exponential": Kind(25, False, 24),
    "inverse_sum": Kind(25, False, 24),
    "probability": Kind(17, False, 16),
    "attention": Kind(18, True, 12, 4, 13),
    "gate": Kind(16, True, 10, 4, 12),
    "up": Kind(18, True, 10, 4, 13),
    "silu": Kind(17, True, 10),
    "silu_derivative": Kind(17, True, 14),
    "product": Kind(30, True, 14, 8, 16),
    "final_normed": Kind(18, True, 12, 4, 12),
    "logit": Kind(20, True, 11),
    "vocabulary_sum": Kind(33, False, 16),
    "vocabulary_inverse": Kind(29, False, 28),
    "expected_embedding": Kind(32, True, 18),
    "grad.final_normed": Kind(24, True, 20),
    "grad.normed": Kind(20, True, 14, 16, 20),
    "grad.projection": Kind(20, True, 16, 16, 20),
    "grad.residual": Kind(30, True, 20, 64, 22),
    "grad.product": Kind(20, True, 14, 16, 20),
    "grad.gate": Kind(20, True, 14, 16, 20),
    "grad.up": Kind(20, True, 14, 16, 20),
    "grad.attention": Kind(20, True, 14, 16, 20),
    "grad.value": Kind(20, True, 14, 16, 20),
    "grad.row_sum": Kind(24, True, 16, 16, 20),
    "grad.probability": Kind(24, True, 14, 16, 20),
    "grad.score": Kind(20, True, 14, 16, 20),
    "grad.query": Kind(20, True, 13, 16, 20),
    "grad.key": Kind(20, True, 13, 16, 20),
    "grad.adapter": Kind(22, True, 18, 32, 18),
    "grad.a": Kind(32, True, 20),
    "grad.b": Kind(32, True, 20),
    "clip": Kind(26, False, 25),
    "clipped": Kind(29, True, 27),
    "first_moment": Kind(30, True, 30),
    "second_moment": Kind(52, False, 58),
    "root_second_moment": Kind(31, False, 34),
    "update": Kind(28, True, 30),
    "master": Kind(33, True, 30),
    "a": Kind(18, True, 16),
    "b": Kind(20, True, 18),
}

DERIVED = {"query": "query_raw", "key": "key_raw", "silu": "gate"}
"""Kinds that take another's fraction bits."""


WIDE_RANGE_BITS = 20
"""From this width of the range table on the wide kinds hold."""
SILU_FINER = 2
"""Fraction bits of SiLU beyond its gate's, with the wide kinds."""
MORE_GRADIENT_BITS = 4
"""Bits that a calibrated gradient of 20 bits gets where it takes two limbs anyway."""
_WIDER = {"residual": 4, "reciprocal_root": 3, "gate": 3, "silu": 4} | dict.fromkeys(
    ("query_raw", "query", "key_raw", "key", "value", "attention", "up", "final_normed", "normed"), 2
)


def _is_narrow_gradient(name: str, kind: Kind) -> bool:
    return name.startswith("grad.") and kind.bits == 20


def _wide(name: str, kind: Kind) -> Kind:
    more = MORE_GRADIENT_BITS if _is_narrow_gradient(name, kind) else _WIDER.get(name, 0)
    wide = kind._replace(bits=kind.bits + more, fraction_bits=kind.fraction_bits + more, cap=kind.cap + more)
    if name == "gate":
        return wide._replace(factor=2, cap=15)
    if name in ("up", "value", "attention"):
        return wide._replace(factor=3, cap=15)
    if name in ("query_raw", "key_raw"):
        return wide._replace(factor=3, cap=14)
    if name == "silu":
        return wide._replace(fraction_bits=SILU_FINER + 13)
    if name == "grad.adapter":
        return wide._replace(fraction_bits=15, factor=32, cap=15)
    return wide


def kinds_for(range_bits: int) -> dict[str, Kind]:
    """Returns the table for a range table of this width."""
    if range_bits >= WIDE_RANGE_BITS:
        return {name: _wide(name, kind) for name, kind in KINDS.items()}
    kinds = dict(KINDS)
    for name, kind in KINDS.items():
        if _is_narrow_gradient(name, kind) and range_bits >= 12:
            more = MORE_GRADIENT_BITS
            kinds[name] = kind._replace(
                bits=kind.bits + more, fraction_bits=kind.fraction_bits + more, factor=kind.factor << more
            )
    return kinds


def calibrated(maxima: dict[str, float], range_bits: int) -> dict[str, dict[str, Any]]:
    """Returns ``Spec.scales`` for the greatest real absolute value seen of each kind.

    Kinds that are not in ``maxima`` keep their starting scale.
    """
    kinds = kinds_for(range_bits)
    bits = {name: kind.fraction_bits for name, kind in kinds.items()}
    for name, kind in kinds.items():
        if kind.factor and name in maxima:
            largest = (1 << (kind.bits - kind.signed)) - 1
            wanted = max(maxima[name], 2.0**-900) * kind.factor
            bits[name] = min(max(math.floor(math.log2(largest / wanted)), kind.fraction_bits - 6), kind.cap)
    bits |= {name: bits[source] for name, source in DERIVED.items()}
    if range_bits >= WIDE_RANGE_BITS:
        bits["silu"] += SILU_FINER
    return {
        name: {"bits": kind.bits, "signed": kind.signed, "fraction_bits": bits[name]} for name, kind in kinds.items()
    }


_KIND_OF = {
    "middle": "residual",
    "grad.middle": "grad.residual",
    "grad.attention_input": "grad.normed",
    "grad.mlp_input": "grad.normed",
    "grad.final_input": "grad.normed",
    "grad.query_raw": "grad.query",
    "grad.key_raw": "grad.key",
    "down_proj.inner": "adapter_input_down",
}
_KIND_OF_ENDING = {
    "reciprocal": "reciprocal_root",
    "y": "normed",
    "projection": "grad.projection",
    "rejection": "grad.normed",
    "inner": "adapter_input",
    "back": "grad.adapter",
}


def kind_of(name: str) -> str:
    """Returns the kind of a tensor of the forward or backward pass."""
    return _KIND_OF.get(name) or _KIND_OF_ENDING.get(name.rpartition(".")[2]) or name


def maxima_by_kind(maxima: dict[str, float]) -> dict[str, float]:
    """Returns the greatest value of each kind from those of the tensors."""
    by_kind: dict[str, float] = {}
    for name, seen in maxima.items():
        kind = kind_of(name)
        by_kind[kind] = max(by_kind.get(kind, 0.0), seen)
    return by_kind


def step_scales(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the scales that a step works with: those of the Spec, with a narrower second moment.

    An ``adam_beta2`` of four decimals takes four bits from it, or its sum with denominator 10^4 would wrap.
    """
    scales: dict[str, dict[str, Any]] = dict(spec["scales"])
    if "second_moment" in scales and decimal_places(decimal(spec["training"]["adam_beta2"]), 3) is None:
        second = scales["second_moment"]
        narrower = {"bits": second["bits"] - 4, "fraction_bits": second["fraction_bits"] - 4}
        scales["second_moment"] = {**second, **narrower}
    return scales
