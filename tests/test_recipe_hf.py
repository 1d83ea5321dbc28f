"""Every field of PEFT's LoraConfig and of the Trainer's arguments is supported or refused by name, with a reason."""

from __future__ import annotations

import dataclasses

import pytest

pytestmark = pytest.mark.hf


@pytest.mark.parametrize("section", ["lora", "train"])
def test_every_field_is_known(section: str) -> None:
    from peft import LoraConfig
    from transformers import TrainingArguments

    from veritune.recipe import _schema
    from veritune.unsupported import UNSUPPORTED

    source = {"lora": LoraConfig, "train": TrainingArguments}[section]
    fields = {field.name for field in dataclasses.fields(source)}  # type: ignore[arg-type]
    known = set(_schema()["properties"][section]["properties"])
    assert len(fields) > 20
    assert [name for name in sorted(fields - known) if f"{section}.{name}" not in UNSUPPORTED] == []
