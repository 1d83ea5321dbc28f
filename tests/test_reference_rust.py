"""Rust and NumPy give the same integers, tensor by tensor."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from veritune.reference import OutOfRange, step
from veritune.reference.leaf import leaf_tensors
from veritune.reference.tiny import case

ROOT = Path(__file__).parent.parent
NOT_TRACED = (".remainder", ".slack", ".upper", ".magnitude")
CASES: dict[str, tuple[dict[str, Any], int]] = {
    "all seven targets, two rows, AdamW": ({"seed": 0, "rows": 2}, 3),
    "first step": ({"seed": 1}, 1),
    "bias, untied head, three rows": ({"seed": 2, "bias": True, "tied": False, "rows": 3, "schedule": "linear"}, 5),
    "SGD": ({"seed": 3, "optimizer": "sgd", "schedule": "constant", "learning_rate": "0.01"}, 7),
    "three heads on one": (
        {"seed": 4, "targets": ("q_proj", "v_proj"), "kv_heads": 1, "heads": 3, "head_dim": 6},
        11,
    ),
    "no label": ({"seed": 5, "labels": False}, 4),
    "no clipping": ({"seed": 6, "max_grad_norm": "1000", "scaling": 0.25}, 4),
    "odd sizes": (
        {"seed": 7, "kv_heads": 4, "head_dim": 16, "hidden": 16, "tokens": 13, "rows": 2, "layers": 3, "vocab": 5},
        20,
    ),
    "betas of four decimals": ({"seed": 9, "adam_beta1": "0.9375", "adam_beta2": "0.9995"}, 3),
    "wide kinds, norms in limbs": ({"seed": 8, "rows": 2, "range_bits": 20}, 3),
}


def put(folder: Path, name: str, values: Any) -> None:
    (folder / "in" / f"{name}.i64").write_bytes(np.ascontiguousarray(values, dtype="<i8").tobytes())


@pytest.mark.parametrize("name", CASES)
def test_every_tensor_has_the_same_bits(name: str, examples: Path, tmp_path: Path) -> None:
    options, number = CASES[name]
    options = dict(options)
    made = case(options.pop("seed"), **options)
    (tmp_path / "in").mkdir()
    (tmp_path / "spec.json").write_text(json.dumps(made.spec))
    (tmp_path / "meta.json").write_text(json.dumps({"step": number}))
    for tensor, values in made.base.items():
        put(tmp_path, tensor, values)
    for matrix, parts in made.state.items():
        for part, values in zip(("master", "first", "second"), parts, strict=True):
            put(tmp_path, f"state_before.{matrix}.{part}", values)
    labelled = made.targets != -100
    put(tmp_path, "batch.tokens", made.tokens)
    put(tmp_path, "batch.targets", np.where(labelled, made.targets, 0))
    put(tmp_path, "batch.supervised", labelled)
    half = (2**64 - 2**32) // 2
    headers = np.random.default_rng(number).integers(-half, half, (made.tokens.shape[0], 8), endpoint=True)
    put(tmp_path, "batch.leaf.header", headers)

    ran = subprocess.run([str(examples / "step_dump"), str(tmp_path)], capture_output=True, text=True, check=False)
    try:
        mine = step(made.spec, made.base, made.state, made.tokens, made.targets, number).tensors
        mine |= leaf_tensors(headers, made.tokens, made.targets)[0]
    except OutOfRange:
        assert ran.returncode == 4, ran.stderr
        pytest.fail(f"the case leaves its range on both sides: {ran.stderr}")
    assert ran.returncode == 0, ran.stderr
    compared = 0
    for entry in json.loads((tmp_path / "out.json").read_text()):
        tensor = entry["name"]
        if tensor.endswith(NOT_TRACED):
            continue
        rust = np.frombuffer((tmp_path / "out" / f"{tensor}.i64").read_bytes(), dtype="<i8").reshape(entry["shape"])
        assert np.array_equal(mine[tensor], rust), tensor
        compared += 1
    assert compared > 80
