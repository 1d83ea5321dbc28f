"""``veritune verify``, ``report`` and ``inspect``: what a recipient runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from veritune.cli.console import Console, JsonOption, printable, reporting

KeyOption = Annotated[list[Path] | None, typer.Option("--key", help="Public key (PEM) of an accepted signer.")]
PolicyOption = Annotated[
    Path | None, typer.Option("--policy", help="Policy (JSON); this version knows the default only.")
]
AnySignerOption = Annotated[bool, typer.Option("--any-signer", help="Accept any signer (refused by this version).")]
NoFileOption = Annotated[bool, typer.Option("--no-file", help="Leave the adapter file out (refused by this version).")]
ResultArgument = Annotated[Path, typer.Argument(help="adapter folder that holds veritune/")]


def verify(
    path: ResultArgument,
    key: KeyOption = None,
    policy: PolicyOption = None,
    any_signer: AnySignerOption = False,
    no_file: NoFileOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check everything that a certificate claims, offline."""
    with reporting(as_json) as console:
        from veritune.report import headline, lines

        verdict = _verdict(path, key, policy, any_signer=any_signer, no_file=no_file)
        colour = "green" if verdict["exit"] == 0 else "red"
        console.say(headline(verdict), colour)
        for line in lines(verdict):
            console.say(line)
        console.result(verdict)
        raise typer.Exit(verdict["exit"])


def report(
    path: ResultArgument,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Text file (default: stdout).")] = None,
    key: KeyOption = None,
    policy: PolicyOption = None,
    any_signer: AnySignerOption = False,
    no_file: NoFileOption = False,
    as_json: JsonOption = False,
) -> None:
    """Verify, and write the result as text for a person."""
    with reporting(as_json) as console:
        from veritune.files import write_atomic
        from veritune.report import text

        verdict = _verdict(path, key, policy, any_signer=any_signer, no_file=no_file)
        page = text(path, verdict)
        if output is not None:
            write_atomic(output, page.encode("utf-8"))
            console.say(f"report in {printable(str(output))}")
        elif not as_json:
            print(page, end="", flush=True)
        console.result({**verdict, "report": page})
        raise typer.Exit(verdict["exit"])


def inspect(
    path: Annotated[Path, typer.Argument(help="any file or folder of a job")],
    as_json: JsonOption = False,
) -> None:
    """Say of each file what it is and whether it may be published."""
    with reporting(as_json) as console:
        from veritune.describe import describe

        entries = describe(path)
        _say_table(console, entries)
        console.result({"schema": "veritune.inspection/v1", "files": entries})


def _verdict(
    path: Path, key: list[Path] | None, policy: Path | None, *, any_signer: bool, no_file: bool
) -> dict[str, Any]:
    from veritune.certificate import read_public_key
    from veritune.verify import read_policy, verdict_of

    asked = read_policy(policy)
    if any_signer:
        asked["any_signer"] = True
    if no_file:
        asked["no_file"] = True
    keys = [read_public_key(item) for item in key or []]
    return verdict_of(path, keys=keys, policy=asked)


def _say_table(console: Console, entries: list[dict[str, Any]]) -> None:
    width = max(len(printable(entry["path"])) for entry in entries)
    for entry in entries:
        publish = {"yes": "publish", "no": "SECRET", "choice": "your choice"}[entry["publish"]]
        size = f"{entry['bytes']:>12,}"
        shown = printable(entry["path"])
        console.say(f"{shown:<{width}} {size}  {publish:<11}  {printable(entry['what'])}")
