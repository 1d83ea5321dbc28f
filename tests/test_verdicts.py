"""The table "Verdicts" of docs/spec/certificate.md, row by row, for both programs."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import STEPS, veritune
from veritune import core
from veritune.certificate import CLAIMS, PAYLOAD_TYPE, contents, seal
from veritune.files import canonical_json

Change = Callable[[dict[str, Any]], None]


class Case:
    """A copy of the shared job, its keys, and a folder for more files."""

    def __init__(self, job: Path, folder: Path) -> None:
        self.adapter = folder / "adapter"
        self.run = folder / "run"
        shutil.copytree(job / "adapter", self.adapter)
        for name in ("certificate", "release"):
            shutil.copytree(job / "run" / name, self.run / name)
        self.folder = folder
        self.certificate = self.adapter / "veritune"
        self.key = str(job / "keys" / "demo.pub.pem")
        self._private = (job / "keys" / "demo.key.pem").read_text("ascii")

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def policy(self, rest: str) -> str:
        return self.write("policy.yaml", f"schema: veritune.policy/v1\n{rest}\n")

    def resign(self, change: Change) -> None:
        """Signs changed claims with the maker's own key: what a dishonest maker can do."""
        bundle = json.loads((self.certificate / CLAIMS).read_bytes())
        statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
        change(statement["predicate"])
        seal(self.certificate, contents(self.certificate), canonical_json(statement), self._private)

    def reseal(self) -> None:
        """Makes the index again."""
        self.resign(lambda _: None)

    def sign(self, payload: bytes) -> None:
        """Signs any payload in place of the claims."""
        seal(self.certificate, contents(self.certificate), payload, self._private)


@pytest.fixture
def case(job: Path, tmp_path: Path) -> Case:
    return Case(job, tmp_path)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def flip_step_and_sign(case: Case) -> list[str]:
    """Only the proof's own check can refuse it."""
    name = f"proofs/step-{STEPS:06}.bin"
    flip(case.certificate / name)
    digest = hashlib.sha256((case.certificate / name).read_bytes()).hexdigest()

    def change(predicate: dict[str, Any]) -> None:
        entry = next(item for item in predicate["proofs"] if item["name"] == name)
        entry["sha256"] = digest

    case.resign(change)
    return [str(case.adapter), "--key", case.key]


def drop(case: Case, kind: str) -> list[str]:
    def change(predicate: dict[str, Any]) -> None:
        gone = next(item for item in predicate["proofs"] if item["kind"] == kind)
        predicate["proofs"].remove(gone)
        (case.certificate / gone["name"]).unlink()

    case.resign(change)
    return [str(case.adapter), "--key", case.key]


def changed(change: Change) -> Callable[[Case], list[str]]:
    def make(case: Case) -> list[str]:
        case.resign(change)
        return [str(case.adapter), "--key", case.key]

    return make


def with_file(name: str, text: str, *, listed: bool = False) -> Callable[[Case], list[str]]:
    def make(case: Case) -> list[str]:
        (case.adapter / name).write_text(text)
        if listed:
            case.reseal()
        return [str(case.adapter), "--key", case.key]

    return make


def flipped(name: str) -> Callable[[Case], list[str]]:
    def make(case: Case) -> list[str]:
        flip(case.adapter / name)
        return [str(case.adapter), "--key", case.key]

    return make


def asked(*options: str, path: str = "adapter", key: bool = True) -> Callable[[Case], list[str]]:
    """Options on a path of the copy; POLICY: is written to a file first."""

    def make(case: Case) -> list[str]:
        words = [case.policy(word[7:]) if word.startswith("POLICY:") else word for word in options]
        return [str(case.folder / path), *(["--key", case.key] if key else []), *words]

    return make


def other_key(case: Case) -> list[str]:
    _, public = core.generate_key()
    return [str(case.adapter), "--key", case.write("other.pem", public)]


