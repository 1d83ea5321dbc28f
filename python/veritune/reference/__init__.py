"""One training step in exact integers, slow and obvious: docs/spec/step.md in NumPy.

Written from that page, apart from the program that is executed and proved; tests compare the two
tensor by tensor, bit for bit. ``float64`` is the same step in real numbers.
"""

from veritune.reference.errors import OutOfRange, RefusedSpec
from veritune.reference.optimizer import Matrix
from veritune.reference.step import StepTrace, step

__all__ = ["Matrix", "OutOfRange", "RefusedSpec", "StepTrace", "step"]
