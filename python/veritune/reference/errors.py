"""What stops the reference: a Spec that it refuses, or a value that leaves its range."""

from __future__ import annotations


class RefusedSpec(ValueError):
    """The Spec, or an input's shape, is outside what docs/spec/step.md defines."""


class OutOfRange(ArithmeticError):
    """A value that its tensor may not hold.

    Args:
        tensor: name of the tensor.
        observed: the value farthest outside.
        low: least allowed value.
        high: greatest allowed value.
        layer: the layer, for a tensor that is made layer by layer.
    """

    def __init__(self, tensor: str, observed: int, low: int, high: int, layer: int | None = None) -> None:
        where = tensor if layer is None else f"{tensor}, layer {layer}"
        super().__init__(f"{where}: {observed} is not in {low} ..= {high}")
        self.tensor, self.observed, self.low, self.high = tensor, observed, low, high
        self.layer = layer
