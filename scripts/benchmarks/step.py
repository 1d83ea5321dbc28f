"""The small model's step against its targets: ``make bench-step`` writes docs/benchmarks/step-small.{json,md}."""

from __future__ import annotations

import os
import statistics

from rows import ROOT, Row, build, commit, commit_line, machine, machine_line, paragraph, seconds, steps, table, write

STEPS = 20
#: Seconds of proving a step, seconds of verifying it, MiB of the proving process.
REACH = (1.0, 0.020, 2048.0)
#: Above this load when it began, a row is not held against its targets.
QUIET_LOAD = 1.5


def verdict(row: Row) -> str:
    """Which targets the row meets."""
    if row["load"] > QUIET_LOAD:
        return "not judged: busy machine"
    costs = (row["prove_seconds"], row["verify_seconds"], row["peak_mib"])
    missed = [name for name, cost, reach in zip(("prove", "verify", "peak"), costs, REACH, strict=True) if cost > reach]
    return f"missed: {', '.join(missed)}" if missed else "met"


def line(row: Row) -> list[str]:
    """The row in the page's table."""
    middle = row["prove_runs"][1:]
    return [
        "all seven" if row["size"]["all_targets"] else "q, v",
        f"{row['witness_slots']:,}",
        seconds(row["prove_seconds"]),
        f"{seconds(min(middle))} to {seconds(max(middle))}",
        seconds(row["prove_runs"][0]),
        seconds(row["prove_processor_seconds"]),
        seconds(row["verify_seconds"]),
        seconds(statistics.quantiles(row["verify_runs"], n=10)[-1]),
        f"{row['proof_bytes']:,}",
        f"{row['peak_mib']:.0f} MiB",
        str(row["security_bits"]),
        f"{row['load']:.1f}",
        verdict(row),
    ]


def main() -> None:
    """Proves and verifies the runs and writes the page."""
    os.chdir(ROOT)
    made_from, program = commit(), build()
    before = machine()
    rows = []
    for targets in ("qv", "all"):
        rows.append(steps(program, 64, 4, 8, targets, STEPS))
        print(targets, seconds(rows[-1]["prove_seconds"]), seconds(rows[-1]["verify_seconds"]), flush=True)
    after = machine()
    heads = [
        "targets", "witness slots", "prove, median", "least to greatest", "first", "processor", "verify, median",
        "verify, 9 of 10 below", "proof, bytes", "peak", "bits", "load", "",
    ]  # fmt: skip
    page = [
        "# One step of the small model\n",
        "    make bench-step\n",
        commit_line(made_from),
        machine_line(before, after),
        paragraph(f"""
        Steps of 64 tokens of the demo's text, r 8, AdamW, {STEPS} in a run. Prove: execution, commitments, argument,
        opening, its verification, file; median over the steps after the first, whose pages are new and which has no
        tree of the state before. Processor: all threads, user and system. Verify: every proof once, in another
        process, from the files. Peak: the proving process, which also trains. Settlement and release, once a run, are
        not in it. Proofs are zero knowledge: scalars masked, openings hiding; bits after the union bound over 1,000
        proofs.
        """),
        paragraph("Reach (q and v): at most 1 s to prove, 20 ms to verify, 2 GiB."),
        table(heads, [line(row) for row in rows]),
    ]
    write("step-small", {"commit": made_from, "before": before, "after": after, "rows": rows}, "\n".join(page))


if __name__ == "__main__":
    main()
