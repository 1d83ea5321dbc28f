"""Fuzzes every target for a given processor time and adds what was done to docs/benchmarks/fuzz.{json,md}.

Builds the programs of fuzz/libfuzzer with the flags below, makes the run that the proofs' targets change, and starts
each target on its own inputs and the committed ones, at the lowest priority. Rows of earlier calls stay. An input that
stops a program is kept in target/fuzz-work/TARGET/stopped, and the call ends with exit 1.

--merge replaces the committed inputs of fuzz/corpus by a smallest set with the coverage of all inputs there are.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FUZZ = ROOT / "fuzz"
CORPUS = FUZZ / "corpus"
MANIFEST = FUZZ / "libfuzzer" / "Cargo.toml"
BUILT = ROOT / "target" / "fuzz"
WORK = ROOT / "target" / "fuzz-work"
LOG = ROOT / "docs" / "benchmarks" / "fuzz.json"

# What cargo-fuzz passes, with codes of stable Rust only: edges are counted in the program itself, and operands of
# comparisons are shown to libFuzzer. There is no sanitizer: our crates forbid unsafe code.
COVERAGE = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ctarget-cpu=native",
]
LOWEST = ["nice", "-n", "19"]
"""Gives way to everything else on the machine."""
HANG_SECONDS = 120
"""libFuzzer's own limit, in wall-clock seconds; the limit of the issue, 1 s, is the program's, in processor time."""
RSS_MIB = 2048
INPUT_BYTES = 4096
"""Longest input of a target that is not in LONGER; a committed input may be longer."""
LONGER = {"policy": 1 << 17, "canonical_json": 1 << 14, "statement": 1 << 14}
MERGED_BYTES = 4096
"""Longest input that is committed."""
MERGED_INPUTS = 100
"""Most inputs of a target that are committed, beside those that failed once."""


@dataclass(frozen=True)
class Target:
    """A program of fuzz/libfuzzer; ``switched`` is one of the build in which checks can be taken away."""

    name: str
    switched: bool

    @property
    def folder(self) -> Path:
        """Where its inputs grow."""
        return WORK / self.name

    @property
    def committed(self) -> Path:
        """Its committed inputs."""
        return CORPUS / self.name


def targets() -> list[Target]:
    """Every program, in the order of its manifest."""
    programs = tomllib.loads(MANIFEST.read_text("utf-8"))["bin"]
    return [Target(program["name"], "required-features" in program) for program in programs]


def host() -> str:
    """The compiler's own platform."""
    said = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout
    return next(line.removeprefix("host: ") for line in said.splitlines() if line.startswith("host: "))


def build(chosen: list[Target]) -> dict[str, Path]:
    """Builds the programs; those with and without switches are two builds. Returns their paths by name."""
    platform = host()
    flags = {**os.environ, "RUSTFLAGS": " ".join(COVERAGE), "CARGO_TARGET_DIR": str(BUILT)}
    # Flags without a platform would also reach build scripts, which nothing links to libFuzzer.
    words = ["cargo", "build", "--release", "--locked", "--manifest-path", str(MANIFEST), "--target", platform]
    for switched in (False, True):
        names = [target.name for target in chosen if target.switched == switched]
        if names:
            features = ["--features", "mutation-testing"] if switched else []
            programs = [word for name in names for word in ("--bin", name)]
            subprocess.run([*words, *features, *programs], env=flags, check=True)
    # A build meanwhile must not change what a row's commit says.
    copies = WORK / "programs"
    copies.mkdir(parents=True, exist_ok=True)
    for target in chosen:
        (copies / target.name).unlink(missing_ok=True)
        shutil.copy(BUILT / platform / "release" / target.name, copies / target.name)
    return {target.name: copies / target.name for target in chosen}


