"""Nothing of a row and no key outside ``secret/``: unmistakable words are planted in the rows of a real job.

Everything that its commands write, say, name themselves or leave in the temporary folder is searched for them: text,
hex, base64 at every alignment, token ids as numbers or as binary integers, the bytes of salts and keys, values of
states, digests of rows.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from safetensors.numpy import load
from small_job import ROOT, argv, limited, spend

WORD = "qzxwombat"
"""Stands in every planted text."""
WINDOW = 4
"""Tokens or values in a row that are no coincidence."""
STEPS = 2
PUBLIC, PRIVATE = "keys/veritune.pub.pem", "keys/veritune.key.pem"


# -- what is searched for --------------------------------------------------------------------------------------------


def spellings(content: bytes) -> Iterator[bytes]:
    """The bytes, in hex, and in base64 wherever they begin in what is encoded."""
    yield content
    yield content.hex().encode()
    yield content.hex().upper().encode()
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + content)
        # The outer characters also depend on what stands beside.
        inner = encoded[-(-8 * before // 6) : (8 * (before + len(content))) // 6]
        yield inner
        yield inner.replace(b"+", b"-").replace(b"/", b"_")


class Needles:
    """What may stand nowhere, by name: patterns for what is written out, and the first bytes of everything else."""

    def __init__(self) -> None:
        self.patterns: dict[str, re.Pattern[bytes]] = {}
        self.pieces: dict[bytes, list[tuple[bytes, str]]] = {}

    def add_text(self, name: str, word: str) -> None:
        self.patterns[name] = re.compile(re.escape(word.encode()), re.IGNORECASE)
        for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
            self.add_bytes(name, word.encode(encoding))

    def add_numbers(self, name: str, ids: list[int]) -> None:
        """The numbers one after another: with anything but digits between them, or as integers of some width."""
        written = rb"[^0-9]{1,3}".join(b"%d" % number for number in ids)
        self.patterns[f"{name}, {ids}"] = re.compile(rb"(?<![0-9])" + written + rb"(?![0-9])")
        for form in ("<q", "<i", "<H", ">q", ">i", ">H"):
            self.add_bytes(name, struct.pack(f"{form[0]}{len(ids)}{form[1]}", *ids))

    def add_bytes(self, name: str, content: bytes) -> None:
        for piece in spellings(content):
            self.pieces.setdefault(piece[:PREFIX], []).append((piece, name))

    @property
    def names(self) -> set[str]:
        return {*self.patterns, *(name for pieces in self.pieces.values() for _, name in pieces)}

    def found_in(self, content: bytes) -> set[str]:
        found = {name for name, pattern in self.patterns.items() if pattern.search(content)}
        prefixes = np.sort(np.frombuffer(b"".join(self.pieces), dtype="<u8"))
        for offset in range(PREFIX if len(prefixes) else 0):
            count = (len(content) - offset) // PREFIX
            if count > 0:
                words = np.frombuffer(content, dtype="<u8", offset=offset, count=count)
                near = prefixes[np.minimum(np.searchsorted(prefixes, words), len(prefixes) - 1)]
                for index in np.flatnonzero(near == words):
                    at = offset + PREFIX * int(index)
                    pieces = self.pieces[content[at : at + PREFIX]]
                    found |= {name for piece, name in pieces if content.startswith(piece, at)}
        return found


PREFIX = 8
"""No piece is shorter."""


def windows(values: list[int], count: int) -> list[list[int]]:
    """Up to ``count`` windows of values that are not small, spread over the whole."""
    large = [
        values[at : at + WINDOW]
        for at in range(0, len(values) - WINDOW, WINDOW)
        if len({abs(value) for value in values[at : at + WINDOW]} - set(range(256))) == WINDOW
    ]
    return large[:: max(1, len(large) // count)][:count]


@dataclass
class Wanted:
    """The needles of one job: rows and their digests; salts and keys; states."""

    rows: Needles = field(default_factory=Needles)
    keys: Needles = field(default_factory=Needles)
    states: Needles = field(default_factory=Needles)


def words_only() -> Wanted:
    wanted = Wanted()
    wanted.rows.add_text("text", WORD)
    return wanted


def needles(folder: Path) -> Wanted:
    """The needles of a job that was trained in ``folder/job`` with the key in ``folder/keys``."""
    wanted = words_only()
    rows, keys, states = wanted.rows, wanted.keys, wanted.states
    secret = folder / "job" / "data" / "secret"
    arrays = load((secret / "rows.safetensors").read_bytes())
    for number, row in enumerate(arrays["tokens"].tolist(), start=1):
        for at in (0, 4, 8):
            rows.add_numbers(f"tokens of row {number}", row[at : at + WINDOW])
    for number, digest in enumerate(arrays["meta"], start=1):
        rows.add_bytes(f"digest of the meta data of row {number}", bytes(digest))
    rows.add_bytes("digest of the rows", hashlib.sha256((folder / "rows.jsonl").read_bytes()).digest())
    pem = (folder / PRIVATE).read_bytes()
    key = load_pem_private_key(pem, None)
    assert isinstance(key, EllipticCurvePrivateKey)
    for name, content in {
        "salt.bin": (secret / "salt.bin").read_bytes(),
        "run.key": (folder / "job" / "run" / "secret" / "run.key").read_bytes(),
        "signing key": key.private_numbers().private_value.to_bytes(32, "big"),
    }.items():
        keys.add_bytes(name, content[:16])
        keys.add_bytes(name, content[16:])
    keys.add_bytes("signing key", pem.splitlines()[1])
    for path in sorted((folder / "job" / "run" / "steps").glob("*.state"))[1:]:
        values = np.frombuffer(path.read_bytes()[:-32], dtype="<i8").tolist()
        chosen = windows(values, 40)
        assert len(chosen) == 40
        for window in chosen:
            states.add_bytes(path.name, struct.pack(f"<{WINDOW}q", *window))
    return wanted


def leaks(folder: Path, wanted: Wanted) -> list[str]:
    """Where a needle stands: every file below the folder outside ``secret/`` that is not the user's own input."""
    found = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if not path.is_file() or "secret" in relative.parts or relative.parts[0] == "inputs" or path.suffix == ".jsonl":
            continue
        found += [f"{relative}: {name}" for name in sorted(leaks_of(folder, path, wanted))]
    return found


