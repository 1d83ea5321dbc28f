"""Verification: a thin caller of the core. Loads neither numpy nor a tokenizer nor torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veritune import core
from veritune.errors import Code, InternalError, InvalidInput, from_core

POLICY_SCHEMA = "veritune.policy/v1"


@dataclass(frozen=True)
class VerifiedClaims:
    """Claims that were verified under the policy.

    Attributes:
        claims: each {kind, word, detail}.
        not_claimed: what the certificate does not show.
        ledger: terms of the soundness error, in bits.
        verdict: the whole verdict.
    """

    claims: tuple[dict[str, Any], ...]
    not_claimed: tuple[str, ...]
    ledger: Any
    verdict: dict[str, Any]


def read_policy(path: Path | None) -> dict[str, Any]:
    """Returns the policy in a JSON file, or the default policy.

    Raises:
        InvalidInput: FILE codes.
    """
    if path is None:
        return {"schema": POLICY_SCHEMA}
    from veritune.files import read_json

    return read_json(path, POLICY_SCHEMA, max_bytes=1 << 20)


def verdict_of(path: str | Path, *, keys: Sequence[str] = (), policy: dict[str, Any] | None = None) -> dict[str, Any]:
    """Returns the core's verdict, {exit, verdict, code, location, claims, notClaimed, ledger}.

    Args:
        path: adapter folder that holds veritune/.
        keys: public keys (PEM) of accepted signers.
        policy: None means the default, and the core refuses any other so far: all steps proved, settlement, file
            binding, named signer.
    """
    target = Path(path)
    if not target.exists():
        raise InvalidInput(
            Code.FILE_UNREADABLE,
            "no such file or folder",
            location=str(path),
            remedy="give the adapter folder that veritune prove made",
        )
    verdict = core.verify(target, list(keys), policy or read_policy(None))
    if type(verdict.get("exit")) is not int or verdict["exit"] not in range(5):
        raise InternalError(Code.CORE_ANSWER, "verify() returned a verdict without an exit code")
    return verdict


def verify(path: str | Path, policy: dict[str, Any] | None = None, *, keys: Sequence[str] = ()) -> VerifiedClaims:
    """Returns the verified claims.

    Raises:
        VerificationFailed: something disagrees (exit 1).
        InvalidInput: the path or container cannot be read (exit 2).
        PolicyRejected: evidence is missing or no named key signed (exit 3).
        InternalError: a bug of ours (exit 4).
    """
    verdict = verdict_of(path, keys=keys, policy=policy)
    if verdict["exit"] != 0:
        raise from_core(
            str(verdict.get("code", "")),
            str(verdict.get("message") or verdict.get("verdict", "")),
            str(verdict.get("location", "")),
            verdict["exit"],
        )
    return VerifiedClaims(
        claims=tuple(verdict.get("claims", ())),
        not_claimed=tuple(verdict.get("notClaimed", ())),
        ledger=verdict.get("ledger"),
        verdict=verdict,
    )
