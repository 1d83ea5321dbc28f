"""Embedding, output head and the gradient of the summed loss: docs/spec/step.md, sections 5 and 7."""

from __future__ import annotations

import numpy as np

from veritune.reference.attention import exponentials
from veritune.reference.exact import Fixed, contract, floor_divide
from veritune.reference.loss import mean_loss
from veritune.reference.model import Context
from veritune.reference.norm import norm_backward, rms_norm
from veritune.reference.trace import Integers

NO_LABEL = -100


def embed(c: Context, tokens: Integers) -> Fixed:
    """Returns the first residual (row, token, hidden), exact."""
    return c.base["embedding"][tokens]


def head(c: Context, h: Fixed, targets: Integers) -> Fixed:
    """Returns, exact, the gradient of the summed loss at the last residual.

    Args:
        c: the step.
        h: the last residual, (row, token, hidden).
        targets: labels, (row, token), -100 without.
    """
    labelled = targets != NO_LABEL
    normed = rms_norm(c, "final.norm", h)
    gain = c.base["gain_final"]
    final = c.trace.rounded("final_normed", normed.y * gain, "final_normed")
    logit = c.trace.rounded("logit", contract("rti,vi->rtv", final, c.head), "logit")
    maximum = c.trace.integers("logit.maximum", logit.values.max(axis=-1), "logit")
    vocab = logit.values.shape[-1]
    c.trace.index_bits("logit.maximum.argument", logit.values.argmax(axis=-1), vocab)
    gap = maximum.values[..., None] - logit.values
    e = exponentials(c, "vocabulary.exponential", gap, np.ones(gap.shape, dtype=bool))
    exact = Fixed(e.values.sum(axis=-1), e.fraction_bits)
    total = c.trace.rounded("vocabulary.sum", exact, "vocabulary_sum")
    mean_loss(c, logit, maximum, total, targets, labelled)
    one = 1 << (total.fraction_bits + c.trace.fraction_bits("vocabulary_inverse"))
    quotient = floor_divide(np.full(total.values.shape, one, dtype=np.int64), total.values)
    inverse = c.trace.integers("vocabulary.inverse", quotient, "vocabulary_inverse")
    exact = contract("rtv,vi->rti", e, c.head)
    expected = c.trace.rounded("expected_embedding", exact, "expected_embedding")

    at_label = c.head[np.where(labelled, targets, 0)]
    mask = Fixed(labelled.astype(np.int64)[..., None], 0)
    exact = (expected * inverse[..., None] - at_label) * mask
    d_final = c.trace.rounded("grad.final_normed", exact, "grad.final_normed")
    dy = c.trace.rounded("grad.final_input", d_final * gain, "grad.normed")
    return norm_backward(c, "final.norm_backward", dy, normed)
