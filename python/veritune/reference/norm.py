"""RMSNorm, forward and backward: docs/spec/step.md, section 6."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from veritune.reference.errors import OutOfRange
from veritune.reference.exact import Fixed, floor_divide
from veritune.reference.fixed import decimal, rounded
from veritune.reference.model import Context

CEILING = (1 << 62) - 1
LEAST_ROOT = 1 << 30
LIMB_BITS = 12


@dataclass(frozen=True)
class Normed:
    """``y`` (…, hidden) without gain, and the reciprocal root (…)."""

    y: Fixed
    reciprocal: Fixed


def rms_norm(c: Context, name: str, x: Fixed) -> Normed:
    """Returns x / sqrt(mean(x^2) + eps), for x (row, token, hidden)."""
    hidden = int(c.spec["model"]["hidden"])
    eps = decimal(c.spec["model"]["rms_norm_eps"])
    epsilon = max(1, rounded(eps * hidden * (1 << (2 * x.fraction_bits))))
    most = -(-max(0, 60 - (epsilon.bit_length() - 1)) // 2)

    width = c.trace.bits("residual")
    if 2 * (width - 1) + (hidden - 1).bit_length() >= 64:
        _limbs(c, name, x, width)
    exponents, roots = [], []
    for row in x.values.reshape(-1, hidden):
        square = sum(int(n) ** 2 for n in row) + epsilon
        if square > CEILING:
            raise OutOfRange(f"{name}.normalise.slack", CEILING - square, 0, CEILING, c.trace.layer)
        e = max(e for e in range(most + 1) if square << (2 * e) <= CEILING)
        exponents.append(e)
        roots.append(math.isqrt(square << (2 * e)))
    outer = x.values.shape[:-1]
    exponent = np.array(exponents, dtype=np.int64).reshape(outer)
    root = np.array(roots, dtype=np.int64).reshape(outer)
    power = 1 << exponent
    c.trace.keep(f"{name}.normalise.power", power, most + 1)
    c.trace.keep(f"{name}.normalise.square", 1 << (2 * exponent), 2 * most + 1)
    c.trace.keep(f"{name}.normalise.ceiling", CEILING >> (2 * exponent), 62)
    c.trace.keep(f"{name}.root", root, 31)
    c.trace.keep(f"{name}.root_excess", root - LEAST_ROOT, 30)

    bits = x.fraction_bits + c.trace.fraction_bits("reciprocal_root")
    factor = (math.isqrt(hidden << (2 * bits + 2)) + 1) // 2
    quotient = floor_divide(power.astype(object) * factor, root.astype(object))
    reciprocal = c.trace.integers(f"{name}.reciprocal", quotient, "reciprocal_root")
    y = c.trace.rounded(f"{name}.y", x * reciprocal[..., None], "normed")
    return Normed(y, reciprocal)


def _limbs(c: Context, name: str, x: Fixed, width: int) -> None:
    """Records the limbs of a wide input, and the sums of their products over hidden."""
    high = c.trace.keep(f"{name}.limbs.high", x.values >> LIMB_BITS, width - LIMB_BITS, signed=True)
    low = c.trace.keep(f"{name}.limbs.low", x.values & ((1 << LIMB_BITS) - 1), LIMB_BITS)
    log_hidden = (x.values.shape[-1] - 1).bit_length()
    c.trace.keep(f"{name}.square.high", (high * high).sum(axis=-1), 62 - 2 * LIMB_BITS)
    c.trace.keep(f"{name}.square.cross", (high * low).sum(axis=-1), -(-(63 + log_hidden) // 2) + 1, signed=True)
    c.trace.keep(f"{name}.square.low", (low * low).sum(axis=-1), 2 * LIMB_BITS + log_hidden)


def norm_backward(c: Context, name: str, dy: Fixed, normed: Normed, passed_by: Fixed | None = None) -> Fixed:
    """Returns, exact, the gradient of the norm's input plus the gradient that passes the norm by.

    All are (row, token, hidden); dy is the gradient of ``y``.
    """
    hidden = int(c.spec["model"]["hidden"])
    bits = min(c.trace.fraction_bits("grad.projection"), dy.fraction_bits + 4)
    product = dy * normed.y
    along = Fixed(product.values.sum(axis=-1), product.fraction_bits).rounded(bits, hidden)
    width = c.trace.bits("grad.projection")
    kept = c.trace.keep(f"{name}.projection", along, width, signed=True)
    projection = Fixed(kept, bits)[..., None]
    rejection = c.trace.rounded(f"{name}.rejection", dy - normed.y * projection, "grad.normed")
    gradient = normed.reciprocal[..., None] * rejection
    return gradient if passed_by is None else gradient + passed_by
