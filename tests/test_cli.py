"""The command line on the real core: scripts, exit codes, JSON on stdout, and that a failure leaves no file."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import resource
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_job import argv, limited

import veritune.demo
from conftest import SMALL_STEPS, STEPS, Demo, Run
from veritune import _core
from veritune.errors import Code

Fault = contextlib.AbstractContextManager[None]


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_whole_job(run: Run, proved: Path) -> None:
    assert files_below(proved / "adapter") == {
        "adapter_model.safetensors",
        "adapter_config.json",
        "veritune/index.json",
        "veritune/signer.pub.pem",
        "veritune/plan.json",
        "veritune/plan.sigstore.json",
        "veritune/seed.json",
        "veritune/claims.sigstore.json",
        "veritune/proofs/settlement.bin",
        "veritune/proofs/release.bin",
        *(f"veritune/proofs/step-{step:06}.bin" for step in range(1, SMALL_STEPS + 1)),
    }
    result = run("verify", "job/adapter", "--key", "keys/veritune.pub.pem", "--json")
    verdict = json.loads(result.stdout)
    assert verdict["exit"] == 0 and any("licence labels" in item for item in verdict["notClaimed"])
    assert "VERIFIED" in result.stderr and "zero-knowledge proof of all steps" in result.stderr
    run("verify", "job/adapter", "--any-signer")
    bundle = json.loads((proved / "plan" / "plan.sigstore.json").read_bytes())
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    assert statement["predicate"] == json.loads((proved / "plan" / "plan.json").read_bytes())


def test_without_a_key_nothing_is_verified(run: Run, proved: Path) -> None:
    assert json.loads(run("verify", "job/adapter", "--json", expect=3).stdout)["exit"] == 3
    run("keys", "generate", "--out", "keys", "--name", "other")
    run("verify", "job/adapter", "--key", "keys/other.pub.pem", expect=3)


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def other_size(index: bytes) -> bytes:
    """The index with the size of its first file one byte greater."""
    size = json.loads(index)["files"][0]["size"]
    return index.replace(b'"size":%d' % size, b'"size":%d' % (size + 1), 1)


FLIPPED = {
    "adapter_model.safetensors": flipped,
    "veritune/proofs/step-000002.bin": flipped,
    "veritune/index.json": other_size,
}


@pytest.mark.parametrize("name", FLIPPED)
def test_one_flipped_byte_is_refused(run: Run, proved: Path, name: str) -> None:
    path = proved / "adapter" / name
    path.write_bytes(FLIPPED[name](path.read_bytes()))
    result = run("verify", "job/adapter", "--key", "keys/veritune.pub.pem", expect=1)
    assert "REFUTED" in result.stderr


def test_the_report_is_text(run: Run, proved: Path) -> None:
    key = ("--key", "keys/veritune.pub.pem")
    page = run("report", "job/adapter", *key).stdout
    total = json.loads(run("report", "job/adapter", *key, "--json").stdout)["ledger"]["totalBits"]
    assert total >= 128
    assert "VERIFIED" in page and f"total: {total} bits" in page and "zero-knowledge proof" in page
    run("report", "job/adapter", *key, "-o", "report.txt")
    assert Path("report.txt").read_text("utf-8") == page
    run("report", "job/adapter", "-o", "refused.txt", expect=3)
    assert "INCONCLUSIVE" in Path("refused.txt").read_text("utf-8")


def test_commit_recomputes_the_roots(run: Run, proved: Path, model_dir: Path) -> None:
    run("commit", "model", model_dir, "--plan", "job", "--check")
    run("commit", "data", "job", "--check")
    other = Path(shutil.copytree(model_dir, "other"))
    weights = other / "model.safetensors"
    content = weights.read_bytes()
    # The lowest bit of the last bf16 number.
    weights.write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
    result = run("commit", "model", other, "--plan", "job", "--check", "--json", expect=1)
    assert json.loads(result.stdout)["code"] == Code.COMMITMENT.id
    run("commit", "model", other, "--plan", "job")


def test_inspect_says_what_may_be_published(run: Run, proved: Path) -> None:
    listed = json.loads(run("inspect", ".", "--json").stdout)["files"]
    publish = {entry["path"]: entry["publish"] for entry in listed}
    for path, word in publish.items():
        secret = "secret/" in path or "key.pem" in path or path.startswith("job/run/steps")
        kept = path.endswith((".lock", "/openings.json"))
        assert (word == "no") == (secret or kept), (path, word)
    assert publish["recipe.yaml"] == "choice"
    assert publish["job/adapter/veritune/index.json"] == "yes"


def test_doctor_predicts_for_a_plan_and_a_recipe(run: Run, proved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("veritune.prediction.SECONDS", 0.0)
    real = sum(path.stat().st_size for path in (proved / "adapter" / "veritune" / "proofs").iterdir())
    monkeypatch.setattr("veritune.prediction.REPEATS", 1)
    for path in ("job", "job/plan/plan.json", "recipe.yaml"):
        found = json.loads(run("doctor", path, "--json").stdout)
        assert int(found["prediction"]["proof_bytes"]) == pytest.approx(real, rel=0.02)
        assert found["prediction"]["counts"]["steps"] == str(SMALL_STEPS)
        assert found["threads"] >= 1 and found["memory_bytes"] > 0
    assert "prediction" not in json.loads(run("doctor", "--json").stdout)


def test_doctor_says_when_memory_is_short(run: Run, planned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("veritune.prediction.SECONDS", 0.0)
    monkeypatch.setattr("veritune.prediction.REPEATS", 1)
    monkeypatch.setattr("veritune.prediction.MEMORY", (("slots", 1e9),))
    result = run("doctor", "job", expect=3)
    assert "GiB of memory is available" in result.stderr


def test_doctor_knows_the_limits_of_its_process() -> None:
    """The room that `train` and `prove` compare with, not the machine's alone."""
    limit = limited(resource.RLIMIT_AS, 3 << 29)
    ran = subprocess.run(argv("doctor"), capture_output=True, text=True, check=False, preexec_fn=limit)
    found = json.loads(ran.stdout)
    assert ran.returncode == 3 and found["memory_limit"] == "left under ulimit -v"
    assert found["memory_available_bytes"] < 3 << 29
    assert found["problems"] == ["less than 2.00 GiB of memory is left under ulimit -v"]
    assert found["problems"][0] in ran.stderr


