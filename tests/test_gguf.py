"""The tokenizer inside a GGUF file: equal to the tokenizer.json that it came from, refusals by name."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest

from veritune.encoder import Encoder
from veritune.errors import Code, InvalidInput

TEXTS = ["One row, and another.", "é 漢 😀 2024", "  two\n\ttabs", "<|endoftext|>x"]


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def _value(value: Any) -> bytes:
    """A typed metadata value: text, bool, u32, or an array of texts or i32."""
    if isinstance(value, str):
        return struct.pack("<I", 8) + _text(value)
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    texts = isinstance(value[0], str)
    items = b"".join(_text(item) if texts else struct.pack("<i", item) for item in value)
    return struct.pack("<IIQ", 9, 8 if texts else 5, len(value)) + items


def write_gguf(path: Path, metadata: dict[str, Any]) -> None:
    body = b"".join(_text(key) + _value(value) for key, value in metadata.items())
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(metadata)) + body)


@pytest.fixture
def metadata(model_dir: Path) -> dict[str, Any]:
    model = json.loads((model_dir / "tokenizer.json").read_bytes())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    return {
        "general.architecture": "llama",
        "llama.vocab_size": len(tokens),
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3, 3] + [1] * (len(tokens) - 2),
        "tokenizer.ggml.merges": [m if isinstance(m, str) else " ".join(m) for m in model["merges"]],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 0,
        "tokenizer.ggml.padding_token_id": 1,
        "tokenizer.ggml.add_bos_token": True,
    }


def test_the_same_tokens_as_from_tokenizer_json(tmp_path: Path, metadata: dict[str, Any], model_dir: Path) -> None:
    write_gguf(tmp_path / "model.gguf", metadata)
    ours, original = Encoder(tmp_path), Encoder(model_dir)
    assert ours.encode(TEXTS) == original.encode(TEXTS)
    assert [ours.decode(ids) for ids, _ in ours.encode(TEXTS)] == TEXTS
    assert (ours.pad_id, ours.vocab_size) == (1, original.vocab_size)
    assert ours.specials.add_bos and ours.specials.eos == "<|endoftext|>"
    assert ours.sha256 != original.sha256 and len(ours.sha256) == 64


def test_a_tokenizer_json_beside_the_file_takes_the_place_of_one_that_is_not_supported(
    tmp_path: Path, metadata: dict[str, Any], model_dir: Path
) -> None:
    """As the remedy says; the rest is the file's own metadata."""
    write_gguf(tmp_path / "model.gguf", {**metadata, "tokenizer.ggml.pre": "qwen2"})
    with pytest.raises(InvalidInput) as caught:
        Encoder(tmp_path)
    assert "put a tokenizer.json beside the file" in caught.value.remedy
    shutil.copyfile(model_dir / "tokenizer.json", tmp_path / "tokenizer.json")
    ours, original = Encoder(tmp_path), Encoder(model_dir)
    assert ours.encode(TEXTS) == original.encode(TEXTS) and ours.sha256 == original.sha256
    assert (ours.pad_id, ours.vocab_size, ours.specials.add_bos) == (1, original.vocab_size, True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tokenizer.ggml.model": "llama"}, "'llama'"),
        ({"tokenizer.ggml.pre": "qwen2"}, "'qwen2'"),
        ({"tokenizer.ggml.merges": "none"}, "tokenizer.ggml.merges is missing"),
        ({"tokenizer.ggml.token_type": [1]}, "1 types"),
        ({"tokenizer.ggml.merges": ["x yz"]}, "no BPE vocabulary"),
    ],
)
def test_a_vocabulary_that_is_not_supported_is_refused(
    tmp_path: Path, metadata: dict[str, Any], change: dict[str, Any], words: str
) -> None:
    write_gguf(tmp_path / "model.gguf", {**metadata, **change})
    with pytest.raises(InvalidInput) as caught:
        Encoder(tmp_path)
    assert caught.value.code == Code.TOKENIZER.id and words in caught.value.message


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GGML" + bytes(20),
        b"GGUF" + struct.pack("<IQQ", 1, 0, 0),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 40),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1 << 62),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + _text("x") + struct.pack("<IIQ", 9, 4, 1 << 60),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + _text("x") + struct.pack("<IIQI", 9, 9, 1, 9),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + _text("x") + struct.pack("<I", 99),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + (_text("x") + _value(1)) * 2,
    ],
)
def test_a_malformed_file_is_refused_with_bounded_work(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.gguf").write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        Encoder(tmp_path)
    assert caught.value.code == Code.TOKENIZER.id


def test_the_number_of_items_is_bounded(
    tmp_path: Path, metadata: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_gguf(tmp_path / "model.gguf", metadata)
    monkeypatch.setattr("veritune.gguf.MAX_ITEMS", 100)
    with pytest.raises(InvalidInput, match="an array of 2048 items"):
        Encoder(tmp_path)
