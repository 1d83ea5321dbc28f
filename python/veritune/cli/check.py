"""``veritune verify``, ``report`` and ``inspect``: what a recipient runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from veritune.cli.console import Console, JsonOption, printable, reporting

if TYPE_CHECKING:
    from veritune.describe import Entry

KeyOption = Annotated[list[Path] | None, typer.Option("--key", help="Public key (PEM) of an accepted signer.")]
TrustOption = Annotated[
    list[Path] | None, typer.Option("--trust", help="File with the public keys (PEM) of accepted signers.")
]
PolicyOption = Annotated[Path | None, typer.Option("--policy", help="What must hold (YAML); default: everything.")]
AnySignerOption = Annotated[bool, typer.Option("--any-signer", help="Accept a signer whom nobody named.")]
NoFileOption = Annotated[
    bool, typer.Option("--no-file", help="Leave the adapter's files out: claims about the committed state.")
]
ResultArgument = Annotated[Path, typer.Argument(help="adapter folder that holds veritune/, run or certificate folder")]


def verify(
    path: ResultArgument,
    key: KeyOption = None,
    trust: TrustOption = None,
    policy: PolicyOption = None,
    any_signer: AnySignerOption = False,
    no_file: NoFileOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check everything that a certificate claims, offline."""
    with reporting(as_json, is_verdict=True) as console:
        from veritune.report import headline, lines

        verdict = _verdict(path, key, trust, policy, any_signer=any_signer, no_file=no_file)
        colour = "green" if verdict["exit"] == 0 else "red"
        console.say(headline(verdict), colour)
        for line in lines(verdict):
            console.say(line)
        console.result(verdict)
        raise typer.Exit(verdict["exit"])


def report(
    path: ResultArgument,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File, a page if it ends in .html (default: text on stdout).")
    ] = None,
    key: KeyOption = None,
    trust: TrustOption = None,
    policy: PolicyOption = None,
    any_signer: AnySignerOption = False,
    no_file: NoFileOption = False,
    as_json: JsonOption = False,
) -> None:
    """Verify, and write the result for a person: text, or one HTML page."""
    with reporting(as_json) as console:
        from veritune.files import write_atomic
        from veritune.report import html, text

        verdict = _verdict(path, key, trust, policy, any_signer=any_signer, no_file=no_file)
        page = (html if output and output.suffix in (".html", ".htm") else text)(path, verdict)
        if output is not None:
            # Of a hidden adapter the digests of its files are as secret as it is.
            names_hidden = bool(verdict.get("files")) and (verdict.get("disclosure") or {}).get("adapter") == "hidden"
            write_atomic(output, page.encode("utf-8"), secret=names_hidden)
            console.say(f"report in {printable(str(output))}")
        else:
            console.answer(page)
        console.result({**verdict, "report": page})
        raise typer.Exit(verdict["exit"])


def inspect(
    path: Annotated[Path, typer.Argument(help="any file or folder of a job")],
    publishable: Annotated[
        bool, typer.Option("--publishable", help="Print the paths of the files that may be published, and no other.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say of each file what it is and whether it may be published."""
    with reporting(as_json) as console:
        from veritune.describe import describe, to_json

        entries = describe(path)
        if publishable:
            entries = [entry for entry in entries if entry.kind.publish == "yes"]
            for entry in entries:
                console.answer(f"{entry.shown}\n")
        else:
            _say_table(console, entries)
        console.result({"schema": "veritune.inspection/v1", "files": to_json(entries)})


def _verdict(
    path: Path,
    key: list[Path] | None,
    trust: list[Path] | None,
    policy: Path | None,
    *,
    any_signer: bool,
    no_file: bool,
) -> dict[str, Any]:
    from veritune.verify import Request, read_text, verdict_of

    return verdict_of(
        path,
        Request(
            keys=[read_text(item, "key") for item in key or ()],
            trust=[read_text(item, "trust file") for item in trust or ()],
            any_signer=any_signer,
            no_file=no_file,
            policy=read_text(policy, "policy") if policy else None,
        ),
    )


def _say_table(console: Console, entries: list[Entry]) -> None:
    width = max(len(printable(entry.shown)) for entry in entries)
    for entry in entries:
        publish = {"yes": "publish", "no": "SECRET", "choice": "your choice"}[entry.kind.publish]
        line = f"{printable(entry.shown):<{width}} {entry.num_bytes:>12,}  {publish:<11}  {entry.kind.what}"
        if entry.is_exposed:
            console.say(f"{line}; MODE {entry.mode:04o}: others on this machine may read it", "red")
        else:
            console.say(line)
