"""The integer reference step: against real numbers, and its behaviour option by option."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer

from veritune.reference import OutOfRange, RefusedSpec, float64, step
from veritune.reference.constants import step_constants
from veritune.reference.kinds import maxima_by_kind
from veritune.reference.model import MODULES
from veritune.reference.quantize import integer_base, integer_state, make_spec
from veritune.reference.tiny import Case, case, training

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "models" / "small"
TOLERANCE = 0.01
"""Of the norm of each matrix's gradient in each layer. Seen: at most 0.005 on the small model."""

Array = NDArray[Any]
Options = dict[str, Any]
CASES: dict[str, Options] = {
    "all seven targets": {"rows": 2},
    "bias, untied head": {"bias": True, "tied": False, "rows": 3},
    "one key head": {"kv_heads": 1, "heads": 3, "head_dim": 6, "targets": ("q_proj", "v_proj")},
    "no groups": {"kv_heads": 4, "head_dim": 16, "targets": ("o_proj", "down_proj")},
    "no clipping": {"max_grad_norm": "1000", "scaling": 0.125},
    "sgd": {"optimizer": "sgd", "learning_rate": "0.01"},
}


def run(c: Case, number: int = 3) -> dict[str, Array]:
    return step(c.spec, c.base, c.state, c.tokens, c.targets, number).tensors


def real_gradients(c: Case) -> float64.Gradients:
    return float64.gradients(c.config, c.weights, c.lora, c.tokens, c.targets)


def assert_gradients_close(c: Case, tensors: dict[str, Array], tolerance: float) -> None:
    real = real_gradients(c)
    assert real.matrices
    for name, expected in real.matrices.items():
        bits = c.spec["scales"][f"grad.{name[-1]}"]["fraction_bits"]
        got = tensors[f"grad.{name}"].reshape(expected.shape) / 2.0**bits
        for layer in range(len(expected)):
            error = np.linalg.norm(got[layer] - expected[layer])
            assert error <= tolerance * np.linalg.norm(expected[layer]), (name, layer)


# Real numbers.


@pytest.mark.parametrize("options", [{}, {"bias": True, "tied": False, "rows": 2}, {"kv_heads": 1}])
def test_float64_gradients_agree_with_finite_differences(options: Options) -> None:
    c = case(seed=3, layers=2, tokens=5, **options)
    real = real_gradients(c)
    rng = np.random.default_rng(0)
    for module, pair in c.lora.matrices.items():
        for side, matrix in zip("ab", pair, strict=True):
            direction = rng.normal(size=matrix.shape)
            eps = 1e-5
            losses = []
            for sign in (1, -1):
                moved = matrix + sign * eps * direction
                matrices = dict(c.lora.matrices)
                matrices[module] = (moved, pair[1]) if side == "a" else (pair[0], moved)
                lora = float64.Lora(matrices, c.lora.scaling)
                moved_pass = float64.gradients(c.config, c.weights, lora, c.tokens, c.targets)
                losses.append(moved_pass.loss_sum)
            slope = (losses[0] - losses[1]) / (2 * eps)
            expected = float((real.matrices[f"{module}.{side}"] * direction).sum())
            assert slope == pytest.approx(expected, rel=1e-6, abs=1e-7), (module, side)


@pytest.mark.parametrize("name", CASES)
def test_gradients_of_tiny_models_are_close_to_float64(name: str) -> None:
    for seed in (1, 2):
        c = case(seed, **CASES[name])
        assert_gradients_close(c, run(c), TOLERANCE)


def test_the_update_is_pytorchs_adamw() -> None:
    # Large enough gradients: at a few units of 2^-27, moments are coarse by design.
    c = case(1, rows=2, schedule="constant", warmup_steps=0)
    tensors = run(c, 5)
    real = real_gradients(c)
    factor = float64.clip_factor(real.matrices, real.num_labels, 1.0)
    assert tensors["clip.factor"] / 2**25 == pytest.approx(factor, rel=0.01)
    for name in real.matrices:
        bits = (30, 30, 58)
        w, m, v = (part / 2.0**f for part, f in zip(c.state[name], bits, strict=True))
        after = float64.adamw(
            (w, m, v), tensors[f"{name}.clipped"] / 2.0**27, 5,
            learning_rate=1e-3, betas=(0.9, 0.999), epsilon=1e-8, weight_decay=0.01,
        )  # fmt: skip
        parts = ("master", "first", "second")
        for part, f, expected in zip(parts, bits, after, strict=True):
            got = tensors[f"state_after.{name}.{part}"] / 2.0**f
            slack = {"master": 4e-8, "first": 2e-9, "second": 1e-14}[part]
            assert np.abs(got - expected).max() <= slack, (name, part)


# The real small model.


