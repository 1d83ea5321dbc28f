"""``python -m veritune.reference dump``: one step on stored inputs, every tensor to a file.

Inputs (.npz, integer arrays): ``tokens``, ``targets`` (rows, tokens), ``step_number`` (scalar), every
base tensor by its name (``base.query`` …), the state as ``state_before.<matrix>.<part>``. Output
(.npz, int64): every tensor of the step by its name.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from veritune.reference.model import matrix_shapes
from veritune.reference.step import PARTS, step


def dump(spec_path: Path, inputs_path: Path, out_path: Path) -> None:
    """Runs the step and writes the tensors."""
    spec = json.loads(spec_path.read_text(encoding="utf-8"))
    with np.load(inputs_path, allow_pickle=False) as inputs:
        arrays = {name: inputs[name] for name in inputs.files}
    base = {name: values for name, values in arrays.items() if name.startswith("base.")}
    state = {}
    for name in matrix_shapes(spec):
        master, first, second = (arrays[f"state_before.{name}.{part}"] for part in PARTS)
        state[name] = (master, first, second)
    number = int(arrays["step_number"])
    trace = step(spec, base, state, arrays["tokens"], arrays["targets"], number)
    with out_path.open("wb") as file:
        np.savez(file, allow_pickle=False, **trace.tensors)


def main() -> None:
    """Parses the command line."""
    parser = argparse.ArgumentParser(prog="python -m veritune.reference", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("dump", help="one step, every tensor to a file")
    command.add_argument("--spec", type=Path, required=True, help="the Spec, JSON")
    command.add_argument("--inputs", type=Path, required=True, help="inputs, .npz")
    command.add_argument("--out", type=Path, required=True, help="where the tensors go, .npz")
    arguments = parser.parse_args()
    dump(arguments.spec, arguments.inputs, arguments.out)


if __name__ == "__main__":
    main()
