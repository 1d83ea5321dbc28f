"""Attention of one layer, forward and backward: docs/spec/step.md, sections 5 and 7."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from veritune.reference.adapter import linear, linear_backward
from veritune.reference.errors import OutOfRange
from veritune.reference.exact import Array, Fixed, contract, floor_divide
from veritune.reference.fixed import exp_entry
from veritune.reference.model import Context
from veritune.reference.norm import Normed, norm_backward, rms_norm

MAX_GAP = (1 << 18) - 1


@dataclass(frozen=True)
class Attention:
    """What the backward pass of the block reads."""

    normed: Normed
    gained: Fixed
    query: Fixed
    key: Fixed
    value: Fixed
    probability: Fixed
    output: Fixed
    inner: dict[str, Fixed | None]
    middle: Fixed


def exponentials(c: Context, name: str, gap: Array, allowed: Array) -> Fixed:
    """Returns exp(-gap) by the table where ``allowed``, 0 elsewhere."""
    used = np.where(allowed, gap, 0)
    if used.size and (used.min() < 0 or used.max() > MAX_GAP):
        raise OutOfRange(f"{name} (gap)", int(used.max()), 0, MAX_GAP, c.trace.layer)
    gaps, position = np.unique(used, return_inverse=True)
    gap_bits, bits = c.trace.fraction_bits("score"), c.trace.fraction_bits("exponential")
    entries = np.array([exp_entry(int(g), gap_bits, bits) for g in gaps], dtype=np.int64)
    values = np.where(allowed, entries[position].reshape(used.shape), 0)
    return c.trace.integers(name, values, "exponential")


def rotate(c: Context, name: str, x: Fixed, kind: str, *, backward: bool = False) -> Fixed:
    """Returns x (row, token, …, half, pair) rotated by its position, or rotated back."""
    assert c.rotation is not None
    middle = (1,) * (x.values.ndim - 4)
    cos, sin = (
        Fixed(t.values.reshape(t.values.shape[0], *middle, t.values.shape[1]), t.fraction_bits) for t in c.rotation
    )
    if backward:
        sin = -sin
    first, second = x[..., 0, :], x[..., 1, :]
    halves = (first * cos - second * sin, second * cos + first * sin)
    out = Fixed(np.stack([half.values for half in halves], axis=-2), halves[0].fraction_bits)
    return c.trace.rounded(name, out, kind)


def attention(c: Context, h: Fixed) -> Attention:
    """Returns the residual after the block as ``middle``; h is (row, token, hidden)."""
    normed = rms_norm(c, "attention.norm", h)
    gained = normed.y * c.at_layer("gain_attention")
    inner: dict[str, Fixed | None] = {}
    exact, inner["q_proj"] = linear(c, "q_proj", normed.y, gained)
    query_raw = c.trace.rounded("query_raw", exact, "query_raw")
    exact, inner["k_proj"] = linear(c, "k_proj", normed.y, gained)
    key_raw = c.trace.rounded("key_raw", exact, "key_raw")
    exact, inner["v_proj"] = linear(c, "v_proj", normed.y, gained)
    value = c.trace.rounded("value", exact, "value")
    query = rotate(c, "query", query_raw, "query")
    key = rotate(c, "key", key_raw, "key")

    exact = c.score_factor * contract("rtgmhp,rsghp->rgmts", query, key)
    score = c.trace.rounded("score", exact, "score")
    tokens = score.values.shape[-1]
    causal = np.tril(np.ones((tokens, tokens), dtype=bool))
    seen = np.where(causal, score.values, np.iinfo(np.int64).min)
    maximum = c.trace.integers("score.maximum", seen.max(axis=-1), "score")
    c.trace.index_bits("score.maximum.argument", seen.argmax(axis=-1), tokens)
    gap = maximum.values[..., None] - score.values
    exponential = exponentials(c, "exponential", gap, causal)
    one = 1 << (exponential.fraction_bits + c.trace.fraction_bits("inverse_sum"))
    total = exponential.values.sum(axis=-1)
    quotient = floor_divide(np.full(total.shape, one, dtype=np.int64), total)
    inverse = c.trace.integers("inverse_sum", quotient, "inverse_sum")
    probability = c.trace.rounded("probability", exponential * inverse[..., None], "probability")

    exact = contract("rgmts,rsge->rtgme", probability, value)
    output = c.trace.rounded("attention", exact, "attention")
    exact, inner["o_proj"] = linear(c, "o_proj", output, output)
    middle = c.trace.rounded("middle", exact + h, "residual")
    return Attention(normed, gained, query, key, value, probability, output, inner, middle)


def attention_backward(c: Context, forward: Attention, d_middle: Fixed) -> Fixed:
    """Returns, exact, the gradient of the residual before the block, from that after it."""
    f = forward
    exact = linear_backward(c, "o_proj", d_middle, f.output, f.inner["o_proj"])
    d_output = c.trace.rounded("grad.attention", exact, "grad.attention")
    exact = contract("rgmts,rtgme->rsge", f.probability, d_output)
    d_value = c.trace.rounded("grad.value", exact, "grad.value")

    exact = contract("rtgme,rtgme->rgmt", d_output, f.output)
    row_sum = c.trace.rounded("grad.row_sum", exact, "grad.row_sum")
    exact = contract("rtgme,rsge->rgmts", d_output, f.value)
    d_probability = c.trace.rounded("grad.probability", exact, "grad.probability")
    exact = f.probability * (d_probability - row_sum[..., None])
    d_score = c.trace.rounded("grad.score", exact, "grad.score")

    exact = c.score_factor * contract("rgmts,rsghp->rtgmhp", d_score, f.key)
    d_query = c.trace.rounded("grad.query", exact, "grad.query")
    exact = c.score_factor * contract("rgmts,rtgmhp->rsghp", d_score, f.query)
    d_key = c.trace.rounded("grad.key", exact, "grad.key")
    d_query = rotate(c, "grad.query_raw", d_query, "grad.query", backward=True)
    d_key = rotate(c, "grad.key_raw", d_key, "grad.key", backward=True)

    gain = c.at_layer("gain_attention")
    exact = linear_backward(c, "q_proj", d_query, f.gained, f.inner["q_proj"], gain)
    exact = exact + linear_backward(c, "k_proj", d_key, f.gained, f.inner["k_proj"], gain)
    exact = exact + linear_backward(c, "v_proj", d_value, f.gained, f.inner["v_proj"], gain)
    dy = c.trace.rounded("grad.attention_input", exact, "grad.normed")
    return norm_backward(c, "attention.norm_backward", dy, f.normed, d_middle)