def trust(case: Case) -> list[str]:
    _, public = core.generate_key()
    text = f"# a colleague\n{public}\n# the maker\n{Path(case.key).read_text('ascii')}"
    return [str(case.adapter), "--trust", case.write("trust.pem", text)]


def broken_claims(case: Case) -> list[str]:
    case.sign(b"no statement")
    return [str(case.adapter), "--key", case.key]


def renamed_key(case: Case) -> list[str]:
    """An envelope whose signature is another payload's."""
    bundle = json.loads((case.certificate / CLAIMS).read_bytes())
    payload = base64.b64decode(bundle["dsseEnvelope"]["payload"]) + b" "
    signature = json.loads(core.sign(PAYLOAD_TYPE, payload, case._private))["dsseEnvelope"]["signatures"]
    bundle["dsseEnvelope"]["signatures"] = signature
    (case.certificate / CLAIMS).write_bytes(canonical_json(bundle))
    core_index(case)
    return [str(case.adapter), "--key", case.key]


def core_index(case: Case) -> None:
    """Writes the digest of the changed bundle into the index."""
    path = case.certificate / "index.json"
    index = json.loads(path.read_bytes())
    for entry in index["files"]:
        content = (case.certificate / entry["path"]).read_bytes()
        entry["sha256"], entry["size"] = hashlib.sha256(content).hexdigest(), len(content)
    path.write_bytes(canonical_json(index))


def no_certificate(case: Case) -> list[str]:
    shutil.rmtree(case.certificate)
    return [str(case.adapter), "--key", case.key]


def no_index(case: Case) -> list[str]:
    (case.certificate / "index.json").unlink()
    return [str(case.adapter), "--key", case.key]


def lost_file(case: Case) -> list[str]:
    (case.certificate / "proofs" / "settlement.bin").unlink()
    return [str(case.adapter), "--key", case.key]


def unreadable_container(case: Case) -> list[str]:
    (case.certificate / CLAIMS).write_text("{}")
    core_index(case)
    return [str(case.adapter), "--key", case.key]


def linked(case: Case) -> list[str]:
    (case.adapter / "adapter_config.json").replace(case.folder / "config.json")
    (case.adapter / "adapter_config.json").symlink_to(case.folder / "config.json")
    return [str(case.adapter), "--key", case.key]


def weaker(predicate: dict[str, Any]) -> None:
    predicate["claims"][0]["word"] = "self-declared"