def make_inputs() -> dict[str, str]:
    """Makes the runs that the targets of proofs change, and the first inputs; returns the programs' environment."""
    words = ["cargo", "run", "--release", "--locked", "--package", "veritune-fuzz", "--features", "mutation-testing"]
    runs = WORK / "runs"
    shutil.rmtree(runs, ignore_errors=True)
    environment = {**os.environ, "VERITUNE_FUZZ_RUNS": str(runs)}
    for program, folder in (("make-runs", runs), ("make-seeds", WORK / "seeds")):
        subprocess.run([*words, "--bin", program, "--", str(folder)], cwd=ROOT, env=environment, check=True)
    return environment


def processor_seconds(pid: int) -> float:
    """What a process has used so far; 0 once it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory() -> str | None:
    """A file system in memory, if there is one: some targets write a folder for every input."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def last(pattern: str, said: str) -> int:
    """The number in the last place that matches; 0 if there is none."""
    found = re.findall(pattern, said)
    return int(found[-1]) if found else 0


def inputs(target: Target) -> list[Path]:
    """The folders of a target's inputs; the first is the one that grows."""
    own = target.folder / "inputs"
    own.mkdir(parents=True, exist_ok=True)
    return [own, *(folder for folder in (target.committed, WORK / "seeds" / target.name) if folder.is_dir())]


def is_slow(program: Path, found: Path, environment: dict[str, str]) -> bool:
    """Whether an input that was slow by the clock fails or is slow in processor time, too.

    The clock runs on while a program is stopped for a benchmark.
    """

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (HANG_SECONDS, HANG_SECONDS))

    words = [str(program), str(found)]
    again = subprocess.run(words, env=environment, cwd=WORK, preexec_fn=limit, capture_output=True, check=False)
    return again.returncode != 0


def run(target: Target, program: Path, seconds: float, environment: dict[str, str]) -> dict[str, Any]:
    """Fuzzes one target; returns its row."""
    stopped = target.folder / "stopped"
    stopped.mkdir(parents=True, exist_ok=True)
    before = set(stopped.iterdir())
    folders = inputs(target)
    words = [
        *LOWEST,
        str(program),
        *map(str, folders),
        f"-artifact_prefix={stopped}/",
        f"-timeout={HANG_SECONDS}",
        f"-report_slow_units={HANG_SECONDS}",
        f"-rss_limit_mb={RSS_MIB}",
        f"-max_len={LONGER.get(target.name, INPUT_BYTES)}",
        "-print_final_stats=1",
        "-reload=0",
    ]
    dictionary = FUZZ / "dictionaries" / f"{target.name}.dict"
    words += [f"-dict={dictionary}"] if dictionary.exists() else []
    with tempfile.TemporaryFile("w+") as log, tempfile.TemporaryDirectory(dir=memory()) as scratch:
        own = {**environment, "TMPDIR": scratch}
        process = subprocess.Popen(words, stdout=log, stderr=log, env=own, cwd=WORK)
        # Popen would forget what the process used.
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        while not ended and processor_seconds(process.pid) < seconds:
            time.sleep(0.2)
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if not ended:
            os.kill(process.pid, signal.SIGUSR1)  # libFuzzer: after this input, print the figures and end.
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        log.seek(0)
        said = log.read()
    (target.folder / "log").write_text(said)
    # libFuzzer keeps what was slow by the clock, too: a program that was stopped meanwhile is not slow.
    found = sorted(path for path in set(stopped.iterdir()) - before if not path.name.startswith("slow-unit"))
    late = [path for path in found if path.name.startswith("timeout") and not is_slow(program, path, environment)]
    for path in late:
        path.unlink()
    crashes = [path for path in found if path not in late]
    if status != 0 or crashes:
        print(said[-4000:], file=sys.stderr)
    for crash in crashes:
        print(f"{target.name}: stopped at {crash.relative_to(ROOT)}", file=sys.stderr)
    used = usage.ru_utime + usage.ru_stime
    return {
        "target": target.name,
        "cpu_seconds": round(used, 1),
        "executions": last(r"stat::number_of_executed_units:\s+(\d+)", said) or last(r"^#(\d+)\s", said),
        "edges": last(r"\bcov: (\d+)", said),
        "inputs": len(list(folders[0].iterdir())),
        "peak_rss_mib": last(r"stat::peak_rss_mb:\s+(\d+)", said),
        "slowest_ms": round(last(r"veritune: slowest (\d+) microseconds", said) / 1000, 3),
        "largest_bytes": last(r"veritune: largest (\d+) bytes", said),
        "crashes": len(crashes) + (status != 0 and not found),
    }


