"""A state file or root of another step or run in the place of a step's own.

Nothing of it may be opened: it would lie behind random rows that the step's own state has used (an independent attack
found both cases). A state file's digest binds run and step; and no tree is opened whose root training did not write.
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


def without_release(job: Job) -> None:
    hidden = job.plan / "run" / "release" / "adapter_release.bin"
    (hidden if hidden.exists() else job.plan / "run" / "certificate" / "proofs" / "release.bin").unlink()


def refused(job: Job, *words: str) -> None:
    before = openings(job.plan / "run")
    code, said = prove_again(job)
    assert code == 2
    assert all(word in said for word in words), said
    assert openings(job.plan / "run") == before


@pytest.mark.parametrize("name", ["000002.state", "000002.root"])
@pytest.mark.parametrize("more", ["", HIDDEN], ids=["public", "hidden"])
def test_another_step_s_state_or_root_is_not_released(more: str, name: str, tmp_path: Path) -> None:
    job = proved(tmp_path, more)
    steps = job.plan / "run" / "steps"
    shutil.copyfile(steps / name.replace("2", "1"), steps / name)
    without_release(job)
    refused(job, name)


@pytest.mark.parametrize("name", ["000001.state", "000001.root"])
def test_a_step_opens_no_other_state_in_the_place_of_the_one_before(name: str, tmp_path: Path) -> None:
    job = proved(tmp_path)
    run = job.plan / "run"
    shutil.copyfile(run / "steps" / name.replace("1", "2"), run / "steps" / name)
    (run / "certificate" / "proofs" / "step-000002.bin").unlink()
    refused(job, name)


def test_training_goes_on_from_no_other_step_s_state_and_no_other_run_s(tmp_path: Path) -> None:
    states = []
    for name in ("own", "other"):
        (tmp_path / name).mkdir()
        job = Job(tmp_path / name, 2)
        job.command("train", str(job.plan))
        states.append(job.plan / "run" / "steps")
    own, other = states
    wrong = [(own / "000002.state").read_bytes(), (other / "000001.state").read_bytes()]
    for name in ("000002.state", "000002.root"):
        (own / name).unlink()
    for content in wrong:
        (own / "000001.state").write_bytes(content)
        ran = veritune("train", str(own.parents[1]))
        assert ran.returncode == 2
        assert "is damaged or belongs to another step or run" in ran.stderr
