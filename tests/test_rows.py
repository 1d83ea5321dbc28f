"""Rows to token arrays: real rows, the four forms, masks, and errors with file and line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from veritune.encoder import Encoder
from veritune.errors import Code, InvalidInput
from veritune.recipe import parse_recipe
from veritune.rows import IGNORED, Dataset, read_dataset

RECIPE = """\
schema: veritune.recipe/v1
model: {{path: {model}}}
data:
  files: [rows.jsonl]
  max_length: {max_length}
  {more}
train: {{learning_rate: 1e-3, per_device_train_batch_size: 1, max_steps: 1}}
"""

ROWS: list[dict[str, Any]] = [
    {"text": "The whole text is a label."},
    {"prompt": "A prompt.\n", "completion": "The completion."},
    {"instruction": "Name a colour.", "input": "Of grass.", "output": "green"},
    {"instruction": "Name a colour.", "output": "red", "meta": {"license": "MIT"}},
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "One?"},
            {"role": "assistant", "content": "Yes, one."},
            {"role": "user", "content": "Two?"},
            {"role": "assistant", "content": "No."},
        ]
    },
]
EOS = "<|endoftext|>"
SUPERVISED = [
    f"The whole text is a label.{EOS}",
    f"The completion.{EOS}",
    f"green{EOS}",
    f"red{EOS}",
    f"Yes, one.{EOS}No.{EOS}",
]


@pytest.fixture
def read(tmp_path: Path, model_dir: Path) -> Any:
    def reader(rows: list[dict[str, Any]] | bytes, more: str = "", max_length: int = 64) -> Dataset:
        content = rows if isinstance(rows, bytes) else b"\n".join(json.dumps(row).encode() for row in rows)
        (tmp_path / "rows.jsonl").write_bytes(content)
        text = RECIPE.format(model=json.dumps(str(model_dir)), more=more, max_length=max_length)
        return read_dataset(parse_recipe(text.encode(), name="recipe.yaml", folder=tmp_path))

    return reader


def refused(read: Any, rows: Any, **options: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        read(rows, **options)
    return caught.value


def test_real_rows_fit_and_are_shifted_labels(read: Any, demo_rows: Path, model_dir: Path) -> None:
    content = demo_rows.read_bytes()
    dataset = read(content)
    tokens, targets = dataset.rows.tokens, dataset.rows.targets
    assert tokens.shape == targets.shape == (content.count(b"\n"), 64)
    assert tokens.dtype == targets.dtype == np.int64
    assert tokens.flags["C_CONTIGUOUS"] and targets.flags["C_CONTIGUOUS"]
    encoder = Encoder(model_dir)
    assert tokens.min() >= 0 and tokens.max() < encoder.vocab_size
    supervised = targets != IGNORED
    assert (targets[:, -1] == IGNORED).all()
    assert (targets[:, :-1][supervised[:, :-1]] == tokens[:, 1:][supervised[:, :-1]]).all()
    for index, line in enumerate(content.splitlines()):
        row, report = json.loads(line), dataset.reports[index]
        labels = [int(label) for label in targets[index][supervised[index]]]
        assert encoder.decode(labels) == row["output"] + EOS
        whole = encoder.decode([int(token) for token in tokens[index][: report.num_tokens]])
        assert whole == f"{row['instruction']}\n{row['input']}\n{row['output']}{EOS}"
        assert (tokens[index][report.num_tokens :] == encoder.pad_id).all()
        assert report.num_labels == len(labels) and report.source.line == index + 1
    summary = dataset.summary()
    assert summary["rows"] == len(tokens) and dataset.meta_counts("license") == {"MIT": len(tokens)}


def test_the_four_forms_supervise_what_the_guide_says(read: Any, model_dir: Path) -> None:
    dataset = read(ROWS)
    encoder = Encoder(model_dir)
    for targets, expected in zip(dataset.rows.targets, SUPERVISED, strict=True):
        shown = encoder.decode([int(label) for label in targets if label != IGNORED])
        # The first token of a row has no position before it, so it is never predicted.
        assert expected.endswith(shown) and len(expected) - len(shown) <= 3
    assert [report.form for report in dataset.reports] == [
        "text", "prompt", "instruction", "instruction", "messages",
    ]  # fmt: skip
    assert dataset.meta_counts("license") == {"": 4, "MIT": 1}


def test_mask_all_supervises_every_token_but_the_first(read: Any) -> None:
    dataset = read(ROWS, more="label_mask: all")
    for tokens, targets, report in zip(dataset.rows.tokens, dataset.rows.targets, dataset.reports, strict=True):
        assert report.num_labels == report.num_tokens - 1
        assert (targets[: report.num_tokens - 1] == tokens[1 : report.num_tokens]).all()


def test_truncation_keeps_the_first_tokens_and_is_reported(read: Any) -> None:
    whole = read(ROWS[:1]).rows
    cut = read(ROWS[:1], more="long_rows: truncate\n  bucket: 7", max_length=5)
    assert cut.rows.tokens.shape == (1, 7)
    assert (cut.rows.tokens[0, :5] == whole.tokens[0, :5]).all()
    assert (cut.rows.targets[0, 4:] == IGNORED).all()
    assert cut.reports[0].num_dropped > 0 and cut.summary()["truncated_rows"] == 1


def test_blank_lines_are_skipped_and_lines_still_counted(read: Any) -> None:
    dataset = read(b'\n{"text": "one two three"}\n\n  \n{"text": "four five six"}')
    assert [report.source.line for report in dataset.reports] == [2, 5]


def test_a_chat_template_from_a_file(read: Any, tmp_path: Path, model_dir: Path) -> None:
    (tmp_path / "chat.jinja").write_text(
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}"
        "{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    dataset = read(ROWS[4:], more="template: chat.jinja")
    labels = [int(label) for label in dataset.rows.targets[0] if label != IGNORED]
    assert Encoder(model_dir).decode(labels) == f"Yes, one.{EOS}No.{EOS}"
    pins = [dataset.template.pinned(secret) for secret in (bytes(32), bytes(32), b"1" * 32)]
    assert pins[0] == pins[1] != pins[2] and pins[0]["name"] == "own" and len(pins[0]["hmac_sha256"]) == 64
    source = (tmp_path / "chat.jinja").read_bytes()
    assert hashlib.sha256(source).hexdigest() not in pins[0].values()
    plain = read(ROWS[4:]).template
    assert plain.pinned(bytes(32)) == plain.pinned(b"1" * 32) and set(plain.pinned(bytes(32))) == {"name", "sha256"}


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ messages", "does not compile"),
        ("{{ nothing }}", "template fails: UndefinedError in line 1"),
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{{ messages.__class__.__mro__ }}", "template fails"),
        ("{{ messages[-1].content }}{{ messages[0].content }}", "not a prefix"),
        ("{{ 1/0 }}", "template fails: ZeroDivisionError in line 1"),
        ("\n{{ range(10000000) }}", "template fails: OverflowError in line 2"),
        ("{{ 2.0**100000 }}", "template fails: OverflowError in line 1"),
        ("{{ '%(a)s'|format(b=1) }}", "template fails: KeyError in line 1"),
        ("{{ '%(Be brief.)s'|format(b=messages[0].content) }}", "template fails: KeyError in line 1"),
        ("{% for m in messages %}" * 30 + "{% endfor %}" * 30, "does not compile"),
    ],
)
def test_a_template_that_fails_is_refused(read: Any, tmp_path: Path, template: str, words: str) -> None:
    (tmp_path / "chat.jinja").write_text(template)
    error = refused(read, ROWS[4:], more="template: chat.jinja")
    assert error.code == Code.DATA_TEMPLATE.id and words in error.message
    assert "Be brief" not in str(error)


BAD_LINES = [
    ('{"text": "x"', Code.DATA_JSON, "not JSON"),
    ("[1]", Code.DATA_JSON, "not a JSON object"),
    ('{"text": "a", "text": "b"}', Code.DATA_JSON, "twice"),
    ('{"text": NaN}', Code.DATA_JSON, "NaN"),
    ('{"text": 3}', Code.DATA_FORM, "text must be text"),
    ('{"text": "x y z", "id": 7}', Code.DATA_FORM, "field 2 of the row is none of text, meta"),
    ('{"question": "x"}', Code.DATA_FORM, "1 fields, of which known: none"),
    ('{"prompt": "x"}', Code.DATA_FORM, "none of the four forms"),
    ('{"text": "x y z", "meta": "MIT"}', Code.DATA_FORM, "meta must be an object"),
    ('{"text": "x y z", "meta": {"score": 0.4375}}', Code.DATA_FORM, "a number that is not whole"),
    ('{"text": "x y z", "meta": {"id": [9007199254740993]}}', Code.DATA_FORM, "beyond 2^53 - 1"),
    ('{"messages": []}', Code.DATA_FORM, "not empty"),
    ('{"messages": [{"role": "tool", "content": "x"}]}', Code.DATA_FORM, "role"),
    ('{"messages": [{"role": "user"}]}', Code.DATA_FORM, "content"),
    ('{"messages": [{"role": "user", "content": "x"}]}', Code.DATA_UNSUPERVISED, "no supervised"),
    (json.dumps({"text": "word " * 100}), Code.DATA_LONG, "max_length is 64"),
    ("\xff", Code.DATA_JSON, "not JSON"),
]


@pytest.mark.parametrize(("line", "code", "words"), BAD_LINES, ids=lambda x: str(x)[:30])
def test_a_bad_line_is_refused_with_file_and_line(read: Any, tmp_path: Path, line: str, code: Code, words: str) -> None:
    content = b'{"text": "a good line"}\n' + line.encode("latin-1") + b"\n"
    error = refused(read, content)
    assert error.code == code.id, str(error)
    assert words in error.message and error.exit == 2
    assert error.location == f"{tmp_path / 'rows.jsonl'}:2"
    assert "0.4375" not in str(error) and "score" not in str(error) and "900719" not in str(error)


def test_meta_of_no_depth_is_a_bug_of_ours(read: Any) -> None:
    """A little deeper than its canonical form can be made, it cannot be read either; how deep is Python's affair."""
    codes = set()
    for depth in (*range(880, 1000), 5_000, 100_000):
        try:
            read(b'{"text": "x y z", "meta": {"x": %s}}' % (b"[" * depth + b"]" * depth))
        except InvalidInput as error:
            codes.add(error.code)
    assert Code.DATA_JSON.id in codes and codes <= {Code.DATA_JSON.id, Code.DATA_FORM.id}


