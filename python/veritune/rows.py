"""One reader of JSONL rows for all commands: files to token arrays, with a report per row."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritune.encoder import Encoder
from veritune.errors import Code, InternalError, InvalidInput
from veritune.files import RepeatedKey, canonical_json, parse_json, unreadable
from veritune.memory import check_memory
from veritune.recipe import Recipe
from veritune.template import Rendered, RowError, Template, load_template, render_row

MAX_LINE_BYTES = 16 << 20
IGNORED = -100
"""Label of a position that is not supervised, as in PyTorch's cross-entropy."""

_ENCODE_BATCH = 1024


@dataclass(frozen=True)
class Source:
    """Where a row comes from: file, line (from 1) and its meta object."""

    path: Path
    line: int
    meta: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True)
class RowReport:
    """What became of one row.

    Attributes:
        source: file, line, meta.
        form: messages, instruction, prompt or text.
        num_tokens: tokens in the array, padding not counted.
        num_dropped: tokens cut off by long_rows: truncate.
        num_labels: supervised tokens that are predicted.
        num_straddling: tokens across the edge of a supervised span; they are not supervised.
    """

    source: Source
    form: str
    num_tokens: int
    num_dropped: int
    num_labels: int
    num_straddling: int


@dataclass(frozen=True)
class Rows:
    """A tokenized dataset.

    Attributes:
        tokens: (num_rows, bucket) int64, C-contiguous, ids padded with the pad id.
        targets: (num_rows, bucket) int64; targets[row, t] = tokens[row, t + 1] where that token is
            supervised, else -100. The last column is -100.
        meta: (num_rows, 32) uint8: SHA-256 of the canonical JSON of each row's meta data.
    """

    tokens: NDArray[np.int64]
    targets: NDArray[np.int64]
    meta: NDArray[np.uint8]

    def __len__(self) -> int:
        return int(self.tokens.shape[0])


@dataclass(frozen=True)
class Dataset:
    """Rows, what became of each, and the digests that the plan fixes.

    Attributes:
        rows: the arrays.
        reports: one per row.
        paths, file_sha256: the files in order, and the digest of each, hex.
        template, tokenizer_sha256: how text became tokens.
    """

    rows: Rows
    reports: tuple[RowReport, ...]
    paths: tuple[Path, ...]
    file_sha256: tuple[str, ...]
    template: Template
    tokenizer_sha256: str

    def summary(self) -> dict[str, Any]:
        """Returns counts for people and for --json."""
        reports = self.reports
        return {
            "rows": len(reports),
            "forms": dict(sorted(Counter(report.form for report in reports).items())),
            "tokens": sum(report.num_tokens for report in reports),
            "labels": sum(report.num_labels for report in reports),
            "truncated_rows": sum(report.num_dropped > 0 for report in reports),
            "longest_row_tokens": max(report.num_tokens for report in reports),
            "straddling_tokens": sum(report.num_straddling for report in reports),
        }

    def meta_counts(self, field: str) -> dict[str, int]:
        """Returns how many rows have each value of a meta field ("" where absent)."""
        values = (str(report.source.meta.get(field, "")) for report in self.reports)
        return dict(sorted(Counter(values).items()))


def read_dataset(recipe: Recipe) -> Dataset:
    """Returns the tokenized rows of the recipe's files, in order.

    Raises:
        InvalidInput: a DATA code with file and line; TOKENIZER, VOCABULARY, FILE_UNREADABLE.
    """
    encoder = Encoder(recipe.model_dir)
    template = load_template(recipe.template, encoder.chat_template)
    sources: list[Source] = []
    rendered: list[Rendered] = []
    digests, digests_of_meta = [], []
    for path in recipe.files:
        digest = hashlib.sha256()
        for source, row in _read_lines(path, digest):
            try:
                rendered.append(render_row(row, template, encoder.specials))
            except RowError as error:
                raise InvalidInput(error.code, error.message, location=str(source), remedy=error.remedy) from None
            sources.append(source)
            digests_of_meta.append(_digest_of_meta(source))
        digests.append(digest.hexdigest())
    if not sources:
        raise InvalidInput(
            Code.DATA_EMPTY,
            "the dataset has no rows",
            location=", ".join(str(path) for path in recipe.files),
            remedy="give JSONL files with one row a line",
        )
    # Two arrays of int64 here, and the core's copies of them.
    check_memory(4 * 8 * len(sources) * recipe.bucket)
    tokens = np.full((len(sources), recipe.bucket), encoder.pad_id, dtype=np.int64)
    targets = np.full((len(sources), recipe.bucket), IGNORED, dtype=np.int64)
    reports = []
    for start in range(0, len(sources), _ENCODE_BATCH):
        texts = [item.text for item in rendered[start : start + _ENCODE_BATCH]]
        for index, (ids, offsets) in enumerate(encoder.encode(texts), start=start):
            reports.append(
                _fill_row(
                    sources[index],
                    rendered[index],
                    ids,
                    offsets,
                    recipe,
                    encoder,
                    tokens[index],
                    targets[index],
                )
            )
    meta = np.frombuffer(b"".join(digests_of_meta), dtype=np.uint8).reshape(len(sources), 32)
    return Dataset(
        Rows(tokens, targets, meta),
        tuple(reports),
        recipe.files,
        tuple(digests),
        template,
        encoder.sha256,
    )


