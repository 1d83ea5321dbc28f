"""``veritune plan``, ``train`` and ``prove``: the job from recipe to certificate."""

from __future__ import annotations

import time
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from veritune.cli.console import JsonOption, ThreadsOption, printable, reporting
from veritune.core import CALIBRATION_STEPS


class BeaconKind(StrEnum):
    """Beacons that a plan can name."""

    DEMO = "demo"
    QUICKNET = "drand-quicknet"


MemoryOption = Annotated[
    str | None,
    typer.Option(
        "--memory", help="Refuse at once if the command would need more, for example 4G (default: what is free)."
    ),
]
ModelOption = Annotated[Path | None, typer.Option("--model", help="Folder of the base model, if it has moved.")]


def plan(
    recipe: Annotated[Path, typer.Argument(help="recipe.yaml")],
    job: Annotated[Path | None, typer.Option("--job", help="Job folder (default: the recipe's folder).")] = None,
    beacon: Annotated[BeaconKind, typer.Option("--beacon", help="Where the seed comes from.")] = BeaconKind.DEMO,
    plan_time: Annotated[
        int | None,
        typer.Option("--time", help="Seconds since 1970 that the plan states, for drand-quicknet (default: now)."),
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", help="Private key (PEM) that signs the plan.")] = None,
    calibration_steps: Annotated[
        int, typer.Option("--calibration-steps", min=1, max=1000, help="Steps of calibration.")
    ] = CALIBRATION_STEPS,
    as_json: JsonOption = False,
) -> None:
    """Fix everything before training: base, data, program, widths, seed rule."""
    with reporting(as_json) as console:
        from veritune.beacon import DEMO_NOTICE, round_url, time_of
        from veritune.job import Job
        from veritune.plan import make_plan

        with console.progress("calibrate") as progress:
            planned = make_plan(
                recipe,
                Job(job or recipe.absolute().parent),
                beacon=beacon.value,
                plan_time=plan_time,
                key=key,
                calibration_steps=calibration_steps,
                progress=progress,
            )
        summary = planned.summary
        data = summary["data"]
        console.say(
            f"{data['rows']} rows, {data['tokens']} tokens, {data['labels']} labels; "
            f"{summary['steps']} steps, {summary['dropped_rows_per_epoch']} rows left over an epoch"
        )
        if data["truncated_rows"]:
            console.say(f"{data['truncated_rows']} rows truncated to max_length", "yellow")
        if data["straddling_tokens"]:
            console.say(
                f"{data['straddling_tokens']} tokens lie across the edge of a completion; they are not supervised",
                "yellow",
            )
        if summary["round"] is None:
            console.say(f"{DEMO_NOTICE}; use --beacon drand-quicknet for a public one", "yellow")
        else:
            number = summary["round"]
            known = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(time_of(number)))
            console.say(f"the seed waits for round {number} of drand quicknet, {known}: {round_url(number)}")
            console.say("then: veritune train JOB --beacon-file ROUND.json")
        if not summary["signed"]:
            console.say("the plan is not signed; use --key", "yellow")
        console.say(f"plan {summary['plan_sha256']} in {printable(summary['plan'])}")
        console.result(summary)


def train(
    plan: Annotated[Path, typer.Argument(help="plan.json, or the job folder")],
    run: Annotated[Path | None, typer.Option("--run", help="Run folder (default: run beside plan).")] = None,
    beacon_file: Annotated[
        Path | None, typer.Option("--beacon-file", help="The plan's round of drand quicknet (JSON), needed once.")
    ] = None,
    model: ModelOption = None,
    threads: ThreadsOption = None,
    memory: MemoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train in exact integers and commit to every step; continues an interrupted run."""
    with reporting(as_json, continues=True) as console:
        from veritune.run import train as run_train

        with console.progress("train") as progress:
            result = run_train(
                plan,
                run=run,
                model=model,
                threads=threads,
                beacon_file=beacon_file,
                memory=_bytes(memory),
                progress=progress,
                notice=partial(console.say, colour="yellow"),
            )
        console.say(f"trained; the run is in {printable(result['run'])}")
        console.result(result)


def prove(
    run: Annotated[Path, typer.Argument(help="run folder")],
    key: Annotated[Path, typer.Option("--key", help="Private key (PEM) that signs the claims.")],
    adapter: Annotated[Path | None, typer.Option("--adapter", help="Result (default: adapter beside run).")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing adapter folder.")] = False,
    model: ModelOption = None,
    threads: ThreadsOption = None,
    memory: MemoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prove the steps of a run; write the adapter with its certificate."""
    with reporting(as_json, continues=True) as console:
        from veritune.run import prove as run_prove

        with console.progress("prove") as progress:
            result = run_prove(
                run,
                key,
                adapter=adapter,
                overwrite=overwrite,
                model=model,
                threads=threads,
                memory=_bytes(memory),
                progress=progress,
                notice=partial(console.say, colour="yellow"),
            )
        console.say(f"proved; verify {printable(result['adapter'])}", "green")
        if result["publish"] != result["adapter"]:
            console.say(f"the adapter is hidden: publish {printable(result['publish'])} and nothing else;")
            console.say(f"hand {printable(result['adapter'])} as a whole to who may have the adapter")
        console.result(result)


def _bytes(memory: str | None) -> int | None:
    from veritune.errors import Code, InvalidInput
    from veritune.memory import parse_size

    try:
        return None if memory is None else parse_size(memory)
    except ValueError as error:
        raise InvalidInput(Code.MEMORY, str(error), location="--memory", remedy="for example --memory 4G") from error
