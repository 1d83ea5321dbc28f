"""``veritune keys generate`` and ``keys show``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from veritune.cli.console import JsonOption, printable, reporting

app = typer.Typer(no_args_is_help=True, help="Signing keys (P-256).")


@app.callback()
def _keys() -> None:
    """Signing keys (P-256)."""


@app.command("generate")
def generate(
    folder: Annotated[Path, typer.Option("--out", help="Folder for the two files.")] = Path("keys"),
    name: Annotated[str, typer.Option("--name", help="First part of the file names.")] = "veritune",
    as_json: JsonOption = False,
) -> None:
    """Make a P-256 key pair: NAME.key.pem (secret, mode 0600) and NAME.pub.pem."""
    with reporting(as_json) as console:
        from veritune.keys import generate_key_files

        private, public = generate_key_files(folder, name)
        console.say(f"private key {printable(str(private))} (keep it secret)")
        console.say(f"public key  {printable(str(public))}")
        console.result({"schema": "veritune.keys/v1", "private_key": str(private), "public_key": str(public)})


@app.command("show")
def show(
    key: Annotated[Path, typer.Argument(help="public or private key (PEM)")],
    as_json: JsonOption = False,
) -> None:
    """Print the key id, by which verdicts and reports name a signer."""
    with reporting(as_json) as console:
        from veritune.keys import read_key_id

        kind, key_id = read_key_id(key)
        console.say(f"{kind} key {key_id}")
        console.result({"schema": "veritune.key/v1", "kind": kind, "key_id": key_id})
