"""What each file of a job is, whether it may be published, and whether anything that verifies needs it.

A file counts as what its place makes it: the nearest folder above it that is a certificate, an adapter, a run or a job
by what it holds. What is not recognised may not be published, whatever its name is.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from veritune.certificate import (
    COUNTER_SCHEMA,
    INDEX,
    INDEX_SCHEMA,
    MAX_KEY_BYTES,
    MAX_STATEMENT_BYTES,
    make_statement,
)
from veritune.errors import Code, InvalidInput, VerituneError
from veritune.files import parse_json, read_bytes, read_json
from veritune.plan import MANIFEST_SCHEMA, MAX_PLAN_BYTES, PREDICATE_TYPE, SCHEMA, SEED_SCHEMA

MAX_FILES = 100_000
_HEIGHT = 4
"""How far below its job a file lies: job/run/certificate/proofs/release.bin."""


@dataclass(frozen=True)
class Kind:
    """What a file is.

    Attributes:
        publish: ``yes``, ``no``, or ``choice``: it reveals no row and no key, and its maker may wish to keep it.
        what: for people.
        is_ours: a command of ours wrote it.
        is_needed: ``veritune clean`` keeps it.
        schema: of a JSON file that may be published; one with another is not what its name says.
        is_of_adapter: it tells whether a guessed adapter is the one, so a hidden adapter's goes with the adapter only.
    """

    publish: str
    what: str
    is_ours: bool = True
    is_needed: bool = True
    schema: str = ""
    is_of_adapter: bool = False


@dataclass(frozen=True)
class Entry:
    """One file below a folder that was looked at."""

    path: Path
    shown: str
    num_bytes: int
    mode: int
    kind: Kind

    @property
    def is_exposed(self) -> bool:
        """Whether others on this machine may read a file that is secret."""
        return self.kind.is_ours and self.kind.publish == "no" and bool(self.mode & 0o077)


def _secret(what: str) -> Kind:
    return Kind("no", what, is_needed=False)


UNKNOWN = Kind("no", "not a file of ours: not to be published without a look", is_ours=False)
_LINK = Kind("no", "a link or a special file: not followed", is_ours=False)
_UNSEALED = Kind("no", "beside a certificate, but not as its index lists it", is_ours=False)
_HALF = _secret("half-written: left by a process that was killed")
_HALF_WRITTEN = re.compile(r"(.*/)?(\.[^/]*\.tmp|[^/]*\.partial)")
_STAGED = Kind("no", "of an adapter that is being written, or was when a process was killed")
_STAGE = re.compile(r"\..*\.(tmp|old)")
_WEIGHTS = Kind("yes", "the adapter's weights (PEFT)", is_of_adapter=True)
_CONFIG = Kind("yes", "the adapter's configuration (PEFT)", is_of_adapter=True)
_RELEASE = Kind("no", "proof of a hidden adapter's weights: goes with the adapter only")

_JOB: dict[str, Kind] = {
    r"plan/plan\.json": Kind("yes", "everything fixed before training", schema=SCHEMA),
    r"plan/plan\.sigstore\.json": Kind("yes", "the signed plan"),
    r"plan/seed\.json": Kind("yes", "beacon round and run seed", schema=SEED_SCHEMA),
    r"plan/calibration\.json": Kind("choice", "scales from a calibration on the rows; the plan holds them too"),
    r"data/manifest\.json": Kind("yes", "root and number of the rows", schema=MANIFEST_SCHEMA),
    r"data/secret/salt\.bin": _secret("secret: salt of the rows"),
    r"data/secret/rows\.safetensors": _secret("secret: the rows as tokens"),
    r"data/secret/meta\.json": _secret("secret: licences, languages and sources of the rows"),
    r"data/secret/local\.json": _secret("secret: paths of this machine, digests of the files of rows"),
    r"data/secret/\.lock": _secret("lock"),
}
_RUN: dict[str, Kind] = {
    r"plan\.json": Kind("yes", "the plan of this run", schema=SCHEMA),
    r"seed\.json": Kind("yes", "beacon round and run seed", schema=SEED_SCHEMA),
    r"release/adapter_model\.safetensors": _WEIGHTS,
    r"release/adapter_config\.json": _CONFIG,
    r"release/adapter_release\.bin": _RELEASE,
    r"claims\.statement\.json": Kind("choice", "the claims, not signed", is_needed=False),
    r"openings\.json": _secret("how often each committed tree was opened"),
    r"secret/run\.key": _secret("secret: salts and random rows of the run's commitments"),
    r"secret/local\.json": _secret("secret: paths of this machine"),
    r"steps/[0-9]+\.state": _secret("secret: the state after a step"),
    r"steps/[0-9]+\.root": _secret("root of a state's commitment"),
    r"\.lock": _secret("lock"),
}
_ADAPTER: dict[str, Kind] = {
    r"adapter_model\.safetensors": _WEIGHTS,
    r"adapter_config\.json": _CONFIG,
    r"adapter_release\.bin": _RELEASE,
    r"model\.sig": Kind("yes", "OpenSSF model signature", is_of_adapter=True),
    r"README\.md": Kind("choice", "model card"),
}
_CERTIFICATE: dict[str, str] = {
    r"plan\.json": "everything fixed before training",
    r"plan\.sigstore\.json": "the signed plan",
    r"seed\.json": "beacon round and run seed",
    r"claims\.sigstore\.json": "the signed claims",
    r"signer\.pub\.pem": "the signer's public key",
    r"rows\.bin": "the rows with their salts, disclosed by the recipe",
    r"proofs/(step-[0-9]{6}|settlement)\.bin": "proof bytes",
    r"proofs/release\.bin": "proof of the release of a public adapter",
}
"""Files of a certificate; they may be published as the index lists them."""
_ANYWHERE: dict[str, Kind] = {
    r"(.*/)?[^/]*\.key\.pem": Kind("no", "private key"),
    r"(.*/)?recipe\.yaml": Kind("choice", "the user's wishes"),
    r"(.*/)?DEMO\.txt": Kind("choice", "says that the demo made this folder"),
}


class Describer:
    """Says what files are; remembers which folders are what."""

    def __init__(self) -> None:
        self._units: dict[Path, tuple[str, dict[str, str]]] = {}
        self._publishes: dict[Path, bool] = {}

    def unit(self, folder: Path) -> str:
        """Returns ``certificate``, ``adapter``, ``run``, ``job`` or "", by what the folder holds."""
        return self._look(folder)[0]

    def kind_of(self, path: Path) -> Kind:
        """Returns what the file is; it does not follow links."""
        path = path.absolute()
        if not _is_plain(path) or not str(path).isprintable():
            return _LINK if str(path).isprintable() else UNKNOWN
        above = list(path.parents)[:_HEIGHT]
        if any(_STAGE.fullmatch(folder.name) for folder in above):
            return _STAGED
        for pattern, kind in _ANYWHERE.items():
            if re.fullmatch(pattern, path.as_posix(), re.DOTALL):
                return kind
        if path.name.endswith(".pub.pem") and _is_public_key(path):
            return Kind("yes", "public key")
        if path.name.endswith(".plans.json") and _has_schema(path, COUNTER_SCHEMA):
            return Kind("no", "count of plans under a private key")
        for folder in above:
            unit, listed = self._look(folder)
            if unit:
                kind = _kind_in(unit, listed, folder, path)
                if kind.is_of_adapter and not self._publishes_adapter(unit, folder):
                    return replace(kind, publish="no", what=f"{kind.what}: hidden, not to be published")
                return kind
        return UNKNOWN

    def _publishes_adapter(self, unit: str, folder: Path) -> bool:
        """Whether the plan of an adapter or a run says that the adapter is public; without a plan nothing says so."""
        if folder not in self._publishes:
            certificate = folder / ("veritune" if unit == "adapter" else "certificate")
            listed = self._look(certificate)[1]
            is_sealed = unit == "adapter" or listed.get("plan.json") == _digest(folder / "plan.json")
            self._publishes[folder] = is_sealed and _seals_public_adapter(certificate, listed)
        return self._publishes[folder]

    def _look(self, folder: Path) -> tuple[str, dict[str, str]]:
        if folder not in self._units:
            self._units[folder] = self._recognise(folder)
        return self._units[folder]

    def _recognise(self, folder: Path) -> tuple[str, dict[str, str]]:
        if folder.is_symlink():
            return "", {}
        if _is_plain(folder / INDEX) and (folder / "claims.sigstore.json").exists():
            listed = _listed(folder / INDEX)
            return ("certificate", listed) if listed else ("", {})
        if _is_plain(folder / "plan" / "plan.json"):
            return "job", {}
        parts = ("secret", "steps", "certificate")
        if _is_plain(folder / "plan.json") and any((folder / part).is_dir() for part in parts):
            return "run", {}
        if (folder / "veritune").is_dir() and self.unit(folder / "veritune") == "certificate":
            return "adapter", {}
        return "", {}


def describe(path: Path) -> list[Entry]:
    """Returns what the file is, or what every file below the folder is.

    Raises:
        InvalidInput: FILE_UNREADABLE, also for a folder below that cannot be read.
    """
    if not path.exists():
        raise InvalidInput(Code.FILE_UNREADABLE, "no such file or folder", location=str(path), remedy="check it")
    # Links above are the user's own way to the folder; those below are not followed.
    path = path.resolve() if path.is_dir() else path.parent.resolve() / path.name
    describer = Describer()
    found = list(files_below(path)) if path.is_dir() else [path]
    if not found:
        raise InvalidInput(Code.FILE_UNREADABLE, "no file below the folder", location=str(path))
    entries = []
    for item in found:
        shown = item.name if item == path else item.relative_to(path).as_posix()
        status = item.lstat()
        kind = describer.kind_of(item)
        entries.append(Entry(item, shown, status.st_size, stat.S_IMODE(status.st_mode), kind))
    return entries


def files_below(folder: Path) -> Iterator[Path]:
    """Yields everything below the folder that is no folder, in order; links are not followed."""
    count = 0

    def unreadable(error: OSError) -> None:
        raise InvalidInput(
            Code.FILE_UNREADABLE,
            f"cannot be read: {error.strerror or error}",
            location=str(error.filename),
            remedy="check its rights",
        ) from error

    for name, folders, files in os.walk(folder, onerror=unreadable):
        folders.sort()
        links = [item for item in folders if (Path(name) / item).is_symlink()]
        for item in sorted([*files, *links]):
            count += 1
            if count > MAX_FILES:
                raise InvalidInput(
                    Code.FILE_UNREADABLE, f"more than {MAX_FILES} files below the folder", location=str(folder)
                )
            yield Path(name) / item


def _kind_in(unit: str, listed: dict[str, str], folder: Path, path: Path) -> Kind:
    relative = path.relative_to(folder).as_posix()
    if unit == "certificate":
        if relative == INDEX:
            return Kind("yes", "lists and hashes the rest of the certificate")
        for pattern, what in _CERTIFICATE.items():
            if re.fullmatch(pattern, relative) and listed.get(relative) == _digest(path):
                if relative == "proofs/release.bin" and not _seals_public_adapter(folder, listed):
                    return Kind(
                        "no", "a proof that tells whether a guessed adapter is the one: hidden, not to be published"
                    )
                return Kind("yes", what)
        return _HALF if _HALF_WRITTEN.fullmatch(relative) else _UNSEALED
    if _HALF_WRITTEN.fullmatch(relative):
        return _HALF
    for pattern, kind in {"job": _JOB, "run": _RUN, "adapter": _ADAPTER}[unit].items():
        if re.fullmatch(pattern, relative):
            if relative == "plan/plan.sigstore.json" and not _signs(path, folder / "plan" / "plan.json"):
                return UNKNOWN
            return kind if not kind.schema or _has_schema(path, kind.schema) else UNKNOWN
    return UNKNOWN


def _seals_public_adapter(certificate: Path, listed: dict[str, str]) -> bool:
    """Whether the plan that the index lists says that the adapter is public."""
    plan = certificate / "plan.json"
    return listed.get("plan.json") == _digest(plan) and _adapter_is_public(plan)


def _is_plain(path: Path) -> bool:
    """Whether it is a regular file, not a link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _listed(index: Path) -> dict[str, str]:
    """Returns the digests in an index by path; empty if it is none."""
    try:
        files = read_json(index, INDEX_SCHEMA)["files"]
        return {str(item["path"]): str(item["sha256"]) for item in files}
    except (VerituneError, KeyError, TypeError):
        return {}


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


