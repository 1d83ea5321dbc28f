"""kill -9 at random moments of `veritune train` and `veritune prove`, started again until they are done.

Every run begins in an empty folder. Each call of the command is killed at a moment drawn uniformly over the measured
duration of a whole call (interpreter start and end included), half as long again after each call that finished no file;
a call that ends first counts no kill. Then:

* states and roots are those of a run that nothing interrupted, under the same secret, byte for byte;
* the certificate verifies, and the adapter holds the files of a certificate and no other; or the openings of a tree are
  spent, and `prove` ends with exit 3 and names its root;
* after every kill of `prove` the adapter folder is not there, or it is whole and verifies;
* after every kill each root is counted in the record of openings at least as often as attempts were ever seen that open
  it, those whose proofs are gone included (half-written ones without a witness root only while they are there); no
  count is past the budget, none is smaller than before;
* no two attempts of one step have one witness root, half-written proofs included (`Attempt` says why it is the root);
* the call after a kill says which process was killed;
* nothing half-written is left.

At the end one run of each worker loses a proof again and again, until its budget is spent.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from small_job import (
    Attempt,
    Job,
    argv,
    attempt,
    budget,
    commit,
    machine,
    opened,
    openings,
    require,
    states,
    unprove,
)

File = tuple[int, int]
"""Inode and time of the last change: a file that is made anew differs in it, one that gets its name does not."""
START, STEPS, END = "before the first step", "between first and last step", "after the last step"


class Killer:
    """Kills one command at random moments until the required number is reached."""

    def __init__(self, job: Job, name: str, worker: int, seed: int, seconds: float) -> None:
        self.job, self.name, self.label = job, name, f"{name}-{worker}-"
        self.moments = random.Random(f"{seed} {self.label}")
        self.seconds = seconds
        self.kills = self.calls = self.runs = self.spent = self.attempts = 0
        self.phases = {START: 0, STEPS: 0, END: 0}
        self.seen: dict[Path, dict[int, dict[bytes, tuple[File, Attempt]]]] = {}
        self.counts: dict[str, int] = {}

    def phase(self, run: Path) -> str:
        """Where the command was when it was killed, by the files that it had finished."""
        kind = "steps/*.root" if self.name == "train" else "certificate/proofs/step-*.bin"
        first = 1 if self.name == "train" else 0
        done = len(list(run.glob(kind))) - first
        return START if done <= 0 else END if done >= self.job.steps else STEPS

    def look(self, run: Path) -> None:
        """Checks the record of openings and the proofs that are there, whole or half-written."""
        if not (run / "secret" / "run.key").exists():
            return
        before, self.counts = self.counts, openings(run)
        for tree, count in before.items():
            require(self.counts.get(tree, 0) >= count, f"{run.name}: {tree} is counted less than before")
        require(all(count <= budget() for count in self.counts.values()), f"{run.name}: past a budget: {self.counts}")
        attempts = self.seen.setdefault(run, {})
        without_root: Counter[int] = Counter()
        for path in sorted((run / "certificate" / "proofs").glob("step-*.bin*")):
            proof, step = path.read_bytes(), int(path.name[5:11])
            if not any(proof):  # its space is taken, its openings may not be counted yet
                require(path.suffix != ".bin", f"{run.name}: {path.name} is empty")
                continue
            found = attempt(self.job.plan, proof)
            if any(found.witness_root):
                status = path.stat()
                self.attempted(run, step, found, (status.st_ino, status.st_mtime_ns))
            else:
                without_root[step] += 1
        for state in range(1, self.job.steps + 1):
            # Its own step's proofs open it, and the next one's.
            made = sum(len(attempts.get(step, ())) + without_root[step] for step in (state, state + 1))
            require(
                not made or opened(run, state) >= made, f"{run.name}: {made} attempts open state {state}: {self.counts}"
            )

    def attempted(self, run: Path, step: int, found: Attempt, file: File) -> None:
        """An attempt of a step is the file seen before, or has a witness root that none had before."""
        others = self.seen[run].setdefault(step, {})
        if found.witness_root in others:
            same = others[found.witness_root] == (file, found)
            require(same, f"{run.name}: two attempts of step {step} with one witness root")
            return
        same = all(found.statement == other.statement for _, other in others.values())
        require(same, f"{run.name}: two statements of step {step}")
        others[found.witness_root] = (file, found)
        self.attempts += 1

    def refused(self, run: Path, answer: str) -> bool:
        """Whether the command ended because a budget is spent, which then is so, with the root named."""
        error = json.loads(answer) if answer.startswith("{") else {}
        if (error.get("code"), error.get("exit")) != ("VT-JOB-014", 3):
            return False
        name = error["location"]
        root = (run / "steps" / f"{int(name.removeprefix('state ')):06}.root").read_bytes().hex()
        require(root in error["message"], f"{run.name}: the root of {name} is not named: {error}")
        require(openings(run)[name] == budget(), f"{run.name}: {name} is refused with {openings(run)}")
        return True

    def until_done(self, run: Path) -> bool:
        """Starts the command, kills it, starts it again, until it ends by itself; returns whether it did its work."""
        self.runs += 1
        self.counts = {}
        interval, finished = self.seconds, -1
        while True:
            self.calls += 1
            lock = run / ".lock"
            killed = lock.read_text("ascii") if lock.exists() else ""
            words = argv(*self.job.words(self.name, run))
            with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
                try:
                    answer, stderr = process.communicate(timeout=self.moments.uniform(0, interval))
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    answer, stderr = process.communicate()
            if process.returncode >= 0:
                require(
                    not killed or f"{killed} was killed" in stderr, f"{run.name}: {killed} is not told of\n{stderr}"
                )
            self.look(run)
            if process.returncode == 0:
                return True
            if self.refused(run, answer):
                self.spent += 1
                return False
            require(process.returncode == -signal.SIGKILL, f"{self.name}: exit {process.returncode}\n{stderr}")
            self.kills += 1
            self.phases[self.phase(run)] += 1
            # A machine that is busier now than when the call was measured would kill every call before its first file.
            before, finished = finished, len(list(run.rglob("*")))
            interval = interval * 1.5 if finished == before else self.seconds
            if self.name == "prove" and self.job.adapter(run).exists():
                # Killed between the last rename and the end of the process: there is nothing left to do.
                self.job.verify(run)
                return True


def kill_train(job: Job, killer: Killer, kills: int) -> None:
    """At least ``kills`` kills of train."""
    while killer.kills < kills:
        run = job.folder / f"{killer.label}{killer.runs}"
        killer.until_done(run)
        whole = job.folder / f"{killer.label}-whole"
        require(states(run) == job.uninterrupted(whole, run), f"{run.name}: other states than an uninterrupted run's")
        job.clean(run)
        shutil.rmtree(whole)
        shutil.rmtree(run)
        print(f"{run.name}: {killer.kills} kills, equal", flush=True)


def kill_prove(job: Job, killer: Killer, kills: int, trained: Path) -> None:
    """At least ``kills`` kills of prove, each run on a copy of the trained one."""
    while killer.kills < kills:
        run = job.folder / f"{killer.label}{killer.runs}"
        shutil.copytree(trained, run)
        done = killer.until_done(run)
        require(states(run) == states(trained), f"{run.name}: proving changed a state")
        if done:
            job.verify(run)
        else:
            require(not job.adapter(run).exists(), f"{run.name}: an adapter in spite of a spent budget")
        job.clean(run)
        if killer.kills >= kills:
            lose_proofs(job, killer, run)
        shutil.rmtree(run)
        shutil.rmtree(job.adapter(run), ignore_errors=True)
        print(f"{run.name}: {killer.kills} kills, {'verified' if done else 'spent'}", flush=True)


def lose_proofs(job: Job, killer: Killer, run: Path) -> None:
    """The proof of the first step is lost and made again until the budget is spent: then exit 3, with the root."""
    proof = run / "certificate" / "proofs" / "step-000001.bin"
    words = [*job.words("prove", run), "--overwrite"]
    for _ in range(budget() + 1):
        proof.unlink(missing_ok=True)
        ran = subprocess.run(argv(*words), capture_output=True, text=True, check=False)
        killer.look(run)
        if ran.returncode != 0:
            require(killer.refused(run, ran.stdout), f"{run.name}: {ran.stdout}{ran.stderr}")
            require(not proof.exists(), f"{run.name}: a proof in spite of a spent budget")
            killer.spent += 1
            return
        job.verify(run)
    raise SystemExit(f"FAULT: {run.name}: {openings(run)} and still proved")


def measure(job: Job, name: str, run: Path) -> float:
    """Seconds of a call that nothing interrupts: the interval of the moments."""
    begun = time.monotonic()
    job.command(*job.words(name, run))
    return time.monotonic() - begun


def row(name: str, killers: list[Killer]) -> dict[str, Any]:
    """The figures of one command."""
    own = [killer for killer in killers if killer.name == name]
    return {
        "command": f"veritune {name}",
        "kills": sum(killer.kills for killer in own),
        "killed": {phase: sum(killer.phases[phase] for killer in own) for phase in (START, STEPS, END)},
        "calls": sum(killer.calls for killer in own),
        "runs": sum(killer.runs for killer in own),
        "attempts": sum(killer.attempts for killer in own),
        "spent": sum(killer.spent for killer in own),
        "seconds_of_a_whole_call": round(own[0].seconds, 2),
    }


def page(figures: dict[str, Any]) -> str:
    """The figures as a page."""
    heads = ["command", "kills", START, STEPS, END, "calls", "runs", "attempts of steps", "budgets spent"]
    heads.append("seconds of a whole call")
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for row in figures["rows"]:
        killed = [row["killed"][phase] for phase in (START, STEPS, END)]
        cells = [
            f"`{row['command']}`",
            row["kills"],
            *killed,
            row["calls"],
            row["runs"],
            row["attempts"],
            row["spent"],
            row["seconds_of_a_whole_call"],
        ]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return f"""\
