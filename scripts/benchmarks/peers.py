"""P1 to P5: our workloads, and with ``--ezkl`` the same workloads by ezkl in the same run, in turn.

``make bench-peers`` (with ezkl) or ``make bench`` (without). Writes docs/benchmarks/peers.json and peers.md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from peers_page import page
from rows import MODEL, ROOT, Row, build, commit, machine, seconds, steps, workload, write

#: Number, name, target (seconds), our proofs in a process, the peer's rounds, its proofs in each.
#: The peer's attention takes minutes and gigabytes: once.
WORKLOADS: list[tuple[str, str, float | None, int, int, int]] = [
    ("P1", "matmul-64", 0.07, 9, 2, 3),
    ("P1", "matmul-512", 0.5, 5, 0, 0),
    ("P2", "attention-16x64", 0.5, 5, 1, 1),
    ("P3", "lora-sgd-16x64-r4", 0.2, 9, 2, 1),
    ("P4", "adamw-10240", None, 5, 0, 0),
    ("P4", "adamw-102400", None, 3, 0, 0),
    ("P4", "adamw-512000", None, 3, 0, 0),
]
#: Where the peer's SRS stays between runs, and its keys within one.
CACHE = ROOT / ".bench-cache"
KEYS = CACHE / "keys"
#: Elements of the peer's AdamW: two sizes, whose difference is its cost per element.
PEER_ADAMW = (16, 80)
#: Processor seconds of one iteration with its aggregation, measured once on a quiet machine of this class.
KAIZEN_CITED_SECONDS = 42.0


def ezkl(name: str, repeat: int) -> Row:
    """The peer's row of a workload, in a process of its own; keys stay in the cache until the run ends."""
    load = os.getloadavg()[0]
    script = Path(__file__).with_name("ezkl_side.py")
    CACHE.mkdir(exist_ok=True)
    command = [sys.executable, str(script), name, str(KEYS / name), str(CACHE), str(repeat)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return {"workload": name, "failed": done.stderr.strip().splitlines()[-1:], "load": load}
    row: Row = json.loads(done.stdout.splitlines()[-1])
    return {**row, "load": load}


def merged(rows: list[Row]) -> Row:
    """One row of several of the same workload: medians over all their proofs."""
    good = [row for row in rows if "failed" not in row]
    if not good:
        return rows[-1]
    proofs = [x for row in good for x in row["prove_seconds"]]
    checks = [x for row in good for x in row["verify_seconds"]]
    return {
        **good[-1],
        "prove_runs": proofs,
        "prove_seconds": statistics.median(proofs),
        "verify_seconds": statistics.median(checks),
        "setup_seconds": next(row["setup_seconds"] for row in good if row["setup_seconds"] is not None),
        "peak_mib": max(row["peak_mib"] for row in good),
    }


def kaizen(program: Path) -> Row:
    """Runs Kaizen's LeNet, batch 1, one channel, no hash of the data, and reads the kernel's processor time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [str(program), "LENET", "1", "1", "-1", "1"]
    done = subprocess.run(command, cwd=program.parent, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = [line for line in done.stdout.splitlines() if "ime" in line or "size" in line]
    return {
        "processor_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "printed": lines,
        "peak_mib": after.ru_maxrss / 1024,
    }


def ours_and_peer(program: Path, with_ezkl: bool) -> list[Row]:
    """Every workload, ours and the peer's in turn."""
    result = []
    for number, name, target, repeat, rounds, proofs in WORKLOADS:
        ours, theirs = [workload(program, name, repeat)], []
        for _ in range(rounds if with_ezkl else 0):
            theirs.append(ezkl(name, proofs))
            ours.append(workload(program, name, repeat))
        ours.sort(key=lambda row: float(row["prove_seconds"]))
        row = ours[len(ours) // 2]
        row |= {"number": number, "target_seconds": target, "load_of_rounds": [r["load"] for r in ours]}
        row["peer"] = merged(theirs) if theirs else None
        result.append(row)
        print(name, seconds(row["prove_seconds"]), "ezkl", row["peer"] and row["peer"].get("prove_seconds"), flush=True)
    return result


def adamw_line(rows: list[Row], peers: list[Row]) -> Row:
    """Cost per element and fixed cost: the line through the smallest and the largest size."""
    sizes = [row for row in rows if row["number"] == "P4"]
    small, large = sizes[0], sizes[-1]
    slope = (large["prove_seconds"] - small["prove_seconds"]) / (large["elements"] - small["elements"])
    processor = large["prove_processor_seconds"] - small["prove_processor_seconds"]
    line: Row = {
        "processor_seconds_per_element": processor / (large["elements"] - small["elements"]),
        "peer_sizes": list(PEER_ADAMW),
        "seconds_per_element": slope,
        "fixed_seconds": small["prove_seconds"] - slope * small["elements"],
        "peers": peers,
    }
    good = [peer for peer in peers if "failed" not in peer]
    if len(good) == 2:
        proofs = [statistics.median(peer["prove_seconds"]) for peer in good]
        line["peer_seconds_per_element"] = (proofs[1] - proofs[0]) / (PEER_ADAMW[1] - PEER_ADAMW[0])
        line["peer_seconds_per_element_with_fixed"] = proofs[1] / PEER_ADAMW[1]
    return line


def training_rows(program: Path) -> list[Row]:
    """P5: steps of the small model with more and more trained parameters, on one processor."""
    sizes = [
        (64, 4, 8, "qv", 4),
        (64, 4, 8, "all", 3),
        (64, 4, 64, "qv", 3),
        (64, 4, 128, "all", 3),
        (16, 4, 128, "all", 4),
    ]
    rows = []
    for size in sizes:
        row = steps(program, *size, one_processor=True)
        row["processor_us_per_parameter"] = 1e6 * row["prove_processor_seconds"] / row["trained_parameters"]
        row["processor_ns_per_multiply_add"] = 1e9 * row["prove_processor_seconds"] / row["multiply_adds"]
        rows.append(row)
        print(row["workload"], seconds(row["prove_seconds"]), flush=True)
    return rows


def main() -> None:
    """Runs everything and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ezkl", action="store_true", help="run ezkl beside ours (about ten minutes more)")
    parser.add_argument("--kaizen", type=Path, help="Kaizen's built `main`; without it the cited figure is used")
    options = parser.parse_args()
    os.chdir(ROOT)
    if not MODEL.is_dir():
        raise SystemExit(f"{MODEL}: no small model")
    shutil.rmtree(KEYS, ignore_errors=True)
    made_from, program = commit(), build()
    before = machine()
    rows = ours_and_peer(program, options.ezkl)
    peers = [ezkl(f"adamw-{n}", 1) for n in PEER_ADAMW] if options.ezkl else []
    shutil.rmtree(KEYS, ignore_errors=True)
    training = training_rows(program)
    if options.kaizen:
        reference = {**kaizen(options.kaizen), "label": "built from its source and measured in this run"}
    else:
        label = "cited from our earlier measurement on this class of machine, not of this run"
        reference = {"processor_seconds": KAIZEN_CITED_SECONDS, "label": label}
    results = {
        "commit": made_from,
        "machine": before,
        "machine_after": machine(),
        "workloads": rows,
        "adamw": adamw_line(rows, peers),
        "training": training,
        "kaizen": reference,
    }
    write("peers", results, page(results))


if __name__ == "__main__":
    main()
