"""Putting a certificate together: signed statements and the index. Verification is the core's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from veritune import core
from veritune.errors import Code, InternalError, InvalidInput, VerituneError
from veritune.files import canonical_json, parse_json, read_bytes, read_json, waiting, write_atomic

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
INDEX = "index.json"
INDEX_SCHEMA = "veritune.index/v1"
COUNTER_SCHEMA = "veritune.plan-counter/v1"
CLAIMS = "claims.sigstore.json"
SIGNER_KEY = "signer.pub.pem"
MAX_KEY_BYTES = 1 << 14
MAX_STATEMENT_BYTES = 64 << 20
MAX_FILE_BYTES = 4 << 30


def read_key(path: Path, kind: str) -> str:
    """Returns the text of a PEM file whose label ends in ``kind`` (PRIVATE KEY or PUBLIC KEY).

    Raises:
        InvalidInput: KEY, FILE_UNREADABLE.
    """
    content = read_bytes(path, MAX_KEY_BYTES, what="key")
    text = content.decode("ascii", errors="replace")
    if f"{kind}-----" not in text or not text.startswith("-----BEGIN "):
        raise InvalidInput(
            Code.KEY,
            f"not a PEM {kind.lower()}",
            location=str(path),
            remedy="make one with veritune keys generate",
        )
    return text


def read_private_key(path: Path) -> str:
    """Returns a private key's PEM, with which the core can sign.

    Raises:
        InvalidInput: KEY, FILE_UNREADABLE; the core's code for another kind of key.
    """
    private_pem = read_key(path, "PRIVATE KEY")
    try:
        core.public_key(private_pem)
    except InternalError:
        raise
    except VerituneError as error:
        raise InvalidInput(
            error.code, error.message, location=str(path), remedy="make one with veritune keys generate"
        ) from error
    return private_pem


def read_public_key(path: Path) -> str:
    """Returns a public key's PEM."""
    return read_key(path, "PUBLIC KEY")


def check_signer(bundle: Path, key: Path, private_pem: str) -> None:
    """Refuses a key that is not the one that a signed plan names: a verifier would refuse the certificate.

    Raises:
        InvalidInput: KEY, FILE_JSON.
    """
    content = read_bytes(bundle, 2 * MAX_STATEMENT_BYTES, what="signed plan")
    try:
        [signature] = parse_json(content)["dsseEnvelope"]["signatures"]
        signer = signature["keyid"]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(Code.FILE_JSON, "not a signed plan", location=str(bundle)) from error
    if signer != core.key_id(core.public_key(private_pem)):
        raise InvalidInput(
            Code.KEY,
            "the plan is signed by another key",
            location=str(key),
            remedy="prove with the key that signed the plan",
        )


def take_plan_number(key: Path) -> int:
    """Returns how many plans were begun under the key before, and counts this one: nothing of it is written yet.

    The count lies beside the key (``<key>.plans.json``); who counts at once waits.
    """
    path = key.with_name(f"{key.name}.plans.json")
    with waiting(key.with_name(f"{key.name}.plans.lock")):
        begun = read_json(path, COUNTER_SCHEMA).get("plans") if path.exists() else 0
        if type(begun) is not int or begun < 0:
            raise InvalidInput(Code.FILE_JSON, "plans must be a count", location=str(path))
        write_atomic(path, canonical_json({"schema": COUNTER_SCHEMA, "plans": begun + 1}), secret=True)
    return begun


def make_statement(predicate_type: str, predicate: dict[str, Any], subjects: dict[str, bytes]) -> bytes:
    """Returns the in-toto statement about the named files' bytes."""
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": name, "digest": {"sha256": hashlib.sha256(content).hexdigest()}}
            for name, content in subjects.items()
        ],
        "predicateType": predicate_type,
        "predicate": predicate,
    }
    return canonical_json(statement)


def contents(certificate: Path) -> list[str]:
    """Returns the paths of a certificate's files, without the index."""
    paths = (path.relative_to(certificate).as_posix() for path in certificate.rglob("*") if path.is_file())
    return sorted(path for path in paths if path != INDEX)


def seal(certificate: Path, names: Iterable[str], statement: bytes, private_pem: str) -> list[str]:
    """After the call the folder holds the signed claims, the signer's public key and an index of both and of ``names``.

    The index comes last: a folder without it is no certificate.

    Returns:
        The listed paths.

    Raises:
        InvalidInput: KEY if the private key is refused; FILE codes.
    """
    write_atomic(certificate / CLAIMS, core.sign(PAYLOAD_TYPE, statement, private_pem))
    write_atomic(certificate / SIGNER_KEY, core.public_key(private_pem).encode("ascii"))
    entries = []
    for name in sorted({*names, CLAIMS, SIGNER_KEY}):
        content = read_bytes(certificate / name, MAX_FILE_BYTES, what="certificate file")
        entries.append({"path": name, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)})
    write_atomic(certificate / INDEX, canonical_json({"schema": INDEX_SCHEMA, "files": entries}))
    return [str(entry["path"]) for entry in entries]
