"""Bad input at plan time, by the real command and the real core: code, place, text, remedy, and nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import Result
from safetensors.numpy import save
from typer.testing import CliRunner

from veritune.cli import app

ROWS = [{"prompt": f"a film {i}:", "completion": f" good {i}"} for i in range(40)]


class Place:
    """A folder with a model, rows and a recipe that plan accepts, until a case spoils one of them."""

    def __init__(self, folder: Path, model_dir: Path) -> None:
        self.folder = folder
        (folder / "model").mkdir()
        for path in model_dir.iterdir():
            if path.is_file():
                os.link(path, folder / "model" / path.name)
        self.rows([json.dumps(row) for row in ROWS])
        self.recipe: dict[str, Any] = {
            "schema": "veritune.recipe/v1",
            "model": {"path": "model"},
            "data": {"files": ["rows.jsonl"], "max_length": 16},
            "lora": {"r": 2, "lora_alpha": 4},
            "train": {"learning_rate": "2e-3", "per_device_train_batch_size": 1, "max_steps": 2},
            "proof": {"range_bits": 16},
        }

    def write(self, name: str, content: bytes) -> None:
        """Replaces a file (the model's are links to the repository's)."""
        path = self.folder / name
        path.unlink(missing_ok=True)
        path.write_bytes(content)

    def rows(self, lines: list[str]) -> None:
        self.write("rows.jsonl", "".join(f"{line}\n" for line in lines).encode())

    def row(self, number: int, line: bytes) -> None:
        """Replaces one line of the rows, counted from 1."""
        lines = (self.folder / "rows.jsonl").read_bytes().splitlines()
        lines[number - 1] = line
        self.write("rows.jsonl", b"\n".join(lines) + b"\n")

    def config(self, **fields: Any) -> None:
        written = json.loads((self.folder / "model" / "config.json").read_bytes())
        self.write("model/config.json", json.dumps({**written, **fields}).encode())

    def weights(self, change: Callable[[dict[str, Any]], None], dtype: str) -> None:
        """Rewrites the weights as F32 or F16 after a change of the float32 values."""
        content = (self.folder / "model" / "model.safetensors").read_bytes()
        (length,) = struct.unpack("<Q", content[:8])
        tensors = {}
        for name, entry in json.loads(content[8 : 8 + length]).items():
            if name != "__metadata__":
                low, high = entry["data_offsets"]
                halves = np.frombuffer(content[8 + length + low : 8 + length + high], dtype="<u2")
                assert entry["dtype"] == "BF16"
                tensors[name] = (halves.astype(np.uint32) << 16).view(np.float32).reshape(entry["shape"]).copy()
        change(tensors)
        self.write("model/model.safetensors", save({name: x.astype(dtype) for name, x in tensors.items()}))

    def plan(self) -> Result:
        (self.folder / "recipe.yaml").write_text(yaml.safe_dump(self.recipe))
        return CliRunner().invoke(app, ["plan", str(self.folder / "recipe.yaml"), "--job", self.job, "--json"])

    @property
    def job(self) -> str:
        return str(self.folder / "job")


@pytest.fixture
def place(tmp_path: Path, model_dir: Path) -> Place:
    return Place(tmp_path, model_dir)


def one(value: float) -> Callable[[dict[str, Any]], None]:
    def change(tensors: dict[str, Any]) -> None:
        tensors["model.layers.1.mlp.up_proj.weight"].flat[77] = value

    return change


def bf16(bits: int) -> Callable[[Place], None]:
    """Puts a bf16 number into the last element of the file as it is."""

    def spoil(place: Place) -> None:
        content = (place.folder / "model" / "model.safetensors").read_bytes()
        place.write("model/model.safetensors", content[:-2] + struct.pack("<H", bits))

    return spoil


def recipe(section: str, **fields: Any) -> Callable[[Place], None]:
    return lambda place: place.recipe[section].update(fields)


def line(number: int, content: bytes) -> Callable[[Place], None]:
    return lambda place: place.row(number, content)


def file(name: str, content: bytes) -> Callable[[Place], None]:
    return lambda place: place.write(name, content)


def config(**fields: Any) -> Callable[[Place], None]:
    return lambda place: place.config(**fields)


def without(name: str) -> Callable[[Place], None]:
    return lambda place: (place.folder / name).unlink()


def cut_embedding(tensors: dict[str, Any]) -> None:
    tensors["model.embed_tokens.weight"] = tensors["model.embed_tokens.weight"][:-1]


def long(place: Place) -> None:
    place.row(7, json.dumps({"prompt": "word " * 30, "completion": "end"}).encode())


def cut_labels(place: Place) -> None:
    long(place)
    place.recipe["data"]["long_rows"] = "truncate"


NO_LABELS = b'{"messages": [{"role": "user", "content": "Hello?"}]}'
CASES: dict[str, tuple[Callable[[Place], Any], str, list[str]]] = {
    # name: what is spoilt, code, words of message, place and remedy
    "architecture": (
        config(architectures=["MistralForCausalLM"]),
        "VT-MODEL-005",
        ["architectures", "LlamaForCausalLM or Qwen2ForCausalLM", "MistralForCausalLM", "config.json"],
    ),
    "activation": (config(hidden_act="gelu"), "VT-MODEL-005", ["hidden_act", "silu", "gelu"]),
    "rope scaling": (config(rope_scaling={"factor": 2.0}), "VT-MODEL-005", ["rope_scaling", "null"]),
    "unknown model field": (config(logit_scale=2.0), "VT-MODEL-006", ["logit_scale"]),
    "missing model field": (config(hidden_size=None), "VT-MODEL-007", ["hidden_size", "missing"]),
    "no model": (recipe("model", path="nowhere"), "VT-FILE-001", ["nowhere", "tokenizer"]),
    "no weights": (without("model/model.safetensors"), "VT-MODEL-003", ["model.safetensors"]),
    "weights of no format": (file("model/model.safetensors", b"x" * 100), "VT-MODEL-004", ["model.safetensors"]),
    "NaN in bf16": (bf16(0x7FC0), "VT-MODEL-013", ["NaN", "element", "tensor model."]),
    "Inf in bf16": (bf16(0xFF80), "VT-MODEL-013", ["-inf", "element", "tensor model."]),
    "NaN in f32": (
        lambda place: place.weights(one(np.nan), "float32"),
        "VT-MODEL-013",
        ["model.layers.1.mlp.up_proj.weight", "element 77 is NaN"],
    ),
    "Inf in f16": (
        lambda place: place.weights(one(np.inf), "float16"),
        "VT-MODEL-013",
        ["model.layers.1.mlp.up_proj.weight", "element 77 is inf"],
    ),
    "outlier in f32": (
        lambda place: place.weights(one(1e30), "float32"),
        "VT-MODEL-014",
        ["base.up", "magnitudes up to"],
    ),
    "vocabulary": (config(vocab_size=100), "VT-DATA-008", ["the tokenizer has ids up to", "100 rows"]),
    "vocabulary of no number": (config(vocab_size="many"), "VT-DATA-008", ["vocab_size", "'many'", "config.json"]),
    "embedding": (
        lambda place: place.weights(cut_embedding, "float32"),
        "VT-MODEL-011",
        ["model.embed_tokens.weight", "expected shape"],
    ),
    "no tokenizer": (without("model/tokenizer.json"), "VT-FILE-001", ["tokenizer.json", "tokenizer"]),
    "broken tokenizer": (file("model/tokenizer.json", b"{}"), "VT-DATA-007", ["tokenizer.json"]),
    "tokenizer not UTF-8": (file("model/tokenizer.json", b"\xff{}"), "VT-DATA-007", ["tokenizer.json", "utf-8"]),
    "configuration not UTF-8": (file("model/config.json", b"{\xff}"), "VT-DATA-007", ["config.json", "utf-8"]),
    "long row": (long, "VT-DATA-004", ["rows.jsonl:7", "max_length is 16", "long_rows: truncate"]),
    "long row cut to nothing": (cut_labels, "VT-DATA-005", ["rows.jsonl:7", "after truncation"]),
    "no rows": (file("rows.jsonl", b""), "VT-DATA-001", ["no rows", "rows.jsonl"]),
    "blank rows": (file("rows.jsonl", b"\n \n"), "VT-DATA-001", ["no rows"]),
    "too few rows": (recipe("train", per_device_train_batch_size=41), "VT-DATA-001", ["40 rows", "41"]),
    "no labels": (line(5, NO_LABELS), "VT-DATA-005", ["rows.jsonl:5", "no supervised token", "label_mask: all"]),
    "no labels at all": (lambda place: place.rows([NO_LABELS.decode()] * 9), "VT-DATA-005", ["rows.jsonl:1"]),
    "broken line": (line(3, b'{"text": "x"'), "VT-DATA-002", ["rows.jsonl:3", "not JSON"]),
    "line of no object": (line(3, b"[1]"), "VT-DATA-002", ["rows.jsonl:3", "not a JSON object"]),
    "key twice": (line(3, b'{"text": "x", "text": "y"}'), "VT-DATA-002", ["rows.jsonl:3", "twice"]),
    "row not UTF-8": (line(4, b'{"text": "\xff"}'), "VT-DATA-002", ["rows.jsonl:4", "utf-8"]),
    "half a surrogate pair": (line(4, b'{"text": "\\ud800 x"}'), "VT-DATA-002", ["rows.jsonl:4", "surrogates"]),
    "unknown field": (line(2, b'{"text": "x", "label": 1}'), "VT-DATA-003", ["rows.jsonl:2", "field 2", "text, meta"]),
    "no form": (line(2, b'{"question": "x"}'), "VT-DATA-003", ["rows.jsonl:2", "1 fields", "prompt, completion"]),
    "no rows file": (without("rows.jsonl"), "VT-FILE-001", ["rows.jsonl", "data.files"]),
    "rows are a folder": (recipe("data", files=["model"]), "VT-FILE-001", ["model", "data.files"]),
    "template not UTF-8": (
        lambda place: (place.write("chat.jinja", b"\xff"), recipe("data", template="chat.jinja")(place)),
        "VT-DATA-006",
        ["chat.jinja"],
    ),
    "DoRA": (recipe("lora", use_dora=True), "VT-RECIPE-003", ["lora.use_dora", "recipe.yaml:", "rsLoRA"]),
    "dropout": (recipe("lora", lora_dropout="0.1"), "VT-RECIPE-003", ["lora.lora_dropout", "only 0"]),
    "bias": (recipe("lora", bias="all"), "VT-RECIPE-003", ["lora.bias", "none"]),
    "modules to save": (recipe("lora", modules_to_save=["lm_head"]), "VT-RECIPE-003", ["modules_to_save", "seven"]),
    "some layers": (recipe("lora", layers_to_transform=[0]), "VT-RECIPE-003", ["layers_to_transform", "all layers"]),
    "unknown key": (recipe("train", gradient_acumulation=2), "VT-RECIPE-002", ["gradient_acumulation", "supported:"]),
    "decimal of 40 digits": (
        recipe("train", learning_rate="0." + "1" * 40),
        "VT-RECIPE-004",
        ["train.learning_rate", "expected a decimal in (0, 1]"],
    ),
    "rank above every supported one": (recipe("lora", r=1 << 40), "VT-RECIPE-004", ["lora.r", "256"]),
    "target that the model lacks": (recipe("lora", target_modules=["c_attn"]), "VT-RECIPE-004", ["c_attn", "q_proj"]),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_and_leaves_nothing(place: Place, name: str) -> None:
    spoil, code, words = CASES[name]
    spoil(place)
    before = {path for path in place.folder.rglob("*")} | {place.folder / "recipe.yaml"}
    result = place.plan()
    error = json.loads(result.stdout)
    assert (error["code"], error["exit"], result.exit_code) == (code, 2, 2), error
    text = "\n".join((error["message"], error["location"], error["remedy"]))
    assert all(word in text for word in words), text
    assert error["location"] and error["remedy"]
    assert {path for path in place.folder.rglob("*")} == before


DECIMALS = ["1e999", "1e-400", "0x1", "1_000", "+1", "1,5", "inf", "-inf", "nan", "1e", "٠.٥", " 1", "1e1.5", "1" * 500]


@pytest.mark.parametrize("field", ["learning_rate", "weight_decay", "adam_beta1", "adam_epsilon", "max_grad_norm"])
@pytest.mark.parametrize("written", DECIMALS, ids=lambda text: ascii(text)[:12])
def test_absurd_decimals_are_refused_by_name(place: Place, field: str, written: str) -> None:
    place.recipe["train"][field] = written
    result = place.plan()
    error = json.loads(result.stdout)
    assert (error["code"], result.exit_code) == ("VT-RECIPE-004", 2)
    assert f"train.{field}" in error["message"] and len(error["message"]) < 400
    assert not Path(place.job).exists()


def test_what_is_not_spoilt_is_accepted_and_long_rows_are_cut(place: Place) -> None:
    """The cases start from an input that is good, and truncation is the other way with a long row."""
    long(place)
    place.recipe["data"] |= {"long_rows": "truncate", "label_mask": "all"}
    result = place.plan()
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["data"]["truncated_rows"] == 1


def test_a_plan_is_never_replaced_and_its_folder_is_locked(place: Place) -> None:
    from veritune.files import exclusive

    with exclusive(Path(place.job) / "data" / "secret", "plan", secret=True):
        assert json.loads(place.plan().stdout)["code"] == "VT-FILE-007"
    assert not (Path(place.job) / "plan").exists()
    assert place.plan().exit_code == 0
    assert json.loads(place.plan().stdout)["code"] == "VT-FILE-004"
    shutil.rmtree(place.job)
