"""The commands of README and guide run as they stand there, in a folder with the guide's own recipe and policy."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from veritune.cli import app

ROOT = Path(__file__).resolve().parent.parent
ROWS = 6


def blocks(page: str, language: str = "") -> list[str]:
    """Fenced blocks of a page in a language."""
    source = (ROOT / page).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", source, re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[list[str]]:
    """The veritune commands of a page's plain blocks, in order, without comments."""
    lines = [line.split("#")[0].strip() for block in blocks(page) for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("veritune ")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The guide's recipe with its short run, rows, model, policy and trust file."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "small").symlink_to(ROOT / "models" / "small")
    rows = (ROOT / "data" / "demo" / "rows.jsonl").read_text("utf-8").splitlines()[:ROWS]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows) + "\n", "utf-8")
    (recipe,) = blocks("docs/guide/recipe.md", "yaml")
    for shown, short in (("batch_size: 4", "batch_size: 1"), ("num_train_epochs: 1", "max_steps: 1")):
        assert shown in recipe
        recipe = recipe.replace(shown, short)
    (tmp_path / "recipe.yaml").write_text(recipe, "utf-8")
    (policy,) = blocks("docs/guide/commands.md", "yaml")
    (tmp_path / "policy.yaml").write_text(policy, "utf-8")
    return tmp_path


def run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    if "--trust" in words:  # the guide's trusted.pem is a text with the key in it
        key = (folder / "keys" / "veritune.pub.pem").read_text("ascii")
        (folder / "trusted.pem").write_text(f"# ours\n{key}")
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("page", ["README.md", "docs/guide/commands.md"])
def test_every_command_runs(page: str, folder: Path) -> None:
    found = commands(page)
    assert len(found) >= 5
    for words in found:
        ran = run(words, folder)
        assert ran.returncode == 0, (words, ran.stderr)
    assert (folder / "job" / "adapter" / "veritune" / "index.json").exists()


def test_the_policy_of_the_guide_is_the_default(folder: Path) -> None:
    missing = str(folder / "nowhere")
    plain = run(["veritune", "verify", missing, "--json"], folder)
    guided = run(["veritune", "verify", missing, "--policy", "policy.yaml", "--json"], folder)
    assert json.loads(plain.stdout)["policy"] == json.loads(guided.stdout)["policy"]


def test_the_commands_of_the_table_exist() -> None:
    page = (ROOT / "docs" / "guide" / "commands.md").read_text("utf-8")
    names = re.findall(r"^\| `([a-z]+(?: (?:generate|show|model|data))?)[ `]", page, re.MULTILINE)
    assert len(names) == 13
    for name in names:
        assert CliRunner().invoke(app, [*name.split(), "--help"]).exit_code == 0, name
