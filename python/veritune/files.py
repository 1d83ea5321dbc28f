"""Files and folders: bounded reads, atomic writes, staged folders, one process per folder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rfc8785

from veritune.errors import Code, InternalError, InvalidInput, VerituneError

MAX_JSON_BYTES = 64 << 20
"""Limit of a JSON file of ours; the largest is a calibration, a few hundred bytes per tensor."""


_PIECE_BYTES = 1 << 24

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Full disk, full quota, limit of file sizes."""


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def unwritable(path: Path, error: OSError, needed_bytes: int | None = None) -> VerituneError:
    """Returns the error to raise for a failed write of a file of ``needed_bytes``."""
    reason = error.strerror or str(error)
    if error.errno in NO_SPACE:
        needed = "" if needed_bytes is None else f": this file takes {needed_bytes} bytes"
        return InvalidInput(
            Code.FILE_NO_SPACE,
            f"{reason}{needed}",
            location=str(path),
            remedy="free some space and run the command again; nothing half-written is left",
        )
    return InvalidInput(
        Code.FILE_UNWRITABLE,
        f"cannot write: {reason}",
        location=str(path),
        remedy="check the folder and its rights",
    )


def unreadable(path: Path, error: OSError | ValueError, what: str, remedy: str = "check the path") -> InvalidInput:
    """Returns the error to raise for a failed read; a path that no file can have is a ValueError."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return InvalidInput(Code.FILE_UNREADABLE, f"cannot read the {what}: {reason}", location=str(path), remedy=remedy)


def read_bytes(path: Path, max_bytes: int, *, what: str = "file") -> bytes:
    """Returns the whole file, at most ``max_bytes``.

    Raises:
        InvalidInput: FILE_UNREADABLE, FILE_TOO_LARGE.
    """
    try:
        with path.open("rb") as stream:
            # In pieces: a read of n bytes takes n bytes of memory, however short the file is.
            parts = []
            left = max_bytes + 1
            while part := stream.read(min(left, _PIECE_BYTES)):
                parts.append(part)
                left -= len(part)
            content = b"".join(parts)
    except (OSError, ValueError) as error:
        raise unreadable(path, error, what) from error
    if len(content) > max_bytes:
        raise InvalidInput(Code.FILE_TOO_LARGE, f"{what} is larger than {max_bytes} bytes", location=str(path))
    return content


class RepeatedKey(ValueError):
    """A JSON object holds a key twice."""


def refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Builds a JSON object; raises RepeatedKey (json's object_pairs_hook)."""
    built: dict[str, Any] = {}
    for key, value in pairs:
        if key in built:
            raise RepeatedKey(f"key {key!r} twice")
        built[key] = value
    return built


def refuse_constant(name: str) -> Any:
    """Raises ValueError for NaN and Infinity (json's parse_constant)."""
    raise ValueError(f"{name} is not JSON")


def parse_json(content: bytes | str) -> Any:
    """Parses strict JSON: UTF-8, no NaN, no repeated keys, no half of a surrogate pair. Raises ValueError."""
    text = content.decode("utf-8") if isinstance(content, bytes) else content
    try:
        value = json.loads(text, object_pairs_hook=refuse_duplicates, parse_constant=refuse_constant)
        if _SURROGATE.search(text):
            # Whole pairs have become one character; what is left has no UTF-8.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


def read_json(path: Path, schema: str, *, max_bytes: int = MAX_JSON_BYTES) -> dict[str, Any]:
    """Returns the object in a JSON file of ours whose ``schema`` is the one given.

    Raises:
        InvalidInput: FILE_UNREADABLE, FILE_TOO_LARGE, FILE_JSON.
    """
    content = read_bytes(path, max_bytes)
    try:
        value = parse_json(content)
    except ValueError as error:
        raise InvalidInput(Code.FILE_JSON, f"not JSON: {error}", location=str(path)) from error
    got = value.get("schema") if isinstance(value, dict) else None
    if not isinstance(value, dict) or got != schema:
        raise InvalidInput(Code.FILE_JSON, f"expected schema {schema}, got {got!r}", location=str(path))
    return value


def canonical_json(value: Any) -> bytes:
    """Returns the RFC 8785 bytes of a value that holds no float (statements hold none)."""
    _refuse_floats(value, "$")
    try:
        return rfc8785.dumps(value)
    except rfc8785.CanonicalizationError as error:
        raise InternalError(Code.BUG, f"no canonical form: {error}") from error


