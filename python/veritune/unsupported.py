"""Fields of PEFT and of the Hugging Face Trainer that a recipe may not use, refused by name.

A neutral value (the one that switches the feature off) is accepted and dropped, so that an exported
configuration can be pasted. Everything else is refused with the reason and with what is supported.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any


@dataclass(frozen=True)
class Unsupported:
    """Why a field is refused, what to write instead, and the values that are harmless."""

    why: str
    instead: str
    neutral: tuple[Any, ...] = ()

    def is_neutral(self, value: Any) -> bool:
        """Whether the value switches the feature off."""
        for neutral in self.neutral:
            if type(neutral) is type(value) and neutral == value:
                return True
            if isinstance(neutral, str) and isinstance(value, str | int):
                try:
                    if not isinstance(value, bool) and Decimal(neutral) == Decimal(value):
                        return True
                except InvalidOperation:
                    continue
        return False


OFF = (False, None)
NONE: tuple[Any, ...] = (None, {}, [])
_VARIANT = "it changes the formula of the adapter"
_PLAIN = "plain LoRA and rsLoRA (use_rslora) are supported"
_EXACT = "training is exact integer arithmetic with widths fixed by the plan"
_NO_PRECISION = "leave it out; there is no precision to choose"
_COUNT = "the number of steps is fixed by the plan and nobody may pick a checkpoint"
_STEPS = "give num_train_epochs or max_steps"
_PUBLIC_ORDER = "the order of rows is the public sampler's"
_SEED = "the seed follows from plan, dataset root and beacon, so that nobody can choose it"
_COMMAND = "it belongs to the command line, not to what is proved"

_TORCH: dict[str, Any] = {
    "activation_checkpointing": None,
    "activation_checkpointing_kwargs": None,
    "gradient_checkpointing_kwargs": None,
    "torch_compile_backend": None,
    "torch_compile_mode": None,
    "torch_empty_cache_steps": None,
    "liger_kernel_config": None,
    "use_cache": False,
    "skip_memory_metrics": True,
    "debug": "",
}

UNSUPPORTED: dict[str, Unsupported] = {
    # LoRA (PEFT)
    "lora.use_dora": Unsupported(f"DoRA: {_VARIANT}", _PLAIN, OFF),
    "lora.use_qalora": Unsupported(f"QALoRA: {_VARIANT}", _PLAIN, OFF),
    "lora.lora_dropout": Unsupported("dropout > 0 is not proved", "only 0 is supported", ("0",)),
    "lora.modules_to_save": Unsupported(
        "full-parameter training is not proved", "only LoRA on the seven projections", NONE
    ),
    "lora.bias": Unsupported("training of biases is not proved", "only bias: none", ("none", None)),
    "lora.lora_bias": Unsupported("a bias of B is not proved", "only false is supported", OFF),
    "lora.rank_pattern": Unsupported("one rank serves all targets", "use r", NONE),
    "lora.alpha_pattern": Unsupported("one lora_alpha serves all targets", "use lora_alpha", NONE),
    "lora.layers_to_transform": Unsupported("all layers are adapted", "leave it out", NONE),
    "lora.layers_pattern": Unsupported("all layers are adapted", "leave it out", NONE),
    "lora.exclude_modules": Unsupported("all layers are adapted", "use target_modules", NONE),
    "lora.target_parameters": Unsupported("only modules are adapted", "use target_modules", NONE),
    "lora.trainable_token_indices": Unsupported(
        "training of embeddings is not proved", "only LoRA on the seven projections", NONE
    ),
    "lora.layer_replication": Unsupported("layers are the base's own", "leave it out", NONE),
    "lora.fan_in_fan_out": Unsupported("only (out, in) weights", "only false is supported", OFF),
    "lora.megatron_config": Unsupported("Megatron is not supported", "leave it out", NONE),
    "lora.loftq_config": Unsupported("LoftQ changes the base", "init_lora_weights: true", NONE),
    "lora.eva_config": Unsupported("EVA chooses A from data", "init_lora_weights: true", NONE),
    "lora.corda_config": Unsupported("CorDA changes the base", "init_lora_weights: true", NONE),
    "lora.lora_ga_config": Unsupported("LoRA-GA chooses A from gradients", "init_lora_weights: true", NONE),
    "lora.use_bdlora": Unsupported(f"block-diagonal LoRA: {_VARIANT}", _PLAIN, (None, False)),
    "lora.qalora_group_size": Unsupported(f"QALoRA: {_VARIANT}", _PLAIN, (16, None)),
    **{
        f"lora.{name}": Unsupported(f"{word}: {_VARIANT}", _PLAIN, NONE)
        for name, word in {
            "velora_config": "VeLoRA",
            "monteclora_config": "MonteCLoRA",
            "arrow_config": "Arrow",
            "kasa_config": "KaSA",
            "alora_invocation_tokens": "activated LoRA",
        }.items()
    },
    "lora.ensure_weight_tying": Unsupported("embeddings are not adapted", "only false is supported", OFF),
    "lora.megatron_core": Unsupported("Megatron is not supported", "leave it out", ("megatron.core", None)),
    "lora.runtime_config": Unsupported(_COMMAND, "leave it out", NONE),
    "lora.auto_mapping": Unsupported("only the seven projections are adapted", "use target_modules", NONE),
    "lora.peft_version": Unsupported("veritune writes the released configuration", "leave it out", (None,)),
    "lora.peft_type": Unsupported("only LoRA is proved", "peft_type: LORA", ("LORA", None)),
    "lora.task_type": Unsupported("only causal language models", "task_type: CAUSAL_LM", ("CAUSAL_LM", None)),
    "lora.inference_mode": Unsupported("this is a training run", "leave it out", OFF),
    "lora.base_model_name_or_path": Unsupported("the base is model.path", "leave it out", (None,)),
    "lora.revision": Unsupported("the base is bound by its bytes", "leave it out", (None,)),
    # Precision and memory (Trainer)
    **{
        f"train.{name}": Unsupported(_EXACT, _NO_PRECISION, OFF)
        for name in ("fp16", "bf16", "tf32", "fp16_full_eval", "bf16_full_eval", "use_cpu")
    },
    "train.half_precision_backend": Unsupported(_EXACT, _NO_PRECISION, (None,)),
    "train.gradient_checkpointing": Unsupported(_EXACT, "leave it out", OFF),
    "train.deepspeed": Unsupported("one process trains", "use --threads", NONE),
    "train.fsdp": Unsupported("one process trains", "use --threads", ("", *NONE)),
    "train.torch_compile": Unsupported("torch does not run", "leave it out", OFF),
    "train.use_liger_kernel": Unsupported("torch does not run", "leave it out", OFF),
    # What decides which state is released
    "train.load_best_model_at_end": Unsupported(_COUNT, _STEPS, OFF),
    "train.early_stopping_patience": Unsupported(f"early stopping: {_COUNT}", _STEPS, (None,)),
    "train.early_stopping_threshold": Unsupported(f"early stopping: {_COUNT}", _STEPS, (None,)),
    "train.metric_for_best_model": Unsupported(_COUNT, _STEPS, (None,)),
    "train.callbacks": Unsupported(_COUNT, _STEPS, NONE),
    "train.auto_find_batch_size": Unsupported(
        "the batch is fixed by the plan", "give per_device_train_batch_size", OFF
    ),
    # Order and seed
    "train.seed": Unsupported(_SEED, "leave it out (seed_rule: plan-beacon/v1)", (None,)),
    "train.data_seed": Unsupported(_SEED, "leave it out (seed_rule: plan-beacon/v1)", (None,)),
    "train.group_by_length": Unsupported(_PUBLIC_ORDER, "only false is supported", OFF),
    "train.dataloader_drop_last": Unsupported(
        "the last partial batch is always dropped", "only true is supported", (True, None)
    ),
    # Optimiser and loss
    "train.optimizer": Unsupported("the Trainer's word is optim", "optim: adamw_torch or sgd"),
    "train.optim_args": Unsupported("no further arguments", "leave it out", ("", *NONE)),
    "train.optim_target_modules": Unsupported("GaLore is not proved", "leave it out", NONE),
    "train.lr_scheduler_kwargs": Unsupported("no further arguments", "leave it out", NONE),
    "train.warmup_ratio": Unsupported("counts are whole", "give warmup_steps", ("0", None)),
    "train.label_smoothing_factor": Unsupported("not proved", "only 0 is supported", ("0",)),
    "train.neftune_noise_alpha": Unsupported("noise is not proved", "leave it out", (None,)),
    "train.include_for_metrics": Unsupported(_COMMAND, "evaluate the released adapter", NONE),
    "train.average_tokens_across_devices": Unsupported("one process trains", "leave it out", OFF),
    # Belongs elsewhere
    **{
        f"train.{name}": Unsupported(_COMMAND, instead, ())
        for name, instead in {
            "output_dir": "use veritune train --run",
            "logging_steps": "every step is reported",
            "save_steps": "every step is saved",
            "save_strategy": "every step is saved",
            "resume_from_checkpoint": "run veritune train again: it continues",
            "report_to": "use --json",
            "push_to_hub": "publish the adapter folder yourself",
            "eval_strategy": "evaluate the released adapter",
            "eval_steps": "evaluate the released adapter",
            "per_device_eval_batch_size": "evaluate the released adapter",
        }.items()
    },
    # The rest of TrainingArguments; the neutral value is the Trainer's default
    **{
        f"train.{name}": Unsupported("torch does not run", "leave it out", (default, None))
        for name, default in _TORCH.items()
    },
    **{
        f"train.{name}": Unsupported("one process trains", "use --threads", (default, None))
        for name, default in {
            "local_rank": -1,
            "ddp_backend": None,
            "ddp_broadcast_buffers": None,
            "ddp_bucket_cap_mb": None,
            "ddp_find_unused_parameters": None,
            "ddp_static_graph": None,
            "ddp_timeout": 1800,
            "fsdp_config": None,
            "accelerator_config": None,
            "parallelism_config": None,
        }.items()
    },
    **{
        f"train.{name}": Unsupported(_PUBLIC_ORDER, "leave it out", (default, None))
        for name, default in {
            "train_sampling_strategy": "random",
            "length_column_name": "length",
            "dataloader_in_order": True,
            "ignore_data_skip": False,
        }.items()
    },
    **{
        f"train.{name}": Unsupported("rows are read by the one reader of all commands", "leave it out", (default, None))
        for name, default in {
            "dataloader_num_workers": 0,
            "dataloader_pin_memory": True,
            "dataloader_persistent_workers": False,
            "dataloader_prefetch_factor": None,
            "dataloader_multiprocessing_context": None,
            "remove_unused_columns": True,
            "label_names": None,
            "include_num_input_tokens_seen": "no",
        }.items()
    },
    **{
        f"train.{name}": Unsupported(_COMMAND, "evaluate the released adapter", (default, None))
        for name, default in {
            "eval_delay": 0,
            "eval_on_start": False,
            "eval_accumulation_steps": None,
            "eval_do_concat_batches": True,
            "eval_use_gather_object": False,
            "batch_eval_metrics": False,
            "prediction_loss_only": False,
            "greater_is_better": None,
            "do_eval": False,
            "do_predict": False,
        }.items()
    },
    **{
        f"train.{name}": Unsupported(_COMMAND, "leave it out", (default, None))
        for name, default in {
            "do_train": False,
            "full_determinism": False,
            "logging_strategy": "steps",
            "logging_first_step": False,
            "logging_nan_inf_filter": True,
            "log_on_each_node": True,
            "log_level": "passive",
            "log_level_replica": "warning",
            "disable_tqdm": None,
            "run_name": None,
            "project": "huggingface",
            "trackio_space_id": None,
            "trackio_bucket_id": None,
            "trackio_static_space_id": None,
            "save_only_model": False,
            "save_on_each_node": False,
            "save_total_limit": None,
            "enable_jit_checkpoint": False,
            "restore_callback_states_from_checkpoint": False,
            "hub_token": None,
            "hub_private_repo": None,
            "hub_model_id": None,
            "hub_strategy": "every_save",
            "hub_always_push": False,
            "hub_revision": None,
        }.items()
    },
    # Data
    "data.packing": Unsupported("packing is not specified", "only false is supported", OFF),
    "data.padding_free": Unsupported("rows have one padded length", "use bucket", OFF),
    "data.max_seq_length": Unsupported("the word is max_length", "use max_length"),
    "data.train_file": Unsupported("the word is files", "files: [rows.jsonl]"),
    "data.data_files": Unsupported("the word is files", "files: [rows.jsonl]"),
    "data.dataset_name": Unsupported("nothing is downloaded", "give local files"),
    "data.completion_only_loss": Unsupported("the word is label_mask", "label_mask: all"),
    "data.assistant_only_loss": Unsupported("the word is label_mask", "label_mask: all"),
    "data.chat_template_path": Unsupported("the word is template", "template: chat.jinja"),
    "data.shuffle": Unsupported(_PUBLIC_ORDER, "leave it out", (True, None)),
    "train.packing": Unsupported("packing is not specified", "only false is supported", OFF),
    # Model
    "model.load_in_4bit": Unsupported(_EXACT, _NO_PRECISION, OFF),
    "model.load_in_8bit": Unsupported(_EXACT, _NO_PRECISION, OFF),
    "model.quantization_config": Unsupported(_EXACT, _NO_PRECISION, NONE),
    "model.torch_dtype": Unsupported(_EXACT, _NO_PRECISION, (None,)),
    "model.dtype": Unsupported(_EXACT, _NO_PRECISION, (None,)),
    "model.attn_implementation": Unsupported("attention is the program's", "leave it out", (None,)),
    "model.trust_remote_code": Unsupported("no code is run", "only false is supported", OFF),
    "model.revision": Unsupported("the base is bound by its bytes", "leave it out", (None,)),
    "model.name_or_path": Unsupported("the word is path", "path: a local folder"),
    "model.model_name_or_path": Unsupported("the word is path", "path: a local folder"),
    "peft": Unsupported("the section is lora", "lora: {r: 8, ...}"),
    "training": Unsupported("the section is train", "train: {learning_rate: 1e-3, ...}"),
}