def test_a_key_is_never_replaced(run: Run) -> None:
    run("keys", "generate")
    private = Path("keys/veritune.key.pem")
    before = private.read_bytes()
    assert private.stat().st_mode & 0o777 == 0o600
    run("keys", "generate", expect=2)
    assert private.read_bytes() == before


@contextlib.contextmanager
def replaced(path: Path, content: bytes) -> Iterator[None]:
    """The file holds other bytes for a while."""
    before = path.read_bytes()
    path.write_bytes(content)
    yield
    path.write_bytes(before)


@contextlib.contextmanager
def obstacle(path: Path) -> Iterator[None]:
    """A folder stands for a while where a file is to be written."""
    aside = path.with_name("aside")
    if path.exists():
        path.rename(aside)
    path.mkdir(parents=True)
    yield
    path.rmdir()
    if aside.exists():
        aside.rename(path)


@contextlib.contextmanager
def patched(target: object, name: str, value: object) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target, name, value)
        yield


def no_number() -> Fault:
    """The last weight of the model is NaN."""
    path = Path("model/model.safetensors")
    return replaced(path, path.read_bytes()[:-2] + b"\xc0\x7f")


def short_salt() -> Fault:
    """The machine gives too few random bytes; without that nothing brings a plan as far as a refused commitment."""
    return patched(secrets, "token_bytes", lambda count: bytes(count - 1))


def no_signature() -> Fault:
    """The core does not sign. No key brings that about: one with which it cannot sign is refused before the work."""

    def sign(*_: Any) -> str:
        raise _core.CoreError("VT-ENV-047", "no key", "signature", 2)

    return patched(_core, "sign", sign)


PLAN_FAULTS = {
    # what of the core refuses: how it comes about, code, words
    "calibrate": (no_number, "VT-MODEL-013", "is NaN"),
    "commit_data": (short_salt, "VT-JOB-008", "32"),
    "sign": (no_signature, "VT-ENV-047", "key"),
}


