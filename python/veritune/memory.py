"""Memory: what this process may still take, and refusing a command that would need more, before it takes any."""

from __future__ import annotations

import os
import re
import resource
from dataclasses import dataclass
from pathlib import Path

from veritune.errors import Code, InvalidInput

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,3}))?\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)


GIB = 1 << 30
_ARENA_BYTES = 1 << 27
"""Address space that the C library reserves for the allocations of each thread, whether they use it or not."""


@dataclass(frozen=True)
class Room:
    """Bytes that may still be taken, and what sets the limit."""

    num_bytes: int
    limit: str


def parse_size(text: str) -> int:
    """Returns the bytes of ``4G``, ``512 MiB``, ``1.5g`` or ``1000``; units are powers of 1024.

    Raises:
        ValueError: not a size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"expected a size such as 4G or 512M, got {text!r}")
    whole, fraction, unit = match.groups()
    scale: int = _UNITS[unit.upper()]
    decimals = fraction or "0"
    return int(whole) * scale + int(decimals) * scale // int("1" + "0" * len(decimals))


def meminfo() -> dict[str, int]:
    """Returns /proc/meminfo in bytes; MemTotal and MemAvailable only where there is none."""
    found = {}
    try:
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            name, _, rest = line.partition(":")
            found[name] = int(rest.split()[0]) * 1024
    except (OSError, ValueError, IndexError):
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        found = {"MemTotal": total, "MemAvailable": total}
    return found


def room() -> Room:
    """Returns the least of: the machine's available memory, the control group's, the address space of ``ulimit -v``."""
    rooms = [Room(meminfo().get("MemAvailable", 1 << 62), "available on this machine")]
    group = _group_room()
    if group is not None:
        rooms.append(Room(group, "left in this control group"))
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        reserved = _ARENA_BYTES * (2 + len(os.sched_getaffinity(0)))
        rooms.append(Room(max(0, limit - _address_space() - reserved), "left under ulimit -v"))
    return min(rooms, key=lambda found: found.num_bytes)


def check_memory(needed: str | int, limit: int | None = None) -> None:
    """Returns if ``needed`` bytes, on top of what this process has, are there and within ``limit``.

    Raises:
        InvalidInput: MEMORY, with both figures.
    """
    found = room()
    if limit is not None and limit < found.num_bytes:
        found = Room(limit, "allowed by --memory")
    if int(needed) > found.num_bytes:
        raise InvalidInput(
            Code.MEMORY,
            f"about {gib(int(needed))} GiB are needed, {gib(found.num_bytes)} GiB are {found.limit}",
            location="memory",
            remedy="free memory or raise the limit; a plan with fewer tokens a step (data.bucket, "
            "per_device_train_batch_size) or fewer target_modules needs less",
        )


def gib(num_bytes: int) -> str:
    """Returns bytes as GiB with two decimals."""
    return f"{num_bytes / GIB:.2f}"


def _address_space() -> int:
    """Bytes of address space that this process has mapped."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _group_room() -> int | None:
    """Bytes left in the memory control group (version 2, else 1) of this process; None without a limit."""
    try:
        lines = Path("/proc/self/cgroup").read_text("ascii").splitlines()
    except OSError:
        return None
    rooms = []
    for line in lines:
        _, controllers, name = [*line.split(":", 2), "", ""][:3]
        if controllers == "":
            root, files = Path("/sys/fs/cgroup"), ("memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            root, files = Path("/sys/fs/cgroup/memory"), ("memory.limit_in_bytes", "memory.usage_in_bytes")
        else:
            continue
        folder = root / name.lstrip("/")
        while True:
            left = _left(folder, *files)
            if left is not None:
                rooms.append(left)
            if folder == root:
                break
            folder = folder.parent
    return min(rooms, default=None)


def _left(folder: Path, limit_file: str, usage_file: str) -> int | None:
    """Limit less usage of one control group, cached files not counted as usage."""
    try:
        limit = int((folder / limit_file).read_text("ascii"))
        usage = int((folder / usage_file).read_text("ascii"))
        stat = dict(line.split() for line in (folder / "memory.stat").read_text("ascii").splitlines())
    except (OSError, ValueError):
        return None
    cached = int(stat.get("total_inactive_file", stat.get("inactive_file", 0)))
    return max(0, limit - max(0, usage - cached))