def small_weights() -> float64.Weights:
    content = (MODEL / "model.safetensors").read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "BF16"
        low, high = (start + offset for offset in entry["data_offsets"])
        words = np.frombuffer(content[low:high], "<u2").astype(np.uint32) << 16
        tensors[name] = words.view(np.float32).astype(np.float64).reshape(entry["shape"])
    num_layers = json.loads((MODEL / "config.json").read_text())["num_hidden_layers"]

    def stacked(name: str) -> Array:
        return np.stack([tensors[f"model.layers.{i}.{name}.weight"] for i in range(num_layers)])

    embedding = tensors["model.embed_tokens.weight"]
    blocks = {m: "mlp" if m in ("gate_proj", "up_proj", "down_proj") else "self_attn" for m in MODULES}
    return float64.Weights(
        embedding, embedding, {m: stacked(f"{block}.{m}") for m, block in blocks.items()}, {},
        stacked("input_layernorm"), stacked("post_attention_layernorm"), tensors["model.norm.weight"],
    )  # fmt: skip


def demo_rows(num_rows: int, bucket: int) -> tuple[Array, Array]:
    """The first rows, with the answer and end of text as labels."""
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    config = json.loads((MODEL / "config.json").read_text())
    tokens = np.full((num_rows, bucket), config["pad_token_id"])
    targets = np.full((num_rows, bucket), -100)
    lines = (ROOT / "data" / "demo" / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    for row, line in enumerate(lines[:num_rows]):
        fields = json.loads(line)
        prompt = tokenizer.encode(f"{fields['instruction']}\n{fields['input']}\n").ids
        answer = [*tokenizer.encode(fields["output"]).ids, config["eos_token_id"]]
        ids = prompt + answer
        assert len(ids) <= bucket
        tokens[row, : len(ids)] = ids
        targets[row, len(prompt) - 1 : len(ids) - 1] = answer
    return tokens, targets


def small_case(targets: tuple[str, ...], rows: int, b_scale: float) -> Case:
    config_json = json.loads((MODEL / "config.json").read_text())
    weights = small_weights()
    config = float64.Config(
        config_json["num_hidden_layers"], config_json["num_attention_heads"],
        config_json["num_key_value_heads"], config_json["head_dim"],
        config_json["rms_norm_eps"], config_json["rope_theta"],
    )  # fmt: skip
    rng = np.random.default_rng(7)
    matrices = {}
    for module in targets:
        layers, outputs, inputs = weights.linear[module].shape
        bound = inputs**-0.5
        a = rng.uniform(-bound, bound, (layers, 8, inputs))
        matrices[module] = (a, rng.normal(size=(layers, outputs, 8)) * b_scale)
    lora = float64.Lora(matrices, 2.0)
    tokens, labels = demo_rows(rows, 64)
    real = float64.gradients(config, weights, lora, tokens, labels)
    spec = make_spec(
        config, weights, lora, training(rows=rows, tokens=64), tied=True,
        decimals=("1e-5", "10000"), maxima=maxima_by_kind(real.maxima),
    )  # fmt: skip
    base, state = integer_base(spec, weights), integer_state(spec, lora)
    return Case(config, weights, lora, tokens, labels, spec, base, state)


@pytest.mark.parametrize(
    ("targets", "rows", "b_scale"),
    [(tuple(MODULES), 2, 0.02), (("q_proj", "v_proj"), 4, 0.05), (("q_proj", "v_proj"), 1, 0.0)],
)
def test_gradients_of_the_small_model_are_close_to_its_bf16_checkpoint(
    targets: tuple[str, ...], rows: int, b_scale: float
) -> None:
    c = small_case(targets, rows, b_scale)
    assert_gradients_close(c, run(c), TOLERANCE)


# Behaviour.


def test_without_labels_gradients_are_zero_and_decay_and_moments_still_act() -> None:
    c = case(5, labels=False)
    tensors = run(c, 4)
    factor = step_constants(c.spec["training"], 4, 34).decay_factor
    assert tensors["labels"] == 1 and tensors["labels.none"] == 1 and tensors["norm"] == 0
    for name, (master, first, _) in c.state.items():
        assert not tensors[f"grad.{name}"].any() and not tensors[f"{name}.clipped"].any()
        assert (tensors[f"state_after.{name}.first"] == (9 * first + 5) // 10).all()
        shift = 30 + {"a": 16, "b": 18}[name[-1]] - 30
        decay = tensors[f"{name}.copy"] * factor
        moved = ((master - tensors[f"{name}.update"] << shift) - decay + (1 << (shift - 1))) >> shift
        assert (tensors[f"state_after.{name}.master"] == moved).all() and (moved != master).any() and decay.any()


def test_clipping_acts_above_the_limit_only() -> None:
    clipped, free = run(case(6)), run(case(6, max_grad_norm="1000", scaling=0.25))
    assert clipped["clip.active"] == 1 and free["clip.active"] == 0
    norm, labels = int(clipped["norm"]), int(clipped["labels"])
    assert clipped["clip.factor"] == (1 << 45) // (norm + labels) < (1 << 25) // labels
    assert free["clip.factor"] == free["labels.inverse"] == (1 << 25) // int(free["labels"])
    assert free["clip.quotient"] == 0
    total = sum(int(g) ** 2 for name in case(6).state for g in clipped[f"grad.{name}"].flat)
    assert norm**2 <= total < (norm + 1) ** 2


def test_the_moments_are_kept_by_sgd() -> None:
    c = case(3, **CASES["sgd"])
    tensors = run(c)
    for name, (_, first, second) in c.state.items():
        assert (tensors[f"state_after.{name}.first"] == first).all()
        assert (tensors[f"state_after.{name}.second"] == second).all()


def test_rows_do_not_see_each_other_and_padding_changes_no_gradient() -> None:
    c = case(8, rows=2)
    tensors = run(c)
    alone = run(swapped(c))
    for name in ("residual", "grad.residual", "attention", "gate"):
        assert (tensors[name][:, ::-1] == alone[name]).all(), name
    for name in c.state:
        assert (tensors[f"grad.{name}"] == alone[f"grad.{name}"]).all(), name
    changed = c.tokens.copy()
    changed[:, -1] = (changed[:, -1] + 1) % c.spec["model"]["vocab"]
    padded = step(c.spec, c.base, c.state, changed, c.targets, 3).tensors
    for name in c.state:
        assert (padded[f"grad.{name}"] == tensors[f"grad.{name}"]).all(), name


def swapped(c: Case) -> Case:
    return Case(c.config, c.weights, c.lora, c.tokens[::-1], c.targets[::-1], c.spec, c.base, c.state)


def test_shapes_are_those_of_the_page() -> None:
    c = case(1, rows=2, tokens=9, layers=3)
    tensors = run(c)
    expected = {
        "residual": (4, 2, 9, 12), "grad.residual": (4, 2, 9, 12), "middle": (3, 2, 9, 12),
        "attention.norm.reciprocal": (3, 2, 9), "query_raw": (3, 2, 9, 2, 2, 2, 2),
        "key": (3, 2, 9, 2, 2, 2), "value": (3, 2, 9, 2, 4), "score": (3, 2, 2, 2, 9, 9),
        "score.maximum.argument": (3, 2, 2, 2, 9, 4), "attention": (3, 2, 9, 2, 2, 4),
        "gate": (3, 2, 9, 20), "logit": (2, 9, 31), "batch.token_bits": (2, 9, 5),
        "q_proj.inner": (3, 2, 9, 3), "grad.q_proj.a": (3, 3, 12), "grad.q_proj.b": (3, 2, 2, 2, 2, 3),
        "grad.o_proj.a": (3, 3, 2, 2, 4), "down_proj.b.copy": (3, 12, 3), "clip.factor": (),
    }  # fmt: skip
    assert {name: tensors[name].shape for name in expected} == expected


def test_masked_positions_are_zero_and_rows_of_probability_add_up() -> None:
    tensors = run(case(1))
    future = np.triu(np.ones((8, 8), dtype=bool), 1)
    assert not tensors["exponential"][..., future].any()
    assert not tensors["probability"][..., future].any()
    assert tensors["probability"].max() <= 1 << 16
    assert np.abs(tensors["probability"].sum(axis=-1) - (1 << 16)).max() <= 5


def test_a_value_out_of_range_names_its_tensor() -> None:
    c = case(1)
    c.spec["scales"]["gate"]["bits"] = 6
    with pytest.raises(OutOfRange, match="gate, layer 0") as caught:
        run(c)
    assert caught.value.tensor == "gate"


def test_inputs_of_other_shapes_and_unknown_tensors_are_refused() -> None:
    c = case(1)
    with pytest.raises(RefusedSpec, match="tokens: shape"):
        step(c.spec, c.base, c.state, c.tokens[:, 1:], c.targets, 3)
    with pytest.raises(RefusedSpec, match=r"base\.head"):
        step(c.spec, {**c.base, "base.head": c.base["base.embedding"]}, c.state, c.tokens, c.targets, 3)
    with pytest.raises(RefusedSpec, match=r"q_proj\.a"):
        step(c.spec, c.base, {k: v for k, v in c.state.items() if k != "q_proj.a"}, c.tokens, c.targets, 3)
    with pytest.raises(RefusedSpec, match="canonical order"):
        c.spec["lora"]["targets"].reverse()
        run(c)


def test_dump_writes_every_tensor(tmp_path: Path) -> None:
    c = case(1)
    (tmp_path / "spec.json").write_text(json.dumps(c.spec))
    arrays: dict[str, Any] = dict(c.base)
    for name, parts in c.state.items():
        for part, values in zip(("master", "first", "second"), parts, strict=True):
            arrays[f"state_before.{name}.{part}"] = values
    arrays |= {"tokens": c.tokens, "targets": c.targets, "step_number": np.array(3)}
    np.savez(tmp_path / "in.npz", **arrays)
    command = [sys.executable, "-m", "veritune.reference", "dump", "--spec", "spec.json"]
    command += ["--inputs", "in.npz", "--out", "out.npz"]
    subprocess.run(command, cwd=tmp_path, check=True, env=environment())
    expected = run(c)
    with np.load(tmp_path / "out.npz") as written:
        assert set(written.files) == set(expected)
        assert all((written[name] == expected[name]).all() for name in expected)


def environment() -> dict[str, str]:
    """This process's, with the package importable from another folder."""
    paths = [str(ROOT / "python"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
