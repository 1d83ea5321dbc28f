"""The whole job on the small real model and real rows, by the real command and the real core."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from conftest import STEPS, veritune


def key(job: Path) -> str:
    return str(job / "keys" / "demo.pub.pem")


def verdict_of(ran: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    verdict: dict[str, Any] = json.loads(ran.stdout)
    return verdict


@pytest.mark.parametrize("spoil", [None, "adapter_model.safetensors", "veritune/proofs/step-000002.bin"])
def test_both_verifiers_give_the_same_verdict(
    spoil: str | None, job: Path, static_verifier: Path, tmp_path: Path
) -> None:
    adapter = tmp_path / "adapter"
    shutil.copytree(job / "adapter", adapter)
    if spoil:
        path = adapter / spoil
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    mine = veritune("verify", str(adapter), "--key", key(job), "--json")
    other = subprocess.run(
        [str(static_verifier), str(adapter), "--key", key(job)], capture_output=True, text=True, check=False
    )
    assert mine.returncode == other.returncode == (1 if spoil else 0), mine.stderr
    python, static = verdict_of(mine), verdict_of(other)
    for field in ("exit", "verdict", "code", "location", "claims", "notClaimed", "ledger"):
        assert python[field] == static[field], field
    if not spoil:
        assert {claim["word"] for claim in python["claims"]} == {"zk-proof"}


def test_without_a_key_nothing_is_verified(job: Path) -> None:
    assert veritune("verify", str(job / "adapter"), "--json").returncode == 3


def test_training_again_gives_the_same_states(job: Path, tmp_path: Path) -> None:
    """A run that starts over, and one that is interrupted, have the same state roots."""
    before = {p.name: p.read_bytes() for p in (job / "run" / "steps").glob("*.state")}
    assert len(before) == STEPS + 1
    copy = tmp_path / "job"
    shutil.copytree(job, copy)
    local = copy / "run" / "secret" / "local.json"
    for step in range(2, STEPS + 1):
        for ending in ("state", "root"):
            (copy / "run" / "steps" / f"{step:06}.{ending}").unlink()
    roots = {p.name: p.read_bytes() for p in (job / "run" / "steps").glob("*.root")}
    assert local.exists()
    ran = veritune("train", str(copy / "plan" / "plan.json"), "--run", str(copy / "run"))
    assert ran.returncode == 0, ran.stderr
    assert {p.name: p.read_bytes() for p in (copy / "run" / "steps").glob("*.state")} == before
    assert {p.name: p.read_bytes() for p in (copy / "run" / "steps").glob("*.root")} == roots
