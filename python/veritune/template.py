"""From the four forms of a row to text with supervised spans.

``text`` and ``prompt``/``completion`` are taken as written, with EOS after the last character (and
BOS before the first where the tokenizer's configuration asks for it). ``messages`` and
``instruction``/``input``/``output`` pass through a Jinja template with the variables ``messages``,
``add_generation_prompt``, ``bos_token`` and ``eos_token``, as chat templates of Hugging Face do.
"""

from __future__ import annotations

import hashlib
import hmac
import traceback
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import CodeType
from typing import Any, NoReturn

import jinja2
import jinja2.sandbox

from veritune.errors import Code, InvalidInput
from veritune.files import read_bytes

MAX_TEMPLATE_BYTES = 1 << 20
BUILT_IN = ("plain", "model")

_ROLES = ("system", "user", "assistant")
_FORMS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "messages": (frozenset({"messages"}), frozenset()),
    "instruction": (frozenset({"instruction", "output"}), frozenset({"input"})),
    "prompt": (frozenset({"prompt", "completion"}), frozenset()),
    "text": (frozenset({"text"}), frozenset()),
}
"""Form: its required and its optional fields. Any form may carry ``meta``."""


class RowError(Exception):
    """What is wrong with one row; the reader of rows adds file and line."""

    def __init__(self, code: Code, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.remedy = code, message, remedy


@dataclass(frozen=True)
class Rendered:
    """A row as text.

    Attributes:
        form: messages, instruction, prompt or text.
        text: what is tokenized, special tokens written out.
        spans: [start, end) character ranges whose tokens are labels under completion_only.
    """

    form: str
    text: str
    spans: tuple[tuple[int, int], ...]


class Template:
    """A compiled template; ``is_own`` if it is the maker's file, which is as secret as the rows that it writes."""

    def __init__(self, name: str, source: bytes, *, is_own: bool = False) -> None:
        self.name = name
        self.is_own = is_own
        self._bytes = source
        self._source = source.decode("utf-8", errors="replace")
        environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
        )
        environment.globals["raise_exception"] = _raise_exception
        try:
            self._template = environment.from_string(source.decode("utf-8"))
        except Exception as error:  # also what Python's compiler refuses
            raise InvalidInput(Code.DATA_TEMPLATE, f"the template does not compile: {error}", location=name) from error

    def pinned(self, secret: bytes) -> dict[str, str]:
        """Returns what a plan says of it: name and SHA-256, of the maker's own an HMAC under the job's secret.

        A plain digest of a file that is part of every row would tell who guesses it whether the guess is right.
        """
        if not self.is_own:
            return {"name": self.name, "sha256": hashlib.sha256(self._bytes).hexdigest()}
        digest = hmac.digest(secret, b"veritune template" + self._bytes, "sha256")
        return {"name": "own", "hmac_sha256": digest.hex()}

    def render(self, messages: list[dict[str, str]], *, prompt: bool, tokens: Specials) -> str:
        """Returns the text of the messages; ``prompt`` asks for the assistant's opening."""
        try:
            return self._template.render(
                messages=messages,
                add_generation_prompt=prompt,
                bos_token=tokens.bos,
                eos_token=tokens.eos,
            )
        except MemoryError:
            raise
        except Exception as error:  # nothing else runs in there
            raise RowError(Code.DATA_TEMPLATE, f"the template fails: {self._told(error)}") from None

    def _told(self, error: Exception) -> str:
        """Returns what may be told: an exception may quote the row, unless its words are the template's own."""
        lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if _is_template(frame.f_code)]
        where = f"{type(error).__name__} in line {lines[-1]}" if lines else type(error).__name__
        words = str(error)
        is_own = isinstance(error, jinja2.TemplateError) and words in self._source
        return f"{words} ({where})" if is_own else where


def _is_template(code: CodeType) -> bool:
    """Whether a frame's code is that of a template compiled from a string."""
    return code.co_filename == "<template>"


@dataclass(frozen=True)
class Specials:
    """Text of the special tokens, and whether BOS opens a row that no template renders."""

    bos: str
    eos: str
    add_bos: bool


