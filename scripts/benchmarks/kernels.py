"""Runs the criterion benches beside the code and writes docs/benchmarks/kernels.{json,md}: ``make bench-kernels``."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from rows import ROOT, Row, commit, commit_line, machine, machine_line, paragraph, table, write

#: Package and cargo's options for its benches.
BENCHES = [
    ("veritune-field", ["--bench", "field"]),
    ("veritune-executor", ["--bench", "matmul"]),
    ("veritune-prover", ["--bench", "kernels", "--features", "kernels"]),
]
UNITS = {"field": "multiply-adds, one core", "executor": "multiply-adds", "prover": "elements"}


def target_directory(tree: Path) -> Path:
    """Where cargo builds a checkout."""
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps"]
    found = subprocess.run(command, cwd=tree, check=True, capture_output=True, text=True).stdout
    return Path(json.loads(found)["target_directory"])


def results(folder: Path, since: float) -> list[Row]:
    """Criterion's medians that are newer than ``since`` (seconds of the file system's clock)."""
    rows = []
    for path in sorted(folder.glob("criterion/**/new/estimates.json")):
        if path.stat().st_mtime < since:
            continue
        bench = json.loads((path.parent / "benchmark.json").read_text())
        median = json.loads(path.read_text())["median"]
        elements = bench["throughput"]["Elements"]
        interval = median["confidence_interval"]
        rows.append(
            {
                "group": bench["group_id"],
                "kernel": bench["function_id"],
                "elements": elements,
                "seconds": median["point_estimate"] * 1e-9,
                "low": interval["lower_bound"] * 1e-9,
                "high": interval["upper_bound"] * 1e-9,
                "per_second": elements / (median["point_estimate"] * 1e-9),
            }
        )
    return rows


def measure(tree: Path, groups: set[str]) -> list[Row]:
    """Runs the benches of these groups in a checkout."""
    folder = target_directory(tree)
    stamp = folder / "criterion.stamp"
    stamp.touch()
    for package, options in BENCHES:
        if package.removeprefix("veritune-") in groups:
            subprocess.run(["cargo", "bench", "--package", package, *options, "--", "--noplot"], cwd=tree, check=True)
    rows = results(folder, stamp.stat().st_mtime)
    found = {row["group"] for row in rows}
    if found != groups:
        raise SystemExit(f"criterion left results of {sorted(found)}, not {sorted(groups)}")
    return rows


def main() -> None:
    """Runs all benches and writes the page."""
    os.chdir(ROOT)
    made_from, before = commit(), machine()
    rows = measure(ROOT, {"field", "executor", "prover"})
    after = machine()
    lines = [
        [
            f"{row['group']}: {row['kernel']}",
            f"{row['elements']:,}",
            f"{row['seconds'] * 1e3:.4g} ms",
            f"{row['low'] * 1e3:.4g}–{row['high'] * 1e3:.4g}",
            f"{row['per_second'] / 1e6:,.0f} M {UNITS[row['group']]}",
        ]
        for row in rows
    ]
    page = [
        "# Kernels\n",
        "    make bench-kernels\n",
        commit_line(made_from),
        machine_line(before, after),
        paragraph("""
        Criterion's medians with their 95 % intervals; all cores unless said otherwise. Encode: values written, so twice
        the coefficients. Tree hash: rows of 64 elements, without salts. Sumcheck: base-field vector, weights in the
        challenge field, all rounds. Fractions: GKR over all layers of the lookup argument.
        """),
        table(["kernel", "elements", "median", "interval, ms", "per second"], lines),
    ]
    results = {"commit": made_from, "machine": before, "machine_after": after, "kernels": rows}
    write("kernels", results, "\n".join(page))


if __name__ == "__main__":
    main()
