"""``veritune clean``: remove what a finished job no longer needs, its secrets first."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from veritune.cli.console import Console, JsonOption, printable, reporting

if TYPE_CHECKING:
    from veritune.clean import Cleaning


def clean(
    job: Annotated[Path, typer.Argument(help="job folder with its runs, or one run folder; proved")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove every secret of a proved job and all that nobody needs who verifies it."""
    with reporting(as_json, continues=True) as console:
        from veritune.clean import clean as run_clean

        result = run_clean(job, lambda cleaning: _confirm(console, cleaning, yes=yes))
        if result["removed"]:
            console.say(f"removed {len(result['removed'])} files, {result['bytes']:,} bytes")
        else:
            console.say("nothing to remove")
        for path in result["left"]:
            console.say(f"{printable(path)} stays; it is not for the public", "yellow")
        console.result(result)


def _confirm(console: Console, cleaning: Cleaning, *, yes: bool) -> None:
    from veritune.errors import Code, InvalidInput

    for entry in cleaning.removed:
        console.say(f"{entry.num_bytes:>14,}  {printable(entry.shown)}  {entry.kind.what}")
    if yes:
        return
    why = "there is no terminal to ask at"
    if sys.stdin is not None and sys.stdin.isatty():
        question = f"Remove these {len(cleaning.removed)} files? The run can then be neither trained nor proved again"
        reply = console.ask(question)
        if reply.strip().lower() in ("y", "yes"):
            return
        why = "the answer was no" if reply else "the input ended"
    raise InvalidInput(
        Code.CLEAN_UNCONFIRMED,
        f"nothing was removed: {why}",
        location=printable(str(cleaning.folder)),
        remedy="answer y, or pass --yes",
    )
