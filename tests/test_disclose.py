"""What jobs disclose and hide, for both verifiers and for a stranger who has the reference alone."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_job import Job

from conftest import veritune
from veritune.certificate import CLAIMS, contents, seal
from veritune.files import canonical_json
from veritune.reference.leaf import P, permute

STEPS = 2
TOKENS = 16
WORDS = ("base", "loss", "order", "data", "adapter")
ROW_BYTES = 64 + 8 * TOKENS
NO_LABEL = 2**32 - 1


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """Planned, trained and proved by the commands; the plan is signed."""
    job = Job(
        tmp_path_factory.mktemp("disclose"), STEPS, more="disclose: {loss: public, order: public, data: public}\n"
    )
    run = job.folder / "run"
    job.command(*job.words("train", run))
    job.command(*job.words("prove", run))
    return job


@pytest.fixture(scope="module")
def adapter(job: Job) -> Path:
    return job.adapter(job.folder / "run")


def verdict_and_words(job: Job, adapter: Path, static_verifier: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The verdict, which is the same for both programs, and what `veritune verify` prints of each part."""
    words = [str(adapter), "--key", str(job.public)]
    mine = veritune("verify", *words, "--json")
    other = subprocess.run([str(static_verifier), *words], capture_output=True, text=True, check=False)
    assert (mine.returncode, other.returncode) == (0, 0), mine.stderr + other.stderr
    verdict: dict[str, Any] = json.loads(mine.stdout)
    assert verdict == json.loads(other.stdout)
    human = veritune("verify", *words)
    assert (human.returncode, human.stdout) == (0, ""), human.stderr
    printed = re.findall(rf"^    ({'|'.join(WORDS)}): (\w+) \(", human.stderr, re.MULTILINE)
    assert [name for name, _ in printed] == list(WORDS)
    return verdict, dict(printed)


def test_a_run_hides_what_its_recipe_does_not_disclose(small: Job, static_verifier: Path) -> None:
    """The default: a certificate says so itself, to people and to programs."""
    adapter = small.adapter(small.folder / "run")
    verdict, printed = verdict_and_words(small, adapter, static_verifier)
    hidden = {"base": "public", "loss": "hidden", "order": "hidden", "data": "hidden", "adapter": "public"}
    assert printed == hidden
    assert {name: verdict["disclosure"][name] for name in WORDS} == hidden
    assert verdict["losses"] == [] and any("the loss" in text for text in verdict["notClaimed"])
    assert sum("not which row it is" in text for text in verdict["disclosure"]["byNature"]) == 1
    assert "rowsSha256" not in verdict["disclosure"] and not (adapter / "veritune" / "rows.bin").exists()


def test_rows_may_be_public_alone(tmp_path: Path, static_verifier: Path) -> None:
    """The file has the rows in the order of the leaves, which stays secret."""
    from veritune.job import Job as Folder

    job = Job(tmp_path, 1, more="disclose: {data: public}\n")
    run = job.folder / "run"
    job.command(*job.words("train", run))
    job.command(*job.words("prove", run))
    adapter = job.adapter(run)
    verdict, printed = verdict_and_words(job, adapter, static_verifier)
    assert printed == {"base": "public", "loss": "hidden", "order": "hidden", "data": "public", "adapter": "public"}
    assert {name: verdict["disclosure"][name] for name in WORDS} == printed and verdict["losses"] == []
    content = (adapter / "veritune" / "rows.bin").read_bytes()
    assert verdict["disclosure"]["rowsSha256"] == hashlib.sha256(content).hexdigest()
    # Short rows of the demo begin alike: digests of meta data tell them apart.
    published = [([token for token, _ in positions], meta) for _, meta, positions in rows_of(content)]
    rows = Folder(job.plan).read_rows()
    own = [(tokens.tolist(), meta_of(digest)) for tokens, digest in zip(rows.tokens, rows.meta, strict=True)]
    assert published != own and sorted(published) == sorted(own)


def rows_of(content: bytes) -> list[tuple[list[int], list[int], list[tuple[int, int]]]]:
    """Salt, meta digest and positions (token, label) of every row of rows.bin, by docs/spec/certificate.md alone."""
    rows = []
    for at in range(0, len(content), ROW_BYTES):
        words = struct.unpack_from("<8Q", content, at)
        positions = struct.iter_unpack("<II", content[at + 64 : at + ROW_BYTES])
        rows.append((list(words[:4]), list(words[4:]), [(token, label) for token, label in positions]))
    return rows


def meta_of(digest: Any) -> list[int]:
    """A digest of meta data as a leaf has it."""
    return [word % P for word in struct.unpack("<4Q", digest.tobytes())]


