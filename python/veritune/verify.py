"""Verification: a thin caller of the core. Loads neither numpy nor a tokenizer nor torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from veritune import core
from veritune.errors import Code, InternalError, from_core

MAX_TEXT_BYTES = 1 << 20
"""Limit of a key, trust or policy file."""


@dataclass(frozen=True)
class Request:
    """What the user of a verification asks for. Texts, not paths.

    Attributes:
        keys: public keys (PEM) of accepted signers.
        trust: texts with any number of public keys (PEM).
        any_signer: accept a signer whom nobody named.
        no_file: leave the adapter's files out; the claims are then about the committed last state.
        policy: YAML of veritune.policy/v1; None means the default: all steps proved, settlement, file binding, named
            signer.
    """

    keys: Sequence[str] = ()
    trust: Sequence[str] = ()
    any_signer: bool = False
    no_file: bool = False
    policy: str | None = None


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


def read_text(path: Path, what: str) -> str:
    """Returns the text of a key, trust or policy file.

    Raises:
        InvalidInput: FILE codes.
    """
    from veritune.files import read_bytes

    return read_bytes(path, MAX_TEXT_BYTES, what=what).decode("utf-8", errors="replace")


def verdict_of(path: str | Path, request: Request) -> dict[str, Any]:
    """Returns the core's verdict, {exit, verdict, code, location, claims, notClaimed, ledger, plan, …}.

    Args:
        path: adapter folder that holds veritune/, run folder, or certificate folder.
        request: signers and policy.
    """
    asked = {**asdict(request), "keys": list(request.keys), "trust": list(request.trust)}
    verdict = core.verify(Path(path), asked)
    if type(verdict.get("exit")) is not int or verdict["exit"] not in range(5):
        raise InternalError(Code.CORE_ANSWER, "verify() returned a verdict without an exit code")
    return verdict


def verify(path: str | Path, policy: str | None = None, *, keys: Sequence[str] = ()) -> VerifiedClaims:
    """Returns the verified claims.

    Args:
        path: adapter folder that holds veritune/, run folder, or certificate folder.
        policy: YAML of veritune.policy/v1; None means the default.
        keys: public keys (PEM) of accepted signers.

    Raises:
        VerificationFailed: something disagrees (exit 1).
        InvalidInput: the path or container cannot be read (exit 2).
        PolicyRejected: evidence is missing or no named key signed (exit 3).
        InternalError: a bug of ours (exit 4).
    """
    verdict = verdict_of(path, Request(keys=keys, policy=policy))
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
