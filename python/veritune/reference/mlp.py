"""The SwiGLU block of one layer, forward and backward: docs/spec/step.md, sections 5 and 7."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from veritune.reference.adapter import linear, linear_backward
from veritune.reference.exact import Fixed
from veritune.reference.fixed import silu_entry
from veritune.reference.model import Context
from veritune.reference.norm import Normed, norm_backward, rms_norm


@dataclass(frozen=True)
class Mlp:
    """What the backward pass of the block reads; ``out`` is exact, before it is rounded."""

    normed: Normed
    gained: Fixed
    up: Fixed
    silu: Fixed
    slope: Fixed
    product: Fixed
    inner: dict[str, Fixed | None]
    out: Fixed


def mlp(c: Context, middle: Fixed) -> Mlp:
    """Returns the residual after the block as ``out``; middle is (row, token, hidden)."""
    normed = rms_norm(c, "mlp.norm", middle)
    gained = normed.y * c.at_layer("gain_mlp")
    inner: dict[str, Fixed | None] = {}
    exact, inner["gate_proj"] = linear(c, "gate_proj", normed.y, gained)
    gate = c.trace.rounded("gate", exact, "gate")
    exact, inner["up_proj"] = linear(c, "up_proj", normed.y, gained)
    up = c.trace.rounded("up", exact, "up")

    scales = [c.trace.fraction_bits(kind) for kind in ("gate", "silu", "silu_derivative")]
    gates, position = np.unique(gate.values, return_inverse=True)
    entries = np.array([silu_entry(int(g), *scales) for g in gates], dtype=np.int64)
    looked = entries[position].reshape(*gate.values.shape, 2)
    silu = c.trace.integers("silu", looked[..., 0], "silu")
    slope = c.trace.integers("silu_derivative", looked[..., 1], "silu_derivative")

    product = c.trace.rounded("product", silu * up, "product")
    exact, inner["down_proj"] = linear(c, "down_proj", product, product)
    return Mlp(normed, gained, up, silu, slope, product, inner, exact + middle)


def mlp_backward(c: Context, forward: Mlp, d_out: Fixed) -> Fixed:
    """Returns the gradient of the residual before the block (grad.middle), from that after it."""
    f = forward
    exact = linear_backward(c, "down_proj", d_out, f.product, f.inner["down_proj"])
    d_product = c.trace.rounded("grad.product", exact, "grad.product")
    d_gate = c.trace.rounded("grad.gate", d_product * f.up * f.slope, "grad.gate")
    d_up = c.trace.rounded("grad.up", d_product * f.silu, "grad.up")
    gain = c.at_layer("gain_mlp")
    exact = linear_backward(c, "gate_proj", d_gate, f.gained, f.inner["gate_proj"], gain)
    exact = exact + linear_backward(c, "up_proj", d_up, f.gained, f.inner["up_proj"], gain)
    dy = c.trace.rounded("grad.mlp_input", exact, "grad.normed")
    exact = norm_backward(c, "mlp.norm_backward", dy, f.normed, d_out)
    return c.trace.rounded("grad.middle", exact, "grad.residual")