def leaks_of(folder: Path, path: Path, wanted: Wanted) -> set[str]:
    """What stands in one file, or in its name."""
    relative = path.relative_to(folder)
    content = relative.as_posix().encode() + b"\0" + path.read_bytes()
    found = wanted.rows.found_in(content)
    if relative.as_posix() != PRIVATE:
        found |= wanted.keys.found_in(content)
    if "steps" not in relative.parts:
        found |= wanted.states.found_in(content)
    return found


# -- the job ---------------------------------------------------------------------------------------------------------


def planted(number: int) -> dict[str, Any]:
    meta = {name: f"{WORD} {name} {number}" for name in ("source", "license", "language", "note")}
    words = f"{WORD} {number * 7919} the zebra owes kafka {number * 104729} crowns"
    forms: list[dict[str, Any]] = [
        {"text": words},
        {"prompt": words, "completion": f"{words} indeed"},
        {"instruction": words, "input": WORD, "output": words},
        {"messages": [{"role": "user", "content": words}, {"role": "assistant", "content": words}]},
    ]
    return {**forms[number % len(forms)], "meta": meta}


RECIPE = """\
schema: veritune.recipe/v1
model: {{path: {model}}}
data: {{files: [{rows}], max_length: 16, long_rows: {long_rows}, label_mask: all{more}}}
lora: {{r: 2, lora_alpha: 4}}
train: {{learning_rate: {rate}, {train}per_device_train_batch_size: 1, max_steps: {steps}}}
proof: {{range_bits: 16}}
"""


