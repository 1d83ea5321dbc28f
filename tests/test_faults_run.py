"""Faults of train and prove, by the real command: each names its code and leaves no certificate and no adapter.

The disk that is full is a limit of file sizes (the kernel refuses the write); `scripts/faults/disk.py` fills a real
one. What is interrupted continues to the same state roots.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_job import Job, argv, attempt, budget, limited, openings, ordinary, spend, states

from conftest import SMALL_STEPS as STEPS
from conftest import Bench
from veritune import memory
from veritune.errors import InvalidInput
from veritune.files import exclusive

ROOT = Path(__file__).resolve().parent.parent


def refused(bench: Bench, name: str, run: Path, code: str, exit_code: int, *words: str, more: tuple[str, ...] = (),
            **options: Any) -> dict[str, Any]:  # fmt: skip
    """Runs the command; it must be refused with this code, and leave neither certificate nor adapter."""
    before = set(bench.folder.iterdir())
    error = bench.job.command(*bench.words(name, run), *more, expect=None, **options)
    assert (error.get("code"), error["returncode"]) == (code, exit_code), error
    text = "\n".join((error["message"], error["location"], error["remedy"]))
    assert all(word in text for word in words), text
    assert error["remedy"]
    if bench.job.adapter(run) not in before:
        nothing_made(bench, run)
    return error


def nothing_made(bench: Bench, run: Path) -> None:
    """No adapter, no staging folder, no file half-written, no certificate: that is a folder with an index."""
    assert not bench.job.adapter(run).exists()
    bench.job.clean(run)
    assert not list(run.rglob("index.json"))


def replaced(path: Path, content: bytes | Callable[[bytes], bytes]) -> None:
    old = path.read_bytes() if path.exists() else b""
    path.write_bytes(content(old) if callable(content) else content)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


# -- files -----------------------------------------------------------------------------------------------------------

PLANS = [
    # file of the job, what becomes of it, code
    ("plan/plan.json", b"{}", "VT-PLAN-001"),
    ("plan/plan.json", lambda old: b"[" + old[1:], "VT-PLAN-001"),
    ("plan/seed.json", b"{", "VT-FILE-005"),
    ("plan/seed.json", lambda old: old.replace(b'"demo"', b'"drand-quicknet"'), "VT-SEED-002"),
    ("data/secret/rows.safetensors", flipped, "VT-FILE-006"),
    ("data/secret/local.json", b"\xff", "VT-FILE-005"),
]


@pytest.mark.parametrize(("name", "content", "code"), PLANS)
def test_a_spoilt_file_of_the_job(bench: Bench, name: str, content: Any, code: str) -> None:
    replaced(bench.plan() / name, content)
    refused(bench, "train", bench.fresh, code, 2, name.rpartition("/")[2])


@pytest.mark.parametrize("name", ["plan/plan.json", "plan/seed.json", "data/secret/rows.safetensors"])
def test_a_missing_file_of_the_job(bench: Bench, name: str) -> None:
    (bench.plan() / name).unlink()
    refused(bench, "train", bench.fresh, "VT-FILE-001", 2, name.rpartition("/")[2])


RUNS = [
    # command, kind of run, file, what becomes of it, code, words
    ("train", "half", "steps/000001.state", flipped, ["is damaged or belongs to another step or run"]),
    ("train", "half", "steps/000001.state", b"", ["is damaged"]),
    ("train", "half", "secret/run.key", b"short", ["is not 32 bytes"]),
    ("train", "half", "secret/run.key", None, ["is missing, but the steps of this run are committed under it"]),
    ("prove", "trained", "steps/000001.state", flipped, ["is damaged"]),
    ("prove", "trained", "steps/000002.root", b"x", ["is not 32 bytes"]),
    ("prove", "trained", "steps/000002.root", flipped, ["is not the root that the step gives"]),
    ("prove", "proved", "openings.json", b"{", ["openings.json"]),
    ("prove", "trained", "secret/run.key", None, ["run.key", "is missing"]),
]


@pytest.mark.parametrize(("command", "kind", "name", "content", "words"), RUNS)
def test_a_spoilt_file_of_the_run(
    bench: Bench, command: str, kind: str, name: str, content: Any, words: list[str]
) -> None:
    run = getattr(bench, kind)
    if name == "openings.json":
        (run / "certificate" / "proofs" / "step-000002.bin").unlink()
    if content is None:
        (run / name).unlink()
    else:
        replaced(run / name, content)
    refused(bench, command, run, "VT-JOB-008", 2, name, *words)


def test_a_lost_record_of_openings_is_not_counted_anew(bench: Bench) -> None:
    """Not even where no proof is left: one may have been published."""
    shutil.rmtree(bench.proved / "certificate")
    (bench.proved / "openings.json").unlink()
    refused(bench, "prove", bench.proved, "VT-JOB-008", 2, "openings.json", "is missing", "secret/run.key")


def test_a_spent_budget_is_inconclusive_and_names_the_root(bench: Bench) -> None:
    run = bench.trained
    root = spend(run, 1, 99)
    refused(bench, "prove", run, "VT-JOB-014", 3, root, "state 1", "99 times", "--run")
    assert openings(run) == {"state 1": 99}


def test_proving_again_opens_nothing_again(bench: Bench) -> None:
    """An adapter that was lost is made again from the proofs that are there: no budget is spent."""
    # The last state has no opening left: a second proof of the release would exceed its budget.
    spend(bench.proved, STEPS, 99)
    before = (bench.proved / "openings.json").read_bytes()
    bench.job.command(*bench.words("prove", bench.proved))
    assert (bench.proved / "openings.json").read_bytes() == before
    bench.job.verify(bench.proved)


def test_proofs_of_other_states_are_made_again(bench: Bench) -> None:
    """A run that is trained anew under another secret does not keep the proofs of its old states."""
    run = bench.proved
    shutil.rmtree(run / "steps")
    (run / "secret" / "run.key").unlink()
    bench.job.command(*bench.words("train", run))
    bench.job.command(*bench.words("prove", run))
    bench.job.verify(run)


def test_what_is_no_part_of_the_certificate_is_not_published(bench: Bench) -> None:
    run = bench.proved
    for name in ("proofs/step-000001.bin.partial", "proofs/step-000099.bin", "notes.txt", "old.statement.json"):
        (run / "certificate" / name).write_bytes(b"left over")
    (run / "release" / "adapter_config.json.partial").write_bytes(b"left over")
    bench.job.command(*bench.words("prove", run))
    bench.job.verify(run)
    bench.job.clean(run)


def test_an_unfinished_run_is_not_proved(bench: Bench) -> None:
    refused(bench, "prove", bench.half, "VT-JOB-016", 3, "1 of 2 steps", "veritune train")


def test_another_model_another_key_another_folder(bench: Bench, small: Job) -> None:
    model = shutil.copytree(ROOT / "models" / "small", bench.folder / "model")
    replaced(model / "model.safetensors", lambda old: old[:-1] + bytes([old[-1] ^ 1]))
    refused(bench, "train", bench.fresh, "VT-JOB-008", 2, "plan's base model", more=("--model", str(model)))
    shutil.rmtree(bench.fresh)
    refused(bench, "prove", bench.trained, "VT-KEY-001", 2, "PEM", more=("--key", str(small.public)))
    existing = bench.folder / "existing"
    existing.mkdir()
    more = ("--adapter", str(existing))
    refused(bench, "prove", bench.trained, "VT-FILE-004", 2, "existing", "--overwrite", more=more)
    assert not list(existing.iterdir())


def busy(bench: Bench, name: str, run: Path, code: str, holder: str) -> None:
    """The command is refused because another process, named, works in the run."""
    error = bench.job.command(*bench.words(name, run), expect=2)
    assert error["code"] == code and error["message"].startswith(holder) and "wait" in error["remedy"], error


def test_two_processes_on_one_run(bench: Bench) -> None:
    """The second is told who has the run; a kill gives it back at once, and the next one says who was killed."""
    run = bench.trained
    with subprocess.Popen(argv(*bench.words("prove", run)), stdout=subprocess.DEVNULL) as first:
        named = f"process {first.pid} (veritune prove)"
        while (run / ".lock").read_text() != named:
            assert first.poll() is None
        assert re.search(
            r"^Max core file size +0 ", (Path("/proc") / str(first.pid) / "limits").read_text(), re.MULTILINE
        )
        for name in ("train", "prove"):
            busy(bench, name, run, "VT-FILE-007", named)
        first.kill()
    shutil.rmtree(bench.job.adapter(run), ignore_errors=True)
    assert (run / ".lock").read_text() == named
    ran = subprocess.run(argv(*bench.words("train", run)), capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout)["continued_after"] == named
    assert f"{named} was killed" in ran.stderr
    again = bench.job.command(*bench.words("prove", run))
    assert again["continued_after"] == ""
    bench.job.verify(run)


def test_a_lock_file_that_was_deleted_lets_nobody_in(bench: Bench) -> None:
    """The core locks the run's secret folder itself."""
    run = bench.trained
    with subprocess.Popen(argv(*bench.words("prove", run)), stdout=subprocess.DEVNULL) as first:
        while not list((run / "certificate").glob("proofs/*")):
            assert first.poll() is None
        (run / ".lock").unlink()
        busy(bench, "train", run, "VT-JOB-018", f"process {first.pid} works")
        first.kill()


