"""The command line: scripts, exit codes, JSON on stdout, and that a failure leaves no file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from fake_core import STEPS_BEFORE_FAULT, FakeCore
from veritune.cli import app
from veritune.errors import Code

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in an empty folder; expects an exit code."""
    monkeypatch.chdir(tmp_path)

    def runner(*arguments: object, expect: int = 0) -> Result:
        result = CliRunner().invoke(app, [str(item) for item in arguments])
        assert result.exit_code == expect, f"{arguments}: {result.output} {result.exception!r}"
        return result

    return runner


@pytest.fixture
def recipe(tmp_path: Path, model_dir: Path, demo_rows: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"""\
schema: veritune.recipe/v1
model: {{path: {json.dumps(str(model_dir))}}}
data: {{files: [{json.dumps(str(demo_rows))}], max_length: 64}}
train: {{learning_rate: 1e-3, per_device_train_batch_size: 2, max_steps: 8}}
"""
    )
    return path


@pytest.fixture
def proved(run: Run, recipe: Path, fake_core: FakeCore) -> Path:
    """A job folder with keys, plan, run and adapter."""
    run("keys", "generate", "--out", "keys")
    run("plan", recipe, "--job", "job", "--key", "keys/veritune.key.pem")
    run("train", "job/plan/plan.json")
    run("prove", "job/run", "--key", "keys/veritune.key.pem")
    return Path("job")


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_whole_job(run: Run, proved: Path) -> None:
    assert files_below(proved / "adapter") == {
        "adapter_model.safetensors",
        "adapter_config.json",
        "veritune/index.json",
        "veritune/plan.sigstore.json",
        "veritune/claims.sigstore.json",
        *(f"veritune/proofs/{step:06}.bin" for step in range(1, 9)),
    }
    result = run("verify", "job/adapter", "--key", "keys/veritune.pub.pem", "--json")
    verdict = json.loads(result.stdout)
    assert verdict["exit"] == 0 and verdict["notClaimed"] == ["zero knowledge"]
    assert "VERIFIED" in result.stderr and "proof (not hiding)" in result.stderr
    run("verify", "job/adapter", "--any-signer")
    bundle = json.loads((proved / "plan" / "plan.sigstore.json").read_bytes())
    statement = json.loads(bundle["payload"])
    assert statement["predicate"] == json.loads((proved / "plan" / "plan.json").read_bytes())


