"""Training and proving: both continue what an earlier, interrupted call began."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from veritune import core
from veritune.certificate import INDEX, MAX_FILE_BYTES, MAX_STATEMENT_BYTES, check_signer, read_private_key, seal
from veritune.core import Progress
from veritune.errors import Code, InvalidInput
from veritune.files import (
    canonical_json,
    copy_file,
    exclusive,
    make_folder,
    read_bytes,
    staged_folder,
    sweep,
    write_atomic,
)
from veritune.job import LOCAL_SCHEMA, Job, local_path
from veritune.memory import check_memory
from veritune.plan import MAX_PLAN_BYTES, Plan, read_plan, read_seed, write_seed
from veritune.prediction import memory_bytes

MAX_SEED_BYTES = 1 << 16

Notice = Callable[[str], None]
"""Called with a sentence for a person."""


def ignore_notice(_text: str) -> None:
    """Tells nobody."""


def default_threads() -> int:
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def train(
    plan_path: Path,
    *,
    run: Path | None = None,
    model: Path | None = None,
    threads: int | None = None,
    beacon_file: Path | None = None,
    memory: int | None = None,
    progress: Progress = core.ignore_progress,
    notice: Notice = ignore_notice,
) -> dict[str, Any]:
    """After the call the run folder holds every step of the plan, committed.

    ``beacon_file`` holds the recorded round that the plan's time fixes; it is needed once. ``notice`` is told of a
    process that was killed in the run folder before.

    Raises:
        InvalidInput: PLAN, SEED, FILE codes; FILE_EXISTS if the folder holds another plan's run.
        VerituneError: errors of the core, for example a value outside its range; the run so far
            is kept.
    """
    job = Job.of_plan(plan_path)
    threads = threads or default_threads()
    plan = read_plan(job.plan)
    if beacon_file is not None:
        write_seed(job.seed, plan, beacon_file)
    seed = read_seed(job.seed, plan)
    rows = job.read_rows()
    run_dir = run or job.run
    check_memory(memory_bytes(plan.value["spec"]).train, memory)
    with exclusive(run_dir, "train") as killed:
        _tell(killed, notice)
        _claim_run(run_dir, job, plan)
        result = core.train(
            plan.value,
            seed,
            job.model_dir(model),
            rows,
            job.read_salt(),
            run_dir,
            threads,
            progress,
        )
    return {"schema": "veritune.trained/v1", "run": str(run_dir), "continued_after": killed, **result}


def prove(
    run_dir: Path,
    key: Path,
    *,
    adapter: Path | None = None,
    overwrite: bool = False,
    model: Path | None = None,
    threads: int | None = None,
    memory: int | None = None,
    progress: Progress = core.ignore_progress,
    notice: Notice = ignore_notice,
) -> dict[str, Any]:
    """After the call the adapter folder holds PEFT's files and the signed certificate.

    Of a hidden adapter it also holds the proof of the release, and only the certificate in it may be published.

    A failure leaves neither a certificate nor an adapter folder; finished proofs stay in the run
    folder, and the next call continues.

    Raises:
        InvalidInput: PLAN, SEED, KEY, FILE codes.
        VerituneError: errors of the core.
    """
    private_pem = read_private_key(key)
    threads = threads or default_threads()
    plan = read_plan(run_dir / "plan.json")
    seed = read_seed(run_dir / "seed.json", plan)
    job = Job.of_run(run_dir)
    if job.plan_bundle.exists():
        check_signer(job.plan_bundle, key, private_pem)
    adapter_dir = adapter or run_dir.absolute().parent / "adapter"
    check_memory(memory_bytes(plan.value["spec"]).prove, memory)
    with exclusive(run_dir, "prove") as killed, staged_folder(adapter_dir, overwrite=overwrite) as staged:
        _tell(killed, notice)
        rows = job.read_rows()
        sweep(run_dir / "certificate", run_dir / "certificate" / "proofs")
        # Without its index the run's certificate is none until it is sealed again.
        (run_dir / "certificate" / INDEX).unlink(missing_ok=True)
        result = core.prove(
            plan.value,
            seed,
            job.model_dir(model),
            rows,
            job.read_salt(),
            run_dir,
            threads,
            progress,
        )
        core.export_adapter(plan.value, run_dir, staged)
        statement = read_bytes(run_dir / "claims.statement.json", MAX_STATEMENT_BYTES, what="statement")
        certificate = run_dir / "certificate"
        # By name: a run folder may hold more than its certificate.
        names = list(result.pop("certificate"))
        if job.plan_bundle.exists():
            copy_file(job.plan_bundle, certificate / job.plan_bundle.name, max_bytes=MAX_FILE_BYTES)
            names.append(job.plan_bundle.name)
        files = seal(certificate, names, statement, private_pem)
        for name in [*files, INDEX]:
            copy_file(certificate / name, staged / "veritune" / name, max_bytes=MAX_FILE_BYTES)
    is_hidden = plan.value["spec"]["disclose"]["adapter"] == "hidden"
    return {
        "schema": "veritune.proved/v1",
        "adapter": str(adapter_dir),
        "publish": str(adapter_dir / "veritune" if is_hidden else adapter_dir),
        "certificate_files": len(files) + 1,
        "continued_after": killed,
        **result,
    }


def _tell(killed: str, notice: Notice) -> None:
    if killed:
        notice(f"{killed} was killed while it worked in this folder; what it had finished is kept")


def _claim_run(run_dir: Path, job: Job, plan: Plan) -> None:
    """Copies plan and seed into a fresh run folder; refuses one that belongs to another plan.

    Where the job lies is written by every call: it may have been moved.
    """
    make_folder(run_dir / "secret", secret=True)
    sweep(run_dir, run_dir / "secret")
    held = run_dir / "plan.json"
    is_fresh = not held.exists()
    if not is_fresh and read_plan(held).sha256 != plan.sha256:
        raise InvalidInput(
            Code.FILE_EXISTS,
            "the run folder belongs to another plan",
            location=str(run_dir),
            remedy="name another folder with --run",
        )
    local = {"schema": LOCAL_SCHEMA, "job": local_path(job.folder)}
    write_atomic(run_dir / "secret" / "local.json", canonical_json(local), secret=True)
    if is_fresh:
        write_atomic(run_dir / "seed.json", read_bytes(job.seed, MAX_SEED_BYTES))
        write_atomic(held, read_bytes(job.plan, MAX_PLAN_BYTES))
