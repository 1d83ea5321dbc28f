"""``veritune commit model`` and ``commit data``: recompute a root from the bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from veritune.cli.console import Console, JsonOption, printable, reporting
from veritune.errors import Code, VerificationFailed

app = typer.Typer(no_args_is_help=True, help="Recompute the root of a base model or a dataset.")

PlanOption = Annotated[Path, typer.Option("--plan", help="plan.json, or the job folder")]
CheckOption = Annotated[bool, typer.Option("--check", help="Compare with the plan; exit 1 if they differ.")]


@app.command("model")
def model(
    model_dir: Annotated[Path, typer.Argument(help="folder of the base model")],
    plan: PlanOption,
    check: CheckOption = False,
    as_json: JsonOption = False,
) -> None:
    """Recompute the base commitment from the checkpoint's own bytes."""
    with reporting(as_json) as console:
        from veritune import core
        from veritune.job import Job
        from veritune.plan import read_plan

        planned = read_plan(Job.of_plan(plan).plan)
        base = core.commit_model(model_dir, planned.value["spec"])
        expected = str(planned.value["base"]["root"]) if check else None
        _report(console, "base", base, expected, model_dir)


@app.command("data")
def data(
    job: Annotated[Path, typer.Argument(help="job folder")],
    check: CheckOption = False,
    as_json: JsonOption = False,
) -> None:
    """Recompute the dataset root from the token rows and the salt."""
    with reporting(as_json) as console:
        from veritune import core
        from veritune.job import Job
        from veritune.plan import read_plan

        folder = Job.of_plan(job)
        planned = read_plan(folder.plan)
        committed = core.commit_data(planned.value["spec"], folder.read_rows(), folder.read_salt())
        expected = str(planned.value["datasetRoot"]) if check else None
        _report(console, "dataset", committed, expected, job)


def _report(console: Console, what: str, committed: dict[str, Any], expected: str | None, path: Path) -> None:
    root = str(committed["root"])
    if expected is not None and root != expected:
        raise VerificationFailed(
            Code.COMMITMENT,
            f"{what} root: expected {expected}, got {root}",
            location=printable(str(path)),
            remedy="these are not the bytes that the plan commits to",
        )
    console.say(f"{what} root {root}" + (", as in the plan" if expected is not None else ""))
    console.result({"schema": "veritune.commitment/v1", **committed, "checked": expected is not None})
