"""Errors of the Python product: a stable code, what, where, what was expected, what to do.

Exit codes of commands (docs/guide/errors.md): 0 verified, 1 refuted, 2 wrong usage or unreadable
input, 3 inconclusive, 4 our own bug.
"""

from __future__ import annotations

from enum import Enum

from veritune.remedies import remedy_of


class Code(Enum):
    """Every error that Python reports by itself: (stable id, meaning); the core has its own."""

    CORE_MISSING = ("VT-CORE-001", "the Rust core is not installed or lacks a function")
    CORE_ANSWER = ("VT-CORE-002", "the Rust core answered with something unreadable")
    FILE_UNREADABLE = ("VT-FILE-001", "a file or folder is missing or cannot be read")
    FILE_TOO_LARGE = ("VT-FILE-002", "a file is larger than its stated limit")
    FILE_UNWRITABLE = ("VT-FILE-003", "a file or folder cannot be written")
    FILE_EXISTS = ("VT-FILE-004", "an output exists and belongs to something else")
    FILE_JSON = ("VT-FILE-005", "a JSON file of ours does not parse or has another schema")
    FILE_CHANGED = ("VT-FILE-006", "a file differs from what the plan fixed")
    FILE_BUSY = ("VT-FILE-007", "another process works in the same folder")
    FILE_NO_SPACE = ("VT-FILE-008", "no space is left for a file")
    MEMORY = ("VT-MEMORY-001", "the command would need more memory than there is, or than --memory allows")
    RECIPE_SYNTAX = ("VT-RECIPE-001", "the recipe is not the YAML subset that recipes use")
    RECIPE_UNKNOWN = ("VT-RECIPE-002", "the recipe has a field that nobody knows")
    RECIPE_UNSUPPORTED = ("VT-RECIPE-003", "the recipe asks for something that is not proved")
    RECIPE_VALUE = ("VT-RECIPE-004", "a value of the recipe is outside its closed range")
    RECIPE_MISSING = ("VT-RECIPE-005", "a required field of the recipe is missing")
    RECIPE_CONFLICT = ("VT-RECIPE-006", "two fields of the recipe contradict each other")
    DATA_EMPTY = ("VT-DATA-001", "the dataset has no rows, or too few for one step")
    DATA_JSON = ("VT-DATA-002", "a line is not one JSON object")
    DATA_FORM = ("VT-DATA-003", "a row has none of the four forms, or a field too many")
    DATA_LONG = ("VT-DATA-004", "a row has more tokens than max_length")
    DATA_UNSUPERVISED = ("VT-DATA-005", "a row has no supervised token")
    DATA_TEMPLATE = ("VT-DATA-006", "the template fails or is not prefix-stable")
    TOKENIZER = ("VT-DATA-007", "the tokenizer is missing or unreadable")
    VOCABULARY = ("VT-DATA-008", "tokenizer and model disagree about the vocabulary")
    BEACON = ("VT-SEED-001", "the plan's time has no round, or the beacon file is not that round, validly signed")
    SEED = ("VT-SEED-002", "seed.json does not follow from the plan")
    PLAN = ("VT-PLAN-001", "plan.json is malformed or not in canonical form")
    KEY = (
        "VT-KEY-001",
        "a key file is missing, is no PEM of the right kind, or is not the key that signed the plan",
    )
    COMMITMENT = ("VT-COMMIT-001", "a recomputed root differs from the committed one")
    DEMO = ("VT-DEMO-001", "the demo's tampered copy was not refused")
    CLEAN_UNPROVED = ("VT-CLEAN-001", "cleaning would leave nothing that verifies")
    CLEAN_UNCONFIRMED = ("VT-CLEAN-002", "nobody confirmed that the files are to be removed")
    BUG = ("VT-BUG-001", "an unexpected exception: our own bug")

    @property
    def id(self) -> str:
        """The stable id, for example ``VT-RECIPE-003``."""
        return self.value[0]

    @property
    def meaning(self) -> str:
        """One line for docs/guide/errors.md."""
        return self.value[1]


class VerituneError(Exception):
    """Something was refused. ``exit`` is the exit code with which a command ends.

    Args:
        code: a Code, or the id that the Rust core reported.
        message: what was expected and what was got.
        location: file and line, field, operation and step.
        remedy: what to do about it; else the usual remedy of the code.
    """

    exit = 4

    def __init__(self, code: Code | str, message: str, *, location: str = "", remedy: str = "") -> None:
        super().__init__(message)
        self.code = code.id if isinstance(code, Code) else code
        self.message = message
        self.location = location
        self.remedy = remedy or remedy_of(self.code)

    def __str__(self) -> str:
        where = f"{self.location}: " if self.location else ""
        remedy = f" ({self.remedy})" if self.remedy else ""
        return f"{self.code}: {where}{self.message}{remedy}"


class InvalidInput(VerituneError):
    """Wrong usage, or an input that cannot be read or used."""

    exit = 2


class VerificationFailed(VerituneError):
    """A proof, signature, digest, file or bound disagrees."""

    exit = 1


class PolicyRejected(VerituneError):
    """Evidence is missing, or weaker than the policy demands."""

    exit = 3


class TrustError(PolicyRejected):
    """No key was named, or the signer is not one of those named."""


class InternalError(VerituneError):
    """A bug of ours, or an incomplete build."""

    exit = 4


_SIGNER_CODES = ("VT-ENV-040", "VT-ENV-041")
"""Codes of the envelope crate for "no key named" and "unknown key"."""


def from_core(code: str, message: str, location: str, exit_code: int) -> VerituneError:
    """Returns the Python exception for an error or a verdict of the core."""
    kind: type[VerituneError]
    if exit_code == 1:
        kind = VerificationFailed
    elif exit_code == 2:
        kind = InvalidInput
    elif exit_code == 3:
        kind = TrustError if code in _SIGNER_CODES else PolicyRejected
    else:
        kind = InternalError
    return kind(code, message, location=location)
