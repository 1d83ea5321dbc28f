"""The prover of two commits, in turn: ``make bench-masking``, ``make bench-leaves``, ``make bench-products``.

Each writes its page in docs/benchmarks. What is not this checkout is built from its commit in a work tree under
target/.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import kernels
import rows
from rows import ROOT, Row, commit, machine, machine_line, paragraph, table, write


@dataclass(frozen=True)
class Comparison:
    """Two commits, what the page says of them, and the ratios of time and memory that must be kept to."""

    before: str
    title: str
    text: str
    reach: tuple[float, float]
    with_kernels: bool = False
    after: str = ""
    """This checkout if it is empty."""
    note: str = ""


COMPARISONS = {
    "masking": Comparison(
        "5996304",
        "What masks cost",
        """the last commit without masks (scalars in clear, openings that show their first sumcheck). Since then a step
        is also verified before it is written, which its time includes.""",
        (1.6, 1.3),
        # Masks went in between these two, and nothing that makes the prover faster. A later second side would have what
        # was gained since (docs/adr/0010, 0011), and the ratios would say less than masks cost.
        after="91b0118",
        note="""Both commits are fixed: no commit between them makes the prover faster, but that a tree's random rows, a
        few hundred for each opening, are drawn by all threads. So nothing that was gained later hides what masks
        cost.""",
    ),
    "leaves": Comparison(
        "06ea59a",
        "Leaves of the lookups without padding",
        """the last commit whose leaves of the lookups were padded along every axis, in units as long as the largest
        block (docs/adr/0010-stacked-leaves.md).""",
        (1.0, 1.05),
    ),
    "products": Comparison(
        "f1d83aa",
        "Products in limbs of 52 bits",
        """the last commit whose products of challenge-field elements were the field library's, and whose large vectors
        were filled by one thread (docs/adr/0011-products-in-limbs.md).""",
        (1.0, 1.05),
        with_kernels=True,
    ),
}
#: Times that both sides run in turn.
ROUNDS = 5
KERNEL_ROUNDS = 3
WORKLOADS = (("matmul-64", 9), ("attention-16x64", 5), ("lora-sgd-16x64-r4", 9), ("adamw-10240", 5))
#: First layers of SmolLM2-135M at full width, if `make bench-real-layers` has prepared its rows.
REAL = ("layers=2", "tokens=16", "targets=qv", "steps=2")
FIDELITY = ROOT / "scripts" / "fidelity"
#: Below this, the kernel's count of processor seconds (a hundredth each) gives no ratio; 0 where it was not measured.
SHORT = 0.1
COSTS = ("prove_seconds", "prove_processor_seconds", "peak_mib", "verify_seconds", "proof_bytes")


def kernels_in_turn(trees: dict[str, Path]) -> dict[str, list[float]]:
    """Medians of the prover's inner loops, in seconds, before and after."""
    runs: dict[str, dict[str, list[float]]] = {}
    for _ in range(KERNEL_ROUNDS):
        for side, tree in trees.items():
            for row in kernels.measure(tree, {"prover"}):
                runs.setdefault(row["kernel"], {"before": [], "after": []})[side].append(row["seconds"])
    return {
        name: [statistics.median(sides["before"]), statistics.median(sides["after"])] for name, sides in runs.items()
    }


def work_tree(of: str) -> Path:
    """The work tree of a commit; this checkout if none is named."""
    if not of:
        return ROOT
    tree = ROOT / "target" / "beside" / of
    if not tree.exists():
        subprocess.run(["git", "worktree", "prune"], cwd=ROOT, check=True)
        subprocess.run(["git", "worktree", "add", "--detach", str(tree), of], cwd=ROOT, check=True)
    return tree


def built(tree: Path) -> dict[str, Path]:
    """Builds both programs of a checkout."""
    command = ["cargo", "build", "--release", "-p", "veritune-bench", "-p", "veritune-run", "--bins"]
    subprocess.run([*command, "--example", "real_layers"], cwd=tree, check=True)
    release = tree / "target" / "release"
    return {"bench": release / "veritune-bench", "real": release / "examples" / "real_layers"}


def in_turn(sides: dict[str, dict[str, Path]], measure: str, arguments: tuple[object, ...]) -> Row:
    """Medians of both sides over all rounds, and their ratios."""
    runs: dict[str, list[Row]] = {side: [] for side in sides}
    for _ in range(ROUNDS):
        for side, programs in sides.items():
            runs[side].append(measured(programs, measure, arguments))
    row: Row = {"runs": runs}
    for cost in COSTS:
        medians = {side: statistics.median(run[cost] for run in runs[side]) for side in sides}
        row[cost] = [medians["before"], medians["after"]]
        row[f"{cost}_ratio"] = medians["after"] / medians["before"] if medians["before"] else 0.0
    return row


