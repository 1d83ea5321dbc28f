"""The rounding rules, functions and constants of docs/spec/step.md, against values made by hand."""

import decimal
import math
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from veritune.reference import fixed
from veritune.reference.constants import learning_rate, power, step_constants
from veritune.reference.errors import OutOfRange, RefusedSpec
from veritune.reference.exact import (
    Fixed,
    constant,
    contract,
    floor_divide,
    half_up,
    integer_root,
)
from veritune.reference.tiny import training
from veritune.reference.trace import Trace

SCALES = {
    "coarse": {"bits": 4, "signed": True, "fraction_bits": 1},
    "natural": {"bits": 3, "signed": False, "fraction_bits": 0},
}


def ints(*values: int) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


# Rescale: half up.


def test_a_rescale_by_a_power_of_two_rounds_half_up() -> None:
    # -7/4 = -1.75, -6/4 = -1.5, -5/4, -4/4, -3/4, -2/4 = -0.5, -1/4, 0, 1/4, 2/4, 3/4, 6/4
    quarters = ints(-7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 6)
    assert half_up(quarters, 4).tolist() == [-2, -1, -1, -1, -1, 0, 0, 0, 0, 1, 1, 2]


def test_a_rescale_by_ten_rounds_half_up() -> None:
    # -1.5, -1.4, -0.6, -0.5, -0.4, 0.4, 0.5, 1.5
    assert half_up(ints(-15, -14, -6, -5, -4, 4, 5, 15), 10).tolist() == [-1, -1, -1, 0, 0, 0, 1, 2]


def test_a_divisor_of_one_copies_and_odd_or_negative_ones_are_refused() -> None:
    assert half_up(ints(-3, 7), 1).tolist() == [-3, 7]
    for divisor in (0, -2, 3):
        with pytest.raises(ValueError, match="divisor"):
            half_up(ints(1), divisor)


def test_a_rescale_near_the_end_of_int64_does_not_wrap() -> None:
    top = (1 << 63) - 1
    assert half_up(ints(top, -top - 1), 2).tolist() == [1 << 62, -(1 << 62)]


def test_a_sum_coarser_than_its_result_is_exact() -> None:
    assert Fixed(ints(-3, 5), 1).rounded(4).tolist() == [-24, 40]


def test_rounding_to_a_scale_uses_the_real_value_of_the_whole_sum() -> None:
    # 3/8 + (-1/2) = -1/8; at 2 fraction bits -0.5 rounds to 0. Rounded apart: 2/4 - 2/4 = 0 too, so
    # also 3/8 + 3/8 = 6/8 -> 3/4, where rounding apart gives 2/4 + 2/4 = 1.
    assert (Fixed(ints(3), 3) + Fixed(ints(-1), 1)).rounded(2).tolist() == [0]
    assert (Fixed(ints(3), 3) + Fixed(ints(3), 3)).rounded(2).tolist() == [3]


def test_a_mean_over_three_entries_rounds_half_up() -> None:
    # -9/4 / 3 = -0.75; at 1 fraction bit -1.5 -> -1
    assert Fixed(ints(-9), 2).rounded(1, divisor=3).tolist() == [-1]


# Division, square root, split.


def test_division_goes_toward_minus_infinity() -> None:
    assert floor_divide(ints(7, -7, -1, 0, -8), 4).tolist() == [1, -2, -1, 0, -2]
    with pytest.raises(ZeroDivisionError):
        floor_divide(ints(1), ints(0))


def test_the_root_is_the_floor() -> None:
    squares = [0, 1, 3, 4, 8, 9, (1 << 62) - 1, (1 << 31) ** 2 - 1]
    roots = [0, 1, 1, 2, 2, 3, (1 << 31) - 1, (1 << 31) - 1]
    assert integer_root(ints(*squares)).tolist() == roots


