"""recipe.yaml: defaults, decimals as written, and every refusal by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from veritune.errors import Code, InvalidInput
from veritune.recipe import ALL_LINEAR, Recipe, parse_recipe
from veritune.unsupported import UNSUPPORTED

GOOD = """\
schema: veritune.recipe/v1
model:
  path: models/small
data:
  files: [rows.jsonl]
  max_length: 64
lora:
  r: 8
train:
  learning_rate: 1e-3
  per_device_train_batch_size: 4
  num_train_epochs: 2
"""


def parse(text: str) -> Recipe:
    return parse_recipe(text.encode(), name="recipe.yaml", folder=Path("/job"))


def refused(text: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        parse(text)
    return caught.value


def edit(section: str, line: str) -> str:
    """The good recipe with a line more (or another value) in a section."""
    key = line.split(":")[0]
    kept = [x for x in GOOD.splitlines() if not x.strip().startswith(f"{key}:")]
    kept.insert(kept.index(f"{section}:") + 1, f"  {line}")
    return "\n".join(kept) + "\n"


def test_defaults_are_those_of_peft_and_of_the_trainer() -> None:
    recipe = parse(GOOD)
    assert recipe.settings == {
        "lora": {
            "r": 8,
            "lora_alpha": 8,
            "target_modules": ["q_proj", "v_proj"],
            "use_rslora": False,
            "init_lora_weights": True,
        },
        "train": {
            "optimizer": "adamw",
            "learning_rate": "1e-3",
            "lr_scheduler_type": "linear",
            "warmup_steps": 0,
            "weight_decay": "0",
            "adam_beta1": "0.9",
            "adam_beta2": "0.999",
            "adam_epsilon": "1e-8",
            "max_grad_norm": "1.0",
            "per_device_train_batch_size": 4,
            "gradient_accumulation_steps": 1,
            "num_train_epochs": 2,
            "seed_rule": "plan-beacon/v1",
        },
        "data": {"max_length": 64, "bucket": 64},
        "proof": {"range_bits": 18, "steps_per_proof": 1, "profile": "v1"},
        "disclose": {"loss": "hidden", "order": "hidden", "data": "hidden", "adapter": "public"},
    }
    assert (recipe.label_mask, recipe.long_rows, recipe.template) == (
        "completion_only",
        "refuse",
        "plain",
    )
    assert recipe.model_dir == Path("/job/models/small")
    assert recipe.files == (Path("/job/rows.jsonl"),)


@pytest.mark.parametrize("written", ["1e-3", "0.001", "1.000e-03", "1E-3", "1", "0.0010", '"2e-4"'])
def test_decimals_stay_as_written(written: str) -> None:
    recipe = parse(edit("train", f"learning_rate: {written}"))
    assert recipe.settings["train"]["learning_rate"] == written.strip('"')


def test_all_linear_names_the_seven_targets_in_order() -> None:
    assert parse(edit("lora", "target_modules: all-linear")).settings["lora"]["target_modules"] == list(ALL_LINEAR)
    some = parse(edit("lora", "target_modules: [down_proj, q_proj]"))
    assert some.settings["lora"]["target_modules"] == ["q_proj", "down_proj"]


def test_constant_with_warmup_becomes_a_schedule_with_warm_up() -> None:
    text = edit("train", "lr_scheduler_type: constant_with_warmup") + "  warmup_steps: 5\n"
    train = parse(text).settings["train"]
    assert (train["lr_scheduler_type"], train["warmup_steps"]) == ("constant", 5)


def test_steps_drop_the_last_partial_batch() -> None:
    recipe = parse(edit("train", "gradient_accumulation_steps: 3"))
    assert recipe.batch_rows == 12
    assert recipe.num_steps(35) == 2 * 2
    with pytest.raises(InvalidInput) as caught:
        recipe.num_steps(11)
    assert caught.value.code == Code.DATA_EMPTY.id
    with pytest.raises(InvalidInput, match="at most 998"):
        recipe.num_steps(12 * 500)
    text = GOOD.replace("num_train_epochs: 2", "max_steps: 7")
    assert parse(text).num_steps(35) == 7


REFUSALS = [
    # section, line, code, words that the error must hold
    ("lora", "use_dora: true", Code.RECIPE_UNSUPPORTED, ["lora.use_dora", "DoRA", "rsLoRA"]),
    ("lora", "lora_dropout: 0.1", Code.RECIPE_UNSUPPORTED, ["lora.lora_dropout", "dropout", "0"]),
    ("lora", "modules_to_save: [lm_head]", Code.RECIPE_UNSUPPORTED, ["modules_to_save"]),
    ("lora", "bias: lora_only", Code.RECIPE_UNSUPPORTED, ["lora.bias", "none"]),
    ("lora", "rank_pattern: {q: 4}", Code.RECIPE_UNSUPPORTED, ["lora.rank_pattern", "r"]),
    ("lora", "init_lora_weights: gaussian", Code.RECIPE_VALUE, ["lora.init_lora_weights"]),
    ("lora", "target_modules: [lm_head]", Code.RECIPE_VALUE, ["target_modules[0]", "q_proj"]),
    ("lora", "target_modules: .*_proj", Code.RECIPE_VALUE, ["lora.target_modules", "array"]),
    ("lora", "r: 0", Code.RECIPE_VALUE, ["lora.r", "1"]),
    ("lora", "r: 8.0", Code.RECIPE_VALUE, ["lora.r", "integer"]),
    ("lora", "r: true", Code.RECIPE_VALUE, ["lora.r", "integer"]),
    ("lora", "rank: 8", Code.RECIPE_UNKNOWN, ["lora.rank", "supported: r, lora_alpha"]),
    ("lora", "use_rslora: yes", Code.RECIPE_VALUE, ["lora.use_rslora", "boolean"]),
    ("train", "fp16: true", Code.RECIPE_UNSUPPORTED, ["train.fp16", "integer"]),
    ("train", "bf16: true", Code.RECIPE_UNSUPPORTED, ["train.bf16"]),
    ("train", "early_stopping_patience: 3", Code.RECIPE_UNSUPPORTED, ["early stopping"]),
    ("train", "load_best_model_at_end: true", Code.RECIPE_UNSUPPORTED, ["load_best_model_at_end"]),
    ("train", "seed: 42", Code.RECIPE_UNSUPPORTED, ["train.seed", "beacon"]),
    ("train", "output_dir: out", Code.RECIPE_UNSUPPORTED, ["train.output_dir", "--run"]),
    ("train", "packing: true", Code.RECIPE_UNSUPPORTED, ["train.packing"]),
    ("train", "optim: adafactor", Code.RECIPE_VALUE, ["train.optim", "adamw_torch"]),
    ("train", "optimizer: adamw", Code.RECIPE_UNSUPPORTED, ["train.optimizer", "optim"]),
    ("train", "lr_scheduler_type: polynomial", Code.RECIPE_VALUE, ["lr_scheduler_type", "cosine"]),
    ("train", "learning_rate: 0", Code.RECIPE_VALUE, ["train.learning_rate", "(0, 1]"]),
    ("train", "learning_rate: 1.5", Code.RECIPE_VALUE, ["train.learning_rate", "(0, 1]"]),
    ("train", "learning_rate: -1e-3", Code.RECIPE_VALUE, ["train.learning_rate", "'-1e-3'"]),
    ("train", "learning_rate: .5", Code.RECIPE_VALUE, ["train.learning_rate"]),
    ("train", "learning_rate: nan", Code.RECIPE_VALUE, ["train.learning_rate", "'nan'"]),
    ("train", "max_grad_norm: 0", Code.RECIPE_VALUE, ["train.max_grad_norm", "[1e-3, 1000]"]),
    ("train", "adam_beta2: 1.0", Code.RECIPE_VALUE, ["train.adam_beta2"]),
    ("train", "learningrate: 1e-3", Code.RECIPE_UNKNOWN, ["did you mean learning_rate?"]),
    ("train", "num_train_epochs: 0.5", Code.RECIPE_VALUE, ["train.num_train_epochs", "integer"]),
    ("train", "max_steps: 5", Code.RECIPE_CONFLICT, ["exactly one", "max_steps"]),
    ("train", "adam_beta1: 0.9\n  optim: sgd", Code.RECIPE_CONFLICT, ["adam_beta1", "sgd"]),
    (
        "train",
        "warmup_steps: 5\n  lr_scheduler_type: constant",
        Code.RECIPE_CONFLICT,
        ["train.warmup_steps", "constant_with_warmup"],
    ),
    ("train", "learning_rate: 1e-13", Code.RECIPE_VALUE, ["train.learning_rate", "decimal"]),
    ("train", "gradient_accumulation_steps: 257", Code.RECIPE_VALUE, ["1028 rows", "1024"]),
    ("data", "max_length: 2049", Code.RECIPE_VALUE, ["data.max_length", "2048"]),
    ("data", "packing: true", Code.RECIPE_UNSUPPORTED, ["data.packing", "not specified"]),
    ("data", "max_seq_length: 64", Code.RECIPE_UNSUPPORTED, ["max_length"]),
    ("data", "bucket: 32", Code.RECIPE_CONFLICT, ["data.bucket", "32", "64"]),
    ("data", "label_mask: user", Code.RECIPE_VALUE, ["data.label_mask", "completion_only"]),
    ("data", "files: []", Code.RECIPE_VALUE, ["data.files"]),
    ("data", "files: rows.jsonl", Code.RECIPE_VALUE, ["data.files", "array"]),
    ("model", "load_in_4bit: true", Code.RECIPE_UNSUPPORTED, ["model.load_in_4bit"]),
    ("model", "path: &a x", Code.RECIPE_SYNTAX, ["anchors"]),
    ("model", "path: !!python/name:os.system x", Code.RECIPE_SYNTAX, ["tags"]),
    ("lora", "r: 4\n  r: 8", Code.RECIPE_SYNTAX, ["lora.r", "twice"]),
]


@pytest.mark.parametrize(("section", "line", "code", "words"), REFUSALS, ids=lambda x: str(x)[:40])
def test_refused_by_name(section: str, line: str, code: Code, words: list[str]) -> None:
    error = refused(edit(section, line))
    assert error.code == code.id
    assert error.exit == 2
    for word in words:
        assert word in str(error), str(error)


@pytest.mark.parametrize("shown", ["loss", "data"])
def test_an_adapter_is_not_hidden_where_something_public_tells_it(shown: str) -> None:
    hidden = parse(GOOD + "disclose: {adapter: hidden, order: public}\n").settings["disclose"]
    assert hidden == {"loss": "hidden", "order": "public", "data": "hidden", "adapter": "hidden"}
    error = refused(GOOD + f"disclose: {{adapter: hidden, {shown}: public}}\n")
    assert error.code == Code.RECIPE_CONFLICT.id and "disclose.adapter" in str(error)


def test_an_error_names_file_and_line() -> None:
    assert refused(GOOD.replace("r: 8", "use_dora: true")).location == "recipe.yaml:8"


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("lora", "use_dora: false"),
        ("lora", "lora_dropout: 0"),
        ("lora", "lora_dropout: 0.00"),
        ("lora", "modules_to_save: null"),
        ("lora", "rank_pattern: {}"),
        ("lora", "bias: none"),
        ("lora", "peft_type: LORA"),
        ("lora", "task_type: CAUSAL_LM"),
        ("train", "fp16: false"),
        ("train", "warmup_ratio: 0.0"),
        ("train", "dataloader_drop_last: true"),
        ("data", "packing: false"),
    ],
)
def test_a_value_that_switches_a_feature_off_changes_nothing(section: str, line: str) -> None:
    assert parse(edit(section, line)) == parse(GOOD)


@pytest.mark.parametrize("field", sorted(name for name in UNSUPPORTED if "." in name))
def test_every_unsupported_field_is_refused_with_its_reason(field: str) -> None:
    section, name = field.split(".")
    error = refused(edit(section, f"{name}: something-else"))
    assert error.code == Code.RECIPE_UNSUPPORTED.id
    assert field in error.message and UNSUPPORTED[field].why in error.message
    assert error.remedy == UNSUPPORTED[field].instead


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", Code.RECIPE_SYNTAX),
        ("[1, 2]", Code.RECIPE_SYNTAX),
        ("a: [", Code.RECIPE_SYNTAX),
        ("schema: veritune.recipe/v1\n", Code.RECIPE_MISSING),
        (GOOD.replace("recipe/v1", "recipe/v2"), Code.RECIPE_VALUE),
        (GOOD.replace("  learning_rate: 1e-3\n", ""), Code.RECIPE_MISSING),
        (GOOD + "adapter: {}\n", Code.RECIPE_UNKNOWN),
        (GOOD + "peft: {}\n", Code.RECIPE_UNSUPPORTED),
        ("a: " + "[" * 2000, Code.RECIPE_SYNTAX),
        ("a: *b\n", Code.RECIPE_SYNTAX),
        (GOOD + "---\nb: 1\n", Code.RECIPE_SYNTAX),
        *(
            (GOOD.replace("rows.jsonl", f'"a{escape}b"'), Code.RECIPE_SYNTAX)
            for escape in (r"\UFFFFFFFF", r"\U00110000", r"\0", r"\ud800")
        ),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(text: str, code: Code) -> None:
    assert refused(text).code == code.id


def test_text_that_no_file_name_has_is_refused_with_its_line() -> None:
    error = refused(GOOD.replace("models/small", r'"a\0b"'))
    assert error.location == "recipe.yaml:3" and "model.path" in error.message


def test_not_utf8_is_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_recipe(b"schema: \xff\n", name="recipe.yaml", folder=Path())
    assert caught.value.code == Code.RECIPE_SYNTAX.id
