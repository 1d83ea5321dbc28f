"""plan, train and prove by the command line: what is refused before the work, folders that moved, counted plans."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from small_job import argv

from conftest import Run
from veritune import _core
from veritune.beacon import DELAY_SECONDS, GENESIS_SECONDS
from veritune.certificate import PAYLOAD_TYPE, make_statement, take_plan_number
from veritune.errors import Code
from veritune.files import waiting
from veritune.plan import PREDICATE_TYPE


def refused(run: Run, *words: object, code: Code | str, expect: int = 2) -> str:
    """The words of an error with this code."""
    error = json.loads(run(*words, "--json", expect=expect).stdout)
    assert error["code"] == (code.id if isinstance(code, Code) else code), error
    assert error["remedy"]
    return "\n".join((error["message"], error["location"], error["remedy"]))


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """No command may begin the work."""

    def begun(*_: Any) -> str:
        raise AssertionError("the work began")

    for name in ("calibrate", "train", "prove"):
        monkeypatch.setattr(_core, name, begun)


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


KEYS = {
    "RSA": lambda: pem(rsa.generate_private_key(65537, 2048)),
    "P-384": lambda: pem(ec.generate_private_key(ec.SECP384R1())),
    "damaged": lambda: b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
}


@pytest.mark.parametrize("kind", KEYS)
def test_a_key_that_cannot_sign_is_refused_before_the_work(run: Run, trained: Path, idle: None, kind: str) -> None:
    Path("other.pem").write_bytes(KEYS[kind]())
    for words in (("plan", "recipe.yaml", "--job", "other"), ("prove", "job/run")):
        said = refused(run, *words, "--key", "other.pem", code="VT-ENV-046")
        assert "other.pem" in said and "veritune keys generate" in said
    assert not Path("other").exists() and not Path("other.pem.plans.json").exists()


def test_a_key_that_did_not_sign_the_plan_is_refused_before_the_work(run: Run, trained: Path, idle: None) -> None:
    """A verifier would refuse the certificate: plan and claims have one signer."""
    run("keys", "generate", "--out", "keys", "--name", "other")
    content = (trained / "plan" / "plan.json").read_bytes()
    statement = make_statement(PREDICATE_TYPE, json.loads(content), {"plan.json": content})
    bundle = _core.sign(PAYLOAD_TYPE, statement, Path("keys/other.key.pem").read_text())
    (trained / "plan" / "plan.sigstore.json").write_text(bundle)
    local = trained / "run" / "secret" / "local.json"
    local.write_text(json.dumps(json.loads(local.read_bytes()) | {"job": str(trained.absolute())}))
    said = refused(run, "prove", "job/run", "--key", "keys/veritune.key.pem", code=Code.KEY)
    assert "signed by another key" in said and "keys/veritune.key.pem" in said
    assert not Path("job/adapter").exists()


LAST = (1 << 53) - 1 - DELAY_SECONDS


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (("--time", 1800000000), "demo beacon"),
        (("--beacon", "drand-quicknet", "--time", GENESIS_SECONDS - DELAY_SECONDS - 1), "before the chain began"),
        (("--beacon", "drand-quicknet", "--time", LAST + 1), "2^53"),
    ],
)
def test_a_time_without_a_round_is_refused_before_the_work(
    run: Run, recipe: Path, idle: None, words: tuple[object, ...], word: str
) -> None:
    said = refused(run, "plan", recipe, "--job", "job", *words, code=Code.BEACON)
    assert word in said and "--time" in said and not Path("job").exists()


@pytest.mark.parametrize("moment", [GENESIS_SECONDS - DELAY_SECONDS, LAST])
def test_the_first_and_the_last_time_have_a_round(run: Run, recipe: Path, moment: int) -> None:
    words = ("--beacon", "drand-quicknet", "--time", moment)
    planned = json.loads(run("plan", recipe, "--job", "job", *words, "--json").stdout)
    assert planned["round"] >= 1


def test_a_plan_is_found_from_inside_its_folder(run: Run, planned: Path) -> None:
    for folder in (planned, planned / "plan"):
        with pytest.MonkeyPatch.context() as inside:
            inside.chdir(folder)
            run("commit", "data", ".", "--check")
    for path in ("job", "job/plan", "job/plan/plan.json"):
        run("commit", "data", path, "--check")


# -- a job that was moved --------------------------------------------------------------------------------------------


def test_a_job_that_was_moved_is_proved_after_one_train(run: Run, planned: Path) -> None:
    prove = ("prove", "moved/run", "--key", "keys/veritune.key.pem")
    run("train", "job")
    before = {path.name: path.read_bytes() for path in Path("job/run/steps").iterdir()}
    planned.rename("moved")
    said = refused(run, *prove, code=Code.FILE_UNREADABLE)
    assert str(planned.absolute()) in said and "veritune train JOB --run moved/run" in said
    assert not Path("moved/adapter").exists()
    trained = json.loads(run("train", "moved", "--run", "moved/run", "--json").stdout)
    assert trained["losses"] == []
    assert {path.name: path.read_bytes() for path in Path("moved/run/steps").iterdir()} == before
    run(*prove)
    run("verify", "moved/adapter", "--key", "keys/veritune.pub.pem")


def test_another_job_does_not_take_over_a_run(run: Run, planned: Path, trained: Path) -> None:
    """Only a plan of the same digest says where the job lies."""
    local = Path("job/run/secret/local.json")
    before = local.read_bytes()
    run("plan", "recipe.yaml", "--job", "other")
    refused(run, "train", "other", "--run", "job/run", code=Code.FILE_EXISTS)
    assert local.read_bytes() == before


@pytest.mark.parametrize("content", ['{"schema":"veritune.local/v1"}', '{"job":7,"schema":"veritune.local/v1"}'])
def test_a_run_that_names_no_job_is_refused(run: Run, trained: Path, content: str) -> None:
    local = Path("job/run/secret/local.json")
    local.write_text(content)
    said = refused(run, "prove", "job/run", "--key", "keys/veritune.key.pem", code=Code.FILE_JSON)
    assert "job" in said and str(local) in said and "veritune train" in said


# -- the count of plans ----------------------------------------------------------------------------------------------


def test_plans_under_one_key_are_counted(run: Run, recipe: Path) -> None:
    run("keys", "generate", "--out", "keys", "--name", "fresh")
    for number in range(3):
        run("plan", recipe, "--job", f"job{number}", "--key", "keys/fresh.key.pem")
        plan = json.loads(Path(f"job{number}/plan/plan.json").read_bytes())
        assert plan["planNumber"] == number
    run("plan", recipe, "--job", "unsigned")
    assert not Path("unsigned/plan/plan.sigstore.json").exists()


def left(job: Path) -> set[str]:
    """Names of the files of a job but for its lock."""
    return {path.name for path in job.rglob("*") if path.is_file()} - {".lock"}


def test_a_plan_that_cannot_be_written_leaves_nothing(run: Run, recipe: Path) -> None:
    """Its number is taken: a signed plan of that number may have been seen."""
    run("keys", "generate", "--out", "keys", "--name", "fresh")
    words = ("plan", recipe, "--job", "job", "--key", "keys/fresh.key.pem")
    Path("job/plan/plan.sigstore.json").mkdir(parents=True)
    refused(run, *words, code=Code.FILE_UNWRITABLE)
    assert left(Path("job")) == set()
    Path("job/plan/plan.sigstore.json").rmdir()
    run(*words)
    assert json.loads(Path("job/plan/plan.json").read_bytes())["planNumber"] == 1


def test_a_plan_that_cannot_be_counted_leaves_nothing(run: Run, recipe: Path) -> None:
    run("keys", "generate", "--out", "keys", "--name", "fresh")
    Path("keys/fresh.key.pem.plans.json").mkdir()
    refused(run, "plan", recipe, "--job", "job", "--key", "keys/fresh.key.pem", code=Code.FILE_UNREADABLE)
    assert left(Path("job")) == set()


def test_plans_at_once_have_different_numbers(run: Run) -> None:
    run("keys", "generate", "--out", "keys", "--name", "fresh")
    key = Path("keys/fresh.key.pem")
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda _: take_plan_number(key), range(40)))
    assert sorted(numbers) == list(range(40))
    assert {path.name for path in key.parent.glob("fresh.key.pem*")} == {key.name, f"{key.name}.plans.json"}


def test_a_plan_waits_for_the_count(recipe: Path) -> None:
    """This process holds the count while another comes to it; that one has written nothing yet."""
    subprocess.run(argv("keys", "generate", "--out", "keys", "--name", "fresh"), check=True, capture_output=True)
    key, lock = Path("keys/fresh.key.pem"), Path("job/data/secret/.lock")
    words = argv("plan", str(recipe), "--job", "job", "--key", str(key))
    with waiting(Path("keys/fresh.key.pem.plans.lock")):
        other = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        while not (lock.exists() and lock.read_text()):
            assert other.poll() is None
        # It has all but its number; nothing else keeps it from ending.
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(1)
        assert left(Path("job")) == set()
    assert other.wait() == 0
    assert json.loads(Path("job/plan/plan.json").read_bytes())["planNumber"] == 0
