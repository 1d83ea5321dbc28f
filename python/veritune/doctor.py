"""What this machine can prove: cores, vector units, memory, disk, and a prediction for a plan."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path
from typing import Any

from veritune import __version__, core
from veritune.errors import InternalError
from veritune.memory import GIB, gib, meminfo, room
from veritune.run import default_threads

NEEDED_MEMORY_BYTES = 2 * GIB
"""Proving the small model; for a plan or a recipe the prediction takes its place."""


def examine(folder: Path) -> dict[str, Any]:
    """Returns figures of this machine; bytes are whole numbers."""
    try:
        core_version = core.core_version()
    except InternalError:
        core_version = ""
    memory, left = meminfo(), room()
    return {
        "schema": "veritune.doctor/v1",
        "veritune": __version__,
        "core": core_version,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "threads": default_threads(),
        "vector_units": _vector_units(),
        "memory_bytes": memory.get("MemTotal", 0),
        "memory_available_bytes": left.num_bytes,
        "memory_limit": left.limit,
        "disk_free_bytes": shutil.disk_usage(_existing(folder)).free,
        "tokenizers": _installed("tokenizers"),
    }


def problems(found: dict[str, Any]) -> list[str]:
    """Returns what would stop a job here; empty if nothing does."""
    stops = []
    if not found["core"]:
        stops.append("the Rust core does not load: run make setup")
    elif found["core"] != found["veritune"]:
        stops.append(f"core {found['core']} beside package {found['veritune']}: run make setup")
    needed = int(found.get("prediction", {}).get("memory_bytes", NEEDED_MEMORY_BYTES))
    if found["memory_available_bytes"] < needed:
        stops.append(f"less than {gib(needed)} GiB of memory is {found['memory_limit']}")
    if found["disk_free_bytes"] < GIB:
        stops.append("less than 1 GiB of disk is free")
    return stops


def predict_path(path: Path, threads: int, progress: core.Progress = core.ignore_progress) -> dict[str, Any]:
    """Returns the prediction for a plan, a job folder, or a recipe (which is calibrated first, as ``plan`` does).

    Raises:
        InvalidInput: PLAN, RECIPE, DATA, FILE codes; errors of the core.
    """
    from veritune.prediction import predict

    return predict(_spec(path, progress), threads)


def _spec(path: Path, progress: core.Progress) -> dict[str, Any]:
    from veritune.job import Job
    from veritune.plan import read_plan

    if path.suffix not in (".yaml", ".yml"):
        spec: dict[str, Any] = read_plan(Job.of_plan(path).plan).value["spec"]
        return spec
    from veritune.recipe import load_recipe
    from veritune.rows import read_dataset

    recipe = load_recipe(path)
    rows = read_dataset(recipe).rows
    calibration = core.calibrate(recipe.model_dir, recipe.settings, rows, bytes(32), core.CALIBRATION_STEPS, progress)
    made: dict[str, Any] = core.make_spec(recipe.model_dir, recipe.settings, calibration)["spec"]
    return made


def _existing(folder: Path) -> Path:
    for candidate in (folder.absolute(), *folder.absolute().parents):
        if candidate.exists():
            return candidate
    return Path("/")


def _vector_units() -> list[str]:
    try:
        text = Path("/proc/cpuinfo").read_text("ascii", errors="replace")
    except OSError:
        return []
    flags: set[str] = set()
    for line in text.splitlines():
        if line.startswith(("flags", "Features")):
            flags = set(line.partition(":")[2].split())
            break
    return [name for name in ("avx2", "avx512f", "avx512dq", "asimd") if name in flags]


def _installed(name: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(name) is not None