def test_both_verifiers_list_what_is_disclosed(job: Job, adapter: Path, static_verifier: Path) -> None:
    verdict, printed = verdict_and_words(job, adapter, static_verifier)
    disclosure = verdict["disclosure"]
    assert {name: disclosure[name] for name in WORDS} == printed == dict.fromkeys(WORDS, "public")
    assert disclosure["rowsSha256"] == hashlib.sha256((adapter / "veritune" / "rows.bin").read_bytes()).hexdigest()
    assert sum(text.endswith("two steps train on the same row") for text in disclosure["byNature"]) == 1
    assert not any("the loss" in text for text in verdict["notClaimed"])
    (data,) = (claim for claim in verdict["claims"] if claim["kind"] == "data")
    assert data["word"] == "zk-proof" and "published and recomputed" in data["detail"]
    assert [loss["step"] for loss in verdict["losses"]] == list(range(1, STEPS + 1))
    for loss in verdict["losses"]:
        assert float(loss["nats"]) == loss["units"] / 2 ** loss["fractionBits"] and 0 < float(loss["nats"]) < 20
    assert "the released adapter, and what it reveals of its data" in disclosure["byNature"]
    human = veritune("verify", str(adapter), "--key", str(job.public))
    assert "loss of every step" in human.stderr


def test_a_policy_may_demand_it(job: Job, adapter: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("schema: veritune.policy/v1\ndisclosed: [loss, order, data]\n")
    ran = veritune("verify", str(adapter), "--key", str(job.public), "--policy", str(policy))
    assert ran.returncode == 0, ran.stderr


def test_a_stranger_recomputes_every_leaf_and_reads_the_rows_of_the_files(job: Job, adapter: Path) -> None:
    """With the NumPy reference; a step's proof names the leaf of each of its rows."""
    from veritune.job import Job as Folder
    from veritune.sampler import step_rows

    rows = rows_of((adapter / "veritune" / "rows.bin").read_bytes())
    own = Folder(job.plan).read_rows()
    assert len(rows) == len(own.tokens)
    for (_, meta, positions), tokens, targets, digest in zip(rows, own.tokens, own.targets, own.meta, strict=True):
        assert [token for token, _ in positions] == tokens.tolist()
        assert [-100 if label == NO_LABEL else label for _, label in positions] == targets.tolist()
        assert meta == meta_of(digest)
    seed = bytes.fromhex(json.loads((adapter / "veritune" / "seed.json").read_bytes())["seed"])
    for step in range(1, STEPS + 1):
        (index,) = step_rows(seed, step, len(rows), 1)
        salt, meta, positions = rows[index]
        leaf = struct.pack("<4Q", *leaf_of(salt, meta, positions))
        assert (adapter / "veritune" / "proofs" / f"step-{step:06}.bin").read_bytes()[64:96] == leaf


def leaf_of(salt: list[int], meta: list[int], positions: list[tuple[int, int]]) -> list[int]:
    """The leaf by docs/spec/step.md, section 10."""
    state = [0] * 8 + [3, 8 * (1 + len(positions)), 0, 0]
    blocks = [salt + meta]
    for token, label in positions:
        blocks.append([token, 0 if label == NO_LABEL else label, int(label != NO_LABEL), 0, 0, 0, 0, 0])
    for block in blocks:
        state, _ = permute([(a + b) % P for a, b in zip(state, block + [0] * 4, strict=True)])
    return state[:4]


def token(content: bytearray) -> None:
    content[64] ^= 1


def salt(content: bytearray) -> None:
    content[ROW_BYTES] ^= 1


def left_out(content: bytearray) -> None:
    del content[:ROW_BYTES]


def exchanged(content: bytearray) -> None:
    content[: 2 * ROW_BYTES] = content[ROW_BYTES : 2 * ROW_BYTES] + content[:ROW_BYTES]


def trailing(content: bytearray) -> None:
    content.append(0)


@pytest.mark.parametrize(
    "change",
    [token, salt, left_out, exchanged, trailing, None],
    ids=["token", "salt", "left out", "exchanged", "trailing", "missing"],
)
def test_other_rows_are_refused(
    change: Callable[[bytearray], None] | None, job: Job, adapter: Path, static_verifier: Path, tmp_path: Path
) -> None:
    """Under the maker's own signature over the changed file."""
    copy = tmp_path / "adapter"
    shutil.copytree(adapter, copy)
    certificate = copy / "veritune"
    bundle = json.loads((certificate / CLAIMS).read_bytes())
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    if change is None:
        (certificate / "rows.bin").unlink()
        del statement["predicate"]["disclosure"]["rowsSha256"]
    else:
        content = bytearray((certificate / "rows.bin").read_bytes())
        change(content)
        (certificate / "rows.bin").write_bytes(content)
        statement["predicate"]["disclosure"]["rowsSha256"] = hashlib.sha256(content).hexdigest()
    seal(certificate, contents(certificate), canonical_json(statement), job.private.read_text("ascii"))
    words = [str(copy), "--key", str(job.public)]
    mine = veritune("verify", *words, "--json")
    other = subprocess.run([str(static_verifier), *words], capture_output=True, text=True, check=False)
    assert json.loads(mine.stdout) == json.loads(other.stdout)
    assert (mine.returncode, json.loads(mine.stdout)["code"]) == (1, "VT-RUN-017"), mine.stderr


def test_the_report_shows_and_draws_it(job: Job, adapter: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    ran = veritune("report", str(adapter), "--key", str(job.public), "-o", str(page))
    assert ran.returncode == 0, ran.stderr
    text = page.read_text("utf-8")
    assert text.count("<polyline") == 1 and "published and recomputed" in text and "Disclosed and hidden" in text


def test_everything_of_the_certificate_may_be_published(job: Job, adapter: Path) -> None:
    ran = veritune("inspect", str(adapter), "--publishable")
    assert "veritune/rows.bin" in ran.stdout
