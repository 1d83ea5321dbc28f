"""Fixtures of the product's tests: the small model, the demo's rows, a stand-in core."""

from __future__ import annotations

from pathlib import Path

import pytest

from fake_core import fake_core

ROOT = Path(__file__).resolve().parent.parent

__all__ = ["fake_core"]


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
