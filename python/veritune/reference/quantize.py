"""From real numbers to the integers that a step reads: base, Spec and state.

Rules of docs/spec/base-model.md: norm gains folded into the weights that read the norm, one
power-of-two scale per kind over all layers, the finest that fits, rounded half up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritune.reference.float64 import Config, Lora, Real, Weights
from veritune.reference.kinds import calibrated, step_scales
from veritune.reference.model import BIAS_BITS, BIASES, MODULES, base_shapes, matrix_shapes

Integers = NDArray[np.int64]

GAIN_FRACTION_BITS = 12
FINEST = 40
RANGE_BITS = 18


def scaled(values: Real, fraction_bits: int) -> Integers:
    """Returns ``floor(values * 2^fraction_bits + 1/2)``."""
    return np.asarray(np.floor(np.ldexp(values, fraction_bits) + 0.5).astype(np.int64))


def finest(values: Real, bits: int) -> int:
    """Returns the largest scale at which every |value| is at most ``2^(bits-1) - 1``."""
    limit = (1 << (bits - 1)) - 1
    fits = (f for f in range(FINEST, -17, -1) if np.abs(scaled(values, f)).max() <= limit)
    return next(fits)


def real_base(weights: Weights, *, tied: bool) -> dict[str, Real]:
    """Returns what every base tensor stands for, heads flat."""
    base = {"base.embedding": weights.embedding}
    if not tied:
        base["base.head"] = weights.head
    for module, (name, _, _) in MODULES.items():
        gain = np.ones(1)
        if module in ("q_proj", "k_proj", "v_proj"):
            gain = weights.attention_gain[:, None, :]
        elif module in ("gate_proj", "up_proj"):
            gain = weights.mlp_gain[:, None, :]
        base[f"base.{name}"] = weights.linear[module] * gain
    base["base.gain_attention"] = weights.attention_gain
    base["base.gain_mlp"] = weights.mlp_gain
    base["base.gain_final"] = weights.final_gain
    base |= {f"base.{BIASES[module]}": bias for module, bias in weights.bias.items()}
    return base


def base_scales(base: dict[str, Real], base_bits: int) -> dict[str, int]:
    """Returns the fraction bits of every base tensor."""
    scales = {}
    for name, values in base.items():
        if name.startswith("base.gain_"):
            scales[name] = GAIN_FRACTION_BITS
        else:
            scales[name] = finest(values, BIAS_BITS if name.endswith("_bias") else base_bits)
    return scales


def make_spec(
    config: Config,
    weights: Weights,
    lora: Lora,
    training: dict[str, Any],
    *,
    tied: bool,
    decimals: tuple[str, str],
    maxima: dict[str, float] | None = None,
    base_bits: int = 20,
    range_bits: int = RANGE_BITS,
) -> dict[str, Any]:
    """Returns the Spec of a model and its training.

    Args:
        config: shape of the model.
        weights: the checkpoint.
        lora: adapters; only shapes, targets and scaling are read.
        training: the Spec's field of that name.
        tied: whether the head is the embedding.
        decimals: rms_norm_eps and rope_theta as they are written.
        maxima: greatest real value seen per kind, for the scales; the starting scales if None.
        base_bits: width of base weights.
        range_bits: width of the range table.
    """
    vocab, hidden = weights.embedding.shape
    targets = [module for module in MODULES if module in lora.matrices]
    model = {
        "hidden": hidden,
        "layers": config.num_layers,
        "heads": config.num_heads,
        "kv_heads": config.num_kv_heads,
        "head_dim": config.head_dim,
        "ffn": weights.linear["gate_proj"].shape[1],
        "vocab": vocab,
        "tied": tied,
        "qkv_bias": bool(weights.bias),
        "rms_norm_eps": decimals[0],
        "rope_theta": decimals[1],
        "base_fraction_bits": base_scales(real_base(weights, tied=tied), base_bits),
        "base_bits": base_bits,
        "gain_bits": 20,
    }
    rank = lora.matrices[targets[0]][0].shape[1]
    scaling = int(np.floor(lora.scaling * 65536 + 0.5))
    return {
        "version": 1,
        "model": model,
        "lora": {"r": rank, "scaling_65536": scaling, "targets": targets},
        "training": training,
        "dataset_rows": training["rows"],
        "scales": calibrated(maxima or {}, range_bits),
        "range_bits": range_bits,
        "log_rows": 16,
        "disclose": {"loss": "hidden", "order": "public", "data": "hidden", "adapter": "public"},
    }


def integer_base(spec: dict[str, Any], weights: Weights) -> dict[str, Integers]:
    """Returns the base integers in the shapes of the step."""
    base = real_base(weights, tied=bool(spec["model"]["tied"]))
    bits = spec["model"]["base_fraction_bits"]
    return {name: scaled(base[name], bits[name]).reshape(expected) for name, (expected, _) in base_shapes(spec).items()}


def integer_state(
    spec: dict[str, Any],
    lora: Lora,
    moments: dict[str, tuple[Real, Real]] | None = None,
) -> dict[str, tuple[Integers, Integers, Integers]]:
    """Returns the state whose masters are the adapters; moments are zero if not given."""
    scales = step_scales(spec)
    state = {}
    for name, expected in matrix_shapes(spec).items():
        module, side = name.split(".")
        zero = np.zeros(expected)
        first, second = moments[name] if moments else (zero, zero)
        parts = zip(
            ("master", "first_moment", "second_moment"),
            (lora.matrices[module]["ab".index(side)], first, second),
            strict=True,
        )
        master, first_moment, second_moment = (
            scaled(values, scales[kind]["fraction_bits"]).reshape(expected) for kind, values in parts
        )
        state[name] = (master, first_moment, second_moment)
    return state