def test_an_empty_dataset_and_a_missing_file_are_refused(read: Any, tmp_path: Path) -> None:
    assert refused(read, b"\n").code == Code.DATA_EMPTY.id
    error = refused(read, ROWS, more="template: missing.jinja")
    assert error.code == Code.FILE_UNREADABLE.id
    error = refused(read, ROWS, more="template: chatml")
    assert error.code == Code.DATA_TEMPLATE.id and "plain" in error.remedy


@pytest.fixture
def broken_model(tmp_path: Path, model_dir: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "config.json"):
        (folder / name).write_bytes((model_dir / name).read_bytes())
    return folder


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("config.json", '{"vocab_size": 100}', Code.VOCABULARY),
        ("config.json", "{", Code.TOKENIZER),
        ("tokenizer.json", "{}", Code.TOKENIZER),
        ("tokenizer_config.json", '{"eos_token": "<|missing|>"}', Code.VOCABULARY),
        ("tokenizer.json", None, Code.FILE_UNREADABLE),
    ],
)
def test_a_tokenizer_that_does_not_fit_the_model_is_refused(
    broken_model: Path, name: str, content: str | None, code: Code
) -> None:
    if content is None:
        (broken_model / name).unlink()
    else:
        (broken_model / name).write_text(content)
    with pytest.raises(InvalidInput) as caught:
        Encoder(broken_model)
    assert caught.value.code == code.id
    assert caught.value.exit == 2


