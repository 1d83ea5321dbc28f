"""A small real job for the fault scripts: the small model, the demo's rows, the real command."""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))
from checkout import commit as commit  # for the scripts beside this one

ROOT = Path(__file__).resolve().parents[2]
NO_OPENINGS = b'{"schema":"veritune.openings/v1","trees":{}}'
"""The record of a run of which nothing was opened."""
RECIPE = """\
schema: veritune.recipe/v1
model: {{path: {model}}}
data: {{files: [{rows}], max_length: 16, long_rows: truncate, label_mask: all}}
lora: {{r: 2, lora_alpha: 4}}
train: {{learning_rate: {learning_rate}, {train}per_device_train_batch_size: 1, max_steps: {steps}}}
proof: {{range_bits: 16}}
{more}"""


class Job:
    """A planned job in a folder of its own; runs are made and compared in it."""

    def __init__(self, folder: Path, steps: int, learning_rate: str = "2e-3", train: str = "", more: str = "") -> None:
        """Plans the job with the real command; ``train`` is more fields of that section, ``more`` more sections."""
        self.folder = folder
        self.steps = steps
        rows = ROOT / "data" / "demo" / "rows.jsonl"
        recipe = RECIPE.format(
            model=json.dumps(str(ROOT / "models" / "small")),
            rows=json.dumps(str(rows)),
            steps=steps,
            learning_rate=learning_rate,
            train=train,
            more=more,
        )
        (folder / "recipe.yaml").write_text(recipe)
        self.command("keys", "generate", "--out", str(folder / "keys"))
        self.private, self.public = (folder / "keys" / f"veritune.{kind}.pem" for kind in ("key", "pub"))
        self.plan = folder / "job"
        self.command("plan", str(folder / "recipe.yaml"), "--job", str(self.plan), "--key", str(self.private))

    def words(self, name: str, run: Path) -> list[str]:
        """The words of ``train`` or ``prove`` for a run."""
        if name == "train":
            return ["train", str(self.plan), "--run", str(run)]
        return ["prove", str(run), "--key", str(self.private), "--adapter", str(self.adapter(run))]

    def adapter(self, run: Path) -> Path:
        """The adapter folder of a run."""
        return run.with_name(f"{run.name}-adapter")

    def command(self, *words: str, expect: int | None = 0, **options: Any) -> dict[str, Any]:
        """Runs the real command with --json; returns its answer with ``returncode`` in it."""
        ran = subprocess.run(argv(*words), capture_output=True, text=True, check=False, **options)
        if expect is not None and ran.returncode != expect:
            raise SystemExit(f"veritune {' '.join(words)}: exit {ran.returncode}, not {expect}\n{ran.stderr}")
        answer: dict[str, Any] = json.loads(ran.stdout) if ran.stdout.startswith("{") else {"stderr": ran.stderr}
        return {**answer, "returncode": ran.returncode}

    def uninterrupted(self, run: Path, key_of: Path) -> dict[str, bytes]:
        """Trains a run without a fault under the secret of another, and returns its states and roots."""
        (run / "secret").mkdir(parents=True)
        shutil.copyfile(key_of / "secret" / "run.key", run / "secret" / "run.key")
        (run / "openings.json").write_bytes(NO_OPENINGS)
        self.command(*self.words("train", run))
        return states(run)

    def verify(self, run: Path) -> None:
        """The adapter of the run verifies, holds the files of a certificate and no other."""
        adapter = self.adapter(run)
        self.command("verify", str(adapter), "--key", str(self.public))
        proofs = {f"veritune/proofs/step-{step:06}.bin" for step in range(1, self.steps + 1)}
        others = {
            "plan.json",
            "seed.json",
            "claims.sigstore.json",
            "plan.sigstore.json",
            "signer.pub.pem",
            "index.json",
        }
        expected = proofs | {f"veritune/{name}" for name in others}
        expected |= {"veritune/proofs/settlement.bin", "veritune/proofs/release.bin"}
        expected |= {"adapter_model.safetensors", "adapter_config.json"}
        found = {path.relative_to(adapter).as_posix() for path in adapter.rglob("*") if path.is_file()}
        require(found == expected, f"the adapter holds {sorted(found ^ expected)} too much or too little")

    def clean(self, run: Path) -> None:
        """No half-written file or staging folder is left in or beside the run."""
        left = [path for path in run.rglob("*") if path.name.endswith((".partial", ".tmp", ".old"))]
        left += [path for path in run.parent.glob(f".{self.adapter(run).name}.*")]
        require(not left, f"left over: {left}")


