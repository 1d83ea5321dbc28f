"""Runs ``veritune-bench`` in two processes per row, prover and verifier, and refuses a row that lacks a figure."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

sys.path.append(str(Path(__file__).resolve().parents[1]))
from checkout import commit as commit  # for the scripts beside this one

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "benchmarks"
MODEL = ROOT / "models" / "small"

#: Memory settings of the commands that prove (``veritune.cli.memory``): pages stay with the process and are huge where
#: the kernel allows it. ezkl brings its own allocator and ignores them.
TUNABLES = (
    "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4294967296:"
    "glibc.malloc.trim_threshold=17179869184:glibc.malloc.arena_max=1"
)

#: What every row must say; none of it may be missing.
REQUIRED = (
    "workload",
    "precision",
    "security_bits",
    "hiding_commitments",
    "masked_transcript",
    "setup_seconds",
    "prove_seconds",
    "verify_seconds",
    "proof_bytes",
    "peak_mib",
)
TARGET_BITS = 128

Row = dict[str, Any]


class IncompleteRow(Exception):
    """A row lacks a figure or is below the security target: it is not published."""


def checked(row: Row) -> Row:
    """The row, if it is complete."""
    missing = [key for key in REQUIRED if row.get(key) in (None, "", [])]
    if missing:
        raise IncompleteRow(f"{row.get('workload')}: no {', '.join(missing)}")
    if row["security_bits"] < TARGET_BITS:
        raise IncompleteRow(f"{row['workload']}: {row['security_bits']} bits instead of {TARGET_BITS}")
    return row


def build() -> Path:
    """Builds the benchmark program and returns its path."""
    command = ["cargo", "build", "--release", "--package", "veritune-bench", "--message-format", "json"]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    programs = [message["executable"] for line in lines if (message := json.loads(line)).get("executable")]
    return Path(programs[-1])


def one() -> None:
    """Leaves the calling process one processor: threads that share a core would each be charged for it."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def call(program: Path, *arguments: object, one_processor: bool = False) -> Row:
    """The JSON that the program prints."""
    environment = {**os.environ, "GLIBC_TUNABLES": TUNABLES}
    command = [str(program), *map(str, arguments)]
    prepare = one if one_processor else None
    done = subprocess.run(command, env=environment, preexec_fn=prepare, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")
    row: Row = json.loads(done.stdout)
    return row


def workload(program: Path, name: str, repeat: int) -> Row:
    """One row of a workload: proved ``repeat`` times in one process, verified from the files in another."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        proved = call(program, "prove", name, folder, repeat)
        verified = call(program, "verify", folder, 7)
    return checked(
        {
            **proved,
            "security_bits": verified["security_bits"],
            "max_proofs": verified["max_proofs"],
            "hiding_commitments": verified["hiding_commitments"],
            "masked_transcript": verified["masked_transcript"],
            "first_prove_seconds": proved["prove_seconds"][0],
            "prove_seconds": statistics.median(proved["prove_seconds"]),
            "prove_processor_seconds": statistics.median(proved["prove_processor_seconds"]),
            "prove_runs": proved["prove_seconds"],
            "verify_seconds": statistics.median(verified["verify_seconds"]),
            "verifier_setup_seconds": verified["setup_seconds"],
            "verifier_peak_mib": verified["peak_mib"],
            "proof_bytes": verified["proof_bytes"],
            "load": load,
        }
    )


def demo_tokens() -> bytes:
    """The demo's rows as one text of tokens, 64-bit little-endian."""
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    lines = (ROOT / "data" / "demo" / "rows.jsonl").read_text().splitlines()
    rows = (json.loads(line) for line in lines)
    text = "\n".join(f"{row['instruction']}\n{row['input']}\n{row['output']}" for row in rows)
    return array("q", tokenizer.encode(text).ids).tobytes()


def steps(
    program: Path, tokens: int, layers: int, rank: int, targets: str, count: int, *, one_processor: bool = False
) -> Row:
    """One row of the small model's steps; medians are over the steps after the first, which has no tree before it."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "tokens.bin"
        text.write_bytes(demo_tokens())
        size = (tokens, layers, rank, targets, count)
        proved = call(program, "prove-steps", MODEL, text, folder, *size, one_processor=one_processor)
        verified = call(program, "verify-steps", folder)
    later = slice(1, None) if count > 1 else slice(None)
    return checked(
        {
            **proved,
            "workload": f"step of the small model: {tokens} tokens, {layers} layers, r {rank}, {targets}",
            "precision": "20-bit base, widths of docs/spec/step.md",
            "security_bits": verified["security_bits"],
            "max_proofs": verified["max_proofs"],
            "hiding_commitments": verified["hiding_commitments"],
            "masked_transcript": verified["masked_transcript"],
            "prove_seconds": statistics.median(proved["prove_seconds"][later]),
            "prove_processor_seconds": statistics.median(proved["prove_processor_seconds"][later]),
            "prove_runs": proved["prove_seconds"],
            "verify_seconds": statistics.median(verified["verify_seconds"]),
            "verify_runs": verified["verify_seconds"],
            "verifier_setup_seconds": verified["setup_seconds"],
            "verifier_peak_mib": verified["peak_mib"],
            "proof_bytes": round(statistics.median(verified["proof_bytes"][later])),
            "proof_bytes_runs": verified["proof_bytes"],
            "load": load,
        }
    )


def machine() -> Row:
    """Processor, cores, memory and load, without names of machines or paths."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = {line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")}
    flags = next((line for line in lines if line.startswith("flags")), "")
    return {
        "processor": ", ".join(sorted(models)) or platform.machine(),
        "avx512": "avx512f" in flags,
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%d"),
    }


def machine_line(before: Row, after: Row) -> str:
    """The machine in a sentence, with the load at both ends of the run."""
    return paragraph(f"""
        Machine: {before["cores"]} cores{" with AVX-512" if before["avx512"] else ""}, {before["memory_gib"]} GiB; load
        {before["load"]:.1f} at the start and {after["load"]:.1f} at the end, of which about {before["cores"]} at the
        end is this run's own.
        """)


def commit_line(made_from: str) -> str:
    """The commit in a sentence."""
    return paragraph(f"Commit `{made_from}`.")


def paragraph(text: str) -> str:
    """The text as one line and an empty one: a paragraph of Markdown."""
    return " ".join(text.split()) + "\n"


def write(name: str, results: Row, page: str) -> None:
    """Writes ``docs/benchmarks/<name>.json`` and ``.md``."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    (RESULTS / f"{name}.md").write_text(page)


def table(heads: list[str], lines: list[list[str]]) -> str:
    """A Markdown table."""
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in rows) + "\n"


def seconds(value: float) -> str:
    """A time with three figures."""
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"
