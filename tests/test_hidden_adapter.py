"""A job whose adapter is hidden, from recipe to verdict.

The certificate alone tells nothing by which a guess of the adapter could be tested; who is given the adapter checks all
of it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_job import Job, openings

from conftest import veritune
from veritune.certificate import CLAIMS, contents, seal
from veritune.files import canonical_json

STEPS = 2
WEIGHTS, CONFIG, RELEASE = "adapter_model.safetensors", "adapter_config.json", "adapter_release.bin"


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """Planned, trained and proved by the commands, in the folders that they choose."""
    job = Job(tmp_path_factory.mktemp("hidden"), STEPS, more="disclose: {adapter: hidden}\n")
    job.command("train", str(job.plan))
    ran = veritune("prove", str(job.plan / "run"), "--key", str(job.private), "--json")
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout)
    assert (result["adapter"], result["publish"]) == (
        str(job.plan / "adapter"),
        str(job.plan / "adapter" / "veritune"),
    )
    said = " ".join(ran.stderr.split())
    assert f"publish {result['publish']} and nothing else" in said and f"hand {result['adapter']} as a whole" in said
    return job


@pytest.fixture
def copy(job: Job, tmp_path: Path) -> Path:
    """A copy of the job folder to change."""
    return Path(shutil.copytree(job.plan, tmp_path / "job"))


def both(static_verifier: Path, *words: str) -> dict[str, Any]:
    """The verdict, which is the same for both programs."""
    mine = veritune("verify", *words, "--json")
    other = subprocess.run([str(static_verifier), *words], capture_output=True, text=True, check=False)
    verdict: dict[str, Any] = json.loads(mine.stdout)
    assert verdict == json.loads(other.stdout)
    assert (mine.returncode, other.returncode) == (verdict["exit"], verdict["exit"]), mine.stderr + other.stderr
    return verdict


def payload(certificate: Path) -> bytes:
    return base64.b64decode(json.loads((certificate / CLAIMS).read_bytes())["dsseEnvelope"]["payload"])


def digest_of(adapter: Path) -> bytes:
    return hashlib.sha256((adapter / WEIGHTS).read_bytes()).digest()


def tells(content: bytes, digest: bytes) -> bool:
    return digest in content or digest.hex().encode() in content


def test_the_proof_lies_with_the_adapter_and_nobody_else_reads_it(job: Job) -> None:
    run, adapter = job.plan / "run", job.plan / "adapter"
    assert {path.name for path in adapter.iterdir()} == {WEIGHTS, CONFIG, RELEASE, "veritune"}
    assert {path.name for path in (run / "release").iterdir()} == {WEIGHTS, CONFIG, RELEASE}
    for certificate in (run / "certificate", adapter / "veritune"):
        assert not (certificate / "proofs" / "release.bin").exists()
    assert stat.S_IMODE((run / "release").stat().st_mode) == 0o700
    for folder in (run / "release", adapter):
        assert {stat.S_IMODE((folder / name).stat().st_mode) for name in (WEIGHTS, CONFIG, RELEASE)} == {0o600}


def test_nothing_that_may_be_published_holds_the_digest(job: Job, small: Job) -> None:
    ran = veritune("inspect", str(job.plan), "--publishable")
    shown = ran.stdout.splitlines()
    assert f"adapter/veritune/{CLAIMS}" in shown and f"run/certificate/{CLAIMS}" in shown
    assert not [path for path in shown if path.startswith(("run/release/", "adapter/adapter_"))]
    published = [(job.plan / path).read_bytes() for path in shown] + [payload(job.plan / "adapter" / "veritune")]
    digest = digest_of(job.plan / "adapter")
    assert not any(tells(content, digest) for content in published)
    # The same search finds the digest of an adapter that is public.
    public = small.adapter(small.folder / "run")
    assert tells(payload(public / "veritune"), digest_of(public))
    (subject,) = json.loads(payload(job.plan / "adapter" / "veritune"))["subject"]
    plan = (job.plan / "adapter" / "veritune" / "plan.json").read_bytes()
    assert subject == {"name": "plan.json", "digest": {"sha256": hashlib.sha256(plan).hexdigest()}}


def test_who_has_the_adapter_checks_all_of_it(job: Job, static_verifier: Path) -> None:
    for path in (job.plan / "adapter", job.plan / "run"):
        verdict = both(static_verifier, str(path), "--key", str(job.public))
        assert verdict["exit"] == 0, verdict
        assert [claim["kind"] for claim in verdict["claims"]] == ["training", "data", "base", "adapter-file"]
        assert {claim["word"] for claim in verdict["claims"]} == {"zk-proof"}
        digests = {item["name"]: item["digest"]["sha256"] for item in verdict["files"]}
        assert set(digests) == {WEIGHTS, CONFIG} and digests[WEIGHTS] == digest_of(job.plan / "adapter").hex()
        assert verdict["disclosure"]["adapter"] == "hidden"
        assert not any("released adapter" in text for text in verdict["disclosure"]["byNature"])
        assert not any("adapter file" in text for text in verdict["notClaimed"])


def test_who_has_the_certificate_checks_the_rest_and_learns_no_digest(job: Job, static_verifier: Path) -> None:
    adapter, run = job.plan / "adapter", job.plan / "run"
    for path in (adapter / "veritune", run / "certificate", adapter, run):
        words = (str(path), "--key", str(job.public), "--no-file")
        verdict = both(static_verifier, *words)
        assert verdict["exit"] == 0 and verdict["files"] == []
        assert [claim["kind"] for claim in verdict["claims"]] == ["training", "data", "base"]
        assert "adapter file" in verdict["notClaimed"][0] and len(verdict["lastStateRoot"]) == 64
        report = veritune("report", *words)
        assert "adapter: hidden" in report.stdout
        assert not tells(report.stdout.encode() + json.dumps(verdict).encode(), digest_of(adapter))
    alone = both(static_verifier, str(adapter / "veritune"), "--key", str(job.public))
    assert (alone["exit"], alone["code"]) == (3, "VT-POLICY-006")
    report = veritune("report", str(adapter), "--key", str(job.public))
    assert f"{digest_of(adapter).hex()}  [HIDDEN" in report.stdout


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def resign(job: Job, adapter: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Signs a changed statement with the maker's own key."""
    certificate = adapter / "veritune"
    statement = json.loads(payload(certificate))
    change(statement)
    seal(certificate, contents(certificate), canonical_json(statement), job.private.read_text("ascii"))