def merge(target: Target, program: Path, environment: dict[str, str]) -> None:
    """Makes the committed inputs a smallest set with the coverage of all; those of an earlier failure stay."""
    kept = [path for path in target.committed.glob("failed-*")]
    with tempfile.TemporaryDirectory() as folder:
        merged = Path(folder) / "merged"
        merged.mkdir()
        # Edges, not how often each was passed or what was compared: hundreds of inputs would say little more.
        options = ["-set_cover_merge=1", "-use_counters=0", "-use_cmp=0", f"-max_len={MERGED_BYTES}"]
        words = [*LOWEST, str(program), *options, str(merged), *map(str, inputs(target))]
        subprocess.run(words, env=environment, cwd=folder, check=True)
        # Their names are digests, so these are any.
        for path in sorted(merged.iterdir())[MERGED_INPUTS:]:
            path.unlink()
        for path in kept:
            shutil.copy(path, merged / path.name)
        shutil.rmtree(target.committed, ignore_errors=True)
        shutil.copytree(merged, target.committed)


def machine() -> str:
    """The processor's name and the cores."""
    text = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return f"{names[0] if names else 'unknown processor'}, {len(os.sched_getaffinity(0))} cores"


def state() -> dict[str, Any]:
    """What the programs were built from, with what and where."""

    def say(*words: str) -> str:
        return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    # The log itself and the pages are not built.
    changed = say("git", "status", "--porcelain", "--", "crates", "fuzz", "Cargo.toml")
    crates = tomllib.loads((FUZZ / "libfuzzer" / "Cargo.lock").read_text("utf-8"))["package"]
    libfuzzer = next(crate["version"] for crate in crates if crate["name"] == "libfuzzer-sys")
    return {
        "commit": say("git", "rev-parse", "--short=12", "HEAD") + (" with changes" if changed else ""),
        "machine": machine(),
        "versions": {"rustc": say("rustc", "-V").split()[1], "libfuzzer-sys": libfuzzer},
    }


def add(row: dict[str, Any], built: dict[str, Any]) -> None:
    """Adds a row to the log and makes the page again."""
    empty: dict[str, Any] = {"command": "make fuzz", "builds": []}
    log = json.loads(LOG.read_text("utf-8")) if LOG.exists() else empty
    builds = log["builds"]
    same = next((build for build in builds if all(build[key] == built[key] for key in built)), None)
    if same is None:
        same = {**built, "rows": []}
        builds.append(same)
    same["rows"].append(row)
    text = json.dumps(log, indent=1, ensure_ascii=False)
    # One row a line: they are many.
    text = re.sub(r"\{\s+(\"target\"[^{}]*?)\s+\}", lambda m: "{" + re.sub(r"\s*\n\s*", " ", m[1]) + "}", text)
    LOG.write_text(text + "\n")
    LOG.with_suffix(".md").write_text(page(log))


SUMS, MOSTS = ("cpu_seconds", "executions", "crashes"), ("edges", "peak_rss_mib", "slowest_ms", "largest_bytes")


def logged(name: str) -> float:
    """Processor seconds of a target in the log."""
    builds = json.loads(LOG.read_text("utf-8"))["builds"] if LOG.exists() else []
    return sum(float(row["cpu_seconds"]) for build in builds for row in build["rows"] if row["target"] == name)


