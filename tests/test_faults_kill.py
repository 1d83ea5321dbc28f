"""kill -9 at random moments, and that what is looked at after a kill would show what goes wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from kill import Killer
from small_job import argv, attempt, budget, openings, spend

from conftest import SMALL_STEPS as STEPS
from conftest import Bench

ROOT = Path(__file__).resolve().parent.parent


def test_killed_at_random_moments(tmp_path: Path) -> None:
    """The short form of `make test-kill`."""
    figures = tmp_path / "faults.json"
    script = [sys.executable, str(ROOT / "scripts" / "faults" / "kill.py")]
    subprocess.run([*script, "--kills", "6", "--steps", "2", "--out", str(figures)], check=True)
    rows = json.loads(figures.read_bytes())["rows"]
    assert [row["kills"] >= 6 for row in rows] == [True, True]
    assert "kill -9" in figures.with_suffix(".md").read_text()


def test_the_kills_would_see_randomness_used_again_and_an_opening_forgotten(bench: Bench) -> None:
    """What `kill.py` looks at after every kill, on runs in which that went wrong."""
    run, proofs = bench.proved, bench.proved / "certificate" / "proofs"
    killer = Killer(bench.job, "prove", 0, seed=0, seconds=1.0)
    killer.look(run)
    killer.look(run)
    assert killer.attempts == STEPS
    # A lost proof stays an attempt that was counted, beside that of the next step.
    proof = (proofs / "step-000001.bin").read_bytes()
    (proofs / "step-000001.bin").unlink()
    killer.look(run)
    killer.counts = {}
    spend(run, 1, 1)
    with pytest.raises(SystemExit, match=r"2 attempts open state 1"):
        killer.look(run)
    spend(run, 1, 3)
    # The same proof once more, made from the same seed; half-written, too.
    for name in ("step-000001.bin", "step-000001.bin.partial"):
        (proofs / name).write_bytes(proof)
        with pytest.raises(SystemExit, match="two attempts of step 1 with one witness root"):
            killer.look(run)
        (proofs / name).unlink()
    killer.look(run)
    # Another statement of the step: the first root before it, and a witness root that none has.
    at = len(attempt(bench.job.plan, proof).statement)
    other = bytes([proof[0] ^ 1]) + proof[1:at] + bytes([proof[at] ^ 1]) + proof[at + 1 :]
    for content, fault in ((other, "two statements of step 1"), (bytes(len(proof)), "is empty")):
        (proofs / "step-000001.bin").write_bytes(content)
        with pytest.raises(SystemExit, match=fault):
            killer.look(run)
        (proofs / "step-000001.bin").unlink()
    # An attempt that has its space and statement, and no witness root yet, opens its states all the same.
    counted = openings(run)["state 1"]
    spend(run, 1, counted - 1)
    killer.counts = {}
    (proofs / "step-000001.bin.partial").write_bytes(proof[:at] + bytes(64))
    with pytest.raises(SystemExit, match=rf"{counted} attempts open state 1"):
        killer.look(run)
    (proofs / "step-000001.bin.partial").unlink()
    killer.look(run)
    # The record is put back to an older one, or says more than a tree may be opened.
    killer.counts = {"state 1": counted}
    with pytest.raises(SystemExit, match="state 1 is counted less than before"):
        killer.look(run)
    spend(run, 1, budget() + 1)
    with pytest.raises(SystemExit, match="past a budget"):
        killer.look(run)


def test_a_killed_prove_leaves_no_staging_folder(bench: Bench) -> None:
    run = bench.trained
    with subprocess.Popen(argv(*bench.words("prove", run)), stdout=subprocess.DEVNULL) as process:
        while not (staged := list(bench.folder.glob(".trained-adapter.*"))):
            assert process.poll() is None
        process.kill()
    assert staged[0].exists() and not bench.job.adapter(run).exists()
    bench.job.command(*bench.words("prove", run))
    bench.job.verify(run)
    bench.job.clean(run)
