"""What every command shares: text for people on stderr, JSON on stdout, progress, exit codes."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from veritune.core import Progress
from veritune.errors import Code, InvalidInput, VerituneError

ERROR_SCHEMA = "veritune.error/v1"
INTERRUPTED = 130
"""Exit code after Ctrl-C, 128 + SIGINT as shells count it; never a verdict."""

_PACKAGE = Path(__file__).resolve().parents[1]
_QUIET_SECONDS = 2.0
_COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1"}

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
ThreadsOption = Annotated[int | None, typer.Option("--threads", min=1, help="Threads (default: all cores).")]


class Console:
    """Writes to a person (stderr) and to a program (stdout, one JSON object)."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self._terminal = sys.stderr.isatty()
        self._coloured = self._terminal and not os.environ.get("NO_COLOR")

    def say(self, text: str = "", colour: str = "") -> None:
        """Prints a line for a person."""
        if colour and self._coloured:
            text = f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"
        print(text, file=sys.stderr, flush=True)

    def result(self, value: dict[str, Any]) -> None:
        """Prints the result for a program if --json was given."""
        if self.as_json:
            print(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True), flush=True)

    def error(self, error: VerituneError) -> None:
        """Reports an error: code, what was expected and got, where, what to do."""
        self.say(f"error {error.code}: {printable(error.message)}", "red")
        if error.location:
            self.say(f"  at {printable(error.location)}")
        if error.remedy:
            self.say(f"  {printable(error.remedy)}")
        self.result(
            {
                "schema": ERROR_SCHEMA,
                "exit": error.exit,
                "code": error.code,
                "message": error.message,
                "location": error.location,
                "remedy": error.remedy,
            }
        )

    @contextlib.contextmanager
    def progress(self, label: str, unit: str = "step") -> Iterator[Progress]:
        """Yields a callback; on a terminal it shows a bar, rate and time left after two seconds."""
        if not self._terminal:
            yield lambda _done, _total, _value: None
            return
        bar = _Bar(label, unit, coloured=self._coloured)
        try:
            yield bar.update
        finally:
            bar.close()


class _Bar:
    """A progress bar that appears after two seconds."""

    def __init__(self, label: str, unit: str, *, coloured: bool) -> None:
        self._label, self._unit, self._coloured = label, unit, coloured
        self._begun = time.monotonic()
        self._first: int | None = None
        self._bar: Any = None
        self._task: Any = None

    def update(self, done: int, total: int, value: float) -> None:
        """Shows ``done`` of ``total``; the rate counts from the first call (a resumed run)."""
        if self._first is None:
            self._first = done
        elapsed = time.monotonic() - self._begun
        if self._bar is None:
            if elapsed < _QUIET_SECONDS:
                return
            self._open()
        rate = (done - self._first) / elapsed
        shown = f"{rate:.2f} {self._unit}/s" + (f"  loss {value:.4f}" if value else "")
        self._bar.update(self._task, completed=done, total=total, shown=shown)

    def _open(self) -> None:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as TimeLeft

        console = RichConsole(stderr=True, no_color=not self._coloured)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[shown]}"),
            TimeLeft(),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task(self._label, total=None, shown="")
        self._bar.start()

    def close(self) -> None:
        """Removes the bar."""
        if self._bar is not None:
            self._bar.stop()


def printable(text: str) -> str:
    """Returns the text without control characters: names come from hostile files."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


def _place(error: BaseException) -> str:
    """Returns the last file and line of ours that the exception passed."""
    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    ours = [(Path(name), line) for name, line in frames if _PACKAGE in Path(name).parents]
    return f"{ours[-1][0].relative_to(_PACKAGE)}:{ours[-1][1]}" if ours else ""


@contextlib.contextmanager
def reporting(as_json: bool) -> Iterator[Console]:
    """Yields a console; turns what the block raises into a message and an exit code."""
    console = Console(as_json)
    try:
        yield console
    except VerituneError as error:
        console.error(error)
        raise typer.Exit(error.exit) from None
    except KeyboardInterrupt:
        console.say("interrupted; the same command continues where it stopped", "yellow")
        raise typer.Exit(INTERRUPTED) from None
    except (typer.Exit, typer.Abort):
        raise
    except MemoryError as error:
        console.error(
            InvalidInput(Code.MEMORY, f"no more memory: {error}", remedy="free memory, or use fewer tokens a step")
        )
        raise typer.Exit(2) from None
    except Exception as error:
        # The text of an exception that nobody expected may quote a row or a key.
        if os.environ.get("VERITUNE_TRACEBACK"):
            traceback.print_exc()
        console.error(
            VerituneError(
                Code.BUG,
                f"an unexpected {type(error).__name__}",
                location=_place(error),
                remedy="this is our bug: run again with VERITUNE_TRACEBACK=1 and report it, without what it quotes",
            )
        )
        raise typer.Exit(4) from None
