"""Rows to token arrays: real rows, the four forms, masks, and errors with file and line."""

from __future__ import annotations

import json
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
        assert (tokens[index][report.num_tokens :] == dataset.pad_id).all()
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
    assert dataset.template.name == "chat.jinja"
    plain = read(ROWS[4:])
    assert len(dataset.template.sha256) == 64 and dataset.template.sha256 != plain.template.sha256


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ messages", "does not compile"),
        ("{{ nothing }}", "template fails: UndefinedError in line 1"),
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{{ messages.__class__.__mro__ }}", "template fails"),
        ("{{ messages[-1].content }}{{ messages[0].content }}", "not a prefix"),
    ],
)
def test_a_template_that_fails_is_refused(read: Any, tmp_path: Path, template: str, words: str) -> None:
    (tmp_path / "chat.jinja").write_text(template)
    error = refused(read, ROWS[4:], more="template: chat.jinja")
    assert error.code == Code.DATA_TEMPLATE.id and words in error.message


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
