"""The public sampler: its known answer, and that it is a permutation without favourites."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from pathlib import Path

import pytest

from veritune import sampler

SEED = bytes(range(32))
PAGE = Path(__file__).resolve().parent.parent / "docs" / "spec" / "sampler.md"


def _row(name: str) -> str:
    line = next(x for x in PAGE.read_text("utf-8").splitlines() if x.startswith(f"| {name}"))
    return line.split("|")[2]


def test_the_known_answer_of_the_specification() -> None:
    words = [int(word, 16) for word in re.findall(r"`([0-9a-f]{16})`", _row("words 0–4"))]
    assert list(itertools.islice(sampler.words(SEED, 0), 5)) == words
    for epoch in (0, 1):
        order = [int(number) for number in _row(f"permutation of epoch {epoch}").split()]
        assert sampler.permutation(SEED, epoch, 11) == order
    steps = re.findall(r"\((\d+), (\d+)\)", _row("step 1"))
    for step, rows in zip((1, 5, 6), steps, strict=True):
        assert sampler.step_rows(SEED, step, 11, 2) == [int(row) for row in rows]


@pytest.mark.parametrize("num_rows", [1, 2, 3, 64, 403])
def test_an_epoch_reads_every_row_at_most_once_and_drops_the_rest(num_rows: int) -> None:
    assert sorted(sampler.permutation(SEED, 5, num_rows)) == list(range(num_rows))
    batch = min(4, num_rows)
    per_epoch = num_rows // batch
    read = [row for step in range(1, per_epoch + 1) for row in sampler.step_rows(SEED, step, num_rows, batch)]
    assert len(set(read)) == len(read) == per_epoch * batch


def test_another_seed_or_epoch_gives_another_order() -> None:
    orders = {tuple(sampler.permutation(SEED, epoch, 20)) for epoch in range(20)}
    assert len(orders) == 20
    assert sampler.permutation(bytes(32), 0, 20) != sampler.permutation(SEED, 0, 20)


def test_rejected_words_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    # For j = 2 the largest accepted word is 3 * floor(2^64 / 3) - 1 = 2^64 - 2.
    monkeypatch.setattr(sampler, "words", lambda _seed, _epoch: iter([2**64 - 1, 2**64 - 2, 0]))
    assert sampler.permutation(SEED, 0, 3) == [1, 0, 2]


def test_every_order_of_three_rows_is_about_equally_frequent() -> None:
    drawn = 6000
    counts = Counter(tuple(sampler.permutation(SEED, epoch, 3)) for epoch in range(drawn))
    expected = drawn / 6
    chi_square = sum((count - expected) ** 2 / expected for count in counts.values())
    # 5 degrees of freedom: 25.7 is exceeded with probability 1e-4; the draw is fixed, so is the result.
    assert len(counts) == 6 and chi_square < 25.7


def test_a_seed_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        sampler.permutation(b"short", 0, 3)
