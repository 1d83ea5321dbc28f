"""What a step leaves behind: every named tensor, checked against its kind when it is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritune.reference.errors import OutOfRange, RefusedSpec
from veritune.reference.exact import Array, Fixed, narrowed

Integers = NDArray[np.int64]


class Trace:
    """Named tensors of one step; while ``layer`` is set, a tensor is written one layer at a time."""

    def __init__(self, scales: dict[str, dict[str, Any]]) -> None:
        self.layer: int | None = None
        self._scales = scales
        self._whole: dict[str, Integers] = {}
        self._by_layer: dict[str, dict[int, Integers]] = {}

    @contextmanager
    def at(self, layer: int) -> Iterator[None]:
        """Has tensors written inside recorded as one layer (or one boundary between layers)."""
        self.layer = layer
        try:
            yield
        finally:
            self.layer = None

    def bits(self, kind: str) -> int:
        """Returns the width of a kind."""
        return int(self._scale(kind)["bits"])

    def fraction_bits(self, kind: str) -> int:
        """Returns the fraction bits of a kind."""
        return int(self._scale(kind)["fraction_bits"])

    def keep(self, name: str, values: Array, bits: int, *, signed: bool = False) -> Integers:
        """Records integers that must fit in ``bits`` bits.

        Raises:
            OutOfRange: one does not.
        """
        low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
        if values.size:
            least, most = int(values.min()), int(values.max())
            if least < low or most > high:
                observed = most if most - high > low - least else least
                raise OutOfRange(name, observed, low, high, self.layer)
        kept: Integers = narrowed(values).astype(np.int64)
        if self.layer is None:
            self._whole[name] = kept
        else:
            self._by_layer.setdefault(name, {})[self.layer] = kept
        return kept

    def integers(self, name: str, values: Array, kind: str) -> Fixed:
        """Records integers of a kind and returns the numbers that they stand for."""
        signed = bool(self._scale(kind)["signed"])
        kept = self.keep(name, values, self.bits(kind), signed=signed)
        return Fixed(kept, self.fraction_bits(kind))

    def rounded(self, name: str, exact: Fixed, kind: str) -> Fixed:
        """Rounds to the scale of a kind, half up, and records."""
        return self.integers(name, exact.rounded(self.fraction_bits(kind)), kind)

    def index_bits(self, name: str, indices: Array, length: int) -> None:
        """Records the bits of indices in ``0 .. length``, least significant first."""
        num_bits = max(1, (length - 1).bit_length())
        bits = (indices[..., None] >> np.arange(num_bits)) & 1
        self.keep(name, bits, 1)

    def tensors(self) -> dict[str, Integers]:
        """Returns every tensor; those made by layer have the layer as first axis."""
        stacked = {
            name: np.stack([layers[layer] for layer in sorted(layers)]) for name, layers in self._by_layer.items()
        }
        return {**self._whole, **stacked}

    def _scale(self, kind: str) -> dict[str, Any]:
        if kind not in self._scales:
            raise RefusedSpec(f"scales.{kind}: missing")
        return self._scales[kind]
