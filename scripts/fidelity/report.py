"""Makes docs/benchmarks/fidelity.md from fidelity.json."""

import json
from pathlib import Path

FOLDER = Path(__file__).parent.parent.parent / "docs/benchmarks"
HEAD = """# Fidelity on SmolLM2-135M

Exact integer training beside PEFT: the same initial A, order of rows and hyper-parameters. SmolLM2-135M-Instruct (GGUF,
Q4_1, all 30 layers), rank 8, alpha 16, AdamW 1e-3 after 4 steps of warm-up, weight decay 0.01, clipping at 1.0, 64
tokens a row, rows of `alpaca_en_demo` (llamafactory 0.9.5). A run's seed (5 unless said) gives A and the order of rows;
calibration has another. No row is in two of the sets for calibration, held-out loss and training (the dataset repeats
some rows; the first of equal ones is kept). Rows of a step are batch times accumulation; their gradients are summed in
the step and divided by its labels. By

    {command}

on {cpu} ({cores} cores, {memory_gib} GiB), {rustc}. {note}

**Gradient error**: relative L2 distance of the step's gradient (all matrices together) from float64's at the run's own
adapter. **Held out**: mean loss in nats over 120 held-out rows; the difference is exact minus PEFT float32.
**Adapter**: relative L2 distance of the exact adapter from PEFT's after so many steps, of the whole and of what
training moved; where a gradient entry is near zero, Adam's first steps turn a difference in its sign into a whole
learning rate. **Ranges**: a value outside the range of its kind stops a run, so a run that did its steps had none.
"""


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f} %"


def run_section(name: str, run: dict) -> list[str]:
    options = ", ".join(f"{key} {value}" for key, value in run["options"].items())
    lines = [
        f"## {name}",
        "",
        f"{options}; rows a step: {run['rows_per_step']}; commit `{run['commit']}`. "
        f"{run['steps']} steps done, clipping active in {run['steps_clipped']}; "
        f"{run['seconds_per_step']} s a step on {run['threads']} threads, "
        f"{run['peak_mib']} MiB at the peak.",
        "",
    ]
    if run["gradient_error"]:
        lines += ["| step | gradient error | A | B | worst matrix kind |", "|---|---|---|---|---|"]
        for step, error in run["gradient_error"].items():
            cells = [percent(error[key]) for key in ("all", "a", "b", "worst_kind")]
            lines.append(f"| {step} | {' | '.join(cells)} |")
        lines.append("")
    if run["adapter_distance"]:
        lines += ["| after step | adapter | moved |", "|---|---|---|"]
        for step, distance in run["adapter_distance"].items():
            lines.append(f"| {step} | {percent(distance['adapter'])} | {percent(distance['moved'])} |")
        lines.append("")
    held_out = run["held_out"] or {}
    if "difference" in held_out:
        lines.append(
            f"Held out ({held_out['rows']} rows, {held_out['labels']} labels): "
            f"{held_out['before']:.5f} before, {held_out['float32_after']:.5f} PEFT float32, "
            f"{held_out['exact_after']:.5f} exact, **difference {held_out['difference']:+.6f} nat**."
        )
    use = ", ".join(f"{kind} {share:.2f}" for kind, share in run["greatest_range_use"].items())
    return [*lines, "", f"Greatest use of ranges over the run (1 would stop it): {use}.", ""]


def ablation_section(ablation: dict) -> list[str]:
    lines = [
        "## What the rounding of each kind costs",
        "",
        "Gradient error of the first step of `qv` with one kind rounded and all else in float32, by its",
        "fraction bits (for weights: width), before and after the widths were fitted.",
        "",
        "| kind | before | after |",
        "|---|---|---|",
    ]
    for kind, errors in ablation.items():
        cells = [f"{bits}: {percent(error)}" for bits, error in errors.items()]
        lines.append(f"| {kind} | {cells[0] if len(cells) == 2 else 'exact'} | {cells[-1]} |")
    return [*lines, ""]


def main() -> None:
    result = json.loads((FOLDER / "fidelity.json").read_text())
    head = HEAD.format(**result, **result["machine"])
    lines = [head]
    for name, run in result["runs"].items():
        lines += run_section(name, run)
    if result.get("ablation"):
        lines += ablation_section(result["ablation"])
    versions = next(iter(result["runs"].values()))["versions"] if result["runs"] else {}
    lines.append("Versions: " + ", ".join(f"{k} {v}" for k, v in versions.items()) + ".")
    (FOLDER / "fidelity.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