def test_a_process_that_is_done_gives_back_its_lock(bench: Bench) -> None:
    with exclusive(bench.trained, "prove"):
        busy(bench, "train", bench.trained, "VT-FILE-007", f"process {os.getpid()} (veritune prove)")
    bench.job.command(*bench.words("train", bench.trained))


def test_two_attempts_of_a_step_share_no_randomness_and_each_is_counted(bench: Bench) -> None:
    """Every attempt counts, until there is none left: then exit 3, with the root, and the certificate stays.

    The same randomness would show in the root of the witness (`Attempt` says why).
    """
    run, proof = bench.proved, bench.proved / "certificate" / "proofs" / "step-000001.bin"
    bench.job.command(*bench.words("prove", run))
    root = (run / "steps" / "000001.root").read_bytes().hex()
    attempts = [attempt(bench.job.plan, proof.read_bytes())]
    while openings(run)["state 1"] < budget():
        before = openings(run)["state 1"]
        proof.unlink()
        bench.job.command(*bench.words("prove", run), "--overwrite")
        assert openings(run)["state 1"] == before + 1
        attempts.append(attempt(bench.job.plan, proof.read_bytes()))
        bench.job.verify(run)
    assert len(attempts) > 1 and len({made.statement for made in attempts}) == 1
    assert len({made.witness_root for made in attempts}) == len(attempts)
    record = (run / "openings.json").read_bytes()
    proof.unlink()
    refused(bench, "prove", run, "VT-JOB-014", 3, root, "state 1", more=("--overwrite",))
    assert (run / "openings.json").read_bytes() == record and not proof.exists()
    bench.job.verify(run)