def test_truncation_goes_toward_zero() -> None:
    assert [fixed.truncated(a, 4) for a in (-7, -4, -1, 0, 7)] == [-1, -1, 0, 0, 1]


# Exactness and ranges.


def test_contractions_beyond_int64_are_exact() -> None:
    big = Fixed(ints(1 << 40, -(1 << 40)), 0)
    assert contract("i,i->", big, big).values.item() == 1 << 81
    assert (big * big).values.tolist() == [1 << 80, 1 << 80]
    assert (constant(1, 70) + constant(1)).values.item() == (1 << 70) + 1


def test_contractions_with_unequal_axes_are_refused() -> None:
    with pytest.raises(ValueError, match="i is 2 and 1"):
        contract("i,i->", Fixed(ints(1, 2), 0), Fixed(ints(1), 0))


@pytest.mark.parametrize(("value", "fits"), [(-8, True), (7, True), (8, False), (-9, False)])
def test_signed_ranges_are_exact(value: int, fits: bool) -> None:
    trace = Trace(SCALES)
    if fits:
        assert trace.integers("score", ints(value), "coarse").values.tolist() == [value]
    else:
        with pytest.raises(OutOfRange, match=rf"score: {value} is not in -8 \.\.= 7") as caught:
            trace.integers("score", ints(value), "coarse")
        assert caught.value.tensor == "score"


def test_unsigned_ranges_are_exact_and_errors_name_the_layer() -> None:
    trace = Trace(SCALES)
    trace.integers("p", ints(0, 7), "natural")
    with trace.at(3), pytest.raises(OutOfRange, match=r"p, layer 3: -1 is not in 0 \.\.= 7"):
        trace.integers("p", ints(-1), "natural")


def test_index_bits_start_with_the_least_significant() -> None:
    trace = Trace({})
    trace.index_bits("bits", ints(5, 2), 6)
    trace.index_bits("one", ints(0), 1)
    assert trace.tensors()["bits"].tolist() == [[1, 0, 1], [0, 1, 0]]
    assert trace.tensors()["one"].tolist() == [[0]]


# Functions.


def test_constants_are_the_rounded_real_numbers() -> None:
    with decimal.localcontext(prec=60):
        # Machin: pi = 16 atan(1/5) - 4 atan(1/239)
        def atan_inverse(n: int) -> decimal.Decimal:
            terms = ((-1) ** k / (decimal.Decimal(2 * k + 1) * n ** (2 * k + 1)) for k in range(60))
            return sum(terms, decimal.Decimal(0))

        pi = 16 * atan_inverse(5) - 4 * atan_inverse(239)
        assert round(pi * 2**60) == fixed.PI
        assert round(decimal.Decimal(2).ln() * 2**60) == fixed.LN2


def test_entries_of_the_exponential_table_are_the_rounded_exponentials() -> None:
    for gap in range(0, 1 << 18, 37):
        entry = fixed.exp_entry(gap, 11, 24)
        with decimal.localcontext(prec=40):
            real = (decimal.Decimal(-gap) / 2**11).exp() * 2**24
            assert abs(real - entry) <= decimal.Decimal("0.5"), gap
    assert fixed.exp_entry(0, 11, 24) == 1 << 24
    assert fixed.exp_entry((1 << 18) - 1, 11, 24) == 0


@pytest.mark.parametrize("bits", [6, 7, 10])
def test_silu_and_its_derivative_are_within_half_a_unit(bits: int) -> None:
    for gate in (-32768, -5000, -700, -1, 0, 1, 33, 4096, 32767):
        x = gate / 2**bits
        sigmoid = 1 / (1 + math.exp(-x))
        silu, slope = fixed.silu_entry(gate, bits, bits, 14)
        assert abs(silu / 2**bits - x * sigmoid) <= 0.5 / 2**bits + 1e-9
        assert abs(slope / 2**14 - sigmoid * (1 + x * (1 - sigmoid))) <= 0.5 / 2**14 + 1e-9


