"""The contract between the Python product and the Rust core (`crates/py`).

Structured data crosses as JSON text (UTF-8), decimals inside it as strings, digests and roots as
lower-case hex. Arrays are C-contiguous int64 of shape (num_rows, num_positions): ``tokens`` holds
token ids padded with the pad id, ``targets`` the label of each position **already shifted** (the id
of the next token where it is supervised, else -100). ``meta`` is SHA-256 of each row's meta data, one after another.

``settings_json``, ``spec_json`` and ``plan_json`` are RFC 8785 bytes as text. The settings have the
sections lora, train, data and proof; the plan's ``recipe`` holds these four and, beside them, text,
calibration, sampler and beacon. The plan has the fields of the envelope crate's ``PlanV1``, and ``seed_json``
is the text of seed.json, which the core follows from the plan again. ``calibrate`` gets every row of the dataset in
order: the calibration carries what the spec needs of them (``dataset_rows``; steps = rows // batch * epochs, or
max_steps).

``progress(done, total, value)`` is called with the GIL held, from the first report of the work on at least twice a
second; ``value`` is the loss in nats in ``train`` and 0.0 elsewhere. An exception raised by it (KeyboardInterrupt)
ends the call with that exception and leaves the run resumable.

A function that fails raises CoreError and leaves no half-written output file.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_Progress = Callable[[int, int, float], None]
_Rows = NDArray[np.int64]

class CoreError(Exception):
    """``args`` is (code, message, location, exit); exit is 1, 2, 3 or 4 as in a verdict."""

    args: tuple[str, str, str, int]
    def __init__(self, code: str, message: str, location: str, exit: int) -> None: ...

def core_version() -> str:
    """The version of the core, equal to the Python package's."""

def calibrate(
    model_dir: str,
    settings_json: str,
    tokens: _Rows,
    targets: _Rows,
    meta: bytes,
    secret: bytes,
    steps: int,
    progress: _Progress,
) -> str:
    """Runs ``steps`` steps, or as many as 32 rows need, in floating point on rows that a public seed picks.

    They are counted in the order of their leaves, which follows from ``secret`` (32 bytes) if the settings hide it:
    what is returned is public, and so tells nothing of the order of the files.

    Returns {schema, dataset_rows, steps, range_bits, scales: {kind: {bits, signed, fraction_bits}}}.
    """

def make_spec(model_dir: str, settings_json: str, calibration_json: str) -> str:
    """Returns {spec, program_digest, base: {files, root}, largest_bound_log2, range_report}."""

def commit_data(spec_json: str, tokens: _Rows, targets: _Rows, meta: bytes, secret: bytes) -> str:
    """Returns {root, rows}; ``secret`` is 32 bytes from which the row salts are derived."""

def commit_model(model_dir: str, spec_json: str) -> str:
    """Returns {files: [{name, sha256}], root}, from the checkpoint's own bytes."""

def counts(spec_json: str) -> str:
    """Returns the counts of a run, numbers: slots, sizes of trees, leaves, products, expected bytes of proofs."""

def measure(kernel: str, threads: int) -> float:
    """Runs ``witness_tree``, ``state_tree``, ``fold``, ``multiply_add`` or ``copy``; returns the units done."""

def check_seed(plan_json: str, seed_json: str) -> str:
    """Follows the text of seed.json from the plan, signature of a recorded round included; returns the seed (hex)."""

def train(
    plan_json: str,
    seed_json: str,
    model_dir: str,
    tokens: _Rows,
    targets: _Rows,
    meta: bytes,
    secret: bytes,
    run_dir: str,
    threads: int,
    progress: _Progress,
) -> str:
    """Trains, or continues an interrupted ``run_dir``; returns {steps, state_root, losses: [{step, loss}]}.

    ``losses`` has the steps of this call, in nats as decimal strings, for display.
    """

def prove(
    plan_json: str,
    seed_json: str,
    model_dir: str,
    tokens: _Rows,
    targets: _Rows,
    meta: bytes,
    secret: bytes,
    run_dir: str,
    threads: int,
    progress: _Progress,
) -> str:
    """Writes ``run_dir/certificate`` (proofs/*.bin, two JSON files), ``release`` and ``claims.statement.json``.

    ``secret`` is that of ``commit_data``. Resumable: a proof that is there and verifies is kept. Returns
    {steps, proof_bytes}.
    """

def export_adapter(plan_json: str, run_dir: str, adapter_dir: str) -> str:
    """Writes PEFT's two files into the existing, empty ``adapter_dir``; returns {digest}, SHA-256 of the weights."""

def sign(payload_type: str, payload: bytes, private_pem: str) -> str:
    """Returns a Sigstore bundle (JSON) with one DSSE envelope over the payload, signed by P-256."""

def generate_key() -> tuple[str, str]:
    """Returns a fresh P-256 key pair, (private PKCS#8 PEM, public SPKI PEM)."""

def public_key(private_pem: str) -> str:
    """The public half (SPKI PEM) of a private key."""

def key_id(public_pem: str) -> str:
    """The name of a public key, 64 hex digits: SHA-256 of its SPKI DER."""

def verify(path: str, request_json: str) -> str:
    """Returns the verdict {exit, verdict, code, location, message, signer, claims, notClaimed, ledger, plan, ...}.

    The request holds texts, not paths: {keys: [PEM], trust: [PEM texts], any_signer, no_file, policy: YAML or null};
    what is absent is false or empty.
    """
