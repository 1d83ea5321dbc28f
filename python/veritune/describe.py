"""What each file of a job is, and whether it may be published."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from veritune.errors import Code, InvalidInput

MAX_FILES = 100_000

KINDS: tuple[tuple[str, str, str], ...] = (
    ("*/secret/*", "no", "secret: salts, rows, witnesses, paths of this machine"),
    ("*.key.pem", "no", "private key"),
    ("*.plans.json", "no", "count of plans under a private key"),
    ("*.pub.pem", "yes", "public key"),
    ("*/DEMO.txt", "choice", "says that the demo made this folder"),
    ("*/recipe.yaml", "choice", "the user's wishes"),
    ("*/plan/plan.json", "yes", "everything fixed before training"),
    ("*/plan/plan.sigstore.json", "yes", "the signed plan"),
    ("*/plan/plan.time", "yes", "time token of the plan"),
    ("*/plan/seed.json", "yes", "beacon round and run seed"),
    ("*/plan/calibration.json", "choice", "ranges measured on the rows, from which widths follow"),
    ("*/data/manifest.json", "yes", "roots and counts of the dataset"),
    ("*/run/plan.json", "yes", "the plan of this run"),
    ("*/run/seed.json", "yes", "beacon round and run seed"),
    ("*/run/certificate/*", "yes", "certificate, the same as beside the adapter"),
    ("*/run/release/*", "yes", "the adapter's files (PEFT)"),
    ("*/run/claims.statement.json", "choice", "the claims, not signed"),
    ("*/run/openings.json", "no", "how often each committed tree was opened"),
    ("*/run/*", "no", "state of the run: state and batch oracles, digests"),
    ("*/veritune/index.json", "yes", "lists and hashes the rest of the certificate"),
    ("*/veritune/plan.json", "yes", "everything fixed before training"),
    ("*/veritune/plan.sigstore.json", "yes", "the signed plan"),
    ("*/veritune/seed.json", "yes", "beacon round and run seed"),
    ("*/veritune/claims.sigstore.json", "yes", "the signed claims"),
    ("*/veritune/signer.pub.pem", "yes", "the signer's public key"),
    ("*/veritune/provenance.sigstore.json", "yes", "how it was made (SLSA provenance)"),
    ("*/veritune/proofs/*", "yes", "proof bytes"),
    ("*/adapter/README.md", "yes", "model card"),
    ("*/adapter_model.safetensors", "yes", "the adapter's weights (PEFT)"),
    ("*/adapter_config.json", "yes", "the adapter's configuration (PEFT)"),
    ("*/model.sig", "yes", "OpenSSF model signature"),
)
"""(pattern over the absolute path, may be published, what it is); the first that matches holds."""

_UNKNOWN = ("no", "not a file of ours: not to be published without a look")


def describe(path: Path) -> list[dict[str, Any]]:
    """Returns {path, bytes, publish, what} of the file, or of every file below the folder.

    Raises:
        InvalidInput: FILE_UNREADABLE.
    """
    if not path.exists():
        raise InvalidInput(Code.FILE_UNREADABLE, "no such file or folder", location=str(path), remedy="check it")
    found = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    if not found or len(found) > MAX_FILES:
        raise InvalidInput(Code.FILE_UNREADABLE, f"{len(found)} files below the folder", location=str(path))
    entries = []
    for item in found:
        publish, what = kind_of(item)
        shown = item.name if item == path else item.relative_to(path).as_posix()
        entries.append({"path": shown, "bytes": item.stat().st_size, "publish": publish, "what": what})
    return entries


def kind_of(path: Path) -> tuple[str, str]:
    """Returns (may be published: yes, no or choice; what it is)."""
    full = path.absolute().as_posix()
    for pattern, publish, what in KINDS:
        if fnmatchcase(full, pattern):
            return publish, what
    return _UNKNOWN
