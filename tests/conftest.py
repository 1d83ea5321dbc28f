"""Fixtures of the product's tests: the small model, the demo's rows, a stand-in core."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fake_core import fake_core

ROOT = Path(__file__).resolve().parent.parent

STEPS = 3
"""Steps of the job that the tests share."""

__all__ = ["STEPS", "fake_core", "veritune"]


def veritune(*words: str) -> subprocess.CompletedProcess[str]:
    """Runs the command in the repository's root."""
    command = [sys.executable, "-m", "veritune", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proved demo job on the small real model. Copy what is to be changed."""
    folder = tmp_path_factory.mktemp("demo") / "out"
    ran = veritune("demo", "--out", str(folder), "--steps", str(STEPS))
    assert ran.returncode == 0, ran.stderr
    assert "refused" in ran.stderr + ran.stdout
    return folder


@pytest.fixture(scope="session")
def static_verifier() -> Path:
    """The verifier without Python."""
    subprocess.run(["cargo", "build", "--release", "--package", "veritune-cli-verify"], cwd=ROOT, check=True)
    metadata = subprocess.run(
        ["cargo", "metadata", "--no-deps", "--format-version", "1"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return Path(json.loads(metadata.stdout)["target_directory"]) / "release" / "veritune-verify"


@pytest.fixture(scope="session")
def model_dir() -> Path:
    """The small model of the repository."""
    return ROOT / "models" / "small"


@pytest.fixture(scope="session")
def demo_rows() -> Path:
    """The demo's tuning rows."""
    return ROOT / "data" / "demo" / "rows.jsonl"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Without torch (`-m "not hf"`) a module that is wholly marked hf is not imported."""
    if config.option.markexpr == "not hf" and collection_path.suffix == ".py":
        return True if "\npytestmark = pytest.mark.hf\n" in collection_path.read_text("utf-8") else None
    return None
