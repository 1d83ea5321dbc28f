"""Atomic writes and staged folders: a failure leaves what was there before, and nothing else."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path

import pytest

from veritune import files
from veritune.errors import Code, InternalError, InvalidInput


def _disk_full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "plan.json"
    files.write_atomic(path, b"old")
    monkeypatch.setattr(os, "fsync", _disk_full)
    with pytest.raises(InvalidInput, match="No space left") as caught:
        files.write_atomic(path, b"new")
    assert caught.value.code == Code.FILE_NO_SPACE.id and "3 bytes" in caught.value.message
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_stage_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), files.staged_folder(tmp_path / "adapter") as staged:
        (staged / "half.bin").write_bytes(b"half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "adapter"
    with files.staged_folder(target) as staged:
        (staged / "old").write_bytes(b"")
    with pytest.raises(InvalidInput) as caught, files.staged_folder(target):
        pass
    assert caught.value.code == Code.FILE_EXISTS.id
    with pytest.raises(ZeroDivisionError), files.staged_folder(target, overwrite=True):
        raise ZeroDivisionError
    assert [path.name for path in target.iterdir()] == ["old"]
    with files.staged_folder(target, overwrite=True) as staged:
        (staged / "new").write_bytes(b"")
    assert [path.name for path in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


def test_one_process_per_folder(tmp_path: Path) -> None:
    with (
        files.exclusive(tmp_path, "train") as before,
        pytest.raises(InvalidInput) as caught,
        files.exclusive(tmp_path, "prove"),
    ):
        pass
    assert before == "" and caught.value.code == Code.FILE_BUSY.id
    assert caught.value.message == f"process {os.getpid()} (veritune train) works in this folder"
    lock = tmp_path / ".lock"
    for left, told in ((b"process 7 (veritune prove)", "process 7 (veritune prove)"), (b"\x1b[2J", ""), (b"", "")):
        lock.write_bytes(left)
        with files.exclusive(tmp_path, "clean") as before:
            assert before == told
        assert lock.read_bytes() == b"" and stat.S_IMODE(lock.stat().st_mode) == 0o600


def test_a_lock_that_was_removed_locks_the_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the opening of the file and its lock another process removes it, as `clean` does."""
    lock, honest = tmp_path / ".lock", fcntl.flock
    removed = []

    def slow(handle: int, kind: int) -> None:
        if not removed:
            removed.append(lock.unlink())
        honest(handle, kind)

    monkeypatch.setattr(fcntl, "flock", slow)
    with files.exclusive(tmp_path, "train"), pytest.raises(InvalidInput), files.exclusive(tmp_path, "train"):
        pass
    assert removed == [None]


def test_canonical_json_is_rfc_8785_and_refuses_floats() -> None:
    assert files.canonical_json({"b": [1, "é"], "a": None}) == '{"a":null,"b":[1,"é"]}'.encode()
    with pytest.raises(InternalError, match=r"\$\.a\[0\]\.b"):
        files.canonical_json({"a": [{"b": 0.5}]})
    with pytest.raises(InternalError, match="no canonical form"):
        files.canonical_json({"a": 2**53 + 2})


def test_reads_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"x" * 11)
    with pytest.raises(InvalidInput) as caught:
        files.read_bytes(path, 10)
    assert caught.value.code == Code.FILE_TOO_LARGE.id


@pytest.mark.parametrize("name", ["missing", "a\0b", "x" * 300, "."])
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot read the key: ") as caught:
        files.read_bytes(tmp_path / name, 10, what="key")
    assert caught.value.code == Code.FILE_UNREADABLE.id and caught.value.location == str(tmp_path / name)


@pytest.mark.parametrize("text", ['{"a":1,"a":2}', "NaN", "[Infinity]", "{", "[" * 100_000])
def test_loose_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        files.parse_json(text)
