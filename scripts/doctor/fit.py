"""Finds the factors of python/veritune/prediction.py from the runs in docs/benchmarks/doctor.json.

    python scripts/doctor/fit.py [docs/benchmarks/doctor.json …]

Least squares of the relative error over all configurations, no factor below zero; each configuration is also predicted
from factors that were found without it, which is what another configuration may expect.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from veritune import prediction

ROOT = Path(__file__).resolve().parent.parent.parent
FITTED = {
    "train_core_seconds": (("base", "copy", "once"), ("state", "state_tree", "step")),
    "prove_core_seconds": (("witness", "fold", "step"), ("leaves", "fold", "step"), ("slots", "copy", "once")),
    "memory_bytes": (("one", "", "once"), ("witness", "", "once"), ("slots", "", "once")),
}


def least_squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Projected gradient: the x >= 0 with the least |a x - b|; columns are scaled to length one."""
    size = np.linalg.norm(a, axis=0)
    a = a / size
    x, step = np.zeros(a.shape[1]), 1 / np.linalg.norm(a, 2) ** 2
    for _ in range(100_000):
        x = np.maximum(0, x - step * (a.T @ (a @ x - b)))
    return np.asarray(x / size)


def main() -> None:
    pages = [Path(name) for name in sys.argv[1:]] or [ROOT / "docs" / "benchmarks" / "doctor.json"]
    rows = {name: row for page in pages for name, row in json.loads(page.read_text())["rows"].items()}
    for measure, terms in FITTED.items():
        features, known, real = [], [], []
        for row in rows.values():
            counts = {name: float(value) for name, value in row["counts"].items()}
            speed = {name: float(value) for name, value in row["speeds"].items()} | {"": 1.0}
            times = {"once": 1.0, "step": counts["steps"]}
            features.append([times[how] * counts[count] * speed[kernel] for count, kernel, how in terms])
            real.append(float(row[measure]["real"]))
            known.append(fixed(measure, counts, speed))
        weight = 1 / np.array(real)
        a, b = np.array(features) * weight[:, None], (np.array(real) - known) * weight
        found = least_squares(a, b)
        print(measure, dict(zip((term[:2] for term in terms), found.round(1).tolist(), strict=True)))
        for index, name in enumerate(rows):
            kept = np.arange(len(rows)) != index
            without = a[index] @ least_squares(a[kept], b[kept]) + known[index] * weight[index]
            with_it = a[index] @ found + known[index] * weight[index]
            print(f"  {name:<34} ratio {with_it:.2f}, without it {without:.2f}")


def fixed(measure: str, counts: dict[str, float], speed: dict[str, float]) -> float:
    """The part of a prediction whose factors are not fitted here; training is fitted before proving."""
    if measure == "memory_bytes":
        return 0.0
    fitted = {term[:2] for term in FITTED[measure]}
    parts = [(1.0, prediction.OPEN), (counts["steps"], prediction.EXECUTE)]
    if measure == "prove_core_seconds":
        parts += [(1.0, prediction.PROVE_ONCE), (counts["steps"], prediction.PROVE)]
    total = prediction.START_SECONDS
    for per, terms in parts:
        total += per * sum(f * counts[c] * speed[k] for c, k, f in terms if (c, k) not in fitted)
    return total


if __name__ == "__main__":
    main()
