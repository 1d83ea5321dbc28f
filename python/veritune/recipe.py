"""recipe.yaml: the user's wishes, checked against closed ranges, decimals kept as written.

The YAML subset: mappings, sequences, and scalars; no anchors, aliases, tags or repeated keys. A
plain scalar is null, true, false, a whole number, or text: ``1e-3`` and ``0.001`` stay text.
"""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from veritune.errors import Code, InvalidInput
from veritune.files import read_bytes
from veritune.unsupported import UNSUPPORTED

MAX_RECIPE_BYTES = 1 << 20
SCHEMA = "veritune.recipe/v1"
ALL_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The seven target modules in canonical order."""

DECIMAL = re.compile(r"(0|[1-9][0-9]{0,11})(\.[0-9]{1,18})?([eE][+-]?(0?[0-9]|1[0-2]))?")
"""A non-negative decimal: at most 12 digits, 18 decimals, an exponent up to 12, so at most 30 decimal places."""

_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_CONSTANTS = {"": None, "~": None, "null": None, "true": True, "false": False}


@dataclass(frozen=True)
class Recipe:
    """A checked recipe.

    Attributes:
        settings: what is proved, as the core takes it: {lora, train, data, proof, disclose}, every field
            present, decimals as text.
        model_dir: folder of the base model.
        files: JSONL files in order.
        template: name of a built-in template, or the Jinja file.
        label_mask: completion_only or all.
        long_rows: refuse or truncate.
    """

    settings: dict[str, Any]
    model_dir: Path
    files: tuple[Path, ...]
    template: str | Path
    label_mask: str
    long_rows: str

    @property
    def max_length(self) -> int:
        """Largest number of tokens of a row."""
        return int(self.settings["data"]["max_length"])

    @property
    def bucket(self) -> int:
        """Padded number of positions of every row."""
        return int(self.settings["data"]["bucket"])

    @property
    def batch_rows(self) -> int:
        """Rows that one optimiser step reads."""
        train = self.settings["train"]
        return int(train["per_device_train_batch_size"] * train["gradient_accumulation_steps"])

    def num_steps(self, num_rows: int) -> int:
        """Returns the optimiser steps of the run; the last partial batch of an epoch is dropped.

        Raises:
            InvalidInput: DATA_EMPTY if the rows do not fill one step.
        """
        per_epoch = num_rows // self.batch_rows
        if per_epoch == 0:
            raise InvalidInput(
                Code.DATA_EMPTY,
                f"{num_rows} rows, but one step reads {self.batch_rows}",
                location="data.files",
                remedy="add rows or lower per_device_train_batch_size",
            )
        train = self.settings["train"]
        if "max_steps" in train:
            return int(train["max_steps"])
        num_steps = per_epoch * int(train["num_train_epochs"])
        check_steps(num_steps, "train.num_train_epochs", "lower num_train_epochs or raise the batch")
        return num_steps


def check_steps(num_steps: int, location: str, remedy: str) -> None:
    """Refuses more steps than a run may have.

    Raises:
        InvalidInput: RECIPE_VALUE at ``location``.
    """
    most = largest("max_steps")
    if num_steps > most:
        message = f"{num_steps} steps, but a run has at most {most}"
        raise InvalidInput(Code.RECIPE_VALUE, message, location=location, remedy=remedy)


def load_recipe(path: Path) -> Recipe:
    """Returns the checked recipe; paths in it are relative to its folder.

    Raises:
        InvalidInput: a RECIPE code, naming file, line and field.
    """
    content = read_bytes(path, MAX_RECIPE_BYTES, what="recipe")
    return parse_recipe(content, name=str(path), folder=path.parent)


def parse_recipe(content: bytes, *, name: str, folder: Path) -> Recipe:
    """Returns the checked recipe in ``content``; ``name`` stands in errors."""
    reader = _Reader(name)
    written = reader.read(content)
    if not isinstance(written, dict):
        raise reader.error(Code.RECIPE_SYNTAX, "", "expected a mapping at the top")
    _refuse_fields(written, reader)
    _expand_words(written)
    _check_schema(written, reader)
    _check_conflicts(written, reader)
    filled: dict[str, Any] = _with_defaults(written, _schema())
    train = dict(filled["train"])
    train["optimizer"] = {"adamw_torch": "adamw", "sgd": "sgd"}[train.pop("optim")]
    if train["lr_scheduler_type"] == "constant_with_warmup":
        train["lr_scheduler_type"] = "constant"
    data = filled["data"]
    lora = dict(filled["lora"])
    lora["target_modules"] = [name for name in ALL_LINEAR if name in lora["target_modules"]]
    bucket = data.get("bucket", data["max_length"])
    template = data["template"]
    return Recipe(
        settings={
            "lora": lora,
            "train": train,
            "data": {"max_length": data["max_length"], "bucket": bucket},
            "proof": dict(filled["proof"]),
            "disclose": dict(filled["disclose"]),
        },
        model_dir=folder / filled["model"]["path"],
        files=tuple(folder / item for item in data["files"]),
        template=folder / template if template.endswith(".jinja") else template,
        label_mask=data["label_mask"],
        long_rows=data["long_rows"],
    )


class _Reader:
    """Reads the YAML subset and remembers the line of every field."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[str, int] = {}

    def error(self, code: Code, field: str, message: str, remedy: str = "") -> InvalidInput:
        """Returns the error at a field."""
        line = self.lines.get(field)
        location = f"{self.name}:{line}" if line is not None else self.name
        return InvalidInput(code, f"{field}: {message}" if field else message, location=location, remedy=remedy)

    def read(self, content: bytes) -> Any:
        """Returns the value of the one document."""
        try:
            text = content.decode("utf-8")
            for token in yaml.scan(text):
                if isinstance(token, yaml.AliasToken | yaml.AnchorToken | yaml.TagToken):
                    self.lines["?"] = token.start_mark.line + 1
                    raise self.error(Code.RECIPE_SYNTAX, "?", "anchors, aliases and tags are not allowed")
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except UnicodeDecodeError as error:
            raise self.error(Code.RECIPE_SYNTAX, "", f"not UTF-8: {error}") from error
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f"line {mark.line + 1}: " if mark is not None else ""
            problem = getattr(error, "problem", None) or str(error)
            raise self.error(Code.RECIPE_SYNTAX, "", f"{where}not YAML: {problem}") from error
        except RecursionError as error:
            raise self.error(Code.RECIPE_SYNTAX, "", "nested too deeply") from error
        except (OverflowError, ValueError) as error:
            raise self.error(Code.RECIPE_SYNTAX, "", "an escape \\U that is no character") from error
        return None if node is None else self._value(node, "")

    def _value(self, node: yaml.Node, field: str) -> Any:
        self.lines[field] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            built: dict[str, Any] = {}
            for key_node, value_node in node.value:
                if not isinstance(key_node, yaml.ScalarNode):
                    raise self.error(Code.RECIPE_SYNTAX, field, "keys must be text")
                key = str(key_node.value)
                inner = f"{field}.{key}" if field else key
                if key in built:
                    raise self.error(Code.RECIPE_SYNTAX, inner, "given twice")
                built[key] = self._value(value_node, inner)
                self.lines[inner] = key_node.start_mark.line + 1
            return built
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, f"{field}[{i}]") for i, item in enumerate(node.value)]
        text = str(node.value)
        if _NO_TEXT.search(text):
            raise self.error(Code.RECIPE_SYNTAX, field, "NUL or half of a pair of surrogates is no text")
        if isinstance(node, yaml.ScalarNode) and node.style is not None:
            return text
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        return int(text) if _WHOLE.fullmatch(text) else text


