"""A real file system that fills up under `veritune train` and `veritune prove`, then has space again.

Runs in a user namespace of its own (`unshare`, no root needed): a tmpfs of a few sizes holds the run and the adapter.
For every size the command must end with exit 2 and a code for "no space" that names a file of the run and the bytes it
takes, leave nothing half-written, no adapter and no certificate; after the file system has grown the same command must
continue to the states of an uninterrupted run, and the certificate must verify. `make test-disk` writes
docs/benchmarks/disk.{json,md}.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from small_job import Job, commit, machine, require, states

NO_SPACE = {"VT-JOB-013", "VT-FILE-008"}
INSIDE = "VERITUNE_FAULTS_NAMESPACE"
LARGE = "64m"


def mount(folder: Path, size: str, *, again: bool = False) -> None:
    """After the call the folder is a tmpfs of this size, fresh or grown."""
    options = f"remount,size={size}" if again else f"size={size}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)


def used_bytes(*folders: Path) -> int:
    """Bytes of whole pages that the files below the folders take."""
    files = [path for folder in folders if folder.exists() for path in folder.rglob("*") if path.is_file()]
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in files)


def fill_up(job: Job, name: str, disk: Path, begun: Path | None, num_kib: int) -> str | None:
    """Runs a command on a file system of this size; returns the file that found no space, none if all fitted."""
    mount(disk, f"{num_kib}k")
    try:
        run = disk / "run"
        if begun is not None:
            shutil.copytree(begun, run)
        answer = job.command(*job.words(name, run), expect=None)
        failed = None
        if answer["returncode"] != 0:
            require(answer["returncode"] == 2 and answer["code"] in NO_SPACE, f"{num_kib} KiB: {answer}")
            require(answer["location"].startswith(str(disk)), f"{answer}")
            require("bytes" in answer["message"] and bool(answer["remedy"]), f"{answer}")
            require(not job.adapter(run).exists(), f"{num_kib} KiB: an adapter is left")
            job.clean(run)
            failed = Path(answer["location"]).name
        mount(disk, LARGE, again=True)
        if failed:
            job.command(*job.words(name, run))
        whole = disk / "whole"
        require(states(run) == job.uninterrupted(whole, run), f"{num_kib} KiB: other states")
        if name == "prove":
            job.verify(run)
        job.clean(run)
        return failed
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def fill(job: Job, name: str, disk: Path, begun: Path | None, floor: int, ceiling: int, count: int) -> dict[str, Any]:
    """The sizes from what is there to what the whole command needs."""
    files: dict[str, int] = {}
    for number in range(count):
        num_kib = (floor + (ceiling - floor) * number // count) // 1024 + 16
        failed = fill_up(job, name, disk, begun, num_kib)
        print(f"{name} on {num_kib} KiB: {failed or 'fitted'}", flush=True)
        if failed:
            files[failed] = files.get(failed, 0) + 1
    return {"command": f"veritune {name}", "full": sum(files.values()), "sizes": count, "files": files}


def page(figures: dict[str, Any]) -> str:
    """The figures as a page."""
    lines = ["| command | sizes | full | files that found no space |", "|---|---:|---:|---|"]
    for row in figures["rows"]:
        files = ", ".join(f"`{name}`" + (f" ({count})" if count > 1 else "") for name, count in row["files"].items())
        lines.append(f"| `{row['command']}` | {row['sizes']} | {row['full']} | {files} |")
    return f"""\
# A disk that fills up

Made by `{figures["command"]}` (`make test-disk`) at commit {figures["commit"]} on {figures["machine"]}: the small
model, demo rows of 16 tokens, rank 2 on q and v, {figures["steps"]} steps, the real command on a tmpfs. Its sizes lie
evenly between what is there before the command and what the whole command needs.

{chr(10).join(lines)}

Every command that found no space ended with exit 2 and {" or ".join(sorted(NO_SPACE))}, named the file and its bytes,
and left nothing half-written and no adapter. When there was space again, the same command went on: the states were
those of an uninterrupted run under the same secret, byte for byte, and what `prove` made verified.
"""


def main() -> None:
    """Fills the file system at some sizes for each command, and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, default=6, help="sizes of the file system for each command")
    parser.add_argument("--steps", type=int, default=2, help="steps of the run")
    parser.add_argument("--out", type=Path, help="JSON file of the figures")
    options = parser.parse_args()
    if INSIDE not in os.environ:
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--user", "--map-root-user", "--mount", sys.executable, *sys.argv])
    figures: dict[str, Any] = {
        "command": f"scripts/faults/disk.py --sizes {options.sizes}",
        "commit": commit(),
        "machine": machine(),
        "steps": options.steps,
    }
    with tempfile.TemporaryDirectory(prefix="veritune-disk-") as folder:
        job = Job(Path(folder), options.steps)
        trained = job.folder / "trained"
        job.command(*job.words("train", trained))
        after_train = used_bytes(trained)
        begun = Path(shutil.copytree(trained, job.folder / "begun"))
        job.command(*job.words("prove", trained))
        after_prove = used_bytes(trained, job.adapter(trained))
        disk = job.folder / "disk"
        disk.mkdir()
        rows = [
            fill(job, "train", disk, None, 0, after_train, options.sizes),
            fill(job, "prove", disk, begun, after_train, after_prove, options.sizes),
        ]
    for row in rows:
        print(json.dumps(row))
        require(row["full"] > 0, f"{row['command']} was never refused")
    if options.out:
        figures["rows"] = rows
        options.out.write_text(json.dumps(figures, indent=2) + "\n")
        options.out.with_suffix(".md").write_text(page(figures))


if __name__ == "__main__":
    main()
