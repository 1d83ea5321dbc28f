"""What the verifier links: neither prover nor executor, and nothing of them by a detour."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {"veritune-prover", "veritune-executor", "veritune-run", "veritune-model", "rayon"}


@pytest.mark.parametrize("package", ["veritune-verifier", "veritune-cli-verify"])
def test_the_verifier_links_neither_prover_nor_executor(package: str) -> None:
    tree = subprocess.run(
        ["cargo", "tree", "--package", package, "--edges", "normal", "--prefix", "none"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    packages = {line.split()[0] for line in tree.splitlines() if line.strip()}
    assert "veritune-argument" in packages
    assert not packages & FORBIDDEN