def _refuse_fields(written: dict[str, Any], reader: _Reader) -> None:
    """Drops neutral fields; refuses unsupported and unknown ones by name."""
    sections = _schema()["properties"]
    known = {section: list(body.get("properties", {})) for section, body in sections.items()}
    for section in list(written):
        _refuse_field(section, written, section, list(sections), reader)
        body = written.get(section)
        if isinstance(body, dict):
            for key in list(body):
                _refuse_field(f"{section}.{key}", body, key, known[section], reader)


def _refuse_field(field: str, holder: dict[str, Any], key: str, known: list[str], reader: _Reader) -> None:
    if key in known:
        return
    unsupported = UNSUPPORTED.get(field)
    if unsupported is None:
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise reader.error(Code.RECIPE_UNKNOWN, field, "unknown field", f"{hint}supported: {', '.join(known)}")
    if not unsupported.is_neutral(holder[key]):
        shown = json.dumps(holder[key], ensure_ascii=False)[:80]
        raise reader.error(
            Code.RECIPE_UNSUPPORTED,
            field,
            f"{shown} is not supported: {unsupported.why}",
            unsupported.instead,
        )
    del holder[key]


def _expand_words(written: dict[str, Any]) -> None:
    """Turns PEFT's ``all-linear`` into the seven names and whole-number decimals into text."""
    lora = written.get("lora")
    if isinstance(lora, dict) and lora.get("target_modules") == "all-linear":
        lora["target_modules"] = list(ALL_LINEAR)
    train = written.get("train")
    if isinstance(train, dict):
        for key, body in _schema()["properties"]["train"]["properties"].items():
            if "decimal" in body and type(train.get(key)) is int:
                train[key] = str(train[key])
    for section in ("lora", "proof", "disclose"):
        if written.get(section, {}) is None:
            written[section] = {}


