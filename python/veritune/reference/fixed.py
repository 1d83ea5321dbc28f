"""Functions in integers with 60 fraction bits: docs/spec/step.md, section 3."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from functools import cache

from veritune.reference.errors import RefusedSpec

BITS = 60
ONE = 1 << BITS
PI = 3622009729038561421
LN2 = 799144290325165979
ROTATION_BITS = 16

_DECIMAL = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?", re.ASCII)


def multiply(a: int, b: int) -> int:
    """Returns ``a * b``, rounded half up."""
    return (a * b + (ONE >> 1)) >> BITS


def truncated(a: int, b: int) -> int:
    """Returns ``a / b`` rounded toward zero, for ``b >= 1``."""
    return a // b if a >= 0 else -(-a // b)


def round_to(x: int, bits: int) -> int:
    """Returns x with ``bits`` fraction bits, rounded half up."""
    shift = BITS - bits
    return x if shift == 0 else (x + (1 << (shift - 1))) >> shift


def exp_negative(x: int) -> int:
    """Returns exp(-x) for x >= 0."""
    k = x // LN2
    if k > 62:
        return 0
    rest = x - k * LN2
    total = term = ONE
    for n in range(1, 25):
        term = truncated(-multiply(term, rest), n)
        total += term
        if term == 0:
            break
    return (total + ((1 << k) >> 1)) >> k


def ln_integer(x: int) -> int:
    """Returns ln(x) for an integer x >= 1."""
    k = x.bit_length() - 1
    mantissa = (x << BITS) >> k
    z = ((mantissa - ONE) << BITS) // (mantissa + ONE)
    square = multiply(z, z)
    power, total = z, 0
    for n in range(40):
        total += power // (2 * n + 1)
        power = multiply(power, square)
        if power == 0:
            break
    return k * LN2 + 2 * total


def cos_sin(x: int) -> tuple[int, int]:
    """Returns (cos x, sin x) for x >= 0."""
    small = (x % (2 * PI)) >> 8
    square = multiply(small, small)
    cos = cos_term = ONE
    sin = sin_term = small
    for n in range(1, 11):
        cos_term = truncated(-multiply(cos_term, square), (2 * n - 1) * (2 * n))
        sin_term = truncated(-multiply(sin_term, square), (2 * n) * (2 * n + 1))
        cos += cos_term
        sin += sin_term
    for _ in range(8):
        cos, sin = multiply(cos, cos) - multiply(sin, sin), 2 * multiply(sin, cos)
    return cos, sin


@cache
def exp_entry(gap: int, gap_bits: int, bits: int) -> int:
    """Returns the entry of the exponential table at a gap."""
    return round_to(exp_negative(gap << (BITS - gap_bits)), bits)


@cache
def silu_entry(gate: int, gate_bits: int, silu_bits: int, slope_bits: int) -> tuple[int, int]:
    """Returns the entries of the SiLU table and of its derivative's at a gate."""
    x = gate << (BITS - gate_bits)
    positive = (ONE << BITS) // (ONE + exp_negative(abs(x)))
    sigmoid = positive if gate >= 0 else ONE - positive
    slope = multiply(sigmoid, ONE + multiply(x, ONE - sigmoid))
    return round_to(multiply(x, sigmoid), silu_bits), round_to(slope, slope_bits)


def rotation_entry(position: int, pair: int, head_dim: int, theta: int) -> tuple[int, int]:
    """Returns (cos, sin) of the rotation of a pair at a position, with 16 fraction bits."""
    frequency = exp_negative(2 * pair * ln_integer(theta) // head_dim)
    cos, sin = cos_sin(position * frequency)
    return round_to(cos, ROTATION_BITS), round_to(sin, ROTATION_BITS)


def score_factor(head_dim: int) -> tuple[int, int]:
    """Returns 1/sqrt(head_dim) as (integer, fraction bits)."""
    root = math.isqrt(head_dim)
    if root * root == head_dim and root & (root - 1) == 0:
        return 1, root.bit_length() - 1
    return (math.isqrt((1 << 34) // head_dim) + 1) // 2, 16


def decimal(text: str) -> Fraction:
    """Returns the number that a decimal of the Spec writes."""
    match = _DECIMAL.fullmatch(text)
    whole, fraction = (match[2], match[3] or "") if match else ("", "")
    exponent = int(match[4] or 0) if match else 0
    if not match or not 1 <= len(whole + fraction) <= 30 or abs(exponent) > 30:
        raise RefusedSpec(f"{text!r} is not a decimal number of at most 30 digits")
    value = Fraction(int(whole + fraction)) * Fraction(10) ** (exponent - len(fraction))
    return -value if match[1] == "-" else value


def decimal_places(value: Fraction, greatest: int) -> int | None:
    """Returns how many decimals a number has, or None if they are more than ``greatest``."""
    return next((k for k in range(greatest + 1) if (value * 10**k).denominator == 1), None)


def rounded(value: Fraction) -> int:
    """Returns the nearest integer, half up."""
    return math.floor(value + Fraction(1, 2))


def at_bits(text: str, bits: int) -> int:
    """Returns a decimal of the Spec with this many fraction bits, half up."""
    value = rounded(decimal(text) * (1 << bits))
    if abs(value) >= 1 << 62:
        raise RefusedSpec(f"{text} does not fit in 62 bits with {bits} fraction bits")
    return value
