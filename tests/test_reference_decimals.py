"""One grammar of decimals: what the reference reads is what ``crates/relations/tests/decimals.rs`` does."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest

from veritune.reference.fixed import RefusedSpec, decimal

VECTORS = json.loads(
    (Path(__file__).parents[1] / "crates/relations/tests/vectors/decimals.json").read_text("utf-8"),
)


@pytest.mark.parametrize("text", VECTORS)
def test_a_text_is_the_decimal_that_the_vectors_say(text: str) -> None:
    expected = VECTORS[text]
    if expected is None:
        with pytest.raises(RefusedSpec):
            decimal(text)
    else:
        numerator, power = expected
        assert decimal(text) == Fraction(int(numerator), 10**power)
