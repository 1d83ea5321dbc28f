"""``inspect --publishable`` names what may be published and nothing else; ``clean`` removes every secret and keeps what
verifies. The real commands on copies of a job that was really proved."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from small_job import Job, argv, ordinary, unprove

from conftest import SMALL_STEPS


class Copy:
    """A copy of the proved small job, in the layout of `plan`, `train` and `prove` without options."""

    def __init__(self, small: Job, folder: Path) -> None:
        self.small = small
        self.job = Path(shutil.copytree(small.plan, folder / "job"))
        self.run = Path(shutil.copytree(small.folder / "run", self.job / "run"))
        self.adapter = Path(shutil.copytree(small.adapter(small.folder / "run"), self.job / "adapter"))

    def command(self, *words: str | Path, **options: Any) -> dict[str, Any]:
        return self.small.command(*map(str, words), **options)

    def inspect(self, path: Path | None = None) -> dict[str, str]:
        """What may be published, by path."""
        listed = self.command("inspect", path or self.job)["files"]
        return {entry["path"]: entry["publish"] for entry in listed}

    def publishable(self, path: Path | None = None) -> set[str]:
        """What the command prints without --json."""
        words = argv("inspect", str(path or self.job), "--publishable")[:-1]
        ran = subprocess.run(words, capture_output=True, text=True, check=True)
        answer = self.command("inspect", path or self.job, "--publishable")
        lines = ran.stdout.splitlines()
        assert lines == [entry["path"] for entry in answer["files"]] and len(set(lines)) == len(lines)
        return set(lines)

    def verdicts(self) -> list[dict[str, Any]]:
        """What `verify` and `report` say of everything that they take."""
        key = ("--key", self.small.public)
        paths = [(self.adapter,), (self.run,), (self.run / "certificate", "--no-file"), (self.adapter, "--no-file")]
        said = [self.command("verify", *path, *key) for path in paths]
        return [*said, self.command("report", self.adapter, *key)]


@pytest.fixture
def copy(small: Job, tmp_path: Path) -> Copy:
    return Copy(small, tmp_path)


PROOFS = [f"proofs/step-{step:06}.bin" for step in range(1, SMALL_STEPS + 1)]
PROOFS += ["proofs/settlement.bin", "proofs/release.bin"]
CERTIFICATE = ["index.json", "claims.sigstore.json", "signer.pub.pem", "plan.json", "plan.sigstore.json", "seed.json"]
CERTIFICATE += PROOFS
ADAPTER = ["adapter_model.safetensors", "adapter_config.json"]
PUBLISHED = {
    *(f"plan/{name}" for name in ("plan.json", "plan.sigstore.json", "seed.json")),
    "data/manifest.json",
    *(f"run/{name}" for name in ("plan.json", "seed.json")),
    *(f"run/certificate/{name}" for name in CERTIFICATE),
    *(f"run/release/{name}" for name in ADAPTER),
    *(f"adapter/veritune/{name}" for name in CERTIFICATE),
    *(f"adapter/{name}" for name in ADAPTER),
}
CHOICE = {"plan/calibration.json", "run/claims.statement.json"}


# -- inspect ---------------------------------------------------------------------------------------------------------


def test_exactly_what_may_be_published_is_listed(copy: Copy) -> None:
    assert copy.publishable() == PUBLISHED
    assert {path for path, word in copy.inspect().items() if word == "choice"} == CHOICE
    # From wherever it is looked at.
    assert copy.publishable(copy.job.parent) == {f"job/{path}" for path in PUBLISHED}
    for part in ("plan", "data", "run", "adapter", "run/certificate", "adapter/veritune", "run/certificate/proofs"):
        below = {path.removeprefix(f"{part}/") for path in PUBLISHED if path.startswith(f"{part}/")}
        assert copy.publishable(copy.job / part) == below, part
    assert copy.publishable(copy.job / "plan" / "plan.json") == {"plan.json"}
    assert copy.publishable(copy.run / "secret" / "run.key") == set()
    assert copy.publishable(copy.job / "data" / "secret") == set()
    keys = copy.publishable(copy.small.folder / "keys")
    assert keys == {"veritune.pub.pem"}


def test_an_unknown_file_may_not_be_published(copy: Copy) -> None:
    folders = [path for path in [copy.job, *copy.job.rglob("*")] if path.is_dir()]
    for folder in folders:
        for name in (
            "notes.txt",
            "plan.time",
            "rows.jsonl",
            ".hidden",
            "x.bin",
            "model.safetensors",
            "plan.json.partial",
            ".y.tmp",
        ):
            (folder / name).write_text("secret")
    found = copy.publishable()
    # A certificate with an extra file is refused by `verify`; its own files are what they were.
    assert found == PUBLISHED
    assert len(copy.inspect()) >= len(found) + 8 * len(folders)


ABOVE = ["veritune/proofs", "run/release", "run/certificate", "plan", "adapter", "secret/run"]


@pytest.mark.parametrize("above", ABOVE)
def test_the_way_to_a_folder_publishes_nothing(copy: Copy, above: str) -> None:
    """Names above a job are its user's: neither do they publish a file nor hide one."""
    moved = copy.job.parent / above / "mine"
    moved.parent.mkdir(parents=True)
    copy.job.rename(moved)
    for name in ("rows.jsonl", "plan.txt", "secret.bin"):
        (moved / name).write_text("secret")
        (moved.parent / name).write_text("secret")
    assert copy.publishable(moved) == PUBLISHED
    assert copy.publishable(moved.parent) == {f"mine/{path}" for path in PUBLISHED}


