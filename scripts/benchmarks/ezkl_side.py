"""Proves one workload with ezkl in a folder and prints one line of JSON: the peer's side of ``peers.py``.

Inputs and weights are ``private``: hidden witness values without a commitment of their own, the cheapest visibility
that hides them. Outputs are public, because ezkl refuses a graph with nothing public. The SRS is made locally
(``gen_srs``), one for each size because ezkl transforms a larger one at every call: fit for timing, not for trust.

Usage: ``python ezkl_side.py WORKLOAD FOLDER SRS_FOLDER REPEAT``.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import ezkl
import onnx
from ezkl_graphs import build

#: Fraction bits of inputs and weights: ezkl's default.
SCALE = 7


def call(function: Callable[..., object], *arguments: object, **keywords: object) -> tuple[object, float]:
    """The result of an ezkl function, awaited where this version returns a future, and its wall time in seconds."""
    begun = time.perf_counter()

    async def awaited() -> object:
        result = function(*arguments, **keywords)
        return await result if inspect.isawaitable(result) else result

    result = asyncio.run(awaited())
    return result, time.perf_counter() - begun


def run_arguments() -> ezkl.PyRunArgs:
    """Inputs and weights private, outputs public, default scales."""
    arguments = ezkl.PyRunArgs()
    arguments.input_visibility = "private"
    arguments.param_visibility = "private"
    arguments.output_visibility = "public"
    arguments.input_scale = SCALE
    arguments.param_scale = SCALE
    return arguments


def srs_file(folder: Path, settings: str) -> str:
    """The SRS of the settings' size, made unless the folder has it."""
    log_rows = json.loads(Path(settings).read_text())["run_args"]["logrows"]
    path = folder / f"kzg-{log_rows}.srs"
    if not path.exists():
        partial = path.with_suffix(".partial")
        ezkl.gen_srs(str(partial), log_rows)
        partial.rename(path)
    return str(path)


def main(name: str, folder: Path, srs_folder: Path, repeat: int) -> dict[str, object]:
    """Set up unless the folder has keys, prove ``repeat`` times, verify; returns what it cost."""
    folder.mkdir(parents=True, exist_ok=True)
    graph = build(name)
    files = ["network.onnx", "settings.json", "input.json", "network.ezkl", "vk.key", "pk.key", "w.json", "proof.json"]
    model, settings, data, compiled, vk, pk, witness, proof = (str(folder / file) for file in files)
    setup = None
    if not Path(pk).exists():
        onnx.save(graph.model, model)
        Path(data).write_text(json.dumps({"input_data": [values.reshape(-1).tolist() for values in graph.inputs]}))
        setup = call(ezkl.gen_settings, model, settings, py_run_args=run_arguments())[1]
        setup += call(ezkl.calibrate_settings, data, model, settings, "resources", scales=[SCALE])[1]
        setup += call(ezkl.compile_circuit, model, compiled, settings)[1]
        setup += call(ezkl.setup, compiled, vk, pk, srs_file(srs_folder, settings))[1]
    srs = srs_file(srs_folder, settings)
    run = json.loads(Path(settings).read_text())["run_args"]
    prove, verify = [], []
    for _ in range(repeat):
        seconds = call(ezkl.gen_witness, data, compiled, witness)[1]
        seconds += call(ezkl.prove, witness, compiled, pk, proof, srs)[1]
        prove.append(seconds)
        verdict, seconds = call(ezkl.verify, proof, settings, vk, srs, reduced_srs=False)
        if verdict is not True:
            raise SystemExit("ezkl refuses its own proof")
        verify.append(seconds)
    sent = json.loads(Path(proof).read_text())["proof"]
    return {
        "workload": name,
        "version": ezkl.__version__,
        "compared": graph.compared,
        "precision": f"{SCALE} fraction bits",
        "scales": [run["input_scale"], run["param_scale"]],
        "lookup_range": run["lookup_range"],
        "logrows": run["logrows"],
        "setup_seconds": setup,
        "prove_seconds": prove,
        "verify_seconds": verify,
        "proof_bytes": len(sent) if isinstance(sent, list) else (len(sent) - 2) // 2,
        "key_bytes": Path(pk).stat().st_size,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))))
