"""Follows an exact run of the `fidelity` example in PEFT and compares the two.

From the run's directory: row order, initial A, adapters and gradients of some steps. In float32: the same training
(AdamW, clipping, warm-up as the Trainer does it, loss = mean over the labels of the step), held-out loss of both
adapters. In float64: the gradient at the exact run's own adapter, for every dumped gradient. Writes JSON.

A run that still goes on is waited for, step by step.
"""

import argparse
import contextlib
import json
import platform
import time
from pathlib import Path

import numpy as np
import peft
import torch
import transformers
from prepare import GGUF, model_directory
from transformers import AutoModelForCausalLM

MODULES = {"q_proj": "self_attn", "k_proj": "self_attn", "v_proj": "self_attn", "o_proj": "self_attn"}


def read_rows(path: Path, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    words = np.frombuffer(path.read_bytes(), "<i8").reshape(2, -1, length).copy()
    return torch.from_numpy(words[0]), torch.from_numpy(words[1])


class Run:
    def __init__(self, directory: Path):
        self.directory = directory
        self.manifest = json.loads((directory / "manifest.json").read_text())
        self.log = json.loads((directory / "run.json").read_text())
        self.training = self.log["spec"]["training"]
        self.targets = self.log["spec"]["lora"]["targets"]

    def step(self, step: int) -> dict:
        """The log's entry of a step, once it is there."""
        while len(self.log["steps"]) < step:
            time.sleep(2)
            # A log that is being written does not parse yet.
            with contextlib.suppress(json.JSONDecodeError):
                self.log = json.loads((self.directory / "run.json").read_text())
        return self.log["steps"][step - 1]

    def read(self, name: str) -> dict[str, np.ndarray] | None:
        """Tensors of a dump, as (layer, rank, in) and (layer, out, rank)."""
        path = self.directory / name
        if not path.exists():
            return None
        values = np.frombuffer(path.read_bytes(), "<f8")
        tensors, at = {}, 0
        for entry in self.manifest:
            shape = entry["shape"]
            size = int(np.prod(shape))
            flat = values[at : at + size]
            at += size
            if entry["name"].endswith(".a"):
                tensors[entry["name"]] = flat.reshape(shape[0], shape[1], -1)
            else:
                tensors[entry["name"]] = flat.reshape(shape[0], -1, shape[-1])
        assert at == len(values)
        return tensors

    def steps(self, kind: str) -> list[int]:
        return sorted(int(p.stem.split("_")[1]) for p in self.directory.glob(f"{kind}_*.f64"))


class Reference:
    def __init__(self, run: Run, model: Path, dtype: torch.dtype):
        base = AutoModelForCausalLM.from_pretrained(model, gguf_file=GGUF, dtype=torch.float32)
        base = base.to(dtype)
        base.config.use_cache = False
        config = peft.LoraConfig(
            r=run.log["spec"]["lora"]["r"],
            lora_alpha=16,
            target_modules=run.targets,
            lora_dropout=0.0,
            init_lora_weights=True,
            task_type="CAUSAL_LM",
        )
        self.model = peft.get_peft_model(base, config, autocast_adapter_dtype=False).train()
        self.layers = self.model.base_model.model.model.layers
        self.names = [entry["name"] for entry in run.manifest]
        assert all(p.dtype == dtype for p in self.model.parameters())

    def parameter(self, name: str, layer: int) -> torch.nn.Parameter:
        module, side = name.split(".")
        block = getattr(self.layers[layer], MODULES.get(module, "mlp"))
        lora = getattr(block, module)
        return (lora.lora_A if side == "a" else lora.lora_B)["default"].weight

    def each(self):
        for name in self.names:
            yield name, [self.parameter(name, layer) for layer in range(len(self.layers))]

    def load(self, tensors: dict[str, np.ndarray]) -> None:
        with torch.no_grad():
            for name, parameters in self.each():
                for parameter, values in zip(parameters, tensors[name], strict=True):
                    parameter.copy_(torch.from_numpy(values.copy()))

    def adapter(self) -> dict[str, np.ndarray]:
        return {n: np.stack([p.detach().double().numpy() for p in ps]) for n, ps in self.each()}

    def gradients(self) -> dict[str, np.ndarray]:
        return {n: np.stack([p.grad.double().numpy() for p in ps]) for n, ps in self.each()}

    def loss(self, tokens: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, int]:
        """Sum over labels, and their number."""
        logits = self.model(input_ids=tokens).logits
        flat = targets.reshape(-1)
        total = torch.nn.functional.cross_entropy(
            logits.reshape(len(flat), -1), flat, ignore_index=-100, reduction="sum"
        )
        return total, int((flat != -100).sum())

    @torch.no_grad()
    def held_out(self, tokens: torch.Tensor, targets: torch.Tensor) -> float:
        total, count = 0.0, 0
        for start in range(0, len(tokens), 8):
            part, labels = self.loss(tokens[start : start + 8], targets[start : start + 8])
            total, count = total + part.double().item(), count + labels
        return total / count


def relative(got: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> dict[str, float]:
    """Relative L2 distance of everything, of all A, of all B, and the worst single matrix with values."""

    def distance(pairs) -> float:
        difference = sum(float(((g - w) ** 2).sum()) for g, w in pairs)
        norm = sum(float((w**2).sum()) for _, w in pairs)
        return (difference / norm) ** 0.5 if norm > 0 else difference**0.5

    pairs = {n: [(g, w) for g, w in zip(got[n], wanted[n], strict=True)] for n in wanted}
    of = lambda side: [p for n, ps in pairs.items() if n.endswith(side) for p in ps]  # noqa: E731
    singles = [distance([p]) for ps in pairs.values() for p in ps if float((p[1] ** 2).sum()) > 0]
    return {
        "all": distance(of("")),
        "a": distance(of(".a")),
        "b": distance(of(".b")),
        "worst_matrix": max(singles, default=0.0),
    }


def learning_rate(training: dict, step: int) -> float:
    peak, warmup = float(training["learning_rate"]), training["warmup_steps"]
    return peak * (step - 1) / warmup if step - 1 < warmup else peak


def train(run: Run, reference: Reference, rows, steps: int) -> dict:
    training = run.training
    initial = run.read("adapter_0.f64")
    reference.load(initial)
    parameters = [p for _, ps in reference.each() for p in ps]
    optimizer = torch.optim.AdamW(
        parameters,
        betas=(float(training["adam_beta1"]), float(training["adam_beta2"])),
        eps=float(training["adam_epsilon"]),
        weight_decay=float(training["weight_decay"]),
    )
    distances, losses, seconds = {}, [], []
    for step in range(1, steps + 1):
        entry = run.step(step)
        start = time.monotonic()
        optimizer.param_groups[0]["lr"] = learning_rate(training, step)
        optimizer.zero_grad()
        total, labels = reference.loss(rows[0][entry["rows"]], rows[1][entry["rows"]])
        (total / labels).backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, float(training["max_grad_norm"]))
        optimizer.step()
        seconds.append(time.monotonic() - start)
        losses.append(
            {
                "step": step,
                "exact_loss": entry["loss"],
                "float32_loss": total.item() / labels,
                "exact_norm": entry["norm"],
                "float32_norm": norm.item(),
                "clipped": entry["clipped"],
            }
        )
        print(json.dumps(losses[-1]), flush=True)
        if (run.directory / f"adapter_{step}.f64").exists():
            distance = relative(run.read(f"adapter_{step}.f64"), reference.adapter())
            # Distance of what training moved, beside that of the whole adapter.
            moved = {n: w - initial[n] for n, w in reference.adapter().items()}
            got = {n: w - initial[n] for n, w in run.read(f"adapter_{step}.f64").items()}
            distances[step] = {"adapter": distance, "moved": relative(got, moved) if step > 1 else None}
            print("adapter after", step, json.dumps(distances[step]), flush=True)
    return {"losses": losses, "distances": distances, "seconds_per_step": sum(seconds) / len(seconds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--rows", type=Path, required=True, help="directory made by prepare.py")
    parser.add_argument("--model")
    parser.add_argument("--commit", required=True, help="commit that the exact run's program was built from")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--held-out", type=int, default=120)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=("gradients", "training"))
    parser.add_argument("--gradient-steps", type=int, nargs="*")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    run = Run(arguments.run)
    length = run.training["tokens"]
    model = model_directory(arguments.model)
    rows = read_rows(arguments.rows / "train.i64", length)
    held_out = [part[: arguments.held_out] for part in read_rows(arguments.rows / "held_out.i64", length)]
    result = {
        "commit": arguments.commit,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "peft": peft.__version__,
            "numpy": np.__version__,
        },
        "run": {k: v for k, v in run.training.items()} | {"targets": run.targets, "model": run.log["spec"]["model"]},
    }
    if arguments.only != "gradients":
        reference = Reference(run, model, torch.float32)
        result["held_out"] = {"rows": len(held_out[0]), "labels": int((held_out[1] != -100).sum())}
        reference.load(run.read("adapter_0.f64"))
        result["held_out"]["before"] = reference.held_out(*held_out)
        steps = arguments.steps or run.training["steps"]
        result["training"] = train(run, reference, rows, steps)
        result["held_out"]["float32_after"] = reference.held_out(*held_out)
        last = run.read(f"adapter_{steps}.f64")
        if last is not None:
            reference.load(last)
            result["held_out"]["exact_after"] = reference.held_out(*held_out)
            difference = result["held_out"]["exact_after"] - result["held_out"]["float32_after"]
            result["held_out"]["difference"] = difference
        print("held out", json.dumps(result["held_out"]), flush=True)
        del reference
    if arguments.only != "training":
        reference = Reference(run, model, torch.float64)
        result["gradients"] = {}
        run.step(run.training["steps"] if arguments.gradient_steps is None else max(arguments.gradient_steps))
        for step in arguments.gradient_steps or run.steps("gradient"):
            reference.load(run.read(f"adapter_{step - 1}.f64"))
            reference.model.zero_grad()
            entry = run.step(step)
            total, labels = reference.loss(rows[0][entry["rows"]], rows[1][entry["rows"]])
            (total / labels).backward()
            got, wanted = run.read(f"gradient_{step}.f64"), reference.gradients()
            error = relative(got, wanted) | {"exact_loss": entry["loss"], "float64_loss": total.item() / labels}
            error["modules"] = {n: relative({n: got[n]}, {n: wanted[n]})["all"] for n in wanted}
            error["layers"] = [
                round(relative({n: got[n][i : i + 1] for n in got}, {n: wanted[n][i : i + 1] for n in got})["all"], 5)
                for i in range(len(reference.layers))
            ]
            result["gradients"][step] = error
            print("gradient of step", step, json.dumps(error), flush=True)
        del reference
    result["exact"] = {
        "steps": len(run.log["steps"]),
        "seconds_per_step": float(np.mean([s["seconds"] for s in run.log["steps"]])),
        "peak_mib": run.log["peak_mib"],
        "threads": run.log["threads"],
        "steps_clipped": sum(s["clipped"] for s in run.log["steps"]),
        "range_use": run.log["range_use"],
    }
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