def _digest_of_meta(source: Source) -> bytes:
    try:
        return hashlib.sha256(canonical_json(source.meta)).digest()
    except (InternalError, RecursionError):
        raise InvalidInput(
            Code.DATA_FORM,
            "meta holds a number that is not whole or is beyond 2^53 - 1, or is nested too deeply",
            location=str(source),
            remedy="write the number as text",
        ) from None


def _fill_row(
    source: Source,
    rendered: Rendered,
    ids: list[int],
    offsets: list[tuple[int, int]],
    recipe: Recipe,
    encoder: Encoder,
    tokens: NDArray[np.int64],
    targets: NDArray[np.int64],
) -> RowReport:
    """Writes one row of the two arrays, each (bucket,) int64, and reports on it."""
    if ids and max(ids) >= encoder.vocab_size:
        raise InvalidInput(
            Code.VOCABULARY,
            f"a token id beyond the {encoder.vocab_size} rows of the model's embedding",
            location=str(source),
            remedy="use the tokenizer that the model was trained with",
        )
    if len(ids) > recipe.max_length and recipe.long_rows == "refuse":
        raise InvalidInput(
            Code.DATA_LONG,
            f"{len(ids)} tokens, max_length is {recipe.max_length}",
            location=str(source),
            remedy="raise data.max_length, shorten the row, or set long_rows: truncate",
        )
    num_tokens = min(len(ids), recipe.max_length)
    spans = rendered.spans if recipe.label_mask == "completion_only" else None
    supervised, num_straddling = _supervised(offsets[:num_tokens], spans)
    tokens[:num_tokens] = ids[:num_tokens]
    labels = np.where(supervised, tokens[:num_tokens], IGNORED)
    if num_tokens > 1:
        targets[: num_tokens - 1] = labels[1:]
    num_labels = int(np.count_nonzero(targets != IGNORED))
    if num_labels == 0:
        cut = len(ids) > num_tokens
        raise InvalidInput(
            Code.DATA_UNSUPERVISED,
            "no supervised token is left after truncation" if cut else "no supervised token",
            location=str(source),
            remedy="remove the row, raise max_length, or set label_mask: all",
        )
    return RowReport(source, rendered.form, num_tokens, len(ids) - num_tokens, num_labels, num_straddling)


def _supervised(
    offsets: list[tuple[int, int]], spans: tuple[tuple[int, int], ...] | None
) -> tuple[NDArray[np.bool_], int]:
    """Returns which tokens lie wholly inside a span (all if None), and how many lie across an edge.

    Offsets are [start, end) in characters.
    """
    if spans is None:
        return np.ones(len(offsets), dtype=np.bool_), 0
    start = np.array([low for low, _ in offsets], dtype=np.int64)
    end = np.array([high for _, high in offsets], dtype=np.int64)
    inside = np.zeros(len(offsets), dtype=np.bool_)
    touching = np.zeros(len(offsets), dtype=np.bool_)
    for low, high in spans:
        inside |= (start >= low) & (end <= high)
        touching |= (start < high) & (end > low)
    return inside, int(np.count_nonzero(touching & ~inside))


def _reason(error: ValueError) -> str:
    """Returns why a line is not JSON, without a character of it."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    if isinstance(error, RepeatedKey):
        return "an object holds a key twice"
    if isinstance(error, UnicodeDecodeError):
        return f"not utf-8 at byte {error.start + 1}"
    if isinstance(error, UnicodeEncodeError):
        return "half of a pair of surrogates"
    return "a number that is no JSON (NaN, Infinity, thousands of digits), or nested too deeply"


def _read_lines(path: Path, digest: Any) -> Iterator[tuple[Source, dict[str, Any]]]:
    """Yields the rows of a JSONL file and feeds the digest; blank lines are skipped."""
    try:
        with path.open("rb") as stream:
            number = 0
            while content := stream.readline(MAX_LINE_BYTES + 1):
                number += 1
                digest.update(content)
                where = f"{path}:{number}"
                if len(content) > MAX_LINE_BYTES:
                    raise InvalidInput(
                        Code.FILE_TOO_LARGE,
                        f"a line is longer than {MAX_LINE_BYTES} bytes",
                        location=where,
                    )
                if content.isspace():
                    continue
                try:
                    row = parse_json(content)
                except ValueError as error:
                    raise InvalidInput(Code.DATA_JSON, f"not JSON: {_reason(error)}", location=where) from None
                if not isinstance(row, dict):
                    raise InvalidInput(Code.DATA_JSON, "not a JSON object", location=where)
                meta = row.get("meta")
                yield Source(path, number, meta if isinstance(meta, dict) else {}), row
    except OSError as error:
        raise unreadable(path, error, "rows", "check data.files in the recipe") from error
