"""plan.json and seed.json: canonical bytes, the seed rule, secrets, tampering."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from veritune import _core
from veritune.beacon import DELAY_SECONDS, GENESIS_SECONDS, PERIOD_SECONDS, QUICKNET, read_beacon, round_of, time_of
from veritune.errors import Code, InternalError, InvalidInput
from veritune.files import canonical_json
from veritune.job import Job
from veritune.plan import Plan, Planned, make_plan, parse_plan, read_plan, read_seed, write_seed

# drand quicknet round 1000, as the HTTP API answers it.
ROUND = {
    "round": 1000,
    "randomness": "fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd",
    "signature": "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39",
}


# A plan of this time waits for round 1000.
TIME = GENESIS_SECONDS + 999 * PERIOD_SECONDS - DELAY_SECONDS


@pytest.fixture
def round_file(tmp_path: Path) -> Path:
    path = tmp_path / "round.json"
    path.write_text(json.dumps(ROUND))
    return path


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory, model_dir: Path, demo_rows: Path) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "recipe.yaml"
    path.write_text(
        f"""\
schema: veritune.recipe/v1
model: {{path: {json.dumps(str(model_dir))}}}
data: {{files: [{json.dumps(str(demo_rows))}], max_length: 16, long_rows: truncate, label_mask: all}}
lora: {{r: 2}}
train: {{learning_rate: 1e-3, per_device_train_batch_size: 4, num_train_epochs: 1}}
"""
    )
    return path


@pytest.fixture(scope="session")
def once(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Planned:
    """What the core made of the recipe, with the demo beacon. Not to be changed."""
    return make_plan(recipe, Job(tmp_path_factory.mktemp("planned") / "job"))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A folder in which no plan is made yet."""
    return Job(tmp_path / "job")


@pytest.fixture
def planned(once: Planned, tmp_path: Path) -> Planned:
    """A copy of the planned job."""
    job = Job(Path(shutil.copytree(once.job.folder, tmp_path / "planned")))
    return replace(once, plan=read_plan(job.plan), job=job)


def test_the_plan_holds_exactly_the_fields_of_the_envelope(once: Planned, demo_rows: Path) -> None:
    job = once.job
    content = job.plan.read_bytes()
    value = json.loads(content)
    assert content == canonical_json(value)
    assert set(value) == {
        "schema", "planNumber", "recipe", "spec", "programDigest", "base", "datasetRoot",
        "numSteps", "createdBy",
    }  # fmt: skip
    num_rows = demo_rows.read_bytes().count(b"\n")
    assert value["numSteps"] == num_rows // 4
    assert value["recipe"]["train"]["learning_rate"] == "1e-3"
    assert value["recipe"]["beacon"] == {"source": "demo", "chain_hash": ""}
    digest = hashlib.sha256(job.calibration.read_bytes()).hexdigest()
    assert value["recipe"]["calibration"]["sha256"] == digest
    assert set(value["base"]) == {"files", "root"}
    assert once.plan.sha256 == hashlib.sha256(content).digest()
    assert str(job.folder) not in content.decode()
    assert set(json.loads(job.manifest.read_bytes())) == {"schema", "root", "rows"}
    assert json.loads((job.secret / "meta.json").read_bytes())["license"] == {"MIT": num_rows}


def test_the_seed_follows_from_plan_root_and_beacon(once: Planned) -> None:
    plan, job = once.plan, once.job
    seed = json.loads(job.seed.read_bytes())
    assert seed["beacon"]["source"] == "demo" and "no protection" in seed["beacon"]["notice"]
    expected = hashlib.sha256(
        b"veritune seed"
        + hashlib.sha256(job.plan.read_bytes()).digest()
        + bytes.fromhex(plan.value["datasetRoot"])
        + bytes.fromhex(seed["beacon"]["randomness"])
    ).hexdigest()
    assert seed["seed"] == expected == read_seed(job.seed, plan)["seed"]


def test_the_recorded_round_of_the_plans_time_makes_the_seed(recipe: Path, job: Job, round_file: Path) -> None:
    plan = make_plan(recipe, job, beacon=QUICKNET, plan_time=TIME).plan
    assert plan.beacon_round == 1000 and not job.seed.exists()
    with pytest.raises(InvalidInput, match="waits for round 1000") as caught:
        read_seed(job.seed, plan)
    assert caught.value.code == Code.BEACON.id and "public/1000" in caught.value.remedy
    write_seed(job.seed, plan, round_file)
    seed = read_seed(job.seed, plan)
    assert seed["beacon"]["source"] == plan.beacon_source == QUICKNET
    assert seed["beacon"]["round"] == 1000