ROWS: list[tuple[str, int, str, Callable[[Case], list[str]]]] = [
    # 0: everything demanded verified, signer named by --key, --trust, or accepted by --any-signer
    ("key", 0, "", asked()),
    ("trust", 0, "", trust),
    ("any signer", 0, "", asked("--any-signer", key=False)),
    ("run", 0, "", asked(path="run")),
    ("certificate, no file", 0, "", asked("--no-file", path="adapter/veritune")),
    ("run certificate, no file", 0, "", asked("--no-file", path="run/certificate")),
    ("adapter, no file", 0, "", asked("--no-file")),
    ("policy", 0, "", asked("--policy", "POLICY:claims: {training: [zk-proof]}\nsigned_plan: true")),
    ("policy any", 0, "", asked("--policy", "POLICY:signer: any", key=False)),
    # 1: a proof, signature, digest, file or bound disagrees
    ("proof", 1, "VT-RUN-006", flip_step_and_sign),
    ("signature", 1, "VT-ENV-044", renamed_key),
    ("digest", 1, "VT-ENV-070", flipped("veritune/proofs/step-000001.bin")),
    ("file", 1, "", flipped("adapter_model.safetensors")),
    ("config", 1, "VT-ENV-057", flipped("adapter_config.json")),
    ("bound", 1, "VT-RUN-012", changed(lambda p: p["ledger"].update(totalBits=p["ledger"]["totalBits"] + 1))),
    ("claims beyond the proofs", 1, "VT-RUN-011", changed(weaker)),
    ("disclosure beyond the plan", 1, "VT-RUN-011", changed(lambda p: p["disclosure"].update(loss="public"))),
    ("unknown disclosure", 1, "VT-ENV-009", changed(lambda p: p["disclosure"].update(loss="partly"))),
    ("rows that the plan hides", 1, "VT-RUN-017", with_file("veritune/rows.bin", "x", listed=True)),
    ("extra file", 1, "VT-ENV-061", with_file("adapter_model.bin", "x")),
    ("unlisted file", 1, "VT-ENV-068", with_file("veritune/notes.txt", "x")),
    ("file of no check", 1, "VT-RUN-013", with_file("veritune/notes.txt", "x", listed=True)),
    ("unknown field, signed", 1, "VT-ENV-009", changed(lambda p: p.update(extra=1))),
    ("another base", 1, "VT-POLICY-003", asked("--policy", f"POLICY:base_root: {'ab' * 32}")),
    ("link", 1, "VT-ENV-062", linked),
    # 2: path missing, unreadable, container unparsable, wrong usage
    ("missing path", 2, "VT-RUN-014", asked(path="nowhere")),
    ("a file", 2, "VT-RUN-014", asked(path="adapter/adapter_config.json")),
    ("container", 2, "VT-ENV-009", unreadable_container),
    ("payload", 1, "VT-ENV-003", broken_claims),
    ("missing key file", 2, "", asked("--key", "nowhere.pem")),
    ("no key in the key file", 2, "VT-ENV-045", lambda case: [*asked()(case), "--key", case.write("x", "x")]),
    ("policy form", 2, "VT-POLICY-001", asked("--policy", "POLICY:no_such: 1")),
    ("missing policy", 2, "", asked("--policy", "nowhere.yaml")),
    ("named and any", 2, "VT-POLICY-001", asked("--any-signer")),
    ("unknown option", 2, "", asked("--no-such")),
    # 3: no certificate, no key, unknown key, word weaker, settlement or step missing
    ("no certificate", 3, "VT-POLICY-005", no_certificate),
    ("no index", 3, "VT-POLICY-005", no_index),
    ("listed file lost", 3, "VT-ENV-065", lost_file),
    ("no key", 3, "VT-ENV-040", asked(key=False)),
    ("unknown key", 3, "VT-ENV-041", other_key),
    ("word", 3, "VT-POLICY-002", asked("--policy", "POLICY:claims: {training: [bitwise-replay]}")),
    ("beacon", 3, "VT-POLICY-004", asked("--policy", "POLICY:beacon: [drand-quicknet]")),
    ("disclosure", 3, "VT-POLICY-007", asked("--policy", "POLICY:disclosed: [data]")),
    ("step missing", 3, "VT-RUN-005", lambda case: drop(case, "step")),
    ("settlement missing", 3, "VT-RUN-007", lambda case: drop(case, "settlement")),
    ("release missing", 3, "VT-RUN-009", lambda case: drop(case, "release")),
    ("certificate alone", 3, "VT-POLICY-006", asked(path="adapter/veritune")),
]


@pytest.mark.parametrize(("exit_code", "code", "make"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_row(exit_code: int, code: str, make: Callable[[Case], list[str]], case: Case, static_verifier: Path) -> None:
    words = make(case)
    mine = veritune("verify", *words, "--json")
    other = subprocess.run([str(static_verifier), *words], capture_output=True, text=True, check=False)
    assert (mine.returncode, other.returncode) == (exit_code, exit_code), mine.stderr + other.stderr
    if code or exit_code == 0:
        python, static = json.loads(mine.stdout), json.loads(other.stdout)
        assert python == static
        assert python["exit"] == exit_code and (python["code"] == code)
        assert bool(python["claims"]) == (exit_code == 0)
    if "--no-file" in words:
        assert "adapter-file" not in {claim["kind"] for claim in python["claims"]}
        assert "adapter file" in python["notClaimed"][0] and len(python["lastStateRoot"]) == 64
        assert "committed" in mine.stderr
