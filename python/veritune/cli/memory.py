"""Memory of the commands: it never becomes a core dump; of those that prove, pages stay with the process.

Clearing pages that the allocator gave back takes up to a third of a step's proof; the C library reads its settings at
start, so the command starts itself once more with them. A core dump would hold rows, salts and keys.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import sys

COMMANDS = frozenset({"demo", "train", "prove"})
VARIABLE = "GLIBC_TUNABLES"
TUNABLES = ":".join(
    (
        "glibc.malloc.hugetlb=1",  # madvise: transparent huge pages
        f"glibc.malloc.mmap_threshold={1 << 32}",  # large buffers from the heap, not by mmap
        f"glibc.malloc.trim_threshold={1 << 34}",  # and not given back
        "glibc.malloc.arena_max=1",  # on every thread: arenas of threads have no large blocks
    )
)


def keep_pages() -> None:
    """After the call a proving command runs with the settings; others, and an environment that has its own, go on."""
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    if command not in COMMANDS or VARIABLE in os.environ or platform.libc_ver()[0] != "glibc":
        return
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, VARIABLE: TUNABLES})


_PR_SET_DUMPABLE = 4


def leave_no_core() -> None:
    """After the call a crash of this process writes no core dump, and only root reads its memory from outside."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if sys.platform == "linux":  # a program that the kernel pipes dumps into does not see that limit
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
