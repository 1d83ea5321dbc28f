"""Gathers the training text of the small model from Debian packages.

Three sources, each with terms that allow redistribution of derived work:

* WordNet 3.0 words, glosses and examples (``wordnet-base``, WordNet licence);
* the King James Bible (``bible-kjv-text``, public domain);
* Python documentation: tutorial, library, reference, howto, faq (``python3.11-doc``, PSF licence).

Writes ``train.jsonl`` and ``heldout.jsonl``, one block of text per line. A block is a run of whole
paragraphs of one document; every 50th block of each source is held out. Nothing is random.

    python make_text.py --out WORKDIR
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("wordnet-base", "bible-kjv", "bible-kjv-text", "python3.11-doc")
PARTS_OF_SPEECH = {"noun": "noun", "verb": "verb", "adj": "adjective", "adv": "adverb"}
PYTHON_SECTIONS = ("tutorial", "library", "reference", "howto", "faq")
HELD_OUT_EVERY = 50
BLOCK_BYTES = 1500

# A document is a list of paragraphs; blocks never cross documents.
Document = list[str]


def unpack(packages: Path) -> Path:
    """Downloads what is missing with apt and extracts every package; returns the extracted root."""
    packages.mkdir(parents=True, exist_ok=True)
    root = packages / "root"
    for name in PACKAGES:
        if not list(packages.glob(f"{name}_*.deb")):
            subprocess.run(["apt-get", "download", name], cwd=packages, check=True)
        (archive,) = packages.glob(f"{name}_*.deb")
        print(f"package {archive.name} sha256 {hashlib.sha256(archive.read_bytes()).hexdigest()}")
        subprocess.run(["dpkg-deb", "-x", str(archive), str(root)], check=True)
    return root


def wordnet(root: Path) -> Iterator[Document]:
    """One document per part of speech, one paragraph per synset: ``word, word (noun): gloss``."""
    for part, label in PARTS_OF_SPEECH.items():
        document: Document = []
        for line in (root / f"usr/share/wordnet/data.{part}").read_text("utf-8").splitlines():
            if line.startswith("  "):  # the licence header
                continue
            fields, gloss = line.split(" | ", 1)
            columns = fields.split(" ")
            words = columns[4 : 4 + 2 * int(columns[3], 16) : 2]
            names = ", ".join(re.sub(r"\(\w+\)$", "", word).replace("_", " ") for word in words)
            document.append(f"{names} ({label}): {gloss.strip()}\n")
        yield document


def bible(root: Path) -> Iterator[Document]:
    """One document per chapter, one paragraph per verse, without the verse numbers."""
    command = [
        str(root / "usr/bin/bible"),
        "-f",
        "-p",
        str(root / "usr/lib"),
        "gen1:1-rev22:21",
    ]
    lines = subprocess.run(
        command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL
    ).stdout.splitlines()
    chapter = ""
    document: Document = []
    for line in lines:
        reference, verse = line.split(" ", 1)
        if reference.split(":")[0] != chapter:
            if document:
                yield document
            chapter, document = reference.split(":")[0], []
        document.append(verse.strip() + "\n")
    yield document


def python_docs(root: Path) -> Iterator[Document]:
    """One document per source page, its paragraphs as written, without author lines."""
    sources = root / "usr/share/doc/python3.11/html/_sources"
    for section in PYTHON_SECTIONS:
        for page in sorted((sources / section).rglob("*.rst.txt")):
            text = page.read_text("utf-8")
            text = re.sub(r"(?im)^(\.\. (module|section|code)author::|:author:).*\n", "", text)
            yield [paragraph.strip("\n") + "\n\n" for paragraph in re.split(r"\n\s*\n", text)]


def blocks(document: Document) -> Iterator[str]:
    """Whole paragraphs joined until a block holds at least BLOCK_BYTES; the last may be shorter."""
    held: list[str] = []
    for paragraph in document:
        held.append(paragraph)
        if sum(len(part.encode()) for part in held) >= BLOCK_BYTES:
            yield "".join(held)
            held = []
    if "".join(held).strip():
        yield "".join(held)


def main() -> None:
    """Writes both splits and prints bytes and sha256 per source."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for packages and text")
    out: Path = parser.parse_args().out
    root = unpack(out / "packages")
    with (out / "train.jsonl").open("w") as train, (out / "heldout.jsonl").open("w") as heldout:
        for name, source in (("wordnet", wordnet), ("bible", bible), ("python", python_docs)):
            digest, num_train_bytes, num_heldout_bytes = hashlib.sha256(), 0, 0
            all_blocks = (block for document in source(root) for block in blocks(document))
            for index, text in enumerate(all_blocks):
                digest.update(text.encode())
                row = json.dumps({"source": name, "text": text}) + "\n"
                if index % HELD_OUT_EVERY == HELD_OUT_EVERY - 1:
                    heldout.write(row)
                    num_heldout_bytes += len(text.encode())
                else:
                    train.write(row)
                    num_train_bytes += len(text.encode())
            print(
                f"source {name} train_bytes {num_train_bytes} heldout_bytes {num_heldout_bytes} "
                f"sha256 {digest.hexdigest()}"
            )


if __name__ == "__main__":
    main()
