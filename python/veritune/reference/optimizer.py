"""Clipping and the optimiser: docs/spec/step.md, sections 8 and 9."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from veritune.reference.constants import (
    DECAY_FACTOR_BITS,
    UPDATE_FACTOR_BITS,
    Constants,
    step_constants,
)
from veritune.reference.errors import OutOfRange, RefusedSpec
from veritune.reference.exact import Fixed, constant, floor_divide, integer_root
from veritune.reference.fixed import at_bits, decimal, decimal_places
from veritune.reference.trace import Integers, Trace

NORM_BITS = 31
ROOT_BITS = 34


class Matrix(NamedTuple):
    """State of one adapter matrix: master, first and second moment, each of its shape."""

    master: Integers
    first: Integers
    second: Integers


def clip(spec: dict[str, Any], trace: Trace, gradients: dict[str, Fixed], num_labels: int) -> Fixed:
    """Returns the factor that every gradient is multiplied by: 1/labels, and less if clipped."""
    scales = {gradient.fraction_bits for gradient in gradients.values()}
    if scales != {trace.fraction_bits("grad.a")}:
        raise RefusedSpec("scales.grad.a, scales.grad.b: not the same fraction bits")
    norm = _gradient_norm(trace, gradients)
    labels = max(1, num_labels)
    _scalar(trace, "labels.none", int(num_labels == 0), 1)
    _scalar(trace, "labels", labels, 62)

    bits = trace.fraction_bits("clip")
    limit = at_bits(spec["training"]["max_grad_norm"], bits + trace.fraction_bits("grad.a"))
    if not 1 <= limit < 1 << 61:
        raise RefusedSpec("training.max_grad_norm: zero, negative or too large")
    inverse = (1 << bits) // labels
    active = int(limit < inverse * (norm + labels))
    quotient = limit * active // (norm + labels)
    factor = quotient if active else inverse
    _scalar(trace, "clip.active", active, 1)
    for name, value in (("labels.inverse", inverse), ("clip.quotient", quotient)):
        trace.integers(name, constant(value).values, "clip")
    return trace.integers("clip.factor", constant(factor).values, "clip")


def _scalar(trace: Trace, name: str, value: int, bits: int, *, signed: bool = False) -> None:
    trace.keep(name, constant(value).values, bits, signed=signed)


def _gradient_norm(trace: Trace, gradients: dict[str, Fixed]) -> int:
    """Returns the floor of the root of the sum of squares, and records the limbs of that sum."""
    square = 0
    high_high = high_low = low_low = 0
    for name, gradient in gradients.items():
        high, low = gradient.values >> 16, gradient.values & 0xFFFF
        trace.keep(f"norm.{name}.high", high, trace.bits("grad.a") - 16, signed=True)
        trace.keep(f"norm.{name}.low", low, 16)
        for g, h, rest in zip(gradient.values.flat, high.flat, low.flat, strict=True):
            square += int(g) ** 2
            high_high += int(h) ** 2
            high_low += int(h) * int(rest)
            low_low += int(rest) ** 2
    cross_high, cross_low = divmod(high_low, 1 << 15)
    carry, low_limb = divmod(low_low + (cross_low << 17), 1 << 32)
    high_limb = high_high + cross_high + carry
    assert (high_limb << 32) + low_limb == square
    _scalar(trace, "norm.cross", high_low, 63, signed=True)
    _scalar(trace, "norm.cross_limbs.high", cross_high, 63, signed=True)
    _scalar(trace, "norm.cross_limbs.low", cross_low, 15)
    _scalar(trace, "norm.low.high", carry, 62)
    _scalar(trace, "norm.low.low", low_limb, 32)
    if square >= 1 << (2 * NORM_BITS):
        raise OutOfRange("norm", math.isqrt(square), 0, (1 << NORM_BITS) - 1)
    _scalar(trace, "norm.high", high_limb, 2 * NORM_BITS - 32)
    norm = math.isqrt(square)
    _scalar(trace, "norm", norm, NORM_BITS)
    return norm


def optimize(
    spec: dict[str, Any],
    trace: Trace,
    state: dict[str, Matrix],
    copies: dict[str, Fixed],
    gradients: dict[str, Fixed],
    factor: Fixed,
    step_number: int,
) -> dict[str, Matrix]:
    """Returns the state after the step."""
    training = spec["training"]
    constants = step_constants(training, step_number, ROOT_BITS)
    after = {}
    for name, before in state.items():
        clipped = trace.rounded(f"{name}.clipped", gradients[name] * factor, "clipped")
        if training["optimizer"] == "adamw":
            update, first, second = _adam(training, trace, name, before, clipped, constants)
        else:
            exact = clipped * constant(constants.update_factor, UPDATE_FACTOR_BITS)
            update = trace.rounded(f"{name}.update", exact, "update")
            first, second = before.first, before.second
        master = Fixed(before.master, trace.fraction_bits("master"))
        decay = copies[name] * constant(constants.decay_factor, DECAY_FACTOR_BITS)
        new = trace.rounded(f"state_after.{name}.master", master - update - decay, "master")
        after[name] = Matrix(new.values, first, second)
    return after


def _adam(
    training: dict[str, Any],
    trace: Trace,
    name: str,
    before: Matrix,
    clipped: Fixed,
    constants: Constants,
) -> tuple[Fixed, Integers, Integers]:
    """Returns the update and both new moments of one matrix."""
    old = Fixed(before.first, trace.fraction_bits("first_moment"))
    first = _moment(trace, f"state_after.{name}.first", old, clipped, training["adam_beta1"], "first_moment")
    old = Fixed(before.second, trace.fraction_bits("second_moment"))
    squared = clipped * clipped
    second = _moment(trace, f"state_after.{name}.second", old, squared, training["adam_beta2"], "second_moment")

    guard_bits = 2 * ROOT_BITS - second.fraction_bits
    if first.fraction_bits + UPDATE_FACTOR_BITS - ROOT_BITS != trace.fraction_bits("update") or guard_bits < 0:
        raise RefusedSpec("scales.update: does not follow from the moments' scales")
    under_root = (second * constant(1 << guard_bits)).values
    width = -(-(trace.bits("second_moment") + guard_bits) // 2)
    root = trace.keep(f"{name}.root", integer_root(under_root), width)
    numerator = (first * constant(constants.update_factor)).values
    quotient = floor_divide(numerator, root + constants.epsilon)
    update = trace.integers(f"{name}.update", quotient, "update")
    return update, first.values.astype(np.int64), second.values.astype(np.int64)


def _moment(trace: Trace, name: str, old: Fixed, fresh: Fixed, beta: str, kind: str) -> Fixed:
    """Returns ``beta * old + (1 - beta) * fresh``, rounded once."""
    value = decimal(beta)
    places = decimal_places(value, 4)
    if places is None or not 0 <= value < 1:
        raise RefusedSpec(f"training.adam_beta: {beta} is not in 0..1 with at most 4 places")
    divisor = 10**places
    keep = int(value * divisor)
    if fresh.fraction_bits > old.fraction_bits:
        raise RefusedSpec(f"scales.{kind}: coarser than the gradient that it takes in")
    exact = constant(keep) * old + constant(divisor - keep) * fresh
    return trace.integers(name, exact.rounded(old.fraction_bits, divisor), kind)