# kill -9 at random moments

Made by `{figures["command"]}` (`make test-kill`) at commit {figures["commit"]} on {figures["machine"]}: the small
model, demo rows of 16 tokens, rank 2 on q and v, {figures["steps"]} steps, the real command.
Moments are uniform over a whole call, half as long again after each call that finished no file.

{chr(10).join(lines)}

After every run the states and their roots were those of an uninterrupted run under the same secret, byte for byte; the
certificate verified; the adapter held the files of a certificate and no other; nothing half-written was left. After
every kill of `prove` the adapter folder was absent, or whole and verified; every root was counted at least as often as
attempts were ever seen that open it, those whose proofs were gone included; no count was past the budget of {budget()}
or smaller than before. No two attempts of a step had the same witness root, in which pads used again would show. The
next call named the process that was killed. Where a budget was spent, by kills or by losing a proof again and again,
`prove` ended with exit 3 and the root.
"""


def main() -> None:
    """Runs the kills and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100, help="least number of kills of each command")
    parser.add_argument("--steps", type=int, default=3, help="steps of the run")
    parser.add_argument("--workers", type=int, default=1, help="runs of each command at a time")
    parser.add_argument("--seed", type=int, default=1, help="seed of the moments")
    parser.add_argument("--out", type=Path, help="JSON file of the figures")
    options = parser.parse_args()
    figures: dict[str, Any] = {
        "command": f"scripts/faults/kill.py --kills {options.kills}",
        "commit": commit(),
        "machine": machine(),
        "steps": options.steps,
    }
    with tempfile.TemporaryDirectory(prefix="veritune-kill-") as folder, ThreadPoolExecutor() as pool:
        job = Job(Path(folder), options.steps)
        trained = job.folder / "trained"
        seconds = {name: measure(job, name, trained) for name in ("train", "prove")}
        unprove(trained)
        shutil.rmtree(trained / "release")
        killers = [
            Killer(job, name, worker, options.seed, seconds[name])
            for name in ("train", "prove")
            for worker in range(options.workers)
        ]
        kills = -(-options.kills // options.workers)
        done = [
            pool.submit(kill_train, job, killer, kills)
            if killer.name == "train"
            else pool.submit(kill_prove, job, killer, kills, trained)
            for killer in killers
        ]
        for future in done:
            future.result()
    rows = [row(name, killers) for name in ("train", "prove")]
    for figures_of in rows:
        print(json.dumps(figures_of), flush=True)
    if options.out:
        figures["rows"] = rows
        options.out.write_text(json.dumps(figures, indent=2) + "\n")
        options.out.with_suffix(".md").write_text(page(figures))


if __name__ == "__main__":
    main()
