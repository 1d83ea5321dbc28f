"""Public integers of optimiser step t: docs/spec/step.md, section 4."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from veritune.reference.errors import RefusedSpec
from veritune.reference.fixed import BITS, ONE, PI, at_bits, cos_sin, multiply, round_to, truncated

UPDATE_FACTOR_BITS = 34
DECAY_FACTOR_BITS = 30


@dataclass(frozen=True)
class Constants:
    """Factors of one step.

    Attributes:
        update_factor: lr * sqrt(1 - beta2^t) / (1 - beta1^t), or lr for SGD, at 34 bits.
        epsilon: adam_epsilon * sqrt(1 - beta2^t) in units of the root of the second moment.
        decay_factor: lr * weight_decay at 30 bits.
    """

    update_factor: int
    epsilon: int
    decay_factor: int


def learning_rate(training: dict[str, Any], step_number: int) -> int:
    """Returns the learning rate of a step (the first is 1) at 60 bits."""
    peak = at_bits(training["learning_rate"], BITS)
    done = step_number - 1
    warmup = int(training["warmup_steps"])
    if done < warmup:
        return peak * done // warmup
    progress = ((done - warmup) << BITS) // max(1, int(training["steps"]) - warmup)
    schedule = training["schedule"]
    if schedule == "constant":
        return peak
    if schedule == "linear":
        return multiply(peak, max(0, ONE - progress))
    if schedule == "cosine":
        cos, _ = cos_sin(multiply(PI, progress))
        return multiply(peak, truncated(ONE + cos, 2))
    raise RefusedSpec(f"training.schedule: {schedule!r}")


def power(base: int, exponent: int) -> int:
    """Returns base^exponent by squaring, rounded at every product."""
    result = ONE
    while exponent > 0:
        if exponent % 2:
            result = multiply(result, base)
        base = multiply(base, base)
        exponent //= 2
    return result


def step_constants(training: dict[str, Any], step_number: int, root_bits: int) -> Constants:
    """Returns the factors of a step; ``root_bits`` are those of the root of the second moment."""
    rate = learning_rate(training, step_number)
    weight_decay = at_bits(training["weight_decay"], BITS)
    if (
        round_to(multiply(at_bits(training["learning_rate"], BITS), weight_decay), DECAY_FACTOR_BITS)
        > 1 << DECAY_FACTOR_BITS
    ):
        raise RefusedSpec("training.weight_decay: times training.learning_rate is above 1")
    decay = round_to(multiply(rate, weight_decay), DECAY_FACTOR_BITS)
    if training["optimizer"] == "sgd":
        return Constants(round_to(rate, UPDATE_FACTOR_BITS), 0, decay)
    if training["optimizer"] != "adamw":
        raise RefusedSpec(f"training.optimizer: {training['optimizer']!r}")
    first = ONE - power(at_bits(training["adam_beta1"], BITS), step_number)
    second = ONE - power(at_bits(training["adam_beta2"], BITS), step_number)
    if not (0 < first <= ONE and 0 < second <= ONE):
        raise RefusedSpec("training.adam_beta1, adam_beta2: not in 0..1")
    root = math.isqrt(second << BITS)
    factor = multiply(rate, (root << BITS) // first)
    epsilon = round_to(multiply(at_bits(training["adam_epsilon"], BITS), root), root_bits)
    if epsilon < 1:
        raise RefusedSpec("training.adam_epsilon: below one unit of the root of the second moment")
    return Constants(round_to(factor, UPDATE_FACTOR_BITS), epsilon, decay)
