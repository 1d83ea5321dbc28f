"""Random models small enough for finite differences and for Python integers, for tests.

Every option of the Spec can be set: targets, biases, an untied head, groups of heads, rows, optimiser.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritune.reference.float64 import NO_LABEL, Config, Lora, Real, Weights, gradients
from veritune.reference.kinds import maxima_by_kind
from veritune.reference.model import MODULES
from veritune.reference.quantize import integer_base, integer_state, make_spec

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Case:
    """A model, an adapter and a batch, real and in integers."""

    config: Config
    weights: Weights
    lora: Lora
    tokens: Integers
    targets: Integers
    spec: dict[str, Any]
    base: dict[str, Integers]
    state: dict[str, tuple[Integers, Integers, Integers]]


def training(**changes: Any) -> dict[str, Any]:
    """Returns a Spec's ``training`` with these changes."""
    return {
        "optimizer": "adamw",
        "learning_rate": "1e-3",
        "schedule": "cosine",
        "warmup_steps": 2,
        "weight_decay": "0.01",
        "adam_beta1": "0.9",
        "adam_beta2": "0.999",
        "adam_epsilon": "1e-8",
        "max_grad_norm": "1.0",
        "rows": 1,
        "tokens": 8,
        "steps": 20,
        **changes,
    }


def case(
    seed: int = 0,
    *,
    targets: tuple[str, ...] = tuple(MODULES),
    layers: int = 2,
    heads: int = 4,
    kv_heads: int = 2,
    head_dim: int = 4,
    hidden: int = 12,
    ffn: int = 20,
    vocab: int = 31,
    rank: int = 3,
    tied: bool = True,
    bias: bool = False,
    labels: bool = True,
    scaling: float = 2.0,
    range_bits: int = 18,
    **changes: Any,
) -> Case:
    """Returns a random case; ``changes`` go to ``training``."""
    rng = np.random.default_rng(seed)
    config = Config(layers, heads, kv_heads, head_dim, 1e-5, 10_000.0)
    recipe = training(**changes)
    sizes = {"q_proj": heads * head_dim, "k_proj": kv_heads * head_dim, "v_proj": kv_heads * head_dim}
    inputs = {"o_proj": heads * head_dim, "down_proj": ffn}
    outputs = sizes | {"o_proj": hidden, "gate_proj": ffn, "up_proj": ffn, "down_proj": hidden}

    def normal(*shape: int, scale: float = 1.0) -> Real:
        return np.asarray(rng.normal(size=shape) * scale)

    fan_in = {module: inputs.get(module, hidden) for module in MODULES}
    linear = {m: normal(layers, outputs[m], fan_in[m], scale=fan_in[m] ** -0.5) for m in MODULES}
    embedding = normal(vocab, hidden)
    weights = Weights(
        embedding=embedding,
        head=embedding if tied else normal(vocab, hidden),
        linear=linear,
        bias={m: normal(layers, size, scale=0.3) for m, size in sizes.items()} if bias else {},
        attention_gain=1 + normal(layers, hidden, scale=0.2),
        mlp_gain=1 + normal(layers, hidden, scale=0.2),
        final_gain=1 + normal(hidden, scale=0.2),
    )
    matrices = {
        m: (
            np.clip(normal(layers, rank, fan_in[m], scale=0.2), -1, 1),
            np.clip(normal(layers, outputs[m], rank, scale=0.1), -1, 1),
        )
        for m in MODULES
        if m in targets
    }
    lora = Lora(matrices, scaling)
    shape = (recipe["rows"], recipe["tokens"])
    tokens = rng.integers(0, vocab, shape)
    wanted = rng.integers(0, vocab, shape)
    wanted[rng.random(shape) < 0.3] = NO_LABEL
    wanted[:, -1] = NO_LABEL
    if not labels:
        wanted[:] = NO_LABEL
    maxima = maxima_by_kind(gradients(config, weights, lora, tokens, wanted).maxima)
    spec = make_spec(
        config, weights, lora, recipe, tied=tied, decimals=("1e-5", "10000"), maxima=maxima, range_bits=range_bits
    )
    moments = {
        f"{m}.{side}": (
            normal(*matrix.shape, scale=0.01),
            (0.003 + np.abs(normal(*matrix.shape, scale=0.005))) ** 2,
        )
        for m, pair in matrices.items()
        for side, matrix in zip("ab", pair, strict=True)
    }
    state = integer_state(spec, lora, moments)
    return Case(config, weights, lora, tokens, wanted, spec, integer_base(spec, weights), state)