def _adapter_is_public(plan: Path) -> bool:
    try:
        return bool(read_json(plan, SCHEMA)["spec"]["disclose"]["adapter"] == "public")
    except (VerituneError, KeyError, TypeError):
        return False


def _has_schema(path: Path, schema: str) -> bool:
    try:
        read_json(path, schema)
    except VerituneError:
        return False
    return True


_BUNDLE = {"mediaType", "verificationMaterial", "dsseEnvelope"}


def _signs(bundle: Path, plan: Path) -> bool:
    """Whether what is signed in the bundle is the plan beside it, and the bundle has no other members than ours."""
    try:
        content = read_bytes(plan, MAX_PLAN_BYTES)
        value = parse_json(read_bytes(bundle, 2 * MAX_STATEMENT_BYTES))
        envelope = value["dsseEnvelope"]
        if set(value) != _BUNDLE or set(envelope) != {"payload", "payloadType", "signatures"}:
            return False
        statement = make_statement(PREDICATE_TYPE, parse_json(content), {"plan.json": content})
        return base64.b64decode(envelope["payload"], validate=True) == statement
    except (VerituneError, ValueError, KeyError, TypeError, RecursionError):
        return False


_PUBLIC_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/=\n]{1,400}-----END PUBLIC KEY-----\n?")


def _is_public_key(path: Path) -> bool:
    """Whether the file is one public key (PEM) and nothing else."""
    from veritune import core

    try:
        text = read_bytes(path, MAX_KEY_BYTES).decode("ascii")
        if not _PUBLIC_PEM.fullmatch(text):
            return False
        core.key_id(text)
    except (VerituneError, UnicodeDecodeError):
        return False
    return True


def to_json(entries: list[Entry]) -> list[dict[str, Any]]:
    """Returns the entries as ``--json`` has them."""
    return [
        {
            "path": entry.shown,
            "bytes": entry.num_bytes,
            "mode": f"{entry.mode:04o}",
            "publish": entry.kind.publish,
            "what": entry.kind.what,
        }
        for entry in entries
    ]