def _refuse_floats(value: Any, where: str) -> None:
    if isinstance(value, float):
        raise InternalError(Code.BUG, f"a float at {where} of a hashed JSON: make it a string")
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_floats(item, f"{where}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_floats(item, f"{where}[{index}]")


def write_atomic(path: Path, content: bytes, *, secret: bool = False) -> None:
    """After the call ``path`` holds ``content`` durably, or the old content if it fails.

    Writes a temporary file beside it, fsync, rename, fsync of the folder. Secret files get mode
    0600, and their folder 0700 if it is made here; others 0644.
    """
    try:
        make_folder(path.parent, secret=secret and not path.parent.exists())
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fchmod(stream.fileno(), 0o600 if secret else 0o644)
                os.fsync(stream.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error, len(content)) from error


def copy_file(source: Path, target: Path, *, max_bytes: int) -> None:
    """After the call ``target`` holds the bytes of ``source`` durably, or what it held before."""
    write_atomic(target, read_bytes(source, max_bytes))


def sweep(*folders: Path) -> None:
    """Removes what ``write_atomic`` left half-written in the folders when its process was killed.

    *Caller must* hold the lock under which the folders are written.
    """
    for folder in folders:
        for path in folder.glob(".*.tmp"):
            if path.is_file():
                path.unlink(missing_ok=True)


def make_folder(path: Path, *, secret: bool = False) -> None:
    """After the call the folder exists; into a secret one nobody but its owner may go."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700 if secret else 0o755)
        mode = stat.S_IMODE(path.stat().st_mode)
        if secret and mode & 0o077:
            path.chmod(mode & 0o7700)
    except OSError as error:
        raise unwritable(path, error) from error


def sync_folder(path: Path) -> None:
    """Makes renames in the folder durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def staged_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yields an empty folder beside ``path`` that becomes ``path`` if the block succeeds.

    A failure leaves neither, and what a killed process left is removed first. An existing folder is
    replaced only with ``overwrite``, and only after the new one is complete.

    Raises:
        InvalidInput: FILE_EXISTS, FILE_UNWRITABLE, FILE_NO_SPACE.
    """
    make_folder(path.parent)
    clear_stages(path)
    if path.exists() and not overwrite:
        raise InvalidInput(
            Code.FILE_EXISTS,
            "the output folder exists",
            location=str(path),
            remedy="name another one, or pass --overwrite",
        )
    try:
        staged = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=_STAGED, dir=path.parent))
        staged.chmod(0o755)
        lock = lock_folder(staged)
    except OSError as error:
        raise unwritable(path, error) from error
    old = None
    try:
        yield staged
        if path.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=_REPLACED, dir=path.parent))
            path.replace(old)
        staged.replace(path)
        sync_folder(path.parent)
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        if old is not None and old.exists() and not path.exists():
            old.replace(path)
        shutil.rmtree(staged, ignore_errors=True)
        os.close(lock)


_STAGED, _REPLACED = ".tmp", ".old"


def lock_folder(folder: Path) -> int:
    """Returns a handle that holds the folder's lock; raises OSError if another process has it."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


def clear_stages(path: Path) -> None:
    """Undoes what killed processes left of ``staged_folder``; a folder in use is locked and stays."""
    for old in sorted(path.parent.glob(f".{path.name}.*{_REPLACED}")):
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.replace(path)
    for staged in path.parent.glob(f".{path.name}.*{_STAGED}"):
        with contextlib.suppress(OSError):
            handle = lock_folder(staged)
            shutil.rmtree(staged, ignore_errors=True)
            os.close(handle)


LOCK = ".lock"
_HOLDER = re.compile(r"process [0-9]{1,10} \(veritune [a-z]{0,20}\)")


@contextlib.contextmanager
def exclusive(folder: Path, command: str, *, secret: bool = False) -> Iterator[str]:
    """Holds the folder's lock, which the kernel releases when this process ends, however it ends.

    Yields the process that was killed while it held the lock before, or "". While the lock is held, ``.lock`` names its
    holder; what a kill leaves there locks nothing.

    Raises:
        InvalidInput: FILE_BUSY, naming the process that has the lock.
    """
    make_folder(folder, secret=secret)
    path = folder / LOCK
    try:
        handle = _lock_file(path)
    except BlockingIOError as error:
        raise InvalidInput(
            Code.FILE_BUSY,
            f"{_read_holder(path) or 'another veritune process'} works in this folder",
            location=str(folder),
            remedy="wait for it, or name another folder",
        ) from error
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        killed = _read_holder(path)
        with contextlib.suppress(OSError):  # on a full disk the lock holds all the same
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"process {os.getpid()} (veritune {command})".encode("ascii"), 0)
        yield killed
    finally:
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0)
        os.close(handle)


@contextlib.contextmanager
def undone_on_failure(*paths: Path) -> Iterator[None]:
    """Removes the files, in this order, if the block does not succeed."""
    try:
        yield
    except BaseException:
        for path in paths:
            with contextlib.suppress(OSError):
                path.unlink()
        raise


@contextlib.contextmanager
def waiting(path: Path) -> Iterator[None]:
    """Holds the lock of a file for a moment's work: others wait for it. The file is gone afterwards.

    Raises:
        InvalidInput: FILE_UNWRITABLE, FILE_NO_SPACE.
    """
    while True:
        try:
            handle = _lock_file(path)
            break
        except BlockingIOError:
            time.sleep(0.01)
        except OSError as error:
            raise unwritable(path, error) from error
    try:
        yield
    finally:
        # Before the lock ends: who opened the file meanwhile sees that it is gone.
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(handle)


def _lock_file(path: Path) -> int:
    """Returns a handle that holds the lock of the file that has this name; raises OSError."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Otherwise `clean` removed it meanwhile: the lock is on nothing.
            if os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        except FileNotFoundError:
            pass
        except OSError:
            os.close(handle)
            raise
        os.close(handle)


def _read_holder(path: Path) -> str:
    """Returns what ``exclusive`` wrote into the lock; nothing else that may stand there."""
    try:
        with path.open("rb") as stream:
            text = stream.read(100).decode("ascii", errors="replace")
    except OSError:
        return ""
    return text if _HOLDER.fullmatch(text) else ""
