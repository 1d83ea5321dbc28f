"""What a result was made from."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Results: a page that was written before does not change what the next one measures.
RESULTS = ":(exclude)docs/benchmarks"


def commit() -> str:
    """The commit of this checkout, with ``-dirty`` if files differ from it that are no results."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--", ".", RESULTS)
    return git("rev-parse", "--short=12", "HEAD") + ("-dirty" if changed else "")