def list_release(job: Job, adapter: Path) -> None:
    content = (adapter / RELEASE).read_bytes()
    (adapter / "veritune" / "proofs" / "release.bin").write_bytes(content)
    entry = {"name": "proofs/release.bin", "sha256": hashlib.sha256(content).hexdigest(), "kind": "release"}
    resign(job, adapter, lambda statement: statement["predicate"]["proofs"].append(entry))


def add_release(job: Job, adapter: Path) -> None:
    shutil.copyfile(adapter / RELEASE, adapter / "veritune" / "proofs" / "release.bin")
    resign(job, adapter, lambda _: None)


def claim_file(job: Job, adapter: Path) -> None:
    claim = {"kind": "adapter-file", "word": "zk-proof", "detail": "the adapter file is the last state"}
    resign(job, adapter, lambda statement: statement["predicate"]["claims"].append(claim))


def name_files(job: Job, adapter: Path) -> None:
    def change(statement: dict[str, Any]) -> None:
        files = {name: hashlib.sha256((adapter / name).read_bytes()).hexdigest() for name in (WEIGHTS, CONFIG)}
        statement["subject"] = [{"name": name, "digest": {"sha256": digest}} for name, digest in files.items()]

    resign(job, adapter, change)


def say_public(job: Job, adapter: Path) -> None:
    resign(job, adapter, lambda statement: statement["predicate"]["disclosure"].update(adapter="public"))


CHANGES: list[tuple[str, int, str, Callable[[Job, Path], object]]] = [
    ("proof missing", 3, "VT-RUN-009", lambda _, adapter: (adapter / RELEASE).unlink()),
    ("proof changed", 1, "VT-RUN-010", lambda _, adapter: flip(adapter / RELEASE)),
    ("proof of a step", 1, "VT-RUN-010", lambda _, adapter: shutil.copyfile(
        adapter / "veritune" / "proofs" / "step-000001.bin", adapter / RELEASE)),
    ("another file", 1, "VT-ENV-061", lambda _, adapter: (adapter / "release.bin").write_bytes(b"x")),
    ("release listed", 1, "VT-RUN-013", list_release),
    ("release present", 1, "VT-RUN-013", add_release),
    ("file claimed", 1, "VT-RUN-011", claim_file),
    ("files are the subject", 1, "VT-RUN-011", name_files),
    ("said to be public", 1, "VT-RUN-011", say_public),
]  # fmt: skip


