"""Held-out bits per byte of the saved model beside two 5-gram models of the same training text.

The 5-gram models are interpolated Kneser-Ney with three discounts per order (Chen and Goodman
1999), one over the model's own tokens, one over bytes. All predict every symbol of a held-out
block, given end-of-text and the symbols before it; bits per byte = total bits / total UTF-8 bytes.
The saved weights are the file's bfloat16 values, computed in float32.

    OMP_NUM_THREADS=1 python baseline.py --text WORKDIR --model models/small
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.nn import functional
from train import CONFIG, CONTEXT, END_OF_TEXT, Llama, encode, load_model, read_texts

ORDER = 5
TOKEN_BITS = 11  # 2^11 = 2048 tokens, so five tokens pack into one int64
NUM_BYTE_SYMBOLS = 257
STRIDE = CONTEXT // 2


@dataclass(frozen=True)
class NgramOrder:
    """Counts of one order: sorted packed n-grams with values already discounted and normalised."""

    grams: np.ndarray
    probability: np.ndarray
    contexts: np.ndarray
    backoff: np.ndarray


def packed(stream: np.ndarray, length: int) -> np.ndarray:
    """Every run of ``length`` tokens as one integer, without runs that cross a block's start."""
    windows = np.lib.stride_tricks.sliding_window_view(stream, length)
    inside = (windows[:, 1:] != END_OF_TEXT).all(axis=1) & (windows[:, -1] != END_OF_TEXT)
    keys = np.zeros(len(windows), dtype=np.int64)
    for column in range(length):
        keys = (keys << TOKEN_BITS) | windows[:, column]
    return keys[inside]


def estimate(grams: np.ndarray, counts: np.ndarray) -> NgramOrder:
    """Discounts counts; splits each context's mass between its n-grams and the lower order."""
    num = [int((counts == value).sum()) for value in range(1, 5)]
    base = num[0] / (num[0] + 2 * num[1])
    discounts = np.array([0.0] + [k - (k + 1) * base * num[k] / num[k - 1] for k in range(1, 4)])
    taken = discounts[np.minimum(counts, 3)]
    contexts, first, inverse = np.unique(grams >> TOKEN_BITS, return_index=True, return_inverse=True)
    totals = np.add.reduceat(counts, first)
    return NgramOrder(
        grams=grams,
        probability=(counts - taken) / totals[inverse],
        contexts=contexts,
        backoff=np.add.reduceat(taken, first) / totals,
    )


def fit_ngrams(blocks: list[list[int]]) -> list[NgramOrder]:
    """Orders 1 to ORDER; below ORDER, counts distinct left neighbours, save at a block's start."""
    stream = np.fromiter(chain.from_iterable(blocks), dtype=np.int64)
    orders: list[NgramOrder] = []
    grams, counts = np.unique(packed(stream, ORDER), return_counts=True)
    orders.append(estimate(grams, counts))
    for length in range(ORDER - 1, 0, -1):
        continued = grams & ((1 << (TOKEN_BITS * length)) - 1)
        if length > 1:
            raw = packed(stream, length)
            at_start = raw[raw >> (TOKEN_BITS * (length - 1)) == END_OF_TEXT]
            # Left neighbours are counted once per type above; at a block's start there is none.
            continued = np.concatenate([continued, at_start])
        grams, counts = np.unique(continued, return_counts=True)
        orders.append(estimate(grams, counts))
    return orders[::-1]


def lookup(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray, missing: float) -> np.ndarray:
    """The value at each wanted key, or ``missing``."""
    index = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[index] == wanted, values[index], missing)


def ngram_bits(orders: list[NgramOrder], block: list[int], num_symbols: int) -> float:
    """Bits of a block after its leading end-of-text; below order 1 all symbols are alike."""
    tokens = np.array(block, dtype=np.int64)
    probability = np.full(len(tokens) - 1, 1.0 / num_symbols)
    for length, order in enumerate(orders, start=1):
        # The token at position i (from 1) has i tokens of history, end-of-text included.
        if length > len(tokens):
            break
        keys = np.zeros(len(tokens) - length + 1, dtype=np.int64)
        for column in range(length):
            keys = (keys << TOKEN_BITS) | tokens[column : len(tokens) - length + 1 + column]
        if length == 1:
            keys = keys[1:]
        tail = slice(max(0, length - 2), None)
        weight = lookup(order.contexts, order.backoff, keys >> TOKEN_BITS, 1.0)
        found = lookup(order.grams, order.probability, keys, 0.0)
        probability[tail] = found + weight * probability[tail]
    return float(-np.log2(probability).sum())


def byte_symbols(text: str) -> list[int]:
    """End-of-text followed by the text's bytes, each shifted by one to leave room for it."""
    return [END_OF_TEXT, *(byte + 1 for byte in text.encode())]


@torch.no_grad()
def model_bits(model: Llama, block: list[int]) -> float:
    """Bits of a block's tokens; windows overlap, so that late tokens see at least STRIDE."""
    bits, scored = 0.0, 1
    while scored < len(block):
        start = max(0, scored - STRIDE) if scored > 1 else 0
        end = min(len(block), start + CONTEXT + 1)
        window = torch.tensor([block[start:end]])
        logits = model(window[:, :-1])[0].float()
        losses = functional.cross_entropy(logits, window[0, 1:], reduction="none")
        bits += losses[scored - start - 1 :].double().sum().item() / math.log(2)
        scored = end
    return bits


def main() -> None:
    """Prints bits per byte per source and in total."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, required=True, help="folder written by make_text.py")
    parser.add_argument("--model", type=Path, required=True, help="folder written by train.py")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    tokenizer = Tokenizer.from_file(str(arguments.model / "tokenizer.json"))
    texts = read_texts(arguments.text / "train.jsonl")
    token_orders = fit_ngrams(encode(tokenizer, texts))
    byte_orders = fit_ngrams([byte_symbols(text) for text in texts])
    model = load_model(arguments.model)

    heldout: Path = arguments.text / "heldout.jsonl"
    rows = [json.loads(line) for line in heldout.read_text().splitlines()]
    totals: dict[str, np.ndarray] = {}
    for row in rows:
        (block,) = encode(tokenizer, [row["text"]])
        measured = np.array(
            [
                len(row["text"].encode()),
                len(block) - 1,
                ngram_bits(byte_orders, byte_symbols(row["text"]), NUM_BYTE_SYMBOLS),
                ngram_bits(token_orders, block, CONFIG["vocab_size"]),
                model_bits(model, block),
            ]
        )
        for name in (row["source"], "all"):
            totals[name] = totals.get(name, 0.0) + measured
    for name, (num_bytes, num_tokens, byte_ngram, token_ngram, small) in totals.items():
        print(
            f"{name} bytes {num_bytes:.0f} tokens {num_tokens:.0f} bits_per_byte: "
            f"byte_5gram {byte_ngram / num_bytes:.4f} token_5gram {token_ngram / num_bytes:.4f} "
            f"model {small / num_bytes:.4f} (nats_per_token {small / num_tokens * math.log(2):.4f})"
        )


if __name__ == "__main__":
    main()
