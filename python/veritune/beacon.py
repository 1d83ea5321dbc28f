"""Public randomness: a recorded drand round, or the demo beacon, which is labelled as such."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veritune.errors import Code, InvalidInput
from veritune.files import parse_json, read_bytes

QUICKNET_CHAIN = "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971"
"""Chain hash of drand quicknet (BLS on G1, period 3 s)."""

GENESIS_SECONDS = 1692803367
PERIOD_SECONDS = 3
DELAY_SECONDS = 30
"""Seconds from the plan's time to its round, at least."""

DEMO = "demo"
QUICKNET = "drand-quicknet"
DEMO_NOTICE = "demo beacon: derived from the plan itself, no protection against restarts"
MAX_BEACON_BYTES = 1 << 16


@dataclass(frozen=True)
class Beacon:
    """One round. ``randomness`` is 32 bytes; ``record`` is what seed.json keeps of it."""

    randomness: bytes
    record: dict[str, Any]


def demo_beacon(plan_sha256: bytes) -> Beacon:
    """Returns the demo beacon: SHA-256("veritune demo beacon" then the plan's digest)."""
    randomness = hashlib.sha256(b"veritune demo beacon" + plan_sha256).digest()
    record = {"source": DEMO, "notice": DEMO_NOTICE, "randomness": randomness.hex()}
    return Beacon(randomness, record)


def round_of(plan_time: int) -> int:
    """Returns the round of a plan: the first at or after its time and the delay. Raises ValueError."""
    if not GENESIS_SECONDS <= plan_time + DELAY_SECONDS < 1 << 53:
        raise ValueError(f"the time is before the chain began ({GENESIS_SECONDS - DELAY_SECONDS}), or beyond 2^53")
    return -((GENESIS_SECONDS - DELAY_SECONDS - plan_time) // PERIOD_SECONDS) + 1


def time_of(number: int) -> int:
    """Returns the time of a round in seconds since 1970."""
    return GENESIS_SECONDS + (number - 1) * PERIOD_SECONDS


def round_url(number: int) -> str:
    """Returns where the chain publishes a round."""
    return f"https://api.drand.sh/{QUICKNET_CHAIN}/public/{number}"


def read_beacon(path: Path) -> Beacon:
    """Returns the round recorded in a file as drand's HTTP API answers it.

    Checks that the randomness is SHA-256 of the signature. *Caller must* still check the BLS
    signature against the chain's key and that the round follows from the plan's time: the core
    does both.

    Raises:
        InvalidInput: BEACON, FILE_UNREADABLE.
    """
    content = read_bytes(path, MAX_BEACON_BYTES, what="beacon file")
    try:
        value = parse_json(content)
        if not isinstance(value, dict):
            raise ValueError("not a JSON object")
        return parse_round(value)
    except ValueError as error:
        raise InvalidInput(
            Code.BEACON,
            f"not a drand quicknet round: {error}",
            location=str(path),
            remedy='expected {"round": number, "randomness": hex, "signature": hex}',
        ) from error


def parse_round(value: dict[str, Any]) -> Beacon:
    """Returns the round in a JSON object; raises ValueError."""
    if value.get("chain_hash", QUICKNET_CHAIN) != QUICKNET_CHAIN:
        raise ValueError("another chain")
    number = value.get("round")
    if type(number) is not int or not 0 < number < 1 << 53:
        raise ValueError("round must be a positive whole number")
    signature = _hex(value.get("signature"), 48, "signature")
    randomness = hashlib.sha256(signature).digest()
    if _hex(value.get("randomness"), 32, "randomness") != randomness:
        raise ValueError("randomness is not SHA-256 of the signature")
    return Beacon(
        randomness,
        {
            "source": QUICKNET,
            "chain_hash": QUICKNET_CHAIN,
            "round": number,
            "randomness": randomness.hex(),
            "signature": signature.hex(),
        },
    )


def _hex(value: Any, num_bytes: int, name: str) -> bytes:
    if not isinstance(value, str) or not re.fullmatch(f"[0-9a-f]{{{2 * num_bytes}}}", value):
        raise ValueError(f"{name} must be {num_bytes} bytes of lower-case hex")
    return bytes.fromhex(value)