@pytest.mark.parametrize(("exit_code", "code", "change"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_other_forms_are_refused(
    exit_code: int, code: str, change: Callable[[Job, Path], object], job: Job, copy: Path, static_verifier: Path
) -> None:
    change(job, copy / "adapter")
    verdict = both(static_verifier, str(copy / "adapter"), "--key", str(job.public))
    assert (verdict["exit"], verdict["code"], verdict["claims"]) == (exit_code, code, [])


def test_a_public_adapter_has_no_proof_beside_it(job: Job, small: Job, tmp_path: Path, static_verifier: Path) -> None:
    adapter = Path(shutil.copytree(small.adapter(small.folder / "run"), tmp_path / "adapter"))
    shutil.copyfile(job.plan / "adapter" / RELEASE, adapter / RELEASE)
    verdict = both(static_verifier, str(adapter), "--key", str(small.public))
    assert (verdict["exit"], verdict["code"]) == (1, "VT-ENV-061")


def test_a_policy_may_demand_a_public_adapter(job: Job, small: Job, tmp_path: Path, static_verifier: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("schema: veritune.policy/v1\ndisclosed: [adapter]\n")
    words = ("--policy", str(policy))
    hidden = both(static_verifier, str(job.plan / "adapter"), "--key", str(job.public), *words)
    assert (hidden["exit"], hidden["code"]) == (3, "VT-POLICY-007")
    public = both(static_verifier, str(small.adapter(small.folder / "run")), "--key", str(small.public), *words)
    assert public["exit"] == 0


def test_inspect_says_what_goes_with_the_adapter_only(job: Job, copy: Path) -> None:
    def publish(name: str) -> dict[str, str]:
        listed = job.command("inspect", str(copy / name))["files"]
        return {entry["path"]: entry["publish"] for entry in listed}

    (copy / "adapter" / "model.sig").write_text("a signature over the digests of the adapter")
    for name in ("adapter", "run"):
        folder = "" if name == "adapter" else "release/"
        assert {publish(name)[f"{folder}{path}"] for path in (WEIGHTS, CONFIG, RELEASE)} == {"no"}
    assert publish("adapter")["model.sig"] == "no" and publish("adapter")["veritune/index.json"] == "yes"
    # A plan that says otherwise and is not the certificate's says nothing.
    plan = copy / "adapter" / "veritune" / "plan.json"
    plan.write_bytes(plan.read_bytes().replace(b'"adapter":"hidden"', b'"adapter":"public"'))
    assert publish("adapter")[WEIGHTS] == "no"


def test_clean_keeps_the_adapter_and_its_proof(job: Job, copy: Path) -> None:
    answer = job.command("clean", str(copy), "--yes")
    kept = {f"{folder}/{name}" for folder in ("adapter", "run/release") for name in (WEIGHTS, CONFIG, RELEASE)}
    assert set(answer["left"]) == kept and not (copy / "run" / "secret").exists()
    for path in ("adapter", "run"):
        job.command("verify", str(copy / path), "--key", str(job.public))


def test_a_proof_that_is_there_is_not_made_again(job: Job, copy: Path) -> None:
    run = copy / "run"
    proof, opened = (run / "release" / RELEASE).read_bytes(), openings(run)
    # The last state: by its own step and by the release.
    assert opened[f"state {STEPS}"] == 2
    job.command("train", str(copy))  # it lies elsewhere than when it was trained
    (run / "release").chmod(0o755)
    job.command("prove", str(run), "--key", str(job.private), "--overwrite")
    assert (run / "release" / RELEASE).read_bytes() == proof and openings(run) == opened
    assert (copy / "adapter" / RELEASE).read_bytes() == proof
    assert stat.S_IMODE((run / "release").stat().st_mode) == 0o700
    # One that is gone is made anew and counted.
    (run / "release" / RELEASE).unlink()
    job.command("prove", str(run), "--key", str(job.private), "--overwrite")
    assert (run / "release" / RELEASE).read_bytes() != proof and openings(run)[f"state {STEPS}"] == 3
    job.command("verify", str(copy / "adapter"), "--key", str(job.public))


def publishable(folder: Path) -> list[str]:
    return veritune("inspect", str(folder), "--publishable").stdout.splitlines()


def test_a_report_with_the_digests_is_its_owner_s_alone(job: Job, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    veritune("report", str(job.plan / "adapter"), "--key", str(job.public), "-o", str(page))
    digest = hashlib.sha256((job.plan / "adapter" / WEIGHTS).read_bytes()).hexdigest()
    assert digest in page.read_text()
    assert stat.S_IMODE(page.stat().st_mode) == 0o600


def test_a_release_that_the_index_lists_is_not_publishable(job: Job, copy: Path) -> None:
    certificate = copy / "adapter" / "veritune"
    shutil.copyfile(copy / "adapter" / RELEASE, certificate / "proofs" / "release.bin")
    files = {name: (certificate / name).read_bytes() for name in contents(certificate)}
    entries = [
        {"path": name, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        for name, content in files.items()
    ]
    (certificate / "index.json").write_bytes(canonical_json({"schema": "veritune.index/v1", "files": entries}))
    shown = publishable(copy)
    assert "adapter/veritune/proofs/settlement.bin" in shown
    assert "adapter/veritune/proofs/release.bin" not in shown


def test_a_run_whose_plan_is_not_the_sealed_one_publishes_no_adapter(job: Job, copy: Path) -> None:
    plan = copy / "run" / "plan.json"
    plan.write_bytes(plan.read_bytes().replace(b'"adapter":"hidden"', b'"adapter":"public"'))
    assert not [path for path in publishable(copy) if path.startswith("run/release/")]