@pytest.mark.parametrize("name", PLAN_FAULTS)
def test_a_failed_plan_leaves_no_plan(run: Run, recipe: Path, model_dir: Path, name: str) -> None:
    fault, code, word = PLAN_FAULTS[name]
    shutil.copytree(model_dir, "model")
    recipe.write_text(recipe.read_text().replace(json.dumps(str(model_dir)), "model"))
    with fault():
        result = run("plan", recipe, "--job", "job", "--key", "keys/veritune.key.pem", "--json", expect=2)
    error = json.loads(result.stdout)
    assert error["code"] == code and error["location"] and word in error["message"]
    assert error["message"] in result.stderr
    assert not Path("job/plan/plan.json").exists()
    assert not Path("job/plan/plan.sigstore.json").exists()
    run("plan", recipe, "--job", "job", "--key", "keys/veritune.key.pem")


def test_an_interrupted_run_continues(run: Run, recipe: Path, planned: Path) -> None:
    run("plan", recipe, "--job", "whole")
    with obstacle(Path("job/run/steps/000002.state")):
        run("train", "job", expect=2)
        assert {path.name for path in Path("job/run/steps").glob("*.root")} == {"000000.root", "000001.root"}
    trained = json.loads(run("train", "job", "--json").stdout)
    assert trained["steps"] == 2 and [loss["step"] for loss in trained["losses"]] == [2]
    run("train", "job")
    result = run("train", "whole", "--run", "job/run", expect=2)
    assert "another plan" in result.stderr


def lost_on_the_way() -> Fault:
    """A file of the release is lost after the proofs are made, before it is copied beside the certificate."""
    honest = _core.prove

    def prove(*arguments: Any) -> str:
        answer = honest(*arguments)
        Path("job/run/release/adapter_config.json").unlink()
        return answer

    return patched(_core, "prove", prove)


PROVE_FAULTS = {
    "prove": lambda: obstacle(Path("job/run/certificate/proofs/step-000002.bin")),
    "export_adapter": lost_on_the_way,
    "sign": no_signature,
}


def test_a_failed_prove_leaves_no_adapter_and_keeps_an_older_one(run: Run, trained: Path) -> None:
    prove = ("prove", "job/run", "--key", "keys/veritune.key.pem")
    for fault in PROVE_FAULTS.values():
        with fault():
            run(*prove, expect=2)
            assert sorted(path.name for path in Path("job").iterdir()) == ["data", "plan", "run"]
    run(*prove)
    run("verify", "job/adapter", "--key", "keys/veritune.pub.pem")
    before = files_below(Path("job"))
    result = run(*prove, expect=2)
    assert "--overwrite" in result.stderr
    for fault in PROVE_FAULTS.values():
        with fault():
            run(*prove, "--overwrite", expect=2)
        lost = {"run/release/adapter_config.json"} if fault is lost_on_the_way else set()
        assert files_below(Path("job")) >= before - {".lock", "run/.lock", "run/certificate/index.json"} - lost
        run("verify", "job/adapter", "--key", "keys/veritune.pub.pem")


def test_demo_runs_the_whole_job_and_refuses_a_flipped_byte(run: Run, demo: Demo) -> None:
    result = demo.result
    assert result["steps"] == STEPS and result["verdict"]["exit"] == 0
    assert result["refused"] == {
        "adapter_model.safetensors": "VT-ENV-055",
        "veritune/proofs/release.bin": "VT-ENV-070",
        "veritune/proofs/release.bin, signed again": "VT-RUN-010",
    }
    assert set(result["seconds"]) == {"plan", "train", "prove", "verify"}
    assert not (demo.folder / "tampered").exists()


def test_demo_refuses_before_it_clears_a_folder(run: Run, demo: Demo, model_dir: Path, demo_rows: Path) -> None:
    def refused(*words: object, code: Code) -> str:
        error = json.loads(run("demo", *words, "--json", expect=2).stdout)
        assert error["code"] == code.id
        return " ".join((error["message"], error["location"], error["remedy"]))

    real = ("--model", model_dir, "--rows", demo_rows)
    Path("mine").mkdir()
    Path("mine/file").write_text("keep")
    Path("file").write_text("keep")
    for path in ("mine", "file"):
        refused(*real, "--out", path, code=Code.FILE_EXISTS)
    shutil.copytree(demo.folder, "demo-out")
    # Outside the repository there is neither its model nor its rows.
    for words in ((), real[:2]):
        assert "Veritune's repository" in refused(*words, code=Code.FILE_UNREADABLE)
    said = refused(*real, "--steps", 999, code=Code.RECIPE_VALUE)
    assert "999 steps" in said and "at most 998" in said and "--steps" in said
    assert Path("demo-out/adapter/veritune/index.json").exists()
    assert Path("mine/file").read_text() == Path("file").read_text() == "keep"


