"""The real core under the real product: a whole small job, interrupted, continued, verified, tampered with."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from veritune import _core, core
from veritune.certificate import PAYLOAD_TYPE, make_statement
from veritune.errors import InvalidInput, PolicyRejected, TrustError
from veritune.files import canonical_json
from veritune.job import Job
from veritune.keys import generate_key_files
from veritune.plan import Plan, make_plan, read_plan
from veritune.prediction import KERNELS, predict
from veritune.recipe import load_recipe
from veritune.rows import Rows, read_dataset
from veritune.run import prove, train
from veritune.verify import Request, verdict_of, verify

STEPS = 3
RECIPE = """\
schema: veritune.recipe/v1
model: {{path: {model}}}
data: {{files: [rows.jsonl], max_length: 16}}
lora: {{r: 2, lora_alpha: 4}}
train: {{learning_rate: 2e-3, per_device_train_batch_size: 1, max_steps: {steps}}}
proof: {{range_bits: 16}}
"""


class Interrupt(Exception):
    """Stands for Ctrl-C."""


@dataclass(frozen=True)
class Finished:
    """A proved job, what was seen on the way, and its keys."""

    job: Job
    private: Path
    keys: list[str]
    seen: dict[str, list[tuple[int, int, float]]]
    trained: dict[str, Any]


def _recipe(folder: Path, model_dir: Path) -> Path:
    rows = "".join(json.dumps({"prompt": f"a film {i}:", "completion": f" good {i}"}) + "\n" for i in range(40))
    (folder / "rows.jsonl").write_text(rows)
    path = folder / "recipe.yaml"
    path.write_text(RECIPE.format(model=json.dumps(str(model_dir)), steps=STEPS))
    return path


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, model_dir: Path) -> Finished:
    """Plans, trains and proves with the real core; training and proving are interrupted once."""
    folder = tmp_path_factory.mktemp("core")
    private, public = generate_key_files(folder / "keys", "maker")
    job = Job(folder / "job")
    seen: dict[str, list[tuple[int, int, float]]] = {"plan": [], "train": [], "prove": []}

    def watch(name: str, stop_after: int = 0) -> core.Progress:
        def progress(done: int, total: int, value: float) -> None:
            seen[name].append((done, total, value))
            if stop_after and done >= stop_after:
                raise Interrupt(name)

        return progress

    make_plan(_recipe(folder, model_dir), job, key=private, progress=watch("plan"))
    with pytest.raises(Interrupt):
        train(job.plan, progress=watch("train", 1))
    trained = train(job.plan, progress=watch("train"))
    with pytest.raises(Interrupt):
        prove(job.run, private, progress=watch("prove", 1))
    assert not job.adapter.exists()
    prove(job.run, private, progress=watch("prove"))
    return Finished(job, private, [public.read_text("ascii")], seen, trained)


def settings_of(plan: Plan) -> dict[str, Any]:
    """The part of the recipe that the core takes as settings."""
    return {name: plan.value["recipe"][name] for name in ("lora", "train", "data", "proof", "disclose")}


@pytest.fixture
def copy(finished: Finished, tmp_path: Path) -> Path:
    """A copy of the adapter to tamper with."""
    return Path(shutil.copytree(finished.job.adapter, tmp_path / "adapter"))


def test_the_job_verifies(finished: Finished) -> None:
    verified = verify(finished.job.adapter, keys=finished.keys)
    assert {claim["kind"] for claim in verified.claims} == {"training", "data", "base", "adapter-file"}
    assert {claim["word"] for claim in verified.claims} == {"zk-proof"}
    assert verified.ledger["totalBits"] >= 128 and verified.verdict["steps"] == STEPS
    plan = read_plan(finished.job.plan)
    assert verified.verdict["datasetRoot"] == plan.value["datasetRoot"]
    assert verified.verdict["baseRoot"] == plan.value["base"]["root"]


def test_progress_counts_steps(finished: Finished) -> None:
    train_seen, prove_seen = finished.seen["train"], finished.seen["prove"]
    assert {total for _, total, _ in train_seen + prove_seen} == {STEPS}
    assert train_seen[-1][0] == prove_seen[-1][0] == STEPS
    assert all(0 < loss < 20 for _, _, loss in train_seen) and {value for *_, value in prove_seen} == {0.0}
    done, total, _ = finished.seen["plan"][-1]
    assert done == total >= 32


def test_an_interrupted_run_has_the_roots_of_a_whole_one(finished: Finished, tmp_path: Path) -> None:
    secret = tmp_path / "run" / "secret"
    secret.mkdir(parents=True)
    shutil.copyfile(finished.job.run / "secret" / "run.key", secret / "run.key")
    whole = train(finished.job.plan, run=tmp_path / "run", threads=1)
    assert whole["state_root"] == finished.trained["state_root"]
    first = finished.trained["losses"][0]["step"]
    assert first > 1 and whole["losses"][first - 1 :] == finished.trained["losses"]
    for path in (tmp_path / "run" / "steps").iterdir():
        assert path.read_bytes() == (finished.job.run / "steps" / path.name).read_bytes()


def test_the_plan_commits_to_model_and_rows(finished: Finished, model_dir: Path) -> None:
    job, plan = finished.job, read_plan(finished.job.plan)
    assert core.commit_model(model_dir, plan.value["spec"]) == plan.value["base"]
    committed = core.commit_data(plan.value["spec"], job.read_rows(), job.read_salt())
    assert committed == {"root": plan.value["datasetRoot"], "rows": 40}
    other = core.commit_data(plan.value["spec"], job.read_rows(), bytes(32))
    assert other["root"] != committed["root"]
    rows = job.read_rows()
    meta = rows.meta.copy()
    meta[39, 31] ^= 1
    other = core.commit_data(plan.value["spec"], Rows(rows.tokens, rows.targets, meta), job.read_salt())
    assert other["root"] != committed["root"]
    calibration = json.loads(job.calibration.read_bytes())
    assert calibration["scales"] == plan.value["spec"]["scales"] and calibration["dataset_rows"] == 40
    assert core.make_spec(model_dir, settings_of(plan), calibration)["program_digest"] == plan.value["programDigest"]


def test_nothing_published_holds_a_secret(finished: Finished) -> None:
    secrets = [finished.job.read_salt(), (finished.job.run / "secret" / "run.key").read_bytes()]
    for path in finished.job.adapter.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(secret in content or secret.hex().encode() in content for secret in secrets)
    assert stat.S_IMODE((finished.job.run / "secret" / "run.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((finished.job.run / "secret").stat().st_mode) == 0o700


def test_the_adapter_is_pefts(finished: Finished) -> None:
    from safetensors.numpy import load_file

    tensors = load_file(finished.job.adapter / "adapter_model.safetensors")
    config = json.loads((finished.job.adapter / "adapter_config.json").read_bytes())
    assert config["peft_type"] == "LORA" and config["r"] == 2 and config["lora_alpha"] == 4
    assert all(name.startswith("base_model.model.model.layers.") for name in tensors)
    assert any(np.any(values) for name, values in tensors.items() if ".lora_B." in name)


@pytest.mark.parametrize(
    ("name", "exit_code"),
    [
        ("adapter_model.safetensors", 1),
        ("adapter_config.json", 1),
        ("veritune/claims.sigstore.json", None),
        ("veritune/plan.json", 1),
        ("veritune/proofs/settlement.bin", 1),
        (f"veritune/proofs/step-{STEPS:06}.bin", 1),
    ],
)
def test_a_flipped_bit_is_refused(finished: Finished, copy: Path, name: str, exit_code: int | None) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    verdict = verdict_of(copy, Request(keys=finished.keys))
    assert verdict["exit"] == exit_code or (exit_code is None and verdict["exit"] in (1, 2))
    assert verdict["code"] and verdict["message"] and verdict["claims"] == []


def test_a_missing_proof_is_inconclusive(finished: Finished, copy: Path) -> None:
    (copy / "veritune" / "proofs" / "settlement.bin").unlink()
    assert verdict_of(copy, Request(keys=finished.keys))["exit"] == 3
    shutil.rmtree(copy / "veritune")
    assert verdict_of(copy, Request(keys=finished.keys))["exit"] == 3


def test_only_named_signers_count(finished: Finished, tmp_path: Path) -> None:
    with pytest.raises(TrustError):
        verify(finished.job.adapter)
    _, other = generate_key_files(tmp_path, "other")
    with pytest.raises(PolicyRejected):
        verify(finished.job.adapter, keys=[other.read_text("ascii")])
    with pytest.raises(InvalidInput):
        verify(finished.job.adapter, keys=["not a key"])


def test_a_policy_that_is_not_checked_is_refused(finished: Finished) -> None:
    for policy in ("schema: veritune.policy/v1\nno_such: true", "schema: veritune.policy/v2"):
        with pytest.raises(InvalidInput) as caught:
            verify(finished.job.adapter, policy, keys=finished.keys)
        assert caught.value.code == "VT-POLICY-001"


def test_another_model_is_refused_before_any_step(finished: Finished, model_dir: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(model_dir, tmp_path / "model"))
    path = other / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="plan's base model"):
        train(finished.job.plan, run=tmp_path / "run", model=other)
    assert not list((tmp_path / "run").glob("steps/*"))


def test_another_salt_proves_nothing(finished: Finished, model_dir: Path) -> None:
    job = finished.job
    plan, seed = read_plan(job.plan), json.loads(job.seed.read_bytes())
    with pytest.raises(InvalidInput, match="dataset root"):
        core.prove(plan.value, seed, model_dir, job.read_rows(), bytes(32), job.run, 1, core.ignore_progress)


def test_errors_name_code_and_place(finished: Finished, model_dir: Path, tmp_path: Path) -> None:
    job, plan = finished.job, read_plan(finished.job.plan)
    rows, settings = job.read_rows(), settings_of(plan)
    with pytest.raises(InvalidInput) as caught:
        core.commit_model(tmp_path, plan.value["spec"])
    assert caught.value.code.startswith("VT-MODEL-") and caught.value.location == "model"
    wrong = Rows(rows.tokens.copy(), rows.targets, rows.meta)
    wrong.tokens[3, 5] = 1 << 40
    with pytest.raises(InvalidInput, match="dataset row 4, position 6, counted from 1: the token is not in") as caught:
        core.calibrate(model_dir, settings, wrong, bytes(32), 1, core.ignore_progress)
    assert caught.value.code == "VT-JOB-007"
    with pytest.raises(InvalidInput, match="unknown field"):
        core.calibrate(model_dir, {**settings, "text": {}}, rows, bytes(32), 1, core.ignore_progress)
    with pytest.raises(InvalidInput) as caught:
        core.commit_data({**plan.value["spec"], "range_bits": 40}, rows, bytes(32))
    assert (caught.value.code, caught.value.location) == ("VT-JOB-003", "spec")
    with pytest.raises(InvalidInput):
        core.commit_data(plan.value["spec"], rows, b"short")


def test_arrays_of_another_kind_do_not_cross(finished: Finished) -> None:
    spec = canonical_json(read_plan(finished.job.plan).value["spec"]).decode()
    rows = finished.job.read_rows()
    with pytest.raises(TypeError):
        _core.commit_data(spec, rows.tokens.astype(np.int32), rows.targets, rows.meta.tobytes(), bytes(32))  # type: ignore[arg-type]
    with pytest.raises(_core.CoreError):
        _core.commit_data(
            spec, np.asfortranarray(rows.tokens), np.asfortranarray(rows.targets), rows.meta.tobytes(), bytes(32)
        )
    with pytest.raises(_core.CoreError, match="meta"):
        _core.commit_data(spec, rows.tokens, rows.targets, b"short", bytes(32))


def test_the_interpreter_runs_on_while_the_core_works(model_dir: Path, tmp_path: Path) -> None:
    recipe = load_recipe(_recipe(tmp_path, model_dir))
    dataset = read_dataset(recipe)
    ticks, running = 0, True

    def tick() -> None:
        nonlocal ticks
        while running:
            ticks += 1
            time.sleep(0.01)

    clock = threading.Thread(target=tick)
    clock.start()
    begun, calls = time.monotonic(), []
    core.calibrate(model_dir, recipe.settings, dataset.rows, bytes(32), 40, lambda *_: calls.append(time.monotonic()))
    elapsed = time.monotonic() - begun
    running = False
    clock.join()
    assert len(calls) >= 40 and ticks > elapsed / 0.1


def test_ctrl_c_ends_long_work(model_dir: Path, tmp_path: Path) -> None:
    recipe = _recipe(tmp_path, model_dir)
    recipe.write_text(recipe.read_text().replace("train_batch_size: 1,", "train_batch_size: 20,"))
    # A bar at the first report says that calibration has begun, however fast the machine is.
    at_once = "import veritune.cli.console as c; c.QUIET_SECONDS = 0; from veritune.cli import main; main()"
    command = [sys.executable, "-c", at_once, "plan", str(recipe), "--calibration-steps", "1000"]
    terminal, end = pty.openpty()
    with subprocess.Popen(command, stderr=end) as process:
        os.close(end)
        shown = b""
        while b"calibrate" not in shown:
            shown += os.read(terminal, 4096)
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # the end of a terminal that nobody writes to
            while more := os.read(terminal, 4096):
                shown += more
        assert process.wait(30) == 130
    os.close(terminal)
    assert b"interrupted" in shown and b"continues" not in shown
    assert not (tmp_path / "plan").exists()


def test_a_prediction_is_of_this_run(finished: Finished) -> None:
    """Bytes follow from the shapes alone; times and memory are held to runs by scripts/doctor/validate.py."""
    spec = read_plan(finished.job.plan).value["spec"]
    begun = time.process_time()
    predicted = predict(spec, 2)
    assert time.process_time() - begun < 20  # two seconds of measuring, by the clock, on two threads
    real = sum(path.stat().st_size for path in (finished.job.adapter / "veritune" / "proofs").iterdir())
    assert float(predicted["proof_bytes"]) == pytest.approx(real, rel=0.02)
    longer = {**spec, "training": {**spec["training"], "steps": 2 * STEPS}}
    speed = {name: 1e-8 for name in KERNELS}
    one, two = (predict(s, 1, speed) for s in (spec, longer))
    for name in ("train_core_seconds", "prove_core_seconds"):
        assert 1 < float(two[name]) / float(one[name]) <= 2
    assert float(one["prove_seconds"]) == pytest.approx(float(one["prove_core_seconds"]), abs=0.06)
    assert 0.5 < float(predict(spec, 2, speed)["prove_seconds"]) / float(one["prove_seconds"]) < 0.7


def test_signatures_verify_elsewhere(finished: Finished) -> None:
    import base64

    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    statement = make_statement("https://example.org/v1", {"x": 1}, {"a": b"a"})
    bundle = json.loads(core.sign(PAYLOAD_TYPE, statement, finished.private.read_text("ascii")))
    envelope = bundle["dsseEnvelope"]
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"].encode()
    signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    key = serialization.load_pem_public_key(finished.keys[0].encode())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed, ec.ECDSA(hashes.SHA256()))