def totals(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Sums and greatest values of rows."""
    sums = {name: sum(row[name] for row in rows) for name in SUMS}
    return {**sums, **{name: max(row[name] for row in rows) for name in MOSTS}}


def cells(name: str, total: dict[str, Any], builds: int) -> str:
    """A line of the page's table."""
    shown = [
        f"{total['cpu_seconds']:,.0f}",
        f"{total['executions']:,}",
        f"{total['edges']:,}",
        f"{total['slowest_ms']:,.1f}",
        f"{total['largest_bytes'] / (1 << 20):,.1f}",
        f"{total['peak_rss_mib']:,}",
        f"{total['crashes']}",
        f"{builds}",
    ]
    return f"| {name} | " + " | ".join(shown) + " |"


def page(log: dict[str, Any]) -> str:
    """The log as a page: cumulative totals of each target and over all."""
    by_target: dict[str, list[dict[str, Any]]] = {}
    commits: dict[str, set[str]] = {}
    for build in log["builds"]:
        for row in build["rows"]:
            by_target.setdefault(row["target"], []).append(row)
            commits.setdefault(row["target"], set()).add(build["commit"])
    lines = [cells(f"`{name}`", totals(rows), len(commits[name])) for name, rows in sorted(by_target.items())]
    rows = [row for rows in by_target.values() for row in rows]
    lines.append(cells("all", totals(rows), len(set().union(*commits.values()))))
    newest = log["builds"][-1]
    versions = ", ".join(f"{name} {version}" for name, version in newest["versions"].items())
    return f"""\
# Fuzzing

Made by `{log["command"]}`, which adds to it; every row with its commit is in `fuzz.json`. The newest build is of commit
{newest["commit"]} on {newest["machine"]}, {versions}. What the targets check: [fuzzing.md](../notes/fuzzing.md).

Sums over all calls: processor seconds, executions, inputs that stopped a program. Greatest of all calls: edges covered,
slowest input (processor time, in a build that counts edges and checks every addition), most bytes that one input held
at a time, memory of the process. The last column counts the commits that were fuzzed. An input that stopped a program
is fixed in the commit that adds it to `fuzz/corpus`.

| target | CPU s | executions | edges | slowest, ms | most held, MiB | process, MiB | stopped | commits |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
{chr(10).join(lines)}
"""


def main() -> None:
    """Builds, makes seeds, runs, logs."""
    known = {target.name: target for target in targets()}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10, help="processor seconds of each target (10)")
    parser.add_argument("--until", type=float, help="leave a target that has this many processor seconds in the log")
    parser.add_argument("--target", action="append", choices=known, help="only these; may be repeated")
    parser.add_argument("--jobs", type=int, default=1, help="targets at a time (1)")
    parser.add_argument("--rounds", type=int, default=1, help="how often over all targets (1)")
    parser.add_argument("--merge", action="store_true", help="make the committed inputs again; nothing is logged")
    arguments = parser.parse_args()
    chosen = [known[name] for name in arguments.target or known]
    programs = build(chosen)
    built, environment = state(), make_inputs()
    if arguments.merge:
        for target in chosen:
            merge(target, programs[target.name], environment)
        return
    crashes = 0
    with ThreadPoolExecutor(arguments.jobs) as jobs:
        for _ in range(arguments.rounds):
            left = {target: arguments.seconds for target in chosen}
            if arguments.until is not None:
                left = {target: min(seconds, arguments.until - logged(target.name)) for target, seconds in left.items()}
            now = [target for target, seconds in left.items() if seconds > 0]
            for row in jobs.map(lambda t, left=left: run(t, programs[t.name], left[t], environment), now):
                add(row, built)
                crashes += row["crashes"]
                print(json.dumps(row), flush=True)
    if crashes:
        raise SystemExit(f"{crashes} inputs stopped a program")


if __name__ == "__main__":
    main()
