"""Fixtures of the product's tests: the small model, the demo's rows, jobs that were really run once."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from small_job import Job, unprove
from typer.testing import CliRunner

from veritune.cli import app

ROOT = Path(__file__).resolve().parent.parent

STEPS = 3
"""Steps of the demo's job that the tests share."""

SMALL_STEPS = 2
"""Steps of the small job that the tests share."""


def veritune(*words: str) -> subprocess.CompletedProcess[str]:
    """Runs the command in the repository's root."""
    command = [sys.executable, "-m", "veritune", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@dataclass(frozen=True)
class Demo:
    """The folder of `veritune demo`, and what the command answered."""

    folder: Path
    result: dict[str, Any]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The demo on the small real model."""
    folder = tmp_path_factory.mktemp("demo") / "out"
    ran = veritune("demo", "--out", str(folder), "--steps", str(STEPS), "--json")
    assert ran.returncode == 0, ran.stderr
    assert "refused" in ran.stderr
    return Demo(folder, json.loads(ran.stdout))


@pytest.fixture(scope="session")
def job(demo: Demo) -> Path:
    """The proved job of the demo. Copy what is to be changed."""
    return demo.folder


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A job of short rows with its keys, planned, trained and proved by the commands. Copy what is to be changed."""
    job = Job(tmp_path_factory.mktemp("small"), SMALL_STEPS)
    run = job.folder / "run"
    job.command(*job.words("train", run))
    job.command(*job.words("prove", run))
    job.verify(run)
    return job


def built(*selection: str) -> Path:
    """Builds programs of the workspace; returns the folder in which they lie."""
    subprocess.run(["cargo", "build", "--quiet", *selection], cwd=ROOT, check=True)
    metadata = subprocess.run(
        ["cargo", "metadata", "--no-deps", "--format-version", "1"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return Path(json.loads(metadata.stdout)["target_directory"]) / "release"


@pytest.fixture(scope="session")
def static_verifier() -> Path:
    """The verifier without Python, with the dependencies' features that it has when it is built alone."""
    return built("--release", "--package", "veritune-cli-verify") / "veritune-verify"


@pytest.fixture(scope="session")
def examples() -> Path:
    """Folder of the crates' example programs that tests run.

    Built for the packages that `make test-rust` tests together: for any other choice cargo takes other features of the
    dependencies and compiles everything again.
    """
    makefile = (ROOT / "Makefile").read_text("utf-8")
    (packages,) = re.findall(r"^\tcargo test (--release --workspace .*) --lib --bins", makefile, re.MULTILINE)
    (switched,) = re.findall(r"^SWITCHED := (.*)$", makefile, re.MULTILINE)
    names = ("dump_tensors", "ledger", "real_layers", "release", "run_ledger", "sign", "step_dump")
    chosen = [f"--example={name}" for name in names]
    return built(*packages.split(), f"--features={switched}", *chosen) / "examples"


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


@dataclass(frozen=True)
class Bench:
    """A copy of the job to spoil: `trained` has no proofs, `proved` has, `fresh` does not exist."""

    job: Job
    folder: Path

    @property
    def trained(self) -> Path:
        run = self.folder / "trained"
        if not run.exists():
            shutil.copytree(self.job.folder / "run", run)
            unprove(run)
        return run

    @property
    def proved(self) -> Path:
        run = self.folder / "proved"
        if not run.exists():
            shutil.copytree(self.job.folder / "run", run)
        return run

    @property
    def fresh(self) -> Path:
        return self.folder / "fresh"

    @property
    def half(self) -> Path:
        """A run that was interrupted after its first step."""
        run = self.trained.rename(self.folder / "half") if not (self.folder / "half").exists() else self.folder / "half"
        for path in (run / "steps").glob(f"{SMALL_STEPS:06}.*"):
            path.unlink()
        return run

    def plan(self) -> Path:
        """A copy of the job folder, whose files a case may spoil; `words` then uses it."""
        return Path(shutil.copytree(self.job.plan, self.folder / "job"))

    def words(self, name: str, run: Path) -> list[str]:
        words = self.job.words(name, run)
        return [str(self.folder / "job") if word == str(self.job.plan) and (self.folder / "job").exists() else word
                for word in words]  # fmt: skip


@pytest.fixture
def bench(small: Job, tmp_path: Path) -> Bench:
    return Bench(small, tmp_path)


Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in an empty folder; expects an exit code."""
    monkeypatch.chdir(tmp_path)

    def runner(*arguments: object, expect: int = 0) -> Result:
        result = CliRunner().invoke(app, [str(item) for item in arguments])
        assert result.exit_code == expect, f"{arguments}: {result.output} {result.exception!r}"
        return result

    return runner


@pytest.fixture
def recipe(run: Run, small: Job) -> Path:
    """The recipe and the keys of the small job; no plan yet."""
    shutil.copytree(small.folder / "keys", "keys")
    return Path(shutil.copyfile(small.folder / "recipe.yaml", "recipe.yaml"))


@pytest.fixture
def planned(recipe: Path, small: Job) -> Path:
    """A copy of the small job's folder without a run."""
    return Path(shutil.copytree(small.plan, "job"))


@pytest.fixture
def proved(planned: Path, small: Job) -> Path:
    """A copy of the small job, with its run and its adapter."""
    shutil.copytree(small.folder / "run", planned / "run")
    shutil.copytree(small.adapter(small.folder / "run"), planned / "adapter")
    return planned


@pytest.fixture
def trained(planned: Path, small: Job) -> Path:
    """A copy of the small job, whose run is not proved."""
    shutil.copytree(small.folder / "run", planned / "run")
    unprove(planned / "run")
    (planned / "run" / "claims.statement.json").unlink()
    shutil.rmtree(planned / "run" / "release")
    return planned