def unprove(run: Path) -> None:
    """Makes a proved copy of a run one that was never proved: what it opened is forgotten, as only a test may."""
    shutil.rmtree(run / "certificate")
    (run / "openings.json").write_bytes(NO_OPENINGS)


def openings(run: Path) -> dict[str, int]:
    """How often each tree of the run was opened, by the tree's name."""
    trees = json.loads((run / "openings.json").read_bytes())["trees"]
    return {tree["name"]: tree["opened"] for tree in trees.values()}


def opened(run: Path, state: int) -> int:
    """How often the tree of the state after a step was opened, by its root."""
    root = (run / "steps" / f"{state:06}.root").read_bytes().hex()
    trees = json.loads((run / "openings.json").read_bytes())["trees"]
    return int(trees[root]["opened"]) if root in trees else 0


def spend(run: Path, step: int, opened: int) -> str:
    """Writes into the record how often the state after a step was opened; returns its root."""
    record = json.loads((run / "openings.json").read_bytes())
    root = (run / "steps" / f"{step:06}.root").read_bytes().hex()
    record["trees"][root] = {"name": f"state {step}", "opened": opened}
    (run / "openings.json").write_text(json.dumps(record))
    return root


def budget() -> int:
    """How often a state may be opened, by the source of the statement."""
    source = (ROOT / "crates" / "verifier" / "src" / "statement.rs").read_text("utf-8")
    (count,) = re.findall(r"pub const STATE_BUDGET: u32 = ([0-9]+);", source)
    return int(count)


@dataclass(frozen=True)
class Attempt:
    """What a step's proof file says of the attempt that made it."""

    statement: bytes
    """Roots of the states around the step, and the paths of its rows: the same for every attempt."""
    witness_root: bytes
    """Decides whether two attempts of a step share their pads: these, random rows and salts are expanded from one seed,
    drawn for each attempt (`prove_program` in crates/run/src/prove.rs), and all else in the tree is the step's. So the
    same seed gives the same root. What is sent tells nothing: challenges follow from the root, so under another root
    the scalars differ even behind the same pads."""


def attempt(plan: Path, proof: bytes) -> Attempt:
    """Reads the front of a step's proof file."""
    spec = json.loads((plan / "plan" / "plan.json").read_bytes())["spec"]
    height = (spec["dataset_rows"] - 1).bit_length()
    begin = 64 + spec["training"]["rows"] * 32 * (1 + height)
    return Attempt(proof[:begin], proof[begin : begin + 32])


def argv(*words: str) -> list[str]:
    """The command line of the real command."""
    return [sys.executable, "-m", "veritune", *words, "--json"]


def states(run: Path) -> dict[str, bytes]:
    """Every state and root of a run."""
    return {path.name: path.read_bytes() for path in sorted((run / "steps").iterdir())}


def require(holds: bool, what: str) -> None:
    """Ends the script if a property does not hold (also under -O)."""
    if not holds:
        raise SystemExit(f"FAULT: {what}")


def ordinary() -> None:
    """For ``preexec_fn``: root loses the right to ignore the rights of files."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP; refused to an ordinary user, who has neither


def limited(kind: int, num_bytes: int) -> Callable[[], None]:
    """For ``preexec_fn``: the child gets this resource limit."""

    def limit() -> None:
        import resource

        resource.setrlimit(kind, (num_bytes, num_bytes))

    return limit


def machine() -> str:
    """The processor's name and the cores."""
    text = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return f"{names[0] if names else 'unknown processor'}, {len(os.sched_getaffinity(0))} cores"
