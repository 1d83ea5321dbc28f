"""The tokenizer inside a GGUF file, as a tokenizer of the ``tokenizers`` library.

Reads the metadata only (the tensors are the core's) and supports the byte-level BPE vocabularies whose
pre-tokenizer is known here; another one is refused by name.

Source: GGUF specification version 3 (ggml, docs/gguf.md); the pre-tokenizers as in the models' own
tokenizer.json.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from veritune.errors import Code, InvalidInput
from veritune.files import canonical_json, unreadable

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAX_METADATA_BYTES = 256 << 20
MAX_ITEMS = 1 << 22
PRE_TOKENIZERS = ("gpt-2", "smollm")

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_CONTROL, _USER_DEFINED = 3, 4


class _Reader:
    """Reads the little-endian metadata of a GGUF file, at most ``MAX_METADATA_BYTES`` of it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._left = MAX_METADATA_BYTES

    def take(self, num_bytes: int) -> bytes:
        if num_bytes > self._left:
            raise ValueError("the metadata is too long")
        self._left -= num_bytes
        content = self._stream.read(num_bytes)
        if len(content) != num_bytes:
            raise ValueError("the file ends inside the metadata")
        return content

    def number(self, form: str) -> Any:
        return struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))[0]

    def text(self) -> str:
        return self.take(self.number("Q")).decode("utf-8")

    def value(self, kind: int, *, nested: bool = False) -> Any:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY and not nested:
            inner, count = self.number("I"), self.number("Q")
            if count > MAX_ITEMS:
                raise ValueError(f"an array of {count} items")
            return [self.value(inner, nested=True) for _ in range(count)]
        if kind not in _SCALARS:
            raise ValueError(f"a value of type {kind}")
        return self.number(_SCALARS[kind])


def read_metadata(path: Path) -> dict[str, Any]:
    """Returns the metadata of a GGUF file (version 2 or 3).

    Raises:
        InvalidInput: TOKENIZER, FILE_UNREADABLE.
    """
    try:
        with path.open("rb") as stream:
            reader = _Reader(stream)
            if reader.take(4) != b"GGUF":
                raise ValueError("it does not begin with GGUF")
            version, _num_tensors, count = reader.number("I"), reader.number("Q"), reader.number("Q")
            if version not in (2, 3) or count > MAX_ITEMS:
                raise ValueError(f"version {version} with {count} fields")
            metadata: dict[str, Any] = {}
            for _ in range(count):
                key = reader.text()
                if key in metadata:
                    raise ValueError(f"{key} twice")
                metadata[key] = reader.value(reader.number("I"))
            return metadata
    except OSError as error:
        raise unreadable(path, error, "model") from error
    except ValueError as error:
        raise InvalidInput(Code.TOKENIZER, f"not a GGUF file: {error}", location=str(path)) from error


def build_tokenizer(metadata: dict[str, Any], *, name: str) -> tuple[Tokenizer, str]:
    """Returns the tokenizer and the digest (SHA-256, hex) of the fields that define it.

    Raises:
        InvalidInput: TOKENIZER for a vocabulary that is not supported.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    model, pre = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre", "gpt-2")
    if model != "gpt2" or pre not in PRE_TOKENIZERS:
        raise InvalidInput(
            Code.TOKENIZER,
            f"the GGUF tokenizer {model!r} with pre-tokenizer {pre!r} is not supported",
            location=name,
            remedy=f"supported: gpt2 with {', '.join(PRE_TOKENIZERS)}; or put a tokenizer.json beside the file",
        )
    tokens, merges, kinds = (_list(metadata, field, name) for field in ("tokens", "merges", "token_type"))
    if len(tokens) != len(kinds):
        raise InvalidInput(Code.TOKENIZER, f"{len(tokens)} tokens with {len(kinds)} types", location=name)
    try:
        pairs = [tuple(merge.split(" ", 1)) for merge in merges]
        vocabulary = {token: index for index, token in enumerate(tokens)}
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=pairs, fuse_unk=False))
    except Exception as error:  # tokenizers raises plain Exception
        raise InvalidInput(Code.TOKENIZER, f"no BPE vocabulary: {error}", location=name) from error
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, byte_level]) if pre == "smollm" else byte_level
    tokenizer.decoder = decoders.ByteLevel()
    for token, kind in zip(tokens, kinds, strict=True):
        if kind == _CONTROL:
            tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False)])
        elif kind == _USER_DEFINED:
            tokenizer.add_tokens([AddedToken(token, special=False, normalized=False)])
    defining = {"model": model, "pre": pre, "tokens": tokens, "merges": merges, "token_type": kinds}
    return tokenizer, hashlib.sha256(canonical_json(defining)).hexdigest()


def _list(metadata: dict[str, Any], field: str, name: str) -> list[Any]:
    value = metadata.get(f"tokenizer.ggml.{field}")
    if not isinstance(value, list):
        raise InvalidInput(Code.TOKENIZER, f"tokenizer.ggml.{field} is missing", location=name)
    return value


def configuration(metadata: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns what config.json and tokenizer_config.json would say."""
    architecture = metadata.get("general.architecture", "")
    tokens = metadata.get("tokenizer.ggml.tokens", [])
    config = {
        "vocab_size": metadata.get(f"{architecture}.vocab_size", len(tokens)),
        "bos_token_id": metadata.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": metadata.get("tokenizer.ggml.eos_token_id"),
        "pad_token_id": metadata.get("tokenizer.ggml.padding_token_id"),
    }
    written = {
        "add_bos_token": metadata.get("tokenizer.ggml.add_bos_token", False),
        "chat_template": metadata.get("tokenizer.chat_template"),
    }
    return config, written
