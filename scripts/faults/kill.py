"""kill -9 at random moments of `veritune train` and `veritune prove`, started again until they are done.

Every run begins in an empty folder. Each call of the command is killed at a moment drawn uniformly over the measured
duration of a whole call (interpreter start and end included), half as long again after each call that finished no file;
a call that ends first counts no kill. Then:

* states and roots are those of a run that nothing interrupted, under the same secret, byte for byte;
* the certificate verifies, and the adapter holds the files of a certificate and no other;
* after every kill of `prove` the adapter folder is not there, or it is whole and verifies;
* nothing half-written is left.
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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from small_job import Job, argv, commit, machine, require, states

START, STEPS, END = "before the first step", "between first and last step", "after the last step"


class Killer:
    """Kills one command at random moments until the required number is reached."""

    def __init__(self, job: Job, name: str, worker: int, seed: int, seconds: float) -> None:
        self.job, self.name, self.label = job, name, f"{name}-{worker}-"
        self.moments = random.Random(f"{seed} {self.label}")
        self.seconds = seconds
        self.kills = self.calls = self.runs = 0
        self.phases = {START: 0, STEPS: 0, END: 0}

    def phase(self, run: Path) -> str:
        """Where the command was when it was killed, by the files that it had finished."""
        kind = "steps/*.root" if self.name == "train" else "certificate/proofs/step-*.bin"
        first = 1 if self.name == "train" else 0
        done = len(list(run.glob(kind))) - first
        return START if done <= 0 else END if done >= self.job.steps else STEPS

    def until_done(self, run: Path) -> None:
        """Starts the command, kills it, starts it again, until it ends by itself."""
        self.runs += 1
        interval, finished = self.seconds, -1
        while True:
            self.calls += 1
            words = argv(*self.job.words(self.name, run))
            with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
                try:
                    _, stderr = process.communicate(timeout=self.moments.uniform(0, interval))
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    _, stderr = process.communicate()
            if process.returncode == 0:
                return
            require(process.returncode == -signal.SIGKILL, f"{self.name}: exit {process.returncode}\n{stderr}")
            self.kills += 1
            self.phases[self.phase(run)] += 1
            # A machine that is busier now than when the call was measured would kill every call before its first file.
            before, finished = finished, len(list(run.rglob("*")))
            interval = interval * 1.5 if finished == before else self.seconds
            if self.name == "prove" and self.job.adapter(run).exists():
                # Killed between the last rename and the end of the process: there is nothing left to do.
                self.job.verify(run)
                return


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
        killer.until_done(run)
        require(states(run) == states(trained), f"{run.name}: proving changed a state")
        job.verify(run)
        job.clean(run)
        shutil.rmtree(run)
        shutil.rmtree(job.adapter(run))
        print(f"{run.name}: {killer.kills} kills, verified", flush=True)


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
        "seconds_of_a_whole_call": round(own[0].seconds, 2),
    }


def page(figures: dict[str, Any]) -> str:
    """The figures as a page."""
    heads = ["command", "kills", START, STEPS, END, "calls", "runs", "seconds of a whole call"]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for row in figures["rows"]:
        killed = [row["killed"][phase] for phase in (START, STEPS, END)]
        cells = [
            f"`{row['command']}`",
            row["kills"],
            *killed,
            row["calls"],
            row["runs"],
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
every kill of `prove` the adapter folder was absent, or whole and verified.
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
    with tempfile.TemporaryDirectory(prefix="veritune-kill-") as folder, ThreadPoolExecutor() as pool:
        job = Job(Path(folder), options.steps)
        trained = job.folder / "trained"
        seconds = {name: measure(job, name, trained) for name in ("train", "prove")}
        for path in (trained / "certificate", trained / "release"):
            shutil.rmtree(path)
        (trained / "openings.json").unlink()
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
        figures = {
            "command": f"scripts/faults/kill.py --kills {options.kills}",
            "commit": commit(),
            "machine": machine(),
        }
        figures |= {"steps": options.steps, "rows": rows}
        options.out.write_text(json.dumps(figures, indent=2) + "\n")
        options.out.with_suffix(".md").write_text(page(figures))


if __name__ == "__main__":
    main()
