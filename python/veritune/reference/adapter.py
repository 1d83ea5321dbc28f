"""A linear layer with its adapter, forward and backward: docs/spec/step.md, sections 5 and 7."""

from __future__ import annotations

from veritune.reference.exact import Fixed, contract
from veritune.reference.model import BIASES, MODULES, Context


def linear(c: Context, module: str, x: Fixed, adapter_input: Fixed) -> tuple[Fixed, Fixed | None]:
    """Returns the exact output of a module (row, token, out), and ``inner`` if it is a target.

    Args:
        c: the step.
        module: the module, for example ``q_proj``.
        x: what the base weight reads, (row, token, in).
        adapter_input: what the adapter reads: the same, times the gain that the weight contains.
    """
    weight, inputs, outputs = MODULES[module]
    total = contract(f"rt{inputs},{outputs}{inputs}->rt{outputs}", x, c.at_layer(weight))
    if module in BIASES and c.spec["model"]["qkv_bias"]:
        total = total + c.at_layer(BIASES[module])
    if module not in c.targets:
        return total, None
    kind = "adapter_input_down" if module == "down_proj" else "adapter_input"
    low_rank = contract(f"rt{inputs},k{inputs}->rtk", adapter_input, c.copy(f"{module}.a"))
    inner = c.trace.rounded(f"{module}.inner", low_rank, kind)
    addition = contract(f"rtk,{outputs}k->rt{outputs}", inner, c.copy(f"{module}.b"))
    return total + c.lora_scaling * addition, inner


def linear_backward(
    c: Context,
    module: str,
    gradient: Fixed,
    adapter_input: Fixed,
    inner: Fixed | None,
    gain: Fixed | None = None,
) -> Fixed:
    """Records the adapter's gradients and returns the exact gradient of the base weight's input.

    Args:
        c: the step.
        module: the module.
        gradient: gradient of its output, (row, token, out).
        adapter_input: what its adapter read, (row, token, in).
        inner: what ``linear`` returned.
        gain: (in), where the adapter read the weight's input times a gain.
    """
    weight, inputs, outputs = MODULES[module]
    total = contract(f"rt{outputs},{outputs}{inputs}->rt{inputs}", gradient, c.at_layer(weight))
    if inner is None:
        return total
    low_rank = contract(f"rt{outputs},{outputs}k->rtk", gradient, c.copy(f"{module}.b"))
    back = c.trace.rounded(f"{module}.back", c.lora_scaling * low_rank, "grad.adapter")
    for_b = c.lora_scaling * contract(f"rt{outputs},rtk->{outputs}k", gradient, inner)
    c.trace.rounded(f"grad.{module}.b", for_b, "grad.b")
    for_a = contract(f"rtk,rt{inputs}->k{inputs}", back, adapter_input)
    c.trace.rounded(f"grad.{module}.a", for_a, "grad.a")
    through = contract(f"rtk,k{inputs}->rt{inputs}", back, c.copy(f"{module}.a"))
    return total + (through if gain is None else through * gain)
