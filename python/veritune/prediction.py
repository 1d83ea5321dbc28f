"""What a run will take on this machine: counts of the program times the speed of a few kernels.

The core gives the counts (``crates/run/src/predict.rs``): slots, tree sizes, lookup leaves, multiply-adds. It
also runs the kernels: trees, challenge-field and executor arithmetic, memory. A kernel's core seconds per unit times a
count times a factor is a term. A factor of 1 is the kernel's own work; the others say how often the code does a
kernel's work per count. They are properties of the program, found by ``scripts/doctor/fit.py`` over all configurations
of ``scripts/doctor/validate.py``, and have to be found again when the prover changes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from veritune import core

KERNELS = ("witness_tree", "state_tree", "fold", "multiply_add", "copy")
SECONDS = 2.0
REPEATS = 5
Terms = tuple[tuple[str, str, float], ...]
"""(count, kernel, factor)."""

START_SECONDS = 0.4
"""Core seconds of a command before it works: the interpreter and its packages."""
EXECUTE: Terms = (
    ("multiply_adds", "multiply_add", 1.0),
    ("state", "state_tree", 1.8),
)
"""One step executed, and the state after it committed; training does it, and proving again."""
OPEN: Terms = (("base", "copy", 24.0),)
"""Checkpoint to integer base, once per command."""
PROVE: Terms = (
    ("witness", "witness_tree", 1.0),
    ("witness", "fold", 11.0),
    ("leaves", "fold", 10.0),
)
"""Argument and opening of one step, beside its execution."""
PROVE_ONCE: Terms = (
    ("base", "state_tree", 1.0),
    ("state", "state_tree", 1.0),
    ("slots", "copy", 68.0),
)
"""Settlement and release, and the first use of the memory, which the system clears."""
SERIAL = 0.15
"""Share of the work, beside a command's start, that further threads do not shorten: by the clocks of the same runs."""
MEMORY: tuple[tuple[str, float], ...] = (("one", 5.0e7), ("witness", 72.0), ("slots", 7.0))
"""(count, bytes), of the peak of proving."""
TRAIN_MEMORY: tuple[tuple[str, float], ...] = (("one", 8.8e7), ("slots", 9.7))
"""The same of training: measured at 2, 7 and 26 million slots, within 3 % of the line."""


@dataclass(frozen=True)
class Memory:
    """Bytes at the peak of training and of proving."""

    train: int
    prove: int


def memory_bytes(spec: dict[str, Any]) -> Memory:
    """Returns the peak memory of the run of a spec, from its counts alone."""
    counts = {name: float(value) for name, value in core.counts(spec).items()} | {"one": 1.0}
    train, prove = (sum(factor * counts[count] for count, factor in terms) for terms in (TRAIN_MEMORY, MEMORY))
    return Memory(round(train), round(prove))


def speeds(threads: int) -> dict[str, float]:
    """Returns core seconds per unit of every kernel, the least of several runs; takes about two seconds."""
    found = dict.fromkeys(KERNELS, float("inf"))
    rounds, end = 0, time.monotonic() + SECONDS
    # In turn: what disturbs the machine for a moment then meets one run of each, not all runs of one.
    while rounds < REPEATS or time.monotonic() < end:
        for kernel in KERNELS:
            begun = time.process_time()
            units = core.measure(kernel, threads)
            found[kernel] = min(found[kernel], (time.process_time() - begun) / units)
        rounds += 1
    return found


def _sum(terms: Terms, counts: dict[str, float], speed: dict[str, float]) -> float:
    return sum(factor * counts[count] * speed[kernel] for count, kernel, factor in terms)


def predict(spec: dict[str, Any], threads: int, speed: dict[str, float] | None = None) -> dict[str, Any]:
    """Returns seconds, bytes and counts of the run of a spec.

    Seconds by the clock assume that ``threads`` cores have nothing else to do.
    """
    counts = {name: float(value) for name, value in core.counts(spec).items()} | {"one": 1.0}
    speed = speed or speeds(threads)
    steps, start = counts["steps"], START_SECONDS + _sum(OPEN, counts, speed)
    execute = _sum(EXECUTE, counts, speed)
    train = start + steps * execute
    prove = start + _sum(PROVE_ONCE, counts, speed) + steps * (execute + _sum(PROVE, counts, speed))
    memory = memory_bytes(spec)

    def clock(core_seconds: float) -> str:
        work = core_seconds - START_SECONDS
        return f"{START_SECONDS + work * (SERIAL + (1 - SERIAL) / threads):.1f}"

    return {
        "train_seconds": clock(train),
        "prove_seconds": clock(prove),
        "train_core_seconds": f"{train:.2f}",
        "prove_core_seconds": f"{prove:.2f}",
        "train_memory_bytes": str(memory.train),
        "memory_bytes": str(memory.prove),
        "proof_bytes": f"{counts['proof_bytes']:.0f}",
        "counts": {name: f"{value:.0f}" for name, value in counts.items()},
        "kernel_core_seconds_per_unit": {name: f"{value:.3e}" for name, value in speed.items()},
    }
