"""The public sampler: which rows a step reads, replayable by anyone (docs/spec/sampler.md).

Statement: within an epoch the rows are read in the order of a permutation that the run seed and the
epoch number define; step t reads the next ``batch_rows`` of it, and the last partial batch of an
epoch is dropped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

LABEL = b"veritune/sampler/v1"
_WORDS_PER_BLOCK = 4


def words(seed: bytes, epoch: int) -> Iterator[int]:
    """Yields the 64-bit words of the stream of one epoch.

    Block i is SHA-256(label, seed, epoch as u64 le, i as u64 le), read as four u64 le.

    Args:
        seed: 32 bytes.
        epoch: from 0, below 2^64.
    """
    if len(seed) != 32:
        raise ValueError("the seed has 32 bytes")
    prefix = LABEL + seed + epoch.to_bytes(8, "little")
    block = 0
    while True:
        digest = hashlib.sha256(prefix + block.to_bytes(8, "little")).digest()
        for word in range(_WORDS_PER_BLOCK):
            yield int.from_bytes(digest[8 * word : 8 * word + 8], "little")
        block += 1


def permutation(seed: bytes, epoch: int, num_rows: int) -> list[int]:
    """Returns the order in which an epoch reads rows 0 .. num_rows - 1.

    Fisher-Yates from the last row down; a word w is accepted for j if it is below the largest
    multiple of j + 1 that is at most 2^64, so that every order is equally likely over the words.

    Cost: about num_rows / 4 hashes.
    """
    order = list(range(num_rows))
    stream = words(seed, epoch)
    for last in range(num_rows - 1, 0, -1):
        count = last + 1
        limit = (1 << 64) // count * count
        word = next(stream)
        while word >= limit:
            word = next(stream)
        chosen = word % count
        order[last], order[chosen] = order[chosen], order[last]
    return order


def step_rows(seed: bytes, step: int, num_rows: int, batch_rows: int) -> list[int]:
    """Returns the row indices that a step reads, in order.

    Args:
        seed: run seed, 32 bytes.
        step: from 1, as AdamW counts.
        num_rows: rows of the dataset.
        batch_rows: rows of one optimiser step, at most num_rows.
    """
    per_epoch = num_rows // batch_rows
    epoch, position = divmod(step - 1, per_epoch)
    order = permutation(seed, epoch, num_rows)
    return order[position * batch_rows : (position + 1) * batch_rows]