class Scene:
    """A folder with planted rows, in which commands run with everything that they say recorded below ``said/``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("said", "temporary", "home", "inputs", "cwd"):
            (folder / name).mkdir()
        rows = "".join(json.dumps(planted(number)) + "\n" for number in range(8))
        (folder / "rows.jsonl").write_text(rows, "utf-8")
        self.recipe("recipe.yaml")
        self.calls = 0

    def recipe(self, name: str, rows: str = "rows.jsonl", **options: str | int) -> str:
        """Writes a recipe; returns its path."""
        values = {"long_rows": "truncate", "more": "", "rate": "2e-3", "train": "", "steps": STEPS} | options
        model = json.dumps(str(ROOT / "models" / "small"))
        path = self.folder / name
        path.write_text(RECIPE.format(model=model, rows=json.dumps(str(self.folder / rows)), **values), "utf-8")
        return str(path)

    def run(self, *words: str, expect: int | None = 0, interrupt: str = "", json_answer: bool = True, code: str = "",
            **options: Any) -> dict[str, Any]:  # fmt: skip
        """Runs a command and records what it says and what others see of it; ``interrupt`` names a file to wait for."""
        self.calls += 1
        command = argv(*words) if json_answer else argv(*words)[:-1]
        if code:
            command = [sys.executable, "-c", f"{code}\nfrom veritune.cli import main\nmain()", *command[3:]]
        environment = {
            name: value for name, value in os.environ.items() if name not in ("GLIBC_TUNABLES", "VERITUNE_TRACEBACK")
        }
        environment |= {"TMPDIR": str(self.folder / "temporary"), "HOME": str(self.folder / "home")}
        seen: set[bytes] = set()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
                              cwd=self.folder / "cwd", **options) as process:  # fmt: skip
            watcher = threading.Thread(target=watch, args=(process, seen))
            watcher.start()
            if interrupt:
                while not list(self.folder.glob(interrupt)) and process.poll() is None:
                    pass
                process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate()
            watcher.join()
        assert seen or process.returncode < 0
        names = b"\n".join(sorted(seen)) if not code else b""
        said = self.folder / "said" / f"{self.calls:02}-{words[0]}"
        for ending, content in (("out", stdout), ("err", stderr), ("names", names)):
            said.with_suffix(f".{ending}").write_bytes(content)
        assert expect is None or process.returncode == expect, (words, process.returncode, stderr.decode())
        answer: dict[str, Any] = json.loads(stdout) if stdout.startswith(b"{") else {}
        return answer | {"stderr": stderr.decode(errors="replace"), "stdout": stdout.decode(errors="replace")}

    def path(self, name: str) -> str:
        return str(self.folder / name)


def watch(process: subprocess.Popen[bytes], seen: set[bytes]) -> None:
    """Collects what everyone on the machine sees of a process: its words, and the names of its threads."""
    folder = Path("/proc") / str(process.pid)
    while process.poll() is None:
        for path in [folder / "cmdline", *folder.glob("task/*/comm")]:
            try:
                seen.add(path.read_bytes())
            except OSError:
                continue
        threading.Event().wait(0.02)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The whole job with its interruptions; what it said is kept."""
    scene = Scene(tmp_path_factory.mktemp("leaks"))
    run, path = scene.run, scene.path
    key = ("--key", path(PRIVATE))
    run("keys", "generate", "--out", path("keys"))
    run("doctor", path("recipe.yaml"), json_answer=False)
    ctrl_c = "import os, veritune.plan as p; p.manifest = lambda _: os.kill(os.getpid(), 2)"  # its secrets are there
    run("plan", path("recipe.yaml"), "--job", path("job"), *key, expect=130, code=ctrl_c)
    run("plan", path("recipe.yaml"), "--job", path("job"), *key, expect=None)
    run("plan", path("recipe.yaml"), "--job", path("other"), json_answer=False)
    full = limited(resource.RLIMIT_FSIZE, 20_000)
    assert run("train", path("job"), expect=2, preexec_fn=full)["code"] == "VT-JOB-013"
    run("train", path("job"), expect=None, interrupt="job/run/steps/000001.root")
    run("train", path("job"))
    full = limited(resource.RLIMIT_FSIZE, 100_000)
    assert run("prove", path("job/run"), *key, expect=2, preexec_fn=full)["code"] == "VT-JOB-013"
    run("prove", path("job/run"), *key, expect=None, interrupt="job/run/certificate/proofs/step-000001.bin")
    run("prove", path("job/run"), *key, "--overwrite", json_answer=False)
    for words in (
        ("verify",),
        ("report",),
        ("report", "-o", path("report.html")),
        ("report", "-o", path("report.txt")),
    ):
        run(words[0], path("job/adapter"), "--key", path(PUBLIC), *words[1:], json_answer=len(words) == 1)
    run("verify", path("job/run"), expect=3)
    run("inspect", path("job"), json_answer=False)
    run("inspect", path("."), "--publishable")
    run("commit", "data", path("job"), "--check")
    run("commit", "model", str(ROOT / "models" / "small"), "--plan", path("job"), "--check")
    run("keys", "show", path(PRIVATE))
    shutil.copytree(path("job/run"), path("inputs/spent"))
    spend(scene.folder / "inputs" / "spent", 1, 99)
    shutil.rmtree(path("inputs/spent/certificate"))
    assert run("prove", path("inputs/spent"), *key, expect=3)["code"] == "VT-JOB-014"
    return scene


