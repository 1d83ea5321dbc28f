"""Veritune proves what happened to a model while it was fine-tuned.

    import veritune as vt
    claims = vt.verify("adapter/", keys=[public_pem])

Importing the package loads neither numpy nor the Rust core; a function loads what it needs.
"""

from __future__ import annotations

from veritune.errors import (
    InternalError,
    InvalidInput,
    PolicyRejected,
    TrustError,
    VerificationFailed,
    VerituneError,
)
from veritune.verify import VerifiedClaims, verify

__version__ = "0.1.0"

__all__ = [
    "InternalError",
    "InvalidInput",
    "PolicyRejected",
    "TrustError",
    "VerificationFailed",
    "VerifiedClaims",
    "VerituneError",
    "__version__",
    "verify",
]