def load_template(template: str | Path, of_model: bytes | None) -> Template:
    """Returns the built-in template of that name, the model's own (``model``), or the Jinja file.

    Raises:
        InvalidInput: DATA_TEMPLATE, FILE_UNREADABLE.
    """
    if isinstance(template, Path):
        return Template(template.name, read_bytes(template, MAX_TEMPLATE_BYTES, what="template"), is_own=True)
    if template not in BUILT_IN:
        raise InvalidInput(
            Code.DATA_TEMPLATE,
            f"no built-in template {template!r}",
            location="data.template",
            remedy=f"use {', '.join(BUILT_IN)} or a file that ends in .jinja",
        )
    if template == "model":
        if of_model is None:
            raise InvalidInput(
                Code.DATA_TEMPLATE,
                "the model's folder has no chat template",
                location="data.template",
                remedy="use plain or a file that ends in .jinja",
            )
        return Template(template, of_model)
    source = files("veritune").joinpath(f"templates/{template}.jinja").read_bytes()
    return Template(template, source)


def render_row(row: dict[str, Any], template: Template, tokens: Specials) -> Rendered:
    """Returns the row as text with supervised spans; raises RowError."""
    form = _form(row)
    bos = tokens.bos if tokens.add_bos else ""
    if form == "text":
        body = _text(row, "text")
        return Rendered(form, bos + body + tokens.eos, ((len(bos), len(bos + body + tokens.eos)),))
    if form == "prompt":
        prompt = bos + _text(row, "prompt")
        full = prompt + _text(row, "completion") + tokens.eos
        return Rendered(form, full, ((len(prompt), len(full)),))
    if form == "instruction":
        asked = _text(row, "instruction")
        given = _text(row, "input") if "input" in row else ""
        messages = [
            {"role": "user", "content": f"{asked}\n{given}" if given else asked},
            {"role": "assistant", "content": _text(row, "output")},
        ]
    else:
        messages = _messages(row)
    return _render_messages(form, messages, template, tokens)


def _render_messages(form: str, messages: list[dict[str, str]], template: Template, tokens: Specials) -> Rendered:
    full = template.render(messages, prompt=False, tokens=tokens)
    spans = []
    for index, message in enumerate(messages):
        if message["role"] == "assistant":
            opening = template.render(messages[:index], prompt=True, tokens=tokens)
            closing = template.render(messages[: index + 1], prompt=False, tokens=tokens)
            if not (closing.startswith(opening) and full.startswith(closing)):
                raise RowError(
                    Code.DATA_TEMPLATE,
                    f"the text up to message {index + 1} is not a prefix of the whole row",
                    "use a template that only appends, or label_mask: all",
                )
            spans.append((len(opening), len(closing)))
    return Rendered(form, full, tuple(spans))


def _form(row: dict[str, Any]) -> str:
    fields = set(row) - {"meta"}
    if "meta" in row and not isinstance(row["meta"], dict):
        raise RowError(Code.DATA_FORM, "meta must be an object")
    for form, (required, optional) in _FORMS.items():
        if required <= fields:
            known = required | optional
            if fields - known:
                places = [str(place) for place, field in enumerate(row, start=1) if field in fields - known]
                raise RowError(
                    Code.DATA_FORM,
                    f"field {', '.join(places[:8])} of the row is none of {', '.join(sorted(known))}, meta",
                    "move it to meta",
                )
            return form
    anywhere = {field for required, optional in _FORMS.values() for field in required | optional}
    known_fields = ", ".join(sorted(fields & anywhere)) or "none"
    raise RowError(
        Code.DATA_FORM,
        f"{len(fields)} fields, of which known: {known_fields}, are none of the four forms",
        "messages | instruction, input, output | prompt, completion | text",
    )


def _text(row: dict[str, Any], field: str) -> str:
    value = row[field]
    if not isinstance(value, str):
        raise RowError(Code.DATA_FORM, f"{field} must be text")
    return value


def _messages(row: dict[str, Any]) -> list[dict[str, str]]:
    messages = row["messages"]
    if not isinstance(messages, list) or not messages:
        raise RowError(Code.DATA_FORM, "messages must be a list that is not empty")
    for index, message in enumerate(messages, start=1):
        if not isinstance(message, dict) or set(message) != {"role", "content"}:
            raise RowError(Code.DATA_FORM, f"message {index} must have role and content, no more")
        if message["role"] not in _ROLES:
            raise RowError(Code.DATA_FORM, f"message {index}: role must be one of {_ROLES}")
        _text(message, "content")
    return messages


def _raise_exception(message: str) -> NoReturn:
    """The function ``raise_exception`` of Hugging Face's chat templates."""
    raise jinja2.TemplateError(message)
