"""The tokenizer of a model folder: ``tokenizer.json`` or a GGUF file, through the ``tokenizers`` library.

BOS and EOS follow ``tokenizer_config.json``; padding and the vocabulary's size ``config.json``; a folder with
a GGUF file takes all of them from the file's metadata, and the tokenizer too where there is no tokenizer.json.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from veritune.errors import Code, InvalidInput
from veritune.files import parse_json, read_bytes
from veritune.gguf import build_tokenizer, configuration, read_metadata
from veritune.template import MAX_TEMPLATE_BYTES, Specials

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAX_TOKENIZER_BYTES = 256 << 20
MAX_CONFIG_BYTES = 1 << 20


class Encoder:
    """Text to token ids.

    Attributes:
        sha256: SHA-256 of tokenizer.json (of the defining fields of a GGUF file), hex.
        chat_template: the model's own chat template, if it has one.
        specials: BOS and EOS.
        pad_id: id that fills rows up to the bucket.
        vocab_size: rows of the model's embedding; every id is below it.
    """

    def __init__(self, model_dir: Path) -> None:
        """Loads the tokenizer of a model folder.

        Raises:
            InvalidInput: TOKENIZER, VOCABULARY, FILE_UNREADABLE.
        """
        gguf = min(model_dir.glob("*.gguf"), default=None)
        metadata = read_metadata(gguf) if gguf else {}
        path = model_dir / "tokenizer.json"
        if gguf and not path.exists():
            path = gguf
            self._tokenizer, self.sha256 = build_tokenizer(metadata, name=str(path))
        else:
            self._tokenizer, self.sha256 = _read_tokenizer(path)
        configured = gguf or model_dir / "config.json"
        if gguf:
            config, written = configuration(metadata)
        else:
            config = _read_config(configured, required=True)
            written = _read_config(model_dir / "tokenizer_config.json", required=False)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.chat_template = _chat_template(model_dir, written)
        self.vocab_size: int = config.get("vocab_size", 0)
        if type(self.vocab_size) is not int:
            raise InvalidInput(
                Code.VOCABULARY,
                f"vocab_size must be a whole number, got {self.vocab_size!r}",
                location=str(configured),
                remedy="restore the configuration of the checkpoint",
            )
        num_ids = 1 + max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
        if num_ids > self.vocab_size:
            raise InvalidInput(
                Code.VOCABULARY,
                f"the tokenizer has ids up to {num_ids - 1}, the model {self.vocab_size} rows",
                location=str(path),
                remedy="use the tokenizer that the model was trained with",
            )
        eos = self._special(written, "eos_token", config.get("eos_token_id"))
        if not eos and config.get("eos_token_id") is not None:
            raise InvalidInput(
                Code.VOCABULARY,
                f"eos_token_id {config['eos_token_id']!r} names no token of the vocabulary",
                location=str(configured),
                remedy="restore the configuration of the checkpoint",
            )
        if not eos:
            raise InvalidInput(Code.TOKENIZER, "no eos_token", location=str(model_dir / "tokenizer_config.json"))
        bos = self._special(written, "bos_token", config.get("bos_token_id"))
        self.specials = Specials(bos, eos, add_bos=bool(bos) and written.get("add_bos_token") is True)
        pad = self._special(written, "pad_token", config.get("pad_token_id")) or eos
        self.pad_id: int = self._tokenizer.token_to_id(pad) or 0

    def encode(self, texts: list[str]) -> list[tuple[list[int], list[tuple[int, int]]]]:
        """Returns (ids, [start, end) character offsets) of each text; no token is added."""
        encodings = self._tokenizer.encode_batch(texts, add_special_tokens=False)
        return [(list(item.ids), list(item.offsets)) for item in encodings]

    def decode(self, ids: list[int]) -> str:
        """Returns the text of the ids, special tokens included."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=False))

    def _special(self, written: dict[str, Any], field: str, token_id: Any) -> str:
        """Returns the text of a special token from its name, else from its id in config.json; "" if there is none."""
        token = written.get(field)
        if isinstance(token, dict):
            token = token.get("content")
        if token is None and isinstance(token_id, list):
            token_id = token_id[0] if token_id else None
        if token is None and type(token_id) is int and 0 <= token_id < self.vocab_size:
            token = self._tokenizer.id_to_token(token_id)
        if token is None:
            return ""
        if not isinstance(token, str) or self._tokenizer.token_to_id(token) is None:
            raise InvalidInput(Code.VOCABULARY, f"{field} {token!r} is not in the vocabulary", location=field)
        return token


def _read_tokenizer(path: Path) -> tuple[Tokenizer, str]:
    """Returns the tokenizer in tokenizer.json and the SHA-256 of the file, hex."""
    from tokenizers import Tokenizer

    content = read_bytes(path, MAX_TOKENIZER_BYTES, what="tokenizer")
    try:
        tokenizer = Tokenizer.from_str(content.decode("utf-8"))
    except Exception as error:  # tokenizers raises plain Exception
        raise InvalidInput(
            Code.TOKENIZER, f"not a tokenizer of the tokenizers library: {error}", location=str(path)
        ) from error
    return tokenizer, hashlib.sha256(content).hexdigest()


def _chat_template(model_dir: Path, written: dict[str, Any]) -> bytes | None:
    """Returns the model's own chat template: chat_template.jinja, else the tokenizer's configuration."""
    path = model_dir / "chat_template.jinja"
    if path.exists():
        return read_bytes(path, MAX_TEMPLATE_BYTES, what="template")
    template = written.get("chat_template")
    return template.encode("utf-8") if isinstance(template, str) else None


def _read_config(path: Path, *, required: bool) -> dict[str, Any]:
    if not required and not path.exists():
        return {}
    try:
        value = parse_json(read_bytes(path, MAX_CONFIG_BYTES, what="configuration"))
    except ValueError as error:
        raise InvalidInput(Code.TOKENIZER, f"not JSON: {error}", location=str(path)) from error
    if not isinstance(value, dict):
        raise InvalidInput(Code.TOKENIZER, "not a JSON object", location=str(path))
    return value