def test_demo_fails_if_the_flipped_byte_is_accepted(
    run: Run, demo: Demo, model_dir: Path, demo_rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In place of an earlier demo's folder. No real verifier accepts the copy: the patch shows it the original."""
    shutil.copytree(demo.folder, "demo-out")
    short = "max_length: 16\n  long_rows: truncate\n  label_mask: all"
    recipe = veritune.demo.RECIPE.replace("max_length: 64\n  long_rows: refuse", short)
    monkeypatch.setattr("veritune.demo.RECIPE", recipe)
    honest = _core.verify
    monkeypatch.setattr(_core, "verify", lambda path, request: honest(path.replace("tampered", "adapter"), request))
    result = run("demo", "--model", model_dir, "--rows", demo_rows, "--steps", "1", "--json", expect=1)
    assert json.loads(result.stdout)["code"] == Code.DEMO.id
    assert len(list(Path("demo-out/run/steps").glob("*.state"))) == 2


USAGE = [
    ((), 2),
    (("--help",), 0),
    (("prove",), 2),
    (("unknown",), 2),
    (("verify", "missing"), 2),
    (("plan", "missing.yaml"), 2),
    (("train", "missing"), 2),
    (("prove", "missing", "--key", "missing.pem"), 2),
    (("inspect", "missing"), 2),
    (("verify", ".", "--key", "missing.pem"), 2),
    (("verify", ".", "--policy", "missing.json"), 2),
    (("keys", "generate", "--name", "../x"), 2),
    (("plan", "recipe.yaml", "--calibration-steps", "0"), 2),
]


@pytest.mark.parametrize(("arguments", "code"), USAGE, ids=lambda value: str(value))
def test_wrong_usage_is_exit_2(run: Run, arguments: tuple[str, ...], code: int) -> None:
    run(*arguments, expect=code)
    assert list(Path().iterdir()) == []


def test_a_bug_of_ours_is_exit_4(run: Run, recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The core has no input that brings about a bug of ours; each patch is one."""

    def broken(*_: Any) -> str:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(_core, "calibrate", broken)
    result = run("plan", recipe, "--json", expect=4)
    assert json.loads(result.stdout)["code"] == Code.BUG.id
    monkeypatch.setattr(_core, "calibrate", lambda *_: "no json")
    result = run("plan", recipe, "--json", expect=4)
    assert json.loads(result.stdout)["code"] == Code.CORE_ANSWER.id
    monkeypatch.delattr(_core, "calibrate")
    result = run("plan", recipe, "--json", expect=4)
    assert json.loads(result.stdout)["code"] == Code.CORE_MISSING.id


def test_hostile_names_cannot_write_to_the_terminal(run: Run, proved: Path) -> None:
    name = "\x1b[2Jname\r\x07"
    (proved / "adapter" / "veritune" / name).write_text("x")
    result = run("verify", "job/adapter", "--key", "keys/veritune.pub.pem", "--json", expect=1)
    verdict = json.loads(result.stdout)
    assert verdict["code"] == "VT-ENV-061" and "[2Jname" in verdict["location"]
    listed = run("inspect", "job/adapter")
    for shown in (result.stderr, listed.stderr):
        assert "[2Jname" in shown
        assert not any(ord(char) < 32 and char != "\n" for char in shown)


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "veritune", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_the_program_itself_exits_with_the_code(tmp_path: Path) -> None:
    result = command("verify", str(tmp_path / "missing"), "--json")
    assert result.returncode == 2
    verdict = json.loads(result.stdout)
    assert verdict["schema"] == "veritune.verdict/v1" and verdict["exit"] == 2
    assert "\x1b" not in result.stderr and "UNREADABLE" in result.stderr
    result = command("train", str(tmp_path / "missing"), "--json")
    error = json.loads(result.stdout)
    assert error["schema"] == "veritune.error/v1" and error["exit"] == 2 and error["remedy"]


def test_verify_loads_nothing_heavy(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from veritune.cli import app\n"
        "try: app(['verify', sys.argv[1], '--any-signer'])\n"
        "except SystemExit: pass\n"
        "heavy = ('numpy', 'torch', 'tokenizers', 'transformers', 'jinja2', 'yaml', 'jsonschema',"
        " 'safetensors', 'veritune.plan')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    result = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert result.stdout.strip().endswith("[]"), result.stdout
