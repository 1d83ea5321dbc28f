"""What all commands share: readers that are gone, interruptions, what the machine refuses, progress, schemas."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_job import Job, argv, ordinary

from conftest import ROOT, Run
from veritune import _core
from veritune.cli import console
from veritune.cli.console import Console
from veritune.errors import Code


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def no_reader() -> int:
    """The end of a pipe whose other end is closed."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def full_disk() -> int:
    """What takes no byte."""
    return os.open("/dev/full", os.O_WRONLY)


@pytest.mark.parametrize("end", [no_reader, full_disk])
def test_an_answer_that_nobody_gets_changes_no_verdict(proved: Path, small: Job, end: Callable[[], int]) -> None:
    """Nor any other exit code, but that a full disk is told, and is a failure of what would have ended with 0."""
    shutil.copytree(proved / "adapter", "changed")
    flip(Path("changed/adapter_model.safetensors"))
    key = ("--key", str(small.public))
    lost = 2 if end is full_disk else 0
    for words, code, ends in (
        (("verify", "job/adapter", *key, "--json"), 0, 0),
        (("verify", "changed", *key, "--json"), 1, 1),
        (("verify", "missing", *key, "--json"), 2, 2),
        (("verify", "job/adapter", "--json"), 3, 3),
        (("report", "job/adapter", *key), 0, lost),
        (("report", "changed", *key), 1, 1),
        (("inspect", "job", "--json"), 0, lost),
        (("inspect", "job", "--publishable"), 0, lost),
        (("train", "missing", "--json"), 2, 2),
    ):
        command = argv(*words)[: -1 if "--json" not in words else None]
        assert subprocess.run(command, capture_output=True, check=False).returncode == code, words
        writer = end()
        ran = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
        assert ran.returncode == ends, (words, ran.stderr)
        assert "VT-BUG" not in ran.stderr and "Error" not in ran.stderr, ran.stderr
        assert ("the answer is incomplete: No space left on device" in ran.stderr) == (end is full_disk), words
        assert subprocess.run(command, stdout=writer, stderr=writer, check=False).returncode == ends, words
        os.close(writer)


def interrupt(*_: Any) -> str:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("words", "function", "continues"),
    [
        (("plan", "recipe.yaml", "--job", "other"), "calibrate", False),
        (("train", "job"), "train", True),
        (("prove", "job/run", "--key", "keys/veritune.key.pem"), "prove", True),
        (("verify", "job"), "verify", False),
    ],
)
def test_only_what_continues_says_so(
    run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], function: str, continues: bool
) -> None:
    """Ctrl-C at the one place of each command that no timing can miss: in the core."""
    monkeypatch.setattr(_core, function, interrupt)
    result = run(*words, "--json", expect=console.INTERRUPTED)
    assert result.stdout == ""
    assert ("interrupted\n" in result.stderr) == (not continues)
    assert ("the same command continues where it stopped" in result.stderr) == continues


CLOSED = [
    # a folder that its user may not enter, and commands that look into it
    ("inspect", "closed/job"),
    ("plan", "recipe.yaml", "--job", "closed/job"),
    ("train", "closed/job"),
    ("prove", "job/run", "--key", "keys/veritune.key.pem", "--adapter", "closed/adapter"),
    ("prove", "job/run", "--key", "closed/key.pem"),
    ("demo", "--out", "closed/demo", "--model", "model", "--rows", "rows.jsonl"),
    ("keys", "generate", "--out", "closed/keys"),
    ("clean", "closed/job", "--yes"),
    ("doctor", "closed/job"),
]