@pytest.fixture(scope="module")
def wanted(scene: Scene) -> Wanted:
    return needles(scene.folder)


def test_the_job_leaves_nothing_outside_secret(scene: Scene, wanted: Wanted) -> None:
    assert leaks(scene.folder, wanted) == []
    assert list((scene.folder / "temporary").iterdir()) == [] and list((scene.folder / "cwd").iterdir()) == []
    # The needles are those of this job: each is found where it belongs.
    inside = b"".join(
        path.read_bytes()
        for path in scene.folder.rglob("*")
        if path.is_file() and ({"secret", "steps"} & set(path.parts) or path.name in ("veritune.key.pem", "rows.jsonl"))
    )
    for kind in (wanted.rows, wanted.keys, wanted.states):
        missing = {name for name in kind.names - kind.found_in(inside) if "[" not in name}
        assert missing <= {"digest of the rows"}, missing
    assert len(wanted.rows.names) > 32 and len(wanted.keys.names) == 3 and len(wanted.states.names) == STEPS


def test_what_is_published_names_no_place_of_this_machine(scene: Scene) -> None:
    listed = scene.run("inspect", scene.path("job"), "--publishable")["files"]
    assert len(listed) > 20
    for entry in listed:
        content = (scene.folder / "job" / entry["path"]).read_bytes()
        assert scene.folder.name.encode() not in content, entry["path"]


def test_every_file_that_is_secret_is_its_owners_alone(scene: Scene) -> None:
    listed = scene.run("inspect", scene.path("job"))["files"]
    for entry in listed:
        assert entry["publish"] in ("yes", "choice") or entry["mode"] == "0600", entry
    for folder in ("data/secret", "run/secret", "run/steps"):
        assert (scene.folder / "job" / folder).stat().st_mode & 0o777 == 0o700


# -- errors about rows -----------------------------------------------------------------------------------------------

