"""The command ``veritune``. A command imports what it needs when it runs."""

from __future__ import annotations

import typer

from veritune.cli import check, clean, commit, job, keys, machine
from veritune.cli.memory import keep_pages, leave_no_core

app = typer.Typer(
    name="veritune",
    help="Proves what happened to a model while it was fine-tuned.\n\n"
    "Exit codes: 0 verified or done, 1 refuted, 2 wrong usage or unreadable input, "
    "3 inconclusive, 4 internal error.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("plan")(job.plan)
app.command("train")(job.train)
app.command("prove")(job.prove)
app.command("verify")(check.verify)
app.command("report")(check.report)
app.command("demo")(machine.demo)
app.command("doctor")(machine.doctor)
app.command("inspect")(check.inspect)
app.command("clean")(clean.clean)
app.add_typer(commit.app, name="commit")
app.add_typer(keys.app, name="keys")


def main() -> None:
    """Runs the command line and exits with its code."""
    keep_pages()
    leave_no_core()
    app()