@pytest.mark.parametrize("words", CLOSED, ids=lambda words: f"{words[0]} {words[-1]}")
def test_a_folder_that_one_may_not_enter_is_no_bug_of_ours(
    trained: Path, model_dir: Path, demo_rows: Path, words: tuple[str, ...]
) -> None:
    Path("model").symlink_to(model_dir)
    Path("rows.jsonl").symlink_to(demo_rows)
    closed = Path("closed")
    closed.mkdir(mode=0)
    ran = subprocess.run(argv(*words), capture_output=True, text=True, check=False, preexec_fn=ordinary)
    closed.chmod(0o700)
    assert ran.returncode == 2, ran.stderr
    error = json.loads(ran.stdout)
    assert "ermission denied" in error["message"] and "closed" in error["location"], error
    assert error["code"] in (Code.FILE_UNREADABLE.id, Code.FILE_UNWRITABLE.id) and error["remedy"]
    assert list(closed.iterdir()) == []


def test_a_name_that_is_no_text(run: Run, small: Job) -> None:
    name = os.fsdecode(b"row\xff.txt")
    Path("folder").mkdir()
    Path("folder", name).write_text("x")
    (listed,) = json.loads(run("inspect", "folder", "--json").stdout)["files"]
    assert listed["path"] == name and listed["publish"] == "no"
    job = Path(shutil.copytree(small.plan, os.fsdecode(b"job\xff"))).absolute()
    error = json.loads(run("train", job, "--json", expect=2).stdout)
    assert error["code"] == Code.FILE_UNREADABLE.id and "UTF-8" in error["message"] and error["location"] == str(job)


# -- progress --------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which stands still unless a test sets it."""
    now = [0.0]
    monkeypatch.setattr("veritune.cli.console.time.monotonic", lambda: now[0])
    return now


def test_without_a_terminal_a_line_now_and_then(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    """The rate counts from the first report: before it the base is read, and of a resumed run something is done."""
    with Console(as_json=True).progress("train") as progress:
        for now, done in ((10, 50), (20, 60), (31, 71), (40, 80), (60, 100), (62, 102), (63, 103)):
            clock[0] = now
            progress(done, 200, 3.5)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "train 71 of 200, 1.00 step/s",
        "train 102 of 200, 1.00 step/s",
        "train 103 of 200, 1.00 step/s",
    ]


def test_short_work_says_nothing(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Console(as_json=False).progress("plan") as progress:
        clock[0] = console.QUIET_SECONDS - 0.1
        progress(12, 12, 0.0)
    with Console(as_json=False).progress("plan"):
        clock[0] = 100
    assert capsys.readouterr().err == ""


# -- schemas ---------------------------------------------------------------------------------------------------------


def test_every_answer_has_the_schema_of_the_guide(
    run: Run, trained: Path, model_dir: Path, demo_rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo's is its own; what the others answer, they answer here."""
    page = (ROOT / "docs" / "guide" / "commands.md").read_text("utf-8")
    listed = dict(re.findall(r"^\| `([a-z]+(?: [a-z]+)?)[^|]*\|[^|]*\|[^|]*\| `([a-z]+)` \|$", page, re.MULTILINE))
    key = ("--key", "keys/veritune.key.pem")
    commands: dict[str, tuple[object, ...]] = {
        "plan": ("recipe.yaml", "--job", "other"),
        "train": ("job",),
        "prove": ("job/run", *key),
        "verify": ("job/adapter", "--any-signer"),
        "report": ("job/adapter", "--any-signer"),
        "commit model": (model_dir, "--plan", "job"),
        "commit data": ("job",),
        "inspect": ("job",),
        "clean": ("job", "--yes"),
        "doctor": (),
        "keys generate": ("--out", "more"),
        "keys show": ("keys/veritune.pub.pem",),
    }
    assert set(listed) == {*commands, "demo"} and len(listed) == 13
    for name, words in commands.items():
        answer = json.loads(run(*name.split(), *words, "--json").stdout)
        assert answer["schema"] == f"veritune.{listed[name]}/v1", name


def test_the_demo_s_schema_is_that_of_the_guide(demo: Any) -> None:
    assert demo.result["schema"] == "veritune.demo/v1"
    for phase, schema in (("train", "trained"), ("prove", "proved"), ("verdict", "verdict")):
        assert demo.result[phase]["schema"] == f"veritune.{schema}/v1"