@pytest.fixture
def by_id(broken_model: Path) -> Callable[[dict[str, Any]], Encoder]:
    """Loads the tokenizer with special tokens that only config.json names, by their ids."""
    (broken_model / "tokenizer_config.json").unlink()

    def load(ids: dict[str, Any]) -> Encoder:
        (broken_model / "config.json").write_text(json.dumps({"vocab_size": 2048, "eos_token_id": 0, **ids}))
        return Encoder(broken_model)

    return load


@pytest.mark.parametrize("token_id", [-1, 2048, 1 << 40, [], None])
def test_an_id_outside_the_vocabulary_is_no_padding_and_no_bos(by_id: Any, token_id: Any) -> None:
    """Checkpoints say -1 where there is none."""
    encoder = by_id({"bos_token_id": token_id, "pad_token_id": token_id})
    assert (encoder.pad_id, encoder.specials.bos, encoder.specials.eos) == (0, "", EOS)


@pytest.mark.parametrize("token_id", [-1, 2048, 1 << 40, [-1], [], True, "0"])
def test_an_eos_outside_the_vocabulary_is_refused(by_id: Any, broken_model: Path, token_id: Any) -> None:
    with pytest.raises(InvalidInput, match="eos_token_id") as caught:
        by_id({"eos_token_id": token_id})
    assert caught.value.code == Code.VOCABULARY.id and caught.value.location == str(broken_model / "config.json")
