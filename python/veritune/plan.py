"""plan.json: everything that is fixed before training, and seed.json: the beacon and the seed.

A job folder after ``veritune plan``::

    plan/plan.json  plan/plan.sigstore.json  plan/seed.json  plan/calibration.json
    data/manifest.json  data/secret/{salt.bin, rows.safetensors, local.json, meta.json}

plan.json holds the fields of the envelope crate's ``PlanV1`` and no other; its digest is SHA-256 of
its RFC 8785 bytes. ``recipe`` is what the core takes as settings, with the sections ``text`` (how
text became tokens), ``calibration`` and ``beacon`` beside it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veritune import __version__, core
from veritune.beacon import (
    DEMO,
    QUICKNET,
    QUICKNET_CHAIN,
    Beacon,
    demo_beacon,
    read_beacon,
    round_of,
    round_url,
)
from veritune.certificate import PAYLOAD_TYPE, make_statement, read_private_key, take_plan_number
from veritune.core import CALIBRATION_STEPS, Progress
from veritune.errors import Code, InternalError, InvalidInput, VerificationFailed, VerituneError
from veritune.files import (
    canonical_json,
    exclusive,
    read_bytes,
    read_json,
    sweep,
    undone_on_failure,
    write_atomic,
)
from veritune.job import Job
from veritune.recipe import load_recipe
from veritune.rows import read_dataset

SCHEMA = "veritune.plan/v1"
SEED_SCHEMA = "veritune.seed/v1"
MANIFEST_SCHEMA = "veritune.manifest/v1"
SEED_RULE = "plan-beacon/v1"
SAMPLER = "veritune/sampler/v1"
PREDICATE_TYPE = "https://veritune.dev/plan/v1"
MAX_PLAN_BYTES = 64 << 20
SECRET_BYTES = 32

_FIELDS = {
    "schema", "planNumber", "recipe", "spec", "programDigest", "base", "datasetRoot", "numSteps",
    "createdBy",
}  # fmt: skip
_HEX_32 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Plan:
    """A plan and its digest (SHA-256 of its canonical bytes)."""

    value: dict[str, Any]
    sha256: bytes

    @property
    def num_steps(self) -> int:
        """Optimiser steps of the run."""
        return int(self.value["numSteps"])

    @property
    def beacon_source(self) -> str:
        """``demo`` or ``drand-quicknet``."""
        return str(self.value["recipe"]["beacon"]["source"])

    @property
    def beacon_round(self) -> int | None:
        """The round that the plan's time fixes; None for the demo beacon."""
        return round_of(self.value["recipe"]["beacon"]["plan_time"]) if self.beacon_source == QUICKNET else None

    def seed(self, beacon: Beacon) -> bytes:
        """Returns the run seed: SHA-256("veritune seed", plan digest, dataset root, randomness)."""
        root = bytes.fromhex(self.value["datasetRoot"])
        material = b"veritune seed" + self.sha256 + root + beacon.randomness
        return hashlib.sha256(material).digest()


@dataclass(frozen=True)
class Planned:
    """What ``make_plan`` made, for people and for --json."""

    plan: Plan
    job: Job
    summary: dict[str, Any]


def parse_plan(content: bytes, *, name: str) -> Plan:
    """Returns the plan; its bytes must be canonical.

    Raises:
        InvalidInput: PLAN.
    """
    from veritune.files import parse_json

    def refuse(message: str) -> InvalidInput:
        return InvalidInput(Code.PLAN, message, location=name, remedy="make the plan again with veritune plan")

    try:
        value = parse_json(content)
    except ValueError as error:
        raise refuse(f"not JSON: {error}") from error
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise refuse(f"expected schema {SCHEMA}")
    if set(value) != _FIELDS:
        odd = sorted(set(value) ^ _FIELDS)
        raise refuse(f"missing or unknown field {odd[0]}")
    root, steps, recipe = value["datasetRoot"], value["numSteps"], value["recipe"]
    if not isinstance(root, str) or not _HEX_32.fullmatch(root):
        raise refuse("datasetRoot must be 32 bytes of hex")
    if type(steps) is not int or steps < 1:
        raise refuse("numSteps must be a positive whole number")
    beacon = recipe.get("beacon") if isinstance(recipe, dict) else None
    if not isinstance(beacon, dict) or beacon.get("source") not in (DEMO, QUICKNET):
        raise refuse("recipe.beacon.source must name a beacon")
    if beacon["source"] == QUICKNET:
        plan_time = beacon.get("plan_time")
        if type(plan_time) is not int:
            raise refuse("recipe.beacon.plan_time must be seconds since 1970")
        try:
            round_of(plan_time)
        except ValueError as error:
            raise refuse(f"recipe.beacon.plan_time: {error}") from error
    if canonical_json(value) != content:
        raise refuse("not the canonical (RFC 8785) bytes")
    return Plan(value, hashlib.sha256(content).digest())