TEXT = json.dumps({"text": f"{WORD} and more words of {WORD}"})
MESSAGES = json.dumps(
    {"messages": [{"role": "user", "content": WORD}, {"role": "assistant", "content": f"{WORD} too"}]}
)
BAD_ROWS = {
    # name: the second line of the rows, the template, the code
    "broken": (f'{{"text": "{WORD}', "", "VT-DATA-002"),
    "bad escape": (f'{{"text": "{WORD} \\q {WORD}"}}', "", "VT-DATA-002"),
    "a key twice": (f'{{"{WORD}": 1, "{WORD}": 2}}', "", "VT-DATA-002"),
    "another number": (f'{{"text": "{WORD}", "meta": {{"{WORD}": NaN}}}}', "", "VT-DATA-002"),
    "half a surrogate": (f'{{"text": "{WORD}\\ud800"}}', "", "VT-DATA-002"),
    "a list": (f'["{WORD}"]', "", "VT-DATA-002"),
    "unknown field": (f'{{"text": "x", "{WORD}": "{WORD}"}}', "", "VT-DATA-003"),
    "no form": (f'{{"{WORD}": "{WORD}"}}', "", "VT-DATA-003"),
    "meta": (f'{{"text": "x", "meta": "{WORD}"}}', "", "VT-DATA-003"),
    "role": (f'{{"messages": [{{"role": "{WORD}", "content": "{WORD}"}}]}}', "", "VT-DATA-003"),
    "message": (f'{{"messages": [{{"role": "user", "{WORD}": "{WORD}"}}]}}', "", "VT-DATA-003"),
    "no text": (f'{{"prompt": ["{WORD}"], "completion": "x"}}', "", "VT-DATA-003"),
    "long": (TEXT, "refuse", "VT-DATA-004"),
    "template quotes": (MESSAGES, "{{ raise_exception(messages[0].content) }}", "VT-DATA-006"),
    "template looks up": (MESSAGES, "{{ {}[messages[0].content].more }}", "VT-DATA-006"),
    "template counts": (MESSAGES, "{{ messages[0].content % 3 }}", "VT-DATA-006"),
    "template lacks": (MESSAGES, "{{ messages[0].content.nothing.more }}", "VT-DATA-006"),
    "template cuts": (MESSAGES, "{{ messages[-1].content }}{{ messages[0].content }}", "VT-DATA-006"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_an_error_names_the_row_and_quotes_nothing_of_it(tmp_path: Path, name: str) -> None:
    line, option, code = BAD_ROWS[name]
    scene = Scene(tmp_path)
    (tmp_path / "rows.jsonl").write_text(f'{{"text": "a good row"}}\n{line}\n', "utf-8")
    more = {"long_rows": "refuse"} if option == "refuse" else {}
    if option and not more:
        (tmp_path / "inputs" / "chat.jinja").write_text(option, "utf-8")
        more = {"more": f", template: {tmp_path / 'inputs' / 'chat.jinja'}"}
    error = scene.run("plan", scene.recipe("bad.yaml", **more), "--job", scene.path("job"), expect=2)
    assert error["code"] == code and error["location"].endswith("rows.jsonl:2"), error
    assert leaks(tmp_path, words_only()) == []
    assert not (tmp_path / "job").exists()


def test_an_overflow_and_a_bad_recipe_quote_no_row(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.run("plan", scene.recipe("bad.yaml", rate="much"), "--job", scene.path("bad"), expect=2)
    warm = "lr_scheduler_type: constant_with_warmup, warmup_steps: 4, "
    scene.run("plan", scene.recipe("wild.yaml", rate="3e-1", train=warm, steps=8), "--job", scene.path("job"))
    assert scene.run("train", scene.path("job"), expect=2)["code"] == "VT-JOB-004"
    scene.run("keys", "generate", "--out", scene.path("keys"))
    assert leaks(tmp_path, needles(tmp_path)) == []


BUG = "import veritune.rows as r\ndef broken(source, rendered, *_): raise {kind}(rendered.text)\nr._fill_row = broken"


@pytest.mark.parametrize("kind", ["ValueError", "KeyError", "RuntimeError"])
def test_an_exception_that_nobody_expected_quotes_nothing(tmp_path: Path, kind: str) -> None:
    scene = Scene(tmp_path)
    words = ("plan", scene.path("recipe.yaml"), "--job", scene.path("job"))
    error = scene.run(*words, expect=4, code=BUG.format(kind=kind))
    assert error["code"] == "VT-BUG-001" and kind in error["message"] and error["location"].startswith("rows.py:")
    assert leaks(tmp_path, words_only()) == []


def test_ids_outside_the_vocabulary_are_named_by_place(tmp_path: Path) -> None:
    """What no tokenizer of the model gives; the core is told the rows by Python and looks for itself."""
    scene = Scene(tmp_path)
    for number, (array, what) in enumerate((("tokens", "the token"), ("targets", "the target"))):
        spoil = (
            "import veritune.core as c\nhonest = c._arrays\n"
            f"def spoilt(rows):\n    rows.{array}[2, 5] = 99991\n    return honest(rows)\nc._arrays = spoilt"
        )
        words = ("plan", scene.path("recipe.yaml"), "--job", scene.path(f"job{number}"))
        error = scene.run(*words, expect=2, code=spoil)
        assert error["code"] == "VT-JOB-007"
        assert error["message"].startswith(f"dataset row 3, position 6, counted from 1: {what} is")
        assert "99991" not in json.dumps(error)


# -- the test can fail -----------------------------------------------------------------------------------------------

LEAKS: dict[str, Callable[[Path, dict[str, bytes]], bytes]] = {
    "text": lambda _, __: f"row 3: {WORD}".encode(),
    "text in capitals": lambda _, __: WORD.upper().encode(),
    "text as UTF-16": lambda _, __: WORD.encode("utf-16"),
    "text in base64, one off": lambda _, __: base64.b64encode(b"x" + WORD.encode() + b"yz"),
    "text in hex": lambda _, __: WORD.encode().hex().encode(),
    "tokens as JSON": lambda _, secrets: json.dumps(np.frombuffer(secrets["tokens"], "<i8").tolist()).encode(),
    "tokens as lines": lambda _, secrets: b"\n".join(b"%d" % x for x in np.frombuffer(secrets["tokens"], "<i8")),
    "tokens as int64": lambda _, secrets: secrets["tokens"],
    "tokens as uint16": lambda _, secrets: np.frombuffer(secrets["tokens"], "<i8").astype("<u2").tobytes(),
    "tokens as int64 in base64": lambda _, secrets: base64.b64encode(b"??" + secrets["tokens"]),
    "salt": lambda _, secrets: b"..." + secrets["salt"],
    "half of the salt in hex": lambda _, secrets: secrets["salt"][16:].hex().encode(),
    "run key in base64": lambda _, secrets: base64.b64encode(secrets["key"]),
    "run key in base64, URL": lambda _, secrets: base64.urlsafe_b64encode(b"x" + secrets["key"]),
    "signing key": lambda folder, _: (folder / PRIVATE).read_bytes(),
    "a state": lambda folder, _: (folder / "job" / "run" / "steps" / "000002.state").read_bytes(),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_planted_leak_is_found(scene: Scene, wanted: Wanted, name: str) -> None:
    job = scene.folder / "job"
    secrets = {
        "tokens": load((job / "data" / "secret" / "rows.safetensors").read_bytes())["tokens"][3].tobytes(),
        "salt": (job / "data" / "secret" / "salt.bin").read_bytes(),
        "key": (job / "run" / "secret" / "run.key").read_bytes(),
    }
    for place in ("said/99-train.err", "temporary/x", "job/run/certificate/notes.bin"):
        path = scene.folder / place
        path.write_bytes(b"before " + LEAKS[name](scene.folder, secrets) + b" after")
        assert leaks_of(scene.folder, path, wanted)
        path.unlink()


def test_every_file_is_searched(scene: Scene, wanted: Wanted) -> None:
    places = ["said/99-train.err", "temporary/deep/x", "job/.x.tmp", "job/run/certificate/proofs/x", f"home/{WORD}"]
    for place in places:
        (scene.folder / place).parent.mkdir(exist_ok=True)
        (scene.folder / place).write_bytes(b"" if WORD in place else WORD.encode())
    assert leaks(scene.folder, wanted) == sorted(f"{place}: text" for place in places)
    for place in places:
        (scene.folder / place).unlink()
    (scene.folder / "temporary" / "deep").rmdir()


LEAKY = {
    "an error that quotes the row": BUG.format(kind="r.InvalidInput").replace(
        "(rendered.text)", "(r.Code.DATA_FORM, rendered.text)"
    ),
    "a line on stderr": "import sys, veritune.rows as r\nhonest = r.render_row\n"
    "def render(row, *a):\n    print(row, file=sys.stderr)\n    return honest(row, *a)\nr.render_row = render",
    "a temporary file": "import tempfile, veritune.core as c\nhonest = c._arrays\n"
    "def arrays(rows):\n    tempfile.NamedTemporaryFile(delete=False).write(rows.tokens.tobytes())\n"
    "    return honest(rows)\nc._arrays = arrays",
    "the manifest": "import veritune.plan as p\nhonest = p.read_dataset\n"
    "def read(recipe):\n    data = honest(recipe)\n"
    "    p.manifest = lambda _: {'sources': data.meta_counts('source')}\n    return data\np.read_dataset = read",
}


@pytest.mark.parametrize("name", LEAKY)
def test_a_command_that_leaks_is_found(scene: Scene, wanted: Wanted, tmp_path: Path, name: str) -> None:
    leaky = Scene(tmp_path)
    leaky.run("plan", leaky.path("recipe.yaml"), "--job", leaky.path("job"), expect=None, code=LEAKY[name])
    assert leaks(tmp_path, Wanted(rows=wanted.rows)) != []