# -- rights ----------------------------------------------------------------------------------------------------------


RIGHTS = [
    ("train", "fresh", "{job}/data/secret/rows.safetensors", 0, "VT-FILE-001"),
    ("train", "half", "{run}/secret/run.key", 0, "VT-JOB-008"),
    ("train", "half", "{run}/steps/000001.state", 0, "VT-JOB-008"),
    ("train", "half", "{run}/steps", 0o500, "VT-JOB-008"),
    ("train", "half", "{run}", 0o500, "VT-FILE-003"),
    ("prove", "trained", "{run}/steps/000002.root", 0, "VT-JOB-008"),
    ("prove", "trained", "{run}/openings.json", 0, "VT-JOB-008"),
    ("prove", "trained", "{run}/release", 0o500, "VT-JOB-008"),
    ("prove", "trained", "{folder}", 0o500, "VT-FILE-003"),
]


@pytest.mark.parametrize(("command", "kind", "name", "mode", "code"), RIGHTS)
def test_wrong_rights(bench: Bench, command: str, kind: str, name: str, mode: int, code: str) -> None:
    job, run = bench.plan(), getattr(bench, kind)
    path = Path(name.format(job=job, run=run, folder=bench.folder))
    if path == run:
        (run / ".lock").unlink()
    old = path.stat().st_mode
    path.chmod(mode)
    try:
        refused(bench, command, run, code, 2, preexec_fn=ordinary)
    finally:
        path.chmod(old)


