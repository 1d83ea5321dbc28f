"""Compares the prediction of `veritune doctor` with real runs and writes docs/benchmarks/doctor.{json,md}.

    python scripts/doctor/validate.py [--only NAME …] [--repeat N] [--out docs/benchmarks]

For each configuration, in turn and `repeat` times: plan, doctor, train, prove. A run's core seconds are the user and
system time of the command, its memory the peak resident size. Prediction and run alternate, so both see the same load.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))
from checkout import commit

ROOT = Path(__file__).resolve().parent.parent.parent
QV, ALL = "q_proj, v_proj", "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj"
Config = dict[str, Any]
CONFIGS: dict[str, Config] = {
    "q,v r8, 64 tokens": {},
    "q,v r8, 16 tokens": {"tokens": 16},
    "q,v r4, 128 tokens": {"tokens": 128, "r": 4},
    "q,v r16, 64 tokens, batch 2": {"r": 16, "batch": 2},
    "all r8, 64 tokens": {"targets": ALL},
    "all r4, 16 tokens, batch 2, SGD": {"targets": ALL, "r": 4, "tokens": 16, "batch": 2, "optim": "sgd"},
    "q,v r8, 64 tokens, SGD, 6 steps": {"optim": "sgd", "steps": 6},
    "all r16, 128 tokens": {"targets": ALL, "r": 16, "tokens": 128, "steps": 2},
    "all r128, 16 tokens": {"targets": ALL, "r": 128, "tokens": 16},
}
STEPS = 3
#: Name here and in the prediction, unit, digits and heading of its column.
MEASURES = {
    "train_core_seconds": ("train_core_seconds", 1, 2, "train, core s"),
    "train_wall_seconds": ("train_seconds", 1, 2, "by the clock, s"),
    "prove_core_seconds": ("prove_core_seconds", 1, 1, "prove, core s"),
    "prove_wall_seconds": ("prove_seconds", 1, 1, "by the clock, s"),
    "memory_bytes": ("memory_bytes", 1 << 20, 0, "memory, MiB"),
    "proof_bytes": ("proof_bytes", 1000, 0, "proofs, kB"),
}


def recipe(config: Config) -> str:
    return f"""\
schema: veritune.recipe/v1
model: {{path: {json.dumps(str(ROOT / "models" / "small"))}}}
data: {{files: [{json.dumps(str(ROOT / "data" / "demo" / "rows.jsonl"))}], max_length: {config.get("tokens", 64)},
  long_rows: truncate, label_mask: {"all" if config.get("tokens", 64) < 64 else "completion_only"}}}
lora: {{r: {config.get("r", 8)}, lora_alpha: 16, target_modules: [{config.get("targets", QV)}]}}
train: {{optim: {config.get("optim", "adamw_torch")}, learning_rate: 1e-3,
  per_device_train_batch_size: {config.get("batch", 1)}, max_steps: {config.get("steps", STEPS)}}}
"""


def veritune(*words: str) -> dict[str, Any]:
    """Runs a command; returns its JSON, wall and core seconds and peak memory."""
    with tempfile.TemporaryFile("w+") as out:
        begun = time.monotonic()
        process = subprocess.Popen([sys.executable, "-m", "veritune", *words, "--json"], stdout=out)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"veritune {' '.join(words)} ended with {process.returncode}")
        out.seek(0)
        answer = json.load(out)
    return {
        "answer": answer,
        "wall_seconds": wall,
        "core_seconds": used.ru_utime + used.ru_stime,
        "memory_bytes": used.ru_maxrss * 1024,
    }


def one(config: Config) -> dict[str, Any]:
    """One prediction and one real run."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "recipe.yaml").write_text(recipe(config))
        veritune("keys", "generate", "--out", str(folder / "keys"))
        veritune("plan", str(folder / "recipe.yaml"), "--job", str(folder / "job"))
        predicted = veritune("doctor", str(folder / "job"))["answer"]["prediction"]
        trained = veritune("train", str(folder / "job"))
        proved = veritune("prove", str(folder / "job" / "run"), "--key", str(folder / "keys" / "veritune.key.pem"))
    real = {
        "train_core_seconds": trained["core_seconds"],
        "prove_core_seconds": proved["core_seconds"],
        "memory_bytes": max(trained["memory_bytes"], proved["memory_bytes"]),
        "proof_bytes": proved["answer"]["proof_bytes"],
        "train_wall_seconds": trained["wall_seconds"],
        "prove_wall_seconds": proved["wall_seconds"],
    }
    return {"load": load, "predicted": predicted, "real": real}


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians, and predicted / real of each measure."""
    row: dict[str, Any] = {
        "load": statistics.median(run["load"] for run in runs),
        "counts": runs[0]["predicted"]["counts"],
        "speeds": runs[0]["predicted"]["kernel_core_seconds_per_unit"],
    }
    for name, (predicted_name, *_) in MEASURES.items():
        real = statistics.median(float(run["real"][name]) for run in runs)
        predicted = statistics.median(float(run["predicted"].get(predicted_name, "nan")) for run in runs)
        row[name] = {"real": real, "predicted": predicted, "ratio": predicted / real}
    return row


def page(result: dict[str, Any]) -> str:
    headings = [heading for _, _, _, heading in MEASURES.values()]
    lines = [
        "# What `veritune doctor` predicts, and what a run takes",
        "",
        f"Command: `{result['command']}`. Commit `{result['commit']}`. Machine: {result['machine']}.",
        f"Each figure is the median of {result['repeat']} pairs of prediction and run, made in turn: what the run",
        "took, and what was predicted as a multiple of it. Core seconds are user and system time of the command; those",
        "by the clock are predicted for a machine that does nothing else.",
        "",
        f"| small model | {' | | '.join(headings)} | | load |",
        "|---" * (2 * len(headings) + 2) + "|",
    ]
    for name, row in result["rows"].items():
        cells = [name]
        for measure, (_, unit, digits, _) in MEASURES.items():
            cells += [f"{row[measure]['real'] / unit:.{digits}f}", f"{row[measure]['ratio']:.2f}"]
        lines.append("| " + " | ".join([*cells, f"{row['load']:.1f}"]) + " |")
    worst = {m: max(abs(row[m]["ratio"] - 1) for row in result["rows"].values()) for m in MEASURES}
    lines += ["", "Furthest from 1: " + ", ".join(f"{m.replace('_', ' ')} {v:.0%}" for m, v in worst.items()) + "."]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks")
    arguments = parser.parse_args()
    names, made_from = arguments.only or list(CONFIGS), commit()
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for _ in range(arguments.repeat):
        for name in names:
            runs[name].append(one(CONFIGS[name]))
            print(name, json.dumps(runs[name][-1]), file=sys.stderr, flush=True)
    result = {
        "schema": "veritune.benchmark/v1",
        "command": "python scripts/doctor/validate.py" + f" --repeat {arguments.repeat}",
        "commit": made_from,
        "machine": f"{os.cpu_count()} virtual cores, {platform.machine()}",
        "python": platform.python_version(),
        "repeat": arguments.repeat,
        "rows": {name: summary(items) for name, items in runs.items()},
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "doctor.json").write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    (arguments.out / "doctor.md").write_text(page(result))


if __name__ == "__main__":
    main()
