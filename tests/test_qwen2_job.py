"""A Qwen2 checkpoint of transformers through the whole job, and its gradients against transformers' in float64.

The weights are random (no small real Qwen2 checkpoint is on a package registry); its biases on query, key and value
are far from zero, so a step that left them out would be far off.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen2ForCausalLM

from veritune.job import Job
from veritune.keys import generate_key_files
from veritune.plan import make_plan, read_plan
from veritune.reference import float64
from veritune.run import prove, train
from veritune.sampler import step_rows
from veritune.verify import Request, verdict_of

pytestmark = pytest.mark.hf
HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD_DIM, INNER, RANK, TOKENS = 64, 2, 4, 2, 16, 96, 4, 16
MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
RATE, STEPS, BATCH = 0.2, 2, 2
TOLERANCE = 0.01
"""Of the norm of each matrix's gradient in each layer; rate and weights make no gradient tiny."""


@dataclass(frozen=True)
class Finished:
    """A proved job, its model and its keys."""

    job: Job
    model: Path
    public: str


def checkpoint(folder: Path, vocabulary: int) -> Path:
    torch.manual_seed(11)
    config = Qwen2Config(
        vocab_size=vocabulary, hidden_size=HIDDEN, intermediate_size=INNER, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=KV_HEADS, max_position_embeddings=128, rope_theta=10000.0,
        tie_word_embeddings=True, initializer_range=0.16,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config)
    with torch.no_grad():
        for layer in model.model.layers:
            for module in MODULES[:3]:
                getattr(layer.self_attn, module).bias.normal_(0, 0.3)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, model_dir: Path, demo_rows: Path) -> Finished:
    folder = tmp_path_factory.mktemp("qwen2")
    vocabulary = json.loads((model_dir / "config.json").read_text())["vocab_size"]
    model = checkpoint(folder / "model", vocabulary)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(model_dir / name, model / name)
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        f"""\
schema: veritune.recipe/v1
model: {{path: model}}
data: {{files: [{json.dumps(str(demo_rows))}], max_length: {TOKENS}, long_rows: truncate, label_mask: all}}
lora: {{r: {RANK}, lora_alpha: {2 * RANK}, target_modules: [{", ".join(MODULES)}]}}
train: {{optim: sgd, learning_rate: {RATE}, lr_scheduler_type: constant, max_grad_norm: 1000,
  per_device_train_batch_size: {BATCH}, max_steps: {STEPS}}}
disclose: {{order: public}}
"""
    )
    job = Job(folder / "job")
    private, public = generate_key_files(folder / "keys", "maker")
    make_plan(recipe, job, key=private)
    train(job.plan)
    prove(job.run, private)
    return Finished(job, model, public.read_text("ascii"))


def masters(job: Job, step: int) -> dict[str, np.ndarray]:
    """Every matrix's master of a state, (layer, rank, in) or (layer, out, rank), float64."""
    plan = read_plan(job.plan)
    unit = 2.0 ** -plan.value["spec"]["scales"]["master"]["fraction_bits"]
    words = np.frombuffer((job.run / "steps" / f"{step:06}.state").read_bytes()[:-32], "<i8")
    key, query = KV_HEADS * HEAD_DIM, HEADS * HEAD_DIM
    widths = {
        "q_proj": (HIDDEN, query), "k_proj": (HIDDEN, key), "v_proj": (HIDDEN, key), "o_proj": (query, HIDDEN),
        "gate_proj": (HIDDEN, INNER), "up_proj": (HIDDEN, INNER), "down_proj": (INNER, HIDDEN),
    }  # fmt: skip
    found, offset = {}, 0
    for module, (inputs, outputs) in widths.items():
        for side, shape in (("a", (LAYERS, RANK, inputs)), ("b", (LAYERS, outputs, RANK))):
            size = int(np.prod(shape))
            found[f"{module}.{side}"] = words[offset : offset + size].reshape(shape) * unit
            offset += 3 * size
    assert offset == words.size
    return found


