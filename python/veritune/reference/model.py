"""Shapes of a model, its base and its adapter: docs/spec/step.md, section 2."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from veritune.reference import fixed
from veritune.reference.errors import RefusedSpec
from veritune.reference.exact import Fixed
from veritune.reference.trace import Integers, Trace

MODULES: dict[str, tuple[str, str, str]] = {
    "q_proj": ("query", "i", "gmhp"),
    "k_proj": ("key", "i", "ghp"),
    "v_proj": ("value", "i", "ge"),
    "o_proj": ("output", "gme", "i"),
    "gate_proj": ("gate", "i", "f"),
    "up_proj": ("up", "i", "f"),
    "down_proj": ("down", "f", "i"),
}
"""Module: its base tensor, the axes of its input and of its output, one letter per axis.

Letters: r row, t token, s source, i hidden, g group, m member, h half, p pair, e entry, f ffn,
v vocab, k rank.
"""

BIASES = {"q_proj": "query_bias", "k_proj": "key_bias", "v_proj": "value_bias"}
BIAS_BITS = 24


def axis_lengths(spec: dict[str, Any]) -> dict[str, int]:
    """Returns the length of every lettered axis."""
    model, training = spec["model"], spec["training"]
    return {
        "r": training["rows"],
        "t": training["tokens"],
        "s": training["tokens"],
        "i": model["hidden"],
        "g": model["kv_heads"],
        "m": model["heads"] // model["kv_heads"],
        "h": 2,
        "p": model["head_dim"] // 2,
        "e": model["head_dim"],
        "f": model["ffn"],
        "v": model["vocab"],
        "k": spec["lora"]["r"],
    }


def shape(spec: dict[str, Any], letters: str, *, layered: bool = True) -> tuple[int, ...]:
    """Returns the shape of a tensor with these axes, behind a layer axis if it is layered."""
    lengths = axis_lengths(spec)
    first = (int(spec["model"]["layers"]),) if layered else ()
    return first + tuple(int(lengths[letter]) for letter in letters)


def base_shapes(spec: dict[str, Any]) -> dict[str, tuple[tuple[int, ...], int]]:
    """Returns (shape, signed bits) of every base tensor."""
    bits, gain_bits = int(spec["model"]["base_bits"]), int(spec["model"]["gain_bits"])
    embedding = shape(spec, "vi", layered=False)
    shapes = {"base.embedding": (embedding, bits)}
    if not spec["model"]["tied"]:
        shapes["base.head"] = (embedding, bits)
    for weight, inputs, outputs in MODULES.values():
        shapes[f"base.{weight}"] = (shape(spec, outputs + inputs), bits)
    shapes["base.gain_attention"] = shapes["base.gain_mlp"] = (shape(spec, "i"), gain_bits)
    shapes["base.gain_final"] = (shape(spec, "i", layered=False), gain_bits)
    if spec["model"]["qkv_bias"]:
        for module, bias in BIASES.items():
            shapes[f"base.{bias}"] = (shape(spec, MODULES[module][2]), BIAS_BITS)
    return shapes


def matrix_shapes(spec: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Returns the shape of every adapter matrix, in canonical order."""
    shapes = {}
    targets = spec["lora"]["targets"]
    if not targets or [module for module in MODULES if module in targets] != targets:
        raise RefusedSpec(f"lora.targets: {targets} is empty or not in canonical order")
    for module in targets:
        _, inputs, outputs = MODULES[module]
        shapes[f"{module}.a"] = shape(spec, "k" + inputs)
        shapes[f"{module}.b"] = shape(spec, outputs + "k")
    return shapes


def checked(name: str, values: Any, expected: tuple[int, ...], bits: int, *, signed: bool) -> Integers:
    """Returns an input as int64 after checking type, shape and range."""
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.integer):
        raise RefusedSpec(f"{name}: {array.dtype} is not an integer type")
    if array.shape != expected:
        raise RefusedSpec(f"{name}: shape {array.shape}, expected {expected}")
    return Trace({}).keep(name, array, bits, signed=signed)


@dataclass
class Context:
    """What every function of the step reads, and the trace that it writes.

    Attributes:
        spec: the Spec.
        base: base tensors without ``base.``, all layers.
        copies: rounded copies of the adapter matrices, all layers, by name.
        rotation: (cos, sin), each (token, pair).
        trace: where tensors go; ``trace.layer`` is the layer at work.
    """

    spec: dict[str, Any]
    base: dict[str, Fixed]
    trace: Trace
    copies: dict[str, Fixed] = field(default_factory=dict)
    rotation: tuple[Fixed, Fixed] | None = None

    @property
    def targets(self) -> list[str]:
        """Modules that have an adapter."""
        return list(self.spec["lora"]["targets"])

    @property
    def lora_scaling(self) -> Fixed:
        """``lora_alpha / r``."""
        return Fixed(np.array(self.spec["lora"]["scaling_65536"], dtype=np.int64), 16)

    @property
    def score_factor(self) -> Fixed:
        """``1/sqrt(head_dim)``."""
        value, bits = fixed.score_factor(int(self.spec["model"]["head_dim"]))
        return Fixed(np.array(value, dtype=np.int64), bits)

    @property
    def head(self) -> Fixed:
        """The output embedding, (vocab, hidden)."""
        return self.base["embedding" if self.spec["model"]["tied"] else "head"]

    def at_layer(self, name: str) -> Fixed:
        """Returns a base tensor of the layer at work."""
        return self.base[name][self.trace.layer]

    def copy(self, name: str) -> Fixed:
        """Returns the copy of an adapter matrix of the layer at work."""
        return self.copies[name][self.trace.layer]


def rotation_tables(spec: dict[str, Any]) -> tuple[Fixed, Fixed]:
    """Returns cos and sin, each (token, pair)."""
    tokens, head_dim = spec["training"]["tokens"], spec["model"]["head_dim"]
    theta = fixed.decimal(spec["model"]["rope_theta"])
    if theta.denominator != 1 or not 1 <= theta <= 1 << 40:
        raise RefusedSpec("model.rope_theta: not a whole number in 1..=2^40")
    table = np.array(
        [[fixed.rotation_entry(t, j, head_dim, int(theta)) for j in range(head_dim // 2)] for t in range(tokens)],
        dtype=np.int64,
    )
    return Fixed(table[..., 0], fixed.ROTATION_BITS), Fixed(table[..., 1], fixed.ROTATION_BITS)