def read_plan(path: Path) -> Plan:
    """Returns the plan in a file."""
    return parse_plan(read_bytes(path, MAX_PLAN_BYTES, what="plan"), name=str(path))


def make_plan(
    recipe_path: Path,
    job: Job,
    *,
    beacon: str = DEMO,
    plan_time: int | None = None,
    key: Path | None = None,
    calibration_steps: int = CALIBRATION_STEPS,
    progress: Progress = core.ignore_progress,
) -> Planned:
    """After the call the job folder holds plan, manifest and secrets, and the seed if the demo beacon gives it.

    Args:
        recipe_path: recipe.yaml.
        job: the job folder; one that already holds a plan is refused.
        beacon: ``drand-quicknet``, whose round ``write_seed`` takes when it is known, or ``demo``, labelled as such.
        plan_time: seconds since 1970 that the plan states and that fix the round of drand-quicknet; None means now.
        key: private key that signs the plan; None leaves it unsigned.
        calibration_steps: float steps from which the widths follow.
        progress: called by the core.

    Raises:
        InvalidInput: BEACON, KEY, RECIPE, DATA, FILE codes; errors of the core.
    """
    if plan_time is not None:
        _check_time(beacon, plan_time)
    _refuse_planned(job)
    private_pem = read_private_key(key) if key else None
    recipe = load_recipe(recipe_path)
    dataset = read_dataset(recipe)
    num_steps = recipe.num_steps(len(dataset.rows))
    secret = secrets.token_bytes(SECRET_BYTES)
    calibration = core.calibrate(recipe.model_dir, recipe.settings, dataset.rows, secret, calibration_steps, progress)
    calibration_bytes = canonical_json(calibration)
    made = core.make_spec(recipe.model_dir, recipe.settings, calibration)
    _check_spec(made["spec"], len(dataset.rows), num_steps)
    committed = core.commit_data(made["spec"], dataset.rows, secret)
    base = made["base"] if "root" in made["base"] else core.commit_model(recipe.model_dir, made["spec"])
    named: dict[str, Any] = {"source": beacon, "chain_hash": ""}
    if beacon == QUICKNET:
        now = int(time.time()) if plan_time is None else plan_time
        named = {"source": beacon, "chain_hash": QUICKNET_CHAIN, "plan_time": now}
    value = {
        "schema": SCHEMA,
        "recipe": {
            **recipe.settings,
            "text": {
                "template": dataset.template.pinned(secret),
                "tokenizer_sha256": dataset.tokenizer_sha256,
                "label_mask": recipe.label_mask,
                "long_rows": recipe.long_rows,
            },
            "calibration": {
                "steps": calibration_steps,
                "sha256": hashlib.sha256(calibration_bytes).hexdigest(),
            },
            "sampler": SAMPLER,
            "beacon": named,
        },
        "spec": made["spec"],
        "programDigest": made["program_digest"],
        "base": base,
        "datasetRoot": committed["root"],
        "numSteps": num_steps,
        "createdBy": {"name": "veritune", "version": __version__},
    }
    with exclusive(job.secret, "plan", secret=True):
        _refuse_planned(job)
        value["planNumber"] = take_plan_number(key) if key else 0
        plan_bytes = canonical_json(value)
        plan = parse_plan(plan_bytes, name=str(job.plan))
        statement = make_statement(PREDICATE_TYPE, value, {"plan.json": plan_bytes})
        bundle = private_pem and core.sign(PAYLOAD_TYPE, statement, private_pem)
        sweep(job.plan.parent, job.manifest.parent, job.secret)
        with undone_on_failure(job.plan, job.plan_bundle, job.seed, job.calibration, job.manifest, *job.secret_files):
            job.write_secret(recipe.model_dir, dataset, secret)
            write_atomic(job.manifest, canonical_json(manifest(committed)))
            write_atomic(job.calibration, calibration_bytes)
            if beacon == DEMO:
                write_atomic(job.seed, seed_json(plan, demo_beacon(plan.sha256)))
            else:
                # One that an interrupted call left belongs to another plan.
                job.seed.unlink(missing_ok=True)
            if bundle:
                write_atomic(job.plan_bundle, bundle)
            else:
                # One that an interrupted call left belongs to another plan.
                job.plan_bundle.unlink(missing_ok=True)
            # Last: a folder with plan.json is a complete one.
            write_atomic(job.plan, plan_bytes)
    return Planned(
        plan,
        job,
        {
            "schema": "veritune.planned/v1",
            "plan": str(job.plan),
            "plan_sha256": plan.sha256.hex(),
            "program_digest": value["programDigest"],
            "dataset_root": value["datasetRoot"],
            "steps": num_steps,
            "dropped_rows_per_epoch": len(dataset.rows) % recipe.batch_rows,
            "beacon": beacon,
            "round": plan.beacon_round,
            "signed": private_pem is not None,
            "largest_bound_log2": str(made.get("largest_bound_log2", "")),
            "range_report": made.get("range_report"),
            "data": dataset.summary(),
        },
    )


