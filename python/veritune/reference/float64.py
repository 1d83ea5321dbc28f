"""The same step in float64: Hugging Face's Llama with PEFT's LoRA, and its gradients by hand.

Weights are the checkpoint's own (norm gains apart, out x in), adapters (layer, rank, in) and
(layer, out, rank); heads are flat, as in ``transformers``. Nothing here knows of integers: it is what
the integer step is measured against. Source of the forward pass: ``modeling_llama.py``; gradients are
of the loss *sum*, checked by finite differences in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
Tape = dict[str, Any]

NO_LABEL = -100


@dataclass(frozen=True)
class Config:
    """Shape of a model, in Hugging Face's words."""

    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    rms_norm_eps: float
    rope_theta: float


@dataclass(frozen=True)
class Weights:
    """A checkpoint, every tensor stacked over layers.

    Attributes:
        embedding: (vocab, hidden).
        head: (vocab, hidden), the embedding if tied.
        linear: per module (``q_proj`` …), (layer, out, in).
        bias: per module, (layer, out); empty without biases.
        attention_gain, mlp_gain: (layer, hidden).
        final_gain: (hidden).
    """

    embedding: Real
    head: Real
    linear: dict[str, Real]
    bias: dict[str, Real]
    attention_gain: Real
    mlp_gain: Real
    final_gain: Real


@dataclass(frozen=True)
class Lora:
    """Adapters: per target (A (layer, rank, in), B (layer, out, rank)), and lora_alpha / r."""

    matrices: dict[str, tuple[Real, Real]]
    scaling: float


@dataclass(frozen=True)
class Gradients:
    """What a forward and backward pass gives.

    Attributes:
        loss_sum: summed negative log-likelihood of the labels.
        num_labels: their number.
        matrices: gradient of the loss sum per matrix (``q_proj.a`` …).
        maxima: greatest absolute value of every intermediate tensor, named as in docs/spec/step.md.
    """

    loss_sum: float
    num_labels: int
    matrices: dict[str, Real]
    maxima: dict[str, float]


