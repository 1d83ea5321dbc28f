"""Exact arithmetic on scaled integer arrays, and the rounding rules of docs/spec/step.md, section 1.

Arrays are int64 as long as a bound from the greatest absolute values shows that nothing reaches
2^63, and Python integers (dtype object) otherwise: expressions are exact either way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
"""Integers: int64, or object holding Python integers."""

LIMIT = 1 << 63


def greatest(values: Array) -> int:
    """Returns the greatest absolute value, 0 if there is none."""
    return max(abs(int(values.min())), abs(int(values.max()))) if values.size else 0


def widened(values: Array, bound: int) -> Array:
    """Returns the values, as Python integers if results up to ``bound`` do not fit int64."""
    return values if bound < LIMIT else values.astype(object)


def narrowed(values: Array) -> Array:
    """Returns the values as int64 if they fit."""
    if values.dtype != object:
        return values.astype(np.int64)
    return values.astype(np.int64) if greatest(values) < LIMIT else values


def floor_divide(numerator: Array, denominator: Array | int) -> Array:
    """Returns ``floor(numerator / denominator)``, toward minus infinity; the denominator is >= 1."""
    if np.any(np.asarray(denominator) < 1):
        raise ZeroDivisionError("a denominator below 1")
    return np.asarray(numerator // denominator)


def half_up(accumulator: Array, divisor: int) -> Array:
    """Returns ``floor((accumulator + divisor/2) / divisor)``; the divisor is even, or 1."""
    if divisor == 1:
        return accumulator
    if divisor < 1 or divisor % 2:
        raise ValueError(f"the divisor {divisor} is neither 1 nor even and positive")
    bound = greatest(accumulator) + divisor
    shifted = np.asarray(widened(accumulator, bound) + divisor // 2)
    return narrowed(floor_divide(shifted, divisor))


def integer_root(squares: Array) -> Array:
    """Returns ``floor(sqrt(square))`` of every entry."""
    flat = [math.isqrt(int(square)) for square in squares.ravel()]
    return np.array(flat, dtype=np.int64).reshape(squares.shape)


@dataclass(frozen=True)
class Fixed:
    """Real numbers ``values / 2^fraction_bits``, exactly."""

    values: Array
    fraction_bits: int

    def __add__(self, other: Fixed) -> Fixed:
        fine = max(self.fraction_bits, other.fraction_bits)
        left, right = self.at(fine), other.at(fine)
        bound = greatest(left) + greatest(right)
        return Fixed(np.asarray(widened(left, bound) + widened(right, bound)), fine)

    def __neg__(self) -> Fixed:
        return Fixed(np.asarray(-widened(self.values, greatest(self.values))), self.fraction_bits)

    def __sub__(self, other: Fixed) -> Fixed:
        return self + -other

    def __mul__(self, other: Fixed) -> Fixed:
        bound = greatest(self.values) * greatest(other.values)
        product = widened(self.values, bound) * widened(other.values, bound)
        return Fixed(np.asarray(product), self.fraction_bits + other.fraction_bits)

    def at(self, fraction_bits: int) -> Array:
        """Returns the integers on a scale at least as fine."""
        shift = fraction_bits - self.fraction_bits
        if shift < 0:
            raise ValueError("not a finer scale")
        bound = greatest(self.values) << shift
        factor = 1 << shift
        if bound < LIMIT and factor >= LIMIT:
            return np.zeros_like(self.values)
        return np.asarray(widened(self.values, bound) * factor)

    def rounded(self, fraction_bits: int, divisor: int = 1) -> Array:
        """Returns the integers of ``self / divisor`` on another scale, rounded half up."""
        shift = self.fraction_bits - fraction_bits
        if shift >= 0:
            return half_up(self.values, divisor << shift)
        return half_up(self.at(fraction_bits), divisor)

    def __getitem__(self, index: Any) -> Fixed:
        return Fixed(np.asarray(self.values[index]), self.fraction_bits)


def constant(value: int, fraction_bits: int = 0) -> Fixed:
    """Returns the number ``value / 2^fraction_bits``."""
    return Fixed(np.array(value, dtype=object if abs(value) >= LIMIT else np.int64), fraction_bits)


def contract(subscripts: str, left: Fixed, right: Fixed) -> Fixed:
    """Returns the sum of products that the subscripts say, exactly; letters as in ``numpy.einsum``."""
    inputs, _, out = subscripts.partition("->")
    lengths: dict[str, int] = {}
    for letters, operand in zip(inputs.split(","), (left, right), strict=True):
        if len(letters) != operand.values.ndim:
            raise ValueError(f"{subscripts}: {letters} has shape {operand.values.shape}")
        for letter, length in zip(letters, operand.values.shape, strict=True):
            if lengths.setdefault(letter, length) != length:
                raise ValueError(f"{subscripts}: {letter} is {lengths[letter]} and {length}")
    terms = math.prod(length for letter, length in lengths.items() if letter not in out)
    bound = terms * greatest(left.values) * greatest(right.values)
    total = np.einsum(subscripts, widened(left.values, bound), widened(right.values, bound))
    return Fixed(narrowed(np.asarray(cast(Array, total))), left.fraction_bits + right.fraction_bits)
