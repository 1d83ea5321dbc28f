"""10,000 proofs of two witnesses and of none: ``make test-leaks`` writes docs/benchmarks/leaks.{json,md}."""

from __future__ import annotations

import json
import os
import re
import subprocess

from rows import ROOT, commit, commit_line, machine, machine_line, paragraph, table, write

#: Of each kind: the number that the family-wise level was fixed for.
PROOFS = 10_000
#: Certificates of each of two runs that are verified in turn, and how often each.
TIMED, REPEAT = 100, 15
#: Mann and Whitney's statistic, two-sided, at a level of 1e-3.
TIMING_LEVEL = 3.29
FEATURES = ("--release", "--package", "veritune-attacks", "--features", "mutation-testing")
LINE = re.compile(
    r"(?P<name>[a-z ]+): (?P<proofs>\d+) proofs each, (?P<words>\d+) words, "
    r"Deviation \{ sigmas: (?P<sigmas>[\d.]+), word: \d+ \}, level (?P<level>[\d.]+)"
)


def run(*command: str, **environment: str) -> str:
    """The standard output of a command that must succeed."""
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def main() -> None:
    """Runs all tests of what proofs hide, then times the verifier, and writes the page."""
    os.chdir(ROOT)
    made_from, before = commit(), machine()
    tests = run("cargo", "test", *FEATURES, "--test", "hiding", "--", "--nocapture", LEAK_PROOFS=str(PROOFS))
    comparisons = [match.groupdict() for match in LINE.finditer(tests)]
    if len(comparisons) != 3:
        raise SystemExit(f"three comparisons are expected, not {len(comparisons)}")
    timing = json.loads(run("cargo", "run", *FEATURES, "--example", "verify_timing", "--", str(TIMED), str(REPEAT)))
    after = machine()
    one, other = timing["median_ms"]
    verdict = "no difference is seen" if abs(timing["sigmas"]) < TIMING_LEVEL else "a difference is seen"
    if abs(timing["sigmas_with_delay"]) < TIMING_LEVEL:
        raise SystemExit(f"a delay of {timing['delay_ms']:.3f} ms is not seen: the timing tells nothing")
    page = [
        "# What proofs hide\n",
        "    make test-leaks\n",
        commit_line(made_from),
        machine_line(before, after),
        paragraph(f"""
        {PROOFS:,} proofs of each of two witnesses of a tiny statement (lookups, products, a one-hot, a state;
        `crates/attacks/tests/hiding`) and as many of the simulator, which has none, for one set of challenges. Every
        word of eight bytes of every scalar, row, salt, digest and root, in 16 bins by its highest bits, 16 by its
        lowest and 16 by a hash; largest difference of two counts in units of the root of their sum. A difference above
        the level is seen
        anywhere, in all comparisons together, with probability at most 0.001 if the distributions are equal
        (Hoeffding).
        """),
        table(
            ["compared", "words", "largest deviation", "level"],
            [[c["name"], f"{int(c['words']):,}", f"{float(c['sigmas']):.2f}", c["level"]] for c in comparisons],
        ),
        paragraph("""
        In the same run, exactly: the map from pads and dummy to scalars has full rank; a pad dropped, a pad used
        twice, a fixed dummy each take one away. By distribution: a pad dropped, a pad without its lowest bits, a
        length or a multiplicity in clear, a fixed salt are seen. A whole run without rows and states is accepted under
        programmed challenges.
        """),
        paragraph(f"""
        Time of verification: {TIMED} certificates of each of two runs that differ in one hidden token, by the
        product's prover, in turn, {REPEAT} times each, three proofs each; medians {one:.3f} and {other:.3f} ms; Mann
        and Whitney's statistic {timing["sigmas"]:+.2f} standard deviations, two-sided level {TIMING_LEVEL} (0.001):
        {verdict}. A verifier that waits {timing["delay_ms"]:.3f} ms longer for the second token is seen:
        {timing["sigmas_with_delay"]:+.2f}.
        """),
    ]
    results = {"commit": made_from, "before": before, "after": after, "rows": comparisons, "timing": timing}
    write("leaks", results, "\n".join(page))
    if verdict != "no difference is seen":
        raise SystemExit("the time of verification depends on the witness")


if __name__ == "__main__":
    main()
