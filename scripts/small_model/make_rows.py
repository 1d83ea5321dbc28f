"""Makes the demo's fine-tuning rows from the scored short texts of the vaderSentiment sdist (MIT).

The sdist holds 4,200 short texts written in the manner of public posts, each with the mean of at
least 20 human ratings from -4 to 4. Only these are used: the sdist's other three files quote
newspapers and reviews. A mean of at least 1 is "positive", of at most -1 "negative", within 0.5
of zero "neutral"; what lies between is left out. Rows are distinct, plain ASCII, without user
names, links, tags, long digit runs or coarse words, without near-duplicates, and fit MAX_TOKENS
tokens of the small model.

    pip download --no-deps --no-binary :all: vaderSentiment==3.3.2
    python make_rows.py --sdist vaderSentiment-3.3.2.tar.gz \\
        --tokenizer models/small/tokenizer.json --out data/demo
"""

from __future__ import annotations

import argparse
import hashlib
import html
import io
import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

SDIST_SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
ARCHIVE = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
TEXTS = "hutto_ICWSM_2014/tweets_GroundTruth.txt"
LICENCE = "vaderSentiment-3.3.2/LICENSE.txt"

INSTRUCTION = "Is this text positive, negative or neutral?"
MAX_TOKENS = 58  # leaves 6 of 64 to a template
NUM_OVERHEAD_TOKENS = 3  # two separators and end of text
MAX_ROWS_PER_LABEL = 210
HELD_OUT_EVERY = 5
MIN_CHARACTERS = 12
NEAR_DUPLICATE = 0.5  # shared words over all words of two texts

UNSUITABLE = re.compile(
    r"@|http|www\.|[#&<>\\]|\d{4}|\bRT\b"
    r"|fu+ck|fck|shit|bitch|bastard|\bass|\barse|damn|crap|piss|\bsex|porn|boob|dick|nude|naked|laid\b"
    r"|kill|suicid|\bdie|\bdead|murder|rape|\bgod\b|jesus|christ|allah|\bhell\b|retard|\bgay|\bidiot|wtf|omfg"
    r"|lmao|lmfao|whore|slut|drunk|drugged|\bpoo|nigg|spank|scrotum|shagg|bloody|hillbill|\bf yeah"
    r"|at gmail|phone number|hilton|winehouse|racis|nazi",
    re.IGNORECASE,
)


@dataclass(frozen=True, order=True)
class Scored:
    """One suitable text; ordered by a hash, so that the order is fixed and mixes labels."""

    order: str
    label: str
    text: str
    num_tokens: int


def member(archive: bytes, name: str) -> bytes:
    """The content of one file of a tar archive."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        file = opened.extractfile(name)
        if file is None:
            raise ValueError(f"{name} is not a file")
        return file.read()


def label_of(score: float) -> str | None:
    """The label of a mean rating, or None between the classes."""
    if score >= 1.0:
        return "positive"
    if score <= -1.0:
        return "negative"
    return "neutral" if abs(score) <= 0.5 else None


def suitable(lines: list[str], tokenizer: Tokenizer) -> Iterator[Scored]:
    """Every text that passes the filters, fits, and is no near-duplicate of an earlier one."""
    seen: list[frozenset[str]] = []
    instruction_tokens = len(tokenizer.encode(INSTRUCTION).ids)
    for line in lines:
        _, score, raw = line.split("\t", 2)
        text = " ".join(html.unescape(raw).split())
        label = label_of(float(score))
        words = frozenset(re.findall(r"\w+", text.lower()))
        if label is None or len(text) < MIN_CHARACTERS or not text.isascii():
            continue
        if UNSUITABLE.search(text):
            continue
        if any(len(words & other) >= NEAR_DUPLICATE * len(words | other) for other in seen):
            continue
        seen.append(words)
        num_tokens = (
            instruction_tokens
            + len(tokenizer.encode(text).ids)
            + len(tokenizer.encode(label).ids)
            + NUM_OVERHEAD_TOKENS
        )
        if num_tokens <= MAX_TOKENS:
            yield Scored(hashlib.sha256(text.encode()).hexdigest(), label, text, num_tokens)


def write_rows(rows: list[Scored], path: Path) -> None:
    """Writes rows in hash order and prints their counts."""
    with path.open("w") as file:
        for row in sorted(rows):
            meta = {
                "source": "vaderSentiment-3.3.2 tweets_GroundTruth",
                "license": "MIT",
                "language": "en",
                "label": row.label,
            }
            record = {"instruction": INSTRUCTION, "input": row.text, "output": row.label}
            file.write(json.dumps(record | {"meta": meta}) + "\n")
    counts = Counter(row.label for row in rows)
    longest = max(row.num_tokens for row in rows)
    size = path.stat().st_size
    print(f"{path.name} rows {len(rows)} {dict(counts)} longest_tokens {longest} bytes {size}")


def main() -> None:
    """Writes rows.jsonl, heldout.jsonl and the licence text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sdist", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    content = arguments.sdist.read_bytes()
    if hashlib.sha256(content).hexdigest() != SDIST_SHA256:
        raise ValueError("the sdist is not vaderSentiment 3.3.2 as published")
    licence = member(content, LICENCE).decode()
    lines = member(member(content, ARCHIVE), TEXTS).decode().strip().split("\r\n")

    tokenizer = Tokenizer.from_file(str(arguments.tokenizer))
    every_row = list(suitable(lines, tokenizer))
    train: list[Scored] = []
    heldout: list[Scored] = []
    for label in ("positive", "negative", "neutral"):
        candidates = sorted((row for row in every_row if row.label == label), key=lambda row: (row.num_tokens, row))
        for index, row in enumerate(sorted(candidates[:MAX_ROWS_PER_LABEL])):
            (heldout if index % HELD_OUT_EVERY == 0 else train).append(row)
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_rows(train, arguments.out / "rows.jsonl")
    write_rows(heldout, arguments.out / "heldout.jsonl")
    (arguments.out / "LICENSE.vaderSentiment").write_text(licence.rstrip() + "\n")


if __name__ == "__main__":
    main()
