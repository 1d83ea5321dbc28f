"""A state file of another step in the place of a step's own: its length and checksum are right, its root is not.

Nothing of it may be opened: it would lie behind random rows that the step's own state has used (an independent attack
found both cases).
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from small_job import Job, openings

from conftest import veritune

HIDDEN = "disclose: {adapter: hidden}\n"


def proved(folder: Path, more: str = "") -> Job:
    job = Job(folder, 2, more=more)
    job.command("train", str(job.plan))
    job.command("prove", str(job.plan / "run"), "--key", str(job.private))
    return job


def prove_again(job: Job) -> tuple[int, str]:
    ran = veritune("prove", str(job.plan / "run"), "--key", str(job.private), "--overwrite")
    return ran.returncode, ran.stderr


@pytest.mark.parametrize("more", ["", HIDDEN], ids=["public", "hidden"])
def test_a_state_of_another_step_is_not_released(more: str, tmp_path: Path) -> None:
    job = proved(tmp_path, more)
    run = job.plan / "run"
    shutil.copyfile(run / "steps" / "000001.state", run / "steps" / "000002.state")
    (run / ("release/adapter_release.bin" if more else "certificate/proofs/release.bin")).unlink()
    before = openings(run)
    code, said = prove_again(job)
    assert code == 2 and "000002.root" in said
    assert openings(run) == before


def test_a_step_opens_no_other_state_in_the_place_of_the_one_before(tmp_path: Path) -> None:
    job = proved(tmp_path)
    run = job.plan / "run"
    shutil.copyfile(run / "steps" / "000002.state", run / "steps" / "000001.state")
    for name in ("000002.state", "000002.root"):
        (run / "steps" / name).unlink()
    job.command("train", str(job.plan))
    before = openings(run)
    code, said = prove_again(job)
    assert code == 2 and "000001.root" in said
    assert openings(run) == before