def test_without_a_key_nothing_is_verified(run: Run, proved: Path) -> None:
    assert json.loads(run("verify", "job/adapter", "--json", expect=3).stdout)["exit"] == 3
    run("keys", "generate", "--out", "keys", "--name", "other")
    run("verify", "job/adapter", "--key", "keys/other.pub.pem", expect=3)


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "veritune/proofs/000003.bin", "veritune/index.json"])
def test_one_flipped_byte_is_refused(run: Run, proved: Path, name: str) -> None:
    path = proved / "adapter" / name
    content = bytearray(path.read_bytes())
    if name.endswith("index.json"):
        content = content.replace(b'"size":32', b'"size":33').replace(b":128}", b":129}")
    else:
        content[len(content) // 2] ^= 1
    path.write_bytes(content)
    result = run("verify", "job/adapter", "--key", "keys/veritune.pub.pem", expect=1)
    assert "REFUTED" in result.stderr


def test_the_report_is_text(run: Run, proved: Path) -> None:
    key = ("--key", "keys/veritune.pub.pem")
    page = run("report", "job/adapter", *key).stdout
    assert "VERIFIED" in page and "128 bits  total" in page and "zero knowledge" in page
    run("report", "job/adapter", *key, "-o", "report.txt")
    assert Path("report.txt").read_text("utf-8") == page
    run("report", "job/adapter", "-o", "refused.txt", expect=3)
    assert "INCONCLUSIVE" in Path("refused.txt").read_text("utf-8")


def test_commit_recomputes_the_roots(run: Run, proved: Path, model_dir: Path) -> None:
    run("commit", "model", model_dir, "--plan", "job", "--check")
    run("commit", "data", "job", "--check")
    other = Path("other")
    other.mkdir()
    (other / "config.json").write_text("{}")
    result = run("commit", "model", other, "--plan", "job", "--check", "--json", expect=1)
    assert json.loads(result.stdout)["code"] == Code.COMMITMENT.id
    run("commit", "model", other, "--plan", "job")


def test_inspect_says_what_may_be_published(run: Run, proved: Path) -> None:
    listed = json.loads(run("inspect", ".", "--json").stdout)["files"]
    publish = {entry["path"]: entry["publish"] for entry in listed}
    for path, word in publish.items():
        secret = "secret/" in path or "key.pem" in path or path.startswith("job/run/steps")
        assert (word == "no") == (secret or path.endswith(".lock")), (path, word)
    assert publish["recipe.yaml"] == "choice"
    assert publish["job/adapter/veritune/index.json"] == "yes"


def test_doctor_predicts_for_a_plan(run: Run, proved: Path) -> None:
    found = json.loads(run("doctor", "job", "--json").stdout)
    assert found["prediction"]["prove_seconds"] == "8" and found["prediction"]["memory_bytes"] == "1"
    assert found["threads"] >= 1 and found["memory_bytes"] > 0


def test_plans_under_one_key_are_counted(run: Run, recipe: Path, fake_core: FakeCore) -> None:
    run("keys", "generate", "--out", "keys")
    for number in range(3):
        run("plan", recipe, "--job", f"job{number}", "--key", "keys/veritune.key.pem")
        plan = json.loads(Path(f"job{number}/plan/plan.json").read_bytes())
        assert plan["planNumber"] == number
    run("plan", recipe, "--job", "unsigned")
    assert not Path("unsigned/plan/plan.sigstore.json").exists()


def test_a_key_is_never_replaced(run: Run, fake_core: FakeCore) -> None:
    run("keys", "generate")
    private = Path("keys/veritune.key.pem")
    before = private.read_bytes()
    assert private.stat().st_mode & 0o777 == 0o600
    run("keys", "generate", expect=2)
    assert private.read_bytes() == before


@pytest.mark.parametrize("fault", ["calibrate", "commit_data", "sign"])
def test_a_failed_plan_leaves_no_plan(run: Run, recipe: Path, fake_core: FakeCore, fault: str) -> None:
    run("keys", "generate", "--out", "keys")
    fake_core.fault = fault
    result = run("plan", recipe, "--job", "job", "--key", "keys/veritune.key.pem", "--json", expect=2)
    error = json.loads(result.stdout)
    assert error["code"] == "VT-STEP-017" and "step 7" in error["location"]
    assert "expected at most 32767, got 40000" in result.stderr
    assert not Path("job/plan/plan.json").exists()
    assert not Path("job/plan/plan.sigstore.json").exists()
    fake_core.fault = ""
    run("plan", recipe, "--job", "job", "--key", "keys/veritune.key.pem")


def test_an_interrupted_run_continues(run: Run, recipe: Path, fake_core: FakeCore) -> None:
    run("plan", recipe, "--job", "whole")
    run("plan", recipe, "--job", "job")
    fake_core.fault = "train"
    run("train", "job", expect=2)
    assert len(list(Path("job/run/steps").iterdir())) == STEPS_BEFORE_FAULT
    fake_core.fault = ""
    assert json.loads(run("train", "job", "--json").stdout)["steps"] == 8
    run("train", "job")
    result = run("train", "whole", "--run", "job/run", expect=2)
    assert "another plan" in result.stderr


@pytest.mark.parametrize("fault", ["prove", "export_adapter", "sign"])
def test_a_failed_prove_leaves_no_adapter(run: Run, recipe: Path, fake_core: FakeCore, fault: str) -> None:
    run("keys", "generate", "--out", "keys")
    run("plan", recipe, "--job", "job")
    run("train", "job")
    fake_core.fault = fault
    run("prove", "job/run", "--key", "keys/veritune.key.pem", expect=2)
    assert sorted(path.name for path in Path("job").iterdir()) == ["data", "plan", "run"]
    fake_core.fault = ""
    run("prove", "job/run", "--key", "keys/veritune.key.pem")
    run("verify", "job/adapter", "--key", "keys/veritune.pub.pem")
    before = files_below(Path("job"))
    result = run("prove", "job/run", "--key", "keys/veritune.key.pem", expect=2)
    assert "--overwrite" in result.stderr
    fake_core.fault = fault
    run("prove", "job/run", "--key", "keys/veritune.key.pem", "--overwrite", expect=2)
    assert files_below(Path("job")) >= before - {"job/run/.lock"}
    run("verify", "job/adapter", "--key", "keys/veritune.pub.pem")


def test_demo_runs_the_whole_job_and_refuses_a_flipped_byte(
    run: Run, fake_core: FakeCore, model_dir: Path, demo_rows: Path
) -> None:
    arguments = ("demo", "--model", model_dir, "--rows", demo_rows, "--steps", "20", "--json")
    result = json.loads(run(*arguments).stdout)
    assert result["steps"] == 20 and result["verdict"]["exit"] == 0
    assert result["refused"] == {
        "adapter_model.safetensors": "VT-ENV-054",
        "veritune/proofs/000001.bin": "VT-ENV-070",
    }
    assert set(result["seconds"]) == {"plan", "train", "prove", "verify"}
    assert not Path("demo-out/tampered").exists()
    run(*arguments)
    Path("mine").mkdir()
    Path("mine/file").write_text("keep")
    run(*arguments, "--out", "mine", expect=2)
    assert Path("mine/file").read_text() == "keep"


def test_demo_fails_if_the_flipped_byte_is_accepted(
    run: Run,
    fake_core: FakeCore,
    model_dir: Path,
    demo_rows: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = fake_core.verify

    def blind(path: str, key_pem: list[str], policy_json: str) -> str:
        name = path.replace("tampered", "adapter") if "tampered" in path else path
        return honest(name, key_pem, policy_json)

    monkeypatch.setattr("veritune._core.verify", blind)
    result = run("demo", "--model", model_dir, "--rows", demo_rows, "--json", expect=1)
    assert json.loads(result.stdout)["code"] == Code.DEMO.id


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


def test_a_bug_of_ours_is_exit_4(run: Run, recipe: Path, fake_core: FakeCore, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> str:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("veritune._core.calibrate", broken)
    result = run("plan", recipe, "--json", expect=4)
    assert json.loads(result.stdout)["code"] == Code.BUG.id
    monkeypatch.setattr("veritune._core.calibrate", lambda *_: "no json")
    result = run("plan", recipe, "--json", expect=4)
    assert json.loads(result.stdout)["code"] == Code.CORE_ANSWER.id
    monkeypatch.delattr("veritune._core.calibrate")
    result = run("plan", recipe, "--json", expect=4)
    assert json.loads(result.stdout)["code"] == Code.CORE_MISSING.id


def test_ctrl_c_says_how_to_continue(
    run: Run, recipe: Path, fake_core: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("veritune._core.calibrate", interrupted)
    assert "continues" in run("plan", recipe, expect=130).stderr
    assert not Path("plan").exists()


def test_hostile_names_cannot_write_to_the_terminal(run: Run, proved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = {
        "exit": 1,
        "verdict": "refuted",
        "code": "VT-X-001",
        "location": "\x1b[2Jname\r",
        "claims": [],
        "notClaimed": ["\x07bell"],
        "ledger": None,
    }
    monkeypatch.setattr("veritune._core.verify", lambda *_: json.dumps(verdict))
    result = run("verify", "job/adapter", expect=1)
    assert not any(ord(char) < 32 and char != "\n" for char in result.stderr)


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
    error = json.loads(result.stdout)
    assert error["schema"] == "veritune.error/v1" and error["exit"] == 2 and error["remedy"]
    assert "\x1b" not in result.stderr and "missing" in result.stderr


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
