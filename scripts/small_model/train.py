"""Trains the small language model, tokenizer and Llama decoder, on one CPU core.

Reads ``train.jsonl`` made by ``make_text.py``; writes ``model.safetensors`` (bfloat16, Hugging Face
Llama names, tied head), ``config.json``, ``tokenizer.json`` and ``tokenizer_config.json``, so the
folder loads with ``transformers.LlamaForCausalLM.from_pretrained``.

    OMP_NUM_THREADS=1 python train.py --text WORKDIR --out models/small
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.nn import functional

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 2048,
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "attention_dropout": 0.0,
    "initializer_range": 0.02,
    "tie_word_embeddings": True,
    "use_cache": True,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 1,
    "torch_dtype": "bfloat16",
}
SPECIAL_TOKENS = ("<|endoftext|>", "<|pad|>")
END_OF_TEXT = 0

SEED = 20240601
CONTEXT = 256
BATCH = 8
PEAK_LEARNING_RATE = 4e-3
WARMUP_STEPS = 200
WEIGHT_DECAY = 0.1
SAVE_EVERY = 200


class RmsNorm(nn.Module):
    """Divides by the root mean square over the last axis, then scales."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, self.weight.shape, self.weight, CONFIG["rms_norm_eps"])


def rotary_tables(length: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines, (length, head_dim), the half-angles repeated as in Hugging Face Llama."""
    head_dim = CONFIG["head_dim"]
    frequency = CONFIG["rope_theta"] ** (-torch.arange(0, head_dim, 2).float() / head_dim)
    angle = torch.outer(torch.arange(length).float(), frequency).repeat(1, 2)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotary position embedding, rotate-half; x is (batch, heads, length, head_dim)."""
    first, second = x.chunk(2, dim=-1)
    return x * cosine + torch.cat((-second, first), dim=-1) * sine


class Attention(nn.Module):
    """Causal grouped-query attention."""

    def __init__(self) -> None:
        super().__init__()
        width, head_dim = CONFIG["hidden_size"], CONFIG["head_dim"]
        self.num_heads = CONFIG["num_attention_heads"]
        self.num_kv_heads = CONFIG["num_key_value_heads"]
        self.q_proj = nn.Linear(width, self.num_heads * head_dim, bias=False)
        self.k_proj = nn.Linear(width, self.num_kv_heads * head_dim, bias=False)
        self.v_proj = nn.Linear(width, self.num_kv_heads * head_dim, bias=False)
        self.o_proj = nn.Linear(self.num_heads * head_dim, width, bias=False)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        batch, length, _ = x.shape
        group = self.num_heads // self.num_kv_heads

        def heads(projection: nn.Linear, count: int) -> Tensor:
            return projection(x).view(batch, length, count, -1).transpose(1, 2)

        q = rotate(heads(self.q_proj, self.num_heads), cosine, sine)
        k = rotate(heads(self.k_proj, self.num_kv_heads), cosine, sine)
        v = heads(self.v_proj, self.num_kv_heads)
        k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, length, -1))


class Mlp(nn.Module):
    """SwiGLU feed-forward network."""

    def __init__(self) -> None:
        super().__init__()
        width, inner = CONFIG["hidden_size"], CONFIG["intermediate_size"]
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """One pre-norm decoder layer."""

    def __init__(self) -> None:
        super().__init__()
        self.input_layernorm = RmsNorm(CONFIG["hidden_size"])
        self.self_attn = Attention()
        self.post_attention_layernorm = RmsNorm(CONFIG["hidden_size"])
        self.mlp = Mlp()

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cosine, sine)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    """The stack below the head; its name ``model`` in ``Llama`` gives the Hugging Face keys."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(CONFIG["vocab_size"], CONFIG["hidden_size"])
        self.layers = nn.ModuleList(Layer() for _ in range(CONFIG["num_hidden_layers"]))
        self.norm = RmsNorm(CONFIG["hidden_size"])


class Llama(nn.Module):
    """Llama decoder, tied head: token ids (batch, length) to logits (batch, length, vocab)."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Decoder()
        residual_scale = (2 * CONFIG["num_hidden_layers"]) ** -0.5
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                std = CONFIG["initializer_range"] if "embed" in name else parameter.shape[1] ** -0.5
                if name.endswith(("o_proj.weight", "down_proj.weight")):
                    std *= residual_scale
                nn.init.normal_(parameter, std=std)

    def forward(self, tokens: Tensor) -> Tensor:
        cosine, sine = rotary_tables(tokens.shape[1])
        x = self.model.embed_tokens(tokens)
        cosine, sine = cosine.to(x.dtype), sine.to(x.dtype)
        for layer in self.model.layers:
            x = layer(x, cosine, sine)
        return functional.linear(self.model.norm(x), self.model.embed_tokens.weight)