def _check_schema(written: dict[str, Any], reader: _Reader) -> None:
    error = jsonschema.exceptions.best_match(
        _validator().iter_errors(written), key=lambda error: -len(error.absolute_path)
    )
    if error is None:
        return
    field = ""
    for step in error.absolute_path:
        field += f"[{step}]" if isinstance(step, int) else f".{step}" if field else str(step)
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        raise reader.error(Code.RECIPE_MISSING, f"{field}.{missing}" if field else missing, "required field")
    raise reader.error(Code.RECIPE_VALUE, field, error.message[:300])


def _check_conflicts(written: dict[str, Any], reader: _Reader) -> None:
    train, data = written["train"], written["data"]
    if ("num_train_epochs" in train) == ("max_steps" in train):
        raise reader.error(Code.RECIPE_CONFLICT, "train", "give exactly one of num_train_epochs and max_steps")
    batch_rows = train["per_device_train_batch_size"] * train.get("gradient_accumulation_steps", 1)
    most = largest("per_device_train_batch_size")
    if batch_rows > most:
        raise reader.error(
            Code.RECIPE_VALUE,
            "train.gradient_accumulation_steps",
            f"one step reads {batch_rows} rows, at most {most} are supported",
        )
    if train.get("lr_scheduler_type") == "constant" and train.get("warmup_steps", 0) > 0:
        raise reader.error(
            Code.RECIPE_CONFLICT,
            "train.warmup_steps",
            "the Trainer ignores warm-up with lr_scheduler_type: constant",
            "use constant_with_warmup",
        )
    if train.get("optim") == "sgd":
        for name in ("adam_beta1", "adam_beta2", "adam_epsilon"):
            if name in train:
                raise reader.error(Code.RECIPE_CONFLICT, f"train.{name}", "has no effect with optim: sgd")
    if data.get("bucket", data["max_length"]) < data["max_length"]:
        raise reader.error(
            Code.RECIPE_CONFLICT,
            "data.bucket",
            f"{data['bucket']} is less than max_length {data['max_length']}",
        )
    disclose = written.get("disclose", {})
    if disclose.get("adapter") == "hidden":
        for name, what in (("loss", "losses"), ("data", "rows")):
            if disclose.get(name) == "public":
                raise reader.error(
                    Code.RECIPE_CONFLICT,
                    "disclose.adapter",
                    f"whoever guesses a hidden adapter sees by public {what} whether the guess is right",
                    f"hide the {what} too, or let the adapter be public",
                )


def _with_defaults(written: Any, schema: dict[str, Any]) -> Any:
    if schema.get("type") != "object":
        return written
    filled = {}
    for key, body in schema["properties"].items():
        if key in written or "default" in body:
            filled[key] = _with_defaults(written.get(key, body.get("default")), body)
    return filled


def _decimal_range(_validator: Any, limits: dict[str, str], instance: Any, _schema: Any) -> Any:
    """The schema keyword ``decimal``: a decimal as text inside a closed range."""
    if not isinstance(instance, str):
        return
    low = limits.get("minimum", limits.get("exclusiveMinimum", "0"))
    bracket = "(" if "exclusiveMinimum" in limits else "["
    expected = f"expected a decimal in {bracket}{low}, {limits['maximum']}], got {instance!r}"
    if not DECIMAL.fullmatch(instance):
        yield jsonschema.ValidationError(expected)
        return
    value = Decimal(instance)
    below = value <= Decimal(low) if bracket == "(" else value < Decimal(low)
    if below or value > Decimal(limits["maximum"]):
        yield jsonschema.ValidationError(expected)


@cache
def _schema() -> dict[str, Any]:
    text = files("veritune").joinpath("schemas/recipe-v1.schema.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def largest(field: str) -> int:
    """Returns the schema's bound on a field of ``train``: steps of a run, or rows of a step."""
    return int(_schema()["properties"]["train"]["properties"][field]["maximum"])


@cache
def _validator() -> Any:
    extend: Any = jsonschema.validators.extend
    return extend(jsonschema.Draft202012Validator, {"decimal": _decimal_range})(_schema())