def _check_time(beacon: str, plan_time: int) -> None:
    def refuse(message: str, remedy: str) -> InvalidInput:
        return InvalidInput(Code.BEACON, message, location="--time", remedy=remedy)

    if beacon != QUICKNET:
        raise refuse("a plan with the demo beacon states no time", f"leave it out, or add --beacon {QUICKNET}")
    try:
        round_of(plan_time)
    except ValueError as error:
        raise refuse(f"{plan_time}: {error}", "seconds since 1970; without it, the present time") from error


def _refuse_planned(job: Job) -> None:
    if job.plan.exists():
        raise InvalidInput(
            Code.FILE_EXISTS,
            "the job folder already holds a plan",
            location=str(job.plan),
            remedy="name another folder with --job; a plan is never changed",
        )


def _check_spec(spec: dict[str, Any], num_rows: int, num_steps: int) -> None:
    """Refuses a spec whose counts, where it states them, are not the plan's."""
    stated = {"rows": spec.get("dataset_rows"), "steps": spec.get("training", {}).get("steps")}
    for name, expected in (("rows", num_rows), ("steps", num_steps)):
        if stated[name] not in (None, expected):
            raise InternalError(Code.CORE_ANSWER, f"the spec has {stated[name]} {name}, the plan {expected}")


def manifest(committed: dict[str, Any]) -> dict[str, Any]:
    """Returns data/manifest.json: root and number of rows, no digest from which one could be guessed."""
    return {"schema": MANIFEST_SCHEMA, "root": committed["root"], "rows": committed["rows"]}


def seed_json(plan: Plan, beacon: Beacon) -> bytes:
    """Returns the bytes of seed.json."""
    return canonical_json(
        {
            "schema": SEED_SCHEMA,
            "rule": SEED_RULE,
            "plan_sha256": plan.sha256.hex(),
            "dataset_root": plan.value["datasetRoot"],
            "beacon": beacon.record,
            "seed": plan.seed(beacon).hex(),
        }
    )


def write_seed(path: Path, plan: Plan, round_file: Path) -> None:
    """After the call seed.json holds the seed of the recorded round that the plan's time fixes.

    Raises:
        InvalidInput: BEACON if it is another round, or not the chain's signature; FILE codes.
    """
    beacon = read_beacon(round_file)
    content = seed_json(plan, beacon)
    if plan.beacon_round is None or beacon.record["round"] != plan.beacon_round:
        asked = f"round {plan.beacon_round}" if plan.beacon_round else "the demo beacon"
        raise InvalidInput(
            Code.BEACON,
            f"the plan asks for {asked}, the file holds round {beacon.record['round']}",
            location=str(round_file),
            remedy="the round follows from the plan's time; nobody chooses it",
        )
    try:
        core.check_seed(plan.value, content.decode("utf-8"))
    except VerificationFailed as error:
        raise InvalidInput(
            Code.BEACON, error.message, location=str(round_file), remedy="get the round again"
        ) from error
    write_atomic(path, content)


def read_seed(path: Path, plan: Plan) -> dict[str, Any]:
    """Returns seed.json, whose ``seed`` is 64 hex digits, after the core followed it from the plan.

    Raises:
        InvalidInput: SEED if it does not follow from the plan; BEACON if its round is not there yet.
    """
    if not path.exists() and plan.beacon_round:
        raise InvalidInput(
            Code.BEACON,
            f"the plan waits for round {plan.beacon_round} of drand quicknet",
            location=str(path),
            remedy=f"get {round_url(plan.beacon_round)} and pass it with --beacon-file",
        )
    value = read_json(path, SEED_SCHEMA)
    try:
        core.check_seed(plan.value, canonical_json(value).decode("utf-8"))
    except VerituneError as error:
        raise InvalidInput(
            Code.SEED,
            f"does not follow from the plan: {error.message}",
            location=f"{path}: {error.location}",
            remedy="restore the file that veritune plan or train wrote",
        ) from error
    return value