def load_model(folder: Path) -> Llama:
    """The saved model in float32, its weights exactly the bfloat16 values of the file."""
    model = Llama()
    state = load_file(folder / "model.safetensors")
    model.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    return model.eval()


def save_model(model: Llama, folder: Path) -> None:
    """Writes weights rounded to bfloat16, and the config."""
    state = {name: tensor.to(torch.bfloat16) for name, tensor in model.state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")


def read_texts(path: Path) -> list[str]:
    """The text of every block, in file order."""
    return [json.loads(line)["text"] for line in path.read_text().splitlines()]


def train_tokenizer(texts: list[str], folder: Path) -> Tokenizer:
    """Byte-level BPE with exactly the configured vocabulary; every byte string can be encoded."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=CONFIG["vocab_size"],
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    num_tokens = tokenizer.get_vocab_size()
    if num_tokens != CONFIG["vocab_size"]:
        raise ValueError(f"vocabulary {num_tokens}, expected {CONFIG['vocab_size']}")
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": SPECIAL_TOKENS[0],
        "eos_token": SPECIAL_TOKENS[0],
        "pad_token": SPECIAL_TOKENS[1],
        "model_max_length": CONFIG["max_position_embeddings"],
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    return tokenizer


def encode(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    """Each block as end-of-text followed by its tokens."""
    return [[END_OF_TEXT, *encoding.ids] for encoding in tokenizer.encode_batch(texts)]


def learning_rate(step: int, num_steps: int) -> float:
    """Linear warm-up, then a cosine down to a hundredth of the peak."""
    if step < WARMUP_STEPS:
        return PEAK_LEARNING_RATE * (step + 1) / WARMUP_STEPS
    progress = (step - WARMUP_STEPS) / max(1, num_steps - WARMUP_STEPS)
    return PEAK_LEARNING_RATE * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


def train(model: Llama, stream: Tensor, num_steps: int, folder: Path) -> None:
    """Runs ``num_steps`` of AdamW over windows of the stream in a seeded order, epoch by epoch."""
    matrices = [p for p in model.parameters() if p.dim() == 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": WEIGHT_DECAY},
            {"params": vectors, "weight_decay": 0.0},
        ],
        betas=(0.9, 0.98),
        fused=True,
    )
    num_windows = (len(stream) - 1) // CONTEXT
    windows = stream[: num_windows * CONTEXT + 1].unfold(0, CONTEXT + 1, CONTEXT)
    num_epochs = 1 + num_steps * BATCH // num_windows
    order = torch.cat([torch.randperm(num_windows) for _ in range(num_epochs)])

    def loss_of(batch: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(batch[:, :-1])
        return functional.cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten())

    compiled_loss = torch.compile(loss_of)
    started, running = time.monotonic(), 0.0
    for step in range(num_steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, num_steps)
        batch = windows[order[step * BATCH : (step + 1) * BATCH]]
        loss = compiled_loss(batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        running = loss.item() if step == 0 else 0.98 * running + 0.02 * loss.item()
        if step % 100 == 99:
            seconds = time.monotonic() - started
            print(f"step {step + 1} loss {running:.4f} seconds {seconds:.0f}", flush=True)
        if step % SAVE_EVERY == SAVE_EVERY - 1:
            save_model(model, folder)
    print(f"trained_tokens {num_steps * BATCH * CONTEXT} seconds {time.monotonic() - started:.0f}")


def main() -> None:
    """Trains tokenizer and model from a fixed seed on one thread."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, required=True, help="folder written by make_text.py")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    parser.add_argument("--steps", type=int, default=5000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    arguments.out.mkdir(parents=True, exist_ok=True)
    texts = read_texts(arguments.text / "train.jsonl")
    tokenizer = train_tokenizer(texts, arguments.out)
    stream = torch.tensor([token for block in encode(tokenizer, texts) for token in block])
    num_bytes = sum(len(text.encode()) for text in texts)
    print(f"stream_tokens {len(stream)} bytes_per_token {num_bytes / len(stream):.3f}")
    model = Llama()
    print(f"parameters {sum(p.numel() for p in model.parameters())}")
    train(model, stream, arguments.steps, arguments.out)
    save_model(model, arguments.out)


if __name__ == "__main__":
    main()