def test_nobody_chooses_the_round(recipe: Path, job: Job, once: Planned, round_file: Path) -> None:
    def refuse(plan: Plan, path: Path) -> None:
        with pytest.raises(InvalidInput) as caught:
            write_seed(job.seed, plan, path)
        assert caught.value.code == Code.BEACON.id and not job.seed.exists()

    later = make_plan(recipe, job, beacon=QUICKNET, plan_time=TIME + 1).plan
    refuse(later, round_file)
    forged = round_file.with_name("forged.json")
    # A real signature of the chain, of round 123, with the number that the plan asks for.
    other = "b75c69d0b72a5d906e854e808ba7e2accb1542ac355ae486d591aa9d43765482e26cd02df835d3546d23c4b13e0dfc92"
    randomness = hashlib.sha256(bytes.fromhex(other)).hexdigest()
    forged.write_text(json.dumps({"round": 1001, "randomness": randomness, "signature": other}))
    refuse(later, forged)
    with pytest.raises(InvalidInput, match="the demo beacon"):
        write_seed(job.seed, once.plan, round_file)


def test_the_round_is_the_first_after_the_delay() -> None:
    for wait in range(10):
        number = round_of(TIME + wait)
        assert DELAY_SECONDS <= time_of(number) - (TIME + wait) < DELAY_SECONDS + PERIOD_SECONDS
    with pytest.raises(ValueError, match="before the chain"):
        round_of(0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("round", 0),
        ("round", "1000"),
        ("randomness", "00" * 32),
        ("signature", "00" * 47),
        ("signature", ROUND["signature"].upper()),
        ("chain_hash", "00" * 32),
    ],
)
def test_another_round_is_refused(tmp_path: Path, field: str, value: object) -> None:
    path = tmp_path / "round.json"
    path.write_text(json.dumps({**ROUND, field: value}))
    with pytest.raises(InvalidInput) as caught:
        read_beacon(path)
    assert caught.value.code == Code.BEACON.id


@pytest.mark.parametrize("field", ["rule", "plan_sha256", "dataset_root", "seed"])
def test_a_changed_seed_file_is_refused(planned: Planned, field: str) -> None:
    plan, job = planned.plan, planned.job
    seed = json.loads(job.seed.read_bytes())
    job.seed.write_bytes(canonical_json({**seed, field: "00" * 32}))
    with pytest.raises(InvalidInput) as caught:
        read_seed(job.seed, plan)
    assert caught.value.code == Code.SEED.id


def test_a_demo_beacon_of_the_makers_choice_is_refused(planned: Planned) -> None:
    plan, job = planned.plan, planned.job
    seed = json.loads(job.seed.read_bytes())
    seed["beacon"] = {"source": QUICKNET, **ROUND}
    job.seed.write_bytes(canonical_json(seed))
    with pytest.raises(InvalidInput, match="the beacon that the plan names"):
        read_seed(job.seed, plan)


def test_secret_files_are_for_their_owner_only(once: Planned) -> None:
    job = once.job
    assert stat.S_IMODE(job.secret.stat().st_mode) == 0o700
    names = {path.name for path in job.secret.iterdir()}
    assert names == {"salt.bin", "rows.safetensors", "meta.json", "local.json", ".lock"}
    for path in job.secret.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    published = [job.plan, job.seed, job.manifest, job.calibration]
    salt = job.read_salt()
    for path in published:
        assert salt.hex() not in path.read_text()


def test_changed_token_rows_are_refused(planned: Planned) -> None:
    job = planned.job
    path = job.secret / "rows.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        job.read_rows()
    assert caught.value.code == Code.FILE_CHANGED.id


def test_a_plan_is_never_replaced(recipe: Path, planned: Planned) -> None:
    job = planned.job
    before = job.plan.read_bytes()
    with pytest.raises(InvalidInput) as caught:
        make_plan(recipe, job)
    assert caught.value.code == Code.FILE_EXISTS.id
    assert job.plan.read_bytes() == before


def test_a_spec_with_other_counts_is_our_bug(recipe: Path, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """No input makes the core state other counts; the patch changes one in its answer."""
    honest = _core.make_spec

    def other(*arguments: str) -> str:
        made = json.loads(honest(*arguments))
        made["spec"]["training"]["steps"] = 1
        return json.dumps(made)

    monkeypatch.setattr(_core, "make_spec", other)
    with pytest.raises(InternalError, match="the spec has 1 steps"):
        make_plan(recipe, job)
    assert not job.plan.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"numSteps": 0},
        {"numSteps": True},
        {"datasetRoot": "00"},
        {"schema": "veritune.plan/v2"},
        {"extra": 1},
        {"recipe": {}},
        {"recipe": {"beacon": {"source": QUICKNET}}},
        {"recipe": {"beacon": {"source": QUICKNET, "plan_time": 1}}},
    ],
)
def test_a_malformed_plan_is_refused(once: Planned, change: dict[str, object]) -> None:
    value = once.plan.value
    with pytest.raises(InvalidInput) as caught:
        parse_plan(canonical_json({**value, **change}), name="plan.json")
    assert caught.value.code == Code.PLAN.id


def test_a_plan_that_is_not_canonical_is_refused(planned: Planned) -> None:
    job = planned.job
    job.plan.write_bytes(job.plan.read_bytes() + b"\n")
    with pytest.raises(InvalidInput, match="canonical"):
        read_plan(job.plan)