# -- space -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "limit", "code", "name"),
    [
        ("train", 40, "VT-FILE-008", "secret/local.json"),
        ("train", 1_000, "VT-FILE-008", "plan.json"),
        ("train", 20_000, "VT-JOB-013", "steps/000000.state"),
        ("prove", 10, "VT-JOB-013", "certificate/proofs/step-000001.bin"),
        ("prove", 100_000, "VT-JOB-013", "certificate/proofs/step-000001.bin"),
    ],
)
def test_no_space(bench: Bench, command: str, limit: int, code: str, name: str) -> None:
    run = bench.fresh if command == "train" else bench.trained
    more = {"preexec_fn": limited(resource.RLIMIT_FSIZE, limit)}
    refused(bench, command, run, code, 2, name, "bytes", "free some space", **more)
    assert command == "train" or openings(run) == {}, "a full disk costs an opening"
    bench.job.command(*bench.words(command, run))
    if command == "prove":
        bench.job.verify(run)
        assert states(run) == states(bench.job.folder / "run")
        return
    whole = bench.folder / "whole"
    assert states(run) == bench.job.uninterrupted(whole, run)
    # Nothing else differs from a run without a fault, so it is proved like one.
    assert contents(run) == contents(whole)


# -- memory ----------------------------------------------------------------------------------------------------------


def test_a_limit_that_is_too_low_is_refused_before_anything_is_taken(bench: Bench) -> None:
    for name, run, limit in (("train", bench.fresh, "50M"), ("prove", bench.trained, "0.2 GiB")):
        more = ("--memory", limit)
        refused(bench, name, run, "VT-MEMORY-001", 2, "GiB are needed", "--memory", "data.bucket", more=more)
    assert not bench.fresh.exists()
    refused(bench, "train", bench.fresh, "VT-MEMORY-001", 2, "4G", more=("--memory", "much"))
    bench.job.command(*bench.words("train", bench.fresh), "--memory", "4G")


def test_too_little_address_space_is_refused_and_not_an_abort(bench: Bench) -> None:
    """The same limit without the check kills the process: the allocator aborts."""
    limit = limited(resource.RLIMIT_AS, 700 << 20)
    refused(bench, "prove", bench.trained, "VT-MEMORY-001", 2, "ulimit -v", preexec_fn=limit)
    unchecked = "import sys, veritune.run as r; r.check_memory = lambda *_: None; from veritune.cli import main; main()"
    words = [sys.executable, "-c", unchecked, *bench.words("prove", bench.trained)]
    environment = {**os.environ, "GLIBC_TUNABLES": ""}
    aborted = subprocess.run(words, capture_output=True, text=True, check=False, preexec_fn=limit, env=environment)
    assert aborted.returncode in (-signal.SIGABRT, -signal.SIGSEGV), aborted.stderr
    bench.job.command(*bench.words("prove", bench.trained))
    bench.job.verify(bench.trained)


def test_sizes_and_rooms() -> None:
    assert [memory.parse_size(text) for text in ("1000", "4G", "512 MiB", "1.5g", "2kb")] == [
        1000,
        4 << 30,
        512 << 20,
        3 << 29,
        2048,
    ]
    for text in ("", "-1", "4X", "1e9", "G", "1.2345G"):
        with pytest.raises(ValueError, match="expected a size"):
            memory.parse_size(text)
    assert 0 < memory.room().num_bytes < 1 << 62
    memory.check_memory(1)
    with pytest.raises(InvalidInput, match="are needed"):
        memory.check_memory(1 << 62)


# -- overflow --------------------------------------------------------------------------------------------------------


def test_an_overflow_names_its_place_keeps_the_run_and_ends_with_its_cause(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A learning rate that is far too high overflows after some steps of warm-up: nothing is clamped."""
    folder = tmp_path_factory.mktemp("overflow")
    wild = Job(folder, 8, "3e-1", train="lr_scheduler_type: constant_with_warmup, warmup_steps: 4, ")
    run = folder / "wild"
    first = wild.command(*wild.words("train", run), expect=2)
    assert first["code"] == "VT-JOB-004", first
    step = int(first["location"].split(",")[0].removeprefix("step "))
    assert 1 < step <= 8 and "dataset row " in first["location"]
    for word in ("holds", "outside", "fraction bits", "layer"):
        assert word in first["message"], first["message"]
    assert "learning_rate" in first["remedy"]
    kept = states(run)
    assert {f"{number:06}.state" for number in range(step)} <= set(kept)
    assert not any(name.startswith(f"{step:06}") for name in kept)
    again = wild.command(*wild.words("train", run), expect=2)
    assert again == first and states(run) == kept
    assert wild.command(*wild.words("prove", run), expect=3)["code"] == "VT-JOB-016"
    assert not wild.adapter(run).exists()
    (folder / "tame").mkdir()
    tame = Job(folder / "tame", 8)
    tame.command(*tame.words("train", folder / "tamed"))
    assert len(states(folder / "tamed")) == 2 * 9