def measured(programs: dict[str, Path], measure: str, arguments: tuple[object, ...]) -> Row:
    """One run of one side."""
    if measure == "steps":
        return rows.steps(programs["bench"], 64, 4, 8, str(arguments[0]), 6)
    if measure == "workload":
        name, repeat = arguments
        return rows.workload(programs["bench"], str(name), int(str(repeat)))
    usage = rows.call(programs["real"], *arguments)
    return {
        "prove_seconds": usage["prove_s"],
        "prove_processor_seconds": 0.0,
        "peak_mib": usage["prove_peak_mib"],
        "verify_seconds": usage["verify_s"],
        "proof_bytes": usage["proof_bytes"],
    }


def line(name: str, row: Row, reach: tuple[float, float]) -> list[str]:
    """The row in the page's table."""
    ratio = [f"{row[f'{cost}_ratio']:.2f}" for cost in COSTS]
    if min(row["prove_processor_seconds"]) < SHORT:
        ratio[1] = "–"
    before, after = row["prove_seconds"]
    met = row["prove_seconds_ratio"] <= reach[0] and row["peak_mib_ratio"] <= reach[1]
    verify = [f"{1000 * value:.1f}" for value in row["verify_seconds"]]
    return [
        name, f"{before:.3f} to {after:.3f} s", ratio[0], ratio[1], ratio[2], f"{verify[0]} to {verify[1]} ms",
        f"{row['proof_bytes'][0]:,.0f} to {row['proof_bytes'][1]:,.0f}", "met" if met else "missed",
    ]  # fmt: skip


def main() -> None:
    """Runs both sides in turn and writes the page of the comparison that the argument names."""
    os.chdir(ROOT)
    [name] = sys.argv[1:]
    comparison = COMPARISONS[name]
    made_from = comparison.after or commit()
    trees = {"before": work_tree(comparison.before), "after": work_tree(comparison.after)}
    sides = {side: built(tree) for side, tree in trees.items()}
    before = machine()
    results: dict[str, Row] = {}
    for targets in ("qv", "all"):
        results[f"step of the small model, 64 tokens, {targets}"] = in_turn(sides, "steps", (targets,))
    for workload, repeat in WORKLOADS:
        results[workload] = in_turn(sides, "workload", (workload, repeat))
    prepared = ROOT / "target" / "fidelity" / "rows" / "train.i64"
    if prepared.exists():
        python = ROOT / "target" / "fidelity" / ".venv" / "bin" / "python"
        find = "from prepare import model_directory; print(model_directory(None))"
        found = subprocess.run([python, "-c", find], cwd=FIDELITY, check=True, capture_output=True, text=True)
        arguments = (f"model={found.stdout.strip()}", f"rows={prepared}", *REAL)
        results["2 layers of SmolLM2-135M, 16 tokens, q, v"] = in_turn(sides, "real", arguments)
    inner = kernels_in_turn(trees) if comparison.with_kernels else {}
    result = {"commit": made_from, "before": before, "after": machine(), "rows": results, "kernels": inner}
    if comparison.note:
        result["note"] = " ".join(comparison.note.split())
    write(name, result, page(name, result))


def page(name: str, result: Row) -> str:
    """The page of what was measured."""
    comparison = COMPARISONS[name]
    most_time, most_memory = comparison.reach
    heads = ["workload", "prove", "time", "processor time", "peak", "verify", "bytes", ""]
    parts = [
        f"# {comparison.title}\n",
        f"    make bench-{name}\n",
        machine_line(result["before"], result["after"]),
        paragraph(f"""
        Each workload proved by `{comparison.before}` and by `{result["commit"]}`, {ROUNDS} times in turn; medians, and
        ratios of the second to the first. The first is {comparison.text} {comparison.note} Reach: at most {most_time}
        times the time and {most_memory} times the memory.
        """),
        table(heads, [line(workload, row, comparison.reach) for workload, row in result["rows"].items()]),
    ]
    if result["kernels"]:
        parts += [
            paragraph(f"""
            The prover's inner loops (docs/benchmarks/kernels.md says what they are), {KERNEL_ROUNDS} times in turn,
            medians of criterion's medians.
            """),
            table(
                ["kernel", "before", "after", "ratio"],
                [
                    [name, f"{1e3 * before:.1f} ms", f"{1e3 * after:.1f} ms", f"{after / before:.2f}"]
                    for name, (before, after) in sorted(result["kernels"].items())
                ],
            ),
        ]
    return "\n".join(parts)


if __name__ == "__main__":
    main()
