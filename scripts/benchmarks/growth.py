"""How a step's cost grows with tokens, layers, rank and steps: ``make bench-growth``.

One table and one picture a quantity in docs/benchmarks/growth.{json,md} and growth-*.svg. Beside each curve stands the
exponent of its last doubling: 1 is linear, 0 flat.
"""

from __future__ import annotations

import itertools
import math
import os
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from rows import (
    RESULTS,
    ROOT,
    Row,
    build,
    commit,
    commit_line,
    machine,
    machine_line,
    paragraph,
    seconds,
    steps,
    table,
    write,
)

#: Quantity, values, and how a value becomes (tokens, layers, rank, steps); the demo's step is (64, 4, 8).
CURVES: dict[str, list[int]] = {
    "tokens": [16, 32, 64, 128, 256],
    "layers": [1, 2, 4],
    "rank": [2, 4, 8, 16, 32],
}
STEPS_EACH = 3
RUN_OF_STEPS = 20
COSTS = [
    ("prove_seconds", "prove, s"),
    ("peak_mib", "peak memory, MiB"),
    ("proof_bytes", "proof, bytes"),
    ("verify_seconds", "verify, s"),
    ("witness_slots", "witness slots"),
]


def size(quantity: str, value: int) -> tuple[int, int, int]:
    """Tokens, layers and rank of a point."""
    point = {"tokens": 64, "layers": 4, "rank": 8, quantity: value}
    return point["tokens"], point["layers"], point["rank"]


def exponents(points: list[Row], quantity: str, cost: str) -> list[float]:
    """Slopes of the curve between neighbours, both axes logarithmic."""
    pairs = itertools.pairwise(points)
    return [math.log(b[cost] / a[cost]) / math.log(b[quantity] / a[quantity]) for a, b in pairs]


def picture(path: Path, points: list[Row], quantity: str, costs: list[tuple[str, str]]) -> None:
    """Curves over one quantity, from zero, with the straight line through the origin and the last point."""
    figure, panels = plt.subplots(1, len(costs), figsize=(3.2 * len(costs), 2.8), layout="constrained")
    for panel, (cost, label) in zip(panels, costs, strict=True):
        x, y = [row[quantity] for row in points], [row[cost] for row in points]
        panel.plot([0, x[-1]], [0, y[-1]], color="0.75", linewidth=1, linestyle="--")
        panel.plot(x, y, marker="o", color="black", linewidth=1.2, markersize=3.5)
        panel.set(xlabel=quantity, title=label, xlim=(0, None), ylim=(0, None))
        panel.title.set_fontsize(9)
        panel.spines[["top", "right"]].set_visible(False)
    # Neither date nor random identifiers: the same figures give the same file.
    plt.rcParams["svg.hashsalt"] = quantity
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def run_of_steps(row: Row) -> list[Row]:
    """Sums over the first n steps of one run."""
    points = []
    for count in range(1, len(row["prove_runs"]) + 1):
        points.append(
            {
                "steps": count,
                "prove_seconds": sum(row["prove_runs"][:count]),
                "verify_seconds": sum(row["verify_runs"][:count]),
                "proof_bytes": sum(row["proof_bytes_runs"][:count]),
            }
        )
    return points


def curve_part(quantity: str, points: list[Row]) -> str:
    """Table, exponents and picture of one quantity."""
    lines = [
        [
            str(row[quantity]),
            seconds(row["prove_seconds"]),
            seconds(row["prove_processor_seconds"]),
            f"{row['peak_mib']:.0f} MiB",
            f"{row['proof_bytes']:,}",
            seconds(row["verify_seconds"]),
            f"{row['witness_slots']:,}",
            str(row["security_bits"]),
            f"{row['load']:.1f}",
        ]
        for row in points
    ]
    heads = [quantity, "prove", "processor", "peak", "proof", "verify", "witness slots", "bits", "load"]
    slopes = [
        [label, *[f"{slope:.2f}" for slope in exponents(points, quantity, cost)]]
        for cost, label in [*COSTS, ("prove_processor_seconds", "processor, s")]
    ]
    between = [f"{a[quantity]} → {b[quantity]}" for a, b in itertools.pairwise(points)]
    return "\n".join(
        [
            f"## {quantity.capitalize()}\n",
            table(heads, lines),
            "Exponent between neighbours (1 is linear, 0 flat):\n",
            table(["cost", *between], slopes),
            f"![growth in {quantity}](growth-{quantity}.svg)\n",
        ]
    )


def main() -> None:
    """Runs every point and writes the page."""
    os.chdir(ROOT)
    made_from, program = commit(), build()
    before = machine()
    curves: dict[str, list[Row]] = {}
    for quantity, values in CURVES.items():
        points = []
        for value in values:
            row = steps(program, *size(quantity, value), "qv", STEPS_EACH)
            points.append({**row, quantity: value})
            print(quantity, value, seconds(row["prove_seconds"]), flush=True)
        curves[quantity] = points
        picture(RESULTS / f"growth-{quantity}.svg", points, quantity, COSTS[:4])
    run = steps(program, 64, 4, 8, "qv", RUN_OF_STEPS)
    curves["steps"] = run_of_steps(run)
    picture(RESULTS / "growth-steps.svg", curves["steps"], "steps", [COSTS[0], COSTS[2], COSTS[3]])
    middle = run["prove_runs"][1:]
    same = next(row for row in curves["tokens"] if row["tokens"] == run["size"]["tokens"])
    after = machine()
    page = [
        "# Growth of a step\n",
        "    make bench-growth\n",
        commit_line(made_from),
        machine_line(before, after),
        paragraph("""
        Steps of the small model as a run proves them (r 8 on q and v, 64 tokens, 4 layers, where not said otherwise;
        fewer layers: the model cut after them; the demo's text). Time and bytes: medians over the steps after the
        first. Verified in another process, bytes counted in the files. Proofs are zero knowledge. The dashed line is
        growth in proportion to the last point.
        """),
        *[curve_part(quantity, curves[quantity]) for quantity in CURVES],
        "## Steps\n",
        paragraph(f"""
        One run of {RUN_OF_STEPS} steps: {seconds(sum(run["prove_runs"]))} of proving in all, each step after the first
        between {seconds(min(middle))} and {seconds(max(middle))}; peak of the process {run["peak_mib"]:.0f} MiB (of
        {STEPS_EACH} steps: {same["peak_mib"]:.0f} MiB). One proof a step, so time, bytes and
        verification add up.
        """),
        "![growth in steps](growth-steps.svg)\n",
    ]
    results = {"commit": made_from, "machine": before, "machine_after": after, "curves": curves, "run": run}
    write("growth", results, "\n".join(page))


if __name__ == "__main__":
    main()
