"""What the rounding of each kind of tensor adds to the error of a gradient: one kind at a time, the rest in float32.

Takes row order and adapter of the first step of an exact run, and rounds in PEFT's model what the step's program
rounds, at the fraction bits given here: before the widths were fitted to a model with uneven layers, and after.
Writes JSON.
"""

import argparse
import json
import re
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from compare import Reference, Run, read_rows, relative
from prepare import model_directory

GAINED = {"q_proj": "input_layernorm", "k_proj": "input_layernorm", "v_proj": "input_layernorm",
          "gate_proj": "post_attention_layernorm", "up_proj": "post_attention_layernorm"}  # fmt: skip
WEIGHTS_AT_18_BITS = {"q_proj": 15, "k_proj": 15, "v_proj": 16, "o_proj": 14, "gate_proj": 14, "up_proj": 15,
                      "down_proj": 14}  # fmt: skip


class Round(torch.autograd.Function):
    """Rounds half up to a number of fraction bits; the gradient passes."""

    @staticmethod
    def forward(_, x, bits):
        return torch.floor(x * 2.0**bits + 0.5) / 2.0**bits

    @staticmethod
    def backward(_, gradient):
        return gradient, None


def rounded(value, bits: int):
    if isinstance(value, tuple):
        return (Round.apply(value[0], bits), *value[1:])
    return Round.apply(value, bits)


class Ablation:
    def __init__(self, run: Run, model: Path, rows: Path):
        self.reference = Reference(run, model, torch.float32)
        self.reference.load(run.read("adapter_0.f64"))
        self.model = self.reference.model.base_model.model.model
        entry = run.step(1)
        tokens, targets = read_rows(rows / "train.i64", run.training["tokens"])
        self.batch = tokens[entry["rows"]], targets[entry["rows"]]
        self.exact = self.gradient()

    def gradient(self):
        self.reference.model.zero_grad()
        total, labels = self.reference.loss(*self.batch)
        (total / labels).backward()
        return self.reference.gradients()

    @contextmanager
    def outputs(self, name: str, bits: int) -> Iterator[None]:
        modules = [m for n, m in self.model.named_modules() if re.fullmatch(name, n)]
        assert modules, name
        hooks = [m.register_forward_hook(lambda _, __, out: rounded(out, bits)) for m in modules]
        yield
        for hook in hooks:
            hook.remove()

    @contextmanager
    def inputs(self, name: str, bits: int) -> Iterator[None]:
        modules = [m for n, m in self.model.named_modules() if re.fullmatch(name, n)]
        hooks = [m.register_forward_pre_hook(lambda _, args: (rounded(args[0], bits), *args[1:])) for m in modules]
        yield
        for hook in hooks:
            hook.remove()

    @contextmanager
    def residual(self, bits: int) -> Iterator[None]:
        # The residual after attention is not a module's output; rounding what is added to it is the same error.
        with (
            self.outputs(r"layers\.\d+", bits),
            self.outputs("embed_tokens", bits),
            self.outputs(r".*o_proj", bits),
        ):
            yield

    @contextmanager
    def rotation(self, bits: int) -> Iterator[None]:
        rotary = self.model.rotary_emb
        hook = rotary.register_forward_hook(lambda _, __, out: tuple(Round.apply(t, bits) for t in out))
        yield
        hook.remove()

    @contextmanager
    def reciprocal_root(self, bits: int) -> Iterator[None]:
        def forward(self, x):
            root = torch.rsqrt(x.double().pow(2).mean(-1, keepdim=True) + self.variance_epsilon)
            floor = torch.floor(root.detach() * 2.0**bits) / 2.0**bits
            return x * (root + floor - root.detach()).to(x.dtype) * self.weight

        norms = [m for n, m in self.model.named_modules() if n == "norm" or n.endswith("layernorm")]
        for norm in norms:
            norm.forward = types.MethodType(forward, norm)
        yield
        for norm in norms:
            del norm.forward

    @contextmanager
    def weights(self, width: int) -> Iterator[None]:
        saved = []
        for layer in self.model.layers:
            for name, bits in WEIGHTS_AT_18_BITS.items():
                block = layer.self_attn if name in ("q_proj", "k_proj", "v_proj", "o_proj") else layer.mlp
                module = getattr(block, name)
                weight = getattr(module, "base_layer", module).weight
                gain = getattr(layer, GAINED[name]).weight.data if name in GAINED else torch.ones(1)
                saved.append((weight, weight.data))
                folded = Round.apply(weight.data * gain, bits + width - 18)
                weight.data = torch.where(gain == 0, weight.data, folded / torch.where(gain == 0, 1, gain))
        yield
        for weight, data in saved:
            weight.data = data

    def error(self, change) -> float:
        with change:
            return relative(self.gradient(), self.exact)["all"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    a = Ablation(Run(arguments.run), model_directory(arguments.model), arguments.rows)
    mlp = r"layers\.\d+\.mlp\."
    attention = r"layers\.\d+\.self_attn\."
    cases: list[tuple[str, Callable, int | None, int]] = [
        ("residual", a.residual, 10, 14),
        ("up", lambda f: a.outputs(mlp + "up_proj", f), 9, 11),
        ("base weights (bits)", a.weights, 16, 20),
        ("reciprocal_root", a.reciprocal_root, 19, 22),
        ("gate", lambda f: a.outputs(mlp + "gate_proj", f), 10, 11),
        ("silu", lambda f: a.outputs(mlp + "act_fn", f), 11, 13),
        ("rotation", a.rotation, 12, 16),
        ("attention", lambda f: a.inputs(attention + "o_proj", f), 13, 14),
        ("value", lambda f: a.outputs(attention + "v_proj", f), 12, 13),
        ("product", lambda f: a.inputs(mlp + "down_proj", f), None, 14),
    ]
    result = {}
    for name, change, before, after in cases:
        errors = {bits: a.error(change(bits)) for bits in (before, after) if bits is not None}
        result[name] = errors
        print(name, errors, flush=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
