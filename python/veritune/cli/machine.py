"""``veritune demo`` and ``doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from veritune.cli.console import JsonOption, ThreadsOption, printable, reporting

DEFAULT_STEPS = 20


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder of the demo.")] = Path("demo-out"),
    model: Annotated[Path, typer.Option("--model", help="Base model.")] = Path("models/small"),
    rows: Annotated[Path, typer.Option("--rows", help="JSONL rows.")] = Path("data/demo/rows.jsonl"),
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps.")] = DEFAULT_STEPS,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the whole job on a small real model, then show that one flipped byte is refused."""
    with reporting(as_json) as console:
        from veritune.demo import run_demo

        result = run_demo(
            out,
            model,
            rows,
            steps=steps,
            threads=threads,
            say=console.say,
            progress=console.progress,
        )
        total = sum(float(value) for value in result["seconds"].values())
        console.say(f"{'total':<8} {total:7.2f} s for {result['steps']} steps")
        adapter, key = printable(result["adapter"]), printable(result["public_key"])
        console.say(f"veritune verify {adapter} --key {key}", "bold")
        console.result(result)


def doctor(
    plan: Annotated[
        Path | None, typer.Argument(help="recipe.yaml, plan.json or job folder: predict time and memory")
    ] = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what this machine can prove and how long it would take."""
    with reporting(as_json) as console:
        from veritune.doctor import examine, predict_path, problems
        from veritune.memory import gib

        found = examine(plan or Path())
        console.say(f"veritune {found['veritune']}, core {found['core'] or 'missing'}")
        console.say(f"{found['threads']} threads, {' '.join(found['vector_units']) or 'no SIMD'}")
        console.say(
            f"memory {gib(found['memory_bytes'])} GiB, of which {gib(found['memory_available_bytes'])} "
            f"{found['memory_limit']}; disk {gib(found['disk_free_bytes'])} GiB free"
        )
        if plan is not None:
            with console.progress("calibrate") as progress:
                predicted = predict_path(plan, threads or found["threads"], progress)
            found["prediction"] = predicted
            for name in ("train", "prove"):
                clock, core = (predicted[f"{name}_{kind}"] for kind in ("seconds", "core_seconds"))
                console.say(f"predicted {name:<6}{clock:>10} s, {core} s of a core")
            console.say(f"predicted memory{gib(int(predicted['memory_bytes'])):>9} GiB at the peak")
            console.say(f"predicted proofs{int(predicted['proof_bytes']) / 1e6:>9.2f} MB")
        found["problems"] = problems(found)
        for problem in found["problems"]:
            console.say(problem, "red")
        console.result(found)
        if found["problems"]:
            raise typer.Exit(3)
