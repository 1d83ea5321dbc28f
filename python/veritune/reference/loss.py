"""The mean loss, exact: docs/spec/step.md, section 7."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from veritune.reference import fixed
from veritune.reference.exact import Fixed
from veritune.reference.model import Context
from veritune.reference.trace import Integers

LOSS_BITS = 20
LEADING_BITS = 13


def logarithms(c: Context, total: Fixed) -> Integers:
    """Returns ln of the sums of exponentials, (row, token), in units of 2^-20, and records its parts."""
    width = c.trace.bits("vocabulary_sum")
    octaves = width - 1 - total.fraction_bits
    log_2 = fixed.ln_integer(2)
    factors, shifts, highs, lows, mantissas = [], [], [], [], []
    for value in total.values.flat:
        octave = int(value).bit_length() - 1 - total.fraction_bits
        factor = 1 << (octaves - octave)
        high, low = divmod(int(value) * factor, 1 << (width - LEADING_BITS))
        factors.append(factor)
        shifts.append(fixed.round_to(octave * log_2, LOSS_BITS))
        highs.append(high)
        lows.append(low)
        mantissas.append(fixed.round_to(fixed.ln_integer(2 * high + 1) - LEADING_BITS * log_2, LOSS_BITS))
    parts = {
        "loss.factor": (factors, octaves + 1),
        "loss.octave": (shifts, 62),
        "loss.leading.high": (highs, LEADING_BITS),
        "loss.leading.low": (lows, width - LEADING_BITS),
        "loss.mantissa": (mantissas, LOSS_BITS),
    }
    for name, (values, bits) in parts.items():
        c.trace.keep(name, np.array(values, dtype=np.int64).reshape(total.values.shape), bits)
    return np.array(shifts, dtype=np.int64).reshape(total.values.shape) + np.array(mantissas, dtype=np.int64).reshape(
        total.values.shape
    )


def mean_loss(
    c: Context, logit: Fixed, maximum: Fixed, total: Fixed, targets: NDArray[np.int64], labelled: NDArray[np.bool_]
) -> None:
    """Records the sum of the losses of all labels and their mean, scalars in units of 2^-20.

    Args:
        c: the step.
        logit: (row, token, vocab).
        maximum: greatest logit, (row, token).
        total: sum of exponentials, (row, token).
        targets: (row, token), any id where there is no label.
        labelled: (row, token), where there is one.
    """
    log_total = logarithms(c, total)
    at_label = np.take_along_axis(logit.values, np.where(labelled, targets, 0)[..., None], axis=-1)[..., 0]
    at_label = np.where(labelled, at_label, 0)
    c.trace.keep("loss.label_logit", at_label, 62, signed=True)
    unit = 1 << (LOSS_BITS - logit.fraction_bits)
    losses = np.where(labelled, log_total + (maximum.values - at_label) * unit, 0)
    whole = int(losses.sum())
    c.trace.keep("loss.sum", np.array(whole, dtype=np.int64), 62)
    c.trace.keep("loss", np.array(whole // max(1, int(labelled.sum())), dtype=np.int64), LOSS_BITS + 8)
