"""Removing what a finished job no longer needs: every secret of its making, and what nobody verifies.

What stays is what ``verify`` and ``report`` take. Files are unlinked; what that does not guarantee stands in
docs/notes/secrets.md.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veritune.describe import Describer, Entry, describe
from veritune.errors import Code, InvalidInput
from veritune.files import LOCK, clear_stages, exclusive, lock_folder, sweep, sync_folder, unwritable
from veritune.job import Job
from veritune.verify import Request, verdict_of

_FIRST = ("run.key", "salt.bin")
"""Without these nothing that is left says what the commitments hide; without the first, no proof is made again."""


@dataclass(frozen=True)
class Cleaning:
    """What is to be removed, and the secrets that are not.

    Attributes:
        folder: the job or run folder.
        removed: files of ours that nobody needs who verifies, in the order in which they go.
        left: files below the folder that may not be published and stay: private keys, a hidden adapter, and what is not
            ours.
    """

    folder: Path
    removed: list[Entry]
    left: list[Entry]

    @property
    def num_bytes(self) -> int:
        """Bytes of the files to remove."""
        return sum(entry.num_bytes for entry in self.removed)


def clean(folder: Path, confirm: Callable[[Cleaning], None]) -> dict[str, Any]:
    """After the call the job (or run) folder holds no secret that our commands put there, and verifies as before.

    An interrupted call leaves a folder that verifies and can be cleaned again; neither ``train`` nor ``prove`` goes on
    in it.

    Args:
        folder: a job folder with all runs in it, or one run folder.
        confirm: is shown what will go; raises to stop.

    Raises:
        InvalidInput: CLEAN_UNPROVED if a run has no certificate that verifies; FILE codes.
    """
    folder = folder.resolve()
    describer = Describer()
    unit = describer.unit(folder)
    if unit not in ("job", "run"):
        raise InvalidInput(
            Code.FILE_UNREADABLE,
            "neither a job folder nor a run folder",
            location=str(folder),
            remedy="name the folder that holds plan/, or a run",
        )
    runs = [folder] if unit == "run" else sorted(path for path in folder.iterdir() if _is_run(describer, path))
    if not runs:
        raise _unproved(folder, "there is no run in it")
    with contextlib.ExitStack() as locks:
        held = [*runs, *([folder / "data" / "secret"] if unit == "job" else [])]
        for path in held:
            locks.enter_context(_held(path))
        if unit == "job":
            clear_stages(Job(folder).adapter)
        for run in runs:
            sweep(run, run / "certificate", run / "certificate" / "proofs")
            verdict = verdict_of(run, Request(any_signer=True))
            if verdict["exit"] != 0:
                raise _unproved(run, f"{verdict.get('code', '')}: {verdict.get('message') or verdict.get('verdict')}")
        # What an earlier call has finished is not there any more; its locks are only those of this call.
        entries = [entry for entry in describe(folder) if entry.path.name != LOCK]
        cleaning = Cleaning(
            folder,
            sorted((entry for entry in entries if not entry.kind.is_needed), key=_order),
            [entry for entry in entries if entry.kind.is_needed and entry.kind.publish == "no"],
        )
        if cleaning.removed:
            confirm(cleaning)
        _remove(cleaning)
        for path in held:
            (path / LOCK).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # not empty: something that is not ours lies in it
                if path.name == "secret":
                    path.rmdir()
    return {
        "schema": "veritune.cleaning/v1",
        "removed": [entry.shown for entry in cleaning.removed],
        "bytes": cleaning.num_bytes,
        "left": [entry.shown for entry in cleaning.left],
    }


def _is_run(describer: Describer, path: Path) -> bool:
    return path.is_dir() and describer.unit(path) == "run"


def _unproved(folder: Path, reason: str) -> InvalidInput:
    return InvalidInput(
        Code.CLEAN_UNPROVED,
        f"nothing that verifies would be left: {reason}",
        location=str(folder),
        remedy="run veritune prove first; or remove the folder yourself, if it is to be given up",
    )


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Holds both locks of a run: that of the commands, and that of the core on its secret folder."""
    if not folder.is_dir():
        yield
        return
    with exclusive(folder, "clean"), contextlib.ExitStack() as stack:
        secret = folder / "secret"
        if secret.is_dir():
            try:
                stack.callback(os.close, lock_folder(secret))
            except OSError as error:
                raise InvalidInput(
                    Code.FILE_BUSY,
                    "another process works in this folder",
                    location=str(secret),
                    remedy="wait for it",
                ) from error
        yield


def _order(entry: Entry) -> tuple[bool, bool, str]:
    return entry.path.name not in _FIRST, "secret" not in entry.path.parts, entry.shown


def _remove(cleaning: Cleaning) -> None:
    folders = []
    for entry in cleaning.removed:
        try:
            entry.path.unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(entry.path, error) from error
        if entry.path.parent not in folders:
            folders.append(entry.path.parent)
    for folder in folders:
        sync_folder(folder)
        with contextlib.suppress(OSError):  # not empty
            if folder.name in ("secret", "steps"):
                folder.rmdir()