def test_rotation_entries_are_the_rounded_cosines() -> None:
    for position, pair in ((0, 0), (1, 0), (1, 15), (63, 1), (4095, 7)):
        angle = position * 10_000 ** (-2 * pair / 32)
        cos, sin = fixed.rotation_entry(position, pair, 32, 10_000)
        assert abs(cos - math.cos(angle) * (1 << fixed.ROTATION_BITS)) <= 0.5 + 1e-4
        assert abs(sin - math.sin(angle) * (1 << fixed.ROTATION_BITS)) <= 0.5 + 1e-4


def test_the_score_factor_is_exact_for_powers_of_four() -> None:
    assert fixed.score_factor(4) == (1, 1)
    assert fixed.score_factor(64) == (1, 3)
    assert fixed.score_factor(32) == (11585, 16)  # 65536 / 5.65685 = 11585.24
    assert fixed.score_factor(2) == (46341, 16)  # 46340.95
    assert fixed.score_factor(9) == (21845, 16)  # 21845.33


def test_decimals_are_exact() -> None:
    assert fixed.decimal("1e-3") == Fraction(1, 1000)
    assert fixed.decimal("-0.50") == Fraction(-1, 2)
    assert fixed.decimal("12E+2") == 1200
    assert fixed.at_bits("-0.5", 0) == 0
    assert fixed.at_bits("1.5", 0) == 2
    assert fixed.at_bits("0.1", 10) == 102  # 102.4
    for text in ("", ".", "1e", "1/3", "1e31", "nan", "1" * 31):
        with pytest.raises(RefusedSpec):
            fixed.decimal(text)


# Constants of a step.


def rate(step_number: int, **changes: object) -> float:
    return learning_rate(training(**changes), step_number) / fixed.ONE


def test_schedules_are_those_of_hugging_face() -> None:
    recipe = {"learning_rate": "0.5", "warmup_steps": 4, "steps": 12}
    assert [rate(t, schedule="constant", **recipe) for t in (1, 2, 5, 12)] == [0, 0.125, 0.5, 0.5]
    linear = [rate(t, schedule="linear", **recipe) for t in (3, 5, 7, 12)]
    assert linear == pytest.approx([0.25, 0.5, 0.375, 0.0625], abs=1e-15)
    cosine = [rate(t, schedule="cosine", **recipe) for t in (5, 9, 12)]
    expected = [0.5 * 0.5 * (1 + math.cos(math.pi * p)) for p in (0, 0.5, 7 / 8)]
    assert cosine == pytest.approx(expected, abs=1e-15)


def test_powers_round_at_every_product() -> None:
    half = fixed.ONE >> 1
    assert [power(half, t) for t in (0, 1, 3)] == [fixed.ONE, half, fixed.ONE >> 3]
    assert power(fixed.at_bits("0.999", 60), 1000) / fixed.ONE == pytest.approx(0.999**1000, abs=1e-15)


def test_adam_constants_are_those_of_pytorch() -> None:
    for t in (1, 2, 10, 1000):
        recipe = training(schedule="constant", warmup_steps=0, learning_rate="1e-3")
        got = step_constants(recipe, t, 34)
        root = math.sqrt(1 - 0.999**t)
        assert got.update_factor == pytest.approx(1e-3 * root / (1 - 0.9**t) * 2**34, abs=0.51)
        assert got.epsilon == pytest.approx(1e-8 * root * 2**34, abs=0.51)
        assert got.decay_factor == round(1e-5 * 2**30)
    with pytest.raises(RefusedSpec, match="adam_epsilon"):
        step_constants(training(adam_epsilon="1e-10"), 1, 34)


def test_sgd_needs_no_epsilon() -> None:
    recipe = training(optimizer="sgd", schedule="constant", warmup_steps=0, learning_rate="0.5")
    assert step_constants(recipe, 3, 34).update_factor == 1 << 33
