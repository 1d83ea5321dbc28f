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
from typing import Annotated, Any, TextIO

import typer

from veritune.core import Progress
from veritune.errors import Code, InvalidInput, VerituneError

ERROR_SCHEMA = "veritune.error/v1"
INTERRUPTED = 130
"""Exit code after Ctrl-C, 128 + SIGINT as shells count it; never a verdict."""

QUIET_SECONDS = 2.0
"""Work that takes no longer shows no progress."""
LINE_SECONDS = 30.0
"""From one line of progress to the next where there is no terminal."""

_PACKAGE = Path(__file__).resolve().parents[1]
_COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1"}

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
ThreadsOption = Annotated[int | None, typer.Option("--threads", min=1, help="Threads (default: all cores).")]


class Console:
    """Writes to a person (stderr) and to a program (stdout, one JSON object)."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self._lost: OSError | None = None
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._coloured = self._terminal and not os.environ.get("NO_COLOR")

    def say(self, text: str = "", colour: str = "") -> None:
        """Prints a line for a person."""
        if colour and self._coloured:
            text = f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"
        _write(sys.stderr, f"{text}\n")

    def ask(self, question: str) -> str:
        """Returns the line that a person answers, with its end; nothing where the input ends."""
        _write(sys.stderr, f"{question} [y/N]: ")
        reply = ""
        try:
            reply = sys.stdin.readline()
            return reply
        finally:
            if not reply:  # nor is there the end of a line that was typed
                self.say()

    def answer(self, text: str) -> None:
        """Prints a result that is text on stdout, unless --json was given."""
        if not self.as_json:
            self._lost = _write(sys.stdout, text) or self._lost

    def result(self, value: dict[str, Any]) -> None:
        """Prints the result for a program if --json was given: in ASCII, since a file's name may be no text."""
        if self.as_json:
            self._lost = _write(sys.stdout, json.dumps(value, indent=2, sort_keys=True) + "\n") or self._lost

    def whole(self) -> bool:
        """Whether all that was printed on stdout is there, as far as anybody wants it; says so if not."""
        if self._lost is None:
            return True
        what = self._lost.strerror or type(self._lost).__name__
        self.say(f"error {Code.FILE_UNWRITABLE.id}: the answer is incomplete: {what}", "red")
        self.say("  at stdout")
        self._lost = None
        return False

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
        """Yields a callback that shows the rate of work that is not over soon.

        On a terminal it is a bar with the time left, else a line every ``LINE_SECONDS`` and one at the end.
        """
        shown = _Bar(label, unit, coloured=self._coloured) if self._terminal else _Lines(label, unit, self)
        try:
            yield shown.update
        finally:
            shown.close()


def _write(stream: TextIO | None, text: str) -> OSError | None:
    """Writes to stdout or stderr; returns what failed, unless it is that the reader is gone, who wants no more."""
    if stream is None:
        return None
    try:
        stream.write(text)
        stream.flush()
        return None
    except OSError as error:
        # What is left in the stream's buffer would fail once more when the interpreter ends.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        return None if isinstance(error, BrokenPipeError) else error


class _Progress:
    """Work that reports how much of it is done."""

    def __init__(self, label: str, unit: str) -> None:
        self._label, self._unit = label, unit
        self._begun = time.monotonic()
        self._first: tuple[int, float] | None = None

    def _seconds(self) -> float:
        """Since the work began."""
        return time.monotonic() - self._begun

    def _rate(self, done: int) -> str:
        """The rate since the first report, of which a resumed run has done something already."""
        now = time.monotonic()
        if self._first is None:
            self._first = done, now
        first, begun = self._first
        rate = (done - first) / (now - begun) if now > begun else 0.0
        return f"{rate:.2f} {self._unit}/s"


class _Bar(_Progress):
    """A progress bar that appears after two seconds."""

    def __init__(self, label: str, unit: str, *, coloured: bool) -> None:
        super().__init__(label, unit)
        self._coloured = coloured
        self._bar: Any = None
        self._task: Any = None

    def update(self, done: int, total: int, value: float) -> None:
        """Shows ``done`` of ``total``."""
        shown = self._rate(done) + (f"  loss {value:.4f}" if value else "")
        if self._bar is None:
            if self._seconds() < QUIET_SECONDS:
                return
            self._open()
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


class _Lines(_Progress):
    """A line now and then. A log is kept, so it has no loss in it."""

    def __init__(self, label: str, unit: str, console: Console) -> None:
        super().__init__(label, unit)
        self._console = console
        self._last = ""
        self._next = LINE_SECONDS

    def update(self, done: int, total: int, _value: float) -> None:
        """Says ``done`` of ``total`` if it is time for a line."""
        self._last = f"{self._label} {done} of {total}, {self._rate(done)}"
        if self._seconds() >= self._next:
            self._next = self._seconds() + LINE_SECONDS
            self._console.say(self._last)
            self._last = ""

    def close(self) -> None:
        """Says how far the work came since the last line."""
        if self._last and self._seconds() >= QUIET_SECONDS:
            self._console.say(self._last)


def printable(text: str) -> str:
    """Returns the text without control characters: names come from hostile files."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


def _place(error: BaseException) -> str:
    """Returns the last file and line of ours that the exception passed."""
    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    ours = [(Path(name), line) for name, line in frames if _PACKAGE in Path(name).parents]
    return f"{ours[-1][0].relative_to(_PACKAGE)}:{ours[-1][1]}" if ours else ""


@contextlib.contextmanager
def reporting(as_json: bool, *, continues: bool = False, is_verdict: bool = False) -> Iterator[Console]:
    """Yields a console; turns what the block raises into a message and an exit code.

    ``continues``: the same command, called again, goes on where an interrupted one stopped. ``is_verdict``: the exit
    code is a verdict, and stays that where the answer finds no room.
    """
    console = Console(as_json)
    code = 0
    try:
        with _exits(console, continues=continues):
            yield console
    except typer.Exit as ended:
        code = ended.exit_code
    if not console.whole() and code == 0 and not is_verdict:
        code = 2
    if code:
        raise typer.Exit(code)


@contextlib.contextmanager
def _exits(console: Console, *, continues: bool) -> Iterator[None]:
    try:
        yield
    except VerituneError as error:
        console.error(error)
        raise typer.Exit(error.exit) from None
    except KeyboardInterrupt:
        console.say("interrupted" + ("; the same command continues where it stopped" if continues else ""), "yellow")
        raise typer.Exit(INTERRUPTED) from None
    except typer.Exit:
        raise
    except MemoryError as error:
        console.error(
            InvalidInput(Code.MEMORY, f"no more memory: {error}", remedy="free memory, or use fewer tokens a step")
        )
        raise typer.Exit(2) from None
    except OSError as error:
        # What the machine refuses where nobody looked, as to look whether something lies in a closed folder.
        console.error(
            InvalidInput(
                Code.FILE_UNREADABLE,
                f"cannot be used: {error.strerror or type(error).__name__}",
                location=os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else _place(error),
                remedy="check the path and its rights",
            )
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
