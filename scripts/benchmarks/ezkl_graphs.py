"""The workloads as ONNX graphs, written without torch: what ezkl proves beside our programs.

Shapes and operations are those of ``crates/bench``; weights are initialisers, so that ezkl's ``param_visibility``
applies to them. Values are pseudorandom from a fixed seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
SEED = 7


@dataclass(frozen=True)
class Graph:
    """An ONNX model with the inputs of one run: ``inputs`` in graph order, float32."""

    model: onnx.ModelProto
    inputs: list[np.ndarray]
    compared: str


class _Builder:
    """Collects nodes, weights and inputs of one graph."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(SEED)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.inputs: list[np.ndarray] = []
        self.declared: list[onnx.ValueInfoProto] = []

    def input(self, shape: tuple[int, ...], largest: float = 1.0, least: float | None = None) -> str:
        """A hidden input, uniform in ``least..largest`` (``-largest`` unless given)."""
        name = f"input_{len(self.inputs)}"
        values = self.random.uniform(-largest if least is None else least, largest, shape)
        self.inputs.append(values.astype(np.float32))
        self.declared.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return name

    def weight(self, shape: tuple[int, ...], largest: float) -> str:
        """A hidden weight, uniform in ``-largest..largest``."""
        return self._initialiser(self.random.uniform(-largest, largest, shape))

    def constant(self, value: float) -> str:
        """A scalar."""
        return self._initialiser(np.array([value]))

    def _initialiser(self, values: np.ndarray) -> str:
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def node(self, operation: str, *operands: str, **attributes: object) -> str:
        """The result of an operation."""
        name = f"{operation.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, list(operands), [name], **attributes))
        return name

    def graph(self, outputs: list[tuple[str, tuple[int, ...]]], compared: str) -> Graph:
        """The finished graph."""
        results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs]
        graph = helper.make_graph(self.nodes, "workload", self.declared, results, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = 8
        onnx.checker.check_model(model)
        return Graph(model, self.inputs, compared)


def matmul(size: int) -> Graph:
    """``x W`` for hidden x and W, ``(size, size)`` both."""
    b = _Builder()
    product = b.node("MatMul", b.input((size, size)), b.weight((size, size), 1.0))
    return b.graph([(product, (size, size))], "the same product; no rounding of the result on ezkl's side")


def attention(tokens: int, width: int) -> Graph:
    """One head with four projections."""
    b = _Builder()
    x = b.input((tokens, width), 2.0)
    query, key, value = (b.node("MatMul", x, b.weight((width, width), 0.25)) for _ in range(3))
    scores = b.node("MatMul", query, b.node("Transpose", key, perm=[1, 0]))
    scores = b.node("Mul", scores, b.constant(width**-0.5))
    attended = b.node("MatMul", b.node("Softmax", scores, axis=-1), value)
    output = b.node("MatMul", attended, b.weight((width, width), 0.25))
    return b.graph(
        [(output, (tokens, width))],
        "the same head; ezkl's without the causal mask, which would only add to its work",
    )


def lora_sgd(tokens: int, width: int, rank: int) -> Graph:
    """Forward, backward and update of one adapter on one frozen linear layer, half the squared distance as loss."""
    b = _Builder()
    x, target = b.input((tokens, width)), b.input((tokens, width))
    a, up = b.input((rank, width), 0.125), b.input((width, rank), 0.125)
    weight = b.weight((width, width), 0.125)

    def transposed(name: str) -> str:
        return b.node("Transpose", name, perm=[1, 0])

    scaling, rate = b.constant(2.0), b.constant(0.01)
    inner = b.node("MatMul", x, transposed(a))
    added = b.node("Mul", b.node("MatMul", inner, transposed(up)), scaling)
    y = b.node("Add", b.node("MatMul", x, weight), added)
    gradient = b.node("Sub", y, target)
    back = b.node("Mul", b.node("MatMul", gradient, up), scaling)
    gradient_up = b.node("Mul", b.node("MatMul", transposed(gradient), inner), scaling)
    gradient_a = b.node("MatMul", transposed(back), x)
    new_a = b.node("Sub", a, b.node("Mul", gradient_a, rate))
    new_up = b.node("Sub", up, b.node("Mul", gradient_up, rate))
    return b.graph(
        [(new_a, (rank, width)), (new_up, (width, rank))],
        "the same step; ours also has the adapter before and after in trees that the next step starts from",
    )


def adamw(elements: int) -> Graph:
    """One AdamW update with bias correction and decoupled decay, elementwise."""
    b = _Builder()
    gradient, master = b.input((elements,), 0.5), b.input((elements,))
    first, second = b.input((elements,), 0.5), b.input((elements,), 1.0, 0.1)

    def times(name: str, factor: float) -> str:
        return b.node("Mul", name, b.constant(factor))

    new_first = b.node("Add", times(first, 0.9), times(gradient, 0.1))
    new_second = b.node("Add", times(second, 0.999), times(b.node("Mul", gradient, gradient), 0.001))
    # Bias corrections of step 5.
    root = b.node("Sqrt", times(new_second, 1 / (1 - 0.999**5)))
    update = b.node("Div", times(new_first, 0.01 / (1 - 0.9**5)), b.node("Add", root, b.constant(1e-2)))
    new = b.node("Sub", times(master, 1 - 0.001), update)
    shape = (elements,)
    return b.graph(
        [(new, shape), (new_first, shape), (new_second, shape)],
        "the same formula; at 7 fraction bits ezkl cannot hold real moments, so its values are larger than in training",
    )


def build(name: str) -> Graph:
    """The graph of a workload's name, as ``veritune-bench`` spells it."""
    kind, _, size = name.partition("-")
    if kind == "matmul":
        return matmul(int(size))
    if kind == "attention":
        tokens, width = map(int, size.split("x"))
        return attention(tokens, width)
    if kind == "lora":
        shape, rank = size.removeprefix("sgd-").split("-r")
        tokens, width = map(int, shape.split("x"))
        return lora_sgd(tokens, width, int(rank))
    if kind == "adamw":
        return adamw(int(size))
    raise SystemExit(f"{name}: no such workload")
