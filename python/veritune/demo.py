"""The whole job on a small real model and real rows, then flipped bytes that are refused."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from veritune.certificate import CLAIMS, MAX_STATEMENT_BYTES, contents, seal
from veritune.core import Progress
from veritune.errors import Code, InvalidInput, VerificationFailed
from veritune.files import canonical_json, make_folder, parse_json, read_bytes, write_atomic
from veritune.job import Job
from veritune.keys import generate_key_files
from veritune.plan import make_plan
from veritune.recipe import check_steps
from veritune.run import prove, train
from veritune.verify import Request, verdict_of

RECIPE = """\
# Made by `veritune demo`. The words are those of PEFT and of the Hugging Face Trainer.
schema: veritune.recipe/v1
model:
  path: {model}
data:
  files: [{rows}]
  max_length: 64
  long_rows: refuse
lora:
  r: 8
  lora_alpha: 16
  target_modules: [q_proj, v_proj]
train:
  optim: adamw_torch
  learning_rate: 1e-3
  lr_scheduler_type: linear
  warmup_steps: 4
  weight_decay: 0.01
  max_grad_norm: 1.0
  per_device_train_batch_size: 1
  max_steps: {steps}
"""

PhaseProgress = Callable[[str], Any]
"""Called with a phase's name; returns a context manager that yields a Progress."""


def run_demo(
    folder: Path,
    model: Path,
    rows: Path,
    *,
    steps: int,
    threads: int | None,
    say: Callable[[str], None],
    progress: PhaseProgress,
) -> dict[str, Any]:
    """After the call the folder holds a verified job; returns seconds per phase.

    Raises:
        InvalidInput: FILE_EXISTS if the folder exists and is not an earlier demo's; FILE_UNREADABLE without model or
            rows; RECIPE_VALUE for more steps than a run has.
        VerificationFailed: DEMO if a tampered copy was not refused with exit 1.
    """
    _check(model, rows, steps)
    _clear(folder)
    seconds: dict[str, float] = {}
    marker = "This folder was made by `veritune demo`, with demo keys; it may be deleted.\n"
    write_atomic(folder / "DEMO.txt", marker.encode())
    recipe = RECIPE.format(
        model=json.dumps(str(model.absolute())),
        rows=json.dumps(str(rows.absolute())),
        steps=steps,
    )
    write_atomic(folder / "recipe.yaml", recipe.encode())
    job = Job(folder)

    @contextmanager
    def phase(name: str) -> Iterator[Progress]:
        begun = time.monotonic()
        with progress(name) as callback:
            yield callback
        seconds[name] = round(time.monotonic() - begun, 3)
        say(f"{name:<8} {seconds[name]:7.2f} s")

    private, public = generate_key_files(folder / "keys", "demo")
    with phase("plan") as callback:
        planned = make_plan(folder / "recipe.yaml", job, key=private, progress=callback)
    with phase("train") as callback:
        trained = train(job.plan, threads=threads, progress=callback)
    with phase("prove") as callback:
        proved = prove(job.run, private, threads=threads, progress=callback)
    keys = [public.read_text("ascii")]
    with phase("verify"):
        verdict = verdict_of(job.adapter, Request(keys=keys))
    if verdict["exit"] != 0:
        raise VerificationFailed(
            str(verdict.get("code", "")),
            f"the demo's own certificate: {verdict.get('message') or verdict.get('verdict')}",
            location=str(verdict.get("location", "")),
        )
    refused = {}
    proof = _first_proof(job.adapter)
    for name in ("adapter_model.safetensors", proof):
        refused[name] = _flip_and_verify(job.adapter, folder / "tampered", name, keys)
        say(f"one byte of {name} flipped: refused, {refused[name]}")
    resign = partial(_sign_again, name=proof, private_pem=private.read_text("ascii"))
    code = _flip_and_verify(job.adapter, folder / "tampered", proof, keys, resign=resign)
    refused[f"{proof}, signed again"] = code
    say(f"the same byte, digests and signature made again with the maker's key: refused by the proof itself, {code}")
    return {
        "schema": "veritune.demo/v1",
        "adapter": str(job.adapter),
        "public_key": str(public),
        "steps": planned.plan.num_steps,
        "data": planned.summary["data"],
        "train": trained,
        "prove": proved,
        "verdict": verdict,
        "refused": refused,
        "seconds": {name: f"{value:.3f}" for name, value in seconds.items()},
    }


def _check(model: Path, rows: Path, steps: int) -> None:
    for path in (model, rows):
        if not path.exists():
            raise InvalidInput(
                Code.FILE_UNREADABLE,
                "the demo's model or rows are not here",
                location=str(path),
                remedy="run it in the folder of Veritune's repository, or name others with --model and --rows",
            )
    check_steps(steps, "--steps", "ask for fewer")


def _clear(folder: Path) -> None:
    if folder.exists():
        if not folder.is_dir() or (any(folder.iterdir()) and not (folder / "DEMO.txt").exists()):
            raise InvalidInput(
                Code.FILE_EXISTS,
                "it exists and no demo made it",
                location=str(folder),
                remedy="name another folder with --out",
            )
        shutil.rmtree(folder)
    make_folder(folder)


def _first_proof(adapter: Path) -> str:
    proofs = sorted((adapter / "veritune" / "proofs").iterdir())
    return proofs[0].relative_to(adapter).as_posix()


def _sign_again(adapter: Path, *, name: str, private_pem: str) -> None:
    """Makes every digest and the signature fit the changed proof, so that only its own check can refuse it."""
    certificate = adapter / "veritune"
    bundle = parse_json(read_bytes(certificate / CLAIMS, 2 * MAX_STATEMENT_BYTES, what="bundle"))
    statement = parse_json(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    listed = name.removeprefix("veritune/")
    for proof in statement["predicate"]["proofs"]:
        if proof["name"] == listed:
            proof["sha256"] = hashlib.sha256((adapter / name).read_bytes()).hexdigest()
    seal(certificate, contents(certificate), canonical_json(statement), private_pem)


def _flip_and_verify(
    adapter: Path, copy: Path, name: str, keys: list[str], *, resign: Callable[[Path], None] | None = None
) -> str:
    """Flips the lowest bit of the middle byte of one file in a copy; returns the refusal's code."""
    shutil.copytree(adapter, copy)
    try:
        path = copy / name
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        if resign is not None:
            resign(copy)
        verdict = verdict_of(copy, Request(keys=keys))
    finally:
        shutil.rmtree(copy, ignore_errors=True)
    if verdict["exit"] != 1:
        raise VerificationFailed(
            Code.DEMO,
            f"expected exit 1 for a flipped byte, got {verdict['exit']}",
            location=name,
        )
    return str(verdict.get("code", ""))