def copies(job: Job, matrices: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What forward and backward pass read: the masters, rounded half up to fewer bits."""
    scales = read_plan(job.plan).value["spec"]["scales"]
    units = {name: 2.0 ** -scales[name[-1]]["fraction_bits"] for name in matrices}
    return {name: np.floor(matrix / units[name] + 0.5) * units[name] for name, matrix in matrices.items()}


def torch_gradients(
    model: Path, matrices: dict[str, np.ndarray], tokens: np.ndarray, targets: np.ndarray
) -> dict[str, np.ndarray]:
    """Gradients of the mean loss by transformers, PEFT and autograd, everything in float64."""
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float64)
    lora = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=list(MODULES), lora_dropout=0.0)
    peft: Any = get_peft_model(base, lora).double()
    parameters: dict[str, list[Any]] = {name: [] for name in matrices}
    for name, parameter in sorted(peft.named_parameters()):
        for module in MODULES:
            for side, word in (("a", "lora_A"), ("b", "lora_B")):
                if f".{module}.{word}." in name:
                    index = len(parameters[f"{module}.{side}"])
                    parameter.data = torch.tensor(matrices[f"{module}.{side}"][index])
                    parameters[f"{module}.{side}"].append(parameter)
    logits = peft(torch.tensor(tokens)).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.tensor(targets).flatten(), ignore_index=-100)
    loss.backward()
    return {name: np.stack([p.grad.numpy() for p in items]) for name, items in parameters.items()}


def batch(job: Job, step: int) -> tuple[np.ndarray, np.ndarray]:
    rows = job.read_rows()
    seed = bytes.fromhex(json.loads(job.seed.read_bytes())["seed"])
    chosen = step_rows(seed, step, len(rows.tokens), BATCH)
    return rows.tokens[chosen], rows.targets[chosen]


def test_the_certificate_verifies(finished: Finished) -> None:
    verdict = verdict_of(finished.job.adapter, Request(keys=[finished.public]))
    assert verdict["exit"] == 0, verdict["message"]
    assert read_plan(finished.job.plan).value["spec"]["model"]["qkv_bias"] is True


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_the_proved_updates_are_transformers_gradients(finished: Finished, step: int) -> None:
    """SGD without decay and clipping: the update divided by the rate is the gradient that was proved."""
    before, after = masters(finished.job, step - 1), masters(finished.job, step)
    expected = torch_gradients(finished.model, copies(finished.job, before), *batch(finished.job, step))
    seen = 0
    for name, real in expected.items():
        got = (before[name] - after[name]) / RATE
        for layer in range(LAYERS):
            size = np.linalg.norm(real[layer])
            if size > 0:
                seen += 1
                assert np.linalg.norm(got[layer] - real[layer]) <= TOLERANCE * size, (name, layer)
            else:  # B = 0 before the first step, and A has no gradient
                assert step == 1 and name.endswith(".a") and not got[layer].any()
    assert seen == (LAYERS * len(MODULES) if step == 1 else 2 * LAYERS * len(MODULES))


def test_our_float64_pass_is_transformers(finished: Finished) -> None:
    """The reference that every other gradient test is measured against, with bias.

    Equal to float32's rounding: transformers computes norms and rotations in float32 whatever the model's type.
    """
    matrices = masters(finished.job, STEPS)
    tokens, targets = batch(finished.job, 1)
    expected = torch_gradients(finished.model, matrices, tokens, targets)
    tensors = AutoModelForCausalLM.from_pretrained(finished.model, dtype=torch.float64).state_dict()

    def stack(name: str) -> np.ndarray:
        return np.stack([tensors[f"model.layers.{i}.{name}"].numpy() for i in range(LAYERS)])

    blocks = {m: "mlp" if m in MODULES[4:] else "self_attn" for m in MODULES}
    embedding = tensors["model.embed_tokens.weight"].numpy()
    weights = float64.Weights(
        embedding, embedding, {m: stack(f"{block}.{m}.weight") for m, block in blocks.items()},
        {m: stack(f"self_attn.{m}.bias") for m in MODULES[:3]},
        stack("input_layernorm.weight"), stack("post_attention_layernorm.weight"), tensors["model.norm.weight"].numpy(),
    )  # fmt: skip
    config = float64.Config(LAYERS, HEADS, KV_HEADS, HEAD_DIM, 1e-6, 10000.0)
    pairs = {m: (matrices[f"{m}.a"], matrices[f"{m}.b"]) for m in MODULES}
    ours = float64.gradients(config, weights, float64.Lora(pairs, 2.0), tokens, targets)
    for name, real in expected.items():
        assert np.linalg.norm(ours.matrices[name] / ours.num_labels - real) <= 1e-5 * np.linalg.norm(real), name
    biasless = float64.Weights(**{**weights.__dict__, "bias": {}})
    without = float64.gradients(config, biasless, float64.Lora(pairs, 2.0), tokens, targets)
    name = "q_proj.a"
    assert np.linalg.norm(without.matrices[name] - ours.matrices[name]) > 0.1 * np.linalg.norm(ours.matrices[name])