class Pass:
    """One forward and backward pass over a batch (row, token)."""

    def __init__(self, config: Config, weights: Weights, lora: Lora) -> None:
        self.config, self.weights, self.lora = config, weights, lora
        self.maxima: dict[str, float] = {}
        self.gradients = {
            f"{module}.{side}": np.zeros_like(matrix)
            for module, pair in lora.matrices.items()
            for side, matrix in zip("ab", pair, strict=True)
        }

    def saw(self, name: str, values: Real) -> Real:
        """Notes the greatest absolute value of a tensor and returns it."""
        seen = float(np.abs(values).max()) if values.size else 0.0
        self.maxima[name] = max(self.maxima.get(name, 0.0), seen)
        return values

    def run(self, tokens: NDArray[np.int64], targets: NDArray[np.int64]) -> Gradients:
        """Returns loss and gradients of a batch."""
        config, w = self.config, self.weights
        h: Real = self.saw("residual", w.embedding[tokens])
        tapes: list[tuple[Tape, Tape]] = []
        for layer in range(config.num_layers):
            h, attention_tape = self.attention(layer, h)
            self.saw("middle", h)
            h, mlp_tape = self.mlp(layer, h)
            self.saw("residual", h)
            tapes.append((attention_tape, mlp_tape))
        loss, dh = self.loss(h, targets)
        self.saw("grad.residual", dh)
        for layer in reversed(range(config.num_layers)):
            dh = self.saw("grad.middle", self.mlp_backward(layer, dh, tapes[layer][1]))
            dh = self.saw("grad.residual", self.attention_backward(layer, dh, tapes[layer][0]))
        num_labels = int(np.count_nonzero(targets != NO_LABEL))
        return Gradients(loss, num_labels, self.gradients, self.maxima)

    def linear(self, layer: int, module: str, x: Real) -> Real:
        """Returns W x + b + scaling B A x."""
        out = x @ self.weights.linear[module][layer].T
        if module in self.weights.bias:
            out = out + self.weights.bias[module][layer]
        if module in self.lora.matrices:
            a, b = (matrix[layer] for matrix in self.lora.matrices[module])
            inner = self.saw(f"{module}.inner", x @ a.T)
            out = out + self.lora.scaling * (inner @ b.T)
        return np.asarray(out)

    def linear_backward(self, layer: int, module: str, x: Real, dout: Real) -> Real:
        """Notes the adapter's gradients and returns that of x."""
        dx = dout @ self.weights.linear[module][layer]
        if module in self.lora.matrices:
            a, b = (matrix[layer] for matrix in self.lora.matrices[module])
            back = self.saw(f"{module}.back", self.lora.scaling * (dout @ b))
            self.gradients[f"{module}.a"][layer] += np.einsum("rtk,rti->ki", back, x)
            db = np.einsum("rto,rtk->ok", dout, x @ a.T)
            self.gradients[f"{module}.b"][layer] += self.lora.scaling * db
            dx = dx + back @ a
        return np.asarray(dx)

    def norm(self, name: str, x: Real) -> tuple[Real, Real]:
        """Returns x / sqrt(mean x^2 + eps), without gain, and the reciprocal root."""
        reciprocal = 1 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + self.config.rms_norm_eps)
        self.saw(f"{name}.reciprocal", reciprocal)
        return self.saw(f"{name}.y", x * reciprocal), reciprocal

    def norm_backward(self, name: str, dy: Real, y: Real, reciprocal: Real) -> Real:
        """Returns the gradient of x."""
        projection = self.saw(f"{name}.projection", (dy * y).mean(axis=-1, keepdims=True))
        return np.asarray(reciprocal * self.saw(f"{name}.rejection", dy - y * projection))

    def rotation(self, num_tokens: int) -> tuple[Real, Real]:
        """Returns (cos, sin), each (token, 1, head_dim)."""
        dim = self.config.head_dim
        frequency = self.config.rope_theta ** (-np.arange(0, dim, 2) / dim)
        angle = np.outer(np.arange(num_tokens), np.concatenate([frequency, frequency]))
        return np.cos(angle)[:, None], np.sin(angle)[:, None]

    def attention(self, layer: int, h: Real) -> tuple[Real, Tape]:
        """Returns the residual after the attention block and what its backward pass needs."""
        c, w = self.config, self.weights
        rows, tokens, _ = h.shape
        y, reciprocal = self.norm("attention.norm", h)
        x = y * w.attention_gain[layer]
        shape = (rows, tokens, -1, c.head_dim)
        q = self.saw("query_raw", self.linear(layer, "q_proj", x)).reshape(shape)
        k = self.saw("key_raw", self.linear(layer, "k_proj", x)).reshape(shape)
        v = self.saw("value", self.linear(layer, "v_proj", x)).reshape(shape)
        cos, sin = self.rotation(tokens)
        q = self.saw("query", q * cos + rotate_half(q) * sin)
        k = self.saw("key", k * cos + rotate_half(k) * sin)
        share = c.num_heads // c.num_kv_heads
        keys, values = np.repeat(k, share, axis=2), np.repeat(v, share, axis=2)
        score = np.einsum("rtnd,rsnd->rnts", q, keys) / np.sqrt(c.head_dim)
        self.saw("score", score)
        score = np.where(np.tril(np.ones((tokens, tokens), dtype=bool)), score, -np.inf)
        exponential = np.exp(score - score.max(axis=-1, keepdims=True))
        p = exponential / exponential.sum(axis=-1, keepdims=True)
        o = self.saw("attention", np.einsum("rnts,rsnd->rtnd", p, values))
        flat = o.reshape(rows, tokens, -1)
        tape: Tape = {
            "y": y, "reciprocal": reciprocal, "x": x, "q": q, "keys": keys, "values": values, "p": p,
            "o": o, "flat": flat,
        }  # fmt: skip
        return h + self.linear(layer, "o_proj", flat), tape

    def attention_backward(self, layer: int, dh: Real, tape: Tape) -> Real:
        """Returns the gradient of h."""
        c, w = self.config, self.weights
        rows, tokens, _ = dh.shape
        dflat = self.saw("grad.attention", self.linear_backward(layer, "o_proj", tape["flat"], dh))
        do = dflat.reshape(tape["o"].shape)
        p = tape["p"]
        dvalues = np.einsum("rnts,rtnd->rsnd", p, do)
        dp = self.saw("grad.probability", np.einsum("rtnd,rsnd->rnts", do, tape["values"]))
        row_sum = self.saw("grad.row_sum", (p * dp).sum(axis=-1, keepdims=True))
        dscore = self.saw("grad.score", p * (dp - row_sum)) / np.sqrt(c.head_dim)
        dq = np.einsum("rnts,rsnd->rtnd", dscore, tape["keys"])
        dkeys = np.einsum("rnts,rtnd->rsnd", dscore, tape["q"])
        share = (rows, tokens, c.num_kv_heads, c.num_heads // c.num_kv_heads, c.head_dim)
        dk, dv = dkeys.reshape(share).sum(axis=3), dvalues.reshape(share).sum(axis=3)
        cos, sin = self.rotation(tokens)
        self.saw("grad.query", dq)
        self.saw("grad.key", dk)
        dq = self.saw("grad.query_raw", dq * cos - rotate_half(dq) * sin)
        dk = self.saw("grad.key_raw", dk * cos - rotate_half(dk) * sin)
        self.saw("grad.value", dv)
        dx = np.zeros_like(tape["x"])
        for module, gradient in (("q_proj", dq), ("k_proj", dk), ("v_proj", dv)):
            flat = gradient.reshape(rows, tokens, -1)
            dx += self.linear_backward(layer, module, tape["x"], flat)
        dy = self.saw("grad.attention_input", dx * w.attention_gain[layer])
        name = "attention.norm_backward"
        return dh + self.norm_backward(name, dy, tape["y"], tape["reciprocal"])

    def mlp(self, layer: int, h: Real) -> tuple[Real, Tape]:
        """Returns the residual after the MLP block and what its backward pass needs."""
        y, reciprocal = self.norm("mlp.norm", h)
        x = y * self.weights.mlp_gain[layer]
        gate = self.saw("gate", self.linear(layer, "gate_proj", x))
        up = self.saw("up", self.linear(layer, "up_proj", x))
        sigmoid = 1 / (1 + np.exp(-gate))
        silu = gate * sigmoid
        tape: Tape = {
            "y": y, "reciprocal": reciprocal, "x": x, "up": up, "silu": silu,
            "slope": sigmoid * (1 + gate * (1 - sigmoid)),
        }  # fmt: skip
        product = self.saw("product", silu * up)
        return h + self.linear(layer, "down_proj", product), tape

    def mlp_backward(self, layer: int, dh: Real, tape: Tape) -> Real:
        """Returns the gradient of h."""
        product = tape["silu"] * tape["up"]
        dproduct = self.saw("grad.product", self.linear_backward(layer, "down_proj", product, dh))
        dgate = self.saw("grad.gate", dproduct * tape["up"] * tape["slope"])
        dup = self.saw("grad.up", dproduct * tape["silu"])
        dx = self.linear_backward(layer, "gate_proj", tape["x"], dgate)
        dx = dx + self.linear_backward(layer, "up_proj", tape["x"], dup)
        dy = self.saw("grad.mlp_input", dx * self.weights.mlp_gain[layer])
        return dh + self.norm_backward("mlp.norm_backward", dy, tape["y"], tape["reciprocal"])

    def loss(self, h: Real, targets: NDArray[np.int64]) -> tuple[float, Real]:
        """Returns the summed cross-entropy and its gradient at the last residual."""
        w = self.weights
        y, reciprocal = self.norm("final.norm", h)
        logit = self.saw("logit", self.saw("final_normed", y * w.final_gain) @ w.head.T)
        shifted = logit - logit.max(axis=-1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        labelled = targets != NO_LABEL
        index = np.where(labelled, targets, 0)[..., None]
        loss = -float((np.take_along_axis(log_p, index, axis=-1)[..., 0] * labelled).sum())
        dlogit = np.exp(log_p)
        picked = np.take_along_axis(dlogit, index, axis=-1)
        np.put_along_axis(dlogit, index, picked - 1, axis=-1)
        dlogit *= labelled[..., None]
        dfinal = self.saw("grad.final_normed", dlogit @ w.head)
        dy = self.saw("grad.final_input", dfinal * w.final_gain)
        return loss, self.norm_backward("final.norm_backward", dy, y, reciprocal)


def rotate_half(x: Real) -> Real:
    """Returns (-second half, first half) of the last axis."""
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate([-second, first], axis=-1)


def gradients(
    config: Config,
    weights: Weights,
    lora: Lora,
    tokens: NDArray[np.int64],
    targets: NDArray[np.int64],
) -> Gradients:
    """Returns loss and gradients of the loss sum; tokens and targets are (row, token), -100 unlabelled."""
    return Pass(config, weights, lora).run(tokens, targets)


def clip_factor(matrices: dict[str, Real], num_labels: int, max_norm: float) -> float:
    """Returns what the gradient of the loss sum is multiplied by: 1/labels and PyTorch's clipping."""
    labels = max(1, num_labels)
    norm = float(np.sqrt(sum(float(((g / labels) ** 2).sum()) for g in matrices.values())))
    return min(1.0, max_norm / (norm + 1e-6)) / labels


def adamw(
    matrix: tuple[Real, Real, Real],
    gradient: Real,
    step_number: int,
    *,
    learning_rate: float,
    betas: tuple[float, float],
    epsilon: float,
    weight_decay: float,
) -> tuple[Real, Real, Real]:
    """Returns (weight, first, second moment) after PyTorch's AdamW step."""
    weight, first, second = matrix
    first = betas[0] * first + (1 - betas[0]) * gradient
    second = betas[1] * second + (1 - betas[1]) * gradient**2
    denominator = np.sqrt(second / (1 - betas[1] ** step_number)) + epsilon
    step = first / (1 - betas[0] ** step_number) / denominator
    return weight * (1 - learning_rate * weight_decay) - learning_rate * step, first, second
