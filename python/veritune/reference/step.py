"""The step, from embedding to state after: docs/spec/step.md in its order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritune.reference.attention import Attention, attention, attention_backward
from veritune.reference.errors import RefusedSpec
from veritune.reference.exact import Fixed
from veritune.reference.head import NO_LABEL, embed, head
from veritune.reference.kinds import step_scales
from veritune.reference.mlp import Mlp, mlp, mlp_backward
from veritune.reference.model import (
    Context,
    base_shapes,
    checked,
    matrix_shapes,
    rotation_tables,
    shape,
)
from veritune.reference.optimizer import Matrix, clip, optimize
from veritune.reference.trace import Integers, Trace

PARTS = {"master": "master", "first": "first_moment", "second": "second_moment"}
"""Part of a matrix's state: its kind."""


@dataclass(frozen=True)
class StepTrace:
    """What a step gives.

    Attributes:
        state: state after the step, per matrix (``q_proj.a`` …).
        tensors: every tensor that docs/spec/step.md names, int64, by name; the state after under
            ``state_after.<matrix>.<part>``.
    """

    state: dict[str, Matrix]
    tensors: dict[str, Integers]


def step(
    spec: dict[str, Any],
    base: Mapping[str, NDArray[np.int64]],
    state: Mapping[str, tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]],
    tokens: NDArray[np.int64],
    targets: NDArray[np.int64],
    step_number: int,
) -> StepTrace:
    """Returns the state after one step and everything that was computed on the way.

    Args:
        spec: the Spec as read from JSON.
        base: base tensors by name (``base.query`` …), shapes as in docs/spec/step.md.
        state: (master, first, second) per matrix.
        tokens: (rows, tokens) ids.
        targets: (rows, tokens) label of each position, -100 for none.
        step_number: the optimiser step, from 1.

    Raises:
        RefusedSpec: the Spec or an input's shape is not one that the page defines.
        OutOfRange: a value leaves its range; names the tensor.
    """
    if spec["version"] != 1 or step_number < 1:
        raise RefusedSpec("version must be 1, the step number at least 1")
    c = Context(spec, read_base(spec, base), Trace(step_scales(spec)))
    before = read_state(spec, state)
    c.rotation = rotation_tables(spec)
    tokens, targets = read_batch(c, tokens, targets)
    for name, matrix in before.items():
        master = Fixed(matrix.master, c.trace.fraction_bits("master"))
        c.copies[name] = c.trace.rounded(f"{name}.copy", master, name[-1])

    gradients = forward_backward(c, tokens, targets)
    num_labels = int(np.count_nonzero(targets != NO_LABEL))
    factor = clip(spec, c.trace, gradients, num_labels)
    after = optimize(spec, c.trace, before, c.copies, gradients, factor, step_number)
    tensors = c.trace.tensors()
    for name, matrix in after.items():
        for part, values in zip(PARTS, matrix, strict=True):
            tensors[f"state_after.{name}.{part}"] = values
    return StepTrace(after, tensors)


def forward_backward(c: Context, tokens: Integers, targets: Integers) -> dict[str, Fixed]:
    """Returns the gradient of the summed loss for every adapter matrix, (layer, …)."""
    layers = range(int(c.spec["model"]["layers"]))
    exact = embed(c, tokens)
    blocks: list[tuple[Attention, Mlp]] = []
    for layer in layers:
        with c.trace.at(layer):
            h = c.trace.rounded("residual", exact, "residual")
            first = attention(c, h)
            second = mlp(c, first.middle)
        exact = second.out
        blocks.append((first, second))
    with c.trace.at(len(layers)):
        h = c.trace.rounded("residual", exact, "residual")

    exact = head(c, h, targets)
    for layer in reversed(layers):
        with c.trace.at(layer + 1):
            d_out = c.trace.rounded("grad.residual", exact, "grad.residual")
        with c.trace.at(layer):
            d_middle = mlp_backward(c, blocks[layer][1], d_out)
            exact = attention_backward(c, blocks[layer][0], d_middle)
    with c.trace.at(0):
        c.trace.rounded("grad.residual", exact, "grad.residual")

    made = c.trace.tensors()
    return {name: Fixed(made[f"grad.{name}"], c.trace.fraction_bits(f"grad.{name[-1]}")) for name in c.copies}


def read_base(spec: dict[str, Any], base: Mapping[str, NDArray[np.int64]]) -> dict[str, Fixed]:
    """Returns the base tensors, checked, without ``base.`` in their names."""
    shapes = base_shapes(spec)
    if set(base) != set(shapes):
        raise RefusedSpec(f"base tensors: {sorted(set(base) ^ set(shapes))} missing or unknown")
    bits = spec["model"]["base_fraction_bits"]
    return {
        name.removeprefix("base."): Fixed(checked(name, base[name], expected, width, signed=True), int(bits[name]))
        for name, (expected, width) in shapes.items()
    }


def read_state(
    spec: dict[str, Any],
    state: Mapping[str, tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]],
) -> dict[str, Matrix]:
    """Returns the state in canonical order, checked."""
    shapes = matrix_shapes(spec)
    if set(state) != set(shapes):
        raise RefusedSpec(f"state: {sorted(set(state) ^ set(shapes))} missing or unknown")
    read, scales = {}, step_scales(spec)
    for name, expected in shapes.items():
        parts = []
        for (part, kind), values in zip(PARTS.items(), state[name], strict=True):
            scale = scales[kind]
            full, signed = f"state_before.{name}.{part}", bool(scale["signed"])
            parts.append(checked(full, values, expected, int(scale["bits"]), signed=signed))
        read[name] = Matrix(*parts)
    return read


def read_batch(c: Context, tokens: NDArray[np.int64], targets: NDArray[np.int64]) -> tuple[Integers, Integers]:
    """Returns the batch, checked, and records it as the program holds it."""
    expected, vocab = shape(c.spec, "rt", layered=False), int(c.spec["model"]["vocab"])
    read_tokens = checked("tokens", tokens, expected, 62, signed=False)
    read_targets = checked("targets", targets, expected, 62, signed=True)
    labelled = read_targets != NO_LABEL
    labels = np.where(labelled, read_targets, 0)
    if labels.min() < 0 or max(read_tokens.max(), labels.max()) >= vocab:
        raise RefusedSpec(f"tokens, targets: not below {vocab}")
    c.trace.keep("batch.tokens", read_tokens, 62)
    c.trace.keep("batch.targets", labels, 62)
    c.trace.index_bits("batch.token_bits", read_tokens, vocab)
    c.trace.index_bits("batch.target_bits", labels, vocab)
    c.trace.keep("batch.supervised", labelled.astype(np.int64), 1)
    return read_tokens, read_targets