def other_predicate(bundle: bytes) -> bytes:
    """The bundle of a signed plan with a word more in what is signed."""
    value = json.loads(bundle)
    statement = json.loads(base64.b64decode(value["dsseEnvelope"]["payload"]))
    statement["predicate"]["notes"] = "secret"
    value["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    return json.dumps(value).encode()


def test_what_is_not_what_its_name_says_may_not_be_published(copy: Copy) -> None:
    changed = {
        "run/certificate/proofs/step-000001.bin": b"changed",
        "adapter/veritune/claims.sigstore.json": b"{}",
        "plan/plan.json": b'{"rows": ["secret"]}',
        "plan/seed.json": b"secret",
        "plan/plan.sigstore.json": other_predicate((copy.job / "plan" / "plan.sigstore.json").read_bytes()),
        "data/manifest.json": b'{"schema": "veritune.local/v1"}',
    }
    for name, content in changed.items():
        (copy.job / name).write_bytes(content)
    private = copy.small.private.read_bytes()
    for name, content in {
        "key.pub.pem": private,
        "both.pub.pem": copy.small.public.read_bytes() + private,
        "text.pub.pem": b"rows\n" + copy.small.public.read_bytes(),
        "index.json": b'{"schema": "veritune.index/v1", "files": [{"path": "index.json"}]}',
    }.items():
        (copy.job / name).write_bytes(content)
    link = copy.job / "adapter" / "adapter_config.json"
    link.unlink()
    link.symlink_to(copy.run / "secret" / "run.key")
    (copy.job / "linked").symlink_to(copy.run / "secret")
    assert copy.publishable() == PUBLISHED - {*changed, "adapter/adapter_config.json"}
    assert copy.inspect()["linked"] == "no"


def test_an_adapter_that_is_being_written_may_not_be_published(copy: Copy) -> None:
    copy.adapter.rename(copy.job / ".adapter.abc.tmp")
    (copy.run / "certificate" / "index.json").unlink()
    # Without an index no plan is sealed, so nothing says that the run's adapter is public.
    expected = {path for path in PUBLISHED if not path.startswith(("adapter/", "run/certificate/", "run/release/"))}
    # A key that lies alone is public wherever it lies.
    assert copy.publishable() == expected | {"run/certificate/signer.pub.pem"}


def test_names_that_are_no_text_may_not_be_published(copy: Copy) -> None:
    renamed = copy.job.rename(copy.job.parent / "new\nline")
    assert copy.publishable(renamed.parent) == set()


def test_a_secret_that_others_can_read_is_pointed_out(copy: Copy) -> None:
    (copy.run / "secret" / "run.key").chmod(0o644)
    said = subprocess.run(argv("inspect", str(copy.job)), capture_output=True, text=True, check=True).stderr
    exposed = [line for line in said.splitlines() if "MODE" in line]
    assert len(exposed) == 1 and exposed[0].startswith("run/secret/run.key") and "0644" in exposed[0]


# -- clean -----------------------------------------------------------------------------------------------------------


def test_clean_removes_every_secret_and_nothing_that_verifies(copy: Copy) -> None:
    before = copy.verdicts()
    secrets = {path for path, word in copy.inspect().items() if word == "no"}
    answer = copy.command("clean", copy.job, "--yes")
    assert set(answer["removed"]) == {path for path in secrets if not path.endswith(".lock")} | {
        "run/claims.statement.json"
    }
    assert answer["left"] == [] and answer["removed"][:2] == ["data/secret/salt.bin", "run/secret/run.key"]
    left = copy.inspect()
    assert set(left) == PUBLISHED | {"plan/calibration.json"} and "no" not in left.values()
    assert not list(copy.job.rglob("secret")) and not (copy.run / "steps").exists()
    assert copy.verdicts() == before
    again = copy.command("clean", copy.job, "--yes")
    assert again["removed"] == [] and copy.inspect() == left
    # Nothing goes on where the secrets were, and nothing is made anew.
    assert copy.command("train", copy.job, expect=2)["code"] == "VT-FILE-001"
    prove = ("prove", copy.run, "--key", copy.small.private, "--overwrite")
    assert copy.command(*prove, expect=2)["code"] == "VT-FILE-001"
    assert copy.verdicts() == before


def test_clean_of_a_run_leaves_the_job_its_rows(copy: Copy) -> None:
    rows = (copy.job / "data" / "secret" / "rows.safetensors").read_bytes()
    before = copy.verdicts()
    copy.command("clean", copy.run, "--yes")
    assert not (copy.run / "secret").exists() and copy.verdicts() == before
    assert (copy.job / "data" / "secret" / "rows.safetensors").read_bytes() == rows
    # Another run of the same plan has another key.
    copy.command("train", copy.job, "--run", copy.job / "second")
    copy.command("prove", copy.job / "second", "--key", copy.small.private, "--adapter", copy.job / "other")
    copy.command("clean", copy.job, "--yes")
    assert "no" not in copy.inspect().values() and copy.verdicts() == before
    copy.command("verify", copy.job / "other", "--key", copy.small.public)
    copy.command("verify", copy.job / "second", "--key", copy.small.public)


def test_clean_keeps_what_is_not_ours_and_says_so(copy: Copy) -> None:
    shutil.copytree(copy.small.folder / "keys", copy.job / "keys")
    mine = ["rows.jsonl", "data/secret/notes.txt"]
    for name in mine:
        (copy.job / name).write_text("mine")
    answer = copy.command("clean", copy.job, "--yes")
    assert set(answer["left"]) == {*mine, "keys/veritune.key.pem", "keys/veritune.key.pem.plans.json"}
    assert all(f"{path} stays" in run_stderr(copy) for path in answer["left"])
    assert [path.name for path in (copy.job / "data" / "secret").iterdir()] == ["notes.txt"]
    assert (copy.job / "keys" / "veritune.key.pem").exists() and not (copy.run / "secret").exists()


def run_stderr(copy: Copy) -> str:
    return subprocess.run(argv("clean", str(copy.job), "--yes"), capture_output=True, text=True, check=True).stderr


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Asked:
    """``clean`` at a terminal, after it has put its question."""

    def __init__(self, copy: Copy) -> None:
        self.leader, follower = os.openpty()
        self.process = subprocess.Popen(
            argv("clean", str(copy.job)), stdin=follower, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        os.close(follower)
        assert self.process.stderr
        self.said = b""
        while b"[y/N]" not in self.said:
            self.said += os.read(self.process.stderr.fileno(), 4096)

    def answer(self, reply: bytes) -> tuple[int, dict[str, Any]]:
        """Types a reply; returns exit code and answer."""
        os.write(self.leader, reply)
        return self.end()

    def end(self) -> tuple[int, dict[str, Any]]:
        stdout, _ = self.process.communicate()
        os.close(self.leader)
        return self.process.returncode, json.loads(stdout) if stdout else {}


END_OF_INPUT = b"\x04"
REPLIES = {b"n\n": "the answer was no", b"\n": "the answer was no", END_OF_INPUT: "the input ended"}


def test_clean_asks_and_removes_nothing_without_an_answer(copy: Copy) -> None:
    before = contents(copy.job)

    def is_whole() -> bool:
        return {**contents(copy.job), "data/secret/.lock": b"", "run/.lock": b""} == before

    ran = subprocess.run(argv("clean", str(copy.job)), capture_output=True, text=True, check=False,
                         stdin=subprocess.DEVNULL)  # fmt: skip
    assert (ran.returncode, json.loads(ran.stdout)["code"]) == (2, "VT-CLEAN-002")
    assert "run/secret/run.key" in ran.stderr and "--yes" in ran.stderr
    for reply, why in REPLIES.items():
        exit_code, error = Asked(copy).answer(reply)
        assert (exit_code, error["code"]) == (2, "VT-CLEAN-002") and why in error["message"]
        assert is_whole()
    asked = Asked(copy)
    asked.process.send_signal(signal.SIGINT)
    assert asked.end() == (130, {}) and is_whole()
    exit_code, answer = Asked(copy).answer(b"y\n")
    assert exit_code == 0 and "run/secret/run.key" in answer["removed"]
    assert set(contents(copy.job)) == PUBLISHED | {"plan/calibration.json"}


def test_clean_refuses_what_nothing_would_be_left_of(copy: Copy) -> None:
    def refused(path: Path, code: str, word: str) -> None:
        before = contents(copy.job)
        error = copy.command("clean", path, "--yes", expect=2)
        assert error["code"] == code and word in error["message"] and error["remedy"], error
        assert {name: content for name, content in contents(copy.job).items() if not name.endswith(".lock")} == {
            name: content for name, content in before.items() if not name.endswith(".lock")
        }

    refused(copy.adapter, "VT-FILE-001", "neither a job folder nor a run folder")
    refused(copy.job / "data", "VT-FILE-001", "neither")
    # One run of two has no certificate.
    second = Path(shutil.copytree(copy.run, copy.job / "second"))
    unprove(second)
    refused(copy.job, "VT-CLEAN-001", "VT-POLICY-005")
    shutil.rmtree(second)
    proof = copy.run / "certificate" / "proofs" / "step-000001.bin"
    content = proof.read_bytes()
    proof.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    refused(copy.job, "VT-CLEAN-001", "VT-ENV-070")
    shutil.rmtree(copy.run)
    refused(copy.job, "VT-CLEAN-001", "no run")


def test_clean_waits_for_nobody(copy: Copy) -> None:
    unproved = Path(shutil.copytree(copy.run, copy.job / "second"))
    unprove(unproved)
    words = ("prove", str(unproved), "--key", str(copy.small.private), "--adapter", str(copy.job / "other"))
    with subprocess.Popen(argv(*words), stdout=subprocess.DEVNULL) as prove:
        while not (unproved / ".lock").read_text():
            assert prove.poll() is None
        error = copy.command("clean", copy.job, "--yes", expect=2)
        assert error["code"] == "VT-FILE-007" and f"process {prove.pid} (veritune prove)" in error["message"]
        assert (copy.run / "secret" / "run.key").exists()
        prove.kill()


def test_clean_that_cannot_go_on_is_finished_by_the_next_call(copy: Copy) -> None:
    before = copy.verdicts()
    (copy.run / "steps").chmod(0o500)
    error = copy.command("clean", copy.job, "--yes", expect=2, preexec_fn=ordinary)
    assert error["code"] == "VT-FILE-003" and "steps" in error["location"]
    assert not (copy.run / "secret" / "run.key").exists() and copy.verdicts() == before
    (copy.run / "steps").chmod(stat.S_IRWXU)
    # The states are there, their key is not.
    assert copy.command("train", copy.job, expect=2)["code"] == "VT-FILE-001"
    copy.command("clean", copy.job, "--yes")
    assert "no" not in copy.inspect().values() and copy.verdicts() == before


def test_clean_killed_at_any_moment(small: Job, tmp_path: Path) -> None:
    """A kill while it looks whether the job verifies, and one after each of some files is gone."""
    whole = Copy(small, tmp_path / "whole")
    expected = whole.verdicts()
    removed = whole.command("clean", whole.job, "--yes")["removed"]
    killed = []
    for name in ("", *removed[:3], removed[len(removed) // 2], removed[-1]):
        copy = Copy(small, tmp_path / str(len(killed)))
        with subprocess.Popen(argv("clean", str(copy.job), "--yes"), stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as process:  # fmt: skip
            while process.poll() is None:
                if (copy.job / name).exists() if name else not (copy.run / ".lock").read_text():
                    continue
                process.kill()
        killed.append(process.returncode == -signal.SIGKILL)
        copy.command("verify", copy.run, "--key", small.public)
        copy.command("clean", copy.job, "--yes")
        assert contents(copy.job) == contents(whole.job)
        shutil.rmtree(copy.job)
    # The last may have ended before; the first has a certificate to verify after its lock is seen.
    assert killed[0] and whole.verdicts() == expected
